// SPDX-License-Identifier: Apache-2.0
#include "runtime/http/query_route.h"

#include "runtime/base/limits.h"

// Polls after each commit until the read model has reached the position. 1 reached, 0 timed out, or
// an error.
static int wait_position(struct http_job *j, struct query_reader *r, struct bytes position,
                         struct err *e)
{
    struct clock *clock = clock_system();
    int64_t deadline = clock_mono_ms(clock) + MIN_POSITION_WAIT_MS;

    for (;;) {
        int rc = r->ops->reached(r, position, e);
        int64_t left = deadline - clock_mono_ms(clock);
        if (rc != 0)
            return rc;
        if (left <= 0)
            return 0;
        if (!j->wait_commit(j, left < 100 ? left : 100))
            return err_set(e, LEAT_ESTOPPED, "job %s is being restarted: ask again", j->name);
    }
}

static int status_of(int code)
{
    switch (code) {
    case LEAT_EINVAL:
    case LEAT_ESQL:
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
        if (q->one && answer.n_rows == 0)
            http_answer_error(out, 404, "%s: no row", q->name);
        else
            rc = query_answer_json(&answer, q->one, &out->body, e);
    }
    arena_deinit(&arena);
    return rc;
}

void query_route_answer(struct http_job *j, const struct plan_query *q,
                        const struct http_args *args, struct http_answer *out)
{
    struct err e = {0};
    struct query_reader *r = j->borrow(j, &e);
    int rc = 1;

    if (r == NULL) {
        http_answer_error(out, 503, "%s", e.text);
        return;
    }
    if (args->min_position.n > 0)
        rc = wait_position(j, r, args->min_position, &e);
    if (rc == 0)
        http_answer_error(out, 504, "job %s has not reached %.*s within %d ms", j->name,
                          BYTES_FMT(args->min_position), MIN_POSITION_WAIT_MS);
    if (rc > 0)
        rc = run(r, q, args, out, &e);
    if (rc < 0)
        http_answer_error(out, status_of(rc), "%s", e.text);
    j->give_back(j, r);
}
