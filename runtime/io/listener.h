// SPDX-License-Identifier: Apache-2.0
//
// Accepts TCP connections for a net. When the process is out of descriptors it stops accepting for
// a moment, says so once, and tries again: waiting connections stay in the kernel's queue and cost
// nothing.
#ifndef LEAT_IO_LISTENER_H
#define LEAT_IO_LISTENER_H

#include "runtime/io/net.h"

struct listener;

// `host` is a name or an address; port 0 lets the kernel choose.
int listener_open(struct listener **out, struct loop *l, struct net *n, const char *host, int port,
                  struct err *e) LEAT_CHECKED;
int listener_port(const struct listener *l);
void listener_close(struct listener *l); // frees; NULL is fine

#endif
