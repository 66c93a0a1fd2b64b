// SPDX-License-Identifier: Apache-2.0
//
// leat.lua: the settings of a server, as a plain struct.
//
//   return {
//     data   = "data",
//     listen = { kafka = "127.0.0.1:9092", http = "127.0.0.1:8080" },
//     jobs   = { "jobs/*.lua" },
//     topics = { ["shop.events"] = { partitions = 8, retention = "forever" } },
//     partitions = 1, auto_create = false,
//   }
#ifndef LEAT_SCRIPTS_SETTINGS_H
#define LEAT_SCRIPTS_SETTINGS_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct settings_topic {
    const char *name;
    int32_t partitions;      // 0: not given
    int64_t retention_ms;    // -1: forever; 0: not given
    int64_t retention_bytes; // 0: not given
    bool compact;
};

struct settings {
    struct arena arena;       // everything below lives here
    const char *data;         // NULL: not given
    const char *kafka_listen; // "host:port"; NULL
    const char *http_listen;  // NULL
    const char **jobs;        // files that the patterns match, sorted, relative to leat.lua
    size_t n_jobs;
    struct settings_topic *topics; // sorted by name
    size_t n_topics;
    int32_t default_partitions; // of topics that do not say; 0: not given
    bool auto_create;
};

void settings_init(struct settings *s);
void settings_deinit(struct settings *s);
// LEAT_ELOAD with file and line or the name of the setting. Paths in it are taken relative to the
// file's folder.
int settings_load(struct settings *s, const char *file, struct err *e) LEAT_CHECKED;

#endif
