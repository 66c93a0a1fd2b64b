// SPDX-License-Identifier: Apache-2.0
//
// The limit: the least broker that librdkafka will talk to. One epoll thread, one append-only file
// per partition, CRC checked, base offset patched, batches served back whole. No retention, groups,
// recovery or producer state. What leat does is measured as a share of what this does, on the same
// machine in the same run.
//
//   kprobe PORT DIR PARTITIONS nosync|group      127.0.0.1 only; SIGTERM ends it
//
// ApiVersions 0, Metadata 0-1, Produce 3, Fetch 4, ListOffsets 1, FindCoordinator 0: nothing is
// checked that a well-meant client sends right.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/buf.h"
#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "tests/bench/bench.h"

enum { CONN_READ_BYTES = 4 << 20, CONNS_MAX = 64 };

struct probe_entry { // one batch of the index
    int64_t offset;
    uint64_t pos;
    uint32_t size;
};

struct probe_partition {
    int fd;
    uint64_t size;
    int64_t next;
    struct probe_entry *index;
    size_t n, cap;
    bool dirty;
};

struct probe_conn {
    int fd;
    uint8_t *in;
    size_t n, cap;
    struct buf out;
    size_t sent;
    bool wants_out;
};

struct probe {
    int port, n_partitions, epoll;
    bool group_sync;
    struct probe_partition *partitions;
};

static volatile sig_atomic_t quit;

static void on_term(int number)
{
    (void)number;
    quit = 1;
}

// --- appending ---

static void index_add(struct probe_partition *p, int64_t offset, uint64_t pos, uint32_t size)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 4096;
        p->index = heap_realloc(p->index, p->cap * sizeof *p->index);
    }
    p->index[p->n++] = (struct probe_entry){offset, pos, size};
}

static int64_t append(struct probe_partition *p, uint8_t *batches, uint32_t len)
{
    int64_t first = p->next;
    uint64_t pos = p->size;

    for (uint8_t *b = batches; b + 61 <= batches + len;) {
        uint32_t size = load_be32(b + 8) + 12;
        if (b + size > batches + len || crc32c(bytes_of(b + 21, size - 21)) != load_be32(b + 17))
            bench_die("bad batch");
        store_be64(b, (uint64_t)p->next);
        memset(b + 12, 0, 4);
        index_add(p, p->next, pos, size);
        p->next += load_be32(b + 57);
        pos += size;
        b += size;
    }
    if (write(p->fd, batches, len) != (ssize_t)len)
        bench_die("write");
    p->size += len;
    p->dirty = true;
    return first;
}

// --- requests: `q` walks the request body, the answer goes to `out` ---

static void put_text(struct buf *out, const void *p, size_t n)
{
    buf_append_be16(out, (uint16_t)n);
    buf_append(out, p, n);
}

static uint8_t *copy_text(struct buf *out, uint8_t *q)
{
    size_t n = load_be16(q);

    put_text(out, q + 2, n);
    return q + 2 + n;
}

static void put_address(const struct probe *pr, struct buf *out)
{
    buf_append_be32(out, 1);
    put_text(out, "127.0.0.1", 9);
    buf_append_be32(out, (uint32_t)pr->port);
}

static void do_versions(struct buf *out, int version)
{
    static const uint16_t apis[][3] = {{0, 0, 3}, {1, 0, 4},  {2, 0, 1},
                                       {3, 0, 1}, {10, 0, 0}, {18, 0, 0}};

    buf_append_be16(out, version > 0 ? 35 : 0);
    buf_append_be32(out, 6);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 3; k++)
            buf_append_be16(out, apis[i][k]);
}

static void do_metadata(const struct probe *pr, struct buf *out, int version, uint8_t *q)
{
    uint32_t topics = load_be32(q) == UINT32_MAX ? 0 : load_be32(q);

    buf_append_be32(out, 1);
    put_address(pr, out);
    if (version >= 1) {
        buf_append_be16(out, 0xffff);
        buf_append_be32(out, 1);
    }
    buf_append_be32(out, topics);
    for (q += 4; topics-- > 0;) {
        buf_append_be16(out, 0);
        q = copy_text(out, q);
        if (version >= 1)
            buf_append_byte(out, 0);
        buf_append_be32(out, (uint32_t)pr->n_partitions);
        for (int p = 0; p < pr->n_partitions; p++) {
            buf_append_be16(out, 0);
            buf_append_be32(out, (uint32_t)p);
            for (int i = 0; i < 5; i++) // leader; replicas [1]; in sync [1]
                buf_append_be32(out, 1);
        }
    }
}

static void do_list_offsets(const struct probe *pr, struct buf *out, uint8_t *q)
{
    uint32_t topics = load_be32(q + 4);

    buf_append_be32(out, topics);
    for (q += 8; topics-- > 0;) {
        q = copy_text(out, q);
        uint32_t n = load_be32(q);
        buf_append_be32(out, n);
        for (q += 4; n-- > 0; q += 12) {
            uint32_t p = load_be32(q);
            bool earliest = (int64_t)load_be64(q + 4) == -2;
            buf_append_be32(out, p);
            buf_append_be16(out, 0);
            buf_append_be64(out, UINT64_MAX);
            buf_append_be64(out, earliest ? 0 : (uint64_t)pr->partitions[p].next);
        }
    }
}

// False when the client wants no answer.
static bool do_produce(const struct probe *pr, struct buf *out, uint8_t *q)
{
    int16_t id = (int16_t)load_be16(q);
    q += 2 + (id > 0 ? id : 0);
    bool answer = load_be16(q) != 0;
    uint32_t topics = load_be32(q + 6);

    buf_append_be32(out, topics);
    for (q += 10; topics-- > 0;) {
        q = copy_text(out, q);
        uint32_t n = load_be32(q);
        buf_append_be32(out, n);
        for (q += 4; n-- > 0;) {
            uint32_t p = load_be32(q), len = load_be32(q + 4);
            int64_t base = append(&pr->partitions[p], q + 8, len);
            q += 8 + len;
            buf_append_be32(out, p);
            buf_append_be16(out, 0);
            buf_append_be64(out, (uint64_t)base);
            buf_append_be64(out, UINT64_MAX);
        }
    }
    buf_append_be32(out, 0);
    return answer;
}

// The index of the last batch that starts at or before `offset`.
static size_t find_batch(const struct probe_partition *p, int64_t offset)
{
    size_t low = 0, high = p->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (p->index[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : 0;
}

static void put_batches(const struct probe_partition *p, int64_t offset, uint32_t max,
                        struct buf *out)
{
    size_t at = out->n, i = find_batch(p, offset), len = 0;
    uint64_t pos = i < p->n ? p->index[i].pos : 0;

    buf_append_be32(out, 0);
    if (offset >= p->next)
        return;
    do
        len += p->index[i++].size;
    while (i < p->n && len + p->index[i].size <= max);
    buf_reserve(out, len);
    if (pread(p->fd, out->p + out->n, len, (off_t)pos) != (ssize_t)len)
        bench_die("pread");
    out->n += len;
    store_be32(out->p + at, (uint32_t)len);
}

static void do_fetch(const struct probe *pr, struct buf *out, uint8_t *q)
{
    uint32_t max = load_be32(q + 12), topics = load_be32(q + 17);

    buf_append_be32(out, 0);
    buf_append_be32(out, topics);
    for (q += 21; topics-- > 0;) {
        q = copy_text(out, q);
        uint32_t n = load_be32(q);
        buf_append_be32(out, n);
        for (q += 4; n-- > 0; q += 16) {
            const struct probe_partition *p = &pr->partitions[load_be32(q)];
            uint32_t own = load_be32(q + 12);
            buf_append_be32(out, load_be32(q));
            buf_append_be16(out, 0);
            buf_append_be64(out, (uint64_t)p->next);
            buf_append_be64(out, (uint64_t)p->next);
            buf_append_be32(out, 0);
            put_batches(p, (int64_t)load_be64(q + 4), own < max ? own : max, out);
        }
    }
}

static void handle(const struct probe *pr, struct probe_conn *c, uint8_t *r)
{
    int api = load_be16(r), version = load_be16(r + 2);
    int16_t client = (int16_t)load_be16(r + 8);
    uint8_t *q = r + 10 + (client > 0 ? client : 0);
    size_t at = c->out.n;
    bool answer = true;

    buf_append_be32(&c->out, 0);
    buf_append_be32(&c->out, load_be32(r + 4));
    if (api == 18)
        do_versions(&c->out, version);
    else if (api == 3)
        do_metadata(pr, &c->out, version, q);
    else if (api == 2)
        do_list_offsets(pr, &c->out, q);
    else if (api == 0)
        answer = do_produce(pr, &c->out, q);
    else if (api == 1)
        do_fetch(pr, &c->out, q);
    else if (api == 10) {
        buf_append_be16(&c->out, 0);
        put_address(pr, &c->out);
    }
    if (answer)
        store_be32(c->out.p + at, (uint32_t)(c->out.n - at - 4));
    else
        c->out.n = at;
}

// --- the loop ---

static void parse(const struct probe *pr, struct probe_conn *c)
{
    size_t at = 0;

    while (c->n - at >= 4 && c->n - at >= 4 + (size_t)load_be32(c->in + at)) {
        handle(pr, c, c->in + at + 4);
        at += 4 + load_be32(c->in + at);
    }
    memmove(c->in, c->in + at, c->n - at);
    c->n -= at;
}

// False when the connection is gone.
static bool send_out(const struct probe *pr, struct probe_conn *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return false;
        c->sent += (size_t)n;
    }
    bool waiting = c->sent < c->out.n;
    if (!waiting) {
        buf_clear(&c->out);
        c->sent = 0;
    }
    if (waiting != c->wants_out) {
        struct epoll_event e = {.events = waiting ? EPOLLOUT : EPOLLIN, .data.ptr = c};
        epoll_ctl(pr->epoll, EPOLL_CTL_MOD, c->fd, &e);
        c->wants_out = waiting;
    }
    return true;
}

static bool read_in(struct probe_conn *c)
{
    if (c->n >= 4 && 4 + (size_t)load_be32(c->in) > c->cap) {
        c->cap = 4 + (size_t)load_be32(c->in);
        c->in = heap_realloc(c->in, c->cap);
    }
    ssize_t n = recv(c->fd, c->in + c->n, c->cap - c->n, 0);
    if (n > 0)
        c->n += (size_t)n;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void conn_drop(struct probe_conn *c)
{
    close(c->fd);
    heap_free(c->in);
    buf_deinit(&c->out);
    heap_free(c);
}

static void conn_accept(const struct probe *pr, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    struct probe_conn *c;

    if (fd < 0)
        return;
    setsockopt(fd, SOL_TCP, TCP_NODELAY, &one, sizeof one);
    c = heap_zalloc(sizeof *c);
    c->fd = fd;
    c->cap = CONN_READ_BYTES;
    c->in = heap_alloc(c->cap);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(pr->epoll, EPOLL_CTL_ADD, fd, &e);
}

static void sync_dirty(const struct probe *pr)
{
    for (int i = 0; i < pr->n_partitions && pr->group_sync; i++) {
        if (pr->partitions[i].dirty && fdatasync(pr->partitions[i].fd) != 0)
            bench_die("fdatasync");
        pr->partitions[i].dirty = false;
    }
}

// Reads of all connections, then one sync, then all answers: group commit in its plainest form.
static void turn(const struct probe *pr, int listener)
{
    struct epoll_event events[CONNS_MAX];
    struct probe_conn *touched[CONNS_MAX];
    int n = epoll_wait(pr->epoll, events, CONNS_MAX, 200), n_touched = 0;

    for (int i = 0; i < n; i++) {
        struct probe_conn *c = events[i].data.ptr;
        if (c == NULL) {
            conn_accept(pr, listener);
        } else if ((events[i].events & EPOLLIN) && !read_in(c)) {
            conn_drop(c);
        } else {
            parse(pr, c);
            touched[n_touched++] = c;
        }
    }
    sync_dirty(pr);
    for (int i = 0; i < n_touched; i++)
        if (!send_out(pr, touched[i]))
            conn_drop(touched[i]);
}

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0)
        bench_die("bind");
    return fd;
}

static void open_partitions(struct probe *pr, const char *dir)
{
    pr->partitions = heap_zalloc((size_t)pr->n_partitions * sizeof *pr->partitions);
    for (int i = 0; i < pr->n_partitions; i++) {
        char *path = heap_printf("%s/kprobe-%d.log", dir, i);
        pr->partitions[i].fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND | O_CLOEXEC, 0644);
        if (pr->partitions[i].fd < 0)
            bench_die(path);
        heap_free(path);
    }
}

int main(int argc, char **argv)
{
    struct probe pr = {0};
    struct epoll_event e = {.events = EPOLLIN};

    if (argc != 5) {
        fprintf(stderr, "usage: kprobe PORT DIR PARTITIONS nosync|group\n");
        return 2;
    }
    pr.port = (int)strtol(argv[1], NULL, 10);
    pr.n_partitions = (int)strtol(argv[3], NULL, 10);
    pr.group_sync = strcmp(argv[4], "group") == 0;
    signal(SIGTERM, on_term);
    open_partitions(&pr, argv[2]);
    int listener = listen_on(pr.port);
    pr.epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(pr.epoll, EPOLL_CTL_ADD, listener, &e);
    while (!quit)
        turn(&pr, listener);
    return 0;
}
