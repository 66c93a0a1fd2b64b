// SPDX-License-Identifier: Apache-2.0
//
// The life of a partition: append, sync, roll, close.
//
// Append, in order: may we write → the producer's sequence → room below the unsynced bound → roll
// if the segment is full or old → stamp offset and epoch into the batch → one write → count it in
// under the lock. Nothing is allocated on the way. The flusher is told, and moves `flushed` and
// `hw` when it has synced.
//
// Only the active segment can hold unsynced bytes: a roll syncs the old one before the new one
// exists. That is why recovery needs to doubt nothing but the last file.
//
// What a roll does, each step durable before the next: sync the old segment; create the new file;
// write the producers' snapshot; sync the folder; store the checkpoint. A crash between leaves an
// empty last file or none.
//
// Failures. ENOSPC truncates back to the last whole batch and fails that append alone. Any other
// failed write and every failed sync make the partition FAILED until restart: after a failed fsync
// the kernel may have dropped the pages, so trying again would lie.
#include "runtime/log/partition.h"

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/trace.h"
#include "runtime/log/flusher.h"
#include "runtime/log/partition_impl.h"

// --- opening and closing ---

static struct partition *partition_new(const struct partition_config *c)
{
    struct partition *p = heap_zalloc(sizeof *p);

    p->config = *c;
    p->config.dir = heap_strdup(c->dir);
    p->config.topic = heap_strdup(c->topic);
    p->fs = c->fs;
    list_init(&p->flush_link);
    producers_init(&p->producers);
    pthread_mutex_init(&p->append_lock, NULL);
    pthread_mutex_init(&p->sync_lock, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->flushed_moved, NULL);
    return p;
}

static void partition_free(struct partition *p)
{
    for (size_t i = 0; i < p->n_segments; i++)
        segment_unref(p->segments[i]);
    heap_free(p->segments);
    p->fs->close(p->fs, p->checkpoint_file);
    producers_deinit(&p->producers);
    epochs_deinit(&p->epochs);
    pthread_mutex_destroy(&p->append_lock);
    pthread_mutex_destroy(&p->sync_lock);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->flushed_moved);
    heap_free((char *)(uintptr_t)p->config.dir);
    heap_free((char *)(uintptr_t)p->config.topic);
    heap_free(p);
}

int partition_open(struct partition **out, const struct partition_config *c,
                   struct partition_recovery *r, struct err *e)
{
    struct partition *p = partition_new(c);
    struct partition_recovery unused;
    int rc;

    *out = NULL;
    if (r == NULL)
        r = &unused;
    *r = (struct partition_recovery){0};
    rc = partition_recover(p, r, e);
    if (rc != 0) {
        partition_free(p);
        return err_wrap(e, rc, "partition %s/%d", c->topic, c->partition);
    }
    *out = p;
    return 0;
}

static int partition_finish(struct partition *p, struct err *e)
{
    struct segment *s = partition_active(p);
    int rc;

    if (p->bytes_appended == 0 && (p->end == 0 || p->snapshot_at == p->end))
        return 0; // nothing came since an opening that found it as it is to be closed
    rc = partition_sync(p, e);
    if (rc != 0)
        return rc;
    if (segment_seal(s, p->config.dir, e) != 0)
        return 0; // derived; but the checkpoint stays, and the next opening looks closer
    rc = partition_snapshot(p, e);
    if (rc == 0)
        rc = partition_sync_folder(p, e);
    if (rc == 0)
        rc = partition_store_checkpoint(p, e);
    return rc;
}

void partition_close(struct partition *p)
{
    struct err e = {0};

    if (p == NULL)
        return;
    if (p->config.flusher != NULL)
        flusher_forget(p->config.flusher, p);
    if (p->state == PARTITION_READY && partition_finish(p, &e) != 0)
        trace(TRACE_WARN, "log", "partition %s/%d: closing: %s", p->config.topic,
              p->config.partition, e.text);
    partition_free(p);
}

// --- asking ---

int64_t partition_start(const struct partition *p)
{
    return p->start;
}

int64_t partition_end(const struct partition *p)
{
    return p->end;
}

int64_t partition_flushed(const struct partition *p)
{
    return p->flushed;
}

int64_t partition_hw(const struct partition *p)
{
    return p->hw;
}

int64_t partition_lso(const struct partition *p)
{
    return p->hw; // TODO when transactions exist: the first offset of the oldest open one
}

int32_t partition_leader_epoch(const struct partition *p)
{
    return p->config.leader_epoch;
}

const char *partition_topic(const struct partition *p)
{
    return p->config.topic;
}

int32_t partition_index(const struct partition *p)
{
    return p->config.partition;
}

static struct partition *mutable(const struct partition *p)
{
    return (struct partition *)(uintptr_t)p; // locks are not part of what const promises
}

enum partition_state partition_state(const struct partition *p, struct err *why)
{
    pthread_mutex_lock(&mutable(p)->lock);
    if (why != NULL)
        *why = p->why;
    enum partition_state state = (enum partition_state)p->state;
    pthread_mutex_unlock(&mutable(p)->lock);
    return state;
}

int64_t partition_retention_ms(const struct partition *p)
{
    return p->config.retention_ms;
}

int64_t partition_bytes(const struct partition *p)
{
    int64_t sum = 0;

    pthread_mutex_lock(&mutable(p)->lock);
    for (size_t i = 0; i < p->n_segments; i++)
        sum += p->segments[i]->size;
    pthread_mutex_unlock(&mutable(p)->lock);
    return sum;
}

void partition_epoch_end(struct partition *p, int32_t epoch, int32_t *found, int64_t *end)
{
    pthread_mutex_lock(&p->lock);
    epochs_end_of(&p->epochs, epoch, p->end, found, end);
    pthread_mutex_unlock(&p->lock);
}

int partition_producer(struct partition *p, int64_t producer_id, int16_t *epoch,
                       int32_t *last_sequence, int64_t *last_offset)
{
    const struct producer *known;
    int rc = LEAT_ENOTFOUND;

    pthread_mutex_lock(&p->append_lock);
    known = producers_get(&p->producers, producer_id);
    if (known != NULL) {
        *epoch = known->epoch;
        *last_sequence = known->batches[known->n - 1].last_sequence;
        *last_offset = known->batches[known->n - 1].last_offset;
        rc = 0;
    }
    pthread_mutex_unlock(&p->append_lock);
    return rc;
}

void partition_expire_producers(struct partition *p, int64_t expire_ms)
{
    pthread_mutex_lock(&p->append_lock);
    producers_expire(&p->producers, clock_wall_ms(p->config.clock) - expire_ms);
    pthread_mutex_unlock(&p->append_lock);
}

// --- syncing ---

void partition_degrade(struct partition *p, enum partition_state state, const struct err *why)
{
    pthread_mutex_lock(&p->lock);
    if ((int)state > p->state) {
        p->state = (int)state;
        p->why = *why;
        trace(TRACE_ERROR, "log", "partition %s/%d is %s: %s", p->config.topic, p->config.partition,
              state == PARTITION_FAILED ? "stopped until restart" : "read-only", why->text);
    }
    pthread_cond_broadcast(&p->flushed_moved);
    pthread_mutex_unlock(&p->lock);
}

static int fail(struct partition *p, int rc, struct err *e)
{
    partition_degrade(p, PARTITION_FAILED, e);
    return rc;
}

static int check_writable(struct partition *p, struct err *e)
{
    int state = p->state;

    if (state == PARTITION_READY)
        return 0;
    pthread_mutex_lock(&p->lock);
    int rc = err_set(e, LEAT_EIO, "partition %s/%d is %s: %.300s", p->config.topic,
                     p->config.partition,
                     state == PARTITION_FAILED ? "stopped until restart" : "read-only",
                     p->why.text);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int partition_sync_file(struct partition *p, struct fs_file *f, struct err *e)
{
    return fail_switch("nosync") ? 0 : p->fs->sync(p->fs, f, e);
}

int partition_sync_folder(struct partition *p, struct err *e)
{
    return fail_switch("nosync") ? 0 : p->fs->sync_dir(p->fs, p->config.dir, e);
}

static int store_checkpoint(struct partition *p, struct err *e)
{
    p->checkpoint_bytes = p->bytes_flushed;
    return checkpoint_store(p->fs, p->checkpoint_file, &p->checkpoint, e);
}

int partition_store_checkpoint(struct partition *p, struct err *e)
{
    int rc;

    pthread_mutex_lock(&p->sync_lock);
    rc = store_checkpoint(p, e);
    pthread_mutex_unlock(&p->sync_lock);
    return rc;
}

static void publish_flushed(struct partition *p, int64_t end, int64_t bytes)
{
    p->bytes_flushed = bytes;
    p->flushed = end;
    if (p->config.durable)
        p->hw = end;
    pthread_cond_broadcast(&p->flushed_moved);
}

// So that a crash need not walk the whole segment. Derived and unsynced: a failure is only traced.
static void save_index(struct partition *p, struct segment *s, int64_t pos, int64_t end)
{
    struct buf out = BUF_EMPTY;
    struct err e = {0};

    pthread_mutex_lock(&p->lock);
    segment_encode_index(s, pos, end, &out);
    pthread_mutex_unlock(&p->lock);
    if (segment_write_index(s, p->config.dir, buf_bytes(&out), &e) != 0)
        trace(TRACE_WARN, "log", "the index of %s is not saved: %s", s->path, e.text);
    s->index_saved = pos;
    buf_deinit(&out);
}

int partition_sync_locked(struct partition *p, struct err *e)
{
    struct err local = {0};
    struct segment *s;
    int64_t end, bytes, pos;
    int rc = check_writable(p, e);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&p->lock);
    s = segment_ref(partition_active(p));
    end = p->end;
    bytes = p->bytes_appended;
    pos = s->size;
    pthread_mutex_unlock(&p->lock);
    if (end == p->flushed)
        goto done;
    rc = failpoint("before_log_fsync");
    if (rc != 0)
        err_set(&local, rc, "sync of %s: injected", s->path);
    else
        rc = partition_sync_file(p, s->file, &local);
    if (rc != 0)
        goto fail;
    pthread_mutex_lock(&p->lock);
    publish_flushed(p, end, bytes);
    pthread_mutex_unlock(&p->lock);
    p->checkpoint.offset = end;
    p->checkpoint.base = s->base_offset;
    p->checkpoint.pos = pos;
    if (p->bytes_flushed - p->checkpoint_bytes >= UNSYNCED_BYTES_MAX)
        rc = store_checkpoint(p, &local);
    if (pos - s->index_saved >= INDEX_SAVE_BYTES)
        save_index(p, s, pos, end);
fail:
    if (rc != 0) {
        partition_degrade(p, PARTITION_FAILED, &local);
        if (e != NULL)
            *e = local;
    }
done:
    segment_unref(s);
    return rc;
}

int partition_sync(struct partition *p, struct err *e)
{
    int rc;

    pthread_mutex_lock(&p->sync_lock);
    rc = partition_sync_locked(p, e);
    pthread_mutex_unlock(&p->sync_lock);
    return rc;
}

// --- rolling ---

int partition_snapshot(struct partition *p, struct err *e)
{
    struct buf out = BUF_EMPTY;
    char name[SEGMENT_NAME_SIZE];
    int rc;

    producers_encode(&p->producers, p->end, &out);
    segment_name(name, p->end, ".snapshot");
    rc = file_replace(p->fs, p->config.dir, name, buf_bytes(&out), e);
    buf_deinit(&out);
    if (rc == 0)
        p->snapshot_at = p->end;
    return rc;
}

void partition_push(struct partition *p, struct segment *s)
{
    if (p->n_segments == p->segments_cap) {
        p->segments_cap = p->segments_cap ? p->segments_cap * 2 : 8;
        p->segments = heap_realloc(p->segments, sizeof *p->segments * p->segments_cap);
    }
    p->segments[p->n_segments++] = s;
}

// The new file and the snapshot; what fails for lack of space is taken back.
static int roll_create(struct partition *p, struct segment **out, struct err *e)
{
    struct segment *s;
    int rc = segment_open(p->fs, p->config.dir, p->end, &s, e);

    if (rc != 0)
        return rc;
    rc = p->fs->truncate(p->fs, s->file, 0, e); // a left-over of an interrupted roll
    if (rc == 0 && (rc = failpoint("roll_created")) != 0)
        err_set(e, rc, "%s: injected", s->path);
    if (rc == 0)
        rc = partition_snapshot(p, e);
    if (rc == 0) {
        *out = s;
        return 0;
    }
    if (rc == LEAT_ENOSPC && p->fs->unlink(p->fs, s->path, NULL) != 0)
        rc = err_set(e, LEAT_EIO, "cannot take back %s", s->path);
    segment_unref(s);
    return rc;
}

int partition_roll(struct partition *p, struct err *e)
{
    struct segment *old = partition_active(p), *s = NULL;
    int rc = partition_sync(p, e);

    if (rc != 0)
        return rc;
    rc = roll_create(p, &s, e);
    if (rc == LEAT_ENOSPC || rc == LEAT_EMFILE)
        return rc;
    if (rc != 0)
        return fail(p, rc, e);
    if (segment_seal(old, p->config.dir, NULL) != 0)
        trace(TRACE_WARN, "log", "cannot write the index of %s; it will be rebuilt", old->path);
    rc = partition_sync_folder(p, e);
    if (rc == 0) {
        pthread_mutex_lock(&p->sync_lock);
        p->checkpoint.offset = p->checkpoint.base = p->end;
        p->checkpoint.pos = 0;
        rc = store_checkpoint(p, e);
        pthread_mutex_unlock(&p->sync_lock);
    }
    if (rc != 0) {
        segment_unref(s);
        return fail(p, rc, e);
    }
    pthread_mutex_lock(&p->lock);
    partition_push(p, s);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

static bool roll_is_due(const struct partition *p, const struct segment *s, size_t more,
                        int64_t now)
{
    if (s->size == 0)
        return false;
    if (s->size + (int64_t)more > p->config.segment_bytes)
        return true;
    if (p->config.segment_ms > 0 && now - s->born_ms >= p->config.segment_ms)
        return true;
    return p->end - s->base_offset > INT32_MAX - 1000000; // Kafka's own tools keep relative offsets
}

// --- appending ---

// A batch larger than the bound goes alone, and the checkpoint says how large the unsynced tail may
// now be.
static int announce_large(struct partition *p, size_t more, struct err *e)
{
    int rc;

    pthread_mutex_lock(&p->sync_lock);
    p->checkpoint.unsynced_max = (int64_t)more;
    rc = store_checkpoint(p, e);
    pthread_mutex_unlock(&p->sync_lock);
    return rc != 0 ? fail(p, rc, e) : 0;
}

// Waits until `more` bytes may be appended without passing the bound on unsynced bytes.
static int make_room(struct partition *p, size_t more, struct err *e)
{
    int64_t max = UNSYNCED_BYTES_MAX;

    pthread_mutex_lock(&p->lock);
    while (p->state == PARTITION_READY && p->bytes_appended > p->bytes_flushed &&
           p->bytes_appended - p->bytes_flushed + (int64_t)more > max) {
        if (p->config.flusher != NULL) {
            pthread_cond_wait(&p->flushed_moved, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        (void)!partition_sync(p, NULL); // a failure shows in the state
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    int rc = check_writable(p, e);
    if (rc == 0 && (int64_t)more > max && (int64_t)more > p->checkpoint.unsynced_max)
        rc = announce_large(p, more, e);
    return rc;
}

static int write_batch(struct partition *p, uint8_t *batch, size_t n, struct err *e)
{
    struct segment *s = partition_active(p);
    int rc;

    batch_stamp(batch, p->end, p->config.leader_epoch);
    rc = p->fs->write(p->fs, s->file, batch, n, s->size, e);
    if (rc == LEAT_ENOSPC && p->fs->truncate(p->fs, s->file, s->size, NULL) != 0)
        rc = err_set(e, LEAT_EIO, "%s: no space, and its half batch cannot be cut off", s->path);
    if (rc != 0 && rc != LEAT_ENOSPC)
        fail(p, rc, e);
    return rc;
}

static void count_in(struct partition *p, const struct batch_header *h, int64_t now)
{
    struct segment *s = partition_active(p);
    int64_t base = p->end, end = base + h->last_offset_delta + 1;

    producers_note(&p->producers, h, base, now);
    pthread_mutex_lock(&p->lock);
    if (s->size == 0)
        s->born_ms = now;
    segment_note(s, h, end);
    p->bytes_appended += (int64_t)batch_size(h);
    p->end = end;
    if (!p->config.durable)
        p->hw = end;
    pthread_mutex_unlock(&p->lock);
}

static int append_new(struct partition *p, uint8_t *batch, const struct batch_header *h,
                      struct append_result *r, struct err *e)
{
    size_t n = batch_size(h);
    int64_t now = clock_wall_ms(p->config.clock);
    int rc = make_room(p, n, e);

    if (rc == 0 && roll_is_due(p, partition_active(p), n, now))
        rc = partition_roll(p, e);
    if (rc == 0)
        rc = write_batch(p, batch, n, e);
    if (rc != 0)
        return rc;
    r->base_offset = p->end;
    count_in(p, h, now);
    r->end_offset = p->end;
    rc = failpoint("after_append");
    if (rc != 0)
        return fail(p, err_set(e, rc, "append to %s/%d: injected", p->config.topic,
                               p->config.partition), e);
    return 0;
}

int partition_append(struct partition *p, uint8_t *batch, const struct batch_header *h,
                     struct append_result *r, struct err *e)
{
    struct producer_batch original;
    struct err local = {0}; // failing keeps the reason, whether or not the caller wants it
    int rc;

    *r = (struct append_result){.append_time = -1};
    pthread_mutex_lock(&p->append_lock);
    rc = check_writable(p, &local);
    if (rc == 0)
        rc = producers_check(&p->producers, h, &original, &local);
    if (rc == PRODUCER_DUPLICATE) {
        r->duplicate = true;
        r->base_offset = original.base_offset;
        r->end_offset = original.last_offset + 1;
        rc = 0;
    } else if (rc == PRODUCER_APPEND) {
        rc = append_new(p, batch, h, r, &local);
    }
    r->start_offset = p->start;
    pthread_mutex_unlock(&p->append_lock);
    if (rc != 0 && e != NULL)
        *e = local;
    if (rc == 0 && !r->duplicate && p->config.flusher != NULL) {
        flusher_mark(p->config.flusher, p);
        if (!p->config.durable)
            flusher_moved(p->config.flusher);
    }
    return rc;
}
