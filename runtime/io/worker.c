// SPDX-License-Identifier: Apache-2.0
//
// libuv's thread pool behind two functions.
#include "runtime/io/worker.h"

#include "runtime/base/heap.h"
#include "runtime/io/loop_uv.h"

static void on_work(uv_work_t *r)
{
    struct work *w = r->data;

    w->run(w);
}

static void on_work_done(uv_work_t *r, int status)
{
    struct work *w = r->data;

    heap_free(r);
    w->done(w, status == 0 ? 0 : LEAT_ECANCELED);
}

int worker_submit(struct loop *l, struct work *w, struct err *e)
{
    uv_work_t *r = heap_try_zalloc(sizeof *r);
    int status;

    ASSERT(loop_on_thread(l));
    if (r == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory");
    r->data = w;
    status = uv_queue_work(loop_uv(l), r, on_work, on_work_done);
    if (status < 0) {
        heap_free(r);
        return uv_err(e, status, "cannot start a worker");
    }
    return 0;
}
