// SPDX-License-Identifier: Apache-2.0
//
// Happy path: nothing is on its way to the journal; all groups and offsets of one partition are
// appended again, in batches; when the last of them is durable, the partition's start moves to the
// first, in meta.db and in the log, and the segments before it go.
//
// Why nothing may be on its way: a commit that is appended but not yet visible is not in what we
// write, and would be behind the new start.
#include "runtime/base/heap.h"
#include "runtime/base/trace.h"
#include "runtime/broker/core.h"
#include "runtime/broker/journal.h"

#define RECORDS_PER_BATCH 1000
#if LEAT_TESTING
#define HISTORY_RECORDS_MIN 500
#else
#define HISTORY_RECORDS_MIN 50000
#endif
#define HISTORY_PER_LIVE 4 // history goes when it is this many times what counts

struct compaction {
    struct journal_write write; // of the last batch
    struct journal *journal;
    int64_t start; // of the first batch
};

static void move_start(struct compaction *c)
{
    struct slot *s = c->journal->slots[c->journal->compacting];
    struct metadata_command move = {.kind = METADATA_PARTITION_START,
                                    .id = s->topic_id,
                                    .partition = c->journal->compacting,
                                    .offset = c->start};
    struct err e;

    if (metadata_apply(&c->journal->broker->metadata, &move, &e) < 0 ||
        partition_delete_before(s->partition, c->start, &e) < 0)
        trace(TRACE_WARN, "journal", "history of %s stays for now: %s", JOURNAL_TOPIC, e.text);
}

static void compacted(struct journal_write *w, int16_t error)
{
    struct compaction *c = container_of(w, struct compaction, write);

    if (error == GROUP_OK)
        move_start(c);
    c->journal->compacting = -1;
    heap_free(c);
}

// Nobody waits for the batches but the last.
static void batch_written(struct journal_write *w, int16_t error)
{
    (void)error;
    heap_free(w);
}

static int flush(struct journal *j, struct slot *s, struct journal_batch *b, struct err *e)
{
    struct journal_write *w = heap_zalloc(sizeof *w);
    int64_t now_ms = b->now_ms;
    int rc;

    w->done = batch_written;
    rc = journal_write_to(j, s, b, w, e);
    if (rc < 0)
        heap_free(w);
    journal_batch_deinit(b);
    journal_batch_init(b, now_ms);
    return rc;
}

static int add_group(struct journal *j, struct slot *s, const struct group_entry *entry,
                     struct journal_batch *b, struct err *e)
{
    int rc = 0;
    void *c;

    journal_add_group(b, &entry->group);
    for (size_t i = 0; rc == 0 && hashmap_next(&entry->offsets, &i, NULL, &c);) {
        journal_add_offset(b, entry->group.id, c);
        if (b->n >= RECORDS_PER_BATCH)
            rc = flush(j, s, b, e);
    }
    return rc;
}

static int write_live(struct journal *j, struct groups *gs, struct slot *s, struct compaction *c,
                      struct err *e)
{
    struct journal_batch b;
    void *value;
    int rc = 0;

    journal_batch_init(&b, clock_wall_ms(j->broker->config.clock));
    for (size_t i = 0; rc == 0 && hashmap_next(&gs->by_id, &i, NULL, &value);) {
        const struct group_entry *entry = value;
        if (journal_partition(j, entry->group.id) == j->compacting)
            rc = add_group(j, s, entry, &b, e);
    }
    if (b.n == 0) // something must carry the end of it
        journal_add_group_gone(&b, bytes_str(""));
    c->write.done = compacted;
    c->journal = j;
    if (rc == 0)
        rc = journal_write_to(j, s, &b, &c->write, e);
    journal_batch_deinit(&b);
    return rc;
}

static int64_t count_live(const struct journal *j, const struct groups *gs, int32_t partition)
{
    int64_t n = 0;
    void *value;

    for (size_t i = 0; hashmap_next(&gs->by_id, &i, NULL, &value);) {
        const struct group_entry *entry = value;
        if (journal_partition(j, entry->group.id) == partition)
            n += 1 + (int64_t)entry->offsets.n;
    }
    return n;
}

static bool is_worth_it(const struct journal *j, const struct groups *gs, int32_t i)
{
    const struct partition *p = j->slots[i]->partition;
    int64_t n = partition_end(p) - partition_start(p);

    return n >= HISTORY_RECORDS_MIN && n >= HISTORY_PER_LIVE * count_live(j, gs, i) &&
           partition_state(p, NULL) == PARTITION_READY;
}

void journal_compact(struct journal *j, struct groups *gs)
{
    if (j->compacting >= 0 || !list_empty(&j->writes))
        return;
    for (int32_t i = 0; i < j->n_slots; i++) {
        struct compaction *c;
        struct err e;

        if (!is_worth_it(j, gs, i))
            continue;
        c = heap_zalloc(sizeof *c);
        c->start = partition_end(j->slots[i]->partition);
        j->compacting = i;
        if (write_live(j, gs, j->slots[i], c, &e) < 0) {
            trace(TRACE_WARN, "journal", "cannot write %s again: %s", JOURNAL_TOPIC, e.text);
            j->compacting = -1;
            heap_free(c);
        }
        return; // one at a time
    }
}
