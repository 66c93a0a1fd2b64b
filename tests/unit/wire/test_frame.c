// SPDX-License-Identifier: Apache-2.0
//
// Frames: headers of requests and responses, and records that are sent but not copied.
#include "tests/unit/wire/wire_tests.h"

#include "runtime/base/endian.h"

static struct bytes frame_of(const struct buf *b)
{
    assert_true(b->n >= 4);
    assert_int_equal(load_be32(b->p), b->n - 4);
    return bytes_of(b->p + 4, b->n - 4);
}

static void expect_bytes(const struct buf *b, const void *p, size_t n)
{
    assert_int_equal(b->n, n);
    assert_memory_equal(b->p, p, n);
}

// A request comes back with its key, version, correlation id, client id and body, at every version.
static void test_request(void **state)
{
    struct heartbeat_request q, got;
    struct arena a;

    (void)state;
    arena_init(&a);
    wire_defaults(&wire_heartbeat_request, &q);
    q.group_id = BYTES_LIT("g");
    for (int16_t v = 0; v <= 4; v++) {
        struct wire_request sent = {wire_api(WIRE_HEARTBEAT), WIRE_HEARTBEAT, v, 77,
                                    BYTES_LIT("me"),          BYTES_NULL};
        struct wire_request r;
        struct buf out = BUF_EMPTY;
        struct err e;

        assert_int_equal(wire_request_encode(&sent, &q, &out, &e), 0);
        assert_int_equal(wire_request_decode(frame_of(&out), &r, &e), 0);
        assert_ptr_equal(r.api, sent.api);
        assert_int_equal(r.version, v);
        assert_int_equal(r.correlation_id, 77);
        assert_true(bytes_eq_str(r.client_id, "me"));
        assert_int_equal(wire_decode(r.api->request, v, r.body, &a, &got, &e), 0);
        assert_true(bytes_eq_str(got.group_id, "g"));
        buf_deinit(&out);
    }
    arena_deinit(&a);
}

// The client id has a two-byte length in flexible headers too, and may be null.
static void test_client_id(void **state)
{
    static const uint8_t frame[] = {0, 18, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 0, 2, 'a', 2, '1', 0};
    struct api_versions_request q;
    struct wire_request r;
    struct arena a;
    struct err e;

    (void)state;
    arena_init(&a);
    assert_int_equal(wire_request_decode(bytes_of(frame, sizeof frame), &r, &e), 0);
    assert_true(bytes_is_null(r.client_id));
    assert_int_equal(wire_decode(r.api->request, 3, r.body, &a, &q, &e), 0);
    assert_true(bytes_eq_str(q.client_software_name, "a"));
    arena_deinit(&a);
}

// An unknown key or version still tells which request it was, so that it can be answered.
static void test_unknown(void **state)
{
    static const uint8_t version[] = {0, 18, 0, 99, 0, 0, 0, 9, 0xde, 0xad};
    static const uint8_t key[] = {3, 0xe8, 0, 0, 0, 0, 0, 9, 0, 0};
    struct wire_request r;
    struct err e;

    (void)state;
    assert_int_equal(wire_request_decode(bytes_of(version, sizeof version), &r, &e),
                     LEAT_EUNSUPPORTED);
    assert_int_equal(r.key, WIRE_API_VERSIONS);
    assert_int_equal(r.version, 99);
    assert_int_equal(r.correlation_id, 9);
    assert_non_null(r.api);
    assert_int_equal(wire_request_decode(bytes_of(key, sizeof key), &r, &e), LEAT_EUNSUPPORTED);
    assert_int_equal(r.key, 1000);
    assert_null(r.api);
}

// A frame that is cut within the header is malformed.
static void test_short_header(void **state)
{
    static const uint8_t frame[] = {0, 12, 0, 4, 0, 0, 0, 9, 0, 1, 'x', 0};
    struct wire_request r;
    struct err e;

    (void)state;
    for (size_t n = 0; n < sizeof frame; n++)
        assert_int_equal(wire_request_decode(bytes_of(frame, n), &r, &e), LEAT_EPROTO);
    assert_int_equal(wire_request_decode(bytes_of(frame, sizeof frame), &r, &e), 0);
    assert_int_equal(r.body.n, 0);
}

// An ApiVersions response has header version 0 at every version; others have tags when flexible.
static void test_response_header(void **state)
{
    static const uint8_t versions[] = {0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0};
    static const uint8_t heartbeat[] = {0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0};
    struct wire_request q = {wire_api(18), 18, 3, 5, BYTES_NULL, BYTES_NULL};
    struct api_versions_response api_versions;
    struct heartbeat_response beat;
    struct buf out = BUF_EMPTY;
    struct err e;

    (void)state;
    wire_defaults(&wire_api_versions_response, &api_versions);
    assert_int_equal(wire_response_encode(&q, &api_versions, NULL, &out, &e), 0);
    expect_bytes(&out, versions, sizeof versions);
    buf_clear(&out);
    q = (struct wire_request){wire_api(12), 12, 4, 5, BYTES_NULL, BYTES_NULL};
    wire_defaults(&wire_heartbeat_response, &beat);
    assert_int_equal(wire_response_encode(&q, &beat, NULL, &out, &e), 0);
    expect_bytes(&out, heartbeat, sizeof heartbeat);
    buf_deinit(&out);
}

// A response with another correlation id is not taken for ours.
static void test_response_decode(void **state)
{
    struct wire_request q = {wire_api(12), 12, 4, 5, BYTES_NULL, BYTES_NULL};
    struct heartbeat_response res;
    struct buf out = BUF_EMPTY;
    struct bytes body;
    struct err e;

    (void)state;
    wire_defaults(&wire_heartbeat_response, &res);
    assert_int_equal(wire_response_encode(&q, &res, NULL, &out, &e), 0);
    assert_int_equal(wire_response_decode(&q, frame_of(&out), &body, &e), 0);
    assert_int_equal(body.n, 7);
    q.correlation_id = 6;
    assert_int_equal(wire_response_decode(&q, frame_of(&out), &body, &e), LEAT_EPROTO);
    buf_deinit(&out);
}

static void given_fetch_response(struct fetch_response *res, struct arena *a)
{
    struct fetch_response_partition *p = WIRE_NEW(a, fetch_response_partition, 4);
    struct fetch_response_topic *topic = WIRE_NEW(a, fetch_response_topic, 1);

    p[0].records = BYTES_LIT("first records");
    p[1].records = BYTES_NULL;
    p[2].records = BYTES_LIT("");
    p[3].records = BYTES_LIT("more");
    topic->topic = BYTES_LIT("t");
    topic->partitions.n = 4;
    topic->partitions.items = p;
    wire_defaults(&wire_fetch_response, res);
    res->responses.n = 1;
    res->responses.items = topic;
}

// The bytes around the gaps, with the records put in, are those that copying gives.
static void test_gaps(void **state)
{
    struct wire_request q = {wire_api(1), 1, 0, 5, BYTES_NULL, BYTES_NULL};
    struct fetch_response res;
    struct arena a;

    (void)state;
    arena_init(&a);
    given_fetch_response(&res, &a);
    for (q.version = 4; q.version <= 12; q.version++) {
        struct buf copied = BUF_EMPTY, sparse = BUF_EMPTY, joined = BUF_EMPTY;
        struct wire_gap gap[2];
        struct wire_gaps gaps = {gap, 0, 2};
        size_t pos = 0;
        struct err e;

        assert_int_equal(wire_response_encode(&q, &res, NULL, &copied, &e), 0);
        assert_int_equal(wire_response_encode(&q, &res, &gaps, &sparse, &e), 0);
        assert_int_equal(gaps.n, 2);
        for (size_t i = 0; i < gaps.n; i++) {
            buf_append(&joined, sparse.p + pos, gap[i].pos - pos);
            buf_append_bytes(&joined, gap[i].records);
            pos = gap[i].pos;
        }
        buf_append(&joined, sparse.p + pos, sparse.n - pos);
        expect_bytes(&joined, copied.p, copied.n);
        gaps = (struct wire_gaps){gap, 0, 1};
        buf_clear(&sparse);
        assert_int_equal(wire_response_encode(&q, &res, &gaps, &sparse, &e), LEAT_ELIMIT);
        assert_int_equal(gaps.n, 0);
        assert_int_equal(sparse.n, 0);
        buf_deinit(&copied);
        buf_deinit(&sparse);
        buf_deinit(&joined);
    }
    arena_deinit(&a);
}

// Every key of the table is found, and no other.
static void test_api_table(void **state)
{
    size_t n = 0;

    (void)state;
    for (int key = -1; key < 200; key++) {
        const struct wire_api *api = wire_api(key);
        if (api == NULL)
            continue;
        assert_int_equal(api->key, key);
        assert_ptr_equal(api, &wire_apis[n]);
        assert_int_equal(api->min, api->request->min);
        assert_int_equal(api->max, api->response->max);
        n++;
    }
    assert_int_equal(n, wire_n_apis);
    assert_string_equal(wire_api(WIRE_PRODUCE)->name, "Produce");
}

int run_frame_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_client_id),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_short_header),
        cmocka_unit_test(test_response_header),
        cmocka_unit_test(test_response_decode),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_api_table),
    };

    return cmocka_run_group_tests_name("wire frame", tests, NULL, NULL);
}
