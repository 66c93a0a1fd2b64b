// SPDX-License-Identifier: Apache-2.0
//
// The hook is installed with the first watched table and costs every row a look at its table's
// name. Inside it nothing may be run on the connection: who is told takes a note.
#include "projections/hook.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK
#include <sqlite3.h>
#include <string.h>

#include "projections/changes.h"
#include "projections/expire.h"
#include "projections/history.h"
#include "runtime/base/heap.h"

struct value hook_value(sqlite3_value *v, struct arena *a)
{
    struct bytes s;

    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        return value_int(sqlite3_value_int64(v));
    case SQLITE_FLOAT:
        return value_float(sqlite3_value_double(v));
    case SQLITE_TEXT:
        s.p = (const uint8_t *)sqlite3_value_text(v);
        s.n = (size_t)sqlite3_value_bytes(v);
        return value_text(arena_copy(a, s));
    case SQLITE_BLOB:
        s.p = sqlite3_value_blob(v);
        s.n = (size_t)sqlite3_value_bytes(v);
        return (struct value){.type = VALUE_BYTES, .s = arena_copy(a, s)};
    default:
        return VALUE_OF_NULL;
    }
}

static void before_update(void *arg, sqlite3 *h, int op, const char *db, const char *name,
                          sqlite3_int64 from, sqlite3_int64 to)
{
    struct jobfile *jf = arg;

    (void)from, (void)to;
    if (strcmp(db, "main") != 0)
        return;
    for (int i = 0; i < jf->ddl.n_tables; i++) {
        if (jf->watched[i] == 0 || strcmp(jf->ddl.tables[i].name, name) != 0)
            continue;
        if (jf->watched[i] & HOOK_EXPIRY)
            expire_note(jf, h, op, i);
        if (jf->watched[i] & HOOK_HISTORY)
            history_note(jf, h, op, i);
        if (jf->watched[i] & HOOK_CHANGES)
            changes_note(jf, h, op, i);
        return;
    }
}

void hook_watch(struct jobfile *jf, int table, enum hook_reader reader)
{
    if (jf->watched == NULL) {
        jf->watched = heap_zalloc((size_t)jf->ddl.n_tables);
        (void)sqlite3_preupdate_hook(db_handle(jf->db), before_update, jf);
    }
    jf->watched[table] |= (uint8_t)reader;
}

void hook_unload(struct jobfile *jf)
{
    if (jf->watched != NULL)
        (void)sqlite3_preupdate_hook(db_handle(jf->db), NULL, NULL);
    heap_free(jf->watched);
    jf->watched = NULL;
}
