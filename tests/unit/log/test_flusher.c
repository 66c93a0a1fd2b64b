// SPDX-License-Identifier: Apache-2.0
//
// The flusher over the real file system, with appenders, readers and retention beside it: what is
// acked is there, waiting ends, nothing is called after it was unwatched. Also meant for the thread
// sanitizer.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "runtime/base/failpoint.h"
#include "runtime/base/limits.h"
#include "runtime/base/trace.h"
#include "runtime/log/flusher.h"
#include "runtime/log/partition.h"

enum { PARTITIONS = 3, BATCHES = 300, RECORD_BYTES = 1000 };

struct fixture {
    char dir[64];
    char dirs[PARTITIONS][80];
    struct flusher *flusher;
    struct partition *p[PARTITIONS];
    struct flush_watch watch;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int n_moved;
};

static void fixture_moved(struct flush_watch *w)
{
    struct fixture *fx = container_of(w, struct fixture, watch);

    pthread_mutex_lock(&fx->lock);
    fx->n_moved++;
    pthread_cond_broadcast(&fx->moved);
    pthread_mutex_unlock(&fx->lock);
}

static struct partition *open_one(struct fixture *fx, int i, bool durable)
{
    struct partition_config c = {
        .fs = fs_posix(),
        .clock = clock_system(),
        .flusher = fx->flusher,
        .dir = fx->dirs[i],
        .topic = "t",
        .partition = i,
        .durable = durable,
        .segment_bytes = 64 * 1024,
        .retention_bytes = 200 * 1024,
        .retention_ms = -1,
    };
    struct partition *p = NULL;
    struct err e = {0};

    if (partition_open(&p, &c, NULL, &e) != 0)
        fail_msg("%s", e.text);
    return p;
}

static int setup(void **state)
{
    static struct fixture fx;

    trace_level_set(TRACE_ERROR);
    fx = (struct fixture){.dir = "/tmp/leat-flusher-XXXXXX"};
    assert_non_null(mkdtemp(fx.dir));
    pthread_mutex_init(&fx.lock, NULL);
    pthread_cond_init(&fx.moved, NULL);
    fx.flusher = flusher_new();
    assert_int_equal(flusher_start(fx.flusher, NULL), 0);
    fx.watch.moved = fixture_moved;
    flusher_watch(fx.flusher, &fx.watch);
    for (int i = 0; i < PARTITIONS; i++) {
        snprintf(fx.dirs[i], sizeof fx.dirs[i], "%s/%d", fx.dir, i);
        assert_int_equal(fs_posix()->mkdir(fs_posix(), fx.dirs[i], NULL), 0);
        fx.p[i] = open_one(&fx, i, i != 2);
    }
    *state = &fx;
    return 0;
}

static int remove_one(void *arg, const char *name)
{
    char path[400];

    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    return fs_posix()->unlink(fs_posix(), path, NULL);
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    struct fs *fs = fs_posix();

    flusher_unwatch(fx->flusher, &fx->watch);
    for (int i = 0; i < PARTITIONS; i++)
        partition_close(fx->p[i]);
    flusher_stop(fx->flusher);
    flusher_free(fx->flusher);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(fs->list(fs, fx->dirs[i], remove_one, fx->dirs[i], NULL), 0);
        assert_int_equal(fs->rmdir(fs, fx->dirs[i], NULL), 0);
    }
    assert_int_equal(fs->rmdir(fs, fx->dir, NULL), 0);
    return 0;
}

static void append_one(struct partition *p, struct batch_builder *b, int value_bytes,
                       struct append_result *result)
{
    static const uint8_t zeros[8 * 1024 * 1024];
    struct batch_header h;
    struct bytes out;
    struct err e = {0};

    batch_builder_reset(b);
    batch_builder_add(b, 1700000000000, BYTES_NULL, bytes_of(zeros, (size_t)value_bytes), NULL, 0);
    assert_int_equal(batch_builder_finish(b, CODEC_NONE, &out, &e), 0);
    assert_int_equal(batch_read(out, &h, &e), 0);
    if (partition_append(p, b->buf.p, &h, result, &e) != 0)
        fail_msg("%s", e.text);
}

static void await_hw(struct fixture *fx, struct partition *p, int64_t offset)
{
    pthread_mutex_lock(&fx->lock);
    while (partition_hw(p) < offset)
        pthread_cond_wait(&fx->moved, &fx->lock);
    pthread_mutex_unlock(&fx->lock);
}

struct worker {
    struct fixture *fx;
    struct partition *p;
    pthread_t thread;
};

static void *append_many(void *arg)
{
    struct worker *w = arg;
    struct batch_builder b;
    struct append_result r;

    batch_builder_init(&b);
    for (int i = 0; i < BATCHES; i++) {
        append_one(w->p, &b, RECORD_BYTES, &r);
        if (i % 50 == 0)
            await_hw(w->fx, w->p, r.end_offset);
    }
    await_hw(w->fx, w->p, r.end_offset);
    batch_builder_deinit(&b);
    return NULL;
}

static void *read_many(void *arg)
{
    struct worker *w = arg;
    struct buf out = BUF_EMPTY;
    int64_t offset = 0, next;

    while (offset < 2 * BATCHES) {
        int64_t hw = partition_hw(w->p), freed;
        buf_clear(&out);
        int rc = partition_read(w->p, offset, hw, 20000, &out, &next, NULL);
        assert_true(rc == 0 || rc == LEAT_ERANGE);
        offset = rc == 0 ? next : partition_start(w->p);
        if (rc == 0 && out.n > 0)
            assert_int_equal(partition_retain(w->p, &freed, NULL), 0);
        if (rc == 0 && out.n == 0)
            await_hw(w->fx, w->p, offset + 1 < 2 * BATCHES ? offset + 1 : 2 * BATCHES);
    }
    buf_deinit(&out);
    return NULL;
}

static void test_threads(void **state)
{
    // Two appenders and a reader that also retains, per partition: every append becomes visible, in
    // order.
    struct fixture *fx = *state;
    struct worker w[PARTITIONS * 3];

    for (int i = 0; i < PARTITIONS * 3; i++) {
        w[i] = (struct worker){.fx = fx, .p = fx->p[i / 3]};
        void *(*run)(void *) = i % 3 == 2 ? read_many : append_many;
        assert_int_equal(pthread_create(&w[i].thread, NULL, run, &w[i]), 0);
    }
    for (int i = 0; i < PARTITIONS * 3; i++)
        pthread_join(w[i].thread, NULL);
    for (int i = 0; i < PARTITIONS; i++) {
        assert_int_equal(partition_end(fx->p[i]), 2 * BATCHES);
        assert_true(partition_start(fx->p[i]) > 0);
    }
}

static void test_page_cache_mode(void **state)
{
    // Without durability the high watermark is the end at once, and the watcher hears of it.
    struct fixture *fx = *state;
    struct batch_builder b;
    struct append_result r;
    int before = fx->n_moved;

    batch_builder_init(&b);
    append_one(fx->p[2], &b, 10, &r);
    assert_int_equal(partition_hw(fx->p[2]), r.end_offset);
    assert_true(fx->n_moved > before);
    batch_builder_deinit(&b);
}

static void test_back_pressure(void **state)
{
    // Appending waits for the flusher instead of passing the bound on unsynced bytes; a batch above
    // it goes alone.
    struct fixture *fx = *state;
    struct batch_builder b;
    struct append_result r;

    batch_builder_init(&b);
    for (int i = 0; i < 20; i++)
        append_one(fx->p[0], &b, 1024 * 1024, &r);
    append_one(fx->p[0], &b, UNSYNCED_BYTES_MAX + 4096, &r);
    append_one(fx->p[0], &b, 10, &r);
    await_hw(fx, fx->p[0], r.end_offset);
    batch_builder_deinit(&b);
}

static void test_failure_ends_waiting(void **state)
{
    // A failed sync stops the partition, wakes who waits in append, and tells the watcher.
    struct fixture *fx = *state;
    struct batch_builder b;
    struct append_result r;
    struct err why;

    batch_builder_init(&b);
    failpoint_arm("before_log_fsync=eio@1");
    append_one(fx->p[1], &b, 10, &r);
    pthread_mutex_lock(&fx->lock);
    while (partition_state(fx->p[1], &why) == PARTITION_READY)
        pthread_cond_wait(&fx->moved, &fx->lock);
    pthread_mutex_unlock(&fx->lock);
    failpoint_arm(NULL);
    assert_int_equal(partition_state(fx->p[1], NULL), PARTITION_FAILED);
    assert_int_equal(partition_hw(fx->p[1]), 0);
    batch_builder_deinit(&b);
}

static void test_reopen_after_close(void **state)
{
    // On the real file system too: closed and opened again, everything is there.
    struct fixture *fx = *state;
    struct batch_builder b;
    struct append_result r;
    struct buf out = BUF_EMPTY;
    int64_t next;

    batch_builder_init(&b);
    for (int i = 0; i < 200; i++)
        append_one(fx->p[0], &b, 500, &r);
    partition_close(fx->p[0]);
    fx->p[0] = open_one(fx, 0, true);
    assert_int_equal(partition_end(fx->p[0]), 200);
    assert_int_equal(partition_hw(fx->p[0]), 200);
    for (int64_t at = 0; at < 200; at = next) {
        buf_clear(&out);
        assert_int_equal(partition_read(fx->p[0], at, 200, 10000, &out, &next, NULL), 0);
        assert_true(next > at);
    }
    buf_deinit(&out);
    batch_builder_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_cache_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_ends_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopen_after_close, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
