// SPDX-License-Identifier: Apache-2.0
//
// Windows, sessions, look-back windows, joins and watermarks against independent models.
//
//   test_model [CATEGORY [SEED [COUNT [RECORDS]]]]
//   test_model control
//
// Runs COUNT trials from SEED on, of one category or of "all", each with RECORDS random records,
// through the real engine and through a model that knows the whole input. Tables, open windows
// included, must be equal row for row whenever they are looked at, output topics record for record
// in their order. A trial that fails is made smaller while it still fails, and printed: the job and
// what happens to it.
//
// control: the models are told a disorder that is 1 ms too large; each category must notice.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/base/heap.h"
#include "tests/model/trial.h"

enum { SHRINK_SECONDS = 120 }; // of processor time

struct tally {
    int64_t trials, records, bytes;
};

// What is wrong with it, or nothing.
static bool fails(const struct trial *t, struct buf *out, struct tally *tally)
{
    struct transcript model = {0}, engine = {0};
    bool failed = !engine_run(t, &engine, out);

    if (!failed) {
        model_run(t, &engine, &model);
        failed = transcript_differs(&model, &engine, out);
    }
    for (int i = 0; i < model.n && tally != NULL; i++)
        tally->bytes += (int64_t)model.sections[i].n;
    transcript_free(&model);
    transcript_free(&engine);
    return failed;
}

// --- making it smaller ---

static void without(const struct trial *t, size_t from, size_t n, struct trial *out)
{
    *out = *t;
    out->n = t->n - n;
    out->ops = heap_alloc((out->n + 1) * sizeof *out->ops);
    memcpy(out->ops, t->ops, from * sizeof *out->ops);
    memcpy(out->ops + from, t->ops + from + n, (t->n - from - n) * sizeof *out->ops);
    trial_settle(out);
}

static bool still_fails_without(struct trial *t, size_t from, size_t n)
{
    struct buf out = BUF_EMPTY;
    struct trial less;
    bool failed;

    without(t, from, n, &less);
    failed = fails(&less, &out, NULL);
    buf_deinit(&out);
    if (failed) {
        heap_free(t->ops);
        t->ops = less.ops;
        t->n = less.n;
    } else {
        heap_free(less.ops);
    }
    return failed;
}

// The end goes first, then pieces from large to small; twice, since what the first pass leaves may
// let more go. Not for ever: a large trial that needs most of itself stays large.
static void shrink(struct trial *t)
{
    clock_t until = clock() + (clock_t)SHRINK_SECONDS * CLOCKS_PER_SEC;

    for (size_t n = t->n / 2; n > 0; n /= 2)
        while (n < t->n && clock() < until && still_fails_without(t, t->n - n - 1, n))
            ;
    for (int pass = 0; pass < 2; pass++)
        for (size_t n = t->n / 2; n > 0; n /= 2)
            for (size_t from = 0; from + n < t->n && clock() < until;)
                if (!still_fails_without(t, from, n))
                    from += n;
}

static void report(struct trial *t, int records)
{
    struct buf out = BUF_EMPTY;

    printf("FAILED; again with:\n  test_model %s %llu 1 %d\n", category_name(t->category),
           (unsigned long long)t->seed, records);
    (void)fails(t, &out, NULL);
    printf("\n%s\nMade smaller:\n\n", buf_cstr(&out));
    fflush(stdout);
    shrink(t);
    buf_clear(&out);
    trial_job(t, &out);
    buf_append_byte(&out, '\n');
    trial_print(t, &out);
    buf_append_byte(&out, '\n');
    (void)fails(t, &out, NULL);
    printf("%s", buf_cstr(&out));
    buf_deinit(&out);
}

// --- many ---

static bool run_trial(enum category c, uint64_t seed, int records, struct tally *tally)
{
    struct trial t;
    struct buf out = BUF_EMPTY;
    bool failed;

    trial_make(&t, c, seed, records);
    failed = fails(&t, &out, tally);
    buf_deinit(&out);
    if (failed)
        report(&t, records);
    trial_free(&t);
    tally->trials++;
    tally->records += records;
    return !failed;
}

static bool run_category(enum category c, uint64_t seed, uint64_t count, int records)
{
    struct tally tally = {0};

    for (uint64_t s = seed; s < seed + count; s++)
        if (!run_trial(c, s, records, &tally))
            return false;
    printf("%-10s seeds %llu to %llu: %lld records, %lld bytes of rows and records equal\n",
           category_name(c), (unsigned long long)seed, (unsigned long long)(seed + count - 1),
           (long long)tally.records, (long long)tally.bytes);
    fflush(stdout);
    return true;
}

static bool notices(enum category c)
{
    bool noticed = false;

    for (uint64_t seed = 1; seed <= 10 && !noticed; seed++) {
        struct transcript model = {0}, engine = {0};
        struct buf out = BUF_EMPTY;
        struct trial t;

        trial_make(&t, c, seed, 2000);
        noticed = engine_run(&t, &engine, &out);
        t.sources[0].disorder++;
        model_run(&t, &engine, &model);
        noticed = noticed && transcript_differs(&model, &engine, &out);
        transcript_free(&model);
        transcript_free(&engine);
        buf_deinit(&out);
        trial_free(&t);
    }
    printf("%-10s control: %s\n", category_name(c), noticed ? "a difference is found" : "BLIND");
    return noticed;
}

static uint64_t number(char **argv, int argc, int i, uint64_t fallback)
{
    return argc > i ? strtoull(argv[i], NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : "all";
    uint64_t seed = number(argv, argc, 2, 1), count = number(argv, argc, 3, 2);
    int records = (int)number(argv, argc, 4, 4000);
    bool control = strcmp(only, "control") == 0;
    bool all = control || strcmp(only, "all") == 0, known = all, passed = true;

    for (int c = 0; c < CATEGORIES && passed; c++) {
        if (!all && strcmp(only, category_name((enum category)c)) != 0)
            continue;
        known = true;
        passed = control ? notices((enum category)c)
                         : run_category((enum category)c, seed, count, records);
    }
    if (!known) {
        fprintf(stderr, "unknown category '%s': windows, sessions, look-back, joins or all\n",
                only);
        return 2;
    }
    return passed ? 0 : 1;
}
