// SPDX-License-Identifier: Apache-2.0
//
// The user's tables, views and indexes: from the text in the job file to statements that SQLite has
// accepted, and to columns with logical types.
#ifndef LEAT_PROJECTIONS_DDL_H
#define LEAT_PROJECTIONS_DDL_H

#include "projections/cell.h"
#include "runtime/engine/plan.h"

// Packed operator state in the rows of an aggregate's table; left out of what people read.
#define HIDDEN_COLUMN "_leat_state"

struct foreign_key {
    const char *parent;
    int n;
    const char **from, **to; // to[i] NULL: the parent's primary key
    const char *on_delete;   // "CASCADE", "SET NULL", "NO ACTION"...
};

// What time does to the rows of a table: by its ttl, or with those of a parent that has one.
enum by_time { BY_TIME_NOTHING, BY_TIME_CHANGED, BY_TIME_GONE };

struct jobtable {
    const char *name;
    const char *create; // the statement that makes it
    struct column *columns;
    int n_columns;
    const char **names, **types; // of the columns that can be written, for tables_ops.columns
    int n_names;
    int *pk;                     // columns of the primary key, in its order
    int n_pk;
    const char **pk_names;
    struct foreign_key *fks;
    int n_fks;
    const struct column *ttl_column; // rows go when W > column + ttl; NULL: they stay
    int64_t ttl_ms;
    enum by_time by_time;
    struct jobtable *history; // its versions: the columns, then valid_from and valid_to; NULL: none
    int64_t history_ms;       // how long a version is kept behind its end
};

struct jobindex {
    const char
        *name; // made of the table's name and a hash of the text: a changed text is another index
    const char *create;
};

struct jobview {
    const char *name, *create;
};

struct ddl {
    struct jobtable *tables; // in the plan's order
    int n_tables;
    struct jobindex *indexes;
    int n_indexes;
    struct jobview *views;
    int n_views;
};

// Makes all of the plan's tables, indexes and views in `scratch`, an empty database in memory, and
// describes them in the arena. LEAT_ELOAD with the job's file and line.
int ddl_build(struct db *scratch, const struct plan *p, struct arena *a, struct ddl *out,
              struct err *e) LEAT_CHECKED;

// The table that a statement may read, a history among them; NULL.
const struct jobtable *ddl_readable(const struct ddl *d, const char *name);

// NULL when there is no such column.
const struct column *jobtable_column(const struct jobtable *t, struct bytes name);

#endif
