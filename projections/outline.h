// SPDX-License-Identifier: Apache-2.0
//
// What one side of a comparison of plans looks like: the one that a job file was made for, or the
// one that a job wants. Both are read from the plan's JSON, so that neither knows more than the
// other; the statements of the tables come beside it.
#ifndef LEAT_PROJECTIONS_OUTLINE_H
#define LEAT_PROJECTIONS_OUTLINE_H

#include "runtime/base/arena.h"
#include "runtime/record/value.h"

struct outline_input {
    int node;
    const char *port;
};

struct outline_node {
    const char *id, *kind;
    int line;
    uint64_t own, fingerprint, shape; // as in struct plan_node
    struct outline_input *inputs;
    int n_inputs;
    bool keeps; // something that records before this one have left: rows of its own, or a table's
    struct value config; // the whole object
};

struct outline_column {
    const char *name;
    const char *type;  // as declared; NULL: not known
    struct bytes line; // in the statement
};

struct outline_table {
    const char *name;
    const char *create; // NULL: not known
    const char *end;    // what stands behind the parentheses
    struct outline_column *columns;
    int n_columns;
    struct bytes *constraints; // of the table
    int n_constraints;
    struct value config; // the whole object
};

struct outline {
    const char *job;
    int version;
    int format; // FINGERPRINT_FORMAT
    struct outline_node *nodes; // in topological order
    int n_nodes;
    struct outline_table *tables;
    int n_tables;
    struct value whole;
};

// Everything lives in the arena, the text copied. LEAT_ECORRUPT.
int outline_read(struct outline *o, struct bytes json, struct arena *a, struct err *e) LEAT_CHECKED;

// Takes a table's statement apart, as ddl.c writes them: one line per column (they begin with a
// quoted name) and per constraint.
void outline_statement(struct outline_table *t, const char *create, struct arena *a);

int outline_find_node(const struct outline *o, const char *id); // -1
struct outline_table *outline_find_table(const struct outline *o, const char *name);
struct outline_column *outline_find_column(const struct outline_table *t, const char *name);
// Which nodes the one at `from` feeds, itself included, directly or through others.
bool *outline_reach(const struct outline *o, int from, struct arena *a);

// Members of an object of the outline, with a value for "not there".
const char *outline_text(const struct value *object, const char *name, struct arena *a);
int64_t outline_int(const struct value *object, const char *name, int64_t fallback);
struct value outline_member(const struct value *object, const char *name, struct arena *a);

#endif
