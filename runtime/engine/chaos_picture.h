// SPDX-License-Identifier: Apache-2.0
//
// What can be seen of a driven job at one moment, as lists of texts: rows of its tables, what it
// has published since the last picture, parked records, counters. Two runs of a test are compared
// picture by picture.
#ifndef LEAT_ENGINE_CHAOS_PICTURE_H
#define LEAT_ENGINE_CHAOS_PICTURE_H

#include "runtime/engine/driver.h"

struct picture_line {
    struct bytes key;  // rows: the primary key; records: their key, BYTES_NULL when null
    struct bytes text; // rows, and the values of records
    struct bytes more; // records: partition, time, headers
};

enum picture_kind { PICTURE_TABLE, PICTURE_TOPIC, PICTURE_PARKED, PICTURE_COUNTER, PICTURE_JOB };

struct picture_part {
    enum picture_kind kind;
    const char *name;
    int job_line; // where the job says so
    struct picture_line *lines;
    size_t n;
};

struct picture {
    struct picture_part *parts;
    size_t n;
};

struct picture_rules {
    // Records count per key, not per partition, those without a key in any order; reals that differ
    // by rounding are equal.
    bool any_order;
    const char *stopped; // why the job has stopped; NULL: it runs
};

// Everything lies in the arena. Takes what was published off the driver.
int picture_draw(struct picture *p, struct driver *d, const struct picture_rules *rules,
                 struct arena *a, struct err *e) LEAT_CHECKED;

struct picture_difference {
    const struct picture_part *part; // of the first picture
    struct bytes field;              // the one that differs; BYTES_NULL when lines are missing
    struct bytes was, is;            // texts; BYTES_NULL: no such line
};

// Whether they differ, and where first. The same job is in both.
bool picture_differs(const struct picture *was, const struct picture *is,
                     const struct picture_rules *rules, struct arena *a,
                     struct picture_difference *out);

#endif
