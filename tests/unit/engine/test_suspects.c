// SPDX-License-Identifier: Apache-2.0
//
// Records that end the process. Each life of the job is a process of its own, over one job file and
// one page of shared memory; the test looks on until a life comes through, and counts the deaths.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operators/operators.h"
#include "projections/jobfile.h"
#include "runtime/base/failpoint.h"
#include "runtime/engine/driver.h"
#include "tests/support/plan_build.h"

#define START INT64_C(1767225600000)
enum { LIVES_MAX = 12, RECORDS = 40 };

// In memory that the lives share.
struct shared {
    struct flight flight;
    int deaths, innocent; // innocent: how often one is still to be killed that did nothing
    char why[ERR_TEXT_MAX]; // the job stopped in the last life
};

struct rig {
    char dir[64], path[96];
    struct shared *shared;
    bool no_page;       // negative control
    const char *fail;   // failpoints of each life
    int kind;           // of the plan
    struct err e;
};

enum { PLAN_ROWS, PLAN_WINDOWS, PLAN_TICKS, PLAN_RETRY };

// `do` = "kill" ends the process, "once" does while somebody is to be killed, "wait" waits for a
// minute and then ends it.
static int user(void *arg, struct fn_call *c, struct err *e)
{
    struct rig *r = arg;

    if (plan_build_is(c, "do", "kill") || plan_build_is(c, "k", "kill"))
        kill(getpid(), SIGKILL);
    if (plan_build_is(c, "do", "once") && r->shared->innocent > 0) {
        r->shared->innocent--;
        kill(getpid(), SIGKILL);
    }
    if (plan_build_is(c, "do", "wait") && c->now < START + 60000)
        return err_set(e, LEAT_EMISSING, "not yet");
    if (plan_build_is(c, "do", "wait"))
        kill(getpid(), SIGKILL);
    return 0;
}

// The first one only.
static int tick(void *arg, struct fn_call *c, struct err *e)
{
    (void)arg, (void)e;
    if (c->now < START + 120000)
        kill(getpid(), SIGKILL);
    return 0;
}

static struct plan *make_plan(struct rig *r)
{
    static int64_t minute = 60000;
    struct plan *p = plan_build("suspects");
    int n = plan_build_source(p, "in", NULL);

    p->errors.retry_ms = &minute;
    p->errors.n_retry = 1;
    if (r->kind == PLAN_WINDOWS) {
        n = plan_build_count(p, plan_build_by(p, n, "k"), WINDOW_TUMBLING, 10000);
        n = plan_build_map(p, n, user, r);
        p->nodes[n].inputs[0].port = OUT_FINAL;
    } else if (r->kind == PLAN_TICKS) {
        (void)plan_build_map(p, plan_build_every(p, 60000), tick, r);
    } else {
        n = plan_build_map(p, n, user, r);
    }
    plan_build_table(p, "t", "id text primary key, n integer");
    n = plan_build_by(p, n, r->kind == PLAN_WINDOWS ? "k" : "id");
    n = plan_build_count(p, n, WINDOW_NONE, 0);
    (void)plan_build_into(p, n, "counts");
    return p;
}

static int store_open(void *arg, const struct plan *p, struct store **out, struct err *e)
{
    struct jobfile_options o = {.path = ((struct rig *)arg)->path, .throwaway = true};

    return jobfile_open(out, p, &o, e);
}

static void store_close(void *arg, struct store *s)
{
    (void)arg;
    jobfile_close(s);
}

static const char *const *inputs; // of the test, ended by NULL; the same in each life

static void send_all(struct driver *d, struct err *e)
{
    driver_batch_begin(d);
    for (int i = 0; inputs[i] != NULL; i++) {
        struct driver_record rec = {.key = bytes_str(i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c"),
                                    .value = bytes_str(inputs[i]),
                                    .partition = i % 2,
                                    .timestamp = START + i * 1000};
        if (driver_send(d, "in", &rec, e) != 0)
            _exit(4);
    }
    if (driver_batch_end(d, e) != 0)
        _exit(4);
}

// In a process of its own. Exit code 0: the job came to rest; 3: it stopped.
static void live(struct rig *r)
{
    struct plan *p = make_plan(r);
    struct driver_config c = {.plan = p,
                              .operators = operator_types(),
                              .stores = {.open = store_open, .close = store_close, .arg = r},
                              .start_ms = START,
                              .n_partitions = 2,
                              .flight = r->no_page ? NULL : &r->shared->flight};
    struct driver *d;
    int rc;

    failpoint_arm(r->fail);
    if (plan_finish(p, &r->e) != 0 || driver_open(&d, &c, &r->e) != 0)
        _exit(4);
    send_all(d, &r->e);
    rc = driver_advance(d, 200000, &r->e);
    snprintf(r->shared->why, sizeof r->shared->why, "%s", rc != 0 ? r->e.text : "");
    driver_close(d);
    plan_free(p);
    _exit(rc != 0 ? 3 : 0);
}

// Lives until one comes through or the job stops. How many did not.
static int deaths(struct rig *r)
{
    int n = 0;

    for (; n < LIVES_MAX; n++) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            live(r);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) != 4)
            break;
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("a life ended with status %x", status);
    }
    return n;
}

static int given(void **state)
{
    static struct rig r;

    r = (struct rig){.dir = "/tmp/leat-suspects-XXXXXX"};
    assert_non_null(mkdtemp(r.dir));
    snprintf(r.path, sizeof r.path, "%s/1.db", r.dir);
    r.shared = mmap(NULL, sizeof *r.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    assert_ptr_not_equal(r.shared, MAP_FAILED);
    *state = &r;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int after(void **state)
{
    struct rig *r = *state;

    munmap(r->shared, sizeof *r->shared);
    return nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int describe(void *arg, const struct parked_row *row)
{
    struct buf *b = arg;

    buf_printf(b, "%s%.*s:%s", b->n > 0 ? " " : "", BYTES_FMT(row->key),
               row->state == PARKED_SEQUENCE ? "sequence" : err_name(row->class));
    return 0;
}

static void expect_parked(struct rig *r, const char *text)
{
    struct buf b = BUF_EMPTY;

    if (jobfile_parked(r->path, describe, &b, &r->e) != 0)
        fail_msg("%s", r->e.text);
    if (strcmp(buf_cstr(&b), text) != 0)
        fail_msg("parked: %s, not %s", buf_cstr(&b), text);
    buf_deinit(&b);
}

// The one number of an answer.
static int64_t ask(struct rig *r, const char *sql)
{
    struct query_reader *reader;
    struct query_request q = {.sql = bytes_str(sql)};
    struct query_answer answer;
    struct arena a;
    int64_t n;

    arena_init(&a);
    if (jobfile_reader(&reader, NULL, r->path, &r->e) != 0 ||
        reader->ops->run(reader, &q, &a, &answer, &r->e) != 0)
        fail_msg("%s", r->e.text);
    assert_int_equal(answer.n_rows, 1);
    n = answer.cells[0].i;
    reader->ops->close(reader);
    arena_deinit(&a);
    return n;
}

// Nothing but what was parked is missing, nothing is there twice, and no count is left behind.
static void expect_rest_once(struct rig *r, int64_t n)
{
    assert_int_equal(ask(r, "select count(*) from counts where n = 1"), n);
    assert_int_equal(ask(r, "select count(*) from counts"), n);
    assert_int_equal(ask(r, "select count(*) from _leat_numbers where name like 'crash:%'"), 0);
}

static const char *rows[RECORDS + 1];

// {"id":"i"}, but for those at `bad`.
static void given_rows(const char *what, int bad, int other)
{
    static char text[RECORDS][64];

    for (int i = 0; i < RECORDS; i++) {
        const char *kind = i == bad || i == other ? what : "fine";
        snprintf(text[i], sizeof text[i], "{\"id\":\"i%d\",\"do\":\"%s\"}", i, kind);
        rows[i] = text[i];
    }
    inputs = rows;
}

// The third time, the record is parked instead of being run; its key waits, everything
// else is there once.
static void test_poison(void **state)
{
    struct rig *r = *state;

    given_rows("kill", 38, -1); // i % 3 == 2: of key c, the last of it
    assert_int_equal(deaths(r), 3);
    expect_parked(r, "c:crash");
    expect_rest_once(r, RECORDS - 1);
    assert_int_equal(ask(r, "select count(*) from _leat_parked where message ="
                            " 'the process has ended 3 times while this record ran'"), 1);
    assert_int_equal(deaths(r), 0); // and it is not looked at again
}

// The first record of all, with nothing committed before it; followers of its key wait.
static void test_poison_first(void **state)
{
    struct rig *r = *state;

    given_rows("kill", 0, -1);
    assert_int_equal(deaths(r), 3);
    assert_int_equal(ask(r, "select count(*) from _leat_parked where state = 'sequence'"), 13);
    expect_rest_once(r, RECORDS - 14);
}

static void test_two_poisons(void **state)
{
    struct rig *r = *state;

    given_rows("kill", 37, 38);
    assert_int_equal(deaths(r), 6);
    assert_int_equal(ask(r, "select count(*) from _leat_parked where class = 'crash'"), 2);
    expect_rest_once(r, RECORDS - 2);
}

// One that was only running when the process was killed is suspected, and acquitted at once.
static void test_innocent(void **state)
{
    struct rig *r = *state;

    given_rows("once", 20, -1);
    r->shared->innocent = 2;
    assert_int_equal(deaths(r), 2);
    expect_parked(r, "");
    expect_rest_once(r, RECORDS);
}

// What cannot even be read is not read again.
static void test_poison_in_the_reader(void **state)
{
    struct rig *r = *state;

    given_rows("unreadable", 38, -1);
    r->fail = "decode=kill#unreadable";
    assert_int_equal(deaths(r), 3);
    expect_parked(r, "c:crash");
    expect_rest_once(r, RECORDS - 1);
}

// A closed window is parked where it was born, once the record that closes it has been acquitted of
// it; the other windows go out.
static void test_poison_born(void **state)
{
    static const char *const windows[] = {"{\"k\":\"x\"}", "{\"k\":\"kill\"}", "{\"k\":\"y\"}",
                                          "{\"k\":\"x\"}", "{\"k\":\"z\"}", NULL};
    struct rig *r = *state;

    r->kind = PLAN_WINDOWS;
    inputs = windows;
    assert_int_equal(deaths(r), 3);
    expect_parked(r, "kill:crash");
    assert_int_equal(ask(r, "select count(*) from _leat_parked where entry like '%/final'"), 1);
    expect_rest_once(r, 3);
}

static void test_poison_tick(void **state)
{
    struct rig *r = *state;

    r->kind = PLAN_TICKS;
    given_rows("kill", -1, -1);
    assert_int_equal(deaths(r), 3);
    assert_int_equal(ask(r, "select count(*) from _leat_parked where class = 'crash'"), 1);
    expect_rest_once(r, RECORDS);
}

// A parked record that ends the process when it is tried again is final after that.
static void test_poison_retry(void **state)
{
    struct rig *r = *state;

    r->kind = PLAN_RETRY;
    given_rows("wait", 38, -1);
    assert_int_equal(deaths(r), 3);
    expect_parked(r, "c:crash");
    assert_int_equal(ask(r, "select count(*) from _leat_parked where state = 'final'"), 1);
    expect_rest_once(r, RECORDS - 1);
}

// It is the machine's part of the step that does not come through: no record is blamed, and the job
// stops, so that the others of the server can run.
static void test_nobody_to_blame(void **state)
{
    struct rig *r = *state;

    given_rows("fine", -1, -1);
    r->fail = "after_lua=kill@5";
    assert_int_equal(deaths(r), 3);
    assert_non_null(strstr(r->shared->why, "has ended 3 times while a step of this job was"));
    r->fail = NULL;
    assert_int_equal(deaths(r), 0);
    expect_parked(r, "");
    expect_rest_once(r, RECORDS);
}

// Control: without the page nobody knows what ran, and it never ends.
static void test_control_without_the_page(void **state)
{
    struct rig *r = *state;

    given_rows("kill", 38, -1);
    r->no_page = true;
    assert_int_equal(deaths(r), LIVES_MAX);
}

// Another job's page, or one of a copy of the file, says nothing about this one.
static void test_page_of_another(void **state)
{
    struct rig *r = *state;

    given_rows("fine", -1, -1);
    r->shared->flight = (struct flight){.phase = FLIGHT_STEP};
    memset(r->shared->flight.lineage.b, 7, sizeof r->shared->flight.lineage.b);
    assert_int_equal(deaths(r), 0);
    expect_rest_once(r, RECORDS);
    assert_int_equal(r->shared->flight.phase, FLIGHT_IDLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given, after)
    const struct CMUnitTest tests[] = {
        TEST(test_poison),
        TEST(test_poison_first),
        TEST(test_two_poisons),
        TEST(test_innocent),
        TEST(test_poison_in_the_reader),
        TEST(test_poison_born),
        TEST(test_poison_tick),
        TEST(test_poison_retry),
        TEST(test_nobody_to_blame),
        TEST(test_control_without_the_page),
        TEST(test_page_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
