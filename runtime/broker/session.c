// SPDX-License-Identifier: Apache-2.0
//
// Happy path: session_framed decodes the header and the body, queues the request, and the pump runs
// what may run and sends what is done. The pump is one loop that never nests: a request that ends
// inside its own run only marks itself.
//
// Failure: a frame that is no request, an unknown api or version, and a body that does not decode
// close the connection, because nobody knows how the answer would have to look. ApiVersions is the
// exception (KIP-511). A closed connection drops queued requests; running ones end by themselves,
// unheard, unless they only wait.
#include "runtime/broker/session.h"

#include <stdlib.h>

#include "runtime/base/heap.h"
#include "runtime/base/trace.h"

// --- requests ---
static void request_free(struct request *r)
{
    ASSERT(r->wait.link.next == &r->wait.link);
    list_remove(&r->link);
    r->session->n_requests--;
    for (int i = 0; i < r->n_out; i++)
        buf_deinit(&r->out[i]);
    heap_free(r->out);
    arena_deinit(&r->arena);
    frame_free(r->frame);
    heap_free(r);
}

static int decode_header(struct request *r, struct err *e)
{
    struct bytes bytes = bytes_of(r->frame->bytes, r->frame->n);
    int rc = wire_request_decode(bytes, &r->q, e);

    if (rc == LEAT_EUNSUPPORTED && r->q.key == 18) {
        r->fallback = true;
        r->q.api = wire_api(18);
        r->q.version = 0;
        r->q.client_id = r->q.body = BYTES_NULL;
        rc = 0;
    }
    if (rc < 0)
        return rc;
    r->api = api_find(r->q.key);
    if (r->api == NULL ||
        (!r->fallback && (r->q.version < r->api->min || r->q.version > r->api->max)))
        return err_set(e, LEAT_EUNSUPPORTED, "request %d version %d is not served here", r->q.key,
                       r->q.version);
    return 0;
}

static int decode_body(struct request *r, struct err *e)
{
    const struct wire_message *m = r->q.api->request;

    r->body = arena_try_alloc(&r->arena, m->size);
    if (r->body == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory");
    if (r->fallback) {
        wire_defaults(m, r->body);
        return 0;
    }
    return wire_decode(m, r->q.version, r->q.body, &r->arena, r->body, e);
}

static struct request *request_new(struct session *s, struct frame *f, struct err *e)
{
    struct request *r = heap_try_zalloc(sizeof *r);
    int rc;

    if (r == NULL) {
        err_set(e, LEAT_ENOMEM, "out of memory");
        frame_free(f);
        return NULL;
    }
    r->session = s;
    r->broker = s->broker;
    r->frame = f;
    list_init(&r->wait.link);
    list_push(&s->requests, &r->link);
    s->n_requests++;
    arena_init(&r->arena);
    r->arena.limit = REQUEST_ARENA_BYTES_MAX;
    rc = decode_header(r, e);
    if (rc == 0)
        rc = decode_body(r, e);
    if (rc == 0)
        return r;
    request_free(r);
    return NULL;
}

// --- sessions ---
static void session_free(struct session *s)
{
    list_remove(&s->link);
    heap_free(s);
}

static void send_done(struct session *s)
{
    while (!list_empty(&s->requests)) {
        struct request *r = container_of(s->requests.next, struct request, link);

        if (r->state != REQUEST_DONE)
            return;
        for (int i = 0; i < r->n_out && s->conn != NULL; i++)
            conn_send(s->conn, &r->out[i]);
        request_free(r);
    }
}

// The next request whose turn it is, or NULL.
static struct request *next_request(struct session *s)
{
    bool running = false;

    for (struct link *i = s->requests.next; i != &s->requests; i = i->next) {
        struct request *r = container_of(i, struct request, link);

        if (r->state == REQUEST_QUEUED)
            return running && !r->api->overlaps ? NULL : r;
        if (r->state == REQUEST_RUNNING) {
            if (!r->api->overlaps)
                return NULL;
            running = true;
        }
    }
    return NULL;
}

static void update_pause(struct session *s)
{
    bool want = s->n_requests >= CONN_REQUESTS_MAX;

    if (s->conn == NULL || want == s->paused)
        return;
    s->paused = want;
    if (want)
        conn_pause(s->conn);
    else
        conn_resume(s->conn);
}

static void session_pump(struct session *s)
{
    struct request *r;

    if (s->pumping)
        return;
    s->pumping = true;
    do {
        send_done(s);
        r = s->conn != NULL ? next_request(s) : NULL;
        if (r != NULL) {
            r->state = REQUEST_RUNNING;
            r->api->run(r);
        }
    } while (r != NULL);
    s->pumping = false;
    if (s->conn != NULL) {
        conn_set_busy(s->conn, s->n_requests > 0);
        update_pause(s);
    } else if (s->n_requests == 0) {
        session_free(s);
    }
}

int session_opened(void *arg, struct conn *c)
{
    struct broker *b = arg;
    struct session *s = heap_try_zalloc(sizeof *s);
    const char *colon = strrchr(conn_peer(c), ':');

    if (s == NULL)
        return LEAT_ENOMEM;
    s->broker = b;
    s->conn = c;
    list_init(&s->requests);
    list_push(&b->sessions, &s->link);
    s->peer_host[0] = '/';
    if (colon != NULL)
        memcpy(s->peer_host + 1, conn_peer(c), (size_t)(colon - conn_peer(c)));
    conn_set_user(c, s);
    atomic_fetch_add(&b->n_connections, 1);
    return 0;
}

int session_framed(void *arg, struct conn *c, struct frame *f)
{
    struct session *s = conn_user(c);
    struct err e;

    (void)arg;
    if (request_new(s, f, &e) == NULL) {
        trace(TRACE_INFO, "broker", "%s: closed: %s", conn_peer(c), e.text);
        return LEAT_EPROTO;
    }
    atomic_fetch_add_explicit(&s->broker->n_requests, 1, memory_order_relaxed);
    conn_trust(c);
    session_pump(s);
    return 0;
}

// Drops what has not begun, and what only waits.
static void drop_requests(struct session *s)
{
    for (struct link *i = s->requests.next, *next; i != &s->requests; i = next) {
        struct request *r = container_of(i, struct request, link);

        next = i->next;
        if (r->state == REQUEST_RUNNING && r->drop == NULL)
            continue;
        if (r->state == REQUEST_RUNNING)
            r->drop(r);
        waits_remove(&r->wait);
        request_free(r);
    }
}

void session_closed(void *arg, struct conn *c)
{
    struct session *s = conn_user(c);
    struct broker *b = arg;

    atomic_fetch_sub(&b->n_connections, 1);
    s->conn = NULL;
    if (s->pumping)
        return; // cannot be: closing is told from the loop, never from inside a request
    drop_requests(s);
    if (s->n_requests == 0)
        session_free(s);
}

void sessions_drop(struct broker *b)
{
    for (struct link *i = b->sessions.next, *next; i != &b->sessions; i = next) {
        struct session *s = container_of(i, struct session, link);

        next = i->next;
        drop_requests(s);
        ASSERT(s->n_requests == 0);
        if (s->conn == NULL)
            session_free(s);
    }
}

// --- replies ---
static void request_done(struct request *r)
{
    ASSERT(r->state == REQUEST_RUNNING);
    r->state = REQUEST_DONE;
    session_pump(r->session); // r may be gone
}

void request_abort(struct request *r)
{
    if (r->session->conn != NULL)
        conn_close(r->session->conn);
    request_done(r);
}

void request_reply_nothing(struct request *r)
{
    request_done(r);
}

static void out_add(struct request *r, struct buf *b)
{
    r->out[r->n_out++] = *b;
    *b = BUF_EMPTY;
}

// The encoded reply is cut where records belong, and the records' buffers go in between.
static void out_weave(struct request *r, struct buf *encoded, const struct wire_gaps *gaps,
                      struct buf *records)
{
    size_t at = 0, k = 0;

    r->out = heap_zalloc((gaps->n * 2 + 1) * sizeof *r->out);
    for (size_t i = 0; i < gaps->n; i++) {
        struct buf piece = BUF_EMPTY;

        buf_append(&piece, encoded->p + at, gaps->items[i].pos - at);
        at = gaps->items[i].pos;
        out_add(r, &piece);
        while (records[k].n == 0)
            k++;
        ASSERT(records[k].p == gaps->items[i].records.p);
        out_add(r, &records[k++]);
    }
    buf_consume(encoded, at);
    out_add(r, encoded);
}

static void prepare(struct request *r, const void *response, struct buf *records, size_t n)
{
    struct wire_gap *items = n > 0 ? arena_alloc(&r->arena, n * sizeof *items) : NULL;
    struct wire_gaps gaps = {items, 0, n};
    struct buf encoded = BUF_EMPTY;
    struct err e;

    if (wire_response_encode(&r->q, response, &gaps, &encoded, &e) == 0) {
        out_weave(r, &encoded, &gaps, records);
        return;
    }
    trace(TRACE_ERROR, "broker", "a reply to request %d version %d cannot be written: %s", r->q.key,
          r->q.version, e.text);
    buf_deinit(&encoded);
    if (r->session->conn != NULL)
        conn_close(r->session->conn);
}

void request_prepare(struct request *r, const void *response)
{
    prepare(r, response, NULL, 0);
}

void request_finish(struct request *r)
{
    request_done(r);
}

void request_reply_records(struct request *r, const void *response, struct buf *records, size_t n)
{
    prepare(r, response, records, n);
    request_done(r);
}

void request_reply(struct request *r, const void *response)
{
    request_reply_records(r, response, NULL, 0);
}
