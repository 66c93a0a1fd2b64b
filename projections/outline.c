// SPDX-License-Identifier: Apache-2.0
#include "projections/outline.h"

#include <stdlib.h>
#include <string.h>

#include "projections/sql_text.h"

// --- members ---

struct value outline_member(const struct value *object, const char *name, struct arena *a)
{
    struct value v = VALUE_OF_MISSING;

    return value_member(object, bytes_str(name), a, &v, NULL) == 0 ? v : VALUE_OF_MISSING;
}

const char *outline_text(const struct value *object, const char *name, struct arena *a)
{
    struct value v = outline_member(object, name, a);

    return v.type == VALUE_TEXT ? (const char *)arena_copy(a, v.s).p : NULL;
}

int64_t outline_int(const struct value *object, const char *name, int64_t fallback)
{
    struct value v = outline_member(object, name, NULL);

    return v.type == VALUE_INT ? v.i : fallback;
}

static uint64_t hash_of(const struct value *object, const char *name, struct arena *a)
{
    const char *text = outline_text(object, name, a);

    return text != NULL ? strtoull(text, NULL, 16) : 0;
}

// --- nodes ---

static int read_inputs(struct outline_node *n, int before, struct arena *a, struct err *e)
{
    struct value list = outline_member(&n->config, "inputs", a), pair, node, port;
    struct value_iter it;
    struct bytes none;
    int rc;

    n->inputs = arena_zalloc(a, (value_count(&list) + 1) * sizeof *n->inputs);
    value_iter_init(&it, &list, a);
    while ((rc = value_iter_next(&it, &none, &pair, e)) == 1) {
        if (value_element(&pair, 1, a, &node, e) != 0 ||
            value_element(&pair, 2, a, &port, e) != 0 || node.type != VALUE_INT ||
            port.type != VALUE_TEXT || node.i < 0 || node.i >= before)
            return err_set(e, LEAT_ECORRUPT, "operator %s has no readable inputs", n->id);
        n->inputs[n->n_inputs++] =
            (struct outline_input){(int)node.i, (const char *)arena_copy(a, port.s).p};
    }
    return rc;
}

static bool has_actions(const struct value *config, struct arena *a)
{
    struct value list = outline_member(config, "cases", a), one, actions;
    struct value_iter it;
    struct bytes none;
    bool has = false;

    value_iter_init(&it, &list, a);
    while (!has && value_iter_next(&it, &none, &one, NULL) == 1) {
        actions = outline_member(&one, "actions", a);
        has = value_count(&actions) > 0;
    }
    return has;
}

static bool node_keeps(const struct outline_node *n, struct arena *a)
{
    struct value writes = outline_member(&n->config, "writes", a);

    return n->shape != 0 || value_truthy(&writes) || strcmp(n->kind, "into") == 0 ||
           (strcmp(n->kind, "match") == 0 && has_actions(&n->config, a));
}

static int read_node(struct outline_node *n, int before, struct arena *a, struct err *e)
{
    int rc;

    n->id = outline_text(&n->config, "id", a);
    n->kind = outline_text(&n->config, "kind", a);
    if (n->id == NULL || n->kind == NULL)
        return err_set(e, LEAT_ECORRUPT, "an operator without a name");
    n->line = (int)outline_int(&n->config, "line", 0);
    n->own = hash_of(&n->config, "own", a);
    n->fingerprint = hash_of(&n->config, "fingerprint", a);
    n->shape = hash_of(&n->config, "shape", a);
    rc = read_inputs(n, before, a, e);
    n->keeps = node_keeps(n, a);
    return rc;
}

static int read_nodes(struct outline *o, struct arena *a, struct err *e)
{
    struct value list = outline_member(&o->whole, "nodes", a);
    struct value_iter it;
    struct bytes none;
    int rc;

    o->nodes = arena_zalloc(a, (value_count(&list) + 1) * sizeof *o->nodes);
    value_iter_init(&it, &list, a);
    while ((rc = value_iter_next(&it, &none, &o->nodes[o->n_nodes].config, e)) == 1) {
        rc = read_node(&o->nodes[o->n_nodes], o->n_nodes, a, e);
        if (rc < 0)
            return rc;
        o->n_nodes++;
    }
    return rc;
}

int outline_find_node(const struct outline *o, const char *id)
{
    for (int i = 0; i < o->n_nodes; i++)
        if (strcmp(o->nodes[i].id, id) == 0)
            return i;
    return -1;
}

bool *outline_reach(const struct outline *o, int from, struct arena *a)
{
    bool *reached = arena_zalloc(a, (size_t)o->n_nodes * sizeof *reached);

    reached[from] = true;
    for (int i = from + 1; i < o->n_nodes; i++)
        for (int k = 0; k < o->nodes[i].n_inputs; k++)
            reached[i] = reached[i] || reached[o->nodes[i].inputs[k].node];
    return reached;
}

// --- tables ---

static int read_tables(struct outline *o, struct arena *a, struct err *e)
{
    struct value list = outline_member(&o->whole, "tables", a);
    struct value_iter it;
    struct bytes none;
    int rc;

    o->tables = arena_zalloc(a, (value_count(&list) + 1) * sizeof *o->tables);
    value_iter_init(&it, &list, a);
    while ((rc = value_iter_next(&it, &none, &o->tables[o->n_tables].config, e)) == 1) {
        struct outline_table *t = &o->tables[o->n_tables++];
        t->name = outline_text(&t->config, "name", a);
        if (t->name == NULL)
            return err_set(e, LEAT_ECORRUPT, "a table without a name");
    }
    return rc;
}

struct outline_table *outline_find_table(const struct outline *o, const char *name)
{
    for (int i = 0; i < o->n_tables; i++)
        if (strcmp(o->tables[i].name, name) == 0)
            return &o->tables[i];
    return NULL;
}

struct outline_column *outline_find_column(const struct outline_table *t, const char *name)
{
    for (int i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static struct bytes line_at(const char *p)
{
    struct bytes line = bytes_of(p, strcspn(p, "\n"));

    if (line.n > 0 && line.p[line.n - 1] == ',')
        line.n--;
    while (line.n > 0 && line.p[0] == ' ')
        line = bytes_of(line.p + 1, line.n - 1);
    return line;
}

void outline_statement(struct outline_table *t, const char *create, struct arena *a)
{
    const char *p = strchr(create, '\n');
    size_t n = 1;

    for (const char *q = create; *q; q++)
        n += *q == '\n';
    t->create = create;
    t->end = "";
    t->columns = arena_zalloc(a, n * sizeof *t->columns);
    t->constraints = arena_zalloc(a, n * sizeof *t->constraints);
    for (; p != NULL; p = strchr(p, '\n')) {
        struct bytes line = line_at(++p);
        struct sql_lexer l;
        if (strchr(p, '\n') == NULL) { // the last line
            t->end = p;
        } else if (line.n > 0 && line.p[0] == '"') {
            sql_lexer_init(&l, line);
            t->columns[t->n_columns++] =
                (struct outline_column){.name = sql_name(sql_next(&l), a), .line = line};
        } else {
            t->constraints[t->n_constraints++] = line;
        }
    }
}

// --- the whole ---

int outline_read(struct outline *o, struct bytes json, struct arena *a, struct err *e)
{
    int rc;

    *o = (struct outline){0};
    rc = value_decode(FORMAT_JSON, arena_copy(a, json), a, &o->whole, e);
    if (rc != 0)
        return rc;
    o->job = outline_text(&o->whole, "job", a);
    o->version = (int)outline_int(&o->whole, "version", 0);
    o->format = (int)outline_int(&o->whole, "fingerprint_format", 0);
    if (o->job == NULL)
        return err_set(e, LEAT_ECORRUPT, "the plan has no job");
    rc = read_tables(o, a, e);
    return rc < 0 ? rc : read_nodes(o, a, e);
}
