// SPDX-License-Identifier: Apache-2.0
//
// The inside of a field plan: a tree of path steps. Private to runtime/record: the scanners of each
// format walk it beside the record's bytes, so that one pass fills every slot.
//
//   device, asset.site, items[1].sku:   device (0)   asset > site (1)   items > [1] > sku (2)
//
// A slot is in one of three states (view.known). A scanner leaves 1 (token, or MISSING) wherever
// the bytes gave the answer, and 0 where a path steps into something that has no such steps:
// view_slot then walks the path again and words the error.
#ifndef LEAT_RECORD_FIELDPLAN_H
#define LEAT_RECORD_FIELDPLAN_H

#include "runtime/record/view.h"

enum { SLOT_UNRESOLVED, SLOT_TOKEN, SLOT_FORCED };

struct plan_node {
    struct path_step step; // from the parent
    int slot;              // -1: only on the way to others
    struct plan_node *parent;
    struct plan_node *child, *sibling;
};

struct fieldplan {
    struct arena arena;
    struct plan_node root;
    struct plan_node **by_slot;
    int n_slots, cap_slots;
    bool members; // all of the root's are wanted
};

// The members of the root, as tokens, in their order, duplicates included.
struct members {
    struct value_object object;
    size_t cap;
};

int members_grow(struct members *m, struct arena *a) LEAT_CHECKED;

// Where a scanner puts what it finds. May be NULL when there is no plan.
struct slots {
    struct value *values;
    uint8_t *known;
    struct arena *arena;
    struct members *members; // NULL: not wanted
};

// Field by field: a struct built aside and copied would be read back in wider pieces than it was
// written, which stalls the processor at every token.
static inline void token_set(struct value *out, enum value_type type, enum format f,
                             const uint8_t *p, const uint8_t *end)
{
    out->type = (uint8_t)type;
    out->format = (uint8_t)f;
    out->scale = 0;
    out->s.p = p;
    out->s.n = (size_t)(end - p);
}

static inline const struct plan_node *plan_member(const struct plan_node *node, struct bytes name)
{
    for (const struct plan_node *c = node->child; c != NULL; c = c->sibling)
        if (c->step.name.n == name.n && c->step.name.p != NULL &&
            memcmp(c->step.name.p, name.p, name.n) == 0)
            return c;
    return NULL;
}

static inline const struct plan_node *plan_element(const struct plan_node *node, int64_t index)
{
    for (const struct plan_node *c = node->child; c != NULL; c = c->sibling)
        if (c->step.name.p == NULL && c->step.index == index)
            return c;
    return NULL;
}

// Before a member's value is read: a duplicate name must not leave anything of its forerunner.
void plan_forget(const struct plan_node *node, struct slots *slots);
// After a value was read at `node`: stores its token, and opens the slots of steps that it cannot
// have.
void plan_found(const struct plan_node *node, const struct value *token, struct slots *slots);

// --- formats ---

// Each checks `raw` whole and gives the root's token; the slots below `root` (may be NULL) are
// filled on the way. LEAT_EDECODE with the byte position.
int json_scan(struct bytes raw, const struct plan_node *root, struct slots *slots,
              struct value *out, struct err *e) LEAT_CHECKED;
// FORMAT_MSGPACK or FORMAT_STATE.
int msgpack_scan(enum format f, struct bytes raw, const struct plan_node *root,
                 struct slots *slots, struct value *out, struct err *e) LEAT_CHECKED;

// Walks a checked document: the next member or element of `rest` (what is left of the document,
// starting with all of it behind its opening bytes). Names and values are tokens. 1 = one more, 0 =
// end.
struct bytes json_open(const struct value *doc);
int json_next(struct bytes *rest, bool object, struct value *name, struct value *out) LEAT_CHECKED;
struct bytes msgpack_open(const struct value *doc, uint32_t *count);
int msgpack_next(enum format f, struct bytes *rest, bool object, struct value *name,
                 struct value *out) LEAT_CHECKED;

// One step of value_iter with the name as a token too, so that it needs no arena.
int value_iter_raw(struct value_iter *it, struct value *name, struct value *out) LEAT_CHECKED;

// A decimal in FORMAT_STATE: an extension of 9 bytes, the scale and the big-endian integer.
enum { MSGPACK_DECIMAL_TYPE = 100, MSGPACK_DECIMAL_BYTES = 9 };

// How deep a checked JSON document is nested.
int json_depth(struct bytes doc);

// The text of an escaped token into `to` (NULL: only count); never longer than the token.
size_t json_unescape(struct bytes token, uint8_t *to);
int json_force(struct value *v, struct arena *a, struct err *e) LEAT_CHECKED;
int msgpack_force(struct value *v, struct err *e) LEAT_CHECKED;

#endif
