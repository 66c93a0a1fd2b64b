// SPDX-License-Identifier: Apache-2.0
//
// The limit of the job: what its rows alone cost. No log, no JSON, no operators: readings of random
// devices are counted in an array per minute of event time, and every 100 000 of them the rows that
// changed go into SQLite in key order, one prepared upsert each, with the offset, in one durable
// transaction.
//
//   bench_rows DIR COUNT KEYS      "rate <readings per second>"
#include <sqlite3.h>

#include "runtime/base/heap.h"
#include "tests/bench/bench.h"

enum { STEP = 100000, WINDOW = 60000 }; // event time moves on by 1 ms per reading

struct rows {
    sqlite3 *db;
    sqlite3_stmt *row, *offset;
    uint32_t *count; // of the open window, per key
    uint8_t *dirty;
    unsigned keys;
    int64_t window;
};

static void must(struct rows *r, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return;
    fprintf(stderr, "bench: %s\n", sqlite3_errmsg(r->db));
    exit(1);
}

static void run(struct rows *r, const char *sql)
{
    must(r, sqlite3_exec(r->db, sql, NULL, NULL, NULL));
}

static void open_file(struct rows *r, const char *dir)
{
    char path[512];

    snprintf(path, sizeof path, "%s/rows.db", dir);
    must(r, sqlite3_open(path, &r->db));
    run(r, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
           "PRAGMA wal_autocheckpoint=16384");
    run(r, "CREATE TABLE readings (window_start INTEGER NOT NULL, window_end INTEGER NOT NULL,"
           "device TEXT NOT NULL, n INTEGER, PRIMARY KEY (window_start, device)) WITHOUT ROWID");
    run(r, "CREATE TABLE offsets (topic TEXT PRIMARY KEY, next INTEGER)");
    must(r, sqlite3_prepare_v2(r->db,
                               "INSERT INTO readings VALUES (?1, ?2, ?3, ?4) ON CONFLICT "
                               "DO UPDATE SET n = excluded.n",
                               -1, &r->row, NULL));
    must(r, sqlite3_prepare_v2(r->db,
                               "INSERT INTO offsets VALUES ('t', ?1) ON CONFLICT "
                               "DO UPDATE SET next = excluded.next",
                               -1, &r->offset, NULL));
}

static void step(struct rows *r, sqlite3_stmt *s)
{
    must(r, sqlite3_step(s));
    must(r, sqlite3_reset(s));
}

static void write_rows(struct rows *r)
{
    char key[32];

    for (unsigned k = 0; k < r->keys; k++) {
        if (!r->dirty[k])
            continue;
        r->dirty[k] = 0;
        snprintf(key, sizeof key, "sensor-%07u", k);
        must(r, sqlite3_bind_int64(r->row, 1, r->window));
        must(r, sqlite3_bind_int64(r->row, 2, r->window + WINDOW));
        must(r, sqlite3_bind_text(r->row, 3, key, -1, SQLITE_STATIC));
        must(r, sqlite3_bind_int64(r->row, 4, r->count[k]));
        step(r, r->row);
    }
}

static void commit(struct rows *r, long next)
{
    write_rows(r);
    must(r, sqlite3_bind_int64(r->offset, 1, next));
    step(r, r->offset);
    run(r, "COMMIT");
}

static void count_all(struct rows *r, long n)
{
    uint64_t seed = 7;

    run(r, "BEGIN IMMEDIATE");
    for (long i = 0; i < n; i++) {
        unsigned key = (unsigned)(bench_random(&seed) % r->keys);

        if (i / WINDOW * WINDOW != r->window) {
            write_rows(r);
            memset(r->count, 0, r->keys * sizeof *r->count);
            r->window = i / WINDOW * WINDOW;
        }
        r->count[key]++;
        r->dirty[key] = 1;
        if ((i + 1) % STEP == 0) {
            commit(r, i + 1);
            run(r, "BEGIN IMMEDIATE");
        }
    }
    commit(r, n);
}

int main(int argc, char **argv)
{
    struct rows r = {0};
    uint64_t start;
    long n;

    if (argc != 4) {
        fprintf(stderr, "usage: bench_rows DIR COUNT KEYS\n");
        return 2;
    }
    n = strtol(argv[2], NULL, 10);
    r.keys = (unsigned)strtol(argv[3], NULL, 10);
    r.count = heap_zalloc(r.keys * sizeof *r.count);
    r.dirty = heap_zalloc(r.keys);
    open_file(&r, argv[1]);
    start = bench_now_ns();
    count_all(&r, n);
    printf("rate %.0f\n", (double)n * 1e9 / (double)(bench_now_ns() - start));
    sqlite3_finalize(r.row);
    sqlite3_finalize(r.offset);
    sqlite3_close(r.db);
    heap_free(r.count);
    heap_free(r.dirty);
    return 0;
}
