// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/outbox_source.h"

#include <strings.h>
#include <sys/stat.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"

enum { POLL_MS = 20, POLL_QUIET_MS = 100, QUIET_AFTER_MS = 2000 };

static struct outbox_source *of(struct source *s)
{
    return container_of(s, struct outbox_source, source);
}

static struct outbox_file *find(struct outbox_source *s, const char *topic)
{
    for (int i = 0; i < s->n_files; i++)
        if (strcmp(s->files[i].name, topic) == 0)
            return &s->files[i];
    return NULL;
}

// The same for as long as the job names the outbox so: it may move to another path.
static struct uuid id_of(const struct outbox_file *f)
{
    uint64_t halves[2] = {bytes_hash(bytes_str(f->name), 1),
                          bytes_hash(bytes_str(f->plan->table), 2)};
    struct uuid id;

    memcpy(id.b, halves, sizeof id.b);
    return id;
}

static int source_topic(struct source *src, const char *topic, struct source_topic *out,
                        struct err *e)
{
    struct outbox_source *s = of(src);
    struct outbox_file *f = find(s, topic);
    int rc;

    if (f == NULL)
        return s->topics->ops->topic(s->topics, topic, out, e);
    rc = outbox_file_look(f, e);
    *out = (struct source_topic){.id = id_of(f), .n_partitions = 1};
    return rc;
}

static int source_bounds(struct source *src, const char *topic, int32_t partition, int64_t *start,
                         int64_t *stable, struct err *e)
{
    struct outbox_source *s = of(src);
    struct outbox_file *f = find(s, topic);
    int rc;

    if (f == NULL)
        return s->topics->ops->bounds(s->topics, topic, partition, start, stable, e);
    rc = outbox_file_clean(f, e);
    s->more = s->more || rc > 0;
    *start = 1;
    *stable = f->end;
    return rc < 0 ? rc : 0;
}

static int source_fetch(struct source *src, const char *topic, int32_t partition, int64_t offset,
                        size_t bytes_max, struct buf *out, int64_t *next, struct err *e)
{
    struct outbox_source *s = of(src);
    struct outbox_file *f = find(s, topic);
    int rc;

    if (f == NULL)
        return s->topics->ops->fetch(s->topics, topic, partition, offset, bytes_max, out, next, e);
    rc = outbox_file_read(f, offset, bytes_max, out, next, e);
    if (rc == 0 && fail_switch("outbox_early")) { // negative control: clean before the commit
        f->committed = *next;
        rc = outbox_file_clean(f, e);
    }
    return rc < 0 ? rc : 0;
}

static bool source_coming(struct source *src, const char *topic, int32_t partition)
{
    struct outbox_source *s = of(src);

    return find(s, topic) == NULL && s->topics->ops->coming != NULL &&
           s->topics->ops->coming(s->topics, topic, partition);
}

static void source_committed(struct source *src, const char *topic, int32_t partition, int64_t next)
{
    struct outbox_source *s = of(src);
    struct outbox_file *f = find(s, topic);

    if (f != NULL)
        f->committed = next;
    else if (s->topics->ops->committed != NULL)
        s->topics->ops->committed(s->topics, topic, partition, next);
    s->more = s->more || f != NULL;
}

static int64_t source_poll(struct source *src)
{
    struct outbox_source *s = of(src);
    int64_t now = clock_mono_ms(s->clock), wait = POLL_QUIET_MS;

    if (s->more) {
        s->more = false; // until the next look says so again
        return 0;
    }
    for (int i = 0; i < s->n_files; i++)
        if (now - s->files[i].moved_ms < QUIET_AFTER_MS)
            wait = POLL_MS;
    return wait;
}

static const struct source_ops outbox_source_ops = {
    .topic = source_topic,
    .bounds = source_bounds,
    .fetch = source_fetch,
    .coming = source_coming,
    .committed = source_committed,
    .poll_ms = source_poll,
};

struct source *outbox_source_init(struct outbox_source *s, const struct plan *p,
                                  struct source *topics, struct clock *clock)
{
    *s = (struct outbox_source){
        .source = {&outbox_source_ops}, .topics = topics, .clock = clock};
    s->files = heap_zalloc((size_t)p->n_nodes * sizeof *s->files);
    for (int i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].kind == NODE_SOURCE && p->nodes[i].source.outbox.path != NULL)
            outbox_file_init(&s->files[s->n_files++], &p->nodes[i].source, clock);
    return s->n_files > 0 ? &s->source : topics;
}

void outbox_source_deinit(struct outbox_source *s)
{
    for (int i = 0; i < s->n_files; i++)
        outbox_file_deinit(&s->files[i]);
    heap_free(s->files);
    *s = (struct outbox_source){0};
}

// --- two jobs ---

static const struct plan_source *outbox_of(const struct plan_node *n)
{
    return n->kind == NODE_SOURCE && n->source.outbox.path != NULL ? &n->source : NULL;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;

    if (stat(a, &x) != 0 || stat(b, &y) != 0) // not there yet: go by the name
        return strcmp(a, b) == 0;
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool disturb(const struct plan_source *a, const struct plan_source *b)
{
    return a != NULL && b != NULL && strcasecmp(a->outbox.table, b->outbox.table) == 0 &&
           (a->outbox.after != OUTBOX_KEEP || b->outbox.after != OUTBOX_KEEP) &&
           same_file(a->outbox.path, b->outbox.path);
}

int outbox_sources_apart(const struct plan *a, const struct plan *b, struct err *e)
{
    for (int i = 0; i < a->n_nodes; i++)
        for (int k = 0; k < b->n_nodes; k++) {
            const struct plan_source *x = outbox_of(&a->nodes[i]), *y = outbox_of(&b->nodes[k]);
            if (disturb(x, y))
                return err_set(e, LEAT_EINVAL,
                               "%s:%d: in from.outbox: job %s reads table %s of %s too, and what "
                               "one of them has read it deletes or marks; let one job read it, and "
                               "others the topic that it writes",
                               a->file, a->nodes[i].line, b->job, x->outbox.table, x->outbox.path);
        }
    return 0;
}
