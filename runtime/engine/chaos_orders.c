// SPDX-License-Identifier: Apache-2.0
//
// The orders in which records of several partitions can arrive, if each partition keeps its own:
// the permutations of a multiset, n! / (n1! n2! ...) of them.
//
// They are numbered. At each place the partition that the given order has there comes first, then
// the others as they appear; an order's number counts how many lie before it in that dictionary. So
// number 0 is the order given, small numbers differ from it in their last places only, and the
// first that breaks something is a small change.
#include "runtime/engine/chaos_orders.h"

#include <stdbool.h>

#include "runtime/base/assert.h"
#include "runtime/base/heap.h"
#include "runtime/base/random.h"

struct pile { // one partition's records that have not arrived
    int32_t partition;
    int left;
    int next; // index of the first of them
};

struct piles {
    const int32_t *partitions;
    int n; // records
    struct pile *items;
    int n_items;
    bool *used;
    int first; // record that has not arrived
};

static struct pile *pile_of(struct piles *p, int32_t partition)
{
    for (int i = 0; i < p->n_items; i++)
        if (p->items[i].partition == partition)
            return &p->items[i];
    return NULL;
}

static void piles_init(struct piles *p, const int32_t *partitions, int n)
{
    *p = (struct piles){.partitions = partitions, .n = n};
    p->items = heap_zalloc((size_t)(n + 1) * sizeof *p->items);
    p->used = heap_zalloc((size_t)n + 1);
    for (int i = 0; i < n; i++) {
        struct pile *x = pile_of(p, partitions[i]);
        if (x == NULL) {
            x = &p->items[p->n_items++];
            *x = (struct pile){.partition = partitions[i], .next = i};
        }
        x->left++;
    }
}

static void piles_deinit(struct piles *p)
{
    heap_free(p->items);
    heap_free(p->used);
}

static int take(struct piles *p, struct pile *x)
{
    int i = x->next;

    ASSERT(x->left > 0);
    p->used[i] = true;
    x->left--;
    while (x->left > 0 && (p->used[x->next] || p->partitions[x->next] != x->partition))
        x->next++;
    while (p->first < p->n && p->used[p->first])
        p->first++;
    return i;
}

static int64_t gcd(int64_t a, int64_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

// The orders of what is left. Built up one record at a time: after each it is a whole number.
static int64_t count(const struct piles *p)
{
    int64_t n = 1, placed = 0;

    for (int i = 0; i < p->n_items; i++)
        for (int64_t k = 1; k <= p->items[i].left; k++) {
            int64_t g = gcd(++placed, k), a = placed / g, b = k / g;
            n /= b; // b divides n: a and b have no divisor in common
            if (__builtin_mul_overflow(n, a, &n))
                return INT64_MAX;
        }
    return n;
}

int64_t orders_count(const int32_t *partitions, int n)
{
    struct piles p;
    int64_t result;

    piles_init(&p, partitions, n);
    result = count(&p);
    piles_deinit(&p);
    return result;
}

// The i-th candidate for the next place: the pile of the first record left, then the others.
static struct pile *candidate(struct piles *p, int i)
{
    struct pile *first = pile_of(p, p->partitions[p->first]);
    int at = (int)(first - p->items);

    return i == 0 ? first : &p->items[i <= at ? i - 1 : i];
}

void orders_nth(const int32_t *partitions, int n, int64_t rank, int *out)
{
    struct piles p;

    piles_init(&p, partitions, n);
    for (int i = 0; i < n; i++) {
        struct pile *x = NULL;
        for (int k = 0; k < p.n_items; k++) {
            int64_t behind;
            x = candidate(&p, k);
            if (x->left == 0)
                continue;
            x->left--;
            behind = count(&p);
            x->left++;
            if (rank < behind)
                break;
            rank -= behind;
        }
        ASSERT(x != NULL && x->left > 0);
        out[i] = take(&p, x);
    }
    piles_deinit(&p);
}

void orders_random(const int32_t *partitions, int n, uint64_t seed, int *out)
{
    struct random r;
    struct piles p;

    random_seed(&r, seed);
    piles_init(&p, partitions, n);
    for (int i = 0; i < n; i++) {
        int pick = (int)random_below(&r, (uint64_t)(n - i)), k = 0;
        while (pick >= p.items[k].left) // each record left is equally likely to be the next one's
            pick -= p.items[k++].left;
        out[i] = take(&p, &p.items[k]);
    }
    piles_deinit(&p);
}

void orders_first(const int32_t *partitions, int n, int first, int *out)
{
    struct piles p;
    int i = 0;

    piles_init(&p, partitions, n);
    while (p.items[first].left > 0)
        out[i++] = take(&p, &p.items[first]);
    while (i < n)
        out[i++] = take(&p, pile_of(&p, partitions[p.first]));
    piles_deinit(&p);
}

int orders_partitions(const int32_t *partitions, int n)
{
    struct piles p;
    int result;

    piles_init(&p, partitions, n);
    result = p.n_items;
    piles_deinit(&p);
    return result;
}
