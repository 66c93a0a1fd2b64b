// SPDX-License-Identifier: Apache-2.0
#include "operators/dueindex.h"

#include "operators/keyblock.h"
#include "runtime/base/heap.h"

#if LEAT_TESTING
#define TAKE_ROWS 3
#else
#define TAKE_ROWS 512
#endif

int dueindex_open(struct dueindex *d, struct operator *o, const char *suffix,
                  const char *const *names, int n, struct err *e)
{
    struct states *s = run_states(o->run);
    char *id = heap_printf("%s%s", o->node->id, suffix);
    struct state_spec spec = {
        .id = id, .table = -1, .windowed = true, .key_names = names, .n_key = n};
    int rc;

    d->op = o;
    d->n_key = n;
    rc = s->ops->open(s, &spec, &d->rows, e);
    heap_free(id);
    return rc;
}

void dueindex_close(struct dueindex *d)
{
    buf_deinit(&d->taken);
}

void dueindex_forget(struct dueindex *d)
{
    d->known = d->partly = false;
}

int dueindex_first(struct dueindex *d, int64_t *at, struct err *e)
{
    int rc = 0;

    if (!d->known) {
        d->first = DUE_NEVER;
        rc = run_states(d->op->run)
                 ->ops->first(d->rows, INT64_MIN, DUE_NEVER, &d->first, e);
        d->known = rc >= 0;
    }
    *at = d->first;
    return rc < 0 ? rc : 0;
}

int dueindex_is_next(struct dueindex *d, int64_t at, struct bytes key, struct err *e)
{
    int64_t first;
    int rc = dueindex_first(d, &first, e);

    if (rc < 0 || at != first)
        return rc < 0 ? rc : at < first;
    return d->partly && bytes_cmp(key, buf_bytes(&d->taken)) <= 0;
}

// --- taking ---

struct taking {
    struct dueindex *d;
    struct taken {
        int64_t at;
        struct keyblock *key; // its encoded key is the note
    } rows[TAKE_ROWS];
    int n;
};

static int take_row(void *arg, const struct state_key *k, struct bytes blob)
{
    struct taking *t = arg;

    t->rows[t->n].at = k->window;
    t->rows[t->n++].key = keyblock_new(sizeof(struct keyblock), blob, k->parts, t->d->n_key);
    return t->n == TAKE_ROWS;
}

// The rest begins with a row at the time of the last one taken, or later.
static int note_last(struct dueindex *d, const struct taken *last, struct err *e)
{
    int rc;

    buf_clear(&d->taken);
    rc = d->encode(&d->taken, last->key->array.items, d->n_key, e);
    if (rc == 0)
        rc = dueindex_first(d, &(int64_t){0}, e);
    d->partly = rc == 0 && d->first == last->at;
    return rc;
}

int dueindex_take(struct dueindex *d, int64_t w,
                  int (*each)(void *arg, const struct due_row *row, struct err *e), void *arg,
                  struct err *e)
{
    struct taking t = {.d = d};
    int rc = run_states(d->op->run)->ops->scan(d->rows, INT64_MIN, w + 1, take_row, &t, e);

    if (rc > 0)
        rc = 0;
    dueindex_forget(d);
    for (int i = 0; i < t.n && rc == 0; i++) {
        struct due_row row = {.at = t.rows[i].at,
                              .parts = t.rows[i].key->array.items,
                              .note = t.rows[i].key->key};

        rc = dueindex_del(d, row.at, row.parts, e);
        if (rc == 0)
            rc = each(arg, &row, e);
    }
    if (rc == 0 && t.n > 0)
        rc = note_last(d, &t.rows[t.n - 1], e);
    for (int i = 0; i < t.n; i++)
        heap_free(t.rows[i].key);
    return rc;
}

// --- writing ---

static void undo_del(void *d)
{
    dueindex_forget(d);
}

int dueindex_put(struct dueindex *d, const struct due_row *row, struct err *e)
{
    struct state_key k = {.window = row->at, .window_end = row->at, .parts = row->parts};

    d->partly = d->partly && row->at > d->first;
    d->first = d->known && row->at < d->first ? row->at : d->first;
    return run_states(d->op->run)->ops->put(d->rows, &k, NULL, row->note, e);
}

int dueindex_del(struct dueindex *d, int64_t at, const struct value *parts, struct err *e)
{
    struct state_key k = {.window = at, .window_end = at, .parts = parts};

    run_undo_call(d->op->run, undo_del, d);
    if (at == d->first)
        dueindex_forget(d);
    return run_states(d->op->run)->ops->del(d->rows, &k, e);
}
