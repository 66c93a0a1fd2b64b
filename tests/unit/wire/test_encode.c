// SPDX-License-Identifier: Apache-2.0
//
// What the encoder refuses, drops and leaves out, and what the defaults are.
#include "tests/unit/wire/wire_tests.h"

static int encode(const struct wire_message *m, int version, const void *in, struct buf *out)
{
    struct err e;

    buf_clear(out);
    return wire_encode(m, version, in, out, &e);
}

// Defaults come from the schema, also those that are not zero.
static void test_defaults(void **state)
{
    struct fetch_request fetch;
    struct join_group_request join;
    struct metadata_request metadata;

    (void)state;
    wire_defaults(&wire_fetch_request, &fetch);
    assert_int_equal(fetch.max_bytes, INT32_MAX);
    assert_int_equal(fetch.session_epoch, -1);
    assert_int_equal(fetch.replica_state.replica_epoch, -1);
    assert_true(bytes_is_null(fetch.cluster_id));
    assert_false(bytes_is_null(fetch.rack_id));
    wire_defaults(&wire_join_group_request, &join);
    assert_true(bytes_is_null(join.group_instance_id));
    wire_defaults(&wire_metadata_request, &metadata);
    assert_true(metadata.allow_auto_topic_creation);
    assert_int_equal(metadata.topics.n, 0);
}

// A field that a version lacks has its default after decoding: Metadata v1 allows auto-creation.
static void test_absent_is_default(void **state)
{
    static const uint8_t body[] = {0xff, 0xff, 0xff, 0xff};
    struct metadata_request q;
    struct arena a;
    struct err e;

    (void)state;
    arena_init(&a);
    memset(&q, 0x55, sizeof q);
    assert_int_equal(wire_decode(&wire_metadata_request, 1, bytes_of(body, 4), &a, &q, &e), 0);
    assert_int_equal(q.topics.n, -1);
    assert_true(q.allow_auto_topic_creation);
    arena_deinit(&a);
}

// A value that the version cannot carry is refused unless the schema calls the field ignorable.
static void test_absent_values(void **state)
{
    struct buf out = BUF_EMPTY;
    struct list_offsets_request list;
    struct offset_commit_request commit;

    (void)state;
    wire_defaults(&wire_list_offsets_request, &list);
    assert_int_equal(encode(&wire_list_offsets_request, 1, &list, &out), 0);
    list.isolation_level = 1;
    assert_int_equal(encode(&wire_list_offsets_request, 1, &list, &out), LEAT_EUNSUPPORTED);
    assert_int_equal(out.n, 0);
    assert_int_equal(encode(&wire_list_offsets_request, 2, &list, &out), 0);

    wire_defaults(&wire_offset_commit_request, &commit);
    commit.retention_time_ms = 5; // ignorable
    assert_int_equal(encode(&wire_offset_commit_request, 5, &commit, &out), 0);
    commit.group_instance_id = BYTES_LIT("static");
    assert_int_equal(encode(&wire_offset_commit_request, 6, &commit, &out), LEAT_EUNSUPPORTED);
    assert_int_equal(encode(&wire_offset_commit_request, 7, &commit, &out), 0);
    buf_deinit(&out);
}

// Null is written only in versions that allow it.
static void test_null(void **state)
{
    struct buf out = BUF_EMPTY;
    struct metadata_request q;
    struct find_coordinator_request find;

    (void)state;
    wire_defaults(&wire_metadata_request, &q);
    q.topics.n = -1;
    assert_int_equal(encode(&wire_metadata_request, 0, &q, &out), LEAT_EINVAL);
    assert_int_equal(encode(&wire_metadata_request, 4, &q, &out), 0);
    wire_defaults(&wire_find_coordinator_request, &find);
    find.key = BYTES_NULL;
    assert_int_equal(encode(&wire_find_coordinator_request, 0, &find, &out), LEAT_EINVAL);
    buf_deinit(&out);
}

// A string longer than a signed 16-bit length is refused, not cut, also where the length is a
// varint.
static void test_long_string(void **state)
{
    static const uint8_t text[INT16_MAX + 1];
    struct buf out = BUF_EMPTY;
    struct find_coordinator_request q;

    (void)state;
    wire_defaults(&wire_find_coordinator_request, &q);
    for (int v = 0; v <= 3; v++) {
        q.key = bytes_of(text, INT16_MAX);
        assert_int_equal(encode(&wire_find_coordinator_request, v, &q, &out), 0);
        q.key = bytes_of(text, INT16_MAX + 1);
        assert_int_equal(encode(&wire_find_coordinator_request, v, &q, &out), LEAT_EINVAL);
    }
    buf_deinit(&out);
}

// Versions outside of a message's range are refused in both directions.
static void test_versions(void **state)
{
    struct produce_request q;
    struct buf out = BUF_EMPTY;
    struct arena a;
    struct err e;

    (void)state;
    arena_init(&a);
    wire_defaults(&wire_produce_request, &q);
    for (int v = -1; v < 20; v++) {
        int want = v >= 3 && v <= 13 ? 0 : LEAT_EUNSUPPORTED;
        int rc = encode(&wire_produce_request, v, &q, &out);
        assert_int_equal(rc, want);
        rc = wire_decode(&wire_produce_request, v, buf_bytes(&out), &a, &q, &e);
        assert_int_equal(rc, want);
    }
    arena_deinit(&a);
    buf_deinit(&out);
}

// Tagged fields with their default are left out; others come in tag order with their size.
static void test_tags(void **state)
{
    static const uint8_t none[] = {0, 0, 1, 0, 0, 0, 0, 0};
    static const uint8_t two[] = {0, 0, 1, 0, 0, 0, 0, 2, 1, 8, 0, 0, 0, 0, 0, 0, 0, 7, 3, 1, 1};
    struct buf out = BUF_EMPTY;
    struct api_versions_response res;

    (void)state;
    wire_defaults(&wire_api_versions_response, &res);
    assert_int_equal(encode(&wire_api_versions_response, 3, &res, &out), 0);
    assert_true(bytes_eq(buf_bytes(&out), bytes_of(none, sizeof none)));
    res.zk_migration_ready = true;
    res.finalized_features_epoch = 7;
    assert_int_equal(encode(&wire_api_versions_response, 3, &res, &out), 0);
    assert_true(bytes_eq(buf_bytes(&out), bytes_of(two, sizeof two)));
    buf_deinit(&out);
}

// Unknown tags are skipped, in any number.
static void test_unknown_tags(void **state)
{
    static const uint8_t body[] = {0, 0, 1, 0, 0, 0, 0, 3, 9, 2, 'x', 'y', 3, 1, 1, 0x80, 1, 0};
    struct api_versions_response res;
    struct arena a;
    struct err e;

    (void)state;
    arena_init(&a);
    assert_int_equal(
        wire_decode(&wire_api_versions_response, 3, bytes_of(body, sizeof body), &a, &res, &e), 0);
    assert_true(res.zk_migration_ready);
    arena_deinit(&a);
}

int run_encode_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_absent_is_default),
        cmocka_unit_test(test_absent_values), cmocka_unit_test(test_null),
        cmocka_unit_test(test_long_string),   cmocka_unit_test(test_versions),
        cmocka_unit_test(test_tags),          cmocka_unit_test(test_unknown_tags),
    };

    return cmocka_run_group_tests_name("wire encode", tests, NULL, NULL);
}
