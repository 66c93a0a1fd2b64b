// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/http_get.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime/base/number.h"

int parse_authority(const char *text, const char *option, char *host, size_t host_size, int *port,
                    struct err *e)
{
    const char *colon = strrchr(text, ':');
    int64_t number;

    if (colon == NULL || colon == text || (size_t)(colon - text) >= host_size ||
        number_parse_int(bytes_str(colon + 1), &number) != 0 || number < 0 || number > 65535)
        return err_set(e, LEAT_EUSAGE, "%s wants HOST:PORT, not \"%s\"", option, text);
    if (text[0] == '[' && colon[-1] == ']')
        snprintf(host, host_size, "%.*s", (int)(colon - text - 2), text + 1);
    else
        snprintf(host, host_size, "%.*s", (int)(colon - text), text);
    *port = (int)number;
    return 0;
}

static int connect_to(const char *authority, int64_t ms, int *out, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    char host[256], service[16];
    int port, fd, rc = parse_authority(authority, "--http", host, sizeof host, &port, e);

    if (rc != 0)
        return rc;
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &list) != 0)
        return err_set(e, LEAT_ECONNECT, "there is no host %s", host);
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) != 0) {
        rc = err_set(e, LEAT_ECONNECT, "nobody answers at http://%s (%s); is `leat serve` running?",
                     authority, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(list);
    *out = fd;
    return rc;
}

static int send_all(int fd, struct bytes b)
{
    while (b.n > 0) {
        ssize_t n = send(fd, b.p, b.n, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        b = bytes_of(b.p + n, b.n - (size_t)n);
    }
    return 0;
}

static int exchange(int fd, const char *authority, struct bytes request, struct buf *reply,
                    struct err *e)
{
    ssize_t n = send_all(fd, request) == 0 ? 1 : -1;

    while (n > 0) {
        buf_reserve(reply, 65536);
        n = recv(fd, reply->p + reply->n, 65536, 0);
        if (n > 0)
            reply->n += (size_t)n;
    }
    if (n < 0)
        return err_set(e, LEAT_ECONNECT, "http://%s: %s", authority, strerror(errno));
    return 0;
}

static int ask(const struct http_ask *ask, struct bytes request, int *status, struct buf *body,
               struct err *e)
{
    struct buf reply = BUF_EMPTY;
    const char *end;
    int fd, rc = connect_to(ask->authority, ask->ms, &fd, e);

    if (rc != 0)
        return rc;
    rc = exchange(fd, ask->authority, request, &reply, e);
    close(fd);
    if (rc == 0) {
        end = strstr(buf_cstr(&reply), "\r\n\r\n");
        if (reply.n < 12 || memcmp(reply.p, "HTTP/1.", 7) != 0 || end == NULL)
            rc = err_set(e, LEAT_EPROTO, "http://%s does not speak HTTP", ask->authority);
        else
            *status = (int)strtol((const char *)reply.p + 9, NULL, 10);
    }
    if (rc == 0)
        buf_append_str(body, end + 4);
    buf_deinit(&reply);
    return rc;
}

int http_get(const char *authority, const char *path, int64_t ms, int *status, struct buf *body,
             struct err *e)
{
    struct http_ask how = {.authority = authority, .path = path, .ms = ms};
    struct buf request = BUF_EMPTY;
    int rc;

    buf_printf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
               authority);
    rc = ask(&how, buf_bytes(&request), status, body, e);
    buf_deinit(&request);
    return rc;
}

int http_post(const struct http_ask *how, struct bytes json, int *status, struct buf *body,
              struct err *e)
{
    struct buf request = BUF_EMPTY;
    int rc;

    buf_printf(&request,
               "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               how->path, how->authority, how->token, json.n);
    buf_append_bytes(&request, json);
    rc = ask(how, buf_bytes(&request), status, body, e);
    buf_deinit(&request);
    return rc;
}
