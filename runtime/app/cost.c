// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/cost.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "operators/operators.h"
#include "runtime/app/lines.h"
#include "runtime/app/rehearsal.h"
#include "runtime/base/heap.h"

enum { MEASURE_MS = 400, RUNS_MIN = 3, RUNS_MAX = 200, BATCH_RECORDS = 500, CLOCK_READS = 20000 };

// --- the clock ---

struct stopwatch {
    const struct plan *plan;
    struct cost *cost;
    int64_t *running; // whose time it is
    int64_t last_ns;
    int64_t read_ns; // what reading the clock takes
};

static void charge(struct stopwatch *w)
{
    int64_t now = clock_mono_ns(clock_system()), spent = now - w->last_ns - w->read_ns;

    if (spent > 0)
        *w->running += spent;
    w->last_ns = now;
}

static int64_t *enter(struct stopwatch *w, const struct operator *o, int64_t records)
{
    struct plan_cost *c = &w->cost->nodes[o->node - w->plan->nodes];
    int64_t *before = w->running;

    charge(w);
    c->records += records;
    w->running = &c->ns;
    return before;
}

static void leave(struct stopwatch *w, int64_t *before)
{
    charge(w);
    w->running = before;
}

// --- operators whose time is taken ---

struct timed_type {
    struct operator_type type;
    const struct operator_type *inner;
    struct stopwatch *watch;
};

static const struct timed_type *timed(const struct operator *o)
{
    return container_of(o->type, struct timed_type, type);
}

static int timed_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    const struct timed_type *t = timed(o);
    int64_t *before = enter(t->watch, o, 1);
    int rc = t->inner->process(o, ev, input, e);

    leave(t->watch, before);
    return rc;
}

static int timed_watermark(struct operator *o, int64_t w, struct err *e)
{
    const struct timed_type *t = timed(o);
    int64_t *before = enter(t->watch, o, 0);
    int rc = t->inner->watermark(o, w, e);

    leave(t->watch, before);
    return rc;
}

static int timed_settle(struct operator *o, struct err *e)
{
    const struct timed_type *t = timed(o);
    int64_t *before = enter(t->watch, o, 0);
    int rc = t->inner->settle(o, e);

    leave(t->watch, before);
    return rc;
}

static int timed_flush(struct operator *o, struct err *e)
{
    const struct timed_type *t = timed(o);
    int64_t *before = enter(t->watch, o, 0);
    int rc = t->inner->flush(o, e);

    leave(t->watch, before);
    return rc;
}

static const struct operator_type *const *timed_types(struct stopwatch *w, struct arena *a)
{
    const struct operator_type *const *from = operator_types();
    const struct operator_type **out;
    size_t n = 0;

    while (from[n] != NULL)
        n++;
    out = arena_zalloc(a, (n + 1) * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        struct timed_type *t = arena_alloc(a, sizeof *t);
        *t = (struct timed_type){.type = *from[i], .inner = from[i], .watch = w};
        t->type.process = timed_process;
        t->type.watermark = from[i]->watermark != NULL ? timed_watermark : NULL;
        t->type.settle = from[i]->settle != NULL ? timed_settle : NULL;
        t->type.flush = from[i]->flush != NULL ? timed_flush : NULL;
        out[i] = &t->type;
    }
    return out;
}

static int64_t clock_read_ns(void)
{
    int64_t from = clock_mono_ns(clock_system());

    for (int i = 0; i < CLOCK_READS; i++)
        (void)clock_mono_ns(clock_system());
    return (clock_mono_ns(clock_system()) - from) / CLOCK_READS;
}

// --- the sample ---

struct sample {
    const char *topic;
    struct lines_record *records; // in the arena
    size_t n, cap;
};

static int read_file(const char *file, struct buf *out, struct err *e)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    if (fd < 0)
        return err_errno(e, errno, "%s", file);
    while (n > 0) {
        buf_reserve(out, 65536);
        n = read(fd, out->p + out->n, 65536);
        out->n += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        (void)err_errno(e, errno, "%s", file);
    close(fd);
    return n < 0 ? LEAT_EIO : 0;
}

static void sample_add(struct sample *s, const struct lines_record *r, struct arena *a)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct lines_record *grown = arena_alloc(a, cap * sizeof *grown);
        if (s->n > 0)
            memcpy(grown, s->records, s->n * sizeof *grown);
        s->records = grown;
        s->cap = cap;
    }
    s->records[s->n++] = *r;
}

static int sample_read(const struct cost_sample *from, struct sample *s, struct arena *a,
                       struct err *e)
{
    size_t n = strlen(from->file), pos = 0, used;
    bool csv = n > 4 && strcmp(from->file + n - 4, ".csv") == 0;
    struct buf in = BUF_EMPTY;
    struct lines_record r;
    struct lines l;
    int rc = read_file(from->file, &in, e);

    lines_init(&l);
    l.file = from->file;
    l.format = csv ? LINES_CSV : LINES_NDJSON;
    l.key = from->key;
    s->topic = from->topic;
    while (rc == 0 && (rc = lines_next(&l, bytes_of(in.p + pos, in.n - pos), true, &used, a, &r,
                                       e)) == 1) {
        r.value = arena_copy(a, r.value);
        if (!bytes_is_null(r.key))
            r.key = arena_copy(a, r.key);
        sample_add(s, &r, a);
        pos += used;
        rc = 0;
    }
    lines_deinit(&l);
    buf_deinit(&in);
    if (rc == 0 && s->n == 0)
        rc = err_set(e, LEAT_EINVAL, "%s: there is no record in it", from->file);
    return rc;
}

// --- running it ---

// Records of one sample from `from` on, as one batch.
static int send_batch(struct driver *d, const struct sample *s, size_t from, struct err *e)
{
    int rc = 0;

    driver_batch_begin(d);
    for (size_t i = from; i < s->n && i < from + BATCH_RECORDS && rc == 0; i++) {
        struct driver_record r = {
            .key = s->records[i].key, .value = s->records[i].value, .timestamp = -1};
        rc = driver_send(d, s->topic, &r, e);
    }
    return rc == 0 ? driver_batch_end(d, e) : rc;
}

static int run_samples(struct driver *d, const struct sample *s, size_t n, struct stopwatch *w,
                       struct err *e)
{
    bool more = true;
    int rc = 0;

    for (size_t from = 0; more && rc == 0; from += BATCH_RECORDS) {
        more = false;
        for (size_t i = 0; i < n && rc == 0; i++) {
            if (from < s[i].n)
                rc = send_batch(d, &s[i], from, e);
            more = more || from + BATCH_RECORDS < s[i].n;
        }
        w->last_ns = clock_mono_ns(clock_system());
        if (rc == 0)
            rc = driver_run(d, e);
        charge(w);
    }
    return rc;
}

// Into c, whose figures are zero.
static int run_once(struct stopwatch *w, const struct operator_type *const *types,
                    const struct sample *s, size_t n, struct cost *c, struct err *e)
{
    int64_t unmeasured = 0;
    struct job_status status;
    struct driver *d;
    int rc;

    w->cost = c;
    w->running = &unmeasured;
    w->last_ns = clock_mono_ns(clock_system());
    rc = rehearsal_open(&d, w->plan, types, e);
    if (rc != 0)
        return rc;
    w->running = &c->rest_ns;
    rc = run_samples(d, s, n, w, e);
    job_status(driver_job(d), &status);
    c->parked = status.parked;
    for (size_t i = 0; i < n; i++)
        c->records += (int64_t)s[i].n;
    w->running = &unmeasured;
    driver_close(d);
    return rc;
}

static void keep_least(struct cost *least, const struct cost *c, int n_nodes)
{
    struct plan_cost *nodes = least->nodes;
    int64_t rest_ns = least->runs == 0 || c->rest_ns < least->rest_ns ? c->rest_ns : least->rest_ns;

    for (int i = 0; i < n_nodes; i++)
        if (least->runs == 0 || c->nodes[i].ns < nodes[i].ns)
            nodes[i] = c->nodes[i];
    *least = (struct cost){.nodes = nodes,
                           .records = c->records,
                           .rest_ns = rest_ns,
                           .parked = c->parked,
                           .runs = least->runs + 1};
}

static int measure(struct stopwatch *w, const struct sample *s, size_t n, struct arena *a,
                   struct cost *out, struct err *e)
{
    const struct operator_type *const *types = timed_types(w, a);
    int64_t began = clock_mono_ms(clock_system());
    size_t bytes = (size_t)w->plan->n_nodes * sizeof(struct plan_cost);
    struct cost c = {.nodes = arena_alloc(a, bytes)};
    int rc = 0;

    while (rc == 0 && out->runs < RUNS_MAX) {
        c = (struct cost){.nodes = c.nodes};
        memset(c.nodes, 0, bytes);
        rc = run_once(w, types, s, n, &c, e);
        if (rc == 0)
            keep_least(out, &c, w->plan->n_nodes);
        if (out->runs >= RUNS_MIN && clock_mono_ms(clock_system()) - began >= MEASURE_MS)
            break;
    }
    return rc;
}

int cost_measure(const struct plan *p, const struct cost_sample *samples, size_t n,
                 struct arena *a, struct cost *out, struct err *e)
{
    struct stopwatch w = {.plan = p, .read_ns = clock_read_ns()};
    struct sample *s = arena_zalloc(a, (n + 1) * sizeof *s);
    int rc = 0;

    *out = (struct cost){.nodes = arena_zalloc(a, (size_t)p->n_nodes * sizeof *out->nodes)};
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = sample_read(&samples[i], &s[i], a, e);
    return rc == 0 ? measure(&w, s, n, a, out, e) : rc;
}
