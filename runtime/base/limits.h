// SPDX-License-Identifier: Apache-2.0
//
// Every bound of the program, in one place, each with its policy when full. Test builds shrink some of
// them ("give some bugs a chance"); sizes are bytes unless a name says otherwise.
#ifndef LEAT_BASE_LIMITS_H
#define LEAT_BASE_LIMITS_H

// --- Kafka port ---
#define REQUEST_BYTES_MAX                                                                          \
    (16 * 1024 * 1024 + BATCH_BYTES_MAX_HARD)          // larger frame: connection closed
#define REQUEST_FIRST_BYTES_MAX (512 * 1024)           // before a first valid request: closed
#define REQUEST_BYTES_INFLIGHT_MAX (256 * 1024 * 1024) // all connections: stop reading sockets
#define CONN_MAX 4096                                  // more: refused at accept
#define CONN_OUT_BYTES_MAX (64 * 1024 * 1024)          // unsent replies: stop reading the socket
#define CONN_IDLE_MS_MAX (10 * 60 * 1000)              // silent connection: closed
#define CONN_STALL_MS_MAX (60 * 1000)   // half a request or reply that stands still: closed
#define CONN_REQUESTS_MAX 100           // unanswered requests: stop reading the socket
#define REQUEST_ARENA_BYTES_MAX (64 * 1024 * 1024) // one request decoded: closed
#define RECV_SCRATCH_BYTES (256 * 1024) // one per network loop
#define FETCH_BYTES_MAX (55 * 1024 * 1024) // one fetch response, as Kafka's fetch.max.bytes
#define FETCH_WAIT_MS_MAX 500000
#define TOPICS_MAX 10000
#define TOPICS_AUTO_MAX 1000 // topics that auto-creation may make: then refused
#define PARTITIONS_PER_TOPIC_MAX 10000
#define TOPIC_NAME_MAX 249
#define GROUPS_MAX 10000
#define GROUP_MEMBERS_MAX 1000
#define GROUP_METADATA_MAX 4096 // OffsetCommit metadata: OFFSET_METADATA_TOO_LARGE
#define PRODUCERS_PER_PARTITION_MAX 100000

// --- batches ---
#define BATCH_BYTES_MAX 1048588                 // max.message.bytes default, as Kafka
#define BATCH_BYTES_MAX_HARD (64 * 1024 * 1024) // whatever is configured
#define BATCH_INFLATED_MAX (128 * 1024 * 1024)  // decompressor output cap of one batch
#define RECORD_HEADERS_MAX 1000

// --- partitions on disk ---
#if LEAT_TESTING
#define SEGMENT_BYTES_DEFAULT (1024 * 1024)
#define UNSYNCED_BYTES_MAX (4 * 1024 * 1024)
#define INDEX_INTERVAL_BYTES 512
#define INDEX_SAVE_BYTES 4096
#define RECOVERY_VERIFY_BYTES 2048
#else
#define SEGMENT_BYTES_DEFAULT (512 * 1024 * 1024)
#define UNSYNCED_BYTES_MAX                                                                         \
    (8 * 1024 * 1024) // of one partition: append waits for the flusher; torn-tail bound
#define INDEX_INTERVAL_BYTES 4096
#define INDEX_SAVE_BYTES (64 * 1024 * 1024) // synced between savings: bounds what a crash scans
#define RECOVERY_VERIFY_BYTES (256 * 1024) // below the durable position, at every opening
#endif
#define PRODUCER_BATCHES_KEPT 5 // ProducerStateEntry.NUM_BATCHES_TO_RETAIN
// Producer ids from here up belong to jobs: never expire, refused from the network.
#define PRODUCER_ID_RESERVED (INT64_C(1) << 62)

// --- values and jobs ---
#define VALUE_DEPTH_MAX 64
#define TEXT_BYTES_MAX (16 * 1024 * 1024)
#define EXPR_BYTES_MAX 8192
#define EXPR_DEPTH_MAX 100
#define JOB_SOURCE_BYTES_MAX (256 * 1024)
#define LUA_MEMORY_MAX (64 * 1024 * 1024)
#define LUA_TIME_MS_MAX 1000
#define CALL_RESULT_BYTES_MAX (64 * 1024 * 1024) // of one call, beside LUA_MEMORY_MAX: class budget
#define STATE_BYTES_MAX (1024 * 1024) // one keyed state row: class budget
// What the operators of one job hold of their state in memory, all together.
#if LEAT_TESTING
#define JOB_CACHE_BYTES 1024            // between steps: least recently used goes
#define JOB_STEP_BYTES (4 * 1024 * 1024) // inside of one: the step ends early
#else
#define JOB_CACHE_BYTES (48 * 1024 * 1024)
#define JOB_STEP_BYTES (96 * 1024 * 1024)
#endif
#define STEP_RECORDS_MAX 100000       // one commit takes at most this many records,
#define STEP_OUTPUT_BYTES_MAX (32 * 1024 * 1024)
#define STEP_MS_MAX 100           // or this long
#if LEAT_TESTING
#define EXPIRE_ROWS_MAX 5
#else
#define EXPIRE_ROWS_MAX 500 // rows past their ttl deleted by one commit: the rest and records wait
#endif
#define STEP_GAP_MS_MIN 2         // a drained input does not commit more often than this
#define RECORD_OUTPUTS_MAX 100000 // rows and records one input record may cause: class budget
#define AGG_TOP_MAX 1000 // top(n, ...): refused at load
#define AGG_COLLECT_MAX 10000 // values of one collect, and STATE_BYTES_MAX: class budget
#define PARKED_MAX_DEFAULT 10000
#define OUTBOX_ROWS_MAX 1000000 // waiting rows: the job pauses
// Of an application's outbox: read at once, and deleted or marked in one transaction of theirs.
#if LEAT_TESTING
#define OUTBOX_SLICE_ROWS 20
#else
#define OUTBOX_SLICE_ROWS 500
#endif
#define OUTBOX_LOCKED_MS_MAX 10000 // the application holds its lock longer: said in the status
#define LATE_SAMPLE_ROWS 100
#define COMMIT_LOG_KEEP_MS (24 * 3600 * 1000)
#define WAL_BYTES_MAX (64 * 1024 * 1024)

// --- HTTP ---
#define HTTP_CONN_MAX 256
#define HTTP_WAITS_MAX 192 // connections that wait for a position
#define HTTP_REQUEST_MS_MAX 10000
#define HTTP_BODY_BYTES_MAX (32 * 1024 * 1024) // of a request that changes something: 413
#define QUERY_ROWS_MAX 1000
#define QUERY_MS_MAX 1000
#define QUERY_BYTES_MAX (16 * 1024 * 1024)
#define MIN_POSITION_WAIT_MS 5000

#endif
