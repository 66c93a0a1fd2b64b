// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/io/io_tests.h"

#include <pthread.h>

#include "runtime/io/loop.h"
#include "runtime/io/timer.h"
#include "runtime/io/worker.h"

struct counted {
    struct loop_message m;
    struct loop *loop;
    int *n, expect;
};

static void counted_run(struct loop_message *m)
{
    struct counted *c = container_of(m, struct counted, m);

    assert_int_equal(*c->n, c->expect);
    assert_true(loop_on_thread(c->loop));
    if (++*c->n == 1000)
        loop_stop(c->loop);
}

struct poster {
    struct loop *loop;
    struct counted messages[1000];
};

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (int i = 0; i < 1000; i++)
        loop_post(p->loop, &p->messages[i].m);
    return NULL;
}

static void messages_arrive_in_order(void **state)
{
    // Messages posted by another thread run on the loop, each once, in the order of posting.
    static struct poster p;
    pthread_t t;
    int n = 0;

    (void)state;
    p.loop = loop_new(NULL);
    for (int i = 0; i < 1000; i++)
        p.messages[i] = (struct counted){{.run = counted_run}, p.loop, &n, i};
    pthread_create(&t, NULL, post_all, &p);
    loop_run(p.loop);
    pthread_join(t, NULL);
    assert_int_equal(n, 1000);
    loop_free(p.loop);
}

static void fired(void *arg)
{
    ++*(int *)arg;
}

static void timers_fire_once_and_not_after_free(void **state)
{
    // A timer fires once per arming, and never after it was disarmed or freed.
    struct loop *l = loop_new(NULL);
    int a = 0, b = 0, c = 0;
    struct timer *ta = timer_new(l, fired, &a), *tb = timer_new(l, fired, &b),
                 *tc = timer_new(l, fired, &c);

    (void)state;
    timer_arm(ta, 0);
    timer_arm(tb, 0);
    timer_arm(tc, 0);
    timer_disarm(tb);
    timer_free(tc);
    for (int i = 0; i < 5; i++)
        loop_turn(l);
    assert_int_equal(a, 1);
    assert_int_equal(b, 0);
    assert_int_equal(c, 0);
    timer_arm(ta, -5);
    loop_turn(l);
    loop_turn(l);
    assert_int_equal(a, 2);
    timer_free(ta);
    timer_free(tb);
    timer_free(NULL);
    loop_free(l);
}

struct job {
    struct work w;
    struct loop *loop;
    pthread_t ran_on;
    int done;
};

static void job_run(struct work *w)
{
    container_of(w, struct job, w)->ran_on = pthread_self();
}

static void job_done(struct work *w, int status)
{
    struct job *j = container_of(w, struct job, w);

    assert_int_equal(status, 0);
    j->done++;
    loop_stop(j->loop);
}

static void work_comes_back_to_the_loop(void **state)
{
    // A worker's function runs on another thread, its completion on the loop, once, never inside
    // submit.
    struct job j = {.w = {job_run, job_done}, .loop = loop_new(NULL)};

    (void)state;
    assert_int_equal(worker_submit(j.loop, &j.w, NULL), 0);
    assert_int_equal(j.done, 0);
    loop_run(j.loop);
    assert_int_equal(j.done, 1);
    assert_false(pthread_equal(j.ran_on, pthread_self()));
    loop_free(j.loop);
}

struct turn {
    struct loop_hook h;
    int n;
};

static void turn_ended(struct loop_hook *h)
{
    container_of(h, struct turn, h)->n++;
}

static void hooks_run_once_per_turn(void **state)
{
    // The end of a turn is announced once per turn.
    struct loop *l = loop_new(NULL);
    struct turn t = {.h = {.turn_ended = turn_ended}};

    (void)state;
    loop_hook_add(l, &t.h);
    loop_turn(l);
    loop_turn(l);
    assert_int_equal(t.n, 2);
    loop_hook_remove(l, &t.h);
    loop_turn(l);
    assert_int_equal(t.n, 2);
    loop_free(l);
}

int loop_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_in_order),
        cmocka_unit_test(timers_fire_once_and_not_after_free),
        cmocka_unit_test(work_comes_back_to_the_loop),
        cmocka_unit_test(hooks_run_once_per_turn),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
