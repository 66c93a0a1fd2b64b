// SPDX-License-Identifier: Apache-2.0
//
// One connection as a conversation: requests in, replies out in the same order (Kafka clients match
// them by position as much as by correlation id). A request is an operation: it is decoded, runs
// when its turn has come, and ends with exactly one of request_reply, request_reply_nothing or
// request_abort, at once or later.
//
//   QUEUED ──► RUNNING ──► DONE ──► sent, in order of arrival
//
// Its turn has come when nothing before it runs; produce requests may overtake each other's waiting
// (not each other), which is what makes a group commit of pipelined batches.
#ifndef LEAT_BROKER_SESSION_H
#define LEAT_BROKER_SESSION_H

#include "runtime/broker/core.h"
#include "runtime/wire/wire.h"
#include "runtime/wire/messages.h"

struct session {
    struct link link; // broker.sessions
    struct broker *broker;
    struct conn *conn;    // NULL once it is closed
    struct link requests; // in order of arrival
    int n_requests;
    bool pumping, paused;
    char peer_host[64];
};

enum request_state { REQUEST_QUEUED, REQUEST_RUNNING, REQUEST_DONE };

struct api;

struct request {
    struct link link;
    struct session *session;
    struct broker *broker;
    const struct api *api;
    struct frame *frame;
    struct wire_request q;
    struct arena arena;
    void *body;       // decoded
    void *op;         // the api's own, in the arena
    struct wait wait; // of apis that wait for partitions
    // Lets go of what op holds when nobody waits for the answer any more. NULL: op cannot be given
    // up, or holds nothing.
    void (*drop)(struct request *r);
    enum request_state state;
    bool fallback;   // an ApiVersions of a version that we do not know
    struct buf *out; // the reply
    int n_out;
};

int session_opened(void *arg, struct conn *c);
int session_framed(void *arg, struct conn *c, struct frame *f);
void session_closed(void *arg, struct conn *c);
// Gives up all requests: the broker stops.
void sessions_drop(struct broker *b);

// With the struct of the api's response.
void request_reply(struct request *r, const void *response);
// Records of the response are the given buffers, in order, whose memory it takes.
void request_reply_records(struct request *r, const void *response, struct buf *records, size_t n);
// The same in two steps, for those that answer several requests at once: finish may start other
// requests.
void request_prepare(struct request *r, const void *response);
void request_finish(struct request *r);
void request_reply_nothing(struct request *r);
// Closes the connection: the only way to say that something cannot be said.
void request_abort(struct request *r);

struct api {
    int16_t key;
    int16_t min, max;       // served
    int16_t advertised_min; // told
    bool overlaps;
    void (*run)(struct request *r);
};

extern const struct api apis[];
extern const size_t n_apis;
const struct api *api_find(int key);

#endif
