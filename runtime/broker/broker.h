// SPDX-License-Identifier: Apache-2.0
//
// The embedded broker: partitions on disk, served to Kafka clients, shared with the engine of the
// same process.
//
// Life: broker_open reads the data directory; broker_start listens and runs the network loop on a
// thread of its own; broker_stop answers what is held, closes connections and joins the thread;
// broker_free syncs and closes the partitions. Between open and free the functions below may be
// called from any thread.
#ifndef LEAT_BROKER_BROKER_H
#define LEAT_BROKER_BROKER_H

#include "runtime/base/clock.h"
#include "runtime/base/uuid.h"
#include "runtime/broker/topic_config.h"
#include "runtime/io/fs.h"
#include "runtime/log/flusher.h"
#include "runtime/log/partition.h"

struct broker;
struct slot; // an open partition that somebody holds

struct broker_config {
    struct fs *fs;
    struct clock *clock;
    const char *data_dir;
    const char *host;            // to listen on
    int port;                    // 0: any free one, see broker_port
    const char *advertised_host; // what clients are told; NULL: host, or the loopback address for a
                                 // wildcard
    bool auto_create;            // an unknown topic is made when a client asks for its metadata
    bool durable;                // acks wait for the disk
    int32_t default_partitions;
    int32_t initial_rebalance_delay_ms;
    int32_t session_ms_min, session_ms_max;
    int32_t offsets_partitions; // of __consumer_offsets when it is first made: 1, since one node
                                // serves them all
    struct topic_config topic;  // defaults of topics
};

void broker_config_default(struct broker_config *c);

int broker_open(struct broker **out, const struct broker_config *c, struct err *e) LEAT_CHECKED;
int broker_start(struct broker *b, struct err *e) LEAT_CHECKED;
void broker_stop(struct broker *b); // nothing when it does not run
void broker_free(struct broker *b); // NULL is fine

// The port clients connect to, once started.
int broker_port(const struct broker *b);
const char *broker_cluster_id(const struct broker *b);
// Watch it to hear of new records below the high watermark.
struct flusher *broker_flusher(struct broker *b);

struct broker_topic {
    char name[250];
    struct uuid id;
    int32_t n_partitions;
    bool internal;
    struct topic_config config; // in force
};

// A setting of a topic by its Kafka name: "retention.ms", "604800000".
struct broker_setting {
    const char *name, *value;
};

// LEAT_ENOTFOUND.
int broker_topic_info(struct broker *b, struct bytes name, struct broker_topic *out,
                      struct err *e) LEAT_CHECKED;
// n_partitions -1: the default. LEAT_EEXISTS, LEAT_EINVAL (name), LEAT_ELIMIT.
// LEAT_EINVAL for a setting that is unknown or out of range, too.
int broker_topic_create(struct broker *b, struct bytes name, int32_t n_partitions,
                        const struct broker_setting *settings, int n_settings,
                        struct err *e) LEAT_CHECKED;
// In name order; a negative return of `each` stops and is passed on.
int broker_topics(struct broker *b, int (*each)(void *arg, const struct broker_topic *t),
                  void *arg) LEAT_CHECKED;

// Opens the partition if nobody has (which may block for its recovery) and holds it.
int broker_partition(struct broker *b, struct bytes topic, int32_t partition, struct slot **out,
                     struct err *e) LEAT_CHECKED;
struct partition *broker_slot_partition(struct slot *s);
struct uuid broker_slot_topic(const struct slot *s);
// Whether its topic was deleted: let go.
bool broker_slot_deleted(const struct slot *s);
void broker_slot_release(struct slot *s);

struct broker_stats {
    int64_t connections, requests, produced_bytes, groups, topics, open_partitions;
};
void broker_stats(struct broker *b, struct broker_stats *out);

#endif
