// SPDX-License-Identifier: Apache-2.0
//
// The models: what a job must give, computed from its whole input at once, with none of the
// runtime's code for time, windows or joins. A model may look into the future: a window's records
// are found by sorting, the moment of its closing by searching the history of the watermark.
//
// A moment is what can move the watermark: one record that is processed, or one look at the clock.
// Operators handle a moment's record first, then, in their order, what the new watermark makes due;
// what they emit then reaches the next operator while that one still stands at the old watermark.
#ifndef LEAT_TESTS_MODEL_MODEL_H
#define LEAT_TESTS_MODEL_MODEL_H

#include "tests/model/trial.h"

struct item {
    size_t moment;
    int64_t time;
    int source, key;
    bool nil;
    int64_t x;
    const struct op *op; // of a record; NULL for what an operator made
};

struct stream {
    struct item *items;
    size_t n, cap;
};

void stream_push(struct stream *s, struct item i);
void stream_free(struct stream *s);

// When what happens: timeline.c.
struct timeline {
    struct stream records;
    size_t n_moments;
    int64_t *w[SOURCES_MAX]; // of the source, after each moment
    int64_t *all;            // the least of them
    size_t looks[64];        // how many moments came before each
    int n_looks;
};

#define NEVER SIZE_MAX
#define W_NONE INT64_MIN

void timeline_make(const struct trial *t, const struct buf *steps, struct timeline *out);
void timeline_free(struct timeline *l);
// Where an operator stands when it gets a record of this moment.
int64_t watermark_before(const struct timeline *l, size_t moment);
// The first moment from `from` on after which the watermark is at least w; NEVER.
size_t first_reaching(const struct timeline *l, size_t from, int64_t w);

// What a window says about its records.
struct sums {
    int64_t n, even, n_x, sum, min, max, first, last;
    int64_t first_time, last_time;
};

void sums_add(struct sums *s, const struct item *i); // in the order of arrival
void put_row(struct buf *out, int key, int64_t start, int64_t end, const struct sums *s);
void put_look(struct buf *out, int look);
// A record of an output topic.
void put_final(struct buf *out, int key, int64_t start, int64_t end, const struct sums *s);
void put_late(struct buf *out, const struct item *i);
void put_head(struct buf *out, int64_t time, int key);

// Each writes the sections that its part of the job has; `closed` gets what goes on from there.
struct part {
    const struct trial *trial;
    const struct timeline *timeline;
    const struct stream *in;
    const struct trial_window *window;
    const char *table, *final, *late, *changes; // names of sections
    struct transcript *seen;
};

void model_windows(const struct part *p, struct stream *closed);
void model_sessions(const struct part *p, struct stream *closed);
void model_look_back(const struct part *p, struct stream *results);
void model_join(const struct part *p, struct stream *joined);

#endif
