// SPDX-License-Identifier: Apache-2.0
//
// Opening: the directories and partition.metadata are made if they are missing and synced before
// the first append can happen (the topic's row in meta.db is durable already). Deleting: the
// tombstone is durable first, then the holders let go, then a sweep removes the files, then the
// tombstone goes. A crash anywhere in between is picked up by the next sweep.
#include "runtime/broker/slots.h"

#include <stdatomic.h>
#include <stdio.h>

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"

#define PRODUCER_EXPIRE_MS (24 * 3600 * 1000)
#define INTERNAL_SEGMENT_BYTES (16 * 1024 * 1024) // small, so that history can go

void slots_init(struct slots *s)
{
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->open);
}

static void slot_close(struct slot *slot)
{
    partition_close(slot->partition);
    heap_free(slot);
}

void slots_deinit(struct slots *s)
{
    struct link *i;

    while ((i = list_pop(&s->open)) != NULL) {
        struct slot *slot = container_of(i, struct slot, link);
        ASSERT(atomic_load(&slot->refs) == 1);
        slot_close(slot);
    }
    pthread_mutex_destroy(&s->lock);
}

void slot_ref(struct slot *s)
{
    atomic_fetch_add(&s->refs, 1);
}

void slot_unref(struct slot *slot)
{
    struct slots *s = slot->slots;

    if (atomic_fetch_sub(&slot->refs, 1) > 1)
        return;
    ASSERT(atomic_load(&slot->deleted)); // the topic's own reference goes with the topic
    pthread_mutex_lock(&s->lock);
    list_remove(&slot->link);
    slot_close(slot);
    s->n_open--;
    pthread_mutex_unlock(&s->lock);
}

// --- opening ---
static int write_partition_metadata(struct slots *s, const struct topic *t, const char *dir,
                                    struct err *e)
{
    char *path = heap_printf("%s/partition.metadata", dir), id[UUID_BASE64_SIZE], text[512];
    struct fs_file *f;
    int64_t size;
    int n, rc = s->fs->open(s->fs, path, FS_WRITE, &f, e);

    heap_free(path);
    if (rc < 0)
        return rc;
    size = s->fs->size(s->fs, f, e);
    if (size == 0) {
        uuid_base64(t->id, id);
        n = snprintf(text, sizeof text, "version: 0\ntopic_id: %s\nname: %s\n", id, t->name);
        rc = s->fs->write(s->fs, f, text, (size_t)n, 0, e);
        if (rc == 0)
            rc = s->fs->sync(s->fs, f, e);
    }
    s->fs->close(s->fs, f);
    return size < 0 ? (int)size : rc;
}

// A partition makes its recovery point behind the syncs of its folders' names.
static bool was_opened(struct slots *s, const char *dir)
{
    char *path = heap_printf("%s/recovery-point", dir);
    struct fs_file *f;
    bool is = s->fs->open(s->fs, path, FS_READ, &f, NULL) == 0;

    heap_free(path);
    if (is)
        s->fs->close(s->fs, f);
    return is;
}

struct dirs {
    const char *topics, *topic, *partition;
};

static int make_durable(struct slots *s, const struct topic *t, const struct dirs *d,
                        struct err *e)
{
    int rc = s->fs->mkdir(s->fs, d->topic, e);

    if (rc == 0)
        rc = write_partition_metadata(s, t, d->topic, e);
    if (rc == 0)
        rc = s->fs->mkdir(s->fs, d->partition, e);
    if (rc == 0)
        rc = s->fs->sync_dir(s->fs, d->topic, e);
    return rc == 0 ? s->fs->sync_dir(s->fs, d->topics, e) : rc;
}

static char *make_dirs(struct slots *s, const struct topic *t, int32_t index, struct err *e)
{
    char id[UUID_TEXT_SIZE];
    char *topics, *dir, *sub;
    int rc;

    uuid_text(t->id, id);
    topics = heap_printf("%s/topics", s->data_dir);
    dir = heap_printf("%s/%s", topics, id);
    sub = heap_printf("%s/%d", dir, index);
    rc = was_opened(s, sub) ? 0 : make_durable(s, t, &(struct dirs){topics, dir, sub}, e);
    heap_free(topics);
    heap_free(dir);
    if (rc == 0)
        return sub;
    heap_free(sub);
    return NULL;
}

static void say_recovery(const struct topic *t, int32_t index, const struct partition_recovery *r)
{
    if (r->cut_bytes > 0)
        trace(TRACE_WARN, "broker", "topic %s/%d: torn tail cut, %lld bytes", t->name, index,
              (long long)r->cut_bytes);
}

static int slot_open(struct slots *s, const struct topic *t, int32_t index, struct slot **out,
                     struct err *e)
{
    const struct topic_partition *tp = &t->partitions[index];
    struct partition_recovery recovery = {0};
    struct slot *slot;
    char *dir = make_dirs(s, t, index, e);
    int rc;

    if (dir == NULL)
        return e != NULL && e->code != 0 ? e->code : LEAT_EIO;
    struct partition_config c = {
        .fs = s->fs,
        .clock = s->clock,
        .flusher = s->flusher,
        .dir = dir,
        .topic = t->name,
        .partition = index,
        .topic_id = t->id,
        .leader_epoch = tp->leader_epoch,
        .durable = s->durable,
        .segment_bytes = t->internal ? INTERNAL_SEGMENT_BYTES : t->config.segment_bytes,
        .segment_ms = t->config.segment_ms,
        .retention_bytes = t->internal ? -1 : t->config.retention_bytes,
        .retention_ms = t->internal ? -1 : t->config.retention_ms,
        .start_offset = tp->start,
    };
    slot = heap_zalloc(sizeof *slot);
    rc = partition_open(&slot->partition, &c, &recovery, e);
    heap_free(dir);
    if (rc < 0) {
        heap_free(slot);
        trace(TRACE_ERROR, "broker", "topic %s/%d cannot be opened: %s", t->name, index, e->text);
        return rc;
    }
    say_recovery(t, index, &recovery);
    slot->slots = s;
    slot->topic_id = t->id;
    atomic_init(&slot->refs, 1);
    list_push(&s->open, &slot->link);
    s->n_open++;
    *out = slot;
    return 0;
}

// With s->lock held, which also keeps the topic alive: deletion takes it.
static int get(struct slots *s, struct topic *t, int32_t partition, struct slot **out,
               struct err *e)
{
    struct err own;
    int rc = 0;

    if (t == NULL || partition < 0 || partition >= t->n_partitions)
        return err_set(e, LEAT_ENOTFOUND, "no such topic or partition");
    if (t->partitions[partition].slot == NULL)
        rc = slot_open(s, t, partition, &t->partitions[partition].slot, e != NULL ? e : &own);
    if (rc < 0)
        return rc;
    *out = t->partitions[partition].slot;
    slot_ref(*out);
    return 0;
}

int slot_get(struct slots *s, struct bytes topic, int32_t partition, struct slot **out,
             struct err *e)
{
    int rc;

    pthread_mutex_lock(&s->lock);
    rc = get(s, metadata_topic(s->metadata, topic), partition, out, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int slot_get_by_id(struct slots *s, struct uuid topic, int32_t partition, struct slot **out,
                   struct err *e)
{
    int rc;

    pthread_mutex_lock(&s->lock);
    rc = get(s, metadata_topic_by_id(s->metadata, topic), partition, out, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

// --- deleting ---
void slots_topic_deleted(struct slots *s, struct topic *t)
{
    for (int32_t i = 0; i < t->n_partitions; i++) {
        struct slot *slot;

        pthread_mutex_lock(&s->lock);
        slot = t->partitions[i].slot;
        t->partitions[i].slot = NULL;
        pthread_mutex_unlock(&s->lock);
        if (slot == NULL)
            continue;
        atomic_store(&slot->deleted, true);
        slot_unref(slot);
    }
}

static bool held(struct slots *s, struct uuid id)
{
    bool yes = false;

    pthread_mutex_lock(&s->lock);
    for (struct link *i = s->open.next; i != &s->open && !yes; i = i->next)
        yes = uuid_eq(container_of(i, struct slot, link)->topic_id, id);
    pthread_mutex_unlock(&s->lock);
    return yes;
}

struct removal {
    struct fs *fs;
    const char *dir;
    int depth;
};

static int remove_tree(struct fs *fs, const char *dir, int depth, struct err *e);

static int remove_entry(void *arg, const char *name)
{
    struct removal *r = arg;
    char *path = heap_printf("%s/%s", r->dir, name);
    int rc;

    // Directories hold partitions, and partitions hold files: nothing is deeper.
    if (r->depth > 0 && name[0] >= '0' && name[0] <= '9')
        rc = remove_tree(r->fs, path, r->depth - 1, NULL);
    else
        rc = r->fs->unlink(r->fs, path, NULL);
    heap_free(path);
    return rc;
}

static int remove_tree(struct fs *fs, const char *dir, int depth, struct err *e)
{
    struct removal r = {fs, dir, depth};
    int rc = fs->list(fs, dir, remove_entry, &r, e);

    if (rc == LEAT_ENOTFOUND)
        return 0;
    return rc < 0 ? rc : fs->rmdir(fs, dir, e);
}

static int remove_topic(struct slots *s, struct uuid id, struct err *e)
{
    char text[UUID_TEXT_SIZE], *dir;
    int rc;

    uuid_text(id, text);
    dir = heap_printf("%s/topics/%s", s->data_dir, text);
    rc = remove_tree(s->fs, dir, 1, e);
    heap_free(dir);
    return rc;
}

void slots_sweep(struct slots *s)
{
    struct link *i = s->metadata->graves.next;

    while (i != &s->metadata->graves) {
        struct topic *t = container_of(i, struct topic, grave);
        struct metadata_command c = {.kind = METADATA_TOPIC_GONE, .id = t->id};
        struct err e = {0};

        i = i->next;
        if (held(s, t->id))
            continue;
        if (remove_topic(s, t->id, &e) < 0 || metadata_apply(s->metadata, &c, &e) < 0)
            trace(TRACE_WARN, "broker", "files of the deleted topic %s stay for now: %s", t->name,
                  e.text);
    }
}

int64_t slots_retain(struct slots *s)
{
    int64_t total = 0;

    pthread_mutex_lock(&s->lock);
    for (struct link *i = s->open.next; i != &s->open; i = i->next) {
        struct slot *slot = container_of(i, struct slot, link);
        int64_t freed = 0;
        struct err e;

        if (partition_retain(slot->partition, &freed, &e) < 0)
            trace(TRACE_WARN, "broker", "topic %s/%d: retention failed: %s",
                  partition_topic(slot->partition), partition_index(slot->partition), e.text);
        partition_expire_producers(slot->partition, PRODUCER_EXPIRE_MS);
        total += freed;
    }
    pthread_mutex_unlock(&s->lock);
    return total;
}
