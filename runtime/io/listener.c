// SPDX-License-Identifier: Apache-2.0
//
// Happy path: readable, accept until there is no more, hand each descriptor to the net.
// The accepting is ours and not libuv's, because at EMFILE libuv throws connections away or spins;
// here polling stops and a timer starts it again.
#include "runtime/io/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"
#include "runtime/io/loop_uv.h"
#include "runtime/io/timer.h"

#define ACCEPT_RETRY_MS 100
#define ACCEPT_PER_TURN 64 // a flood must not starve the connections there are
#define LISTEN_BACKLOG 511

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    struct net *net;
    struct timer *retry;
    int fd, port;
    bool said; // that descriptors are short; once until it works again
};

static int port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;

    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return -1;
    if (a.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&a)->sin6_port);
    return ntohs(((struct sockaddr_in *)(void *)&a)->sin_port);
}

static int bind_one(const struct addrinfo *ai)
{
    int one = 1, fd;

    fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int status = -errno;
        close(fd);
        return status;
    }
    return fd;
}

static int bind_any(const char *host, int port, struct err *e)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all;
    char service[16];
    int rc, fd = -EADDRNOTAVAIL;

    snprintf(service, sizeof service, "%d", port);
    rc = getaddrinfo(host, service, &hints, &all);
    if (rc != 0)
        return err_set(e, LEAT_ECONNECT, "cannot resolve the address %s to listen on: %s", host,
                       gai_strerror(rc));
    for (struct addrinfo *ai = all; ai != NULL && fd < 0; ai = ai->ai_next)
        fd = bind_one(ai);
    freeaddrinfo(all);
    if (fd == -EADDRINUSE)
        return err_set(e, LEAT_EBUSY, "cannot listen on %s:%d: another program listens there", host,
                       port);
    if (fd < 0)
        return err_errno(e, -fd, "cannot listen on %s:%d", host, port);
    return fd;
}

static void on_connection(uv_poll_t *p, int status, int events);

static void accept_again(void *arg)
{
    struct listener *l = arg;

    uv_poll_start(&l->poll, UV_READABLE, on_connection);
}

static void accept_failed(struct listener *l, int errnum)
{
    if (errnum == EAGAIN || errnum == EINTR || errnum == ECONNABORTED)
        return;
    if (!l->said)
        trace(TRACE_WARN, "listener", "cannot accept connections for now: %s", strerror(errnum));
    l->said = true;
    uv_poll_stop(&l->poll);
    timer_arm(l->retry, ACCEPT_RETRY_MS);
}

static void on_connection(uv_poll_t *p, int status, int events)
{
    struct listener *l = p->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_PER_TURN; i++) {
        struct err e;
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            accept_failed(l, errno);
            return;
        }
        l->said = false;
        if (conn_open(l->net, fd, &e) < 0)
            trace(TRACE_INFO, "listener", "connection refused: %s", e.text);
    }
}

int listener_open(struct listener **out, struct loop *loop, struct net *n, const char *host,
                  int port, struct err *e)
{
    struct listener *l;
    int status, fd;

    ASSERT(loop_on_thread(loop));
    fd = bind_any(host, port, e);
    if (fd < 0)
        return fd;
    l = heap_zalloc(sizeof *l);
    l->fd = fd;
    l->port = port_of(fd);
    l->loop = loop;
    l->net = n;
    status = uv_poll_init(loop_uv(loop), &l->poll, fd);
    if (status < 0) {
        close(fd);
        heap_free(l);
        return uv_err(e, status, "cannot watch the listening socket");
    }
    l->poll.data = l;
    l->retry = timer_new(loop, accept_again, l);
    uv_poll_start(&l->poll, UV_READABLE, on_connection);
    *out = l;
    return 0;
}

int listener_port(const struct listener *l)
{
    return l->port;
}

static void listener_closed(uv_handle_t *h)
{
    heap_free(h->data);
}

void listener_close(struct listener *l)
{
    if (l == NULL)
        return;
    ASSERT(loop_on_thread(l->loop));
    timer_free(l->retry);
    uv_poll_stop(&l->poll);
    close(l->fd);
    uv_close((uv_handle_t *)&l->poll, listener_closed);
}
