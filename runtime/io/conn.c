// SPDX-License-Identifier: Apache-2.0
//
// One connection. Bytes in:
//
//   between frames   libuv reads into the net's scratch buffer; each frame in it is copied out
//   whole. After a
//                    large frame the scratch is offered in a small size, just to learn the next
//                    length
//   inside a frame   libuv reads straight into the frame, so that a batch of a megabyte is not
//   copied
//
// A frame's memory grows with the bytes that have come, not with the length that was claimed.
//
// Bytes out: replies queue as pieces. At the end of the turn one writev takes what the socket
// accepts at once; the rest goes to libuv, which reports when it is gone. Pieces are freed only
// then.
//
// Closing: the handle is the last thing that libuv holds (it cancels a write before it closes), so
// its close callback is where the owner is told and the memory goes.
#include "runtime/io/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/base/trace.h"
#include "runtime/io/loop_uv.h"

#define IOV_PER_WRITE 64
#define FRAME_FIRST_ALLOC (2u * 1024 * 1024) // a default-sized batch fits without growing
#define LARGE_FRAME (64u * 1024)
#define PEEK_BYTES 4096

struct piece {
    struct link link;
    struct buf buf;
    size_t sent;
};

// --- reading ---
// Makes room for at least one more byte. NULL frame: begins one of length n.
static int frame_grow(struct conn *c, uint32_t n)
{
    struct frame *f = c->frame, *g;
    uint32_t old = f != NULL ? f->cap : 0;
    uint32_t cap = old == 0 ? FRAME_FIRST_ALLOC : old < UINT32_MAX / 2 ? old * 2 : UINT32_MAX;

    if (cap > n)
        cap = n;
    g = heap_try_realloc(f, sizeof *g + cap);
    if (g == NULL)
        return LEAT_ENOMEM;
    if (f == NULL) {
        g->net = c->net;
        g->n = n;
        g->got = 0;
    }
    g->cap = cap;
    c->frame = g;
    net_account(c->net, (int64_t)cap - old);
    return 0;
}

static void frame_drop(struct conn *c)
{
    struct frame *f = c->frame;

    if (f == NULL)
        return;
    c->frame = NULL;
    net_account(c->net, -(int64_t)f->cap);
    heap_free(f);
}

static int frame_begin(struct conn *c)
{
    uint32_t n = load_be32(c->head);

    c->head_n = 0;
    if (n < c->net->config.frame_min || n > c->frame_max) {
        trace(TRACE_INFO, "net", "%s: a request of %d bytes is not acceptable: closed", c->peer,
              (int)n);
        return LEAT_EPROTO;
    }
    return frame_grow(c, n);
}

// Hands out the frame if it is whole.
static int frame_check(struct conn *c)
{
    struct frame *f = c->frame;
    struct net *n = c->net;

    if (f->got < f->n)
        return f->got == f->cap ? frame_grow(c, f->n) : 0;
    c->frame = NULL;
    c->large = f->n >= LARGE_FRAME;
    n->n_handed++;
    if (n->over)
        conn_pause_for(c, PAUSE_BUDGET); // it may have been the one that was let through
    return n->hooks.framed(n->arg, c, f);
}

// Bytes that lie in the scratch buffer.
static int take_bytes(struct conn *c, const uint8_t *p, size_t n)
{
    while (n > 0 && !c->closing) {
        size_t k;
        int rc = 0;

        if (c->frame == NULL) {
            k = sizeof c->head - c->head_n < n ? sizeof c->head - c->head_n : n;
            memcpy(c->head + c->head_n, p, k);
            c->head_n += (uint32_t)k;
            if (c->head_n == sizeof c->head)
                rc = frame_begin(c);
        } else {
            struct frame *f = c->frame;
            k = f->cap - f->got < n ? f->cap - f->got : n;
            memcpy(f->bytes + f->got, p, k);
            f->got += (uint32_t)k;
            rc = frame_check(c);
        }
        if (rc < 0)
            return rc;
        p += k;
        n -= k;
    }
    return 0;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct conn *c = h->data;
    struct frame *f = c->frame;

    (void)suggested;
    if (f != NULL) {
        b->base = (char *)f->bytes + f->got;
        b->len = f->cap - f->got;
    } else {
        b->base = (char *)c->net->scratch;
        b->len = c->large ? PEEK_BYTES : RECV_SCRATCH_BYTES;
    }
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = s->data;
    int rc;

    if (n == 0 || c->closing)
        return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    c->active_ms = loop_now_ms(c->net->loop);
    if (b->base == (char *)c->net->scratch) {
        rc = take_bytes(c, c->net->scratch, (size_t)n);
    } else {
        c->frame->got += (uint32_t)n;
        rc = frame_check(c);
    }
    if (rc < 0)
        conn_close(c);
}

static void reading_update(struct conn *c)
{
    bool want = c->pauses == 0 && !c->closing;

    if (want == c->reading)
        return;
    c->reading = want;
    if (want) {
        c->active_ms = loop_now_ms(c->net->loop);
        uv_read_start((uv_stream_t *)&c->uv, on_alloc, on_read);
    } else if (!c->closing) {
        uv_read_stop((uv_stream_t *)&c->uv);
    }
}

void conn_pause_for(struct conn *c, enum conn_pause why)
{
    c->pauses |= (unsigned)why;
    reading_update(c);
}

void conn_resume_for(struct conn *c, enum conn_pause why)
{
    c->pauses &= ~(unsigned)why;
    reading_update(c);
}

void conn_pause(struct conn *c)
{
    conn_pause_for(c, PAUSE_OWNER);
}

void conn_resume(struct conn *c)
{
    conn_resume_for(c, PAUSE_OWNER);
}

// --- writing ---
static void piece_free(struct conn *c, struct piece *p)
{
    c->out_bytes -= p->buf.n - p->sent;
    list_remove(&p->link);
    buf_deinit(&p->buf);
    heap_free(p);
}

static unsigned gather(struct conn *c, uv_buf_t *iov)
{
    unsigned k = 0;

    for (struct link *i = c->out.next; i != &c->out && k < IOV_PER_WRITE; i = i->next) {
        struct piece *p = container_of(i, struct piece, link);
        iov[k++] = uv_buf_init((char *)p->buf.p + p->sent, (unsigned)(p->buf.n - p->sent));
    }
    return k;
}

static void sent(struct conn *c, size_t n)
{
    c->active_ms = loop_now_ms(c->net->loop);
    while (n > 0) {
        struct piece *p = container_of(c->out.next, struct piece, link);
        size_t left = p->buf.n - p->sent, k = left < n ? left : n;

        p->sent += k;
        c->out_bytes -= k;
        n -= k;
        if (p->sent == p->buf.n)
            piece_free(c, p);
    }
    if (c->out_bytes <= c->net->config.out_max / 2)
        conn_resume_for(c, PAUSE_OUT);
}

static void on_written(uv_write_t *w, int status)
{
    struct conn *c = w->data;

    for (; c->n_writing > 0; c->n_writing--)
        piece_free(c, container_of(c->out.next, struct piece, link));
    if (c->closing)
        return;
    if (status < 0) {
        conn_close(c);
        return;
    }
    sent(c, 0);
    conn_flush(c);
}

void conn_flush(struct conn *c)
{
    uv_buf_t iov[IOV_PER_WRITE];
    int n;

    if (c->closing || c->n_writing > 0 || list_empty(&c->out))
        return;
    n = uv_try_write((uv_stream_t *)&c->uv, iov, gather(c, iov));
    if (n < 0 && n != UV_EAGAIN) {
        conn_close(c);
        return;
    }
    sent(c, n > 0 ? (size_t)n : 0);
    c->n_writing = gather(c, iov);
    if (c->n_writing == 0)
        return;
    if (uv_write(&c->write, (uv_stream_t *)&c->uv, iov, c->n_writing, on_written) < 0) {
        c->n_writing = 0;
        conn_close(c);
    }
}

void conn_send(struct conn *c, struct buf *b)
{
    struct piece *p;

    ASSERT(loop_on_thread(c->net->loop));
    if (c->closing || b->n == 0) {
        buf_deinit(b);
        return;
    }
    p = heap_zalloc(sizeof *p);
    p->buf = *b;
    *b = BUF_EMPTY;
    list_push(&c->out, &p->link);
    if (c->out_bytes == 0)
        c->active_ms = loop_now_ms(c->net->loop);
    c->out_bytes += p->buf.n;
    if (c->out_bytes > c->net->config.out_max)
        conn_pause_for(c, PAUSE_OUT);
    if (list_empty(&c->dirty))
        list_push(&c->net->dirty, &c->dirty);
}

// --- life ---
static void conn_free(struct conn *c)
{
    while (!list_empty(&c->out))
        piece_free(c, container_of(c->out.next, struct piece, link));
    frame_drop(c);
    list_remove(&c->link);
    list_remove(&c->dirty);
    c->net->n_conns--;
    heap_free(c);
}

static void on_closed(uv_handle_t *h)
{
    struct conn *c = h->data;

    ASSERT(c->n_writing == 0);
    if (c->net->hooks.closed != NULL && c->user != NULL)
        c->net->hooks.closed(c->net->arg, c);
    conn_free(c);
}

void conn_close(struct conn *c)
{
    ASSERT(loop_on_thread(c->net->loop));
    if (c->closing)
        return;
    c->closing = true;
    c->reading = false;
    list_remove(&c->dirty);
    uv_close((uv_handle_t *)&c->uv, on_closed);
}

static void peer_name(struct conn *c, int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char ip[48] = "";

    if (getpeername(fd, (struct sockaddr *)&a, &n) == 0 && a.ss_family == AF_INET) {
        struct sockaddr_in *v4 = (void *)&a;
        uv_ip4_name(v4, ip, sizeof ip);
        snprintf(c->peer, sizeof c->peer, "%s:%d", ip, ntohs(v4->sin_port));
    } else if (a.ss_family == AF_INET6) {
        struct sockaddr_in6 *v6 = (void *)&a;
        uv_ip6_name(v6, ip, sizeof ip);
        snprintf(c->peer, sizeof c->peer, "[%s]:%d", ip, ntohs(v6->sin6_port));
    } else {
        snprintf(c->peer, sizeof c->peer, "local");
    }
}

static int conn_refuse(int fd, int code, struct err *e, const char *why)
{
    close(fd);
    return err_set(e, code, "%s", why);
}

int conn_open(struct net *n, int fd, struct err *e)
{
    struct conn *c;
    int one = 1, status;

    ASSERT(loop_on_thread(n->loop));
    if (n->closing || n->n_conns >= n->config.conn_max)
        return conn_refuse(fd, LEAT_ELIMIT, e,
                           n->closing ? "the server is stopping" : "too many connections");
    c = heap_try_zalloc(sizeof *c);
    if (c == NULL)
        return conn_refuse(fd, LEAT_ENOMEM, e, "out of memory");
    c->net = n;
    c->frame_max = n->config.frame_first_max;
    c->active_ms = loop_now_ms(n->loop);
    c->pauses = PAUSE_OWNER;
    list_init(&c->out);
    list_init(&c->dirty);
    list_push(&n->conns, &c->link);
    n->n_conns++;
    uv_tcp_init(loop_uv(n->loop), &c->uv);
    c->uv.data = c->write.data = c;
    peer_name(c, fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    status = uv_tcp_open(&c->uv, fd);
    if (status < 0) {
        close(fd);
        conn_close(c);
        return uv_err(e, status, "cannot use the connection");
    }
    status = n->hooks.opened(n->arg, c);
    if (status < 0) {
        c->user = NULL;
        conn_close(c);
        return err_set(e, status, "refused");
    }
    if (n->over)
        c->pauses |= PAUSE_BUDGET;
    conn_resume(c);
    return 0;
}

void conn_set_user(struct conn *c, void *user)
{
    c->user = user;
}

void *conn_user(const struct conn *c)
{
    return c->user;
}

const char *conn_peer(const struct conn *c)
{
    return c->peer;
}

void conn_trust(struct conn *c)
{
    c->frame_max = c->net->config.frame_max;
}

void conn_set_busy(struct conn *c, bool busy)
{
    if (c->busy && !busy)
        c->active_ms = loop_now_ms(c->net->loop);
    c->busy = busy;
}
