// SPDX-License-Identifier: Apache-2.0
//
// One segment: the file %020d.log, named by its base offset, holding record batches verbatim and
// back to back, so that Kafka's DumpLogSegments reads it. Beside it, derived: %020d.index.
//
// A segment is shared between its partition and those who read it: each holds a reference, the file
// is closed with the last. Size and end move only under the partition's lock.
#ifndef LEAT_LOG_SEGMENT_H
#define LEAT_LOG_SEGMENT_H

#include "runtime/io/fs.h"
#include "runtime/log/index.h"
#include "runtime/record/batch.h"

struct segment {
    struct fs *fs;
    struct fs_file *file;
    char *path;            // of the .log, for messages
    int64_t base_offset;
    int64_t end_offset;    // first offset behind its last batch
    int64_t size;          // bytes of whole batches
    int64_t max_timestamp; // INT64_MIN while empty
    int64_t born_ms;       // when its first batch came; 0 while empty
    struct index index;
    bool index_loaded;     // a sealed segment's index is read when it is first needed
    int64_t index_saved;   // how far the active segment's index file reaches; the syncer's
    _Atomic int refs;
};

#define SEGMENT_NAME_SIZE 32 // 20 digits, a suffix and a NUL
void segment_name(char out[SEGMENT_NAME_SIZE], int64_t offset, const char *suffix);
// Whether `name` is 20 digits and the suffix.
bool segment_name_parse(const char *name, const char *suffix, int64_t *offset);

// Opens for appending and reading; created if absent. One reference.
int segment_open(struct fs *fs, const char *dir, int64_t base_offset, struct segment **out,
                 struct err *e) LEAT_CHECKED;
struct segment *segment_ref(struct segment *s);
void segment_unref(struct segment *s); // NULL is fine
// A batch now lies at s->size: counts it in.
void segment_note(struct segment *s, const struct batch_header *h, int64_t end_offset);

// Writes the index file for what the segment holds now. Not synced; failure only costs a rebuild.
int segment_seal(struct segment *s, const char *dir, struct err *e) LEAT_CHECKED;
// The same in two steps, for an active segment: what lies below `pos`, where `end_offset` begins;
// then the bytes to the file.
void segment_encode_index(const struct segment *s, int64_t pos, int64_t end_offset,
                          struct buf *out);
int segment_write_index(struct segment *s, const char *dir, struct bytes encoded, struct err *e)
    LEAT_CHECKED;
// Reads the seal, and the entries if `ix` is not NULL. LEAT_ECORRUPT or LEAT_ENOTFOUND when there
// is none.
int segment_read_seal(struct segment *s, const char *dir, struct index_seal *seal, struct index *ix,
                      struct err *e) LEAT_CHECKED;

// Walking: batch by batch over a range of the file.
struct walk {
    struct segment *segment;
    int64_t pos, end; // next byte to look at; where to stop
    int64_t expect;   // base offset that must come next; -1: any
    size_t chunk;     // bytes to read at once
    bool whole;       // all of each batch, not only headers
    // the batch that walk_next found
    struct batch_header h;
    int64_t at;
    struct bytes bytes; // the whole batch or at least its header; until the next walk_next
    struct buf buf;
    int64_t buf_pos;
};

void walk_init(struct walk *w, struct segment *s, struct index_entry from, int64_t end, bool whole);
void walk_deinit(struct walk *w);
// 1: a batch. 0: the end. LEAT_ECORRUPT, LEAT_ETORN: what lies at w->pos is not a batch, or not the
// one expected. Checksums are the caller's.
int walk_next(struct walk *w, struct err *e) LEAT_CHECKED;

#endif
