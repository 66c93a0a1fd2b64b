// SPDX-License-Identifier: Apache-2.0
//
// The reading half of plan_json.c: tables, views and queries of a stored plan, for who reads a
// job's file without the job's source. Operators are not read back: a plan that runs comes from its
// job file only.
#include "runtime/engine/plan.h"

struct plan_reader {
    struct plan *plan;
    struct arena *arena; // the plan's
};

static const char *text_of(struct plan_reader *r, const struct value *object, const char *name)
{
    struct value v = VALUE_OF_MISSING;

    if (value_member(object, bytes_str(name), r->arena, &v, NULL) != 0 || v.type != VALUE_TEXT)
        return NULL;
    return (const char *)arena_copy(r->arena, v.s).p;
}

static int64_t number_of(struct plan_reader *r, const struct value *object, const char *name)
{
    struct value v = VALUE_OF_MISSING;

    return value_member(object, bytes_str(name), r->arena, &v, NULL) == 0 && v.type == VALUE_INT
               ? v.i
               : -1;
}

static bool flag_of(struct plan_reader *r, const struct value *object, const char *name)
{
    struct value v = VALUE_OF_MISSING;

    return value_member(object, bytes_str(name), r->arena, &v, NULL) == 0 && value_truthy(&v);
}

// A list in JSON and how one of its elements becomes an item of a plan's array.
struct plan_list {
    const char *name;
    size_t size; // of an item
    int (*fill)(struct plan_reader *r, const struct value *from, void *item, struct err *e);
};

// Allocates one zeroed item per element of the list, and fills each.
static int list_of(struct plan_reader *r, const struct value *object, const struct plan_list *l,
                   void **items, int *n, struct err *e)
{
    struct value list, element;
    struct value_iter it;
    struct bytes none; // elements have no names
    int rc = value_member(object, bytes_str(l->name), r->arena, &list, e);

    *n = 0;
    *items = NULL;
    if (rc != 0)
        return rc;
    *items = arena_zalloc(r->arena, value_count(&list) * l->size);
    value_iter_init(&it, &list, r->arena);
    while ((rc = value_iter_next(&it, &none, &element, e)) == 1) {
        rc = l->fill(r, &element, (char *)*items + (size_t)(*n)++ * l->size, e);
        if (rc != 0)
            return rc;
    }
    return rc;
}

static int damaged(const char *what, struct err *e)
{
    return err_set(e, LEAT_ECORRUPT, "the stored plan is damaged: a %s without a name", what);
}

static int fill_index(struct plan_reader *r, const struct value *from, void *item, struct err *e)
{
    struct plan_index *x = item;

    if (from->type != VALUE_TEXT)
        return damaged("index", e);
    x->sql = (const char *)arena_copy(r->arena, from->s).p;
    return 0;
}

static int fill_table(struct plan_reader *r, const struct value *from, void *item, struct err *e)
{
    struct plan_table *t = item;
    void *indexes = NULL;
    int rc;

    t->name = text_of(r, from, "name");
    t->body = text_of(r, from, "body");
    t->ttl = text_of(r, from, "ttl");
    t->history = text_of(r, from, "history");
    t->without_rowid = flag_of(r, from, "without_rowid");
    t->aggregate = (int)number_of(r, from, "aggregate");
    if (t->name == NULL || t->body == NULL)
        return damaged("table", e);
    rc = list_of(r, from, &(struct plan_list){"indexes", sizeof(struct plan_index), fill_index},
                 &indexes, &t->n_indexes, e);
    t->indexes = indexes;
    return rc;
}

static int fill_view(struct plan_reader *r, const struct value *from, void *item, struct err *e)
{
    struct plan_view *v = item;

    v->name = text_of(r, from, "name");
    v->sql = text_of(r, from, "sql");
    return v->name == NULL || v->sql == NULL ? damaged("view", e) : 0;
}

static int fill_param(struct plan_reader *r, const struct value *from, void *item, struct err *e)
{
    struct plan_param *p = item;
    struct value fallback;
    int rc;

    p->name = text_of(r, from, "name");
    p->type = text_of(r, from, "type");
    p->nullable = flag_of(r, from, "nullable");
    if (p->name == NULL || p->type == NULL)
        return damaged("parameter", e);
    if (flag_of(r, from, "required"))
        return 0;
    rc = value_member(from, BYTES_LIT("fallback"), r->arena, &fallback, e);
    if (rc == 0)
        p->fallback = value_copy(&fallback, r->arena);
    return rc;
}

static int fill_query(struct plan_reader *r, const struct value *from, void *item, struct err *e)
{
    struct plan_query *q = item;
    void *params = NULL;
    int rc;

    q->name = text_of(r, from, "name");
    q->sql = text_of(r, from, "sql");
    q->path = text_of(r, from, "path");
    q->one = flag_of(r, from, "one");
    if (q->name == NULL || q->sql == NULL)
        return damaged("query", e);
    rc = list_of(r, from, &(struct plan_list){"params", sizeof(struct plan_param), fill_param},
                 &params, &q->n_params, e);
    q->params = params;
    return rc;
}

static int read_model(struct plan_reader *r, const struct value *from, struct err *e)
{
    struct plan *p = r->plan;
    void *tables = NULL, *views = NULL, *queries = NULL;
    int rc;

    p->job = text_of(r, from, "job");
    p->version = (int)number_of(r, from, "version");
    if (p->job == NULL)
        return damaged("job", e);
    rc = list_of(r, from, &(struct plan_list){"tables", sizeof(struct plan_table), fill_table},
                 &tables, &p->n_tables, e);
    if (rc == 0)
        rc = list_of(r, from, &(struct plan_list){"views", sizeof(struct plan_view), fill_view},
                     &views, &p->n_views, e);
    if (rc == 0)
        rc = list_of(r, from, &(struct plan_list){"queries", sizeof(struct plan_query), fill_query},
                     &queries, &p->n_queries, e);
    p->tables = tables;
    p->views = views;
    p->queries = queries;
    return rc;
}

int plan_read_json(struct plan **out, struct bytes json, struct err *e)
{
    struct plan_reader r = {.plan = plan_new("the stored plan")};
    struct value from;
    int rc;

    r.arena = &r.plan->arena;
    rc = value_decode(FORMAT_JSON, arena_copy(r.arena, json), r.arena, &from, e);
    if (rc == 0)
        rc = read_model(&r, &from, e);
    if (rc != 0) {
        plan_free(r.plan);
        return err_wrap(e, rc, "the plan stored in the job file");
    }
    *out = r.plan;
    return 0;
}
