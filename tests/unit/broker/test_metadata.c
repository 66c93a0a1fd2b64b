// SPDX-License-Identifier: Apache-2.0
//
// meta.db and its image, and the data directory.
#include "tests/unit/broker/broker_tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/base/heap.h"
#include "runtime/broker/datadir.h"
#include "runtime/broker/metadata.h"

struct fixture {
    char dir[64], path[80];
    struct metadata m;
    struct topic_config defaults;
};

static int setup(void **state)
{
    struct fixture *f = heap_zalloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/leat-metadata-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/meta.db", f->dir);
    f->defaults = (struct topic_config){1000, -1, 1000, 1000000, 1000000};
    assert_int_equal(metadata_open(&f->m, f->path, &f->defaults, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    metadata_close(&f->m);
    snprintf(command, sizeof command, "rm -r %s", f->dir);
    assert_int_equal(system(command), 0);
    heap_free(f);
    return 0;
}

static void when_reopened(struct fixture *f)
{
    struct err e;

    metadata_close(&f->m);
    assert_int_equal(metadata_open(&f->m, f->path, &f->defaults, &e), 0);
}

static int create(struct fixture *f, const char *name, int32_t n, struct err *e)
{
    struct topic_setting s[] = {{BYTES_LIT("retention.ms"), BYTES_LIT("5")}};
    struct metadata_command c = {.kind = METADATA_TOPIC_CREATE,
                                 .name = bytes_str(name),
                                 .id = uuid_random(),
                                 .n_partitions = n,
                                 .settings = s,
                                 .n_settings = 1};

    return metadata_apply(&f->m, &c, e);
}

static void topics_survive(void **state)
{
    // A created topic has its id, partitions, settings and starts after a restart too.
    struct fixture *f = *state;
    struct metadata_command c = {.kind = METADATA_PARTITION_START, .partition = 2, .offset = 77};
    char cluster[UUID_BASE64_SIZE];
    struct topic *t;
    struct uuid id;

    assert_int_equal(create(f, "a.topic", 3, NULL), 0);
    t = metadata_topic(&f->m, BYTES_LIT("a.topic"));
    id = c.id = t->id;
    assert_int_equal(metadata_apply(&f->m, &c, NULL), 0);
    c = (struct metadata_command){.kind = METADATA_PARTITIONS_ADD, .id = id, .n_partitions = 5};
    assert_int_equal(metadata_apply(&f->m, &c, NULL), 0);
    memcpy(cluster, f->m.cluster_id, sizeof cluster);
    when_reopened(f);
    assert_string_equal(f->m.cluster_id, cluster);
    t = metadata_topic(&f->m, BYTES_LIT("a.topic"));
    assert_non_null(t);
    assert_ptr_equal(metadata_topic_by_id(&f->m, id), t);
    assert_int_equal(t->n_partitions, 5);
    assert_int_equal(t->partitions[2].start, 77);
    assert_int_equal(t->config.retention_ms, 5);
    assert_int_equal(t->config.segment_ms, 1000);
    assert_int_equal(t->n_settings, 1);
}

static void a_deleted_topic_leaves_a_tombstone(void **state)
{
    // The tombstone lasts until the files are gone, over restarts; the name is free at once, with
    // another id.
    struct fixture *f = *state;
    struct metadata_command c = {.kind = METADATA_TOPIC_DELETE};

    assert_int_equal(create(f, "t", 1, NULL), 0);
    assert_int_equal(create(f, "t", 1, NULL), LEAT_EEXISTS);
    c.id = metadata_topic(&f->m, BYTES_LIT("t"))->id;
    assert_int_equal(metadata_apply(&f->m, &c, NULL), 0);
    assert_null(metadata_topic(&f->m, BYTES_LIT("t")));
    assert_int_equal(metadata_apply(&f->m, &c, NULL), LEAT_ENOTFOUND);
    assert_int_equal(create(f, "t", 1, NULL), 0);
    assert_false(uuid_eq(metadata_topic(&f->m, BYTES_LIT("t"))->id, c.id));
    when_reopened(f);
    assert_false(list_empty(&f->m.graves));
    assert_true(uuid_eq(container_of(f->m.graves.next, struct topic, grave)->id, c.id));
    c.kind = METADATA_TOPIC_GONE;
    assert_int_equal(metadata_apply(&f->m, &c, NULL), 0);
    assert_true(list_empty(&f->m.graves));
    when_reopened(f);
    assert_true(list_empty(&f->m.graves));
}

static void producer_ids_are_never_given_twice(void **state)
{
    // A block of producer ids is taken durably before the first of it is used.
    struct fixture *f = *state;
    struct metadata_command c = {.kind = METADATA_PRODUCER_IDS};

    assert_int_equal(f->m.next_producer_id, 0);
    assert_int_equal(metadata_apply(&f->m, &c, NULL), 0);
    when_reopened(f);
    assert_int_equal(f->m.next_producer_id, PRODUCER_ID_BLOCK);
}

static void names_are_checked(void **state)
{
    // Kafka's rules for names, and no two that differ in '.' and '_' only.
    static const char *bad[] = {"", ".", "..", "a b", "a/b", "\xc3\xa4", "a\n"};
    struct fixture *f = *state;
    char name[252];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(metadata_check_name(&f->m, bytes_str(bad[i]), NULL), LEAT_EINVAL);
    memset(name, 'x', sizeof name);
    assert_int_equal(metadata_check_name(&f->m, bytes_of(name, 249), NULL), 0);
    assert_int_equal(metadata_check_name(&f->m, bytes_of(name, 250), NULL), LEAT_EINVAL);
    assert_int_equal(create(f, "a.b", 1, NULL), 0);
    assert_int_equal(metadata_check_name(&f->m, BYTES_LIT("a_b"), NULL), LEAT_EINVAL);
    assert_int_equal(metadata_check_name(&f->m, BYTES_LIT("a.b"), NULL), 0);
}

static void a_failing_disk_changes_nothing(void **state)
{
    // Whichever write of a command fails, the image stays as it was and the next start sees no
    // half.
    struct fixture *f = *state;

    for (int64_t n = 0;; n++) {
        struct err e;
        int rc;

        db_fault_arm(f->m.db, n, LEAT_ENOSPC, false);
        rc = create(f, "faulty", 2, &e);
        if (!db_fault_fired(f->m.db)) {
            assert_int_equal(rc, 0);
            break;
        }
        db_fault_arm(f->m.db, -1, 0, false);
        assert_true((metadata_topic(&f->m, BYTES_LIT("faulty")) != NULL) == (rc == 0));
        when_reopened(f);
        if (rc == 0)
            break; // the fault hit what follows the commit
        assert_null(metadata_topic(&f->m, BYTES_LIT("faulty")));
    }
    when_reopened(f);
    assert_non_null(metadata_topic(&f->m, BYTES_LIT("faulty")));
}

static void settings_that_do_nothing_are_refused(void **state)
{
    // An unknown setting, or a value out of its bounds, is an error with a sentence; and prints
    // back what it took.
    struct fixture *f = *state;
    struct topic_config c = f->defaults;
    struct buf b = BUF_EMPTY;
    struct err e;

    assert_int_equal(topic_config_set(&c, BYTES_LIT("no.such"), BYTES_LIT("1"), &e), LEAT_EINVAL);
    assert_int_equal(topic_config_set(&c, BYTES_LIT("cleanup.policy"), BYTES_LIT("compact"), &e),
                     LEAT_EINVAL);
    assert_int_equal(topic_config_set(&c, BYTES_LIT("cleanup.policy"), BYTES_LIT("delete"), &e), 0);
    assert_int_equal(topic_config_set(&c, BYTES_LIT("segment.bytes"), BYTES_LIT("1"), &e),
                     LEAT_EINVAL);
    assert_int_equal(topic_config_set(&c, BYTES_LIT("retention.ms"), BYTES_NULL, &e), LEAT_EINVAL);
    assert_int_equal(topic_config_set(&c, BYTES_LIT("retention.bytes"), BYTES_LIT("-1"), &e), 0);
    topic_config_value(&c, topic_config_find(BYTES_LIT("retention.bytes")), &b);
    assert_string_equal(buf_cstr(&b), "-1");
    buf_deinit(&b);
}

static void a_newer_format_is_refused(void **state)
{
    // What a newer leat wrote is refused with a sentence, in meta.db and in VERSION.
    struct fixture *f = *state;
    struct datadir d;
    struct err e;
    char path[96];
    FILE *file;

    assert_int_equal(db_exec(f->m.db, "update meta set value = 2 where key = 'format'", NULL), 0);
    metadata_close(&f->m);
    assert_int_equal(metadata_open(&f->m, f->path, &f->defaults, &e), LEAT_EUNSUPPORTED);
    assert_int_equal(datadir_open(&d, fs_posix(), f->dir, &e), 0);
    datadir_close(&d);
    snprintf(path, sizeof path, "%s/VERSION", f->dir);
    file = fopen(path, "w");
    fputs("leat data 2\n", file);
    fclose(file);
    assert_int_equal(datadir_open(&d, fs_posix(), f->dir, &e), LEAT_EUNSUPPORTED);
    datadir_close(&d);
    file = fopen(path, "w");
    fputs("something else\n", file);
    fclose(file);
    assert_int_equal(datadir_open(&d, fs_posix(), f->dir, &e), LEAT_ECORRUPT);
    datadir_close(&d);
}

static void one_server_per_directory(void **state)
{
    // A second owner of a data directory is refused until the first lets go.
    struct fixture *f = *state;
    struct datadir a, b;
    struct err e;

    assert_int_equal(datadir_open(&a, fs_posix(), f->dir, &e), 0);
    assert_int_equal(datadir_open(&b, fs_posix(), f->dir, &e), LEAT_ELOCKED);
    datadir_close(&b);
    datadir_close(&a);
    assert_int_equal(datadir_open(&b, fs_posix(), f->dir, &e), 0);
    datadir_close(&b);
}

int metadata_tests(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(topics_survive),
        T(a_deleted_topic_leaves_a_tombstone),
        T(producer_ids_are_never_given_twice),
        T(names_are_checked),
        T(a_failing_disk_changes_nothing),
        T(settings_that_do_nothing_are_refused),
        T(a_newer_format_is_refused),
        T(one_server_per_directory),
#undef T
    };

    return cmocka_run_group_tests_name("metadata", tests, NULL, NULL);
}
