// SPDX-License-Identifier: Apache-2.0
//
// Rows of sessions. Beside the row of each open session stands one in the due index, under its key,
// at its deadline or earlier; where, its blob says, so that a session that comes back into memory
// knows. It moves when it has been found too early, not when the session grows.
//
// No two open sessions of a key stand at one place: each place less the grace lies within its
// session, after the start, and sessions do not overlap. Where one takes over the place of another
// that ended in the same step, the deletion is written first.
//
// The blob: version u8 = 5, end, due_at (varints), the key's parts (results.h), the accumulators.
#include "operators/groupkey.h"
#include "operators/pack.h"
#include "operators/session.h"

#include "runtime/base/heap.h"

#include <stdlib.h>

#define BLOB_VERSION 5

static int unreadable(const struct sessions *x, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "a state row of %s cannot be read", x->op.node->id);
}

// --- reading ---

struct loading {
    struct sessions *x;
    struct session_key *key;
    struct err *err;
};

struct front {
    int64_t end, due_at;
    struct bytes exact;
};

static int unpack_front(const struct sessions *x, struct bytes *in, struct front *f,
                        struct value *parts)
{
    uint8_t version;
    int rc = unpack_u8(in, &version);

    if (rc < 0 || version != BLOB_VERSION)
        return LEAT_ECORRUPT;
    rc = unpack_int(in, &f->end);
    rc = rc < 0 ? rc : unpack_int(in, &f->due_at);
    return rc < 0 ? rc : results_unpack_exact(&x->r, in, parts, &f->exact);
}

// A table's column types may show two keys alike: only those of this one are its.
static int is_of_key(struct loading *l, const struct state_key *row, const struct value *parts,
                     bool exact)
{
    struct results *r = &l->x->r;
    int rc;

    buf_clear(&r->blob);
    rc = group_key_encode(&r->blob, exact ? parts : row->parts, r->n_key, l->err);
    return rc < 0 ? rc : bytes_eq(buf_bytes(&r->blob), l->key->k.key);
}

static int load_row(void *arg, const struct state_key *row, struct bytes blob)
{
    struct loading *l = arg;
    struct sessions *x = l->x;
    struct session *s;
    struct value *parts;
    struct front f;
    int rc;

    arena_reset(&x->r.arena);
    parts = arena_alloc(&x->r.arena, (size_t)x->r.n_key * sizeof(*parts));
    if (unpack_front(x, &blob, &f, parts) < 0)
        return unreadable(x, l->err);
    rc = is_of_key(l, row, parts, f.exact.n > 0);
    if (rc <= 0)
        return rc;
    s = session_new(x, l->key, f.exact);
    s->b = (struct session_bounds){.start = row->window, .end = f.end, .flags = SESSION_STORED};
    session_keep(&l->key->list, &l->key->n, &l->key->cap, s); // rows come by start
    s->due_at = f.due_at;
    if (functions_unpack(&x->r.f, s->acc, &blob) < 0 || blob.n > 0)
        return unreadable(x, l->err);
    return 0;
}

int session_rows_load(struct sessions *x, struct session_key *k, struct err *e)
{
    struct loading l = {.x = x, .key = k, .err = e};

    return run_states(x->op.run)
        ->ops->scan_key(x->r.state, k->k.array.items, INT64_MIN, INT64_MAX, load_row, &l, e);
}

// --- writing ---

void session_row_op(struct sessions *x, struct session *s, bool leave)
{
    if (x->n_ops == x->cap_ops) {
        x->cap_ops = x->cap_ops > 0 ? x->cap_ops * 2 : 16;
        x->ops = heap_realloc(x->ops, x->cap_ops * sizeof(*x->ops));
    }
    x->ops[x->n_ops] = (struct row_op){
        .start = s->b.start, .s = s, .leave = leave, .order = x->n_ops};
    x->n_ops++;
}

static struct state_key row_key(struct sessions *x, int64_t start, int64_t end,
                                const struct session *s)
{
    arena_reset(&x->r.arena);
    return (struct state_key){
        .window = start,
        .window_end = end,
        .parts = results_row_parts(&x->r, s->key->k.key, x->r.typed_keys ? s->exact : BYTES_NULL)};
}

static int pack_session(struct sessions *x, const struct session *s, struct err *e)
{
    buf_clear(&x->r.blob);
    pack_u8(&x->r.blob, BLOB_VERSION);
    pack_int(&x->r.blob, s->b.end);
    pack_int(&x->r.blob, s->due_at);
    results_pack_exact(&x->r, s->exact, &x->r.blob);
    return functions_pack(&x->r.f, s->acc, &x->r.blob, e);
}

static int put_session(struct sessions *x, struct session *s, struct err *e)
{
    struct states *states = run_states(x->op.run);
    struct state_key k = row_key(x, s->b.start, s->b.end, s);
    struct value *columns = NULL;
    bool closed = (s->b.flags & SESSION_OVER) != 0;
    int rc = 0;

    if (x->r.fused) {
        columns = arena_alloc(&x->r.arena, (size_t)(x->r.f.n + 1) * sizeof(*columns));
        functions_results(&x->r.f, s->acc, columns, &x->r.arena);
    }
    if (!closed)
        rc = pack_session(x, s, e);
    if (rc == 0)
        rc = states->ops->put(x->r.state, &k, columns, closed ? BYTES_NULL : buf_bytes(&x->r.blob),
                              e);
    if (rc == 0 && !closed)
        s->b.flags = SESSION_STORED;
    return rc;
}

static int cmp_key(const struct row_op *x, const struct row_op *y)
{
    return x->s->key == y->s->key ? 0 : bytes_cmp(x->s->key->k.key, y->s->key->k.key);
}

static int cmp_start(const struct row_op *x, const struct row_op *y)
{
    return (x->start > y->start) - (x->start < y->start);
}

static int cmp_order(const struct row_op *x, const struct row_op *y)
{
    return (x->order > y->order) - (x->order < y->order);
}

// A table of the aggregate's begins with the window, the state table of its own with the key.
static int in_table_order(const void *a, const void *b)
{
    int cmp = cmp_start(a, b);

    cmp = cmp != 0 ? cmp : cmp_key(a, b);
    return cmp != 0 ? cmp : cmp_order(a, b);
}

static int in_own_order(const void *a, const void *b)
{
    int cmp = cmp_key(a, b);

    cmp = cmp != 0 ? cmp : cmp_start(a, b);
    return cmp != 0 ? cmp : cmp_order(a, b);
}

static int run_op(struct sessions *x, const struct row_op *op, struct err *e)
{
    struct states *states = run_states(x->op.run);
    struct state_key k;

    if (!op->leave)
        return put_session(x, op->s, e);
    k = row_key(x, op->start, 0, op->s);
    return states->ops->del(x->r.state, &k, e);
}

static int write_rows(struct sessions *x, struct err *e)
{
    int rc = 0;

    if (x->n_ops > 1)
        qsort(x->ops, x->n_ops, sizeof(*x->ops), x->r.fused ? in_table_order : in_own_order);
    for (size_t i = 0; i < x->n_ops && rc == 0; i++) {
        const struct row_op *op = &x->ops[i], *next = op + 1;
        bool last = i + 1 == x->n_ops || next->start != op->start || next->s->key != op->s->key;

        if (last)
            rc = run_op(x, op, e);
    }
    x->n_ops = 0;
    return rc;
}

// --- the due index ---

static void due_op(struct sessions *x, const struct session *s, bool del)
{
    if (x->n_dues == x->cap_dues) {
        x->cap_dues = x->cap_dues > 0 ? x->cap_dues * 2 : 16;
        x->dues = heap_realloc(x->dues, x->cap_dues * sizeof(*x->dues));
    }
    x->dues[x->n_dues++] = (struct due_op){.at = s->due_at, .s = s, .del = del};
}

static void place(struct sessions *x, struct session *s)
{
    if (s->due_at != DUE_NEVER)
        return;
    run_undo_bytes(x->op.run, &s->due_at, sizeof(s->due_at));
    s->due_at = session_deadline(x, s);
    due_op(x, s, false);
}

static void displace(struct sessions *x, struct session **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i]->due_at == DUE_NEVER)
            continue;
        due_op(x, list[i], true);
        run_undo_bytes(x->op.run, &list[i]->due_at, sizeof(list[i]->due_at));
        list[i]->due_at = DUE_NEVER;
    }
}

static int in_due_order(const void *a, const void *b)
{
    const struct due_op *x = a, *y = b;
    int cmp = (x->at > y->at) - (x->at < y->at);

    cmp = cmp != 0 ? cmp : bytes_cmp(x->s->key->k.key, y->s->key->k.key);
    return cmp != 0 ? cmp : y->del - x->del;
}

static int write_dues(struct sessions *x, struct err *e)
{
    int rc = 0;

    if (x->n_dues > 1)
        qsort(x->dues, x->n_dues, sizeof(*x->dues), in_due_order);
    for (size_t i = 0; i < x->n_dues && rc == 0; i++) {
        const struct due_op *op = &x->dues[i];
        struct value key = {.type = VALUE_BYTES, .s = op->s->key->k.key};
        struct due_row row = {.at = op->at, .parts = &key, .note = BYTES_LIT("x")};

        if (x->r.typed_keys && op->s->exact.n > 0)
            row.note = op->s->exact;
        rc = op->del ? dueindex_del(&x->due, op->at, &key, e) : dueindex_put(&x->due, &row, e);
    }
    x->n_dues = 0;
    return rc;
}

int session_rows_flush(struct sessions *x, struct err *e)
{
    int rc;

    for (size_t i = 0; i < x->n_dirty; i++) {
        struct session_key *k = x->dirty[i];

        k->listed = false;
        for (size_t s = 0; s < k->n; s++) {
            if (!(k->list[s]->b.flags & SESSION_DIRTY))
                continue;
            place(x, k->list[s]);
            session_row_op(x, k->list[s], false);
        }
    }
    x->n_dirty = 0;
    displace(x, x->absorbed, x->n_absorbed);
    displace(x, x->graves, x->n_graves);
    rc = write_rows(x, e);
    return rc < 0 ? rc : write_dues(x, e);
}
