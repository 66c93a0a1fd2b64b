// SPDX-License-Identifier: Apache-2.0
//
// What the files of the comparison share: a search that is going on.
#ifndef LEAT_PROJECTIONS_DIFFERENCES_PARTS_H
#define LEAT_PROJECTIONS_DIFFERENCES_PARTS_H

#include "projections/differences.h"

struct finding {
    const struct outline *was, *is;
    struct arena *arena;
    struct differences *out;
    int cap;
};

void finding_add(struct finding *f, const struct difference *d);

// differences_nodes.c
void find_nodes(struct finding *f);

// differences_text.c: what differs between two settings objects, in a line; "" when nothing does.
enum settings {
    SETTINGS_MEANING,
    SETTINGS_TEXTS, // the same, but that functions count as equal
    SETTINGS_TIMING
};
const char *settings_text(struct arena *a, const struct value *was, const struct value *is,
                          enum settings which);

#endif
