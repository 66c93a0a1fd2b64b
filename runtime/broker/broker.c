// SPDX-License-Identifier: Apache-2.0
//
// Puts the parts together and takes them apart.
//
//   flusher's thread   moved() ── one message, however often ──► loop: waits_wake
//   loop               frames → session → api_*.c → partitions; replies at the end of the turn
//
// Stopping happens on the loop: the listener closes, held group requests are answered, connections
// close, and when the last one is gone the loop ends.
#include "runtime/broker/broker.h"

#include <signal.h>

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"
#include "runtime/broker/core.h"
#include "runtime/broker/session.h"

#define HOUSEKEEPING_MS 1000
#define RETENTION_MS (60 * 1000)

void broker_config_default(struct broker_config *c)
{
    *c = (struct broker_config){
        .clock = clock_system(),
        .fs = fs_posix(),
        .host = "127.0.0.1",
        .port = 9092,
        .auto_create = false,
        .durable = true,
        .default_partitions = 1,
        .initial_rebalance_delay_ms = 3000,
        .session_ms_min = 6000,
        .session_ms_max = 30 * 60 * 1000,
        .offsets_partitions = 1,
        .topic = {.retention_ms = 7 * 24 * 3600 * INT64_C(1000),
                  .retention_bytes = -1,
                  .segment_ms = 7 * 24 * 3600 * INT64_C(1000),
                  .segment_bytes = SEGMENT_BYTES_DEFAULT,
                  .max_message_bytes = BATCH_BYTES_MAX},
    };
}

// --- opening ---
static bool is_wildcard(const char *host)
{
    return *host == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static struct broker *broker_new(const struct broker_config *c)
{
    struct broker *b = heap_zalloc(sizeof *b);
    const char *told = c->advertised_host;

    if (told == NULL)
        told = is_wildcard(c->host) ? "127.0.0.1" : c->host;
    b->config = *c;
    b->host = heap_strdup(c->host);
    b->advertised_host = heap_strdup(told);
    b->data_path = heap_strdup(c->data_dir);
    b->config.host = b->host;
    b->config.advertised_host = b->advertised_host;
    b->config.data_dir = b->data_path;
    list_init(&b->sessions);
    return b;
}

static int open_metadata(struct broker *b, struct err *e)
{
    char *path = heap_printf("%s/meta.db", b->data_path);
    int rc = metadata_open(&b->metadata, path, &b->config.topic, e);

    heap_free(path);
    return rc;
}

static void open_slots(struct broker *b)
{
    b->slots = (struct slots){.metadata = &b->metadata,
                              .fs = b->config.fs,
                              .clock = b->config.clock,
                              .flusher = b->flusher,
                              .data_dir = b->data_path,
                              .durable = b->config.durable};
    slots_init(&b->slots);
}

int broker_open(struct broker **out, const struct broker_config *c, struct err *e)
{
    struct broker *b = broker_new(c);
    int rc = datadir_open(&b->dir, c->fs, c->data_dir, e);

    if (rc < 0)
        goto fail_dir;
    rc = open_metadata(b, e);
    if (rc < 0)
        goto fail_metadata;
    b->flusher = flusher_new();
    open_slots(b);
    rc = flusher_start(b->flusher, e);
    if (rc < 0)
        goto fail_open;
    b->flushing = true;
    b->loop = loop_new(e);
    rc = b->loop == NULL ? LEAT_EMFILE : 0;
    if (rc < 0)
        goto fail_open;
    waits_init(&b->waits, b->loop);
    rc = groups_open(&b->groups, b, e);
    if (rc < 0)
        goto fail_open;
    *out = b;
    return 0;

fail_open:
    broker_free(b);
    return rc;
fail_metadata:
    metadata_close(&b->metadata);
fail_dir:
    datadir_close(&b->dir);
    heap_free(b->host);
    heap_free(b->advertised_host);
    heap_free(b->data_path);
    heap_free(b);
    return rc;
}

void broker_free(struct broker *b)
{
    if (b == NULL)
        return;
    broker_stop(b);
    groups_close(&b->groups);
    if (b->loop != NULL)
        waits_deinit(&b->waits);
    loop_free(b->loop);
    if (b->flushing)
        flusher_stop(b->flusher);
    slots_deinit(&b->slots);
    flusher_free(b->flusher);
    metadata_close(&b->metadata);
    datadir_close(&b->dir);
    heap_free(b->host);
    heap_free(b->advertised_host);
    heap_free(b->data_path);
    heap_free(b);
}

// --- running ---
static void on_moved(struct flush_watch *w) // the flusher's thread
{
    struct broker *b = container_of(w, struct broker, watch);

    if (!atomic_exchange(&b->moved_posted, true))
        loop_post(b->loop, &b->moved);
}

static void wake_waits(struct loop_message *m)
{
    struct broker *b = container_of(m, struct broker, moved);

    atomic_store(&b->moved_posted, false);
    waits_wake(&b->waits);
}

static void housekeep(void *arg)
{
    struct broker *b = arg;

    slots_sweep(&b->slots);
    journal_compact(&b->groups.journal, &b->groups);
    if (broker_now(b) - b->retained_ms >= RETENTION_MS) {
        b->retained_ms = broker_now(b);
        slots_retain(&b->slots);
    }
    timer_arm(b->housekeeping, HOUSEKEEPING_MS);
}

static void *run_loop(void *arg)
{
    struct broker *b = arg;

    loop_run(b->loop);
    return NULL;
}

static int start_thread(struct broker *b, struct err *e)
{
    sigset_t all, old;
    int rc;

    sigfillset(&all); // signals are the main thread's
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&b->thread, NULL, run_loop, b);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc != 0 ? err_errno(e, rc, "cannot start the network thread") : 0;
}

static void close_network(struct broker *b)
{
    listener_close(b->listener);
    b->listener = NULL;
    net_close(b->net);
    while (net_count(b->net) > 0)
        loop_turn(b->loop);
    net_free(b->net);
    b->net = NULL;
    timer_free(b->housekeeping);
    b->housekeeping = NULL;
}

int broker_start(struct broker *b, struct err *e)
{
    static const struct net_hooks hooks = {session_opened, session_framed, session_closed};
    struct net_config c;
    int rc;

    ASSERT(!b->started);
    signal(SIGPIPE, SIG_IGN);
    net_config_default(&c);
    b->net = net_new(b->loop, &c, &hooks, b);
    b->housekeeping = timer_new(b->loop, housekeep, b);
    timer_arm(b->housekeeping, HOUSEKEEPING_MS);
    rc = listener_open(&b->listener, b->loop, b->net, b->host, b->config.port, e);
    if (rc < 0) {
        close_network(b);
        return rc;
    }
    b->config.port = listener_port(b->listener);
    b->moved.run = wake_waits;
    b->watch.moved = on_moved;
    list_init(&b->watch.link);
    flusher_watch(b->flusher, &b->watch);
    rc = start_thread(b, e);
    if (rc < 0) {
        flusher_unwatch(b->flusher, &b->watch);
        close_network(b);
        return rc;
    }
    b->started = true;
    return 0;
}

static void stop_loop(struct loop_message *m)
{
    struct broker *b = container_of(m, struct broker, stop);

    b->stopping = true;
    loop_stop(b->loop);
}

void broker_stop(struct broker *b)
{
    if (!b->started)
        return;
    b->stop.run = stop_loop;
    loop_post(b->loop, &b->stop);
    pthread_join(b->thread, NULL);
    b->started = false;
    flusher_unwatch(b->flusher, &b->watch);
    // From here on the loop is this thread's. Requests that wait are dropped with their
    // connections: what they asked for may or may not have happened, as with any lost answer.
    groups_release(&b->groups);
    sessions_drop(b);
    close_network(b);
    loop_turn(b->loop); // a last message that was on its way
    ASSERT(list_empty(&b->sessions));
}

// --- what others ask ---
int broker_port(const struct broker *b)
{
    return b->config.port;
}

const char *broker_cluster_id(const struct broker *b)
{
    return b->metadata.cluster_id;
}

struct flusher *broker_flusher(struct broker *b)
{
    return b->flusher;
}

static void topic_copy(const struct topic *t, struct broker_topic *out)
{
    memcpy(out->name, t->name, sizeof out->name);
    out->id = t->id;
    out->n_partitions = t->n_partitions;
    out->internal = t->internal;
    out->config = t->config;
}

int broker_topic_info(struct broker *b, struct bytes name, struct broker_topic *out, struct err *e)
{
    struct topic *t;

    pthread_mutex_lock(&b->slots.lock); // keeps the topic from being deleted
    t = metadata_topic(&b->metadata, name);
    if (t != NULL)
        topic_copy(t, out);
    pthread_mutex_unlock(&b->slots.lock);
    return t == NULL ? err_set(e, LEAT_ENOTFOUND, "no such topic: %.*s", BYTES_FMT(name)) : 0;
}

int broker_topics(struct broker *b, int (*each)(void *arg, const struct broker_topic *t), void *arg)
{
    struct broker_topic *copies;
    struct topic **all;
    size_t n;
    int rc = 0;

    pthread_mutex_lock(&b->slots.lock);
    all = metadata_topics(&b->metadata, &n);
    copies = heap_zalloc(n * sizeof *copies);
    for (size_t i = 0; i < n; i++)
        topic_copy(all[i], &copies[i]);
    pthread_mutex_unlock(&b->slots.lock);
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = each(arg, &copies[i]);
    heap_free(all);
    heap_free(copies);
    return rc;
}

int broker_create(struct broker *b, const struct metadata_command *c, struct err *e)
{
    struct metadata_command full = *c;
    int rc = metadata_check_name(&b->metadata, c->name, e);

    if (rc < 0)
        return rc;
    if (full.n_partitions == -1)
        full.n_partitions = b->config.default_partitions;
    if (full.n_partitions < 1 || full.n_partitions > PARTITIONS_PER_TOPIC_MAX)
        return err_set(e, LEAT_ERANGE, "a topic has 1 to %d partitions", PARTITIONS_PER_TOPIC_MAX);
    if (uuid_is_zero(full.id))
        full.id = uuid_random();
    return metadata_apply(&b->metadata, &full, e);
}

int broker_add_partitions(struct broker *b, struct topic *t, int32_t n, struct err *e)
{
    struct metadata_command c = {.kind = METADATA_PARTITIONS_ADD, .id = t->id, .n_partitions = n};
    int rc;

    pthread_mutex_lock(&b->slots.lock); // the array of partitions moves
    rc = metadata_apply(&b->metadata, &c, e);
    pthread_mutex_unlock(&b->slots.lock);
    return rc;
}

int broker_delete(struct broker *b, struct topic *t, struct err *e)
{
    struct metadata_command c = {.kind = METADATA_TOPIC_DELETE, .id = t->id};
    int rc;

    pthread_mutex_lock(&b->slots.lock);
    rc = metadata_apply(&b->metadata, &c, e);
    pthread_mutex_unlock(&b->slots.lock);
    if (rc < 0)
        return rc;
    slots_topic_deleted(&b->slots, t);
    groups_topic_deleted(&b->groups, bytes_str(t->name));
    flusher_moved(b->flusher); // those that wait on it learn that it is gone, jobs too
    return 0;
}

int broker_topic_create(struct broker *b, struct bytes name, int32_t n_partitions,
                        const struct broker_setting *settings, int n_settings, struct err *e)
{
    struct topic_setting *list = heap_alloc((size_t)n_settings * sizeof *list);
    struct metadata_command c = {.kind = METADATA_TOPIC_CREATE,
                                 .name = name,
                                 .n_partitions = n_partitions,
                                 .settings = list,
                                 .n_settings = n_settings};
    int rc;

    for (int i = 0; i < n_settings; i++)
        list[i] = (struct topic_setting){bytes_str(settings[i].name), bytes_str(settings[i].value)};
    rc = broker_create(b, &c, e);
    heap_free(list);
    return rc;
}

int broker_partition(struct broker *b, struct bytes topic, int32_t partition, struct slot **out,
                     struct err *e)
{
    return slot_get(&b->slots, topic, partition, out, e);
}

struct partition *broker_slot_partition(struct slot *s)
{
    return s->partition;
}

struct uuid broker_slot_topic(const struct slot *s)
{
    return s->topic_id;
}

bool broker_slot_deleted(const struct slot *s)
{
    return atomic_load(&s->deleted);
}

void broker_slot_release(struct slot *s)
{
    slot_unref(s);
}

int64_t broker_producer_id(struct broker *b, struct err *e)
{
    if (b->producer_id_next == b->producer_id_end) {
        struct metadata_command c = {.kind = METADATA_PRODUCER_IDS};
        int64_t first = b->metadata.next_producer_id;

        if (first >= PRODUCER_ID_RESERVED - PRODUCER_ID_BLOCK)
            return err_set(e, LEAT_ELIMIT, "there are no more producer ids"), -1;
        if (metadata_apply(&b->metadata, &c, e) < 0)
            return -1;
        b->producer_id_next = first;
        b->producer_id_end = first + PRODUCER_ID_BLOCK;
    }
    return b->producer_id_next++;
}

void broker_stats(struct broker *b, struct broker_stats *out)
{
    pthread_mutex_lock(&b->slots.lock);
    out->open_partitions = b->slots.n_open;
    pthread_mutex_unlock(&b->slots.lock);
    pthread_mutex_lock(&b->metadata.lock);
    out->topics = (int64_t)b->metadata.by_name.n;
    pthread_mutex_unlock(&b->metadata.lock);
    out->connections = atomic_load(&b->n_connections);
    out->requests = atomic_load(&b->n_requests);
    out->produced_bytes = atomic_load(&b->produced_bytes);
    out->groups = atomic_load(&b->groups.n);
}
