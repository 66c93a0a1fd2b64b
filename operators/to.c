// SPDX-License-Identifier: Apache-2.0
//
// to "topic": hands one output record to the run, which writes it to the outbox with the step.
//
//   key      the expression, else the event's key; nil from an expression is class `key`, because a
//            record that silently lost its key would lose its order
//   value    the original bytes while nothing changed it; nil is a null value (a tombstone); else
//            JSON, or the format that was asked for. With a schema it is checked, and what is
//            written anew has the schema's form: class `schema` if it does not fit
//   headers  the event's, then those of the expressions, which replace equal names; nil adds none
#include "operators/operators.h"

#include "runtime/record/schema.h"


struct to {
    struct operator op;
    struct buf value; // reused
};

static int to_key(struct operator *o, struct event *ev, struct value *key, struct err *e)
{
    int rc;

    *key = ev->key;
    if (!o->node->to.has_key)
        return 0;
    rc = operator_eval(o, &o->node->to.key, ev, key, e);
    if (rc < 0)
        return err_wrap(e, rc, "key");
    if (value_is_nil(key))
        return err_set(e, LEAT_EKEY, "the key for %s is nil", o->node->to.topic);
    return 0;
}

// What format = "text" writes: a text, or {text = ...} as sources of that format give it; the same
// of bytes.
static int plain_value(enum format f, const struct value *v, struct arena *a, struct bytes *out,
                       struct err *e)
{
    const char *name = f == FORMAT_TEXT ? "text" : "bytes";
    struct value plain = *v;
    int rc = 0;

    if (value_is_object(v) && value_count(v) == 1)
        rc = value_member(v, bytes_str(name), a, &plain, e);
    if (rc == 0)
        rc = value_force(&plain, a, e);
    if (rc != 0)
        return rc;
    if (plain.type != VALUE_TEXT && (f != FORMAT_BYTES || plain.type != VALUE_BYTES))
        return err_set(e, LEAT_ETYPE, "format = \"%s\" wants a text or {%s = ...} alone, not %s",
                       name, name, value_type_name(v));
    *out = plain.s.p != NULL ? plain.s : BYTES_LIT("");
    return 0;
}

static int encode(struct to *to, enum format f, const struct value *v, struct bytes *value,
                  struct err *e)
{
    int rc;

    if (f == FORMAT_TEXT || f == FORMAT_BYTES)
        return plain_value(f, v, run_arena(to->op.run), value, e);
    buf_clear(&to->value);
    rc = f == FORMAT_MSGPACK ? value_write_msgpack(v, &to->value, e)
                             : value_write_json(v, &to->value, e);
    *value = buf_bytes(&to->value);
    return rc;
}

// A record that the source has checked against the same schema is not checked again.
static int to_value(struct to *to, struct event *ev, struct bytes *value, struct err *e)
{
    const struct plan_node *n = to->op.node;
    enum format f = n->to.has_format ? n->to.format : FORMAT_JSON;
    bool same = !n->to.has_format || ev->view.format == f;
    struct value root = ev->view.root;
    bool checked = n->to.schema == NULL;
    int rc = 0;

    *value = ev->view.raw;
    if (bytes_is_null(ev->view.raw) && value_is_nil(&root))
        return 0;
    if (!bytes_is_null(ev->view.raw) && n->in.value != NULL && n->to.schema != NULL)
        checked = type_eq(n->in.value, n->to.schema);
    if (!checked)
        rc = schema_check(n->to.schema, &root, run_arena(to->op.run), e);
    if (rc != 0 || (!bytes_is_null(ev->view.raw) && same))
        return rc;
    return encode(to, f, &root, value, e);
}

// Text and bytes as they are, the rest as JSON.
static int header_bytes(const struct value *v, struct arena *a, struct bytes *out, struct err *e)
{
    struct buf b = BUF_EMPTY;
    int rc;

    if (v->type == VALUE_TEXT || v->type == VALUE_BYTES) {
        *out = v->s;
        return 0;
    }
    rc = value_write_json(v, &b, e);
    if (rc == 0)
        *out = arena_copy(a, buf_bytes(&b));
    buf_deinit(&b);
    return rc;
}

static void header_put(struct header *h, size_t *n, struct header add)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        if (!bytes_eq(h[i].name, add.name))
            h[kept++] = h[i];
    h[kept++] = add;
    *n = kept;
}

static int to_headers(struct operator *o, struct event *ev, const struct header **out, size_t *n,
                      struct err *e)
{
    struct arena *a = run_arena(o->run);
    size_t extra = (size_t)o->node->to.n_headers;
    struct header *h;

    *out = ev->headers;
    *n = ev->n_headers;
    if (extra == 0)
        return 0;
    h = arena_alloc(a, (ev->n_headers + extra) * sizeof(*h));
    if (ev->n_headers > 0)
        memcpy(h, ev->headers, ev->n_headers * sizeof(*h));
    for (size_t i = 0; i < extra; i++) {
        const struct plan_field *f = &o->node->to.headers[i];
        struct header add = {.name = f->name};
        struct value v;
        int rc = operator_eval(o, &f->expr, ev, &v, e);

        if (rc == 0 && value_is_nil(&v))
            continue;
        if (rc == 0)
            rc = header_bytes(&v, a, &add.value, e);
        if (rc < 0)
            return err_wrap(e, rc, "header %.*s", BYTES_FMT(f->name));
        header_put(h, n, add);
    }
    *out = h;
    return 0;
}

static int to_process(struct operator *o, struct event *ev, int input, struct err *e)
{
    const struct header *headers = NULL;
    size_t n_headers = 0;
    struct value key;
    struct bytes value;
    int rc = to_key(o, ev, &key, e);

    (void)input;
    if (rc == 0)
        rc = to_headers(o, ev, &headers, &n_headers, e);
    if (rc == 0)
        rc = to_value((struct to *)o, ev, &value, e);
    if (rc < 0)
        return rc;
    return run_output(o->run, o->node, ev, key, value, headers, n_headers, e);
}

static void to_close(struct operator *o)
{
    buf_deinit(&((struct to *)o)->value);
}

const struct operator_type operator_to = {
    .kind = NODE_TO,
    .size = sizeof(struct to),
    .process = to_process,
    .close = to_close,
};
