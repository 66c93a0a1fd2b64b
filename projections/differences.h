// SPDX-License-Identifier: Apache-2.0
//
// What has changed between the plan that a job file was made for and the plan at hand, and what
// each change asks for. A pure function over two outlines: no file is looked at and nothing is
// done; upgrade.c does it, `leat plan` prints it.
//
//   in place    query, view, index, ttl, errors, commit and other settings that say when and not
//               what; a new column that old rows can be given (nullable, or a constant default);
//               the code of process, while the shape of its state stays or it has `upgrade`
//   from now    what no state and no table stands behind: history keeps the old meaning
//   removed     an operator or a table is gone: its rows go too, when that is said
//   rebuild     anything in or before what keeps rows; a table's columns and constraints; a new
//               table or operator with state, which would begin empty
//
// Whether an operator's rows still mean the same is decided by its fingerprint, which covers
// everything before it; the comparison of settings is there to say why.
#ifndef LEAT_PROJECTIONS_DIFFERENCES_H
#define LEAT_PROJECTIONS_DIFFERENCES_H

#include "projections/outline.h"
#include "runtime/base/buf.h"

enum upgrade_class { // from harmless to not
    UPGRADE_SAME,
    UPGRADE_IN_PLACE,
    UPGRADE_FROM_NOW,
    UPGRADE_REMOVED,
    UPGRADE_REBUILD,
};

struct difference {
    enum upgrade_class class;
    bool from_now;    // of a rebuild: it can also be taken from now on, when that is said
    char sign;        // + - ~
    const char *what; // "table", "operator", "query", ...
    const char *name;
    const char *text; // "column tax decimal(14,2) not null"
    const char *why;  // of the class: "no default"; "" where it needs no saying
    int line;         // in the job's file; 0: it is gone from there
};

struct differences {
    struct difference *items; // in the order tables, operators, views, queries, settings
    int n;
    enum upgrade_class class; // the worst
    bool from_now;            // every rebuild can be taken from now on
};

// Everything in `out` lives in the arena or borrows from the outlines.
void differences_find(const struct outline *was, const struct outline *is, struct arena *a,
                      struct differences *out);

// "in place", "rebuild", ...
const char *upgrade_class_name(enum upgrade_class c);
// "operator from[a]/match: ~ total "qty" -> "qty + tax"", with its reason.
void difference_print(const struct difference *d, struct buf *out);

#endif
