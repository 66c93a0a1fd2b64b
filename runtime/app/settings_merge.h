// SPDX-License-Identifier: Apache-2.0
//
// Where a server's settings come from: the defaults, a leat.lua, the command line; the later wins.
#ifndef LEAT_APP_SETTINGS_MERGE_H
#define LEAT_APP_SETTINGS_MERGE_H

#include "runtime/app/command.h"
#include "runtime/app/server.h"
#include "scripts/settings.h"

enum { SERVE_TOPICS_MAX = 256, SERVE_JOBS_MAX = 256, SERVE_PARAMS_MAX = 64 };

// Everything a server_config points to.
struct serve_settings {
    struct arena arena;
    struct settings file; // of leat.lua
    struct server_config config;
    struct server_topic topics[SERVE_TOPICS_MAX];
    const char *jobs[SERVE_JOBS_MAX];
    const char *params[SERVE_PARAMS_MAX + 1];
    char kafka_host[256], http_host[256];
};

// `development`: leat run. Topics appear on first use, groups do not wait for members, and jobs are
// the arguments; leat serve takes jobs and a leat.lua as arguments. LEAT_EUSAGE, LEAT_ELOAD.
int settings_merge(const struct args *a, bool development, struct serve_settings *out,
                   struct err *e) LEAT_CHECKED;
void settings_merge_deinit(struct serve_settings *s);

#endif
