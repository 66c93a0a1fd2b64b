// SPDX-License-Identifier: Apache-2.0
//
// Trials from seeds: the shape of the job, and input with everything that event time has to cope
// with. Partitions lag behind each other and fall silent, all of them at times, so that they turn
// idle and come back with older records; records are out of order, mostly within `disorder`, some
// far beyond; times are rounded, so that many are equal.
//
// The clock stands still between two OP_CLOCK: what a run reads is what was sent before it, in
// whatever batches, so both sides know the same about each run.
#include "tests/model/trial.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "runtime/base/number.h"
#include "runtime/base/random.h"

static const char *const names[CATEGORIES] = {"windows", "sessions", "look-back", "joins"};

const char *category_name(enum category c)
{
    return names[c];
}

// --- shapes ---

static int64_t between(struct random *r, int64_t lo, int64_t hi)
{
    return hi <= lo ? lo : lo + (int64_t)random_below(r, (uint64_t)(hi - lo + 1));
}

static bool one_in(struct random *r, uint64_t n)
{
    return random_below(r, n) == 0;
}

static int64_t pick(struct random *r, const int64_t *from, size_t n)
{
    return from[random_below(r, n)];
}

#define PICK(r, ...) \
    pick(r, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static int64_t some_grace(struct random *r, int64_t size)
{
    return one_in(r, 2) ? 0 : between(r, 1, size);
}

// Spans in proportion to how often a key speaks (`step`), so that windows hold something and do
// not hold everything.
static void shape_windows(struct trial *t, struct random *r, int64_t step)
{
    t->first.size = t->first.every = between(r, 1, step * 40);
    t->second.size = between(r, 2, step * 40);
    t->second.every = t->second.size / between(r, 1, 5);
    if (one_in(r, 3))
        t->second.every = between(r, t->second.size / 7 + 1, t->second.size);
    t->second.every = t->second.every > 0 ? t->second.every : 1;
    t->upper.size = t->upper.every = t->first.size * between(r, 1, 6) + between(r, 0, 3);
}

static void shape_join(struct trial *t, struct random *r, int64_t step)
{
    t->shape = (enum join_shape)random_below(r, 3);
    t->lo = -between(r, 0, step * 4);
    t->hi = between(r, 0, step * 4);
    if (one_in(r, 5))
        t->lo = between(r, 0, t->hi);
    else if (one_in(r, 4))
        t->hi = -between(r, 0, -t->lo);
    else if (one_in(r, 8))
        t->lo = t->hi = 0;
    t->join_grace = some_grace(r, step * 4);
    t->upper.size = t->upper.every = between(r, 1, step * 30);
}

static void shape(struct trial *t, struct random *r, int64_t step, int records)
{
    t->n_sources = t->category == JOINS || one_in(r, 4) ? 2 : 1;
    for (int i = 0; i < t->n_sources; i++)
        t->sources[i] = (struct trial_source){
            .partitions = (int)between(r, 1, one_in(r, 2) ? 2 : PARTITIONS_MAX),
            .disorder = PICK(r, 0, 0, 50, 1000, 10000),
            .idle = PICK(r, -1, 500, 5000, 30000, 30000)};
    step *= t->n_keys;
    shape_windows(t, r, step);
    if (t->category == SESSIONS)
        t->first.size = between(r, 1, step * 3);
    else if (t->category == LOOK_BACK)
        t->first.size = between(r, 1, step * 20);
    else if (t->category == JOINS)
        shape_join(t, r, step);
    t->first.grace = some_grace(r, t->first.size);
    t->second.grace = some_grace(r, t->second.size);
    t->upper.grace = some_grace(r, t->upper.size);
    t->first.into = !one_in(r, 4);
    t->second.into = !one_in(r, 4);
    t->upper.into = !one_in(r, 4);
    t->second.changes = t->category == WINDOWS && one_in(r, 4);
    t->commit_records = PICK(r, 100000, 100000, records / 30 + 1, records / 200 + 1);
    t->cache_bytes = (size_t)PICK(r, 1 << 26, 1 << 26, 10000, 1);
    t->step_bytes = (size_t)PICK(r, 1 << 26, 1 << 26, 1 << 26, 30000);
}

// --- what happens ---

struct sending {
    struct trial *t;
    struct random *r;
    int64_t now, at; // at: when what is read now was sent
    int64_t spread, quantum;
    int64_t lag[SOURCES_MAX][PARTITIONS_MAX];
    int64_t silent_until[SOURCES_MAX][PARTITIONS_MAX];
    int sent;
};

static void push(struct trial *t, struct op o)
{
    if (t->n == t->cap) {
        t->cap = t->cap > 0 ? t->cap * 2 : 1024;
        t->ops = heap_realloc(t->ops, t->cap * sizeof *t->ops);
    }
    t->ops[t->n++] = o;
}

static int64_t event_time(struct sending *s, int source, int partition)
{
    uint64_t kind = random_below(s->r, 100);
    int64_t spread = kind < 85 ? s->spread : kind < 97 ? 3 * s->spread + 50 : 20 * s->spread + 5000;
    int64_t t = s->at - s->lag[source][partition] - between(s->r, 0, spread);

    return t - t % s->quantum;
}

static void send(struct sending *s)
{
    struct trial *t = s->t;
    int source = (int)random_below(s->r, (uint64_t)t->n_sources);
    int partition = (int)random_below(s->r, (uint64_t)t->sources[source].partitions);
    int key = (int)random_below(s->r, (uint64_t)t->n_keys);

    if (s->silent_until[source][partition] > s->at)
        return;
    if (one_in(s->r, 3)) // some keys speak more
        key = key * key / t->n_keys;
    push(t, (struct op){.kind = OP_RECORD,
                        .source = (uint8_t)source,
                        .partition = (uint8_t)partition,
                        .nil = one_in(s->r, 16),
                        .key = key,
                        .x = (int32_t)between(s->r, -1000, 1000),
                        .id = ++s->sent,
                        .time = event_time(s, source, partition)});
}

static void move_clock(struct sending *s, int64_t by)
{
    s->now += by;
    push(s->t, (struct op){.kind = OP_CLOCK, .time = by});
}

// Some partitions say nothing for a while, or everybody.
static void fall_silent(struct sending *s)
{
    int64_t idle = 0;

    for (int i = 0; i < s->t->n_sources; i++) {
        const struct trial_source *x = &s->t->sources[i];
        int p = (int)random_below(s->r, (uint64_t)x->partitions);

        idle = x->idle > idle ? x->idle : idle;
        if (one_in(s->r, 2))
            s->silent_until[i][p] = s->now + between(s->r, 0, 4 * (x->idle + 1000));
        if (one_in(s->r, 4))
            s->lag[i][p] = between(s->r, 0, 2 * s->spread + 1000);
    }
    if (one_in(s->r, 2))
        return;
    for (int64_t n = between(s->r, 1, 4); n > 0; n--) {
        move_clock(s, between(s->r, 0, 2 * idle + 500));
        push(s->t, (struct op){.kind = one_in(s->r, 4) ? OP_RESTART : OP_RUN});
    }
}

static void run(struct sending *s, int64_t records, int64_t step)
{
    bool batches = one_in(s->r, 4);
    int64_t from = s->now;

    move_clock(s, between(s->r, 0, 2 * records * step));
    for (int64_t i = 0; i < records; i++) {
        s->at = from + (s->now - from) * i / records;
        send(s);
        if (batches && one_in(s->r, 8))
            push(s->t, (struct op){.kind = OP_BATCH});
    }
    push(s->t, (struct op){.kind = one_in(s->r, 30) ? OP_RESTART : OP_RUN});
}

static void happen(struct sending *s, int records, int64_t step)
{
    int64_t runs = PICK(s->r, 15, 50, 150), each = records / runs + 1;
    int look = records / 3;

    while (s->sent < records) {
        run(s, one_in(s->r, 3) ? between(s->r, 1, 4) : between(s->r, 1, 2 * each), step);
        if (one_in(s->r, 12))
            fall_silent(s);
        if (s->sent >= look && one_in(s->r, 3)) {
            push(s->t, (struct op){.kind = OP_LOOK});
            look += records / 3 + 1;
        }
    }
    move_clock(s, between(s->r, 0, 100000));
    push(s->t, (struct op){.kind = OP_RUN});
    push(s->t, (struct op){.kind = OP_LOOK});
}

void trial_make(struct trial *t, enum category c, uint64_t seed, int records)
{
    struct random r;
    struct sending s = {.t = t, .r = &r, .now = TRIAL_START};
    int64_t step;

    random_seed(&r, seed * CATEGORIES + (uint64_t)c);
    *t = (struct trial){.seed = seed, .category = c};
    step = PICK(&r, 1, 5, 20);
    t->n_keys = (int)PICK(&r, 1, 3, 20, 200, KEYS_MAX);
    shape(t, &r, step, records);
    s.spread = t->sources[0].disorder > 0 ? t->sources[0].disorder : between(&r, 0, 40 * step);
    s.quantum = PICK(&r, 1, 1, 10, 250, 1000);
    if (s.quantum > 8 * step * t->n_keys) // else everything meets everything
        s.quantum = 8 * step * t->n_keys;
    happen(&s, records, step);
}

void trial_free(struct trial *t)
{
    heap_free(t->ops);
    *t = (struct trial){0};
}

void trial_settle(struct trial *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (n > 0 && t->ops[i].kind == OP_CLOCK && t->ops[n - 1].kind == OP_CLOCK)
            t->ops[n - 1].time += t->ops[i].time;
        else
            t->ops[n++] = t->ops[i];
    }
    t->n = n;
}

// --- as text ---

void put_int(struct buf *out, int64_t v)
{
    char text[NUMBER_TEXT_SIZE];

    buf_append(out, text, number_format_int(v, text));
}

void put_float(struct buf *out, double v)
{
    char text[NUMBER_TEXT_SIZE];

    buf_append(out, text, number_format_float(v, text));
}

// Which double it is, exactly; for tables, where formatting it would take longer than the rest.
void put_bits(struct buf *out, double v)
{
    int64_t bits;

    memcpy(&bits, &v, sizeof bits);
    put_int(out, bits);
}

// Prefixes of each other, an empty one, many that are longer than what anybody keeps inline.
static void make_key(int i, char out[KEY_SIZE])
{
    static const char *const odd[] = {"", "a", "aa", "\xc3\xa6", "a b", "zz", "z"};

    if (i < (int)ARRAY_LEN(odd))
        snprintf(out, KEY_SIZE, "%s", odd[i]);
    else if (i % 10 == 0)
        snprintf(out, KEY_SIZE, "a key that is longer than its neighbours are, number %d", i);
    else
        snprintf(out, KEY_SIZE, "k%d", i);
}

static int text_cmp(const void *a, const void *b)
{
    return strcmp(a, b); // of unsigned bytes
}

const char *key_text(int key)
{
    static char texts[KEYS_MAX][KEY_SIZE];

    if (texts[KEYS_MAX - 1][0] == 0) {
        for (int i = 0; i < KEYS_MAX; i++)
            make_key(i, texts[i]);
        qsort(texts, KEYS_MAX, KEY_SIZE, text_cmp);
    }
    return texts[key];
}

void record_json(const struct op *o, struct buf *out)
{
    buf_append_str(out, "{\"k\":\"");
    buf_append_str(out, key_text(o->key));
    buf_append_str(out, "\",\"t\":");
    put_int(out, o->time);
    if (!o->nil) {
        buf_append_str(out, ",\"x\":");
        put_int(out, o->x);
    } else if (o->id % 2 == 0) {
        buf_append_str(out, ",\"x\":null");
    }
    buf_append_str(out, ",\"i\":");
    put_int(out, o->id);
    buf_append_byte(out, '}');
}

void trial_print(const struct trial *t, struct buf *out)
{
    static const char *const kinds[] = {"send", "batch", "clock", "run", "look", "restart"};

    for (size_t i = 0; i < t->n; i++) {
        const struct op *o = &t->ops[i];

        buf_append_str(out, kinds[o->kind]);
        if (o->kind == OP_RECORD) {
            buf_printf(out, " %c/%d ", 'a' + o->source, o->partition);
            record_json(o, out);
        } else if (o->kind == OP_CLOCK) {
            buf_printf(out, " +%lld", (long long)o->time);
        }
        buf_append_byte(out, '\n');
    }
}

// --- transcripts ---

struct buf *transcript_section(struct transcript *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->names[i], name) == 0)
            return &t->sections[i];
    ASSERT(t->n < SECTIONS_MAX);
    t->names[t->n] = name;
    return &t->sections[t->n++];
}

void transcript_free(struct transcript *t)
{
    for (int i = 0; i < t->n; i++)
        buf_deinit(&t->sections[i]);
    buf_deinit(&t->steps);
    *t = (struct transcript){0};
}

static void put_lines(struct buf *out, const char *whose, const struct buf *b, size_t from)
{
    size_t to = from;

    for (int lines = 0; to < b->n && lines < 3; to++)
        lines += b->p[to] == '\n';
    buf_printf(out, "  %s\n%.*s", whose, (int)(to - from), (const char *)b->p + from);
    if (to == from)
        buf_append_str(out, "nothing\n");
}

static bool section_differs(const char *name, const struct buf *model, const struct buf *engine,
                            struct buf *out)
{
    size_t at = 0, line = 1;

    if (bytes_eq(buf_bytes(model), buf_bytes(engine)))
        return false;
    while (at < model->n && at < engine->n && model->p[at] == engine->p[at])
        line += model->p[at++] == '\n';
    while (at > 0 && model->p[at - 1] != '\n')
        at--;
    buf_printf(out, "%s differs in line %zu\n", name, line);
    put_lines(out, "expected:", model, at);
    put_lines(out, "leat:", engine, at);
    return true;
}

bool transcript_differs(struct transcript *model, struct transcript *engine, struct buf *out)
{
    bool differs = false;

    for (int i = 0; i < engine->n; i++)
        (void)transcript_section(model, engine->names[i]);
    for (int i = 0; i < model->n; i++)
        differs = section_differs(model->names[i], &model->sections[i],
                                  transcript_section(engine, model->names[i]), out) ||
                  differs;
    return differs;
}
