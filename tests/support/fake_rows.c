// SPDX-License-Identifier: Apache-2.0
//
// State rows of the fake, as lists in SQL order, and its faults.
#include "runtime/base/heap.h"
#include "tests/support/fake_run.h"

int fake_fault(struct run *r, struct err *e)
{
    if (r->fail_at < 0 || r->fail_at-- > 0)
        return 0;
    return err_set(e, LEAT_EIO, "a fake fault");
}

static int type_rank(const struct value *v)
{
    return v->type == VALUE_TEXT ? 1 : v->type == VALUE_BYTES ? 2 : 0;
}

static double number_of(const struct value *v)
{
    return v->type == VALUE_BOOL ? v->b : v->type == VALUE_INT ? (double)v->i : v->f;
}

static int part_cmp(const struct value *a, const struct value *b)
{
    int ra = type_rank(a), rb = type_rank(b);

    if (ra != rb)
        return ra < rb ? -1 : 1;
    if (ra > 0)
        return bytes_cmp(a->s, b->s);
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return (a->i > b->i) - (a->i < b->i);
    return (number_of(a) > number_of(b)) - (number_of(a) < number_of(b));
}

static int row_cmp(const struct fake_row *a, int64_t window, const struct value *parts)
{
    if (a->window != window)
        return a->window < window ? -1 : 1;
    for (int i = 0; i < a->n_parts; i++) {
        int c = part_cmp(&a->parts[i], &parts[i]);

        if (c != 0)
            return c;
    }
    return 0;
}

static size_t row_at(const struct fake_rows *rows, int64_t window, const struct value *parts,
                     bool *found)
{
    size_t i = 0;
    int c = 1;

    while (i < rows->n && (c = row_cmp(&rows->rows[i], window, parts)) < 0)
        i++;
    *found = i < rows->n && c == 0;
    return i;
}

void fake_rows_copy(struct fake_rows *to, const struct fake_rows *from)
{
    if (to->cap < from->n) {
        to->cap = from->n * 2;
        to->rows = heap_realloc(to->rows, to->cap * sizeof(*to->rows));
    }
    if (from->n > 0)
        memcpy(to->rows, from->rows, from->n * sizeof(*to->rows));
    to->n = from->n;
}

static int states_open(struct states *s, const struct state_spec *spec, struct state **out,
                       struct err *e)
{
    struct run *r = container_of(s, struct run, states);
    struct state *st = NULL;

    (void)e;
    for (int i = 0; i < r->n_states; i++)
        if (strcmp(r->state[i].id, spec->id) == 0)
            st = &r->state[i];
    if (st == NULL)
        st = &r->state[r->n_states++];
    st->run = r;
    st->id = arena_strdup(&r->keep, spec->id);
    st->fused = spec->table >= 0;
    st->n_key = spec->n_key;
    st->n_prefix = spec->n_prefix;
    st->by_key = spec->by_key && spec->table < 0;
    st->n_columns = spec->n_columns;
    *out = st;
    return 0;
}

static int state_get(struct state *st, const struct state_key *k, struct arena *a,
                     struct bytes *blob, struct err *e)
{
    bool found;
    size_t i = row_at(&st->now, k->window, k->parts, &found);
    int rc = fake_fault(st->run, e);

    st->run->gets++;
    if (rc < 0 || !found || bytes_is_null(st->now.rows[i].blob))
        return rc;
    *blob = arena_copy(a, st->now.rows[i].blob);
    return 1;
}

static int state_get_many(struct state *st, const struct state_key *keys, int n,
                          int (*each)(void *arg, int i, struct bytes blob), void *arg,
                          struct err *e)
{
    int rc = 0;

    for (int i = 0; i < n && rc == 0; i++) {
        struct bytes blob = BYTES_NULL;

        rc = state_get(st, &keys[i], &st->run->record, &blob, e);
        rc = rc < 0 ? rc : each(arg, i, blob);
    }
    return rc;
}

static struct value *values_keep(struct run *r, const struct value *v, int n)
{
    struct value *kept = arena_alloc(&r->keep, (size_t)(n + 1) * sizeof(*kept));

    for (int i = 0; i < n; i++)
        kept[i] = value_copy(&v[i], &r->keep);
    return kept;
}

// SQL keeps booleans as integers.
static void parts_as_sql(struct value *parts, int n)
{
    for (int i = 0; i < n; i++)
        if (parts[i].type == VALUE_BOOL)
            parts[i] = value_int(parts[i].b);
}

static void check_order(struct state *st, const struct state_key *k)
{
    struct fake_row last = {.window = st->last_window, .n_parts = st->n_key};

    if (!st->run->check_order || strchr(st->id, '/') != NULL) // an index's rows are taken before
        return;
    if (!bytes_is_null(st->last_put)) {
        last.parts = (struct value *)st->last_put.p;
        last.window = st->by_key ? k->window : last.window;
        ASSERT(row_cmp(&last, k->window, k->parts) <
               (st->by_key && st->last_window < k->window ? 1 : 0));
    }
    st->last_put = bytes_of(values_keep(st->run, k->parts, st->n_key), 1);
    st->last_window = k->window;
}

static int state_put(struct state *st, const struct state_key *k, const struct value *columns,
                     struct bytes blob, struct err *e)
{
    struct run *r = st->run;
    bool found;
    size_t i = row_at(&st->now, k->window, k->parts, &found);
    int rc = fake_fault(r, e);
    struct fake_row *row;

    if (rc < 0)
        return rc;
    r->puts++;
    check_order(st, k);
    ASSERT(st->fused == (columns != NULL));
    if (!found) {
        ASSERT(!bytes_is_null(blob) || st->fused);
        if (st->now.n == st->now.cap) {
            st->now.cap = st->now.cap ? st->now.cap * 2 : 64;
            st->now.rows = heap_realloc(st->now.rows, st->now.cap * sizeof(*st->now.rows));
        }
        memmove(st->now.rows + i + 1, st->now.rows + i, (st->now.n - i) * sizeof(*row));
        st->now.n++;
        st->now.rows[i] = (struct fake_row){.window = k->window,
                                            .window_end = k->window_end,
                                            .parts = values_keep(r, k->parts, st->n_key),
                                            .n_parts = st->n_key};
        parts_as_sql(st->now.rows[i].parts, st->n_key);
    }
    row = &st->now.rows[i];
    row->window_end = k->window_end;
    row->blob = bytes_is_null(blob) ? BYTES_NULL : arena_copy(&r->keep, blob);
    if (columns != NULL)
        row->columns = values_keep(r, columns, st->n_columns);
    row->n_columns = columns != NULL ? st->n_columns : 0;
    if (bytes_is_null(blob) && !st->fused) {
        st->now.n--;
        memmove(row, row + 1, (st->now.n - i) * sizeof(*row));
    }
    return 0;
}

static int state_del(struct state *st, const struct state_key *k, struct err *e)
{
    bool found;
    size_t i = row_at(&st->now, k->window, k->parts, &found);
    int rc = fake_fault(st->run, e);

    if (rc < 0)
        return rc;
    check_order(st, k);
    if (found) {
        st->now.n--;
        memmove(st->now.rows + i, st->now.rows + i + 1, (st->now.n - i) * sizeof(*st->now.rows));
    }
    return 0;
}

static int state_scan(struct state *st, int64_t from, int64_t to,
                      int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                      void *arg, struct err *e)
{
    int rc = fake_fault(st->run, e);

    for (size_t i = 0; i < st->now.n && rc == 0; i++) {
        const struct fake_row *row = &st->now.rows[i];
        struct state_key k = {
            .window = row->window, .window_end = row->window_end, .parts = row->parts};

        if (row->window >= from && row->window < to && !bytes_is_null(row->blob))
            rc = each(arg, &k, row->blob);
    }
    return rc;
}

static int state_first(struct state *st, int64_t from, int64_t to, int64_t *window, struct err *e)
{
    int rc = fake_fault(st->run, e);

    for (size_t i = 0; i < st->now.n && rc == 0; i++) {
        *window = st->now.rows[i].window;
        rc = *window >= from && *window < to && !bytes_is_null(st->now.rows[i].blob);
    }
    return rc;
}

static bool has_prefix(const struct state *st, const struct fake_row *row,
                       const struct value *prefix)
{
    for (int i = 0; i < st->n_prefix; i++)
        if (part_cmp(&row->parts[i], &prefix[i]) != 0)
            return false;
    return true;
}

static int state_scan_key(struct state *st, const struct value *prefix, int64_t from, int64_t to,
                          int (*each)(void *arg, const struct state_key *k, struct bytes blob),
                          void *arg, struct err *e)
{
    int rc = fake_fault(st->run, e);

    for (size_t i = 0; i < st->now.n && rc == 0; i++) {
        const struct fake_row *row = &st->now.rows[i];
        struct state_key k = {
            .window = row->window, .window_end = row->window_end, .parts = row->parts};

        if (row->window >= from && row->window < to && !bytes_is_null(row->blob) &&
            has_prefix(st, row, prefix))
            rc = each(arg, &k, row->blob);
    }
    return rc;
}

static int state_purge(struct state *st, int64_t before, int most, struct err *e)
{
    size_t n = 0;

    (void)e;
    while (n < st->now.n && st->now.rows[n].window < before &&
           (n < (size_t)most || st->now.rows[n].window == st->now.rows[n - 1].window))
        n++;
    st->now.n -= n;
    if (n > 0)
        memmove(st->now.rows, st->now.rows + n, st->now.n * sizeof(*st->now.rows));
    return st->now.n > 0 && st->now.rows[0].window < before;
}

const struct states_ops fake_states_ops = {
    .open = states_open, .get = state_get, .get_many = state_get_many,
    .put = state_put, .del = state_del, .first = state_first, .scan = state_scan,
    .scan_key = state_scan_key, .purge = state_purge};
