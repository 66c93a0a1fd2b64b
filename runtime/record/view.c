// SPDX-License-Identifier: Apache-2.0
//
// Field plans and views. view_scan is one pass of a format's scanner with the plan's tree beside
// it; everything it needs is one slot array in the record's arena. Slots that the scanner left
// unresolved, and all slots over built values, are resolved on first use by walking the path;
// either way the answer is kept.
#include "runtime/record/view.h"

#include "runtime/record/fieldplan.h"

#include "runtime/base/heap.h"

enum { MEMBERS_MIN = 16 };

struct fieldplan *fieldplan_new(void)
{
    struct fieldplan *p = heap_zalloc(sizeof *p);

    arena_init(&p->arena);
    p->root.slot = -1;
    return p;
}

void fieldplan_free(struct fieldplan *p)
{
    if (p == NULL)
        return;
    arena_deinit(&p->arena);
    heap_free(p->by_slot);
    heap_free(p);
}

int fieldplan_slots(const struct fieldplan *p)
{
    return p->n_slots;
}

static struct plan_node *node_below(struct fieldplan *p, struct plan_node *node,
                                    const struct path_step *step)
{
    const struct plan_node *found =
        bytes_is_null(step->name) ? plan_element(node, step->index) : plan_member(node, step->name);
    struct plan_node *made, **last = &node->child;

    while (*last != NULL && *last != found)
        last = &(*last)->sibling;
    if (*last != NULL)
        return *last;
    made = arena_zalloc(&p->arena, sizeof *made);
    made->step = *step;
    if (!bytes_is_null(step->name))
        made->step.name = arena_copy(&p->arena, step->name);
    made->slot = -1;
    made->parent = node;
    *last = made;
    return made;
}

int fieldplan_add(struct fieldplan *p, const struct path_step *steps, size_t n)
{
    struct plan_node *node = &p->root;

    ASSERT(n > 0);
    for (size_t i = 0; i < n; i++)
        node = node_below(p, node, &steps[i]);
    if (node->slot >= 0)
        return node->slot;
    if (p->n_slots == p->cap_slots) {
        p->cap_slots = p->cap_slots ? p->cap_slots * 2 : 8;
        p->by_slot = heap_realloc(p->by_slot, (size_t)p->cap_slots * sizeof *p->by_slot);
    }
    p->by_slot[p->n_slots] = node;
    node->slot = p->n_slots++;
    return node->slot;
}

void fieldplan_add_members(struct fieldplan *p)
{
    p->members = true;
}

void plan_forget(const struct plan_node *node, struct slots *slots)
{
    if (node->slot >= 0) {
        slots->values[node->slot] = VALUE_OF_MISSING;
        slots->known[node->slot] = SLOT_TOKEN;
    }
    for (const struct plan_node *c = node->child; c != NULL; c = c->sibling)
        plan_forget(c, slots);
}

static void plan_open(const struct plan_node *node, struct slots *slots)
{
    if (node->slot >= 0)
        slots->known[node->slot] = SLOT_UNRESOLVED;
    for (const struct plan_node *c = node->child; c != NULL; c = c->sibling)
        plan_open(c, slots);
}

void plan_found(const struct plan_node *node, const struct value *token, struct slots *slots)
{
    if (node->slot >= 0) {
        slots->values[node->slot] = *token;
        slots->known[node->slot] = SLOT_TOKEN;
    }
    if (node->child == NULL || value_is_nil(token))
        return;
    for (const struct plan_node *c = node->child; c != NULL; c = c->sibling)
        if (bytes_is_null(c->step.name) ? !value_is_array(token) : !value_is_object(token))
            plan_open(c, slots);
}

// All slots missing, in one allocation: the values, then a state byte for each.
static int slots_alloc(struct view *v, uint8_t state, struct err *e)
{
    size_t n = v->plan != NULL ? (size_t)v->plan->n_slots : 0;

    v->slots = NULL;
    v->known = NULL;
    if (n == 0)
        return 0;
    v->slots = arena_try_alloc(v->arena, n * (sizeof *v->slots + 1));
    if (v->slots == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for the fields of a record");
    v->known = (uint8_t *)(v->slots + n);
    for (size_t i = 0; i < n; i++)
        v->slots[i] = VALUE_OF_MISSING;
    memset(v->known, state, n);
    return 0;
}

int members_grow(struct members *m, struct arena *a)
{
    size_t cap = m->cap > 0 ? m->cap * 2 : MEMBERS_MIN;
    struct value *values = arena_try_alloc(a, cap * (sizeof *values + sizeof *m->object.names));
    struct bytes *names;

    if (values == NULL)
        return LEAT_ENOMEM;
    names = (struct bytes *)(void *)(values + cap);
    if (m->object.n > 0) {
        memcpy(values, m->object.values, m->object.n * sizeof *values);
        memcpy(names, m->object.names, m->object.n * sizeof *names);
    }
    m->object.values = values;
    m->object.names = names;
    m->cap = cap;
    return 0;
}

// Lua and `into` ask for members by name. Listing them while the text is walked anyway costs a few
// stores per member; a second walk for the first name that is asked for costs as much as the first.
static int scan_members(struct view *v, struct bytes raw, struct slots *slots, struct err *e)
{
    const struct plan_node *root = v->slots != NULL ? &v->plan->root : NULL;
    struct members *m = arena_try_alloc(v->arena, sizeof *m);
    int rc;

    if (m == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for the members of a record");
    *m = (struct members){.cap = 0};
    slots->members = m;
    rc = json_scan(raw, root, slots, &v->root, e);
    if (rc == 0 && v->root.type == VALUE_DOC_OBJECT)
        v->members = &m->object;
    return rc;
}

int view_scan(struct view *v, const struct fieldplan *plan, enum format f, struct bytes raw,
              struct arena *a, struct err *e)
{
    const struct plan_node *root;
    bool built = f == FORMAT_TEXT || f == FORMAT_BYTES;
    struct slots slots;
    int rc;

    *v = (struct view){.plan = plan, .arena = a, .root = VALUE_OF_MISSING, .raw = raw, .format = f};
    rc = slots_alloc(v, built && !bytes_is_null(raw) ? SLOT_UNRESOLVED : SLOT_TOKEN, e);
    if (rc != 0 || bytes_is_null(raw))
        return rc;
    if (built)
        return value_decode(f, raw, a, &v->root, e);
    slots = (struct slots){v->slots, v->known, a, NULL};
    if (plan != NULL && plan->members && f == FORMAT_JSON)
        return scan_members(v, raw, &slots, e);
    root = v->slots != NULL ? &plan->root : NULL;
    return f == FORMAT_JSON ? json_scan(raw, root, &slots, &v->root, e)
                            : msgpack_scan(f, raw, root, &slots, &v->root, e);
}

void view_of(struct view *v, const struct fieldplan *plan, struct value root, struct arena *a)
{
    size_t n = plan != NULL ? (size_t)plan->n_slots : 0;

    *v = (struct view){.plan = plan, .arena = a, .root = root, .format = FORMAT_JSON};
    if (n == 0)
        return;
    v->slots = arena_alloc(a, n * (sizeof *v->slots + 1));
    v->known = (uint8_t *)(v->slots + n);
    memset(v->known, SLOT_UNRESOLVED, n);
}

// Walks from the root to the node.
static int resolve(struct view *v, const struct plan_node *node, struct value *out, struct err *e)
{
    struct value parent;
    int rc;

    if (node->parent == NULL) {
        *out = v->root;
        return value_force(out, v->arena, e);
    }
    rc = resolve(v, node->parent, &parent, e);
    if (rc != 0)
        return rc;
    return bytes_is_null(node->step.name)
               ? value_element(&parent, node->step.index, v->arena, out, e)
               : value_member(&parent, node->step.name, v->arena, out, e);
}

int view_slot(struct view *v, int slot, struct value *out, struct err *e)
{
    int rc = 0;

    ASSERT(v->plan != NULL && slot >= 0 && slot < v->plan->n_slots);
    if (v->known[slot] == SLOT_UNRESOLVED)
        rc = resolve(v, v->plan->by_slot[slot], &v->slots[slot], e);
    else if (v->known[slot] == SLOT_TOKEN)
        rc = value_force(&v->slots[slot], v->arena, e);
    if (rc != 0)
        return rc;
    v->known[slot] = SLOT_FORCED;
    *out = v->slots[slot];
    return 0;
}

// The members of a top-level document as tokens, so that the second and every later field costs a
// comparison.
static int members_index(struct view *v, struct err *e)
{
    size_t n = value_count(&v->root);
    struct value_object *o = arena_try_alloc(v->arena, sizeof *o + n * sizeof(struct value));
    struct value_iter it;

    if (o == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for the members of a record");
    o->values = (struct value *)(o + 1);
    o->names = arena_try_alloc(v->arena, n * sizeof *o->names + 1);
    if (o->names == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for the members of a record");
    value_iter_init(&it, &v->root, v->arena);
    for (o->n = 0; o->n < n; o->n++) {
        int rc = value_iter_token(&it, &o->names[o->n], &o->values[o->n], e);
        if (rc < 0)
            return rc;
        ASSERT(rc == 1);
    }
    v->members = o;
    return 0;
}

// Names of equal length mostly differ in their first byte; a call of memcmp costs more than that.
static inline bool name_is(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || (a.p[0] == b.p[0] && memcmp(a.p, b.p, a.n) == 0));
}

int view_member(struct view *v, struct bytes name, struct value *out, struct err *e)
{
    int rc;

    if (v->root.type != VALUE_DOC_OBJECT) {
        rc = value_force(&v->root, v->arena, e);
        return rc != 0 ? rc : value_member(&v->root, name, v->arena, out, e);
    }
    if (v->members == NULL) {
        rc = members_index(v, e);
        if (rc != 0)
            return rc;
    }
    *out = VALUE_OF_MISSING;
    for (size_t i = v->members->n; i-- > 0;) {
        if (!name_is(v->members->names[i], name))
            continue;
        rc = value_force(&v->members->values[i], v->arena, e);
        *out = v->members->values[i];
        return rc;
    }
    return 0;
}

struct value *view_token(struct view *v, int slot)
{
    ASSERT(v->root.type == VALUE_DOC_OBJECT || v->root.type == VALUE_OBJECT);
    ASSERT(v->plan != NULL && v->plan->by_slot[slot]->parent == &v->plan->root);
    ASSERT(v->known[slot] != SLOT_UNRESOLVED);
    return &v->slots[slot];
}

// The root becomes a built object of the members' tokens, in which values can be put.
int view_replace(struct view *v, int slot, struct value value, struct err *e)
{
    const struct plan_node *node = v->plan->by_slot[slot];
    int rc = v->root.type == VALUE_DOC_OBJECT && v->members == NULL ? members_index(v, e) : 0;

    if (rc != 0)
        return rc;
    v->root = (struct value){.type = VALUE_OBJECT, .object = v->members};
    for (size_t i = v->members->n; i-- > 0;) {
        if (!bytes_eq(v->members->names[i], node->step.name))
            continue;
        v->members->values[i] = value;
        break;
    }
    v->slots[slot] = value;
    v->known[slot] = SLOT_FORCED;
    struct slots all = {v->slots, v->known, v->arena, NULL};
    for (const struct plan_node *c = node->child; c != NULL; c = c->sibling)
        plan_open(c, &all);
    return 0;
}
