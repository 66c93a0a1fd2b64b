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

static int given_broker(void **state)
{
    static struct fixture f;
    struct broker_config c;

    f = (struct fixture){.dir = "/tmp/leat-embedded-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    broker_config_default(&c);
    c.fs = fs_posix();
    c.clock = clock_system();
    c.data_dir = f.dir;
    assert_int_equal(broker_open(&f.broker, &c, &f.e), 0);
    embedded_init(&f.em, f.broker);
    *state = &f;
    return 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_source_holds_on_to_the_id, given_broker, after),
        cmocka_unit_test_setup_teardown(test_publisher_holds_on_to_the_id, given_broker, after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
