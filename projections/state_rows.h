// SPDX-License-Identifier: Apache-2.0
//
// The rows of one operator's state, as the files that make them up share them: state.c (opening,
// keys, the hooks), state_sql.c (statements), state_ttl.c (rows that are forgotten), readahead.c
// (reading many).
#ifndef LEAT_PROJECTIONS_STATE_ROWS_H
#define LEAT_PROJECTIONS_STATE_ROWS_H

#include "projections/jobfile_internal.h"

enum { ROWS_TOGETHER = 32, PARAMS_MAX = 4096, KEY_PARTS_MAX = 32 };

struct state {
    struct jobfile *jf;
    const struct jobtable *fused; // NULL: a table of its own
    const char *table;
    const char *win, *win_end,
        *blob; // names of columns; win NULL: no window, win_end NULL: not kept
    int n_key, n_columns, n_prefix;
    const char **key_names, **column_names;
    const struct column **keys, **columns; // fused
    struct db_stmt *get, *update, *insert, *touch, *del, *scan, *scan_key, *first;
    struct db_stmt *insert_many, *clear; // made when first needed; ROWS_TOGETHER rows
    struct db_stmt *purge_to, *purge;    // the same
    struct state_ttl {                   // state_ttl.c
        int64_t ms;                // 0: none
        const char *touched, *due; // names of columns
        bool known;                // `first` is no later than the first due
        int64_t first;             // INT64_MAX: no row
        struct db_stmt *min, *later, *drop;
    } ttl;
    struct state *next;
};

// Parameters of an inserted row.
int state_n_inserted(const struct state *st);
int state_prepare_get(struct state *st, struct err *e) LEAT_CHECKED; // and del, touch
int state_prepare_update(struct state *st, struct err *e) LEAT_CHECKED;
int state_prepare_insert(struct state *st, int rows, struct db_stmt **out,
                         struct err *e) LEAT_CHECKED;
int state_prepare_scan(struct state *st, struct err *e) LEAT_CHECKED;
int state_prepare_scan_key(struct state *st, struct err *e) LEAT_CHECKED;
int state_prepare_first(struct state *st, struct err *e) LEAT_CHECKED;
int state_prepare_purge(struct state *st, struct err *e) LEAT_CHECKED;
int state_prepare_clear(struct state *st, struct err *e) LEAT_CHECKED;
// Of a row's blob by its key, on another connection.
int state_prepare_ahead(const struct state *st, struct db *db, struct db_stmt **out,
                        struct err *e) LEAT_CHECKED;

// state_ttl.c: after the table is there, before its statements are made; and at the end.
int state_ttl_open(struct state *st, const struct state_spec *spec, struct err *e) LEAT_CHECKED;
void state_ttl_close(struct state *st);
// A row that is touched at that time is written.
void state_ttl_note(struct state *st, int64_t touched);
int state_sweep_due(struct state *st, int64_t *w, struct err *e);
int state_sweep(struct state *st, int64_t w, int max, struct err *e);

// The key as parameters from `param` on. `scratch` must live until the statement has run.
int state_bind_key(const struct state *st, struct db_stmt *s, int param, const struct state_key *k,
                   struct arena *scratch, struct err *e) LEAT_CHECKED;

// As states_ops.
int state_get_many(struct state *st, const struct state_key *keys, int n,
                   int (*each)(void *arg, int i, struct bytes blob), void *arg, struct err *e);

#endif
