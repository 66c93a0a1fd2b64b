// SPDX-License-Identifier: Apache-2.0
//
// A test done again in all the ways that must not matter.
//
//   split   one record per commit; a commit behind each record of a step that has several; one
//           batch per record; neighbours of one partition in one batch, and that with a commit
//           behind each of its records
//   crash   the job dies at each crash point in turn and is started again (crash_points.h)
//   order   the partitions of one topic arrive in every order that keeps each partition's own; of
//           more than ORDERS_MAX a sample, the ones with one partition far ahead first
//
// The test's function does not run again. What it did is a list of acts (acts.h), played against a
// fresh driver with a disturbance, or changed (chaos_lists.h) and then played. Wherever the test
// looked, and at its end, a picture is taken and compared with the one that the same list gave
// without the disturbance:
//
//   list             compared with                  in
//   as it is         itself, undisturbed            split (cuts), crash, split (one batch a record)
//   still            itself, in the test's order    order, split (merged)
//
// A first difference ends its variation, and its kind: the others of the kind would tell the same
// in other places. An order is brought back towards the test's, neighbour by neighbour, as long as
// the difference stays, so that what is told is what matters.
#include "runtime/engine/chaos.h"

#include <stdio.h>

#include "runtime/base/heap.h"
#include "runtime/engine/chaos_lists.h"
#include "runtime/engine/chaos_orders.h"
#include "runtime/engine/chaos_picture.h"
#include "runtime/engine/crash_points.h"

enum { ORDERS_MAX = 200, VARIATIONS_MAX = 1000, SHRINK_MAX = 100 };

struct album {
    struct picture *pictures;
    size_t n, cap;
};

struct chaos {
    const struct chaos_config *config;
    struct chaos_result *result;
    struct arena *texts; // of the result
    struct arena base;   // what is compared with
    struct arena scratch; // of one variation
    struct store *pristine; // to copy; NULL: stores are opened
    struct album plain, still;
    struct acts plain_acts, still_acts, acts; // acts: of the variation
    int64_t points;
    int64_t *steps, *merged_steps; // records of each step
    size_t n_steps, n_merged_steps;
};

// One way to play.
struct take {
    const struct acts *acts;
    const struct album *against; // NULL: take an album
    bool still;
    int64_t crash_at, cut_at;
    bool cut_each;
    // out
    size_t looks;
    struct album *album;
    struct picture_difference difference;
    int test_line;
    char died[160];
};

const char *chaos_kind_name(enum chaos_kind k)
{
    static const char *const names[] = {"split", "crash", "order"};

    return names[k];
}

// --- playing ---

static void album_add(struct album *b, const struct picture *p, struct arena *a)
{
    if (b->n == b->cap) {
        struct picture *grown;
        b->cap = b->cap > 0 ? b->cap * 2 : 16;
        grown = arena_alloc(a, b->cap * sizeof *grown);
        if (b->n > 0)
            memcpy(grown, b->pictures, b->n * sizeof *grown);
        b->pictures = grown;
    }
    b->pictures[b->n++] = *p;
}

// 1: it differs.
static int look(struct chaos *c, struct take *t, struct driver *d,
                const struct picture_rules *rules, struct err *e)
{
    struct arena *a = t->against == NULL ? &c->base : &c->scratch;
    struct picture p = {0};
    int rc = picture_draw(&p, d, rules, a, e);

    if (rc != 0)
        return rc;
    if (t->against == NULL) {
        album_add(t->album, &p, a);
        return 0;
    }
    ASSERT(t->looks < t->against->n);
    return picture_differs(&t->against->pictures[t->looks++], &p, rules, a, &t->difference);
}

static int play_acts(struct chaos *c, struct take *t, struct driver *d, struct err *e)
{
    struct picture_rules rules = {.any_order = t->still};
    struct err why = {0};
    int rc = 0;

    for (size_t i = 0; i < t->acts->n && rc == 0; i++) {
        const struct act *a = &t->acts->items[i];
        t->test_line = a->line;
        if (a->kind == ACT_OBSERVE)
            rc = look(c, t, d, &rules, e);
        else if (act_do(d, a, &why) != 0)
            rules.stopped = why.text;
        else if (a->kind == ACT_RESTART)
            rules.stopped = NULL;
    }
    if (rc != 0)
        return rc;
    t->test_line = 0;
    return look(c, t, d, &rules, e);
}

static void note_steps(const struct crash_points *p, int64_t **steps, size_t *n)
{
    *steps = heap_realloc(*steps, (p->n_steps + 1) * sizeof **steps);
    if (p->n_steps > 0)
        memcpy(*steps, p->steps, p->n_steps * sizeof **steps);
    *n = p->n_steps;
}

// 1: it differs. The driver's counts go to where they are wanted.
static int play(struct chaos *c, struct take *t, int64_t **steps, size_t *n_steps, struct err *e)
{
    struct driver_config config = c->config->driver;
    struct driver *d;
    int rc;

    arena_reset(&c->scratch);
    t->looks = 0;
    config.pristine = c->pristine;
    config.crash_at = t->crash_at;
    config.cut_at = t->cut_at;
    config.cut_each = t->cut_each;
    rc = driver_open(&d, &config, e);
    if (rc != 0)
        return rc;
    rc = play_acts(c, t, d, e);
    if (steps != NULL) {
        note_steps(driver_points(d), steps, n_steps);
        c->points = driver_points(d)->passed;
    }
    (void)snprintf(t->died, sizeof t->died, "%s", driver_points(d)->where);
    driver_close(d);
    return rc;
}

static int play_against(struct chaos *c, struct take *t, struct err *e)
{
    t->against = t->still ? &c->still : &c->plain;
    return play(c, t, NULL, NULL, e);
}

// --- telling ---

static const char *subject(struct chaos *c, const struct picture_difference *d)
{
    const struct picture_part *p = d->part;
    bool field = !bytes_is_null(d->field);

    switch (p->kind) {
    case PICTURE_TABLE:
        return field ? arena_printf(c->texts, "\"%.*s\" of table \"%s\"", BYTES_FMT(d->field),
                                    p->name)
                     : arena_printf(c->texts, "which rows table \"%s\" has", p->name);
    case PICTURE_TOPIC:
        return field ? arena_printf(c->texts, "\"%.*s\" of records of \"%s\"", BYTES_FMT(d->field),
                                    p->name)
                     : arena_printf(c->texts, "what is published to \"%s\"", p->name);
    case PICTURE_PARKED:
        return "which records are parked";
    case PICTURE_COUNTER:
        return p->name;
    case PICTURE_JOB:
        return "whether the job runs";
    }
    UNREACHABLE("a kind");
}

static const char *job_place(struct chaos *c, const struct picture_difference *d)
{
    const char *file = c->config->driver.plan->file;

    return d->part->job_line > 0 ? arena_printf(c->texts, "   (%s:%d)", file, d->part->job_line)
                                 : arena_printf(c->texts, "   (%s)", file);
}

static void tell_side(struct buf *out, const char *side, struct bytes text)
{
    if (bytes_is_null(text))
        buf_printf(out, "\n    %s  nothing", side);
    else
        buf_printf(out, "\n    %s  %.*s", side, BYTES_FMT(text));
}

static void tell(struct chaos *c, enum chaos_kind kind, int64_t number, const struct take *t,
                 const char *what)
{
    struct chaos_failure *f = &c->result->failures[c->result->n_failures++];
    struct buf out = BUF_EMPTY;

    *f = (struct chaos_failure){.kind = kind, .number = number};
    f->what = arena_printf(c->texts, "%s%s", what, job_place(c, &t->difference));
    if (t->test_line > 0)
        buf_printf(&out, "    seen at %s:%d", c->config->test_file, t->test_line);
    else
        buf_append_str(&out, "    seen at the end of the test");
    tell_side(&out, "was", t->difference.was);
    tell_side(&out, "is ", t->difference.is);
    f->detail = arena_strdup(c->texts, buf_cstr(&out));
    buf_deinit(&out);
}

// --- which variations ---

static bool wanted(const struct chaos *c, enum chaos_kind kind, int64_t number)
{
    const struct chaos_config *x = c->config;

    return x->only == 0 || (x->only_kind == kind && x->only == number);
}

static bool failed(const struct chaos *c, enum chaos_kind kind)
{
    for (int i = 0; i < c->result->n_failures; i++)
        if (c->result->failures[i].kind == kind)
            return true;
    return false;
}

// Plays one if it is wanted.
static int vary(struct chaos *c, enum chaos_kind kind, int64_t number, struct take *t,
                const char *how, struct err *e)
{
    int rc;

    if (!wanted(c, kind, number) || failed(c, kind))
        return 0;
    rc = play_against(c, t, e);
    c->result->n[kind]++;
    if (rc != 1)
        return rc;
    if (kind == CHAOS_CRASH)
        how = arena_printf(c->texts, "crash %s", t->died);
    tell(c, kind, number, t,
         arena_printf(c->texts, "%s: %s is different", how, subject(c, &t->difference)));
    return 0;
}

// --- splits ---

static bool has_long_step(const int64_t *steps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (steps[i] > 1)
            return true;
    return false;
}

// A commit behind each record that is not the last of its step anyway.
static int vary_cuts(struct chaos *c, const struct take *like, const int64_t *steps, size_t n,
                     int64_t *number, struct err *e)
{
    int64_t record = 0;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        for (int64_t k = 1; k < steps[i] && rc == 0; k++) {
            struct take t = *like;
            t.cut_at = record + k;
            if (*number >= VARIATIONS_MAX)
                c->result->skipped[CHAOS_SPLIT]++;
            else
                rc = vary(c, CHAOS_SPLIT, ++*number, &t,
                          arena_printf(&c->base, "%scommit behind record %lld",
                                       t.still ? "batch split: in one batch, " : "batch split: ",
                                       (long long)t.cut_at),
                          e);
        }
        record += steps[i];
    }
    return rc;
}

static int vary_splits(struct chaos *c, struct err *e)
{
    struct take plain = {.acts = &c->plain_acts};
    int64_t number = 0;
    int rc = 0;

    if (has_long_step(c->steps, c->n_steps)) {
        struct take t = plain;
        t.cut_each = true;
        rc = vary(c, CHAOS_SPLIT, ++number, &t, "batch split: one record per commit", e);
    }
    if (rc == 0)
        rc = vary_cuts(c, &plain, c->steps, c->n_steps, &number, e);
    if (rc == 0 && chaos_has_batches(c->config->acts)) {
        struct take t = {.acts = &c->acts};
        chaos_singly(c->config->acts, &c->acts);
        rc = vary(c, CHAOS_SPLIT, ++number, &t, "batch split: one batch per record", e);
    }
    if (rc == 0 && chaos_has_neighbours(c->config->acts)) {
        struct take t = {.acts = &c->acts, .still = true};
        chaos_still(c->config->acts, &(struct chaos_still){.merge = true}, &c->acts);
        rc = vary(c, CHAOS_SPLIT, ++number, &t, "batch split: neighbours in one batch", e);
        if (rc == 0)
            rc = vary_cuts(c, &t, c->merged_steps, c->n_merged_steps, &number, e);
    }
    return rc;
}

// --- crashes ---

static int vary_crashes(struct chaos *c, struct err *e)
{
    int64_t n = c->points < VARIATIONS_MAX ? c->points : VARIATIONS_MAX;
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++) {
        struct take t = {.acts = &c->plain_acts, .crash_at = i * c->points / n + 1};
        rc = vary(c, CHAOS_CRASH, t.crash_at, &t, NULL, e);
    }
    c->result->skipped[CHAOS_CRASH] += c->points - n;
    return rc;
}

// --- orders ---

// The sends [from, to) of the topic that one segment holds.
static int segment_of(const struct chaos_topic *t, int from)
{
    int to = from;

    while (to < t->n && t->segments[to] == t->segments[from])
        to++;
    return to;
}

static int64_t topic_orders(const struct chaos_topic *t)
{
    int64_t all = 1;

    for (int i = 0; i < t->n; i = segment_of(t, i)) {
        int64_t n = orders_count(t->partitions + i, segment_of(t, i) - i);
        if (__builtin_mul_overflow(all, n, &all))
            return INT64_MAX;
    }
    return all;
}

// A few orders: the number is written in digits, one per segment, each in its own base. Many: the
// first put one partition ahead, the others are drawn.
static void topic_order(const struct chaos_topic *t, int64_t number, bool all, int *out)
{
    int64_t rest = number;

    for (int i = 0, to; i < t->n; i = to) {
        const int32_t *p = t->partitions + i;
        int n = (to = segment_of(t, i)) - i, partitions = orders_partitions(p, n);
        int64_t orders = orders_count(p, n);
        if (all)
            orders_nth(p, n, rest % orders, out + i);
        else if (number <= partitions)
            orders_first(p, n, (int)number - 1, out + i);
        else
            orders_random(p, n, (uint64_t)number, out + i);
        rest /= orders;
        for (int k = i; k < to; k++)
            out[k] += i;
    }
}

static int play_order(struct chaos *c, const struct chaos_topic *topic, const int *order,
                      struct take *t, struct err *e)
{
    *t = (struct take){.acts = &c->acts, .still = true};
    chaos_still(c->config->acts, &(struct chaos_still){.topic = topic, .order = order}, &c->acts);
    return play_against(c, t, e);
}

static bool inverted(const struct chaos_topic *t, const int *order, int i)
{
    return i + 1 < t->n && order[i] > order[i + 1] &&
           t->partitions[order[i]] != t->partitions[order[i + 1]];
}

// Puts neighbours back where that leaves a difference.
static int shrink(struct chaos *c, const struct chaos_topic *topic, int *order, struct err *e)
{
    int tries = 0;

    for (int i = 0; i < topic->n && tries < SHRINK_MAX; i++) {
        struct take t;
        int rc, x = order[i];
        if (!inverted(topic, order, i))
            continue;
        order[i] = order[i + 1];
        order[i + 1] = x;
        rc = play_order(c, topic, order, &t, e);
        tries++;
        if (rc < 0)
            return rc;
        if (rc == 1) {
            i = i > 1 ? i - 2 : -1; // what stands before may now go back too
            continue;
        }
        order[i + 1] = order[i];
        order[i] = x;
    }
    return 0;
}

// "prices/3@0 before prices/0@0", and the partitions of the first such pair.
static const char *tell_order(struct chaos *c, const struct chaos_topic *t, const int *order,
                              int pair[2])
{
    struct buf out = BUF_EMPTY;
    const char *text;
    int told = 0;

    for (int i = 0; i < t->n && told < 4; i++) {
        int a = order[i], b = i + 1 < t->n ? order[i + 1] : 0;
        if (!inverted(t, order, i))
            continue;
        if (told++ == 0) {
            pair[0] = t->partitions[b];
            pair[1] = t->partitions[a];
        }
        buf_printf(&out, "%s%s/%d@%lld before %s/%d@%lld", told > 1 ? ", " : "", t->name,
                   t->partitions[a], (long long)t->offsets[a], t->name, t->partitions[b],
                   (long long)t->offsets[b]);
    }
    text = arena_strdup(c->texts, buf_cstr(&out));
    buf_deinit(&out);
    return text;
}

static int tell_failed_order(struct chaos *c, const struct chaos_topic *topic, int *order,
                             int64_t number, struct err *e)
{
    struct take t;
    const char *what;
    int pair[2] = {0, 0};
    int rc = shrink(c, topic, order, e);

    if (rc == 0)
        rc = play_order(c, topic, order, &t, e);
    if (rc < 0)
        return rc;
    ASSERT(rc == 1);
    what = tell_order(c, topic, order, pair);
    tell(c, CHAOS_ORDER, number, &t,
         arena_printf(c->texts,
                      "partition order: %s depends on the arrival order of %s/%d and %s/%d (%s)",
                      subject(c, &t.difference), topic->name, pair[0], topic->name, pair[1], what));
    return 0;
}

static int vary_topic(struct chaos *c, const struct chaos_topic *topic, int64_t *number,
                      struct err *e)
{
    int64_t all = topic_orders(topic), n = all <= ORDERS_MAX ? all - 1 : ORDERS_MAX;
    int *order = heap_zalloc(((size_t)topic->n + 1) * sizeof *order);
    int rc = 0;

    for (int64_t i = 1; i <= n && rc == 0; i++) {
        struct take t;
        if (!wanted(c, CHAOS_ORDER, ++*number) || failed(c, CHAOS_ORDER))
            continue;
        topic_order(topic, i, all <= ORDERS_MAX, order);
        rc = play_order(c, topic, order, &t, e);
        c->result->n[CHAOS_ORDER]++;
        if (rc == 1)
            rc = tell_failed_order(c, topic, order, *number, e);
    }
    if (all - 1 > n)
        c->result->skipped[CHAOS_ORDER] += all - 1 - n;
    heap_free(order);
    return rc;
}

static int vary_orders(struct chaos *c, struct err *e)
{
    struct chaos_topic **topics = chaos_topics(c->config->acts);
    int64_t number = 0;
    int rc = 0;

    for (size_t i = 0; topics[i] != NULL && rc == 0; i++)
        rc = vary_topic(c, topics[i], &number, e);
    chaos_topics_free(topics);
    return rc;
}

// --- all of it ---

// What is compared with, and where there is something to vary.
static int take_albums(struct chaos *c, struct err *e)
{
    struct take plain = {.acts = c->config->acts, .album = &c->plain};
    struct take still = {.acts = &c->still_acts, .still = true, .album = &c->still};
    struct take merged = {.acts = &c->acts, .still = true, .against = &c->still};
    int64_t *unused = NULL;
    size_t n;
    int rc;

    chaos_still(c->config->acts, &(struct chaos_still){0}, &c->still_acts);
    chaos_still(c->config->acts, &(struct chaos_still){.merge = true}, &c->acts);
    rc = play(c, &still, &unused, &n, e);
    if (rc == 0)
        rc = play(c, &merged, &c->merged_steps, &c->n_merged_steps, e);
    if (rc >= 0)
        rc = play(c, &plain, &c->steps, &c->n_steps, e);
    heap_free(unused);
    return rc;
}

// A store that nobody writes to: copying it is cheaper than making one for each variation.
static int open_pristine(struct chaos *c, struct err *e)
{
    const struct driver_config *d = &c->config->driver;

    return d->stores.copy != NULL ? d->stores.open(d->stores.arg, d->plan, &c->pristine, e) : 0;
}

int chaos_run(const struct chaos_config *config, struct chaos_result *out, struct arena *a,
              struct err *e)
{
    struct chaos c = {.config = config, .result = out, .texts = a, .plain_acts = *config->acts};
    int rc;

    *out = (struct chaos_result){0};
    arena_init(&c.base);
    arena_init(&c.scratch);
    rc = open_pristine(&c, e);
    if (rc == 0)
        rc = take_albums(&c, e);
    if (rc == 0)
        rc = vary_splits(&c, e);
    if (rc == 0)
        rc = vary_crashes(&c, e);
    if (rc == 0)
        rc = vary_orders(&c, e);
    if (c.pristine != NULL)
        config->driver.stores.close(config->driver.stores.arg, c.pristine);
    acts_deinit(&c.still_acts);
    acts_deinit(&c.acts);
    heap_free(c.steps);
    heap_free(c.merged_steps);
    arena_deinit(&c.base);
    arena_deinit(&c.scratch);
    return rc;
}
