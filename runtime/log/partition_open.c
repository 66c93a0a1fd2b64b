// SPDX-License-Identifier: Apache-2.0
//
// Recovery: from a folder of files to a partition.
//
//   1. checkpoint       what was durable, where reading starts
//   2. segments         listed by name; those wholly below start are left-overs of retention and go
//   3. sealed ones      believed by their index, or hopped over when that is missing; each must end
//                       where the next begins
//   4. the last one     walked with checksums from a little below the durable position; a torn tail
//                       is cut, damage below is corruption (recovery.h)
//   5. producers        newest intact snapshot not beyond the end, then the headers behind it
//   6. leader epochs
//   7. what was kept is synced, file and folder, before `hw` covers it: after a kill the tail may
//      exist in the page cache alone
//
// Corruption and gaps leave a READ_ONLY partition that serves what it can and says why; nothing is
// removed then. Every step may be interrupted and repeated. An I/O error fails the opening.
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/trace.h"
#include "runtime/log/partition_impl.h"
#include "runtime/log/recovery.h"

// Bases or snapshot offsets of a folder, rising.
struct offsets {
    int64_t *list;
    size_t n;
};

struct folder {
    struct offsets logs, snapshots;
};

static void offsets_insert(struct offsets *o, int64_t v)
{
    size_t i = o->n++;

    o->list = heap_realloc(o->list, sizeof *o->list * o->n);
    for (; i > 0 && o->list[i - 1] > v; i--)
        o->list[i] = o->list[i - 1];
    o->list[i] = v;
}

static int folder_note(void *arg, const char *name)
{
    struct folder *f = arg;
    int64_t offset;

    if (segment_name_parse(name, ".log", &offset))
        offsets_insert(&f->logs, offset);
    if (segment_name_parse(name, ".snapshot", &offset))
        offsets_insert(&f->snapshots, offset);
    return 0;
}

static void read_only(struct partition *p, struct err *why)
{
    partition_degrade(p, PARTITION_READ_ONLY, why);
}

static int step_failpoint(struct partition *p, struct err *e)
{
    int rc = failpoint("recover_step");

    return rc == 0 ? 0 : err_set(e, rc, "recovery of %s: injected", p->config.dir);
}

// --- 1, 2: checkpoint and files ---

static int open_checkpoint(struct partition *p, struct err *e)
{
    char *path = heap_printf("%s/recovery-point", p->config.dir);
    int rc = p->fs->open(p->fs, path, FS_WRITE, &p->checkpoint_file, e);

    heap_free(path);
    if (rc == 0)
        rc = checkpoint_load(p->fs, p->checkpoint_file, &p->checkpoint, e);
    return rc;
}

static void remove_files_of(struct partition *p, int64_t base)
{
    static const char *const suffixes[] = {".log", ".index", ".snapshot"};
    char name[SEGMENT_NAME_SIZE];

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        segment_name(name, base, suffixes[i]);
        char *path = heap_printf("%s/%s", p->config.dir, name);
        (void)!p->fs->unlink(p->fs, path, NULL); // what stays is tried again next time
        heap_free(path);
    }
}

// Left-overs of an interrupted retention: the next segment begins at or below start.
static size_t drop_below_start(struct partition *p, const struct offsets *logs)
{
    size_t first = 0;

    while (first + 1 < logs->n && logs->list[first + 1] <= p->checkpoint.start_offset)
        remove_files_of(p, logs->list[first++]);
    return first;
}

// --- 3: sealed segments ---

// As counted, for the walk's start; -1 when there is nothing yet.
static struct index_entry where_it_stands(const struct segment *s)
{
    return (struct index_entry){s->end_offset, s->size, s->max_timestamp};
}

int partition_count_in(struct segment *s, int64_t end, struct err *e)
{
    struct walk w;
    int rc;

    walk_init(&w, s, where_it_stands(s), end, false);
    while ((rc = walk_next(&w, e)) == 1)
        segment_note(s, &w.h, batch_last_offset(&w.h) + 1);
    walk_deinit(&w);
    return rc;
}

static void take_seal(struct segment *s, const struct index_seal *seal)
{
    s->end_offset = seal->end_offset;
    s->size = seal->size;
    s->max_timestamp = seal->max_timestamp;
}

int partition_load_index(struct partition *p, struct segment *s, struct err *e)
{
    struct index_seal seal;
    struct index_entry was = where_it_stands(s);
    int rc;

    if (s->index_loaded)
        return 0;
    rc = segment_read_seal(s, p->config.dir, &seal, &s->index, NULL);
    if (rc != 0 || seal.size != was.pos) {
        index_deinit(&s->index);
        s->size = 0;
        s->max_timestamp = INT64_MIN;
        s->end_offset = s->base_offset;
        rc = partition_count_in(s, was.pos, e);
        s->size = was.pos; // behind damage the index finds nothing; reads there say so
        s->max_timestamp = was.max_before;
        s->end_offset = was.offset;
        if (rc == LEAT_ECORRUPT || rc == LEAT_ETORN)
            rc = 0;
    }
    s->index_loaded = rc == 0;
    return rc;
}

static int open_sealed(struct partition *p, struct segment *s, int64_t next_base, struct err *e)
{
    struct index_seal seal;
    struct err why = {0};
    int64_t size = p->fs->size(p->fs, s->file, e);
    int rc = 0;

    if (size < 0)
        return (int)size;
    if (segment_read_seal(s, p->config.dir, &seal, NULL, NULL) == 0 && seal.size >= size) {
        take_seal(s, &seal);
        s->index_loaded = false;
        if (seal.size > size) {
            s->size = size;
            err_set(&why, LEAT_ECORRUPT, "%s was cut from %lld to %lld bytes", s->path,
                    (long long)seal.size, (long long)size);
            read_only(p, &why);
        }
    } else {
        rc = partition_count_in(s, size, &why);
        if (rc == LEAT_ECORRUPT || rc == LEAT_ETORN)
            read_only(p, &why);
        else if (rc != 0 && e != NULL)
            *e = why;
        rc = rc == LEAT_ECORRUPT || rc == LEAT_ETORN ? 0 : rc;
    }
    if (rc == 0 && s->end_offset != next_base) {
        err_set(&why, LEAT_ECORRUPT, "%s ends at offset %lld, the next segment begins at %lld",
                s->path, (long long)s->end_offset, (long long)next_base);
        read_only(p, &why);
    }
    s->born_ms = 0;
    return rc;
}

// --- 4: the last segment ---

// How much of the last file the checkpoint vouches for.
static int64_t durable_pos(struct partition *p, const struct segment *s, int64_t size)
{
    const struct checkpoint *c = &p->checkpoint;
    struct err why = {0};

    if (c->generation == 0 || c->base < s->base_offset)
        return 0;
    if (c->base == s->base_offset && c->pos <= size)
        return c->pos;
    if (c->base > s->base_offset)
        err_set(&why, LEAT_ECORRUPT, "the segment at offset %lld is missing", (long long)c->base);
    else
        err_set(&why, LEAT_ECORRUPT, "%s has %lld bytes; %lld were on disk", s->path,
                (long long)size, (long long)c->pos);
    read_only(p, &why);
    return size;
}

// Where checksums begin: the index of a clean close spares what lies far below the durable
// position.
static void skip_verified(struct partition *p, struct segment *s, int64_t durable)
{
    struct index_seal seal;
    struct index_entry from;

    if (segment_read_seal(s, p->config.dir, &seal, &s->index, NULL) != 0 || seal.size > durable) {
        index_deinit(&s->index);
        return;
    }
    from = index_find_pos(&s->index, seal.size - RECOVERY_VERIFY_BYTES);
    index_cut(&s->index, from.pos);
    if (from.pos == 0) {
        index_deinit(&s->index);
        return;
    }
    s->size = from.pos;
    s->end_offset = from.offset;
    s->max_timestamp = from.max_before;
    s->index.n--; // noted again by the walk
}

static int cut_tail(struct partition *p, struct segment *s, int64_t size,
                    struct partition_recovery *r, const struct err *damage, struct err *e)
{
    int rc = step_failpoint(p, e);

    trace(TRACE_WARN, "log", "partition %s/%d: torn tail of %lld bytes cut: %s", p->config.topic,
          p->config.partition, (long long)(size - s->size), damage->text);
    r->torn = true;
    r->cut_bytes += size - s->size;
    return rc != 0 ? rc : p->fs->truncate(p->fs, s->file, s->size, e);
}

// 0: go on behind the batch. 1: the segment ends here.
static int damaged(struct partition *p, struct segment *s, struct recovery_damage at,
                   struct partition_recovery *r, const struct err *damage, struct err *e)
{
    int rc;

    if (p->state == PARTITION_READY && recovery_judge(&at) == RECOVERY_CUT) {
        rc = cut_tail(p, s, at.end, r, damage, e);
        return rc != 0 ? rc : 1;
    }
    struct err why = *damage;
    read_only(p, &why);
    return 0;
}

static int next_verified(struct walk *w, bool *crc_bad, struct err *damage)
{
    int rc = walk_next(w, damage);

    *crc_bad = rc == 1 && batch_check_crc(w->bytes, &w->h, damage) != 0;
    if (*crc_bad)
        err_wrap(damage, LEAT_ECORRUPT, "%s at position %lld", w->segment->path, (long long)w->at);
    return rc;
}

static int verify(struct partition *p, struct segment *s, struct recovery_damage at,
                  struct partition_recovery *r, struct err *e)
{
    struct err damage = {0};
    struct walk w;
    bool crc_bad;
    int rc, more = 0;

    walk_init(&w, s, where_it_stands(s), at.end, true);
    while ((rc = next_verified(&w, &crc_bad, &damage)) == 1) {
        at.pos = w.at;
        if (crc_bad && (more = damaged(p, s, at, r, &damage, e)) != 0)
            break;
        segment_note(s, &w.h, batch_last_offset(&w.h) + 1);
        r->scanned_bytes += (int64_t)batch_size(&w.h);
        r->batches++;
    }
    if (rc == LEAT_ECORRUPT || rc == LEAT_ETORN) {
        at.pos = w.pos;
        more = damaged(p, s, at, r, &damage, e);
        rc = 0;
    } else if (rc < 0 && e != NULL) {
        *e = damage;
    }
    walk_deinit(&w);
    return rc < 0 ? rc : more < 0 ? more : 0;
}

static int open_active(struct partition *p, struct segment *s, struct partition_recovery *r,
                       struct err *e)
{
    struct recovery_damage at = {.unsynced_max = UNSYNCED_BYTES_MAX};
    int rc;

    at.end = p->fs->size(p->fs, s->file, e);
    if (at.end < 0)
        return (int)at.end;
    at.durable = durable_pos(p, s, at.end);
    if (p->checkpoint.unsynced_max > at.unsynced_max)
        at.unsynced_max = p->checkpoint.unsynced_max;
    skip_verified(p, s, at.durable);
    rc = verify(p, s, at, r, e);
    if (rc == 0 && s->size > 0) // its real age is gone; counting from now only delays a roll
        s->born_ms = clock_wall_ms(p->config.clock);
    return rc;
}

// --- 2 to 4 together ---

static void note_missing(struct partition *p, int64_t first_base)
{
    struct err why = {0};

    if (p->checkpoint.generation == 0 || first_base <= p->checkpoint.start_offset)
        return;
    err_set(&why, LEAT_ECORRUPT, "segments from offset %lld to %lld are missing",
            (long long)p->checkpoint.start_offset, (long long)first_base);
    read_only(p, &why);
}

static int open_segments(struct partition *p, const struct offsets *logs,
                         struct partition_recovery *r, struct err *e)
{
    int rc = 0;

    for (size_t i = drop_below_start(p, logs); rc == 0 && i < logs->n; i++) {
        struct segment *s;
        rc = segment_open(p->fs, p->config.dir, logs->list[i], &s, e);
        if (rc != 0)
            return rc;
        partition_push(p, s);
        rc = i + 1 < logs->n ? open_sealed(p, s, logs->list[i + 1], e) : open_active(p, s, r, e);
    }
    if (rc == 0 && p->n_segments > 0)
        note_missing(p, p->segments[0]->base_offset);
    return rc;
}

// A folder without segments: new, or one that lost them.
static int begin_empty(struct partition *p, struct err *e)
{
    struct segment *s;
    struct err why = {0};
    int64_t base = p->checkpoint.start_offset;
    int rc;

    if (p->checkpoint.offset > base) {
        p->start = p->end = p->checkpoint.offset;
        err_set(&why, LEAT_ECORRUPT, "%s has no segments; offsets up to %lld were on disk",
                p->config.dir, (long long)p->checkpoint.offset);
        read_only(p, &why);
        return 0;
    }
    rc = segment_open(p->fs, p->config.dir, base, &s, e);
    if (rc == 0)
        partition_push(p, s);
    return rc;
}

static void set_positions(struct partition *p)
{
    struct segment *first = p->n_segments > 0 ? p->segments[0] : NULL;
    struct err why = {0};

    if (first == NULL)
        return;
    p->end = partition_active(p)->end_offset;
    p->start = first->base_offset;
    if (p->checkpoint.start_offset > p->start)
        p->start = p->checkpoint.start_offset;
    if (p->config.recovery_point > p->end) {
        err_set(&why, LEAT_ECORRUPT, "offsets up to %lld were on disk, the segments end at %lld",
                (long long)p->config.recovery_point, (long long)p->end);
        read_only(p, &why);
    }
    if (p->start <= p->end)
        return;
    err_set(&why, LEAT_ECORRUPT, "reading starts at offset %lld but the segments end at %lld",
            (long long)p->start, (long long)p->end);
    read_only(p, &why);
    p->start = (int64_t)p->end;
}

// --- 5, 6: producers and epochs ---

// From the newest intact snapshot at or below the end; where replay must begin.
static int64_t load_snapshot(struct partition *p, const struct offsets *snapshots)
{
    for (size_t i = snapshots->n; i > 0; i--) {
        int64_t offset = snapshots->list[i - 1];
        char name[SEGMENT_NAME_SIZE];
        struct buf in = BUF_EMPTY;
        struct err e = {0};
        int rc;
        if (offset > p->end)
            continue;
        segment_name(name, offset, ".snapshot");
        rc = file_read(p->fs, p->config.dir, name, &in, &e);
        if (rc == 0)
            rc = producers_decode(&p->producers, buf_bytes(&in), offset, &e);
        buf_deinit(&in);
        if (rc == 0)
            return offset;
        trace(TRACE_WARN, "log", "partition %s/%d: %s; an older one and the segments serve instead",
              p->config.topic, p->config.partition, e.text);
    }
    return -1;
}

static int replay(struct partition *p, struct segment *s, int64_t from, struct err *e)
{
    struct err damage = {0};
    struct walk w;
    int rc = partition_load_index(p, s, e);

    if (rc != 0)
        return rc;
    walk_init(&w, s, index_find_offset(&s->index, from), s->size, false);
    while ((rc = walk_next(&w, &damage)) == 1)
        if (w.h.base_offset >= from)
            producers_note(&p->producers, &w.h, w.h.base_offset, w.h.max_timestamp);
    walk_deinit(&w);
    if (rc == LEAT_ECORRUPT || rc == LEAT_ETORN) {
        read_only(p, &damage);
        rc = 0;
    } else if (rc < 0 && e != NULL) {
        *e = damage;
    }
    return rc;
}

static bool is_base(const struct partition *p, int64_t offset)
{
    for (size_t i = 0; i < p->n_segments; i++)
        if (p->segments[i]->base_offset == offset)
            return true;
    return false;
}

// Snapshots of earlier closes: one beyond the end must never be believed later.
static void drop_strays(struct partition *p, const struct offsets *snapshots, int64_t used)
{
    char name[SEGMENT_NAME_SIZE];

    for (size_t i = 0; p->state == PARTITION_READY && i < snapshots->n; i++) {
        if (snapshots->list[i] == used || is_base(p, snapshots->list[i]))
            continue;
        segment_name(name, snapshots->list[i], ".snapshot");
        char *path = heap_printf("%s/%s", p->config.dir, name);
        (void)!p->fs->unlink(p->fs, path, NULL); // tried again next time
        heap_free(path);
    }
}

static int recover_producers(struct partition *p, const struct offsets *snapshots, struct err *e)
{
    int64_t from = p->snapshot_at = load_snapshot(p, snapshots);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < p->n_segments; i++)
        if (p->segments[i]->end_offset > from)
            rc = replay(p, p->segments[i], from, e);
    if (rc == 0)
        drop_strays(p, snapshots, from);
    return rc;
}

static int recover_epochs(struct partition *p, bool *written, struct err *e)
{
    struct buf text = BUF_EMPTY;
    struct err why = {0};
    int rc = file_read(p->fs, p->config.dir, "leader-epoch-checkpoint", &text, &why);

    if (rc == 0)
        rc = epochs_decode(&p->epochs, buf_bytes(&text), &why);
    if (rc != 0 && rc != LEAT_ENOTFOUND && rc != LEAT_ECORRUPT) {
        if (e != NULL)
            *e = why;
        goto done;
    }
    // Without the file all that is left is known to belong to no later epoch than this one.
    int64_t begin = p->epochs.n > 0 ? p->end : p->start;
    rc = 0;
    if (!epochs_begin(&p->epochs, p->config.leader_epoch, begin) || p->state != PARTITION_READY)
        goto done;
    buf_clear(&text);
    epochs_encode(&p->epochs, &text);
    rc = file_replace(p->fs, p->config.dir, "leader-epoch-checkpoint", buf_bytes(&text), e);
    *written = true;
done:
    buf_deinit(&text);
    return rc;
}

// --- 7: make it true ---

static bool is_clean(const struct partition *p)
{
    const struct segment *s = partition_active(p);
    const struct checkpoint *c = &p->checkpoint;

    return c->generation > 0 && c->offset == p->end && c->base == s->base_offset &&
           c->pos == s->size && c->start_offset == p->start;
}

static int settle(struct partition *p, bool changed, struct err *e)
{
    struct segment *s = partition_active(p);
    int rc = step_failpoint(p, e);

    if (rc != 0 || p->state != PARTITION_READY || (is_clean(p) && !changed))
        return rc;
    rc = partition_sync_file(p, s->file, e);
    if (rc == 0)
        rc = partition_sync_folder(p, e);
    if (rc == 0)
        rc = step_failpoint(p, e);
    if (rc != 0)
        return rc;
    p->checkpoint.offset = p->end;
    p->checkpoint.base = s->base_offset;
    p->checkpoint.pos = s->size;
    p->checkpoint.start_offset = p->start;
    p->checkpoint.unsynced_max = UNSYNCED_BYTES_MAX;
    return partition_store_checkpoint(p, e);
}

static int recover_folder(struct partition *p, const struct folder *f, struct partition_recovery *r,
                          struct err *e)
{
    bool written = false;
    int rc = f->logs.n > 0 ? open_segments(p, &f->logs, r, e) : begin_empty(p, e);

    if (rc != 0)
        return rc;
    set_positions(p);
    rc = recover_producers(p, &f->snapshots, e);
    if (rc == 0)
        rc = recover_epochs(p, &written, e);
    if (rc == 0)
        rc = settle(p, r->torn || written, e);
    p->flushed = (int64_t)p->end;
    p->hw = (int64_t)p->end;
    return rc;
}

int partition_recover(struct partition *p, struct partition_recovery *r, struct err *e)
{
    struct folder f = {0};
    int rc = open_checkpoint(p, e);

    if (rc < 0)
        return rc;
    if (p->config.start_offset > p->checkpoint.start_offset)
        p->checkpoint.start_offset = p->config.start_offset;
    rc = p->fs->list(p->fs, p->config.dir, folder_note, &f, e);
    if (rc == 0)
        rc = recover_folder(p, &f, r, e);
    heap_free(f.logs.list);
    heap_free(f.snapshots.list);
    return rc;
}
