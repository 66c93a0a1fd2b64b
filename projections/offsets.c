// SPDX-License-Identifier: Apache-2.0
//
// Input positions. A step moves a position from where this job last committed it; if the row says
// anything else, somebody else moved it, and the step is refused. Times before the first record are
// NULL in the table and INT64_MIN outside.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "projections/jobfile_internal.h"
#include "runtime/base/heap.h"

static struct bytes position_key(struct buf *b, const char *topic, int32_t partition)
{
    buf_clear(b);
    buf_append_str(b, topic);
    buf_append_byte(b, 0);
    buf_append_be32(b, (uint32_t)partition);
    return buf_bytes(b);
}

static void remember(struct jobfile *jf, const char *topic, int32_t partition, int64_t next)
{
    struct buf b = BUF_EMPTY;
    struct bytes key = position_key(&b, topic, partition);
    struct jf_position *p = hashmap_get(&jf->positions, key);

    if (p == NULL) {
        p = heap_alloc(sizeof *p);
        hashmap_put(&jf->positions, key, p);
    }
    p->next = next;
    buf_deinit(&b);
}

static int remember_row(void *arg, const struct store_offset *o)
{
    remember(arg, o->topic, o->partition, o->next);
    return 0;
}

int offsets_load(struct jobfile *jf, struct err *e)
{
    return offsets_each(&jf->store, remember_row, jf, e);
}

void offsets_unload(struct jobfile *jf)
{
    struct bytes key;
    void *p;

    for (size_t i = 0; hashmap_next(&jf->positions, &i, &key, &p);)
        heap_free(p);
}

static void bind_time(struct db_stmt *s, int i, int64_t v)
{
    if (v == INT64_MIN)
        db_bind_null(s, i);
    else
        db_bind_int(s, i, v);
}

static int write_one(struct jobfile *jf, const struct store_offset *o, struct err *e)
{
    struct buf b = BUF_EMPTY;
    const struct jf_position *from =
        hashmap_get(&jf->positions, position_key(&b, o->topic, o->partition));
    struct db_stmt *s;
    int rc = jf_own(jf, from != NULL ? JF_OFFSET_MOVE : JF_OFFSET_INSERT, &s, e);

    buf_deinit(&b);
    if (rc < 0)
        return rc;
    db_bind_str(s, 1, o->topic);
    db_bind_blob(s, 2, bytes_of(o->topic_id.b, sizeof o->topic_id.b));
    db_bind_int(s, 3, o->partition);
    db_bind_int(s, 4, o->next);
    db_bind_int(s, 5, o->epoch);
    bind_time(s, 6, o->watermark);
    bind_time(s, 7, o->last_time);
    db_bind_bool(s, 8, o->idle);
    if (from != NULL)
        db_bind_int(s, 9, from->next);
    rc = db_run(s, e);
    if (rc == LEAT_ECONSTRAINT || (rc == 0 && db_changes(jf->db) != 1))
        rc = err_set(e, LEAT_EFENCED,
                     "the stored offset of %s:%d is not the one this job committed last: somebody "
                     "else moved it",
                     o->topic, (int)o->partition);
    return rc;
}

int offsets_write(struct jobfile *jf, const struct store_commit *c, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < c->n_offsets && rc == 0; i++)
        rc = write_one(jf, &c->offsets[i], e);
    return rc;
}

void offsets_committed(struct jobfile *jf, const struct store_commit *c)
{
    for (size_t i = 0; i < c->n_offsets; i++)
        remember(jf, c->offsets[i].topic, c->offsets[i].partition, c->offsets[i].next);
}

static int64_t column_time(struct db_stmt *s, int i)
{
    return db_column_type(s, i) == DB_NULL ? INT64_MIN : db_column_int(s, i);
}

int offsets_each(struct store *store, int (*each)(void *arg, const struct store_offset *o),
                 void *arg, struct err *e)
{
    struct jobfile *jf = jobfile_of(store);
    struct db_stmt *s;
    int rc = jf_own(jf, JF_OFFSET_LIST, &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        // Bytes behind a text column end in a NUL.
        struct store_offset o = {
            .topic = (const char *)db_column_text(s, 0).p,
            .partition = (int32_t)db_column_int(s, 2),
            .next = db_column_int(s, 3),
            .epoch = (int32_t)db_column_int(s, 4),
            .watermark = column_time(s, 5),
            .last_time = column_time(s, 6),
            .idle = db_column_int(s, 7) != 0,
        };
        struct bytes id = db_column_blob(s, 1);
        if (id.n == sizeof o.topic_id.b)
            memcpy(o.topic_id.b, id.p, id.n);
        rc = each(arg, &o);
        if (rc != 0)
            break;
    }
    db_reset(s);
    return rc;
}

void offsets_text(struct buf *out, const struct store_offset *o, size_t n, bool idle_only)
{
    const char *topic = NULL;

    for (size_t i = 0; i < n; i++) {
        if (idle_only && !o[i].idle)
            continue;
        if (topic == NULL || strcmp(topic, o[i].topic) != 0)
            buf_printf(out, "%s%s:", topic == NULL ? "" : ";", o[i].topic);
        else
            buf_append_byte(out, ',');
        topic = o[i].topic;
        buf_printf(out, "%d", (int)o[i].partition);
        if (!idle_only)
            buf_printf(out, "@%" PRId64, o[i].next);
    }
}
