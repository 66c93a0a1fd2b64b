// SPDX-License-Identifier: Apache-2.0
//
// Requests through a whole broker, over a real connection: every api in every version, memory that
// runs out, stopping with requests held.
#include "tests/unit/broker/broker_tests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/broker/broker.h"
#include "runtime/broker/session.h"

struct fixture {
    char dir[64];
    struct broker_config config;
    struct broker *b;
    int fd;
    int32_t correlation;
    struct arena arena;
};

// A disk that is full, or whose syncs fail, while the switch is on.
static atomic_bool disk_full, disk_broken;

static int write_or_full(struct fs *fs, struct fs_file *file, const void *p, size_t n, int64_t pos,
                         struct err *e)
{
    if (atomic_load(&disk_full))
        return err_set(e, LEAT_ENOSPC, "no space left on device");
    return fs_posix()->write(fs, file, p, n, pos, e);
}

static int sync_or_broken(struct fs *fs, struct fs_file *file, struct err *e)
{
    if (atomic_load(&disk_broken))
        return err_set(e, LEAT_EIO, "broken disk");
    return fs_posix()->sync(fs, file, e);
}

static struct fs disk;

static int setup(void **state)
{
    struct fixture *f = heap_zalloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/leat-requests-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    disk = *fs_posix();
    disk.write = write_or_full;
    disk.sync = sync_or_broken;
    broker_config_default(&f->config);
    f->config.fs = &disk;
    f->config.data_dir = f->dir;
    f->config.port = 0;
    f->config.initial_rebalance_delay_ms = 0;
    assert_int_equal(broker_open(&f->b, &f->config, NULL), 0);
    assert_int_equal(broker_start(f->b, NULL), 0);
    f->fd = -1;
    arena_init(&f->arena);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    if (f->fd >= 0)
        close(f->fd);
    broker_free(f->b);
    arena_deinit(&f->arena);
    snprintf(command, sizeof command, "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
    heap_free(f);
    return 0;
}

static void when_connected(struct fixture *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)broker_port(f->b)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {10, 0};

    if (f->fd >= 0)
        close(f->fd);
    f->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(f->fd, (void *)&a, sizeof a), 0);
}

static void when_restarted(struct fixture *f)
{
    broker_free(f->b);
    assert_int_equal(broker_open(&f->b, &f->config, NULL), 0);
    assert_int_equal(broker_start(f->b, NULL), 0);
    when_connected(f);
}

static struct wire_request header(struct fixture *f, int key, int version)
{
    return (struct wire_request){.api = wire_api(key),
                                 .key = (int16_t)key,
                                 .version = (int16_t)version,
                                 .correlation_id = ++f->correlation,
                                 .client_id = BYTES_LIT("test")};
}

static void encode(const struct wire_request *q, const void *body, struct buf *out)
{
    struct err e;
    int rc = wire_request_encode(q, body, out, &e);

    if (rc < 0)
        print_message("%s v%d: %s\n", q->api->name, q->version, e.text);
    assert_int_equal(rc, 0);
}

static void send_all(struct fixture *f, const struct buf *b)
{
    ssize_t n = send(f->fd, b->p, b->n, MSG_NOSIGNAL);
    (void)n; // a closed connection shows when the answer is read
}

static void when_sent(struct fixture *f, const struct wire_request *q, const void *body)
{
    struct buf b = BUF_EMPTY;

    encode(q, body, &b);
    send_all(f, &b);
    buf_deinit(&b);
}

static bool read_all(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t k = recv(fd, p, n, 0);
        if (k <= 0) {
            assert_true(k == 0 || errno == ECONNRESET);
            return false;
        }
        p += k;
        n -= (size_t)k;
    }
    return true;
}

// A response without its length; null when the connection was closed.
static struct bytes receive(struct fixture *f)
{
    uint8_t head[4], *frame;

    if (!read_all(f->fd, head, 4))
        return BYTES_NULL;
    frame = arena_alloc(&f->arena, load_be32(head));
    if (!read_all(f->fd, frame, load_be32(head)))
        return BYTES_NULL;
    return bytes_of(frame, load_be32(head));
}

static void *decode(struct fixture *f, const struct wire_request *q, struct bytes frame)
{
    struct bytes body;
    struct err e;
    void *out = arena_alloc(&f->arena, q->api->response->size);
    int rc;

    if (bytes_is_null(frame))
        return NULL;
    assert_int_equal(load_be32(frame.p), q->correlation_id);
    rc = wire_response_decode(q, frame, &body, &e);
    if (rc == 0)
        rc = wire_decode(q->api->response, q->version, body, &f->arena, out, &e);
    if (rc < 0)
        print_message("%s v%d: %s\n", q->api->name, q->version, e.text);
    assert_int_equal(rc, 0);
    return out;
}

// The decoded response, or NULL when the connection was closed.
static void *answer(struct fixture *f, const struct wire_request *q)
{
    return decode(f, q, receive(f));
}

static void *call(struct fixture *f, int key, int version, const void *body)
{
    struct wire_request q = header(f, key, version);

    when_sent(f, &q, body);
    return answer(f, &q);
}

static void *empty_request(struct fixture *f, int key)
{
    return wire_new(&f->arena, wire_api(key)->request, 1);
}

static void every_api_answers_in_every_version(void **state)
{
    // Each advertised version of each api is decoded, answered and can be decoded by a client, even
    // when nothing is asked.
    struct fixture *f = *state;

    when_connected(f);
    for (size_t i = 0; i < n_apis; i++)
        for (int v = apis[i].min; v <= apis[i].max; v++) {
            void *body = empty_request(f, apis[i].key);
            if (apis[i].key == 18) {
                ((struct api_versions_request *)body)->client_software_name = BYTES_LIT("test");
                ((struct api_versions_request *)body)->client_software_version = BYTES_LIT("1.0");
            }
            if (apis[i].key == 0)
                ((struct produce_request *)body)->acks = -1;
            if (call(f, apis[i].key, v, body) == NULL)
                fail_msg("api %d version %d closes the connection", apis[i].key, v);
        }
}

static void what_is_advertised_is_served(void **state)
{
    // ApiVersions lists exactly the table; Produce is told from 0 (KAFKA-18659).
    struct fixture *f = *state;
    struct api_versions_request q = {BYTES_LIT("test"), BYTES_LIT("1.0"), BYTES_NULL, -1};
    struct api_versions_response *r;

    when_connected(f);
    r = call(f, 18, 4, &q);
    assert_int_equal(r->error_code, 0);
    assert_int_equal(r->api_keys.n, n_apis);
    assert_int_equal(r->api_keys.items[0].api_key, 0);
    assert_int_equal(r->api_keys.items[0].min_version, 0);
    assert_int_equal(r->api_keys.items[0].max_version, 11);
    q.client_software_name = BYTES_LIT("-bad");
    r = call(f, 18, 4, &q);
    assert_int_equal(r->error_code, 42);
}

static int16_t create_topic(struct fixture *f, struct bytes name)
{
    struct create_topics_request *q = empty_request(f, 19);
    struct create_topics_response *r;

    q->topics.n = 1;
    q->topics.items = WIRE_NEW(&f->arena, create_topics_request_topic, 1);
    q->topics.items[0].name = name;
    q->topics.items[0].num_partitions = -1;
    q->topics.items[0].replication_factor = -1;
    q->timeout_ms = 1000;
    r = call(f, 19, 7, q);
    return r != NULL ? r->topics.items[0].error_code : -1;
}

// The request, with one record; the batch lies in the arena.
static struct produce_request *produce_request(struct fixture *f, struct bytes topic)
{
    struct produce_request *q = empty_request(f, 0);
    struct batch_builder b;
    struct bytes batch;
    struct err e;

    batch_builder_init(&b);
    batch_builder_add(&b, clock_wall_ms(clock_system()), BYTES_LIT("k"), BYTES_LIT("v"), NULL, 0);
    assert_int_equal(batch_builder_finish(&b, CODEC_NONE, &batch, &e), 0);
    q->acks = -1;
    q->timeout_ms = 10000;
    q->topic_data.n = 1;
    q->topic_data.items = WIRE_NEW(&f->arena, produce_request_topic, 1);
    q->topic_data.items[0].name = topic;
    q->topic_data.items[0].partition_data.n = 1;
    q->topic_data.items[0].partition_data.items = WIRE_NEW(&f->arena, produce_request_partition, 1);
    q->topic_data.items[0].partition_data.items[0].records = arena_copy(&f->arena, batch);
    batch_builder_deinit(&b);
    return q;
}

static struct produce_response_partition *produce(struct fixture *f, struct bytes topic)
{
    struct produce_response *r = call(f, 0, 11, produce_request(f, topic));

    return r != NULL ? &r->responses.items[0].partition_responses.items[0] : NULL;
}

static struct fetch_request *fetch_request(struct fixture *f, struct bytes topic, int64_t offset)
{
    struct fetch_request *q = empty_request(f, 1);

    q->replica_id = -1;
    q->replica_state.replica_id = -1;
    q->max_wait_ms = 10000;
    q->min_bytes = 1;
    q->max_bytes = 1 << 20;
    q->session_epoch = -1;
    q->topics.n = 1;
    q->topics.items = WIRE_NEW(&f->arena, fetch_request_topic, 1);
    q->topics.items[0].topic = topic;
    q->topics.items[0].partitions.n = 1;
    q->topics.items[0].partitions.items = WIRE_NEW(&f->arena, fetch_request_partition, 1);
    q->topics.items[0].partitions.items[0].fetch_offset = offset;
    q->topics.items[0].partitions.items[0].partition_max_bytes = 1 << 20;
    return q;
}

static void produced_records_are_fetched(void **state)
{
    // What was acknowledged can be fetched, with its offset and bytes.
    struct fixture *f = *state;
    struct fetch_response *r;
    struct produce_response_partition *p;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 36);
    for (int i = 0; i < 3; i++) {
        p = produce(f, BYTES_LIT("t"));
        assert_int_equal(p->error_code, 0);
        assert_int_equal(p->base_offset, i);
    }
    r = call(f, 1, 12, fetch_request(f, BYTES_LIT("t"), 1));
    assert_int_equal(r->responses.items[0].partitions.items[0].high_watermark, 3);
    assert_int_equal(load_be64(r->responses.items[0].partitions.items[0].records.p), 1);
    r = call(f, 1, 12, fetch_request(f, BYTES_LIT("t"), 4));
    assert_int_equal(r->responses.items[0].partitions.items[0].error_code, 1);
    r = call(f, 1, 12, fetch_request(f, BYTES_LIT("none"), 0));
    assert_int_equal(r->responses.items[0].partitions.items[0].error_code, 3);
}

static void fetches_by_topic_id(void **state)
{
    // From version 13 topics are known by id: a wrong one is UNKNOWN_TOPIC_ID, and a session that
    // we never gave is refused.
    struct fixture *f = *state;
    struct broker_topic t;
    struct fetch_request *q;
    struct fetch_response *r;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 0);
    assert_int_equal(broker_topic_info(f->b, BYTES_LIT("t"), &t, NULL), 0);
    for (int v = 13; v <= 17; v++) {
        q = fetch_request(f, bytes_str(""), 0);
        q->replica_state = WIRE_NEW(&f->arena, fetch_request, 1)->replica_state;
        q->topics.items[0].topic_id = t.id;
        r = call(f, 1, v, q);
        assert_int_equal(r->error_code, 0);
        assert_int_equal(r->responses.items[0].partitions.items[0].error_code, 0);
        assert_true(r->responses.items[0].partitions.items[0].records.n > 61);
        q->topics.items[0].topic_id = uuid_random();
        r = call(f, 1, v, q);
        assert_int_equal(r->responses.items[0].partitions.items[0].error_code, 100);
        q->session_id = 5;
        assert_int_equal(((struct fetch_response *)call(f, 1, v, q))->error_code, 70);
    }
}

static struct delete_records_response_partition *delete_records(struct fixture *f, int64_t offset)
{
    struct delete_records_request *q = empty_request(f, 21);
    struct delete_records_response *r;

    q->topics.n = 1;
    q->topics.items = WIRE_NEW(&f->arena, delete_records_request_topic, 1);
    q->topics.items[0].name = BYTES_LIT("t");
    q->topics.items[0].partitions.n = 1;
    q->topics.items[0].partitions.items = WIRE_NEW(&f->arena, delete_records_request_partition, 1);
    q->topics.items[0].partitions.items[0].offset = offset;
    r = call(f, 21, 2, q);
    return &r->topics.items[0].partitions.items[0];
}

static void deleted_records_stay_deleted(void **state)
{
    // DeleteRecords moves the start, -1 to the high watermark, never above it; a restart keeps it.
    struct fixture *f = *state;
    struct fetch_response *r;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 0);
    assert_int_equal(delete_records(f, 6)->error_code, 1);
    assert_int_equal(delete_records(f, 3)->low_watermark, 3);
    assert_int_equal(delete_records(f, 2)->low_watermark, 3);
    when_restarted(f);
    r = call(f, 1, 12, fetch_request(f, BYTES_LIT("t"), 2));
    assert_int_equal(r->responses.items[0].partitions.items[0].error_code, 1);
    assert_int_equal(delete_records(f, -1)->low_watermark, 5);
    assert_int_equal(produce(f, BYTES_LIT("t"))->base_offset, 5);
}

static void a_fetch_waits_for_min_bytes(void **state)
{
    // With too little to give, a fetch answers at max_wait_ms with what there is, and not before.
    struct fixture *f = *state;
    struct fetch_request *q = fetch_request(f, BYTES_LIT("t"), 0);
    struct fetch_response *r;
    int64_t start;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 0);
    q->min_bytes = 100000;
    q->max_wait_ms = 100;
    start = clock_mono_ms(clock_system());
    r = call(f, 1, 12, q);
    assert_true(clock_mono_ms(clock_system()) - start >= 99);
    assert_true(r->responses.items[0].partitions.items[0].records.n > 0);
    assert_int_equal(r->throttle_time_ms, 0);
    q->min_bytes = 0;
    q->max_wait_ms = 10000;
    q->topics.items[0].partitions.items[0].fetch_offset = 1;
    start = clock_mono_ms(clock_system());
    r = call(f, 1, 12, q);
    assert_true(clock_mono_ms(clock_system()) - start < 5000);
    assert_int_equal(r->responses.items[0].partitions.items[0].records.n, 0);
}

static void a_full_disk_is_waited_out(void **state)
{
    // KAFKA_STORAGE_ERROR while there is no space, reads go on, writes work again without
    // a restart.
    struct fixture *f = *state;
    struct fetch_response *r;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 0);
    atomic_store(&disk_full, true);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 56);
    r = call(f, 1, 12, fetch_request(f, BYTES_LIT("t"), 0));
    assert_int_equal(r->responses.items[0].partitions.items[0].high_watermark, 1);
    atomic_store(&disk_full, false);
    assert_int_equal(produce(f, BYTES_LIT("t"))->base_offset, 1);
}

static void a_failed_sync_is_never_acknowledged(void **state)
{
    // D11: what could not be synced is an error to its producer, now and until the restart.
    struct fixture *f = *state;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 0);
    atomic_store(&disk_broken, true);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 56);
    atomic_store(&disk_broken, false);
    assert_int_equal(produce(f, BYTES_LIT("t"))->error_code, 56);
}

static void memory_may_run_out(void **state)
{
    // Whichever allocation fails, a client gets a right answer or a closed connection, and the next
    // one is served.
    struct fixture *f = *state;
    bool fired = true;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    for (int64_t n = 0; fired; n++) {
        struct wire_request q = header(f, 0, 11);
        struct produce_response_partition *p;
        struct buf b = BUF_EMPTY;
        struct bytes frame;

        when_connected(f);
        encode(&q, produce_request(f, BYTES_LIT("t")), &b);
        heap_fault_arm(n, false);
        send_all(f, &b);
        frame = receive(f);
        fired = heap_fault_fired();
        heap_fault_arm(-1, false);
        buf_deinit(&b);
        assert_true(fired || !bytes_is_null(frame));
        if (!bytes_is_null(frame))
            (void)decode(f, &q, frame);
        when_connected(f);
        p = produce(f, BYTES_LIT("t"));
        assert_non_null(p);
        assert_int_equal(p->error_code, 0);
    }
}

static void stopping_answers_or_drops_what_is_held(void **state)
{
    // A broker stops at once with a long poll, a held join and a queued request behind it, and can
    // be opened again.
    struct fixture *f = *state;
    struct join_group_request *j = empty_request(f, 11);
    struct wire_request q;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    q = header(f, 1, 12);
    when_sent(f, &q, fetch_request(f, BYTES_LIT("t"), 0));
    int poll_fd = f->fd;
    f->fd = -1;
    when_connected(f);
    j->group_id = BYTES_LIT("g");
    j->session_timeout_ms = j->rebalance_timeout_ms = 10000;
    j->protocol_type = BYTES_LIT("consumer");
    j->protocols.n = 1;
    j->protocols.items = WIRE_NEW(&f->arena, join_group_request_protocol, 1);
    j->protocols.items[0].name = BYTES_LIT("range");
    j->protocols.items[0].metadata = BYTES_LIT("m");
    struct join_group_response *first = call(f, 11, 3, j);
    assert_int_equal(first->error_code, 0);
    q = header(f, 11, 3);
    when_sent(f, &q, j); // a second member: held until the first comes again
    q = header(f, 12, 0);
    when_sent(f, &q, empty_request(f, 12));
    usleep(50 * 1000); // let it arrive; either way the stop must be clean
    broker_free(f->b);
    close(poll_fd);
    assert_int_equal(broker_open(&f->b, &f->config, NULL), 0);
    assert_int_equal(broker_start(f->b, NULL), 0);
}

static int16_t commit(struct fixture *f, struct bytes group, struct bytes topic, int64_t offset)
{
    struct offset_commit_request *q = empty_request(f, 8);
    struct offset_commit_response *r;

    q->group_id = group;
    q->generation_id_or_member_epoch = -1;
    q->topics.n = 1;
    q->topics.items = WIRE_NEW(&f->arena, offset_commit_request_topic, 1);
    q->topics.items[0].name = topic;
    q->topics.items[0].partitions.n = 1;
    q->topics.items[0].partitions.items = WIRE_NEW(&f->arena, offset_commit_request_partition, 1);
    q->topics.items[0].partitions.items[0].committed_offset = offset;
    q->topics.items[0].partitions.items[0].committed_leader_epoch = 7;
    r = call(f, 8, 9, q);
    return r != NULL ? r->topics.items[0].partitions.items[0].error_code : -1;
}

// All that the group has committed.
static struct offset_fetch_response_group *fetch_offsets(struct fixture *f, struct bytes group)
{
    struct offset_fetch_request *q = empty_request(f, 9);
    struct offset_fetch_response *r;

    q->groups.n = 1;
    q->groups.items = WIRE_NEW(&f->arena, offset_fetch_request_group, 1);
    q->groups.items[0].group_id = group;
    q->groups.items[0].topics.n = -1;
    r = call(f, 9, 9, q);
    assert_non_null(r);
    return &r->groups.items[0];
}

static void history_of_commits_goes_and_offsets_stay(void **state)
{
    // However often a group commits, what must be replayed stays small, and nothing that counts is
    // lost.
    struct fixture *f = *state;
    struct offset_fetch_response_group *g;
    struct slot *s;

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(commit(f, BYTES_LIT("other"), BYTES_LIT("t"), 42), 0);
    for (int64_t i = 0; i < 700; i++)
        assert_int_equal(commit(f, BYTES_LIT("g"), BYTES_LIT("t"), i), 0);
    assert_int_equal(broker_partition(f->b, BYTES_LIT("__consumer_offsets"), 0, &s, NULL), 0);
    for (int i = 0; i < 100 && partition_start(broker_slot_partition(s)) == 0; i++)
        usleep(50 * 1000); // housekeeping runs each second
    assert_true(partition_start(broker_slot_partition(s)) >= 500);
    broker_slot_release(s);
    for (int i = 0; i < 2; i++) {
        when_restarted(f);
        g = fetch_offsets(f, BYTES_LIT("g"));
        assert_int_equal(g->topics.n, 1);
        assert_int_equal(g->topics.items[0].partitions.items[0].committed_offset, 699);
        assert_int_equal(g->topics.items[0].partitions.items[0].committed_leader_epoch, 7);
        g = fetch_offsets(f, BYTES_LIT("other"));
        assert_int_equal(g->topics.items[0].partitions.items[0].committed_offset, 42);
    }
}

static void offsets_of_a_deleted_topic_are_forgotten(void **state)
{
    // A topic of the same name is another one: a group starts it at its reset policy.
    struct fixture *f = *state;
    struct delete_topics_request *q = empty_request(f, 20);

    when_connected(f);
    assert_int_equal(create_topic(f, BYTES_LIT("t")), 0);
    assert_int_equal(create_topic(f, BYTES_LIT("u")), 0);
    assert_int_equal(commit(f, BYTES_LIT("g"), BYTES_LIT("t"), 5), 0);
    assert_int_equal(commit(f, BYTES_LIT("g"), BYTES_LIT("u"), 6), 0);
    assert_int_equal(commit(f, BYTES_LIT("g"), BYTES_LIT("none"), 6), 3);
    q->topic_names.n = 1;
    q->topic_names.items = arena_alloc(&f->arena, sizeof *q->topic_names.items);
    q->topic_names.items[0] = BYTES_LIT("t");
    assert_non_null(call(f, 20, 5, q));
    assert_int_equal(fetch_offsets(f, BYTES_LIT("g"))->topics.n, 1);
    when_restarted(f);
    assert_int_equal(fetch_offsets(f, BYTES_LIT("g"))->topics.n, 1);
    assert_int_equal(fetch_offsets(f, BYTES_LIT("unknown"))->topics.n, 0);
    assert_int_equal(fetch_offsets(f, BYTES_LIT("unknown"))->error_code, 0);
}

static void topics_for_the_engine(void **state)
{
    // The face for the rest of the process: topics by name, partitions that are held, deletion that
    // is noticed.
    struct fixture *f = *state;
    struct delete_topics_request *q = empty_request(f, 20);
    struct delete_topics_response *r;
    struct broker_topic t;
    struct slot *s;

    assert_int_equal(broker_topic_info(f->b, BYTES_LIT("e"), &t, NULL), LEAT_ENOTFOUND);
    assert_int_equal(broker_topic_create(f->b, BYTES_LIT("e"), 2, NULL, 0, NULL), 0);
    assert_int_equal(broker_topic_create(f->b, BYTES_LIT("e"), 2, NULL, 0, NULL), LEAT_EEXISTS);
    assert_int_equal(broker_topic_info(f->b, BYTES_LIT("e"), &t, NULL), 0);
    assert_int_equal(t.n_partitions, 2);
    assert_int_equal(broker_partition(f->b, BYTES_LIT("e"), 2, &s, NULL), LEAT_ENOTFOUND);
    assert_int_equal(broker_partition(f->b, BYTES_LIT("e"), 1, &s, NULL), 0);
    assert_int_equal(partition_end(broker_slot_partition(s)), 0);
    when_connected(f);
    q->topic_names.n = 1;
    q->topic_names.items = arena_alloc(&f->arena, sizeof *q->topic_names.items);
    q->topic_names.items[0] = BYTES_LIT("e");
    r = call(f, 20, 5, q);
    assert_int_equal(r->responses.items[0].error_code, 0);
    assert_true(broker_slot_deleted(s));
    broker_slot_release(s);
}

int request_tests(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(every_api_answers_in_every_version),
        T(what_is_advertised_is_served),
        T(produced_records_are_fetched),
        T(fetches_by_topic_id),
        T(deleted_records_stay_deleted),
        T(a_fetch_waits_for_min_bytes),
        T(a_full_disk_is_waited_out),
        T(a_failed_sync_is_never_acknowledged),
        T(memory_may_run_out),
        T(stopping_answers_or_drops_what_is_held),
        T(history_of_commits_goes_and_offsets_stay),
        T(offsets_of_a_deleted_topic_are_forgotten),
        T(topics_for_the_engine),
#undef T
    };

    return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
