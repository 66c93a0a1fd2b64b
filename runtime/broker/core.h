// SPDX-License-Identifier: Apache-2.0
//
// The inside of a broker, for the files of this folder. Everything runs on the broker's loop but
// what broker.h offers to other threads (metadata, slots).
#ifndef LEAT_BROKER_CORE_H
#define LEAT_BROKER_CORE_H

#include <stdatomic.h>

#include "runtime/broker/broker.h"
#include "runtime/broker/datadir.h"
#include "runtime/broker/groups.h"
#include "runtime/broker/metadata.h"
#include "runtime/broker/slots.h"
#include "runtime/broker/waits.h"
#include "runtime/io/listener.h"

#define BROKER_ID 1

struct broker {
    struct broker_config config; // strings are owned copies below
    char *host, *advertised_host, *data_path;
    struct datadir dir;
    struct metadata metadata;
    struct flusher *flusher;
    bool flushing; // the flusher's thread runs
    struct slots slots;
    int64_t producer_id_next, producer_id_end; // of the block in hand

    struct loop *loop;
    struct net *net;
    struct listener *listener;
    pthread_t thread;
    bool started;
    bool stopping;
    struct flush_watch watch;
    struct loop_message moved;
    atomic_bool moved_posted;
    struct loop_message stop;
    struct waits waits;
    struct timer *housekeeping;
    int64_t retained_ms; // when retention ran last
    struct link sessions;
    struct groups groups;
    _Atomic int64_t n_requests, produced_bytes, n_connections;
    int n_auto_topics;
};

static inline int64_t broker_now(const struct broker *b)
{
    return loop_now_ms(b->loop);
}

// broker_topic_create with everything; also for internal topics.
int broker_create(struct broker *b, const struct metadata_command *c, struct err *e) LEAT_CHECKED;
int broker_add_partitions(struct broker *b, struct topic *t, int32_t n, struct err *e) LEAT_CHECKED;
int broker_delete(struct broker *b, struct topic *t, struct err *e) LEAT_CHECKED;
// -1: no more ids, with the reason.
int64_t broker_producer_id(struct broker *b, struct err *e);

#endif
