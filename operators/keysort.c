// SPDX-License-Identifier: Apache-2.0
#include "operators/keysort.h"

#include <stdlib.h>

#define RADIX_ITEMS_MIN 256

static size_t common_prefix(const struct keysort_item *items, size_t n)
{
    struct bytes first = items[0].key;
    size_t common = first.n;

    for (size_t i = 1; i < n && common > 0; i++) {
        size_t k = 0, most = items[i].key.n < common ? items[i].key.n : common;

        if (most == common && memcmp(first.p, items[i].key.p, common) == 0)
            continue;
        while (k < most && first.p[k] == items[i].key.p[k])
            k++;
        common = k;
    }
    return common;
}

static uint64_t load_prefix(struct bytes key, size_t from)
{
    uint8_t b[8] = {0};
    size_t left = key.n > from ? key.n - from : 0;
    uint64_t v;

    memcpy(b, left > 0 ? key.p + from : b, left < 8 ? left : 8);
    memcpy(&v, b, sizeof(v));
    return __builtin_bswap64(v);
}

static int item_cmp(const void *a, const void *b)
{
    const struct keysort_item *x = a, *y = b;

    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return bytes_cmp(x->key, y->key);
}

// One stable pass by the byte at `shift`; false when all items have the same one.
static bool radix_pass(const struct keysort_item *from, struct keysort_item *to, size_t n,
                       int shift)
{
    size_t at[257] = {0};

    for (size_t i = 0; i < n; i++)
        at[((from[i].prefix >> shift) & 0xff) + 1]++;
    if (at[((from[0].prefix >> shift) & 0xff) + 1] == n)
        return false;
    for (int i = 1; i < 257; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < n; i++)
        to[at[(from[i].prefix >> shift) & 0xff]++] = from[i];
    return true;
}

static void sort_ties(struct keysort_item *items, size_t n)
{
    for (size_t i = 0; i + 1 < n;) {
        size_t run = 1;

        while (i + run < n && items[i + run].prefix == items[i].prefix)
            run++;
        if (run > 1)
            qsort(items + i, run, sizeof(*items), item_cmp);
        i += run;
    }
}

void keysort(struct keysort_item *items, struct keysort_item *spare, size_t n)
{
    struct keysort_item *from = items, *to = spare;
    size_t common;

    if (n < 2)
        return;
    common = common_prefix(items, n);
    for (size_t i = 0; i < n; i++)
        items[i].prefix = load_prefix(items[i].key, common);
    if (n < RADIX_ITEMS_MIN) {
        qsort(items, n, sizeof(*items), item_cmp);
        return;
    }
    for (int shift = 0; shift < 64; shift += 8) {
        if (radix_pass(from, to, n, shift)) {
            struct keysort_item *t = from;

            from = to;
            to = t;
        }
    }
    if (from != items)
        memcpy(items, from, n * sizeof(*items));
    sort_ties(items, n);
}
