// SPDX-License-Identifier: Apache-2.0
//
// What a step wants to publish, kept in memory until its end. Essay in outputs.c.
#ifndef LEAT_ENGINE_OUTPUTS_H
#define LEAT_ENGINE_OUTPUTS_H

#include "runtime/engine/publisher.h"
#include "runtime/engine/store.h"

// One output topic.
struct output_dest {
    const char *topic;
    struct uuid id;
    int32_t n_partitions;
    struct output_slot *slots; // one per partition
};

// Where rows of one output partition have got to.
struct output_slot {
    bool known;       // batch_no was read from the store
    int64_t batch_no; // of the last row
    int32_t rows;     // in that batch, written by the open step; 0: the next row starts a batch
    int64_t bytes;
};

struct output_row {
    int dest;
    bool null_key, null_value;
    int32_t n_headers;
    uint32_t partition_hint; // of the source: for rows without a key
    int64_t time;
    size_t pos; // in bytes: key, value, headers, cause
    uint32_t key_n, headers_n, cause_n;
    size_t value_n;
    int32_t partition; // from here on known when it is written
    int64_t seq, batch_no;
};

struct outputs {
    struct output_dest *dests;
    int n_dests;
    struct output_row *rows;
    size_t n, cap;
    struct buf bytes;
    int64_t first_id; // of the rows as they were written, one behind the other
    bool committed;   // these rows; they stay until the next step begins
};

struct outputs_mark {
    size_t n, bytes;
};

// The distinct topics of the plan's `to` nodes, and its dead topic.
void outputs_init(struct outputs *o, const struct plan *p);
void outputs_deinit(struct outputs *o);
// Ids and partition counts from the publisher; creates topics that do not exist.
int outputs_open(struct outputs *o, struct publisher *p, struct err *e) LEAT_CHECKED;
int outputs_dest(const struct outputs *o, const char *topic); // -1

// Copies a row in. LEAT_EBUDGET when no batch could hold it, or one record makes too many.
struct output_new {
    int dest;
    struct bytes key, value;
    const struct header *headers;
    size_t n_headers;
    int64_t time;
    struct bytes topic; // cause
    int32_t partition;
    int64_t offset;
};
int outputs_add(struct outputs *o, const struct output_new *row, struct err *e) LEAT_CHECKED;
struct outputs_mark outputs_mark(const struct outputs *o);
void outputs_undo(struct outputs *o, struct outputs_mark m);

void outputs_begin(struct outputs *o);
// End of step: outbox rows, with partition and batch fixed. Then committed or aborted.
int outputs_write(struct outputs *o, struct store *s, struct err *e) LEAT_CHECKED;
void outputs_committed(struct outputs *o);
void outputs_aborted(struct outputs *o);
// Whether all committed rows behind this id are still in memory, and like the store's outbox_scan.
bool outputs_hold(const struct outputs *o, int64_t after);
int outputs_scan(const struct outputs *o, int64_t after, int max,
                 int (*each)(void *arg, const struct outbox_row *r), void *arg);

// A record batch's encoding of headers.
void outputs_encode_headers(struct buf *b, const struct header *headers, size_t n);

#endif
