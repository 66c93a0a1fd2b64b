// SPDX-License-Identifier: Apache-2.0
//
// The embedded broker as a job sees it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/app/embedded.h"
#include "runtime/broker/core.h"
#include "runtime/log/flusher.h"

struct fixture {
    char dir[64];
    struct broker *broker;
    struct embedded em;
    struct err e;
};

static int given(void **state, bool durable)
{
    static struct fixture f;
    struct broker_config c;

    f = (struct fixture){.dir = "/tmp/leat-embedded-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    broker_config_default(&c);
    c.fs = fs_posix();
    c.clock = clock_system();
    c.data_dir = f.dir;
    c.durable = durable;
    assert_int_equal(broker_open(&f.broker, &c, &f.e), 0);
    embedded_init(&f.em, f.broker);
    *state = &f;
    return 0;
}

static int given_broker(void **state)
{
    return given(state, true);
}

// One that shows records before they are on disk.
static int given_hasty_broker(void **state)
{
    return given(state, false);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int after(void **state)
{
    struct fixture *f = *state;

    embedded_deinit(&f->em);
    broker_free(f->broker);
    return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_topic(struct fixture *f)
{
    assert_int_equal(broker_topic_create(f->broker, BYTES_LIT("t"), 1, NULL, 0, &f->e), 0);
}

static void make_again(struct fixture *f)
{
    struct topic *t = metadata_topic(&f->broker->metadata, BYTES_LIT("t"));

    assert_int_equal(broker_delete(f->broker, t, &f->e), 0);
    make_topic(f);
}

// A topic that was deleted and made again in the middle of a step is not read as if it were the one
// that the step began with, whether its partition was open or not.
static void test_source_holds_on_to_the_id(void **state)
{
    struct fixture *f = *state;
    struct source *s = &f->em.source;
    struct source_topic first, second;
    struct buf out = BUF_EMPTY;
    int64_t start, stable, next;

    make_topic(f);
    assert_int_equal(s->ops->topic(s, "t", &first, &f->e), 0);
    assert_int_equal(s->ops->bounds(s, "t", 0, &start, &stable, &f->e), 0);
    make_again(f);
    assert_int_equal(s->ops->fetch(s, "t", 0, 0, 1000, &out, &next, &f->e), LEAT_ENOTFOUND);
    assert_int_equal(s->ops->topic(s, "t", &second, &f->e), 0);
    assert_false(uuid_eq(first.id, second.id));
    make_again(f);
    assert_int_equal(s->ops->bounds(s, "t", 0, &start, &stable, &f->e), LEAT_ENOTFOUND);
    assert_int_equal(s->ops->topic(s, "t", &second, &f->e), 0);
    assert_int_equal(s->ops->bounds(s, "t", 0, &start, &stable, &f->e), 0);
    buf_deinit(&out);
}

// Rows are published to the topic they were written for, not to another of its name.
static void test_publisher_holds_on_to_the_id(void **state)
{
    struct fixture *f = *state;
    struct publisher *p = &f->em.publisher;
    struct publisher_topic topic;
    int64_t offset;

    assert_int_equal(p->ops->topic(p, "t", &topic, &f->e), 0); // makes it
    assert_int_equal(p->ops->durable(p, "t", topic.id, 0, &offset, &f->e), 0);
    make_again(f);
    assert_int_equal(p->ops->durable(p, "t", topic.id, 0, &offset, &f->e), LEAT_ENOTFOUND);
}

static int64_t append_one(struct fixture *f, const struct publisher_topic *t)
{
    struct publisher *p = &f->em.publisher;
    struct batch_builder b;
    struct bytes batch;
    int64_t end;

    batch_builder_init(&b);
    batch_builder_reset(&b);
    batch_builder_add(&b, 1700000000000, BYTES_NULL, BYTES_LIT("x"), NULL, 0);
    assert_int_equal(batch_builder_finish(&b, CODEC_NONE, &batch, &f->e), 0);
    assert_int_equal(p->ops->append(p, "t", t->id, 0, batch, &end, &f->e), 0);
    batch_builder_deinit(&b);
    return end;
}

// A job sees no record that a power cut could still take back, though the topic shows it to others:
// its offsets would point behind the log's end, and what took their place would be skipped.
static void test_source_ends_where_the_disk_does(void **state)
{
    struct fixture *f = *state;
    struct source *s = &f->em.source;
    struct publisher *p = &f->em.publisher;
    struct publisher_topic topic;
    struct source_topic seen;
    struct partition *log;
    struct buf out = BUF_EMPTY;
    int64_t start, stable, next;

    flusher_stop(broker_flusher(f->broker)); // nothing reaches the disk by itself any more
    f->broker->flushing = false;
    assert_int_equal(p->ops->topic(p, "t", &topic, &f->e), 0);
    assert_int_equal(s->ops->topic(s, "t", &seen, &f->e), 0);
    assert_int_equal(append_one(f, &topic), 1);
    log = broker_slot_partition(f->em.slots.items[0].slot);
    assert_int_equal(partition_hw(log), 1);
    assert_int_equal(s->ops->bounds(s, "t", 0, &start, &stable, &f->e), 0);
    assert_int_equal(stable, 0);
    assert_int_equal(s->ops->fetch(s, "t", 0, 0, 1000, &out, &next, &f->e), 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(partition_sync(log, &f->e), 0);
    assert_int_equal(s->ops->bounds(s, "t", 0, &start, &stable, &f->e), 0);
    assert_int_equal(stable, 1);
    assert_int_equal(s->ops->fetch(s, "t", 0, 0, 1000, &out, &next, &f->e), 0);
    assert_true(out.n > 0);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_source_holds_on_to_the_id, given_broker, after),
        cmocka_unit_test_setup_teardown(test_publisher_holds_on_to_the_id, given_broker, after),
        cmocka_unit_test_setup_teardown(test_source_ends_where_the_disk_does, given_hasty_broker,
                                        after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
