// SPDX-License-Identifier: Apache-2.0
//
// The client of every broker figure: one librdkafka producer or consumer, acks=all, batches up to 1
// MB.
//
//   bench_client produce HOST:PORT TOPIC COUNT SIZE       records per second
//   bench_client consume HOST:PORT TOPIC COUNT SIZE
//   bench_client latency HOST:PORT TOPIC COUNT SIZE       one record at a time: p50, p99 in µs
//   bench_client telemetry HOST:PORT TOPIC COUNT KEYS     readings of KEYS devices, for the jobs
//   bench_client nexmark HOST:PORT TOPIC COUNT 0          NEXMark's persons, auctions and bids
//   bench_client spread HOST:PORT TOPIC COUNT KEYS        small events: each key once, then random
//
// Prints one number per line, "name value", which the runner reads.
#include <librdkafka/rdkafka.h>
#include <math.h>
#include <stdbool.h>

#include "runtime/base/heap.h"
#include "tests/bench/bench.h"

static long delivered, failed;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        failed++;
    else
        delivered++;
}

static void set(rd_kafka_conf_t *c, const char *name, const char *value)
{
    char text[256];

    if (rd_kafka_conf_set(c, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "bench: %s\n", text);
        exit(1);
    }
}

static rd_kafka_t *connect_as(rd_kafka_type_t type, const char *brokers, const char *linger_ms)
{
    rd_kafka_conf_t *c = rd_kafka_conf_new();
    char text[256];
    rd_kafka_t *rk;

    set(c, "bootstrap.servers", brokers);
    if (type == RD_KAFKA_PRODUCER) {
        set(c, "linger.ms", linger_ms);
        set(c, "batch.num.messages", "100000");
        set(c, "batch.size", "1000000");
        set(c, "queue.buffering.max.messages", "1000000");
        set(c, "queue.buffering.max.kbytes", "1000000");
        set(c, "acks", "all");
        rd_kafka_conf_set_dr_msg_cb(c, on_delivery);
    } else {
        set(c, "group.id", "bench");
        set(c, "enable.auto.commit", "false");
        set(c, "queued.min.messages", "1000000");
        set(c, "queued.max.messages.kbytes", "400000");
        set(c, "fetch.message.max.bytes", "4000000");
        set(c, "auto.offset.reset", "earliest");
    }
    rk = rd_kafka_new(type, c, text, sizeof text);
    if (rk == NULL) {
        fprintf(stderr, "bench: %s\n", text);
        exit(1);
    }
    return rk;
}

static void await(rd_kafka_t *rk, long n)
{
    uint64_t limit = bench_now_ns() + 120000000000u;

    while (delivered + failed < n && bench_now_ns() < limit)
        rd_kafka_poll(rk, 20);
    if (failed > 0 || delivered < n) {
        fprintf(stderr, "bench: %ld of %ld records were acknowledged, %ld failed\n", delivered, n,
                failed);
        exit(1);
    }
}

// Connects and learns the metadata before the clock starts.
static void warm_up(rd_kafka_t *rk, rd_kafka_topic_t *t, const char *payload, size_t size)
{
    rd_kafka_produce(t, 0, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)payload, size, NULL, 0, NULL);
    await(rk, 1);
    delivered = 0;
}

static void enqueue(rd_kafka_t *rk, rd_kafka_topic_t *t, const char *payload, size_t size)
{
    while (rd_kafka_produce(t, 0, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)payload, size, NULL, 0,
                            NULL) == -1)
        rd_kafka_poll(rk, 5);
}

static void produce(const char *brokers, const char *topic, long n, size_t size)
{
    rd_kafka_t *rk = connect_as(RD_KAFKA_PRODUCER, brokers, "5");
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    char *payload = heap_alloc(size);
    uint64_t seed = 4, start;

    for (size_t i = 0; i < size; i++)
        payload[i] = (char)('a' + bench_random(&seed) % 26);
    warm_up(rk, t, payload, size);
    start = bench_now_ns();
    for (long i = 0; i < n; i++) {
        enqueue(rk, t, payload, size);
        if (i % 256 == 0)
            rd_kafka_poll(rk, 0);
    }
    await(rk, n);
    printf("rate %.0f\n", (double)n * 1e9 / (double)(bench_now_ns() - start));
    heap_free(payload);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

static void consume(const char *brokers, const char *topic, long n)
{
    rd_kafka_t *rk = connect_as(RD_KAFKA_CONSUMER, brokers, NULL);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    static rd_kafka_message_t *messages[10000];
    uint64_t start = 0, limit = bench_now_ns() + 120000000000u;
    long got = 0;

    rd_kafka_consume_start_queue(t, 0, RD_KAFKA_OFFSET_BEGINNING, q);
    while (got < n && bench_now_ns() < limit) {
        ssize_t k = rd_kafka_consume_batch_queue(q, 200, messages, 10000);
        if (k > 0 && start == 0)
            start = bench_now_ns();
        for (ssize_t i = 0; i < k; i++) {
            got += messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    printf("rate %.0f\n", got < n ? 0.0 : (double)got * 1e9 / (double)(bench_now_ns() - start));
    rd_kafka_consume_stop(t, 0);
    rd_kafka_queue_destroy(q);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

static void latency(const char *brokers, const char *topic, long n, size_t size)
{
    rd_kafka_t *rk = connect_as(RD_KAFKA_PRODUCER, brokers, "0");
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    char *payload = heap_zalloc(size);
    double *us = heap_alloc((size_t)n * sizeof *us);

    warm_up(rk, t, payload, size);
    for (long i = -200; i < n; i++) {
        uint64_t start = bench_now_ns();
        delivered = 0;
        enqueue(rk, t, payload, size);
        while (delivered == 0 && failed == 0)
            rd_kafka_poll(rk, 100);
        if (i >= 0)
            us[i] = (double)(bench_now_ns() - start) / 1e3;
    }
    printf("p50_us %.1f\n", bench_quantile(us, (size_t)n, 0.5));
    printf("p99_us %.1f\n", bench_quantile(us, (size_t)n, 0.99));
    heap_free(us);
    heap_free(payload);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

// One reading of about 150 bytes. Returns its length; the device is the record's key.
static int reading_text(char *out, size_t cap, uint64_t *seed, unsigned device, int64_t time)
{
    static const char *const states[] = {"ok", "ok", "ok", "warn", "fault"};
    double temp = 15 + (double)(bench_random(seed) % 2000) / 100;
    double humidity = 30 + (double)(bench_random(seed) % 5000) / 100;
    const char *status = states[bench_random(seed) % 5];
    unsigned seq = (unsigned)(bench_random(seed) % 1000000);

    return snprintf(out, cap,
                    "{\"device\":\"sensor-%07u\",\"site\":\"plant-%02u\",\"ts\":%lld,\"temp\":%.2f,"
                    "\"hum\":%.2f,\"status\":\"%s\",\"seq\":%u,\"fw\":\"2.14.%u\",\"rssi\":-%u}",
                    device, device % 50, (long long)time, temp, humidity, status, seq,
                    (unsigned)(bench_random(seed) % 10), (unsigned)(40 + bench_random(seed) % 50));
}

static void enqueue_reading(rd_kafka_t *rk, const char *topic, uint64_t *seed, unsigned keys,
                            int64_t time)
{
    char text[512], key[32];
    unsigned device = (unsigned)(bench_random(seed) % keys);
    size_t n = (size_t)reading_text(text, sizeof text, seed, device, time);
    size_t key_n = (size_t)snprintf(key, sizeof key, "sensor-%07u", device);

    while (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_n),
                             RD_KAFKA_V_VALUE(text, n), RD_KAFKA_V_TIMESTAMP(time),
                             RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_poll(rk, 5);
}

// The same bytes for every server: 2,000 readings per second of event time, from yesterday's
// midnight on, so that no server's retention takes them.
static void telemetry(const char *brokers, const char *topic, long n, unsigned keys)
{
    rd_kafka_t *rk = connect_as(RD_KAFKA_PRODUCER, brokers, "5");
    int64_t start = ((int64_t)time(NULL) / 86400 - 1) * 86400000;
    uint64_t seed = 77;

    for (long i = 0; i < n; i++) {
        enqueue_reading(rk, topic, &seed, keys, start + i / 2);
        if (i % 256 == 0)
            rd_kafka_poll(rk, 0);
    }
    await(rk, n);
    printf("records %ld\n", n);
    rd_kafka_destroy(rk);
}

// A prime takes the keys out of order: neighbours in time are none in a table.
static void spread(const char *brokers, const char *topic, long n, unsigned keys)
{
    rd_kafka_t *rk = connect_as(RD_KAFKA_PRODUCER, brokers, "5");
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    uint64_t seed = 7;
    char text[128];

    for (long i = 0; i < n; i++) {
        uint64_t next = i < (long)keys ? (uint64_t)i * 6180339887u : bench_random(&seed);
        int size = snprintf(text, sizeof text, "{\"device\":\"sensor-%08u\",\"ts\":%lld,\"v\":%u}",
                            (unsigned)(next % keys), 1767225600000LL + i / 1000,
                            (unsigned)(next >> 40 & 1023));

        enqueue(rk, t, text, (size_t)size);
        if (i % 256 == 0)
            rd_kafka_poll(rk, 0);
    }
    await(rk, n);
    printf("records %ld\n", n);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

// --- NEXMark ---
//
// The published distribution: of 50 events 1 is a person, 3 are auctions, 46 bids; half of the bids
// go to the hot auction (the last whose number is a multiple of 100), the others to one of the 100
// in flight; three of four bids are by the hot bidder, three of four auctions of the hot seller;
// prices are 100 * 10^(0 to 6); about 200, 500 and 100 bytes. 10,000 events per second.

enum { NEXMARK_EPOCH = 50, NEXMARK_IN_FLIGHT = 100, NEXMARK_ACTIVE = 1000, NEXMARK_FIRST = 1000 };

struct nexmark {
    uint64_t seed;
    int64_t i; // events so far
    int64_t time;
};

static int64_t nexmark_person(const struct nexmark *x) // the last one made
{
    return x->i / NEXMARK_EPOCH;
}

static int64_t nexmark_auction(const struct nexmark *x)
{
    int64_t in_epoch = x->i % NEXMARK_EPOCH;

    return x->i / NEXMARK_EPOCH * 3 + (in_epoch > 3 ? 3 : in_epoch) - 1;
}

static int64_t nexmark_below(struct nexmark *x, int64_t n)
{
    return (int64_t)(bench_random(&x->seed) % (uint64_t)n);
}

static int64_t nexmark_recent(struct nexmark *x, int64_t last, int64_t window)
{
    int64_t n = last + 1 < window ? last + 1 : window;

    return last < 0 ? 0 : last - nexmark_below(x, n);
}

static long long nexmark_price(struct nexmark *x)
{
    return llround(pow(10, (double)nexmark_below(x, 1000000) / 1e6 * 6) * 100);
}

static int nexmark_bid(struct nexmark *x, char *out, size_t cap)
{
    int64_t last = nexmark_auction(x), person = nexmark_person(x);
    int64_t auction = nexmark_below(x, 2) > 0 ? last / 100 * 100
                                              : nexmark_recent(x, last, NEXMARK_IN_FLIGHT);
    int64_t bidder = nexmark_below(x, 4) > 0 ? person / 100 * 100 + 1
                                             : nexmark_recent(x, person, NEXMARK_ACTIVE);

    return snprintf(out, cap,
                    "{\"kind\":\"bid\",\"auction\":%lld,\"bidder\":%lld,\"price\":%lld,"
                    "\"channel\":\"channel-%lld\",\"url\":\"https://example.org/%llx\","
                    "\"dateTime\":%lld,\"extra\":\"%016llx\"}",
                    (long long)auction + NEXMARK_FIRST, (long long)bidder + NEXMARK_FIRST,
                    nexmark_price(x), (long long)nexmark_below(x, 10000),
                    (unsigned long long)bench_random(&x->seed) >> 32, (long long)x->time,
                    (unsigned long long)bench_random(&x->seed));
}

static int nexmark_sale(struct nexmark *x, char *out, size_t cap)
{
    int64_t person = nexmark_person(x);
    int64_t seller = nexmark_below(x, 4) > 0 ? person / 100 * 100
                                             : nexmark_recent(x, person, NEXMARK_ACTIVE);
    long long first = nexmark_price(x);

    return snprintf(out, cap,
                    "{\"kind\":\"auction\",\"id\":%lld,\"itemName\":\"item %llx\","
                    "\"description\":\"%0*d\",\"initialBid\":%lld,\"reserve\":%lld,"
                    "\"dateTime\":%lld,\"expires\":%lld,\"seller\":%lld,\"category\":%lld,"
                    "\"extra\":\"%0*d\"}",
                    (long long)nexmark_auction(x) + NEXMARK_FIRST,
                    (unsigned long long)bench_random(&x->seed) >> 40, 100, 0, first,
                    first + nexmark_price(x), (long long)x->time, (long long)x->time + 60000,
                    (long long)seller + NEXMARK_FIRST, (long long)nexmark_below(x, 5) + 10, 200, 0);
}

static int nexmark_user(struct nexmark *x, char *out, size_t cap)
{
    static const char *const cities[] = {"Phoenix", "Los Angeles", "San Francisco", "Boise",
                                         "Portland", "Bend", "Redmond", "Seattle", "Kent",
                                         "Cheyenne"};
    long long id = (long long)nexmark_person(x) + NEXMARK_FIRST;

    return snprintf(out, cap,
                    "{\"kind\":\"person\",\"id\":%lld,\"name\":\"user %lld\","
                    "\"emailAddress\":\"%lld@example.org\",\"creditCard\":\"%016llu\","
                    "\"city\":\"%s\",\"state\":\"WA\",\"dateTime\":%lld,"
                    "\"extra\":\"%0*d\"}",
                    id, id, id, (unsigned long long)bench_random(&x->seed) % 10000000000000000u,
                    cities[nexmark_below(x, 10)], (long long)x->time, 40, 0);
}

static void nexmark(const char *brokers, const char *topic, long n)
{
    rd_kafka_t *rk = connect_as(RD_KAFKA_PRODUCER, brokers, "5");
    int64_t start = ((int64_t)time(NULL) / 86400 - 1) * 86400000;
    struct nexmark x = {.seed = 11};
    char text[1024];

    for (x.i = 0; x.i < n; x.i++) {
        int64_t in_epoch = x.i % NEXMARK_EPOCH;
        size_t size;

        x.time = start + x.i / 10;
        size = (size_t)(in_epoch == 0  ? nexmark_user(&x, text, sizeof text)
                        : in_epoch < 4 ? nexmark_sale(&x, text, sizeof text)
                                       : nexmark_bid(&x, text, sizeof text));
        while (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_VALUE(text, size), RD_KAFKA_V_TIMESTAMP(x.time),
                                 RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_poll(rk, 5);
        if (x.i % 256 == 0)
            rd_kafka_poll(rk, 0);
    }
    await(rk, n);
    printf("records %ld\n", n);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr,
                "usage: bench_client produce|consume|latency|telemetry|nexmark|spread HOST:PORT "
                "TOPIC COUNT SIZE|KEYS\n");
        return 2;
    }
    long n = strtol(argv[4], NULL, 10);
    size_t size = (size_t)strtol(argv[5], NULL, 10);
    if (strcmp(argv[1], "produce") == 0)
        produce(argv[2], argv[3], n, size);
    else if (strcmp(argv[1], "consume") == 0)
        consume(argv[2], argv[3], n);
    else if (strcmp(argv[1], "latency") == 0)
        latency(argv[2], argv[3], n, size);
    else if (strcmp(argv[1], "nexmark") == 0)
        nexmark(argv[2], argv[3], n);
    else if (strcmp(argv[1], "spread") == 0)
        spread(argv[2], argv[3], n, (unsigned)size);
    else
        telemetry(argv[2], argv[3], n, (unsigned)size);
    return 0;
}
