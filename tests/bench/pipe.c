// SPDX-License-Identifier: Apache-2.0
//
// The limit of a job: the same way as leat's, as short as C allows, in one thread.
//
//   segment file -> checksum -> records -> (JSON) -> (Lua) -> tumbling window of a minute
//                -> every 100,000 records one durable SQLite transaction: each dirty key as one
//                   row in key order, and the offset
//
// It reads the log that leat's job reads. What it leaves out: any check but the checksum, late
// records, undo, parking, watermarks, more than one partition, other keys than the benchmark's
// 14 bytes, other operators; a window's state lives in memory only.
//
//   bench_pipe rawkey|native|lua KEYS DIR SEGMENT...       "rate ...", "cpu_ns ..." per record
//
//   rawkey  count per record key, the value not looked at
//   native  drop status=fault; per device count, sum, min, max of temp * 1.8 + 32, all in C
//   lua     the same with the first half as a Lua function over fields read when asked for
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <sqlite3.h>
#include <unistd.h>

#include "runtime/base/bytes.h"
#include "runtime/base/crc32c.h"
#include "runtime/base/endian.h"
#include "runtime/base/heap.h"
#include "tests/bench/bench.h"
#include "tests/bench/pipe_scan.h"

enum { STEP = 100000, WINDOW_MS = 60000, KEY_BYTES = 14, BATCH_HEADER = 61, READ_BYTES = 4 << 20 };
enum mode { RAWKEY, NATIVE, LUA };

struct slot {
    uint64_t hash; // 0: free
    char key[16];
    int64_t window;
    double sum, min, max;
    uint32_t n;
    bool dirty;
};

struct pipe {
    enum mode mode;
    struct slot *slots;
    size_t mask;
    uint32_t *dirty; // indexes of slots
    size_t n_dirty;
    int64_t window; // the open one
    sqlite3 *db;
    sqlite3_stmt *row, *offset;
    lua_State *L;
    struct scan *scan; // of the record: the Lua function's argument
    long n, since;     // records; of this transaction
};

// --- windows ---

static struct slot *slot_of(struct pipe *p, const char *key, size_t n)
{
    uint64_t hash = bytes_hash(bytes_of(key, n), (uint64_t)p->window) | 1;

    for (size_t i = hash & p->mask;; i = (i + 1) & p->mask) {
        struct slot *s = &p->slots[i];

        if (s->hash == 0) {
            *s = (struct slot){.hash = hash, .window = p->window, .min = 1e300, .max = -1e300};
            memcpy(s->key, key, n < KEY_BYTES ? n : KEY_BYTES);
        } else if (s->hash != hash || memcmp(s->key, key, KEY_BYTES) != 0) {
            continue;
        }
        if (!s->dirty)
            p->dirty[p->n_dirty++] = (uint32_t)i;
        s->dirty = true;
        return s;
    }
}

static void add(struct slot *s, double x)
{
    s->n++;
    s->sum += x;
    s->min = x < s->min ? x : s->min;
    s->max = x > s->max ? x : s->max;
}

// --- rows ---

static void must(struct pipe *p, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return;
    fprintf(stderr, "bench_pipe: %s\n", sqlite3_errmsg(p->db));
    exit(1);
}

static void sql(struct pipe *p, const char *text)
{
    must(p, sqlite3_exec(p->db, text, NULL, NULL, NULL));
}

static void open_rows(struct pipe *p, const char *dir)
{
    char path[512];

    snprintf(path, sizeof path, "%s/pipe.db", dir);
    must(p, sqlite3_open(path, &p->db));
    sql(p, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-262144;"
           "PRAGMA wal_autocheckpoint=20000");
    sql(p, "CREATE TABLE readings (window_start INTEGER, device TEXT, n INTEGER, total REAL,"
           "low REAL, high REAL, PRIMARY KEY (window_start, device)) WITHOUT ROWID");
    sql(p, "CREATE TABLE offsets (topic TEXT PRIMARY KEY, next INTEGER)");
    must(p, sqlite3_prepare_v2(p->db,
                               "INSERT INTO readings VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT "
                               "DO UPDATE SET n = excluded.n, total = excluded.total, "
                               "low = excluded.low, high = excluded.high",
                               -1, &p->row, NULL));
    must(p, sqlite3_prepare_v2(p->db,
                               "INSERT INTO offsets VALUES ('t', ?1) ON CONFLICT DO UPDATE SET "
                               "next = excluded.next",
                               -1, &p->offset, NULL));
    sql(p, "BEGIN IMMEDIATE");
}

static void step(struct pipe *p, sqlite3_stmt *s)
{
    must(p, sqlite3_step(s));
    must(p, sqlite3_reset(s));
}

static void write_row(struct pipe *p, const struct slot *s)
{
    must(p, sqlite3_bind_int64(p->row, 1, s->window));
    must(p, sqlite3_bind_text(p->row, 2, s->key, KEY_BYTES, SQLITE_STATIC));
    must(p, sqlite3_bind_int64(p->row, 3, s->n));
    must(p, sqlite3_bind_double(p->row, 4, s->sum));
    must(p, sqlite3_bind_double(p->row, 5, s->min));
    must(p, sqlite3_bind_double(p->row, 6, s->max));
    step(p, p->row);
}

static int by_key(const void *a, const void *b, void *slots)
{
    const struct slot *all = slots;

    return memcmp(all[*(const uint32_t *)a].key, all[*(const uint32_t *)b].key, KEY_BYTES);
}

static void commit(struct pipe *p)
{
    qsort_r(p->dirty, p->n_dirty, sizeof *p->dirty, by_key, p->slots);
    for (size_t i = 0; i < p->n_dirty; i++) {
        write_row(p, &p->slots[p->dirty[i]]);
        p->slots[p->dirty[i]].dirty = false;
    }
    p->n_dirty = 0;
    p->since = 0;
    must(p, sqlite3_bind_int64(p->offset, 1, p->n));
    step(p, p->offset);
    sql(p, "COMMIT");
}

static void next_window(struct pipe *p, int64_t window)
{
    if (p->window != 0) {
        commit(p);
        sql(p, "BEGIN IMMEDIATE");
        memset(p->slots, 0, (p->mask + 1) * sizeof *p->slots);
    }
    p->window = window;
}

// --- Lua ---

static int field_get(lua_State *L)
{
    struct scan **scan = lua_touserdata(L, 1);
    size_t n;
    const char *name = lua_tolstring(L, 2, &n);
    const struct scan_field *f = scan_find(*scan, name, (uint32_t)n);

    if (f == NULL)
        lua_pushnil(L);
    else if (f->text)
        lua_pushlstring(L, f->value, f->value_n);
    else
        lua_pushnumber(L, scan_number(f));
    return 1;
}

// [map, view] stay on the stack.
static void open_lua(struct pipe *p)
{
    lua_State *L = p->L = luaL_newstate();

    luaL_openlibs(L);
    lua_gc(L, LUA_GCGEN, 0, 0);
    if (luaL_dostring(L, "return function(v) if v.status == 'fault' then return nil end "
                         "return v.device, v.temp * 1.8 + 32 end") != LUA_OK)
        bench_die("lua");
    *(struct scan **)lua_newuserdatauv(L, sizeof(struct scan *), 0) = p->scan;
    lua_newtable(L);
    lua_pushcfunction(L, field_get);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static void by_lua(struct pipe *p)
{
    lua_State *L = p->L;
    const char *key;
    size_t n;

    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    if (lua_pcall(L, 1, 2, 0) != LUA_OK)
        bench_die(lua_tostring(L, -1));
    key = lua_tolstring(L, 3, &n);
    if (key != NULL)
        add(slot_of(p, key, n), lua_tonumber(L, 4));
    lua_settop(L, 2);
}

static void by_c(struct pipe *p)
{
    const struct scan_field *status = scan_find(p->scan, "status", 6);
    const struct scan_field *device = scan_find(p->scan, "device", 6);
    const struct scan_field *temp = scan_find(p->scan, "temp", 4);

    if (status->value_n == 5 && memcmp(status->value, "fault", 5) == 0)
        return;
    add(slot_of(p, device->value, device->value_n), scan_number(temp) * 1.8 + 32);
}

// --- records ---

static inline const uint8_t *varint(const uint8_t *p, int64_t *v)
{
    uint64_t z = *p & 127;

    for (int shift = 7; *p++ & 128; shift += 7)
        z |= (uint64_t)(*p & 127) << shift;
    *v = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
    return p;
}

static void record(struct pipe *p, int64_t time, const char *key, const char *value, size_t n)
{
    int64_t window = time / WINDOW_MS * WINDOW_MS;

    p->n++;
    if (window > p->window)
        next_window(p, window);
    if (p->mode == RAWKEY) {
        slot_of(p, key, KEY_BYTES)->n++;
    } else {
        if (!scan_object(p->scan, value, n))
            bench_die("a record that is not the benchmark's");
        if (p->mode == NATIVE)
            by_c(p);
        else
            by_lua(p);
    }
    if (++p->since < STEP)
        return;
    commit(p);
    sql(p, "BEGIN IMMEDIATE");
}

static void batch(struct pipe *p, const uint8_t *b, size_t n)
{
    int64_t base = (int64_t)load_be64(b + 27), size, time, offset, key_n, value_n;
    const uint8_t *at = b + BATCH_HEADER;

    if (crc32c(bytes_of(b + 21, n - 21)) != load_be32(b + 17))
        bench_die("checksum");
    for (uint32_t i = load_be32(b + 57); i > 0; i--) {
        const uint8_t *end, *key;

        at = varint(at, &size);
        end = at + size;
        at = varint(at + 1, &time);
        at = varint(at, &offset);
        key = varint(at, &key_n);
        at = varint(key + key_n, &value_n);
        record(p, base + time, (const char *)key, (const char *)at, (size_t)value_n);
        at = end;
    }
}

static void segment(struct pipe *p, const char *path)
{
    uint8_t *b = heap_alloc(READ_BYTES + 64); // the scanner reads past the end
    int fd = open(path, O_RDONLY);
    size_t have = 0;
    ssize_t got;

    if (fd < 0)
        bench_die(path);
    while ((got = read(fd, b + have, READ_BYTES - have)) > 0) {
        size_t at = 0;

        have += (size_t)got;
        while (have - at > BATCH_HEADER) {
            size_t n = load_be32(b + at + 8) + 12;
            if (have - at < n)
                break;
            batch(p, b + at, n);
            at += n;
        }
        have -= at;
        memmove(b, b + at, have);
    }
    close(fd);
    heap_free(b);
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void open_pipe(struct pipe *p, const char *mode, size_t keys, const char *dir)
{
    size_t room = 65536;

    while (room < keys * 2)
        room *= 2;
    *p = (struct pipe){.mode = strcmp(mode, "rawkey") == 0   ? RAWKEY
                               : strcmp(mode, "native") == 0 ? NATIVE
                                                             : LUA,
                       .mask = room - 1};
    p->slots = heap_zalloc(room * sizeof *p->slots);
    p->dirty = heap_alloc(room * sizeof *p->dirty);
    p->scan = heap_zalloc(sizeof *p->scan);
    open_rows(p, dir);
    if (p->mode == LUA)
        open_lua(p);
}

static void close_pipe(struct pipe *p)
{
    must(p, sqlite3_finalize(p->row));
    must(p, sqlite3_finalize(p->offset));
    must(p, sqlite3_close(p->db));
    if (p->L != NULL)
        lua_close(p->L);
    heap_free(p->slots);
    heap_free(p->dirty);
    heap_free(p->scan);
}

int main(int argc, char **argv)
{
    struct pipe p;
    uint64_t start;
    double cpu;

    if (argc < 5) {
        fprintf(stderr, "usage: bench_pipe rawkey|native|lua KEYS DIR SEGMENT...\n");
        return 2;
    }
    open_pipe(&p, argv[1], strtoul(argv[2], NULL, 10), argv[3]);
    start = bench_now_ns();
    cpu = cpu_ns();
    for (int i = 4; i < argc; i++)
        segment(&p, argv[i]);
    commit(&p);
    printf("rate %.0f\n", (double)p.n * 1e9 / (double)(bench_now_ns() - start));
    printf("cpu_ns %.0f\n", (cpu_ns() - cpu) / (double)p.n);
    close_pipe(&p);
    return 0;
}
