// SPDX-License-Identifier: Apache-2.0
//
// Parked records: what failed, and what waits behind it under the same key. In id order, which is
// the order of parking. States and classes stand in the table as words, because people ask it with
// SQL.
#include <string.h>

#include "projections/jobfile_internal.h"

static const char *const state_names[] = {
    [PARKED_RETRY] = "retry",
    [PARKED_FINAL] = "final",
    [PARKED_SEQUENCE] = "sequence",
    [PARKED_SKIPPED] = "skipped",
};

static enum parked_state state_of(struct bytes name)
{
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
        if (bytes_eq_str(name, state_names[i]))
            return (enum parked_state)i;
    return PARKED_FINAL;
}

static int class_of(struct bytes name)
{
    for (int code = LEAT_ECRASH; code < 0; code++)
        if (bytes_eq_str(name, err_name(code)))
            return code;
    return 0;
}

static void bind_class(struct db_stmt *s, int i, int class)
{
    if (class == 0)
        db_bind_null(s, i);
    else
        db_bind_str(s, i, err_name(class));
}

static void bind_record(struct db_stmt *s, const struct parked_row *r)
{
    db_bind_text(s, 10, r->topic);
    db_bind_int(s, 11, r->partition);
    db_bind_int(s, 12, r->offset);
    db_bind_int(s, 13, r->timestamp);
    db_bind_int(s, 14, r->time);
    db_bind_blob(s, 15, r->record_key);
    db_bind_blob(s, 16, r->value);
    db_bind_blob(s, 17, r->headers);
    db_bind_int(s, 18, r->n_headers);
}

int park_add(struct store *store, struct parked_row *r, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = jf_own(jf, JF_PARK_ADD, &s, e);
    if (rc < 0)
        return rc;
    db_bind_text(s, 1, r->entry);
    db_bind_blob(s, 2, r->key);
    db_bind_str(s, 3, state_names[r->state]);
    bind_class(s, 4, r->class);
    db_bind_text(s, 5, r->message);
    db_bind_text(s, 6, r->where);
    db_bind_int(s, 7, r->tries);
    db_bind_int(s, 8, r->next_at);
    db_bind_int(s, 9, r->parked_at);
    bind_record(s, r);
    rc = db_run(s, e);
    if (rc < 0)
        return jf_error(jf, rc, e);
    r->id = db_last_rowid(jf->db);
    jf->counts.parked++;
    return 0;
}

int park_update(struct store *store, const struct parked_row *r, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = jf_own(jf, JF_PARK_UPDATE, &s, e);
    if (rc < 0)
        return rc;
    db_bind_int(s, 1, r->id);
    db_bind_str(s, 2, state_names[r->state]);
    bind_class(s, 3, r->class);
    db_bind_text(s, 4, r->message);
    db_bind_text(s, 5, r->where);
    db_bind_int(s, 6, r->tries);
    db_bind_int(s, 7, r->next_at);
    db_bind_blob(s, 8, r->edited);
    db_bind_text(s, 9, r->reason);
    rc = db_run(s, e);
    if (rc == 0 && r->state == PARKED_SKIPPED)
        jf->counts.parked -= db_changes(jf->db);
    return jf_error(jf, rc, e);
}

int park_remove(struct store *store, int64_t id, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_inside(jf, e);

    if (rc == 0)
        rc = jf_own(jf, JF_PARK_REMOVE, &s, e);
    if (rc < 0)
        return rc;
    db_bind_int(s, 1, id);
    rc = db_run(s, e);
    if (rc == 0)
        jf->counts.parked -= db_changes(jf->db);
    return jf_error(jf, rc, e);
}

// In the order of the table's columns.
struct parked_row parked_read(struct db_stmt *s)
{
    return (struct parked_row){
        .id = db_column_int(s, 0),
        .entry = db_column_text(s, 1),
        .key = db_column_blob(s, 2),
        .state = state_of(db_column_text(s, 3)),
        .class = class_of(db_column_text(s, 4)),
        .message = db_column_text(s, 5),
        .where = db_column_text(s, 6),
        .tries = (int32_t)db_column_int(s, 7),
        .next_at = db_column_int(s, 8),
        .parked_at = db_column_int(s, 9),
        .topic = db_column_text(s, 10),
        .partition = (int32_t)db_column_int(s, 11),
        .offset = db_column_int(s, 12),
        .timestamp = db_column_int(s, 13),
        .time = db_column_int(s, 14),
        .record_key = db_column_blob(s, 15),
        .value = db_column_blob(s, 16),
        .headers = db_column_blob(s, 17),
        .n_headers = (int32_t)db_column_int(s, 18),
        .edited = db_column_blob(s, 19),
        .reason = db_column_text(s, 20),
    };
}

int park_scan(struct store *store, const struct bytes *entry, const struct bytes *key,
              int (*each)(void *arg, const struct parked_row *r), void *arg, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_own(jf, entry != NULL ? JF_PARK_KEY : JF_PARK_ALL, &s, e);

    if (rc < 0)
        return rc;
    if (entry != NULL) {
        db_bind_text(s, 1, *entry);
        db_bind_blob(s, 2, *key);
    }
    while ((rc = db_next(s, e)) == 1) {
        struct parked_row r = parked_read(s);
        rc = each(arg, &r);
        if (rc != 0)
            break;
    }
    db_reset(s);
    return rc;
}

int park_keys(struct store *store, int (*each)(void *arg, const struct parked_row *r), void *arg,
              struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_own(jf, JF_PARK_KEYS, &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        struct parked_row r = {.id = db_column_int(s, 0),
                               .entry = db_column_text(s, 1),
                               .key = db_column_blob(s, 2),
                               .state = state_of(db_column_text(s, 3)),
                               .class = class_of(db_column_text(s, 4))};
        rc = each(arg, &r);
        if (rc != 0)
            break;
    }
    db_reset(s);
    return rc;
}

static struct bytes keep(struct arena *a, struct bytes b)
{
    return bytes_is_null(b) ? b : arena_copy(a, b);
}

// The first row, copied, if there is one.
static int take_row(struct db_stmt *s, struct arena *a, struct parked_row *out, struct err *e)
{
    struct bytes *all[] = {&out->entry,  &out->key,        &out->message, &out->where,
                           &out->topic,  &out->record_key, &out->value,   &out->headers,
                           &out->edited, &out->reason};
    int rc = db_next(s, e);

    if (rc == 1) {
        *out = parked_read(s);
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            *all[i] = keep(a, *all[i]);
    }
    db_reset(s);
    return rc;
}

int park_due(struct store *store, struct arena *a, struct parked_row *out, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_own(jf, JF_PARK_DUE, &s, e);

    return rc < 0 ? rc : take_row(s, a, out, e);
}

int park_get(struct store *store, int64_t id, struct arena *a, struct parked_row *out,
             struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_own(jf, JF_PARK_GET, &s, e);

    if (rc < 0)
        return rc;
    db_bind_int(s, 1, id);
    return take_row(s, a, out, e);
}
