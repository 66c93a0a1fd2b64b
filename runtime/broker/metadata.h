// SPDX-License-Identifier: Apache-2.0
//
// What the server knows about its topics: meta.db, and an image of it in memory. Both change in one
// place, metadata_apply, by commands; a command is durable when apply returns 0, and only then in
// the image. (The same commands are what replication will feed one day.)
//
//   meta(key, value)                                     format, cluster_id, next_producer_id
//   topics(id, name, n_partitions, internal, deleted)    deleted = a tombstone: files remain to be
//   removed configs(topic_id, name, value)                       what was set, not the defaults
//   partitions(topic_id, partition, leader_epoch, start) only where they are not both 0
//
// Threads: any, under the metadata's own lock. A struct topic lives until its deletion is applied,
// which happens on the broker's loop only: there a topic may be looked at until the next delete;
// elsewhere copy what you need while holding the lock.
#ifndef LEAT_BROKER_METADATA_H
#define LEAT_BROKER_METADATA_H

#include <pthread.h>

#include "runtime/base/hashmap.h"
#include "runtime/base/limits.h"
#include "runtime/base/list.h"
#include "runtime/base/uuid.h"
#include "runtime/broker/topic_config.h"
#include "runtime/db/db.h"

#define METADATA_FORMAT 1
#define PRODUCER_ID_BLOCK 1000

struct slot; // slots.h

struct topic_partition {
    int32_t leader_epoch;
    int64_t start;     // first offset that may be read, as last written down
    struct slot *slot; // NULL until it is opened; the slots' business
};

struct topic_setting {
    struct bytes name, value; // owned
};

struct topic {
    struct link grave; // while it is deleted and its files are still there
    char name[TOPIC_NAME_MAX + 1];
    struct uuid id;
    bool internal;
    int32_t n_partitions;
    struct topic_partition *partitions;
    struct topic_setting *settings; // those that were set
    int n_settings;
    struct topic_config config; // all, defaults filled in
};

enum metadata_kind {
    METADATA_TOPIC_CREATE,    // topic: name, id, n_partitions, internal, settings
    METADATA_TOPIC_DELETE,    // id: leaves a tombstone
    METADATA_TOPIC_GONE,      // id: the tombstone's files are gone
    METADATA_PARTITIONS_ADD,  // id, n_partitions: the new count
    METADATA_PARTITION_START, // id, partition, offset
    METADATA_PRODUCER_IDS,    // the next PRODUCER_ID_BLOCK ids are taken
};

struct metadata_command {
    enum metadata_kind kind;
    struct bytes name;
    struct uuid id;
    int32_t n_partitions;
    bool internal;
    const struct topic_setting *settings; // copied
    int n_settings;
    int32_t partition;
    int64_t offset;
};

struct metadata {
    pthread_mutex_t lock;
    struct db *db;
    struct topic_config defaults;
    char cluster_id[UUID_BASE64_SIZE];
    int64_t next_producer_id; // of the next block
    struct hashmap by_name, by_id;
    struct link graves; // deleted topics with files
};

int metadata_open(struct metadata *m, const char *path, const struct topic_config *defaults,
                  struct err *e) LEAT_CHECKED;
// Also after a failed open.
void metadata_close(struct metadata *m);

// LEAT_EEXISTS, LEAT_ENOTFOUND, LEAT_ELIMIT, or what the database says.
int metadata_apply(struct metadata *m, const struct metadata_command *c,
                   struct err *e) LEAT_CHECKED;
struct topic *metadata_topic(struct metadata *m, struct bytes name);
struct topic *metadata_topic_by_id(struct metadata *m, struct uuid id);
// In name order. The array is the caller's, the topics are not.
struct topic **metadata_topics(struct metadata *m, size_t *n);
// A name that Kafka allows and that is not too like another one ("a.b" and "a_b" share metric
// names).
int metadata_check_name(struct metadata *m, struct bytes name, struct err *e) LEAT_CHECKED;

#endif
