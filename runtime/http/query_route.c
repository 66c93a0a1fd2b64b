// SPDX-License-Identifier: Apache-2.0
#include "runtime/http/query_route.h"

#include "runtime/base/limits.h"

enum { NOT_REACHED = 0, REACHED = 1, WAIT_AGAIN = 2 };

// Polls after each commit until the read model has reached the position.
static int wait_position(struct http_job *j, struct query_reader *r, const struct http_args *args,
                         struct err *e)
{
    for (;;) {
        int rc = r->ops->reached(r, args->min_position, e);
        int64_t left = args->deadline - clock_mono_ms(clock_system());
        if (rc != 0)
            return rc;
        if (left <= 0)
            return NOT_REACHED;
        if (atomic_load(&args->waits->changing) > 0)
            return WAIT_AGAIN;
        if (!j->wait_commit(j, left < 100 ? left : 100))
            return err_set(e, LEAT_ESTOPPED, "job %s is being restarted: ask again", j->name);
    }
}

// Each has a connection: some are kept for those who do not wait, such as who asks for /healthz.
static int wait_in_number(struct http_job *j, struct query_reader *r, const struct http_args *args,
                          struct err *e)
{
    int rc;

    if (atomic_fetch_add(&args->waits->waiting, 1) >= HTTP_WAITS_MAX)
        rc = err_set(e, LEAT_EBUSY, "%d requests wait for positions already: ask again",
                     HTTP_WAITS_MAX);
    else
        rc = wait_position(j, r, args, e);
    atomic_fetch_sub(&args->waits->waiting, 1);
    return rc;
}

static int status_of(int code)
{
    switch (code) {
    case LEAT_EINVAL:
    case LEAT_ESQL:
    case LEAT_ENUMBER:
        return 400;
    case LEAT_ETIMEDOUT:
        return 408;
    case LEAT_ETOOBIG:
        return 413;
    default:
        return 503;
    }
}

static int run(struct query_reader *r, const struct plan_query *q, const struct http_args *args,
               struct http_answer *out, struct err *e)
{
    struct query_request request = {
        .named = q, .names = args->names, .texts = args->texts, .n_params = args->n};
    struct query_answer answer;
    struct arena arena;
    int rc;

    arena_init(&arena);
    rc = r->ops->run(r, &request, &arena, &answer, e);
    if (rc == 0) {
        buf_append_bytes(&out->position, answer.position);
        out->truncated = answer.truncated;
        if (q->one && answer.n_rows == 0)
            http_answer_error(out, 404, "%s: no row", q->name);
        else
            rc = query_answer_json(&answer, q->one, &out->body, e);
    }
    arena_deinit(&arena);
    return rc;
}

bool query_route_answer(struct http_job *j, const struct plan_query *q,
                        const struct http_args *args, struct http_answer *out)
{
    struct err e = {0};
    struct query_reader *r = j->borrow(j, &e);
    int rc = REACHED;

    if (r == NULL) {
        http_answer_error(out, 503, "%s", e.text);
        return true;
    }
    if (args->min_position.n > 0)
        rc = wait_in_number(j, r, args, &e);
    if (rc == NOT_REACHED)
        http_answer_error(out, 504, "job %s has not reached %.*s within %d ms", j->name,
                          BYTES_FMT(args->min_position), MIN_POSITION_WAIT_MS);
    if (rc == REACHED && run(r, q, args, out, &e) < 0)
        rc = e.code;
    if (rc < 0)
        http_answer_error(out, status_of(rc), "%s", e.text);
    j->give_back(j, r);
    return rc != WAIT_AGAIN;
}
