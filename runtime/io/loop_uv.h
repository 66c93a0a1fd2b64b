// SPDX-License-Identifier: Apache-2.0
//
// For the other files of this folder: the libuv loop inside, and libuv's errors as ours.
#ifndef LEAT_IO_LOOP_UV_H
#define LEAT_IO_LOOP_UV_H

#include <uv.h>

#include "runtime/io/loop.h"

uv_loop_t *loop_uv(struct loop *l);

// Translates at the door: no UV_* code leaves this folder.
int uv_err(struct err *e, int status, const char *what);

#endif
