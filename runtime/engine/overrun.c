// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/overrun.h"

#include <stdio.h>

#include "runtime/base/buf.h"

// A record born inside the job shares its place in the log with others: its key tells them apart.
static uint64_t identity(const struct event *ev)
{
    const int64_t place[] = {ev->partition, ev->offset, ev->timestamp, ev->time};
    uint64_t id = bytes_hash(bytes_of(place, sizeof place), 0);
    struct buf key = BUF_EMPTY;

    id = bytes_hash(ev->topic, id);
    if (!value_is_nil(&ev->key) && value_key_bytes(&ev->key, &key, NULL) == 0)
        id = bytes_hash(buf_bytes(&key), id);
    buf_deinit(&key);
    return id;
}

void overrun_note(struct overrun *o, int node, enum plan_port port, const struct event *ev,
                  const char *text)
{
    *o = (struct overrun){.known = true, .node = node, .port = port, .id = identity(ev)};
    (void)snprintf(o->text, sizeof o->text, "%s", text);
}

int overrun_meet(struct overrun *o, int node, enum plan_port port, const struct event *ev,
                 struct err *e)
{
    if (node != o->node || port != o->port || identity(ev) != o->id)
        return 0;
    o->met = true;
    return err_set(e, LEAT_EBUDGET, "%s", o->text);
}
