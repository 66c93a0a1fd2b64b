// SPDX-License-Identifier: Apache-2.0
//
// User functions behind struct fn.
//
// A function is known by its number: the i-th that the file handed to a word. So when a state was
// spent (out of time or memory), the file is run again in a fresh one and the numbers still fit:
// loading is deterministic.
//
// One protected call per record does everything that may raise: push the view and ctx, call, turn
// the result into a value in the caller's arena. What each call needs hangs on the C function that
// does it: an upvalue is an array access, the registry a hash lookup.
#include "runtime/base/failpoint.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "scripts/host/context.h"
#include "scripts/host/script_host.h"
#include "scripts/host/values.h"

struct lua_fn {
    struct fn base;
    struct script *script;
    int index; // from 1, in KEY_FUNCTIONS
};

struct invocation {
    struct lua_fn *f;
    struct fn_call *call;
};

enum { UP_FUNCTIONS = 1, UP_VIEW, UP_CTX };

static int invoke(lua_State *L)
{
    struct invocation *x = lua_touserdata(L, 1);

    (void)lua_rawgeti(L, lua_upvalueindex(UP_FUNCTIONS), x->f->index);
    if (x->call->upgrade_from != 0) {
        value_push_copy(L, &x->call->event->view.root, x->call->arena);
        lua_pushinteger(L, x->call->upgrade_from);
    } else {
        view_push_root(L, lua_upvalueindex(UP_VIEW), &x->call->event->view);
        lua_pushvalue(L, lua_upvalueindex(UP_CTX));
    }
    lua_call(L, 2, 1);
    value_take(L, -1, x->call->arena, &x->call->result);
    if (x->call->keyed != NULL)
        context_take_state(L, x->call);
    return 0;
}

void script_fn_open(lua_State *L)
{
    host_push_key(L, KEY_FUNCTIONS);
    host_push_key(L, KEY_VIEW);
    host_push_key(L, KEY_CTX);
    lua_pushcclosure(L, invoke, 3);
    host_set_key(L, KEY_INVOKE);
}

static int lua_fn_call(struct fn *base, struct fn_call *c, struct err *e)
{
    struct lua_fn *f = container_of(base, struct lua_fn, base);
    struct host *h = &f->script->host;
    struct invocation x = {f, c};
    int rc;

    if (h->L == NULL || h->spent) {
        rc = script_run_file(f->script, e);
        if (rc != 0)
            return rc;
    }
    ASSERT(h->call == NULL); // functions do not call functions
    h->call = c;
    h->generation++;
    h->arena_before = c->arena->used;
    h->emits = NULL;
    h->n_emits = h->cap_emits = 0;
    random_seed(&h->random, c->seed);
    c->result = VALUE_OF_MISSING;
    failpoint_value("lua_call", bytes_is_null(c->event->view.raw) ? c->event->key_raw
                                                                  : c->event->view.raw);
    rc = host_run_kept(h, KEY_INVOKE, &x, e);
    c->emits = rc == 0 ? h->emits : NULL;
    c->n_emits = rc == 0 ? h->n_emits : 0;
    h->call = NULL;
    return rc;
}

// --- fingerprints ---

struct description {
    struct lua_fn *f;
    struct buf *out;
    bool names_db;
};

static int describe(lua_State *L)
{
    struct description *d = lua_touserdata(L, 1);

    host_push_key(L, KEY_FUNCTIONS);
    (void)lua_rawgeti(L, -1, d->f->index);
    d->names_db = function_describe(L, lua_gettop(L), d->out);
    return 0;
}

static void lua_fn_fingerprint(struct fn *base, struct buf *out)
{
    struct description d = {.f = container_of(base, struct lua_fn, base), .out = out};
    struct err e;
    size_t before = out->n;

    if (d.f->script->host.spent || host_run(&d.f->script->host, describe, &d, 0, &e) != 0) {
        out->n = before; // a function that cannot be described equals no other
        buf_printf(out, "%s:%d", base->file, base->line);
    }
}

static bool lua_fn_names_db(struct fn *base)
{
    struct buf ignored = BUF_EMPTY;
    struct description d = {.f = container_of(base, struct lua_fn, base), .out = &ignored};
    struct err e;
    bool may = d.f->script->host.spent || host_run(&d.f->script->host, describe, &d, 0, &e) != 0;

    buf_deinit(&ignored);
    return may || d.names_db;
}

static void lua_fn_free(struct fn *base)
{
    heap_free(container_of(base, struct lua_fn, base));
}

static const struct fn_ops lua_fn_ops = {
    .call = lua_fn_call,
    .fingerprint = lua_fn_fingerprint,
    .names_db = lua_fn_names_db,
    .free = lua_fn_free,
};

struct fn *script_fn_new(struct script *s, int index, int line)
{
    struct lua_fn *f = heap_zalloc(sizeof(*f));

    f->base = (struct fn){.ops = &lua_fn_ops, .file = s->host.file, .line = line};
    f->script = s;
    f->index = index;
    return &f->base;
}
