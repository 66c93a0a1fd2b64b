// SPDX-License-Identifier: Apache-2.0
//
// A view over one record value, and the field plan that says which paths will be read.
//
// All expressions on one stream add their paths to one field plan at load. At run time view_scan
// goes over the record's bytes once, checks them whole, and leaves each planned path's token in its
// slot; a slot is decoded when it is first asked for and memoised. Lua reads through the same view,
// planned or not. Over a built value (after select, map, aggregate) the same slots are resolved by
// walking the members.
#ifndef LEAT_RECORD_VIEW_H
#define LEAT_RECORD_VIEW_H

#include "runtime/record/value.h"

// One step of a path: a member (name) or, when name is BYTES_NULL, an element (index, from 1).
struct path_step {
    struct bytes name;
    int64_t index;
};

struct fieldplan;

struct fieldplan *fieldplan_new(void);
void fieldplan_free(struct fieldplan *p);
// The slot of the path, added if new. The steps are copied. Only before the first view_* of the
// plan.
int fieldplan_add(struct fieldplan *p, const struct path_step *steps, size_t n);
// Members of the record itself will be asked for by name (view_member).
void fieldplan_add_members(struct fieldplan *p);
int fieldplan_slots(const struct fieldplan *p);

struct view {
    const struct fieldplan *plan; // NULL: no slots
    struct arena *arena;          // lives as long as the view
    struct value root;            // MISSING for a tombstone
    struct bytes raw;    // the original bytes while the value is untouched, else BYTES_NULL
    enum format format;  // of raw
    struct value *slots; // fieldplan_slots(plan) of them
    uint8_t *known;      // per slot: 0 not resolved yet, 1 found as token, 2 forced
    struct value_object *members; // of an encoded root, as tokens; made by the first view_member
};

// Over encoded bytes; BYTES_NULL raw is a tombstone (root missing). LEAT_EDECODE with the byte
// position.
int view_scan(struct view *v, const struct fieldplan *plan, enum format f, struct bytes raw,
              struct arena *a, struct err *e) LEAT_CHECKED;
// Over a built value; `root` must live as long as the arena.
void view_of(struct view *v, const struct fieldplan *plan, struct value root, struct arena *a);

// The planned field, forced. Missing paths and paths through nil give VALUE_MISSING; a step into a
// scalar is LEAT_ETYPE.
int view_slot(struct view *v, int slot, struct value *out, struct err *e) LEAT_CHECKED;
// A planned top-level field of a scanned object as it stands there: MISSING, or a token.
struct value *view_token(struct view *v, int slot);
// From now on that field, which the record has, reads as `value`, whoever asks for it and however;
// the original bytes stay.
int view_replace(struct view *v, int slot, struct value value, struct err *e) LEAT_CHECKED;
// Any top-level member, planned or not.
int view_member(struct view *v, struct bytes name, struct value *out, struct err *e) LEAT_CHECKED;

#endif
