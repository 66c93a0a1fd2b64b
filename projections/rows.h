// SPDX-License-Identifier: Apache-2.0
//
// What rows.c (verbs) and rows_sql.c (free SQL, explanations) share.
#ifndef LEAT_PROJECTIONS_ROWS_H
#define LEAT_PROJECTIONS_ROWS_H

#include "projections/jobfile_internal.h"

struct rows {
    struct table_action *actions;
    struct db_stmt **gets;     // per table
    struct hashmap statements; // of ctx.db:sql, by text
};

struct rows *rows_of(struct jobfile *jf);

int rows_prepare(struct tables *tables, const struct table_shape *shape, struct table_action **out,
                 struct err *e);
int rows_run(struct table_action *a, const struct value *key, const struct value *cells,
             bool *changed, struct err *e);
int rows_get(struct tables *tables, int table, const struct value *key, int n_key, struct arena *a,
             struct value *row, struct err *e);
int rows_sql(struct tables *tables, struct bytes sql, const struct value *params, struct arena *a,
             struct value *rows, struct err *e);

// Frees what is prepared for ctx.db:sql. The map is as after its init.
void rows_forget_statements(struct rows *rows);

// The columns of the table from a statement that selects them first.
int rows_read(struct db_stmt *s, const struct jobtable *t, struct arena *a, struct value *row,
              struct err *e) LEAT_CHECKED;

// SQLite does not say which foreign key failed: looks for it and names it, with the value.
void rows_explain_missing(struct jobfile *jf, const struct jobtable *t,
                          const struct column *const *columns, int n, const struct value *cells,
                          struct err *e);

// The logical column a result column comes from; NULL for expressions and tables that are not the
// user's.
const struct column *rows_origin(const struct ddl *d, struct db_stmt *s, int i);
// Result columns that people do not see.
bool rows_hidden(struct db_stmt *s, int i);

#endif
