// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/io/io_tests.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/io/listener.h"

struct fixture {
    struct loop *loop;
    struct net *net;
    struct net_config config;
    int peer;
    struct conn *conn;
    struct frame *held[64];
    int n_frames, n_held, n_closed;
    bool echo, hold;
    uint64_t sum;
};

static int on_opened(void *arg, struct conn *c)
{
    struct fixture *f = arg;

    f->conn = c;
    conn_set_user(c, f);
    return 0;
}

static int on_framed(void *arg, struct conn *c, struct frame *fr)
{
    struct fixture *f = arg;

    f->n_frames++;
    assert_int_equal(fr->got, fr->n);
    for (uint32_t i = 0; i < fr->n; i++)
        f->sum = f->sum * 31 + fr->bytes[i];
    if (f->echo) {
        struct buf b = BUF_EMPTY;
        buf_append_be32(&b, fr->n);
        buf_append(&b, fr->bytes, fr->n);
        conn_send(c, &b);
    }
    conn_trust(c);
    if (f->hold)
        f->held[f->n_held++] = fr;
    else
        frame_free(fr);
    return 0;
}

static void on_closed(void *arg, struct conn *c)
{
    struct fixture *f = arg;

    assert_ptr_equal(conn_user(c), f);
    f->n_closed++;
    f->conn = NULL;
}

static const struct net_hooks hooks = {on_opened, on_framed, on_closed};

static void given_net(struct fixture *f)
{
    f->loop = loop_new(NULL);
    f->net = net_new(f->loop, &f->config, &hooks, f);
    f->peer = -1;
}

static void given_conn(struct fixture *f)
{
    int fd[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    f->peer = fd[1];
    assert_int_equal(conn_open(f->net, fd[0], NULL), 0);
}

static int setup(void **state)
{
    struct fixture *f = heap_zalloc(sizeof *f);

    net_config_default(&f->config);
    *state = f;
    return 0;
}

static void turns(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(f->loop);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    while (f->n_held > 0)
        frame_free(f->held[--f->n_held]);
    net_close(f->net);
    turns(f, 3);
    assert_int_equal(net_count(f->net), 0);
    assert_int_equal(net_inflight(f->net), 0);
    net_free(f->net);
    loop_free(f->loop);
    if (f->peer >= 0)
        close(f->peer);
    heap_free(f);
    return 0;
}

static void write_all(int fd, const void *p, size_t n)
{
    assert_int_equal(write(fd, p, n), (ssize_t)n);
}

static size_t three_frames(uint8_t *out)
{
    size_t n = 0;

    for (uint32_t len = 8; len <= 32; len *= 2) {
        store_be32(out + n, len);
        memset(out + n + 4, (int)len, len);
        n += 4 + len;
    }
    return n;
}

static void frames_survive_any_cut(void **state)
{
    // However the bytes are cut on the way, the same frames come out.
    struct fixture *f = *state;
    uint8_t bytes[128];
    size_t n = three_frames(bytes);
    uint64_t whole = 0;

    given_net(f);
    for (size_t cut = 0; cut <= n; cut++) {
        given_conn(f);
        f->n_frames = 0;
        f->sum = 0;
        write_all(f->peer, bytes, cut);
        turns(f, 2);
        write_all(f->peer, bytes + cut, n - cut);
        turns(f, 2);
        assert_int_equal(f->n_frames, 3);
        if (cut == 0)
            whole = f->sum;
        assert_true(f->sum == whole);
        close(f->peer);
        turns(f, 3);
        assert_null(f->conn);
    }
    assert_int_equal(f->n_closed, (int)n + 1);
    f->peer = -1;
}

static void bad_lengths_close_without_memory(void **state)
{
    // A length of 0, below a header, negative, 2 GiB or above the first-request limit closes;
    // nothing is allocated.
    static const uint32_t bad[] = {0, 7, 0x80000000u, 0xffffffffu, 0x7fffffffu, 512 * 1024 + 1};
    struct fixture *f = *state;

    given_net(f);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t b[4];

        given_conn(f);
        store_be32(b, bad[i]);
        write_all(f->peer, b, 4);
        turns(f, 1);
        assert_int_equal(net_inflight(f->net), 0);
        turns(f, 2);
        assert_null(f->conn);
        close(f->peer);
    }
    assert_int_equal(f->n_frames, 0);
    f->peer = -1;
}

static void a_claim_is_not_believed(void **state)
{
    // A frame's memory follows the bytes that came, not the length that was announced.
    struct fixture *f = *state;
    uint8_t b[16] = {0};

    given_net(f);
    given_conn(f);
    store_be32(b, 8);
    write_all(f->peer, b, 12);
    turns(f, 2); // trusted now
    store_be32(b, REQUEST_BYTES_MAX);
    write_all(f->peer, b, 8);
    turns(f, 2);
    assert_non_null(f->conn);
    assert_true(net_inflight(f->net) <= 2 * 1024 * 1024);
}

static void large_frames_arrive_whole(void **state)
{
    // A frame of several megabytes, sent while the loop turns, arrives byte for byte.
    struct fixture *f = *state;
    size_t n = 5 * 1024 * 1024 + 3, at = 0;
    uint8_t *bytes = heap_alloc(n + 4);
    uint64_t sum = 0;

    given_net(f);
    given_conn(f);
    conn_trust(f->conn);
    store_be32(bytes, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        bytes[4 + i] = (uint8_t)(i * 7);
        sum = sum * 31 + bytes[4 + i];
    }
    for (int round = 0; round < 2; round++) {
        for (at = 0; at < n + 4;) {
            ssize_t k = write(f->peer, bytes + at, n + 4 - at);
            at += k > 0 ? (size_t)k : 0;
            turns(f, 1);
        }
        turns(f, 2);
        assert_int_equal(f->n_frames, round + 1);
        if (round == 0)
            assert_true(f->sum == sum);
    }
    heap_free(bytes);
}

static void a_slow_reader_stops_being_read(void **state)
{
    // Unsent replies above the bound stop the reading of that connection; reading them starts it
    // again.
    struct fixture *f = *state;
    uint8_t *frame = heap_zalloc(65536 + 4), *sink = heap_alloc(1 << 20);
    int before;
    ssize_t k;

    f->config.out_max = 256 * 1024;
    f->echo = true;
    given_net(f);
    given_conn(f);
    conn_trust(f->conn);
    store_be32(frame, 65536);
    for (int i = 0; i < 200 && (k = write(f->peer, frame, 65540)) == 65540; i++)
        turns(f, 2);
    before = f->n_frames;
    turns(f, 20);
    assert_int_equal(f->n_frames, before);
    assert_true(before < 20);
    for (int i = 0; i < 200; i++) {
        while (read(f->peer, sink, 1 << 20) > 0) {
        }
        turns(f, 1);
    }
    assert_true(f->n_frames >= before);
    k = write(f->peer, frame, 65540);
    turns(f, 3);
    assert_true(f->n_frames > before);
    heap_free(frame);
    heap_free(sink);
}

static void the_budget_stops_all_reading(void **state)
{
    // Over the budget of request bytes nobody is read; freeing frames starts the reading again.
    struct fixture *f = *state;
    uint8_t *frame = heap_zalloc(65536 + 4);
    int n_held;

    f->config.inflight_max = 150 * 1024;
    f->hold = true;
    given_net(f);
    given_conn(f);
    conn_trust(f->conn);
    store_be32(frame, 65536);
    for (int i = 0; i < 6; i++) {
        ssize_t k = write(f->peer, frame, 65540);
        (void)k;
        turns(f, 2);
    }
    n_held = f->n_held;
    assert_true(n_held >= 2 && n_held <= 4);
    turns(f, 5);
    assert_int_equal(f->n_held, n_held);
    for (int i = 0; i < n_held; i++)
        frame_free(f->held[i]);
    f->n_held = 0;
    turns(f, 5);
    assert_true(f->n_held > 0);
    heap_free(frame);
}

static void closing_at_every_step_is_told_once(void **state)
{
    // Wherever a connection is closed, its owner hears so exactly once and nothing leaks.
    struct fixture *f = *state;
    uint8_t bytes[128];
    size_t n = three_frames(bytes);

    f->echo = true;
    given_net(f);
    for (int step = 0; step < 8; step++) {
        f->n_closed = 0;
        given_conn(f);
        write_all(f->peer, bytes, n - 3);
        turns(f, step);
        if (f->conn != NULL)
            conn_close(f->conn);
        if (f->conn != NULL)
            conn_close(f->conn);
        turns(f, 3);
        assert_int_equal(f->n_closed, 1);
        close(f->peer);
    }
    f->peer = -1;
}

static void silent_connections_are_closed(void **state)
{
    // A connection that says nothing for longer than allowed is closed, unless its owner works for
    // it.
    struct fixture *f = *state;

    f->config.idle_ms = 1;
    given_net(f);
    given_conn(f);
    conn_set_busy(f->conn, true);
    for (int i = 0; i < 15 && f->conn != NULL; i++) {
        usleep(100 * 1000); // real time: the loop's clock is the kernel's
        turns(f, 1);
    }
    assert_non_null(f->conn);
    conn_set_busy(f->conn, false);
    for (int i = 0; i < 30 && f->conn != NULL; i++) {
        usleep(100 * 1000);
        turns(f, 1);
    }
    assert_null(f->conn);
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (void *)&a, sizeof a), 0);
    return fd;
}

static void accept_waits_when_descriptors_are_short(void **state)
{
    // Out of descriptors, accepting pauses; the waiting client is served when there are some again.
    struct fixture *f = *state;
    struct rlimit old, few;
    struct listener *l;
    struct err e;
    int n;

    given_net(f);
    assert_int_equal(listener_open(&l, f->loop, f->net, "127.0.0.1", 0, &e), 0);
    f->peer = dial(listener_port(l));
    getrlimit(RLIMIT_NOFILE, &old);
    n = open("/dev/null", O_RDONLY);
    few = (struct rlimit){(rlim_t)n, old.rlim_max};
    close(n);
    setrlimit(RLIMIT_NOFILE, &few);
    turns(f, 5);
    assert_int_equal(net_count(f->net), 0);
    setrlimit(RLIMIT_NOFILE, &old);
    for (int i = 0; i < 50 && net_count(f->net) == 0; i++) {
        usleep(10 * 1000);
        turns(f, 1);
    }
    assert_int_equal(net_count(f->net), 1);
    assert_memory_equal(conn_peer(f->conn), "127.0.0.1:", 10);
    listener_close(l);
    assert_true(listener_open(&l, f->loop, f->net, "no such host", 1, &e) < 0);
}

int conn_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_survive_any_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_lengths_close_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(a_claim_is_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(large_frames_arrive_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_stops_being_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_budget_stops_all_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_at_every_step_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_connections_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(accept_waits_when_descriptors_are_short, setup, teardown),
    };

    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
