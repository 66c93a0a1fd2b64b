// SPDX-License-Identifier: Apache-2.0
//
// The HTTP port: named queries, status, metrics, health; on loopback, for the hosts it knows. GET
// and HEAD, and one POST, for those who have the server's token (change.c).
//
//   /q/<job>/<query>?name=value   a named query; also at the query's own `path`. Headers:
//                                 Leat-Position, and Leat-Truncated when there are more rows
//   /status                       JSON, the same that `leat status` prints
//   /metrics                      Prometheus text
//   /healthz                      200 or 503 with the reason
//   POST /jobs/<job>/parked       decisions about parked records
//
// libmicrohttpd parses and gives each connection a thread of its own, bounded in number, memory and
// time; so a handler may block in a query or wait for a position. Errors are JSON: {"error":
// "..."}.
#ifndef LEAT_HTTP_SERVER_H
#define LEAT_HTTP_SERVER_H

#include "runtime/engine/query.h"
#include "runtime/http/answer.h"

struct http_server;

// One job's read side, implemented by the app. Any thread.
struct http_job {
    const char *name;
    const struct plan_query *queries;
    int n_queries;
    // A reader for this thread alone, until it is given back.
    struct query_reader *(*borrow)(struct http_job *j, struct err *e);
    void (*give_back)(struct http_job *j, struct query_reader *r);
    // Returns after the next commit, or after `ms`. False: the job has ended, none will come.
    bool (*wait_commit)(struct http_job *j, int64_t ms);
    // Decisions about parked records, as JSON; fills in status and body of the answer.
    void (*decide)(struct http_job *j, struct bytes body, struct http_answer *out);
};

struct http_config {
    const char *host;         // an address to bind, "127.0.0.1"
    int port;                 // 0: any free one
    const char *const *hosts; // names allowed in Host besides localhost, 127.0.0.1, ::1 and `host`
    size_t n_hosts;
    const char *token; // of requests that change something; NULL: there are none
    void (*status)(void *arg, struct buf *json);
    void (*metrics)(void *arg, struct buf *text);
    bool (*healthy)(void *arg, struct buf *why);
    void *arg;
};

int http_start(struct http_server **out, const struct http_config *c, struct err *e) LEAT_CHECKED;
void http_stop(struct http_server *s);
int http_port(const struct http_server *s);

// Routes for the job's queries. LEAT_EEXISTS names the two queries that claim one path. The job
// must outlive its routes.
int http_add_job(struct http_server *s, struct http_job *j, struct err *e) LEAT_CHECKED;
// Waits for requests of the job that are running.
void http_remove_job(struct http_server *s, struct http_job *j);
// Whether `j` could take the place of `old` (NULL: of none): 0, or as http_add_job.
int http_check_job(struct http_server *s, struct http_job *j, const struct http_job *old,
                   struct err *e) LEAT_CHECKED;
// Gives the routes of `old` up for those of `j`, at once, when http_check_job has said that it can
// be. Waits for requests of the old one that are running.
void http_replace_job(struct http_server *s, struct http_job *old, struct http_job *j);

#endif
