// SPDX-License-Identifier: Apache-2.0
//
// Edit distance with transpositions (optimal string alignment), over three rows. A name is near
// when at most a third of its letters, and not more than three, are off. Ties go to the name that
// comes first in the alphabet, so that the answer does not depend on the order of asking.
#include "runtime/base/suggest.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LETTERS 40

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;

    return m < c ? m : c;
}

static int distance(const char *a, int n, const char *b, int m)
{
    int rows[3][NAME_MAX_LETTERS + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2], *t;

    for (int j = 0; j <= m; j++)
        last[j] = j;
    memset(rows[0], 0, sizeof(rows[0]));
    for (int i = 1; i <= n; i++) {
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int cost = a[i - 1] != b[j - 1];
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        t = before;
        before = last;
        last = row;
        row = t;
    }
    return last[m];
}

void suggest(struct suggestion *s, const char *candidate)
{
    size_t n = strlen(s->name), m = strlen(candidate);
    int d;

    if (n > NAME_MAX_LETTERS || m > NAME_MAX_LETTERS || n == 0)
        return;
    d = distance(s->name, (int)n, candidate, (int)m);
    if (d == 0 || d > 3 || d > ((int)n + 2) / 3)
        return;
    if (s->distance != 0 &&
        (d > s->distance || (d == s->distance && strcmp(candidate, s->best) > 0)))
        return;
    s->distance = d;
    (void)snprintf(s->best, sizeof(s->best), "%s", candidate);
}

const char *suggest_text(struct suggestion *s)
{
    if (s->distance == 0)
        return "";
    (void)snprintf(s->text, sizeof(s->text), " (did you mean '%s'?)", s->best);
    return s->text;
}
