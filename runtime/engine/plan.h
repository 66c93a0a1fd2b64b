// SPDX-License-Identifier: Apache-2.0
//
// The plan: what a job file evaluates to. Plain C structs in one arena, no Lua in them but opaque
// `struct fn`.
//
// scripts/host fills it in (plan_new, then the structs directly), plan_finish checks and compiles
// it: topological order, expressions against the field plan of their stream, tables of aggregates,
// operator ids, fingerprints. After that it is read-only and may be shared by the threads that only
// read it.
//
// A stream is (node, port). Most nodes have port OUT_MAIN only; an aggregate also gives OUT_FINAL,
// OUT_LATE and OUT_CHANGES, a split OUT_REST. A split into several streams is a row of splits, each
// reading the rest of the one before.
#ifndef LEAT_ENGINE_PLAN_H
#define LEAT_ENGINE_PLAN_H

#include "runtime/engine/fn.h"
#include "runtime/record/type.h"

struct expr;

// An expression, a function in its place, or a constant.
struct plan_expr {
    const char *text;    // NULL when fn or constant
    struct value *binds; // of ?
    int n_binds;
    struct fn *fn;
    struct value constant; // used when text and fn are NULL
    int line;              // in the job file
    struct expr *compiled; // by plan_finish
};

struct plan_field {
    struct bytes name;
    struct plan_expr expr;
};

enum plan_port {
    OUT_MAIN,
    OUT_FINAL,
    OUT_LATE,
    OUT_REST,    // of a split: what its condition did not take
    OUT_CHANGES, // of an aggregate: each change of a row. Of a node that writes rows: nothing is
                 // emitted, it only stands before the readers of the table's changes
    OUT_PORTS
};

struct plan_input {
    int node;
    enum plan_port port;
};

enum node_kind {
    NODE_SOURCE, // from "topic"
    NODE_EVERY,  // every "1h": ticks of the step's clock
    NODE_WHERE,
    NODE_SELECT,
    NODE_SET,
    NODE_MAP,
    NODE_MATCH,
    NODE_BY,
    NODE_AGGREGATE, // with its window, if any
    NODE_INTO,
    NODE_TO,
    NODE_FLATMAP, // fn as in map; each element of the list it returns goes on
    NODE_EXPLODE,
    NODE_SPLIT, // condition as in where: truthy to OUT_MAIN, the others to OUT_REST
    NODE_MERGE, // several inputs, no settings
    NODE_DEDUPE,
    NODE_CHANGES,
    NODE_PROCESS,
    NODE_JOIN,
    NODE_KINDS
};

// What becomes of an outbox row when the step that read it has committed.
enum outbox_after { OUTBOX_DELETE, OUTBOX_MARK, OUTBOX_KEEP };

// from.outbox: the source's "topic" is the outbox's name.
struct plan_outbox {
    const char *path;  // of the application's SQLite file; NULL: the source is a topic
    const char *table;
    enum outbox_after after;
};

struct plan_source {
    const char *topic;
    struct plan_outbox outbox;
    struct plan_expr time; // text NULL and constant MISSING: the record's timestamp
    bool has_time;
    int64_t disorder_ms; // default 0
    int64_t idle_ms;     // default 30000; -1: idle = false
    int64_t ahead_ms;    // default 3600000
    enum format format;  // default JSON
    bool changelog;
    bool from_latest; // from = "latest"; default earliest
    const struct type *schema; // an object; NULL: records are taken as they are
    int *schema_slots;         // by plan_finish: where its fields are in the field plan
};

enum window_kind { WINDOW_NONE, WINDOW_TUMBLING, WINDOW_HOPPING, WINDOW_SESSION, WINDOW_LAST };

struct plan_window {
    enum window_kind kind;
    int64_t size_ms;  // or gap, or last
    int64_t every_ms; // == size_ms for tumbling
    int64_t grace_ms;
    const char *tz;          // of windows of local days; NULL
    const struct zone *zone; // by plan_finish
    int line;
};

enum agg_kind {
    AGG_COUNT, // records, or records where the argument is truthy
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_FIRST, // by event time, then arrival
    AGG_LAST,
    AGG_STDDEV, // of a sample
    AGG_QUANTILE,
    AGG_DISTINCT,
    AGG_TOP, // arg: what to compare; fields: what to keep
    AGG_COLLECT,
    AGG_KINDS
};

struct plan_aggregate {
    struct bytes name; // the result's field
    enum agg_kind kind;
    struct plan_expr arg;
    bool has_arg;
    double q;      // quantile: 0 to 1
    int64_t limit; // top: how many
    struct plan_field *fields; // top
    int n_fields;
};

enum table_verb { VERB_INSERT, VERB_PUT, VERB_PATCH, VERB_ADD, VERB_DELETE };

// orders:add("order_id", {total = "qty * price"}): a verb over a table with expressions.
struct plan_action {
    int table; // index into plan.tables
    enum table_verb verb;
    struct plan_field *key; // patch, add, delete; name BYTES_NULL for "the primary key"
    int n_key;
    struct plan_field *cells;
    int n_cells;
    int line;
};

struct plan_case {
    struct bytes type; // the text matched; BYTES_NULL for `_`
    struct plan_action *actions;
    int n_actions;
    struct fn *fn; // instead of actions
    int line;
};

struct plan_process {
    struct fn *on;
    struct fn *timer;   // NULL
    struct fn *upgrade; // NULL
    struct value state; // the initial state of a key: an object; MISSING for none
    int64_t ttl_ms;     // -1: for ever
};

enum join_with {
    JOIN_STREAM, // two inputs: left, right
    JOIN_TABLE,  // the row as it is now
    JOIN_AS_OF,  // the row as it was at `at`
};

enum join_kind { JOIN_INNER, JOIN_LEFT, JOIN_OUTER };

struct plan_join {
    enum join_with with;
    enum join_kind kind;
    struct bytes as; // the field that holds the right side
    // table, as-of
    const char *name;      // the table's
    int table;             // index into plan.tables
    struct plan_field *on; // its primary key: one without a name, or by column
    int n_on;
    struct plan_expr at;
    int64_t wait_ms; // -1: do not wait for a missing row
    // stream: right time - left time lies in [lo, hi]
    int64_t lo_ms, hi_ms;
    int64_t grace_ms;
};

// What is known of a record before it is seen. NULL: nothing.
struct plan_types {
    const struct type *value;
    const struct type *old; // $old
    const struct type *key;
};

struct plan_node {
    enum node_kind kind;
    int line;
    const char *name;          // :name "x"; NULL if not pinned
    struct plan_input *inputs; // none for sources
    int n_inputs;
    union {
        struct plan_source source;
        struct {
            int64_t interval_ms;
        } every;
        struct { // and split
            struct plan_expr condition;
        } where;
        struct { // select and set: fields in writing order
            struct plan_field *fields;
            int n;
        } select;
        struct { // and flatmap
            struct fn *fn;
        } map;
        struct {
            struct plan_expr list;
            struct bytes name; // the field that holds one element
        } explode;
        struct { // the id: `by`, remembered until the watermark is past its time + within
            struct plan_field *by;
            int n;
            int64_t within_ms;
        } dedupe;
        struct { // of a table (its writers are the inputs), or of an aggregate (the input)
            const char *name; // the table's; NULL: an aggregate
            int table;        // index into plan.tables; -1: an aggregate
            bool latest;      // one per key and commit
        } changes;
        struct plan_process process;
        struct plan_join join;
        struct {
            struct plan_expr on;
            struct plan_case *cases;
            int n;
        } match;
        struct { // names: the path's last name, else "key", "key_2", ...
            struct plan_field *parts;
            int n;
        } by;
        struct {
            struct plan_window window;
            struct plan_aggregate *aggs;
            int n;
            int64_t ttl_ms; // of a group without windows; -1: for ever
            int table; // by plan_finish: the table whose rows hold this state, or -1
        } aggregate;
        struct {              // n == 0: columns by name
            int table;        // index into plan.tables, or -1 and
            const char *name; // the table's name: found, or made for an aggregate, by plan_finish
            struct plan_field *columns;
            int n;
        } into;
        struct {
            const char *topic;
            struct plan_expr key;
            bool has_key;
            struct plan_field *headers;
            int n_headers;
            bool has_format;     // else JSON, and the original bytes where there are some
            enum format format;
            const struct type *schema; // NULL: none
        } to;
    };
    // --- by plan_finish ---
    const char *id; // from[telemetry]/by/aggregate: names its state; unique in the plan
    // Field plan of the value that reaches this node (of a source: of its records). All expressions
    // of the node are compiled against it, and the engine hands process() events whose view has it.
    struct fieldplan *fields;
    // Of the value it emits: its own behind a new value (source, select, set, map, flatmap,
    // explode, match, aggregate, changes, process, join), else the same as fields. OUT_LATE passes
    // the input's value on.
    struct fieldplan *out_fields;
    bool owns_fields, owns_out;         // which of the two plan_free frees here
    struct plan_input *outs[OUT_PORTS]; // who reads each port, in file order (port field unused)
    int n_outs[OUT_PORTS];
    const char **key_names; // names of the parts of the key that reaches this node
    const struct type **key_types;
    int n_key_names;          // 0: the record's own key
    struct plan_types in, out; // out: of OUT_MAIN, OUT_REST and OUT_FINAL
    bool native;            // no Lua runs per record here
    bool writes_rows;       // this node writes rows at once: its records need a savepoint
    uint64_t own, fingerprint; // what it means by itself, and with everything upstream
    uint64_t shape; // how the rows are laid out that it keeps; 0: it keeps none of its own
};

struct plan_index {
    const char *sql; // "customer, placed_at desc"
    int line;
};

struct plan_table {
    const char *name;
    const char *body; // the inside of CREATE TABLE, logical types included
    int line;
    struct plan_index *indexes;
    int n_indexes;
    bool without_rowid;
    const char *ttl;     // NULL
    const char *history; // NULL
    bool generated;      // made by plan_finish for an aggregate: nobody declared it
    // The node whose state lives in this table's rows, set by plan_finish; -1: none. Such a table,
    // declared or generated, gets a hidden column `_leat_state blob` that `body` does not name.
    int aggregate;
    bool constrained; // by plan_finish: CHECK, UNIQUE or REFERENCES in an aggregate's table
    const struct type *row; // by plan_finish: of its rows
};

struct plan_view {
    const char *name, *sql;
    int line;
};

// "text", "text?", "integer = 50", "time": as declared.
struct plan_param {
    const char *name, *type;
    struct value fallback; // MISSING: required
    bool nullable;
    int line;
};

struct plan_query {
    const char *name, *sql;
    const char *path; // NULL: /q/<job>/<name>
    bool one;
    struct plan_param *params; // sorted by name
    int n_params;
    int line;
};

// How the numbers of plan_node.own and its neighbours are computed; stored beside them.
#define FINGERPRINT_FORMAT 1

enum park_mode { PARK_KEY, PARK_RECORD, PARK_STOP };

struct plan_errors {
    int64_t *retry_ms; // waits between tries
    int n_retry;       // -1: the default 1s 10s 1m 10m
    enum park_mode park;
    const char *dead; // topic; NULL
    int64_t limit;
};

struct plan_commit {
    int64_t records, bytes, every_ms; // caps of one step
};

// How a new version is built beside the old one.
struct plan_rebuild {
    bool mute;       // its outputs, until it takes over
    int64_t keep_ms; // the old version's file
};

struct plan {
    struct arena arena; // everything below lives here
    const char *file;   // as given by the user, for messages
    const char *job;    // [a-z0-9._-], not starting with a dot
    int version;
    struct plan_errors errors;
    struct plan_commit commit;
    struct plan_rebuild rebuild;
    struct plan_node *nodes; // plan_finish: in topological order, file order where free
    int n_nodes, cap_nodes;
    struct plan_table *tables;
    int n_tables;
    struct plan_view *views;
    int n_views;
    struct plan_query *queries;
    int n_queries;
    const char **warnings; // by plan_finish and the loader: "jobs/a.lua:7: ..."
    int n_warnings;
    uint64_t fingerprint;
    // What keeps the functions alive (the Lua state); freed last. May be NULL.
    void *owner;
    void (*owner_free)(void *owner);
};

// With every setting at its default.
struct plan *plan_new(const char *file);
// Frees the compiled parts and the functions too; each struct fn stands in one place of the plan.
void plan_free(struct plan *p);

// Appends a zeroed node and returns its index. Pointers to nodes move: keep indices.
int plan_add_node(struct plan *p, enum node_kind kind, int line);

// Checks and compiles. The error reads "jobs/a.lua:7: in where: ...". LEAT_ELOAD.
int plan_finish(struct plan *p, struct err *e) LEAT_CHECKED;

// Calls visit for every expression of the node, in file order. Non-zero stops and is passed on.
int plan_node_exprs(struct plan_node *n, int (*visit)(void *arg, struct plan_expr *x), void *arg);
// Calls visit for every function that stands in a statement's place (map, match), not in an
// expression's.
void plan_node_fns(struct plan_node *n, void (*visit)(void *arg, struct fn *f), void *arg);
// Whether the node keeps something between records: state, rows, or what it has published.
bool node_kind_stateless(enum node_kind k);

const char *node_kind_name(enum node_kind k);
const char *agg_kind_name(enum agg_kind k);
const char *table_verb_name(enum table_verb v);
int plan_table_find(const struct plan *p, const char *name); // -1
bool plan_reads(const struct plan *p, struct bytes topic);
// To a topic, be it of dead letters.
bool plan_publishes(const struct plan *p);
// Behind "set version = ...": what a new version must say besides, since it reads its inputs again;
// or "".
const char *plan_again(const struct plan *p);
// The value of a source's record, checked against its schema; `fields` are the source's. As
// view_scan, and LEAT_ESCHEMA or LEAT_ENUMBER.
int plan_source_scan(const struct plan_source *s, const struct fieldplan *fields,
                     struct bytes value, struct arena *a, struct view *v,
                     struct err *e) LEAT_CHECKED;

// Evaluates an expression, constant or function at a place that wants a value.
struct expr_env;
int plan_expr_eval(const struct plan_expr *x, const struct expr_env *env, struct tables *tables,
                   struct value *out, struct err *e) LEAT_CHECKED;

// The plan as JSON (stored in _leat_meta, shown by explain --json).
void plan_write_json(const struct plan *p, struct buf *out);
// What reading needs of a stored plan: tables, views, queries; no operators. LEAT_EDECODE,
// LEAT_ECORRUPT.
int plan_read_json(struct plan **out, struct bytes json, struct err *e) LEAT_CHECKED;

#endif
