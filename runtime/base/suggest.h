// SPDX-License-Identifier: Apache-2.0
//
// " (did you mean 'from'?)": the nearest of some names by edit distance, if it is near.
#ifndef LEAT_BASE_SUGGEST_H
#define LEAT_BASE_SUGGEST_H

struct suggestion {
    const char *name; // as misspelt
    char best[64];
    int distance; // of best; 0 while there is none
    char text[96];
};

void suggest(struct suggestion *s, const char *candidate);
// Empty when nothing is near. Lives in s.
const char *suggest_text(struct suggestion *s);

#endif
