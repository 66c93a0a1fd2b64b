// SPDX-License-Identifier: Apache-2.0
//
// The job's input partitions: where they stand, what of them is in memory, their heads. Essay in
// input.c.
#ifndef LEAT_ENGINE_INPUT_H
#define LEAT_ENGINE_INPUT_H

#include "runtime/engine/merge.h"
#include "runtime/engine/source.h"
#include "runtime/engine/store.h"
#include "runtime/engine/suspect.h"
#include "runtime/engine/watermark.h"

struct input_part {
    int source; // index into inputs.sources
    int32_t partition;
    uint32_t rank;

    int64_t next;      // offset to read next
    int64_t committed; // next, as the store has it; -1: no row yet
    int64_t first;     // where a new job starts
    int64_t stable;    // end of what may be read, sampled at the start of the step
    int32_t epoch;

    struct buf data; // whole batches
    size_t pos;      // of the batch behind the one being read
    int64_t fetched; // offset behind data
    bool in_batch;
    struct batch_iter iter;
    struct arena batch_arena; // the inflated batch
    struct arena arena;       // the head, and what processing it makes

    bool has_head;
    struct batch_record record;
    struct event event;
    int class;                    // of a head that cannot be read; 0
    char *message;                // its error, in the arena
    bool timed;                   // the event time is known
    int64_t time;                 // event time, or the record's timestamp
    struct watermark_part stored; // as committed, for telling what changed
    int32_t stored_epoch;
};

struct input_source {
    int node; // in the plan
    const struct plan_source *plan;
    const struct fieldplan *fields;
    uint64_t entry; // its id, for flights
    struct source_topic topic;
    struct bytes topic_name;
    bool open;
    struct watermark wm; // parts by partition
    bool *drained;       // by partition
};

// Since when a partition has been drained, of a job that goes on in another's place at once.
struct input_drained {
    int source;
    int32_t partition;
    int64_t since;
};

struct inputs {
    const struct plan *plan;
    struct source *source;
    struct store *store;
    struct input_source *sources;
    int n_sources;
    struct input_part *parts;
    int n_parts;
    struct merge merge;
    const struct suspect *suspect;
    size_t fetch_bytes;
    bool keyed;         // order per key matters: partitions must not appear
    bool may_grow;      // but a test's may
    const struct input_drained *drained; // what is known already, or none
    int n_drained;
    int64_t records;    // read since open
    char moved_by[128]; // the record that moved a watermark last
};

void inputs_init(struct inputs *in, const struct plan *p, struct source *src, struct store *s);
void inputs_deinit(struct inputs *in);
// Finds topics and where each partition stands. LEAT_ENOTFOUND: a topic is missing (try again);
// LEAT_ESTOPPED: the stored offsets do not belong to this log.
int inputs_open(struct inputs *in, struct err *e) LEAT_CHECKED;
// Samples the stable ends. LEAT_ESTOPPED when a partition appeared under a keyed job, or the topic
// was made anew.
int inputs_refresh(struct inputs *in, struct err *e) LEAT_CHECKED;
// Gets a head for every partition that has something to read, at the step's clock. 1: all have one;
// 0: one that has more did not give it yet, so the step must not start (or must end).
int inputs_fill(struct inputs *in, int64_t now, struct err *e) LEAT_CHECKED;
// What the head of the partition is called in flight.
static inline struct flight_id inputs_flight(const struct inputs *in, const struct input_part *p)
{
    return (struct flight_id){.entry = in->sources[p->source].entry,
                              .offset = p->record.offset,
                              .partition = p->partition};
}
// The head that goes next, or NULL.
struct input_part *inputs_head(struct inputs *in);
// The head was dealt with; gets the next. As inputs_fill.
int inputs_advance(struct inputs *in, struct input_part *p, int64_t now,
                   struct err *e) LEAT_CHECKED;
// A record as it lies in a batch, and where.
struct input_raw {
    const struct batch_record *record;
    int32_t partition;
    int64_t now;         // the step's clock
    struct arena *arena; // what it points to must live as long
};
// Makes an event of it, its time included. 0 or its class. For heads and retries.
int input_decode(const struct input_source *s, const struct input_raw *raw, struct event *ev,
                 struct err *e) LEAT_CHECKED;
// Tells the sources' watermarks what is drained: before anybody asks them what the clock would do.
void inputs_look(struct inputs *in, int64_t now);
// Tells them what the clock says: in a step.
void inputs_clock(struct inputs *in, int64_t now);
bool inputs_waiting(const struct inputs *in); // something can be read
int64_t inputs_lag(const struct inputs *in);

// Copies since when each partition has been drained; `out` has room for n_parts.
void inputs_drained(const struct inputs *in, struct input_drained *out);

// Offsets that changed since the last commit; `out` has room for n_parts.
size_t inputs_offsets(const struct inputs *in, struct store_offset *out);
void inputs_committed(struct inputs *in);
// Back to the committed offsets and watermarks.
void inputs_rewind(struct inputs *in);
// Whether a partition's first position is not in the store yet.
bool inputs_unplaced(const struct inputs *in);

#endif
