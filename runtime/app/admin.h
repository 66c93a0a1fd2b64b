// SPDX-License-Identifier: Apache-2.0
//
// How a command reaches the server that has a data folder open: "admin.json" in it says where the
// server listens and what it wants to hear. Readable by the server's user alone, so who may send
// commands is who may read the data; new with every start, gone after an orderly end.
#ifndef LEAT_APP_ADMIN_H
#define LEAT_APP_ADMIN_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

enum { ADMIN_TOKEN_SIZE = 65 };

struct admin {
    const char *http; // "127.0.0.1:8080"
    const char *token;
};

void admin_make_token(char out[ADMIN_TOKEN_SIZE]);
int admin_write(const char *data_dir, const struct admin *admin, struct err *e) LEAT_CHECKED;
void admin_remove(const char *data_dir);
// LEAT_ENOTFOUND: no server has the folder open.
int admin_read(const char *data_dir, struct arena *a, struct admin *out,
               struct err *e) LEAT_CHECKED;

#endif
