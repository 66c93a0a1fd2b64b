// SPDX-License-Identifier: Apache-2.0
//
// Opening reads everything into the image. Applying a command: one transaction, then the image;
// when the transaction fails the image is as it was.
#include "runtime/broker/metadata.h"

#include <ctype.h>
#include <stdlib.h>

#include "runtime/base/heap.h"
#include "runtime/base/random.h"
#include "runtime/base/trace.h"

#define METADATA_WAL_BYTES_MAX (1024 * 1024)

static const char schema[] =
    "create table if not exists meta(key text primary key, value any) strict, without rowid;"
    "create table if not exists topics(id blob primary key, name text not null,"
    " n_partitions integer not null, internal integer not null, deleted integer not null)"
    " strict, without rowid;"
    "create unique index if not exists topics_by_name on topics(name) where deleted = 0;"
    "create table if not exists configs(topic_id blob, name text, value text not null,"
    " primary key(topic_id, name)) strict, without rowid;"
    "create table if not exists partitions(topic_id blob, partition integer,"
    " leader_epoch integer not null, start integer not null, primary key(topic_id, partition))"
    " strict, without rowid;";

static struct bytes id_bytes(const struct uuid *id)
{
    return bytes_of(id->b, sizeof id->b);
}

// --- the image ---
static struct bytes bytes_dup(struct bytes b)
{
    return bytes_of(heap_strndup((const char *)b.p, b.n), b.n);
}

static void topic_free(struct topic *t)
{
    for (int i = 0; i < t->n_settings; i++) {
        heap_free((void *)(uintptr_t)t->settings[i].name.p);
        heap_free((void *)(uintptr_t)t->settings[i].value.p);
    }
    heap_free(t->settings);
    heap_free(t->partitions);
    heap_free(t);
}

static struct topic *topic_new(struct metadata *m, struct bytes name, struct uuid id,
                               int32_t n_partitions)
{
    struct topic *t = heap_zalloc(sizeof *t);

    ASSERT(name.n < sizeof t->name && n_partitions > 0);
    memcpy(t->name, name.p, name.n);
    t->id = id;
    t->n_partitions = n_partitions;
    t->partitions = heap_zalloc((size_t)n_partitions * sizeof *t->partitions);
    t->config = m->defaults;
    list_init(&t->grave);
    return t;
}

static int topic_setting_add(struct topic *t, struct bytes name, struct bytes value, struct err *e)
{
    int rc = topic_config_set(&t->config, name, value, e);

    if (rc < 0)
        return rc;
    t->settings = heap_realloc(t->settings, (size_t)(t->n_settings + 1) * sizeof *t->settings);
    t->settings[t->n_settings++] = (struct topic_setting){bytes_dup(name), bytes_dup(value)};
    return 0;
}

static void image_add(struct metadata *m, struct topic *t)
{
    void *old = hashmap_put(&m->by_name, bytes_str(t->name), t);

    ASSERT(old == NULL);
    old = hashmap_put(&m->by_id, id_bytes(&t->id), t);
    ASSERT(old == NULL);
}

struct topic *metadata_topic(struct metadata *m, struct bytes name)
{
    struct topic *t;

    pthread_mutex_lock(&m->lock);
    t = hashmap_get(&m->by_name, name);
    pthread_mutex_unlock(&m->lock);
    return t;
}

struct topic *metadata_topic_by_id(struct metadata *m, struct uuid id)
{
    struct topic *t;

    pthread_mutex_lock(&m->lock);
    t = hashmap_get(&m->by_id, id_bytes(&id));
    pthread_mutex_unlock(&m->lock);
    return t;
}

static int by_topic_name(const void *a, const void *b)
{
    return strcmp((*(struct topic *const *)a)->name, (*(struct topic *const *)b)->name);
}

struct topic **metadata_topics(struct metadata *m, size_t *n)
{
    struct topic **all;
    void *value;
    size_t k = 0;

    pthread_mutex_lock(&m->lock);
    all = heap_alloc(m->by_name.n * sizeof *all);
    for (size_t i = 0; hashmap_next(&m->by_name, &i, NULL, &value);)
        all[k++] = value;
    pthread_mutex_unlock(&m->lock);
    qsort(all, k, sizeof *all, by_topic_name);
    *n = k;
    return all;
}

// --- names ---
static bool collides(const char *a, struct bytes b)
{
    size_t i;

    for (i = 0; i < b.n && a[i] != 0; i++) {
        int x = a[i] == '.' ? '_' : a[i], y = b.p[i] == '.' ? '_' : b.p[i];
        if (x != y)
            return false;
    }
    return i == b.n && a[i] == 0;
}

int metadata_check_name(struct metadata *m, struct bytes name, struct err *e)
{
    void *value;
    int rc = 0;

    if (name.n == 0 || name.n > TOPIC_NAME_MAX || bytes_eq_str(name, ".") ||
        bytes_eq_str(name, ".."))
        return err_set(e, LEAT_EINVAL, "a topic name has 1 to %d characters and is not . or ..",
                       TOPIC_NAME_MAX);
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum(name.p[i]) && name.p[i] != '.' && name.p[i] != '_' && name.p[i] != '-')
            return err_set(e, LEAT_EINVAL,
                           "a topic name consists of ASCII letters, digits, '.', '_' and '-'");
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; rc == 0 && hashmap_next(&m->by_name, &i, NULL, &value);) {
        const struct topic *t = value;
        if (collides(t->name, name) && !bytes_eq_str(name, t->name))
            rc = err_set(e, LEAT_EINVAL, "the topic name %.*s is too like that of the topic %s",
                         BYTES_FMT(name), t->name);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

// --- opening ---
static int load_meta(struct metadata *m, struct err *e)
{
    int64_t format = 0;
    struct db_stmt *s;
    int rc = db_query_int(m->db, "select value from meta where key = 'format'", &format, e);

    if (rc == LEAT_ENOTFOUND) {
        uuid_base64(uuid_random(), m->cluster_id);
        rc = db_prepare(m->db,
                        "insert into meta values('format', 1), ('cluster_id', ?),"
                        " ('next_producer_id', 0)",
                        &s, e);
        if (rc < 0)
            return rc;
        db_bind_str(s, 1, m->cluster_id);
        rc = db_run(s, e);
        db_stmt_free(s);
        return rc;
    }
    if (rc < 0)
        return rc;
    if (format > METADATA_FORMAT)
        return err_set(e, LEAT_EUNSUPPORTED,
                       "the data directory was written by a newer leat (format %d, this one knows "
                       "%d): use that one",
                       (int)format, METADATA_FORMAT);
    rc = db_query_int(m->db, "select value from meta where key = 'next_producer_id'",
                      &m->next_producer_id, e);
    if (rc < 0)
        return rc;
    rc = db_prepare(m->db, "select value from meta where key = 'cluster_id'", &s, e);
    if (rc < 0)
        return rc;
    rc = db_next(s, e);
    if (rc == 1) {
        struct bytes id = db_column_text(s, 0);
        memcpy(m->cluster_id, id.p, id.n < UUID_BASE64_SIZE ? id.n : UUID_BASE64_SIZE - 1);
        rc = 0;
    }
    db_stmt_free(s);
    return rc;
}

static int load_topic(struct metadata *m, struct db_stmt *s, struct err *e)
{
    struct bytes id = db_column_blob(s, 0), name = db_column_text(s, 1);
    int64_t n = db_column_int(s, 2);
    struct uuid u;
    struct topic *t;

    if (id.n != sizeof u.b || name.n == 0 || name.n > TOPIC_NAME_MAX || n < 1 ||
        n > PARTITIONS_PER_TOPIC_MAX)
        return err_set(e, LEAT_ECORRUPT, "a row of the table topics makes no sense");
    memcpy(u.b, id.p, id.n);
    t = topic_new(m, name, u, (int32_t)n);
    t->internal = db_column_int(s, 3) != 0;
    if (db_column_int(s, 4) != 0)
        list_push(&m->graves, &t->grave);
    else
        image_add(m, t);
    return 0;
}

static int load_config(struct metadata *m, struct db_stmt *s, struct err *e)
{
    struct topic *t = hashmap_get(&m->by_id, db_column_blob(s, 0));

    return t == NULL ? 0 : topic_setting_add(t, db_column_text(s, 1), db_column_text(s, 2), e);
}

static int load_partition(struct metadata *m, struct db_stmt *s, struct err *e)
{
    struct topic *t = hashmap_get(&m->by_id, db_column_blob(s, 0));
    int64_t i = db_column_int(s, 1);

    (void)e;
    if (t == NULL || i < 0 || i >= t->n_partitions)
        return 0;
    t->partitions[i].leader_epoch = (int32_t)db_column_int(s, 2);
    t->partitions[i].start = db_column_int(s, 3);
    return 0;
}

static int load_rows(struct metadata *m, const char *sql,
                     int (*each)(struct metadata *, struct db_stmt *, struct err *), struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(m->db, sql, &s, e);

    if (rc < 0)
        return rc;
    while ((rc = db_next(s, e)) == 1) {
        rc = each(m, s, e);
        if (rc < 0)
            break;
    }
    db_stmt_free(s);
    return rc;
}

static int load(struct metadata *m, struct err *e)
{
    int rc = db_begin(m->db, e);

    if (rc < 0)
        return rc;
    rc = db_exec(m->db, schema, e);
    if (rc == 0)
        rc = load_meta(m, e);
    if (rc == 0)
        rc = load_rows(m, "select id, name, n_partitions, internal, deleted from topics",
                       load_topic, e);
    if (rc == 0)
        rc = load_rows(m, "select topic_id, name, value from configs", load_config, e);
    if (rc == 0)
        rc = load_rows(m, "select topic_id, partition, leader_epoch, start from partitions",
                       load_partition, e);
    if (rc == 0)
        return db_commit(m->db, e);
    db_rollback(m->db);
    return rc;
}

int metadata_open(struct metadata *m, const char *path, const struct topic_config *defaults,
                  struct err *e)
{
    struct db_options o = {.mode = DB_WRITER, .create = true, .cache_bytes = 1024 * 1024};
    int rc;

    *m = (struct metadata){.defaults = *defaults};
    pthread_mutex_init(&m->lock, NULL);
    hashmap_init(&m->by_name, random_entropy_u64());
    hashmap_init(&m->by_id, random_entropy_u64());
    list_init(&m->graves);
    rc = db_open(&m->db, path, &o, e);
    if (rc == 0)
        rc = load(m, e);
    return rc < 0 ? err_wrap(e, rc, "%s", path) : 0;
}

void metadata_close(struct metadata *m)
{
    struct link *i;
    void *t;

    for (size_t k = 0; hashmap_next(&m->by_id, &k, NULL, &t);)
        topic_free(t);
    while ((i = list_pop(&m->graves)) != NULL)
        topic_free(container_of(i, struct topic, grave));
    hashmap_deinit(&m->by_name);
    hashmap_deinit(&m->by_id);
    db_close(m->db);
    m->db = NULL;
    pthread_mutex_destroy(&m->lock);
}

// --- commands ---
// One statement with up to an id, a text and two numbers, in this order.
struct parameters {
    const struct uuid *id;
    struct bytes texts[2];
    int n_texts;
    int64_t numbers[3];
    int n_numbers;
};

static int run(struct metadata *m, const char *sql, const struct parameters *p, struct err *e)
{
    struct db_stmt *s;
    int rc = db_prepare(m->db, sql, &s, e), at = 1;

    if (rc < 0)
        return rc;
    if (p->id != NULL)
        db_bind_blob(s, at++, id_bytes(p->id));
    for (int i = 0; i < p->n_texts; i++)
        db_bind_text(s, at++, p->texts[i]);
    for (int i = 0; i < p->n_numbers; i++)
        db_bind_int(s, at++, p->numbers[i]);
    rc = db_run(s, e);
    db_stmt_free(s);
    return rc;
}

static int write_topic(struct metadata *m, const struct metadata_command *c, struct err *e)
{
    struct parameters p = {&c->id, {c->name}, 1, {c->n_partitions, c->internal}, 2};
    int rc = run(m, "insert into topics values(?, ?, ?, ?, 0)", &p, e);

    for (int i = 0; rc == 0 && i < c->n_settings; i++) {
        struct parameters q = {&c->id, {c->settings[i].name, c->settings[i].value}, 2, {0}, 0};
        rc = run(m, "insert into configs values(?, ?, ?)", &q, e);
    }
    return rc;
}

static int write_gone(struct metadata *m, const struct metadata_command *c, struct err *e)
{
    struct parameters p = {.id = &c->id};
    int rc = run(m, "delete from partitions where topic_id = ?", &p, e);

    if (rc == 0)
        rc = run(m, "delete from configs where topic_id = ?", &p, e);
    if (rc == 0)
        rc = run(m, "delete from topics where id = ?", &p, e);
    return rc;
}

static int write_command(struct metadata *m, const struct metadata_command *c, struct err *e)
{
    struct parameters p = {.id = &c->id};

    switch (c->kind) {
    case METADATA_TOPIC_CREATE:
        return write_topic(m, c, e);
    case METADATA_TOPIC_DELETE:
        return run(m, "update topics set deleted = 1 where id = ?", &p, e);
    case METADATA_TOPIC_GONE:
        return write_gone(m, c, e);
    case METADATA_PARTITIONS_ADD:
        p.numbers[0] = c->n_partitions;
        p.n_numbers = 1;
        return run(m, "update topics set n_partitions = ?2 where id = ?1", &p, e);
    case METADATA_PARTITION_START:
        p.numbers[0] = c->partition;
        p.numbers[1] = c->offset;
        p.n_numbers = 2;
        return run(m,
                   "insert into partitions values(?1, ?2, 0, ?3)"
                   " on conflict do update set start = ?3",
                   &p, e);
    case METADATA_PRODUCER_IDS:
        p = (struct parameters){.numbers = {PRODUCER_ID_BLOCK}, .n_numbers = 1};
        return run(m, "update meta set value = value + ? where key = 'next_producer_id'", &p, e);
    }
    UNREACHABLE("unknown metadata command");
}

static int check_create(struct metadata *m, const struct metadata_command *c, struct topic **out,
                        struct err *e)
{
    struct topic *t;

    if (hashmap_get(&m->by_name, c->name) != NULL)
        return err_set(e, LEAT_EEXISTS, "the topic %.*s exists already", BYTES_FMT(c->name));
    if (m->by_name.n >= TOPICS_MAX)
        return err_set(e, LEAT_ELIMIT, "there are %d topics already, the maximum", TOPICS_MAX);
    t = topic_new(m, c->name, c->id, c->n_partitions);
    t->internal = c->internal;
    for (int i = 0; i < c->n_settings; i++) {
        int rc = topic_setting_add(t, c->settings[i].name, c->settings[i].value, e);
        if (rc < 0) {
            topic_free(t);
            return rc;
        }
    }
    *out = t;
    return 0;
}

static int check(struct metadata *m, const struct metadata_command *c, struct topic **t,
                 struct err *e)
{
    *t = NULL;
    if (c->kind == METADATA_TOPIC_CREATE)
        return check_create(m, c, t, e);
    if (c->kind == METADATA_PRODUCER_IDS || c->kind == METADATA_TOPIC_GONE)
        return 0;
    *t = hashmap_get(&m->by_id, id_bytes(&c->id));
    if (*t == NULL)
        return err_set(e, LEAT_ENOTFOUND, "the topic does not exist any more");
    if (c->kind == METADATA_PARTITION_START)
        ASSERT(c->partition >= 0 && c->partition < (*t)->n_partitions);
    if (c->kind == METADATA_PARTITIONS_ADD && c->n_partitions <= (*t)->n_partitions)
        return err_set(e, LEAT_EINVAL, "the topic %s has %d partitions, there can only be more",
                       (*t)->name, (*t)->n_partitions);
    return 0;
}

static void image_gone(struct metadata *m, struct uuid id)
{
    for (struct link *i = m->graves.next; i != &m->graves; i = i->next) {
        struct topic *t = container_of(i, struct topic, grave);
        if (uuid_eq(t->id, id)) {
            list_remove(&t->grave);
            topic_free(t);
            return;
        }
    }
}

static void image_apply(struct metadata *m, const struct metadata_command *c, struct topic *t)
{
    switch (c->kind) {
    case METADATA_TOPIC_CREATE:
        image_add(m, t);
        return;
    case METADATA_TOPIC_DELETE:
        hashmap_remove(&m->by_name, bytes_str(t->name));
        hashmap_remove(&m->by_id, id_bytes(&t->id));
        list_push(&m->graves, &t->grave);
        return;
    case METADATA_TOPIC_GONE:
        image_gone(m, c->id);
        return;
    case METADATA_PARTITIONS_ADD:
        t->partitions =
            heap_realloc(t->partitions, (size_t)c->n_partitions * sizeof *t->partitions);
        memset(t->partitions + t->n_partitions, 0,
               (size_t)(c->n_partitions - t->n_partitions) * sizeof *t->partitions);
        t->n_partitions = c->n_partitions;
        return;
    case METADATA_PARTITION_START:
        t->partitions[c->partition].start = c->offset;
        return;
    case METADATA_PRODUCER_IDS:
        m->next_producer_id += PRODUCER_ID_BLOCK;
        return;
    }
}

int metadata_apply(struct metadata *m, const struct metadata_command *c, struct err *e)
{
    struct topic *t;
    int rc;

    pthread_mutex_lock(&m->lock);
    rc = check(m, c, &t, e);
    if (rc < 0)
        goto out;
    rc = db_begin(m->db, e);
    if (rc == 0)
        rc = write_command(m, c, e);
    if (rc == 0)
        rc = db_commit(m->db, e);
    else
        db_rollback(m->db);
    if (rc == 0)
        image_apply(m, c, t);
    else if (c->kind == METADATA_TOPIC_CREATE)
        topic_free(t);
    if (rc == 0 && db_checkpoint(m->db, METADATA_WAL_BYTES_MAX, NULL) < 0)
        trace(TRACE_WARN, "metadata", "the write-ahead log of meta.db could not be folded in");
out:
    pthread_mutex_unlock(&m->lock);
    return rc;
}
