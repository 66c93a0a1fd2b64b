// SPDX-License-Identifier: Apache-2.0
//
// Inside of a net and its connections, for net.c and conn.c only.
#ifndef LEAT_IO_CONN_H
#define LEAT_IO_CONN_H

#include <uv.h>

#include "runtime/io/net.h"
#include "runtime/io/timer.h"

// Why a connection is not read. Any one is enough.
enum conn_pause {
    PAUSE_OWNER = 1,  // conn_pause
    PAUSE_OUT = 2,    // too many unsent bytes
    PAUSE_BUDGET = 4, // too many bytes in flight in the whole net
};

struct net {
    struct loop *loop;
    struct net_config config;
    struct net_hooks hooks;
    void *arg;
    struct link conns;
    struct link dirty; // connections with something to write at the end of this turn
    struct loop_hook turn;
    struct timer *sweep;
    size_t inflight; // bytes allocated for frames
    size_t n_handed; // frames that the owner has
    bool over;       // reading has stopped for the budget
    bool closing;
    int n_conns;
    uint8_t *scratch; // where bytes land while no frame has a length; RECV_SCRATCH_BYTES
};

struct conn {
    struct link link;  // net.conns
    struct link dirty; // net.dirty, or alone
    uv_tcp_t uv;
    uv_write_t write; // in use while n_writing > 0
    struct net *net;
    void *user;
    char peer[64];

    uint32_t frame_max;
    unsigned pauses; // of enum conn_pause
    bool reading, closing, busy;
    bool large; // the last frame was: look for the next length with a small read
    uint8_t head[4];
    uint32_t head_n;
    struct frame *frame; // being read

    struct link out; // of struct piece
    size_t out_bytes;
    unsigned n_writing; // pieces that libuv holds
    int64_t active_ms;  // bytes came or went last
};

void conn_pause_for(struct conn *c, enum conn_pause why);
void conn_resume_for(struct conn *c, enum conn_pause why);
void conn_flush(struct conn *c);
// Bytes were allocated to, or freed from, frames.
void net_account(struct net *n, int64_t bytes);

#endif
