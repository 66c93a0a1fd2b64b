// SPDX-License-Identifier: Apache-2.0
//
// A net is the set of connections that share a loop, one owner and budgets. A connection carries
// frames: an int32 length, big-endian, then that many bytes. The owner gets whole frames, and sends
// buffers back.
//
// Bounds and what happens at them:
//   a frame longer than allowed, or shorter than a header   the connection is closed, nothing is
//   allocated for it frames handed out and being read, all connections       reading stops
//   everywhere until frames are freed unsent bytes of one connection reading of that connection
//   stops a silent connection, a stalled frame, a stalled reader  closed connections the newest is
//   refused
#ifndef LEAT_IO_NET_H
#define LEAT_IO_NET_H

#include "runtime/base/buf.h"
#include "runtime/io/loop.h"

struct net;
struct conn;

struct frame {
    struct net *net;
    uint32_t n;   // length as announced: the frame's bytes when it is handed out
    uint32_t got; // bytes that have arrived
    uint32_t cap; // bytes allocated, grows with what arrives, not with what is announced
    uint8_t bytes[];
};

struct net_hooks {
    // Takes nothing; may call conn_set_user. Negative refuses the connection (closed is not called
    // then).
    int (*opened)(void *arg, struct conn *c);
    // Takes the frame (frame_free, on the loop). Negative closes the connection.
    int (*framed)(void *arg, struct conn *c, struct frame *f);
    // The last that is heard of c.
    void (*closed)(void *arg, struct conn *c);
};

struct net_config {
    uint32_t frame_min;       // shorter: not a request
    uint32_t frame_first_max; // until conn_trust
    uint32_t frame_max;
    size_t inflight_max;
    size_t out_max;
    int64_t idle_ms;  // no bytes and nothing outstanding
    int64_t stall_ms; // in the middle of a frame, or of our reply
    int conn_max;
};

// The bounds of limits.h.
void net_config_default(struct net_config *c);

struct net *net_new(struct loop *l, const struct net_config *c, const struct net_hooks *hooks,
                    void *arg);
// Closes every connection (each gets its `closed` in a later turn).
void net_close(struct net *n);
int net_count(const struct net *n); // connections not yet closed
size_t net_inflight(const struct net *n);
// Only when net_count is 0 and all frames are freed.
void net_free(struct net *n);

// Takes the descriptor, whatever happens.
int conn_open(struct net *n, int fd, struct err *e) LEAT_CHECKED;
void conn_set_user(struct conn *c, void *user);
void *conn_user(const struct conn *c);
// "127.0.0.1:40312", for messages and client hosts.
const char *conn_peer(const struct conn *c);
// From now on frames may be as long as frame_max: something valid has been said.
void conn_trust(struct conn *c);
// Takes the buffer's memory. It is written at the end of the turn, after what was sent before.
void conn_send(struct conn *c, struct buf *b);
// Frames that had arrived may still be handed out after conn_pause.
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
// Says that the owner works for this connection, so silence is not idleness.
void conn_set_busy(struct conn *c, bool busy);
// Once or more often; unsent replies are dropped.
void conn_close(struct conn *c);

void frame_free(struct frame *f);

#endif
