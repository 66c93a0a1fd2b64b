// SPDX-License-Identifier: Apache-2.0
//
// What goes away: segments that are too old, too many, or below the start that DeleteRecords set.
//
// The order makes every crash harmless: start is stored first, so that it never moves back; then
// the segments are detached, so that no new reader finds them; then the files go, oldest first, and
// the folder is synced. Files that outlive a crash lie below start and are removed at the next
// opening. The producers' state of what goes is in the snapshot that the roll to the first
// remaining segment wrote.
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/log/partition_impl.h"
#include "runtime/log/recovery.h"

struct detached {
    struct segment **list;
    size_t n;
};

static size_t count_expired(struct partition *p, int64_t start)
{
    struct retention_rule rule = {clock_wall_ms(p->config.clock), p->config.retention_ms,
                                  p->config.retention_bytes, start, p->hw};
    struct retention_segment *list;
    size_t n;

    pthread_mutex_lock(&p->lock);
    n = p->n_segments;
    list = heap_alloc(sizeof *list * (n + 1));
    for (size_t i = 0; i < n; i++)
        list[i] = (struct retention_segment){p->segments[i]->end_offset, p->segments[i]->size,
                                             p->segments[i]->max_timestamp};
    pthread_mutex_unlock(&p->lock);
    n = retention_count(&rule, list, n);
    heap_free(list);
    return n;
}

static int store_start(struct partition *p, int64_t start, struct err *e)
{
    int rc;

    if (start <= p->checkpoint.start_offset && start <= p->start)
        return 0;
    pthread_mutex_lock(&p->sync_lock);
    p->checkpoint.start_offset = start;
    pthread_mutex_unlock(&p->sync_lock);
    rc = partition_store_checkpoint(p, e);
    if (rc == 0)
        p->start = start;
    else if (e != NULL)
        partition_degrade(p, PARTITION_FAILED, e);
    return rc;
}

static void detach(struct partition *p, size_t n, struct detached *d)
{
    d->list = heap_alloc(sizeof *d->list * (n + 1));
    d->n = n;
    pthread_mutex_lock(&p->lock);
    ASSERT(n < p->n_segments);
    memcpy(d->list, p->segments, sizeof *d->list * n);
    p->n_segments -= n;
    memmove(p->segments, p->segments + n, sizeof *p->segments * p->n_segments);
    pthread_mutex_unlock(&p->lock);
}

// Decides and detaches; the files are still there. Under append_lock.
static int retire(struct partition *p, int64_t start, struct detached *d, struct err *e)
{
    size_t n = count_expired(p, start);
    int rc = 0;

    if (n > 0 && n == p->n_segments)
        rc = partition_roll(p, e);
    if (rc == 0 && n > 0 && p->segments[n]->base_offset > start)
        start = p->segments[n]->base_offset;
    if (rc == 0)
        rc = store_start(p, start, e);
    if (rc == 0)
        detach(p, n, d);
    return rc;
}

static int remove_file(struct partition *p, int64_t base, const char *suffix, struct err *e)
{
    char name[SEGMENT_NAME_SIZE];
    char *path;
    int rc;

    segment_name(name, base, suffix);
    path = heap_printf("%s/%s", p->config.dir, name);
    rc = p->fs->unlink(p->fs, path, e);
    heap_free(path);
    return rc;
}

static int remove_detached(struct partition *p, struct detached *d, int64_t *freed, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < d->n; i++) {
        struct segment *s = d->list[i];
        if (rc == 0 && (rc = failpoint("retention_unlink")) != 0)
            err_set(e, rc, "removing %s: injected", s->path);
        if (rc == 0)
            rc = remove_file(p, s->base_offset, ".log", e);
        if (rc == 0)
            rc = remove_file(p, s->base_offset, ".index", e);
        if (rc == 0)
            rc = remove_file(p, s->base_offset, ".snapshot", e);
        if (rc == 0)
            *freed += s->size;
        segment_unref(s);
    }
    if (rc == 0 && d->n > 0)
        rc = partition_sync_folder(p, e);
    heap_free(d->list);
    return rc;
}

static int retain_from(struct partition *p, int64_t start, int64_t *freed, struct err *e)
{
    struct detached d = {0};
    struct err local = {0};
    int rc;

    pthread_mutex_lock(&p->append_lock);
    if (p->state != PARTITION_READY)
        rc = err_set(&local, LEAT_EIO, "partition %s/%d is not writable", p->config.topic,
                     p->config.partition);
    else
        rc = retire(p, start, &d, &local);
    pthread_mutex_unlock(&p->append_lock);
    if (rc == 0)
        rc = remove_detached(p, &d, freed, &local);
    if (rc != 0 && e != NULL)
        *e = local;
    return rc;
}

// An idle partition's last bytes are vouched for at the next retention pass, so that damage to them
// after a later crash is known for what it is.
static int refresh_checkpoint(struct partition *p, struct err *e)
{
    struct err local = {0};
    int rc = 0;

    pthread_mutex_lock(&p->sync_lock);
    bool stale = p->state == PARTITION_READY && p->checkpoint_bytes < p->bytes_flushed;
    pthread_mutex_unlock(&p->sync_lock);
    if (stale)
        rc = partition_store_checkpoint(p, &local);
    if (rc == 0)
        return 0;
    partition_degrade(p, PARTITION_FAILED, &local);
    if (e != NULL)
        *e = local;
    return rc;
}

int partition_retain(struct partition *p, int64_t *freed, struct err *e)
{
    int rc;

    *freed = 0;
    rc = retain_from(p, p->start, freed, e);
    return rc != 0 ? rc : refresh_checkpoint(p, e);
}

int partition_delete_before(struct partition *p, int64_t offset, struct err *e)
{
    int64_t freed = 0, hw = p->hw;
    int rc = 0;

    if (offset == -1)
        offset = hw;
    if (offset < 0 || offset > hw)
        return err_set(e, LEAT_ERANGE, "offset %lld of %s/%d is not below the high watermark %lld",
                       (long long)offset, p->config.topic, p->config.partition, (long long)hw);
    if (offset > p->flushed) // page-cache mode: start must not outlive what it points at
        rc = partition_sync(p, e);
    if (rc != 0 || offset <= p->start)
        return rc;
    return retain_from(p, offset, &freed, e);
}
