// SPDX-License-Identifier: Apache-2.0
#include "runtime/http/server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/http/change.h"
#include "runtime/http/query_route.h"

struct http_path {
    char *pattern;
    struct http_job *job;
    const struct plan_query *query;
};

struct http_server {
    struct http_config config;
    char *host;
    char **hosts;
    size_t n_hosts;
    struct MHD_Daemon *daemon;
    int port;
    pthread_rwlock_t lock; // read: a request is using a route; write: routes change
    struct http_waits waits;
    struct http_path *paths;
    size_t n_paths;
    struct http_job **jobs;
    size_t n_jobs;
    char *token;
};

// One request on its way in.
struct request {
    bool change;  // it wants to
    bool refused; // `answer` says why; its body is thrown away
    struct buf body;
    struct http_answer answer;
};

// --- who may ask ---

// "name", "name:port", "[::1]:port" against the names we answer to. Keeps a page that rebinds its
// DNS name out.
static bool host_allowed(const struct http_server *s, const char *header)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t n;

    if (header == NULL)
        return false;
    n = header[0] == '[' ? strcspn(header, "]") + 1 : strcspn(header, ":");
    struct bytes name = bytes_of(header, n < strlen(header) ? n : strlen(header));
    if (header[name.n] != 0 && header[name.n] != ':')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++)
        if (bytes_eq_str(name, loopback[i]))
            return true;
    for (size_t i = 0; i < s->n_hosts; i++)
        if (bytes_eq_str(name, s->hosts[i]))
            return true;
    return bytes_eq_str(name, s->host);
}

// --- the lock of the routes ---

// There is always some request under way: who changes routes must have its turn before those that
// come later.
static void lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;

    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

static void lock_routes(struct http_server *s)
{
    atomic_fetch_add(&s->waits.changing, 1);
    pthread_rwlock_wrlock(&s->lock);
}

static void unlock_routes(struct http_server *s)
{
    atomic_fetch_sub(&s->waits.changing, 1);
    pthread_rwlock_unlock(&s->lock);
}

// --- what is asked ---

// A value that is cut at a NUL would be another one.
static bool is_text(struct bytes value)
{
    return bytes_is_utf8(value) && (value.n == 0 || memchr(value.p, 0, value.n) == NULL);
}

static enum MHD_Result collect_arg(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_size, const char *value, size_t value_size)
{
    struct http_args *args = cls;
    struct bytes text = value != NULL ? bytes_of(value, value_size) : BYTES_LIT("");

    (void)kind, (void)name_size;
    if (!is_text(text))
        args->not_text = bytes_str(name);
    if (strcmp(name, "min_position") == 0) {
        args->min_position = text;
        return MHD_YES;
    }
    if (args->n == ARRAY_LEN(args->names))
        return MHD_NO;
    args->names[args->n] = bytes_str(name);
    args->texts[args->n++] = text;
    return MHD_YES;
}

static void collect_args(struct MHD_Connection *c, const struct route_match *m,
                         struct http_args *args)
{
    const char *position = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Leat-Min-Position");

    args->n = 0;
    args->min_position = bytes_str(position);
    for (size_t i = 0; i < m->n; i++) {
        args->names[args->n] = m->params[i].name;
        args->texts[args->n++] = m->params[i].text;
    }
    MHD_get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, collect_arg, args);
}

// What a query's route has made of a request.
enum routed { ROUTED, NOT_FOUND, AGAIN };

static enum routed route_query(struct http_server *s, struct MHD_Connection *c, const char *url,
                               int64_t deadline, struct http_answer *out)
{
    struct http_args args = {.not_text = BYTES_NULL, .deadline = deadline, .waits = &s->waits};
    struct route_match match;
    enum routed is = NOT_FOUND;

    pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; i < s->n_paths && is == NOT_FOUND; i++) {
        if (!route_matches(s->paths[i].pattern, url, &match))
            continue;
        collect_args(c, &match, &args);
        if (!bytes_is_null(args.not_text)) {
            http_answer_error(out, 400, "parameter %.*s is no text: it is not UTF-8, or has a NUL",
                              BYTES_FMT(args.not_text));
            is = ROUTED;
            continue;
        }
        is = query_route_answer(s->paths[i].job, s->paths[i].query, &args, out) ? ROUTED : AGAIN;
    }
    pthread_rwlock_unlock(&s->lock);
    return is;
}

static bool answer_query(struct http_server *s, struct MHD_Connection *c, const char *url,
                         struct http_answer *out)
{
    int64_t deadline = clock_mono_ms(clock_system()) + MIN_POSITION_WAIT_MS;
    enum routed is = route_query(s, c, url, deadline, out);

    if (is == NOT_FOUND)
        return false;
    while (is == AGAIN)
        is = route_query(s, c, url, deadline, out);
    if (is == NOT_FOUND)
        http_answer_error(out, 503, "the job of %s is being ended: ask again", url);
    return true;
}

static void answer(struct http_server *s, struct MHD_Connection *c, const char *url,
                   struct http_answer *out)
{
    if (strcmp(url, "/status") == 0) {
        s->config.status(s->config.arg, &out->body);
    } else if (strcmp(url, "/metrics") == 0) {
        out->type = "text/plain; version=0.0.4";
        s->config.metrics(s->config.arg, &out->body);
    } else if (strcmp(url, "/healthz") == 0) {
        out->type = "text/plain";
        out->status = s->config.healthy(s->config.arg, &out->body) ? 200 : 503;
    } else if (!answer_query(s, c, url, out)) {
        http_answer_error(out, 404, "nothing is at %s; /status lists the jobs and their queries",
                          url);
    }
}

// --- libmicrohttpd ---

static enum MHD_Result reply(struct MHD_Connection *c, struct http_answer *a)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result ok;

    if (r == NULL)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", a->type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Cache-Control", "no-cache");
    if (a->truncated)
        MHD_add_response_header(r, "Leat-Truncated", "1");
    if (a->position.n > 0) {
        MHD_add_response_header(r, "Leat-Position", buf_cstr(&a->position));
        char *tag = heap_printf("\"%s\"", buf_cstr(&a->position));
        MHD_add_response_header(r, "ETag", tag);
        heap_free(tag);
    }
    ok = MHD_queue_response(c, (unsigned)a->status, r);
    MHD_destroy_response(r);
    return ok;
}

// --- one request ---

static void decide(struct http_server *s, const char *url, struct request *r)
{
    struct bytes name = change_parked_job(url);
    struct http_job *job = NULL;

    pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; i < s->n_jobs && job == NULL; i++)
        if (bytes_eq_str(name, s->jobs[i]->name))
            job = s->jobs[i];
    if (job != NULL)
        job->decide(job, buf_bytes(&r->body), &r->answer);
    else
        http_answer_error(&r->answer, 404, "no job %.*s runs here", BYTES_FMT(name));
    pthread_rwlock_unlock(&s->lock);
}

static struct request *request_new(struct http_server *s, struct MHD_Connection *c,
                                   const char *url, const char *method)
{
    struct request *r = heap_zalloc(sizeof *r);
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

    r->answer = (struct http_answer){.status = 200, .type = "application/json"};
    r->refused = true;
    if (!host_allowed(s, MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host"))) {
        http_answer_error(&r->answer, 421,
                          "this server does not answer for that Host; allow it with --http-host");
    } else if (get) {
        r->refused = false;
    } else if (strcmp(method, "POST") == 0 && !bytes_is_null(change_parked_job(url))) {
        r->change = true;
        r->refused = !change_allowed(c, s->token, &r->answer);
    } else {
        http_answer_error(&r->answer, 405, "only GET and HEAD are served");
    }
    return r;
}

static void request_body(struct request *r, const char *body, size_t n)
{
    if (!r->change || r->refused)
        return; // nobody wants it
    if (n > HTTP_BODY_BYTES_MAX - r->body.n) {
        r->refused = true;
        http_answer_error(&r->answer, 413, "the body is larger than %d bytes", HTTP_BODY_BYTES_MAX);
        return;
    }
    buf_append(&r->body, body, n);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct request *r = *state;

    (void)cls, (void)c, (void)how;
    if (r == NULL)
        return;
    buf_deinit(&r->body);
    http_answer_deinit(&r->answer);
    heap_free(r);
    *state = NULL;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_size, void **state)
{
    struct http_server *s = cls;
    struct request *r = *state;

    (void)version;
    if (r == NULL) { // headers are in; the body, if any, is not
        *state = request_new(s, c, url, method);
        return MHD_YES;
    }
    if (*body_size > 0) {
        request_body(r, body, *body_size);
        *body_size = 0;
        return MHD_YES;
    }
    if (!r->refused && r->change)
        decide(s, url, r);
    else if (!r->refused)
        answer(s, c, url, &r->answer);
    return reply(c, &r->answer);
}

static int bind_address(const struct http_config *c, struct sockaddr_storage *out, struct err *e)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, c->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)c->port);
        return 0;
    }
    if (inet_pton(AF_INET6, c->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)c->port);
        return 0;
    }
    return err_set(e, LEAT_EINVAL, "http listener: \"%s\" is not an IP address", c->host);
}

static int daemon_start(struct http_server *s, struct err *e)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    const union MHD_DaemonInfo *info;
    struct sockaddr_storage addr;
    int rc = bind_address(&s->config, &addr, e);

    if (rc != 0)
        return rc;
    if (addr.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&addr,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONN_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(HTTP_REQUEST_MS_MAX / 1000), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)(512 * 1024), MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (s->daemon == NULL)
        return err_set(e, LEAT_EIO,
                       "cannot listen for HTTP on %s:%d; is another server there? Choose another "
                       "port with --http-listen",
                       s->host, s->config.port);
    info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info != NULL ? info->port : s->config.port;
    return 0;
}

int http_start(struct http_server **out, const struct http_config *c, struct err *e)
{
    struct http_server *s = heap_zalloc(sizeof *s);
    int rc;

    s->config = *c;
    s->host = heap_strdup(c->host);
    s->config.host = s->host;
    s->token = c->token != NULL ? heap_strdup(c->token) : NULL;
    s->hosts = heap_alloc(c->n_hosts * sizeof *s->hosts);
    for (; s->n_hosts < c->n_hosts; s->n_hosts++)
        s->hosts[s->n_hosts] = heap_strdup(c->hosts[s->n_hosts]);
    lock_init(&s->lock);
    rc = daemon_start(s, e);
    if (rc != 0) {
        http_stop(s);
        return rc;
    }
    *out = s;
    return 0;
}

void http_stop(struct http_server *s)
{
    if (s == NULL)
        return;
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    for (size_t i = 0; i < s->n_paths; i++)
        heap_free(s->paths[i].pattern);
    for (size_t i = 0; i < s->n_hosts; i++)
        heap_free(s->hosts[i]);
    pthread_rwlock_destroy(&s->lock);
    heap_free(s->paths);
    heap_free(s->jobs);
    heap_free(s->token);
    heap_free(s->hosts);
    heap_free(s->host);
    heap_free(s);
}

int http_port(const struct http_server *s)
{
    return s->port;
}

// --- routes ---

static int path_add(struct http_server *s, char *pattern, struct http_job *j,
                    const struct plan_query *q, struct err *e)
{
    for (size_t i = 0; i < s->n_paths; i++) {
        if (!route_collides(s->paths[i].pattern, pattern))
            continue;
        err_set(e, LEAT_EEXISTS, "query \"%s\" of job %s and \"%s\" of job %s both claim %s",
                q->name, j->name, s->paths[i].query->name, s->paths[i].job->name, pattern);
        heap_free(pattern);
        return LEAT_EEXISTS;
    }
    s->paths = heap_realloc(s->paths, (s->n_paths + 1) * sizeof *s->paths);
    s->paths[s->n_paths++] = (struct http_path){pattern, j, q};
    return 0;
}

static int query_add(struct http_server *s, struct http_job *j, const struct plan_query *q,
                     struct err *e)
{
    int rc = path_add(s, heap_printf("/q/%s/%s", j->name, q->name), j, q, e);

    if (rc != 0 || q->path == NULL)
        return rc;
    rc = route_check(q->path, e);
    if (rc != 0)
        return err_wrap(e, rc, "query \"%s\" of job %s", q->name, j->name);
    return path_add(s, heap_strdup(q->path), j, q, e);
}

static void job_drop(struct http_server *s, const struct http_job *j)
{
    size_t kept = 0, jobs = 0;

    for (size_t i = 0; i < s->n_paths; i++) {
        if (s->paths[i].job == j)
            heap_free(s->paths[i].pattern);
        else
            s->paths[kept++] = s->paths[i];
    }
    s->n_paths = kept;
    for (size_t i = 0; i < s->n_jobs; i++)
        if (s->jobs[i] != j)
            s->jobs[jobs++] = s->jobs[i];
    s->n_jobs = jobs;
}

static int job_add(struct http_server *s, struct http_job *j, struct err *e)
{
    int rc = 0;

    s->jobs = heap_realloc(s->jobs, (s->n_jobs + 1) * sizeof *s->jobs);
    s->jobs[s->n_jobs++] = j;
    for (int i = 0; i < j->n_queries && rc == 0; i++)
        rc = query_add(s, j, &j->queries[i], e);
    if (rc != 0)
        job_drop(s, j);
    return rc;
}

int http_add_job(struct http_server *s, struct http_job *j, struct err *e)
{
    int rc;

    lock_routes(s);
    rc = job_add(s, j, e);
    unlock_routes(s);
    return rc;
}

int http_check_job(struct http_server *s, struct http_job *j, const struct http_job *old,
                   struct err *e)
{
    struct http_server trial = {0}; // the paths of the others; only those of `j` are its own
    int rc;

    pthread_rwlock_rdlock(&s->lock);
    trial.paths = heap_alloc((s->n_paths + 1) * sizeof *trial.paths);
    for (size_t i = 0; i < s->n_paths; i++)
        if (s->paths[i].job != old)
            trial.paths[trial.n_paths++] = s->paths[i];
    rc = job_add(&trial, j, e);
    pthread_rwlock_unlock(&s->lock);
    job_drop(&trial, j);
    heap_free(trial.paths);
    heap_free(trial.jobs);
    return rc;
}

void http_replace_job(struct http_server *s, struct http_job *old, struct http_job *j)
{
    int rc;

    lock_routes(s);
    job_drop(s, old);
    rc = job_add(s, j, NULL);
    unlock_routes(s);
    ASSERT(rc == 0); // checked before
}

void http_remove_job(struct http_server *s, struct http_job *j)
{
    lock_routes(s);
    job_drop(s, j);
    unlock_routes(s);
}
