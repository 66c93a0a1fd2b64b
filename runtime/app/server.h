// SPDX-License-Identifier: Apache-2.0
//
// The server behind `leat serve` and `leat run`: broker, jobs, HTTP, wired together, started and
// stopped in order.
//
//   start: jobs are loaded → broker opens its data → configured topics are made → broker listens →
//          jobs open their databases and run → HTTP listens → ready file
//   stop:  HTTP, jobs, broker: the reverse
//
// A job that cannot be loaded or started does not keep the server from starting: it is there, as
// stopped, with the reason. Only a job file that is not there does, since that is a slip of
// whoever starts it.
//
// A job is reloaded from its file beside the one that runs: whatever can be found wrong with it is
// found before the old one is ended, behind the step that it is in. Until the new one runs, queries
// are answered by what the old one has left. (server_reload)
#ifndef LEAT_APP_SERVER_H
#define LEAT_APP_SERVER_H

#include "runtime/app/hosted_job.h"
#include "runtime/broker/broker.h"

struct server_topic {
    const char *name;
    int32_t n_partitions;                  // 0: the default for a new one, else what it has
    int64_t retention_ms, retention_bytes; // -1: no limit; 0: the broker's default
};

struct server_config {
    const char *data_dir;
    const char *kafka_host;
    int kafka_port;
    const char *http_host;
    int http_port;
    const char *const *http_hosts; // names allowed in Host
    size_t n_http_hosts;
    bool auto_create;
    bool durable;
    int32_t default_partitions;
    int32_t rebalance_delay_ms;
    const struct server_topic *topics; // made at start when they do not exist
    size_t n_topics;
    const char *const *job_files;
    size_t n_jobs;
    struct script_options script; // parameters and limits of all jobs
    bool from_now, drop;          // for jobs that have changed: see struct jobfile_options
    const char *ready_file;       // written when everything listens; NULL: none
};

struct server;

int server_start(struct server **out, const struct server_config *c, struct err *e) LEAT_CHECKED;
void server_stop(struct server *s); // NULL is fine

int server_kafka_port(const struct server *s);
int server_http_port(const struct server *s);
struct broker *server_broker(struct server *s);
// Only for the thread that started the server.
size_t server_jobs(const struct server *s, struct hosted_job ***jobs);

// Loads the i-th job's file again and lets it take the place of the one that runs, on the thread
// that started the server. When it cannot, the old one goes on, the error says why, and the job's
// note does.
int server_reload(struct server *s, size_t i, struct err *e) LEAT_CHECKED;

// Now and then, on the same thread: starts jobs that something has kept from it which may pass (a
// locked file, a full disk). One at a time, since each may wait for a lock.
void server_look(struct server *s);

void server_status(struct server *s, struct buf *json);

#endif
