// SPDX-License-Identifier: Apache-2.0
//
// Reading a job's read model: named queries and ad-hoc SQL on hardened read-only connections, each
// answer from one read transaction together with the offsets it reflects. Any thread; one `struct
// query_reader` per thread (or borrowed under a lock). Implemented by projections/query.c.
#ifndef LEAT_ENGINE_QUERY_H
#define LEAT_ENGINE_QUERY_H

#include "runtime/engine/plan.h"

struct query_reader;

struct query_request {
    const struct plan_query *named; // or NULL and
    struct bytes sql;               // ad hoc
    const struct bytes *names;      // parameters as text from URL or command line
    const struct bytes *texts;
    size_t n_params;
    int64_t deadline_ms;        // of the statement; 0: QUERY_MS_MAX
    size_t rows_max, bytes_max; // 0: the limits
};

struct query_answer {
    size_t n_columns;
    struct bytes *columns; // names
    const char **types;    // logical: text integer real time bool decimal(p,s) json blob any
    size_t n_rows;
    struct value *cells; // n_rows * n_columns; time as ISO text, bool as booleans, decimals as text
    bool truncated;      // a cap was reached
    struct bytes position; // "topic:0@12,1@9;other:0@3": the last record of each that is in
};

struct query_ops {
    // LEAT_EINVAL: a parameter is missing, unknown or not of its type. LEAT_ETIMEDOUT. LEAT_ESQL.
    int (*run)(struct query_reader *r, const struct query_request *q, struct arena *a,
               struct query_answer *out, struct err *e);
    // The plan whose named queries `run` takes.
    const struct plan *(*plan)(struct query_reader *r);
    // 1 when the record at each offset of `position` has been committed, 0 not yet, LEAT_EINVAL if
    // it does not parse.
    int (*reached)(struct query_reader *r, struct bytes position, struct err *e);
    void (*close)(struct query_reader *r);
};

struct query_reader {
    const struct query_ops *ops;
};

// Rows as a JSON array of objects, or with `one` the first row or null.
int query_answer_json(const struct query_answer *a, bool one, struct buf *out,
                      struct err *e) LEAT_CHECKED;

#endif
