// SPDX-License-Identifier: Apache-2.0
//
// Row verbs over the job's tables: what ctx.db, match actions and :into call. Implemented by
// projections/rows.c on the job's one writing connection; used inside a step only, on the worker
// thread.
//
// Values are logical: time is int64 ms (ISO text is accepted and converted), bool a boolean,
// decimals VALUE_DECIMAL or text. MISSING leaves a column alone (or at its default on insert); NULL
// writes NULL.
//
// Errors: LEAT_ECONSTRAINT (NOT NULL, CHECK, UNIQUE), LEAT_EMISSING (foreign key; patch of no row;
// a required column missing when put or add has to insert), LEAT_ETYPE, LEAT_EINVAL (unknown
// column: a load error for plans), or an infrastructure code. The text names table and column.
#ifndef LEAT_ENGINE_TABLE_H
#define LEAT_ENGINE_TABLE_H

#include "runtime/engine/plan.h"

struct tables;       // all tables of a job
struct table_action; // one verb over one column set, prepared

struct table_shape;

// A row before and after a write; MISSING where there was, or is, none.
struct table_change {
    int table;
    struct value old, row; // objects of all columns
    struct value key;      // the primary key: a scalar, or an array of its parts
};

// A row of a table at a moment.
struct table_moment {
    int table;
    const struct value *key;
    int n_key;
    int64_t at;
};

struct tables_ops {
    // `columns` are the cells' columns; `key_columns` those of the key (n_key 0: the primary key,
    // in its order; insert and put take the key from the cells). The action lives as long as the
    // tables.
    int (*prepare)(struct tables *t, const struct table_shape *shape, struct table_action **out,
                   struct err *e);
    // key: n_key values; cells: n_cells values, in the shape's order. *changed (may be NULL) tells
    // whether a row was written.
    int (*run)(struct table_action *a, const struct value *key, const struct value *cells,
               bool *changed, struct err *e);
    // The row with that primary key as an object, or MISSING.
    int (*get)(struct tables *t, int table, const struct value *key, int n_key, struct arena *a,
               struct value *row, struct err *e);
    // The row as it was at that event time, of a table with history; MISSING when there was none.
    // LEAT_EHISTORY for a time that the history does not reach back to.
    int (*get_at)(struct tables *t, const struct table_moment *m, struct arena *a,
                  struct value *row, struct err *e);
    // ctx.db:sql: one statement under the job's authorizer; rows come back as an array of objects.
    int (*sql)(struct tables *t, struct bytes sql, const struct value *params, struct arena *a,
               struct value *rows, struct err *e);
    // Column names of the table in order, without computed ones, which cannot be written; for
    // "has no column" messages and into-by-name.
    int (*columns)(struct tables *t, int table, const char *const **names,
                   const char *const **types);
    // Names of the primary key's columns.
    int (*primary_key)(struct tables *t, int table, const char *const **names);
    // From now on each change of this table's rows is kept until next_change takes it. May be NULL,
    // with next_change.
    int (*watch)(struct tables *t, int table, struct err *e);
    // 1 and the oldest change of a watched table (in the arena), 0 for no more. What was rolled
    // back is not there.
    int (*next_change)(struct tables *t, struct arena *a, struct table_change *out, struct err *e);
    // Rows that go by time. NULL, all three: no table keeps time.
    // *at: when it is <= w, the first watermark at which rows are due; else something later than w
    // that is not later than that. INT64_MAX for nothing. Cheap while nothing is due.
    int (*due)(struct tables *t, int64_t w, int64_t *at, struct err *e);
    // Deletes what is due at exactly that watermark: *n rows, at most `max`, and what goes with
    // them. Inside a step. LEAT_ESTOPPED for a row that cannot go.
    int (*expire)(struct tables *t, int64_t at, int max, int *n, struct err *e);
    // Whether rows of the table may go by time: by its own ttl, or with those of another table.
    bool (*expires)(const struct tables *t, int table);
};

struct table_shape {
    int table; // index into plan.tables
    enum table_verb verb;
    const struct bytes *key_columns;
    int n_key;
    const struct bytes *columns;
    int n_cells;
    bool replaces; // put: the cells are the whole row; MISSING puts a column back to its default
};

struct tables {
    const struct tables_ops *ops;
    // Set by the engine, for jobs whose tables keep time: the event time of what is going on, and
    // the smallest watermark of the sources.
    int64_t time, watermark;
    void *attachment; // of the job's script: its prepared actions. NULL in fresh tables; not owned
};

#endif
