// SPDX-License-Identifier: Apache-2.0
//
// Reading many rows by key.
//
// With more state than memory each row is a page at another place of the disk, and one read after
// the other leaves a disk waiting that could do dozens at once. So when the first few rows of a
// batch have been slow, threads look up the others as well, each a share of them, in front of the
// reader. They have connections of their own that only read; what they find is of no interest, but
// its pages are in the machine's cache when the reader comes. They are a hint: whatever goes wrong
// in one of them it leaves undone.
//
// The reader waits for them before it returns, so nothing of them is running while the job writes
// or copies pages into the file.
#include "projections/readahead.h"

#include <pthread.h>
#include <stdatomic.h>

#include "projections/state_rows.h"
#include "runtime/base/clock.h"
#include "runtime/base/heap.h"

enum { AHEAD_THREADS = 8, AHEAD_CACHE_BYTES = 1024 * 1024 };

#if LEAT_TESTING
enum { FIRST_ROWS = 1, SLOW_NS = 0 };
#else
enum { FIRST_ROWS = 16, SLOW_NS = 20 * 1000 }; // per row: a page that is in memory takes a tenth
#endif

struct ahead_thread {
    struct readahead *all;
    int id;
    pthread_t thread;
    struct db *db;
    const struct state *of; // what `get` reads
    struct db_stmt *get;
    struct arena scratch;
};

struct readahead {
    const char *path;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int n_threads;
    struct ahead_thread threads[AHEAD_THREADS];
    // under the lock
    int64_t round; // counts batches
    int busy;      // threads that work on this one
    bool stop;
    const struct state *st;
    const struct state_key *keys;
    int n;
    atomic_int at; // the key that the reader is at
};

// --- a thread ---

static int prepare(struct ahead_thread *t, const struct state *st)
{
    struct db_options o = {.mode = DB_READER, .cache_bytes = AHEAD_CACHE_BYTES};
    int rc = 0;

    if (t->db == NULL) {
        rc = db_open(&t->db, t->all->path, &o, NULL);
        if (rc < 0)
            return rc;
        db_set_policy(t->db, NULL);
    }
    if (t->of != st) {
        db_stmt_free(t->get);
        t->of = NULL;
        t->get = NULL;
        rc = state_prepare_ahead(st, t->db, &t->get, NULL);
        t->of = rc == 0 ? st : NULL;
    }
    return rc;
}

static void look_up(struct ahead_thread *t, const struct state *st, const struct state_key *key)
{
    int rc;

    arena_reset(&t->scratch);
    rc = state_bind_key(st, t->get, 1, key, &t->scratch, NULL);
    if (rc == 0)
        (void)!db_next(t->get, NULL);
    db_reset(t->get);
}

static void work(struct ahead_thread *t, const struct state *st, const struct state_key *keys,
                 int n)
{
    if (prepare(t, st) < 0)
        return;
    for (int i = t->id; i < n; i += AHEAD_THREADS)
        if (i > atomic_load_explicit(&t->all->at, memory_order_relaxed))
            look_up(t, st, &keys[i]);
}

static void *thread_main(void *arg)
{
    struct ahead_thread *t = arg;
    struct readahead *a = t->all;
    int64_t seen = 0;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (a->round == seen && !a->stop)
            pthread_cond_wait(&a->wake, &a->lock);
        if (a->stop)
            break;
        seen = a->round;
        pthread_mutex_unlock(&a->lock);
        work(t, a->st, a->keys, a->n);
        pthread_mutex_lock(&a->lock);
        if (--a->busy == 0)
            pthread_cond_signal(&a->done);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

// --- all of them ---

static struct readahead *start_threads(const char *path)
{
    struct readahead *a = heap_zalloc(sizeof *a);

    a->path = path;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, NULL);
    pthread_cond_init(&a->done, NULL);
    for (int i = 0; i < AHEAD_THREADS; i++) {
        struct ahead_thread *t = &a->threads[i];

        *t = (struct ahead_thread){.all = a, .id = i};
        arena_init(&t->scratch);
        if (pthread_create(&t->thread, NULL, thread_main, t) != 0)
            break;
        a->n_threads++;
    }
    return a;
}

void readahead_unload(struct jobfile *jf)
{
    struct readahead *a = jf->ahead;

    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->wake);
    pthread_mutex_unlock(&a->lock);
    for (int i = 0; i < a->n_threads; i++) {
        struct ahead_thread *t = &a->threads[i];

        pthread_join(t->thread, NULL);
        db_stmt_free(t->get);
        db_close(t->db);
        arena_deinit(&t->scratch);
    }
    pthread_cond_destroy(&a->done);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    heap_free(a);
    jf->ahead = NULL;
}

static void begin(struct state *st, const struct state_key *keys, int n)
{
    struct readahead *a = st->jf->ahead;

    if (a == NULL)
        a = st->jf->ahead = start_threads(st->jf->path);
    pthread_mutex_lock(&a->lock);
    a->st = st;
    a->keys = keys;
    a->n = n;
    atomic_store(&a->at, 0);
    a->busy = a->n_threads;
    a->round++;
    pthread_cond_broadcast(&a->wake);
    pthread_mutex_unlock(&a->lock);
}

static void end(struct readahead *a, int n)
{
    atomic_store(&a->at, n); // what is left they need not do
    pthread_mutex_lock(&a->lock);
    while (a->busy > 0)
        pthread_cond_wait(&a->done, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

// --- reading ---

struct many {
    struct state *st;
    const struct state_key *keys;
    int n;
    int (*each)(void *arg, int i, struct bytes blob);
    void *arg;
};

static int read_one(const struct many *m, int i, struct err *e)
{
    struct state *st = m->st;
    int rc;

    arena_reset(&st->jf->scratch);
    rc = state_bind_key(st, st->get, 1, &m->keys[i], &st->jf->scratch, e);
    if (rc == 0)
        rc = db_next(st->get, e);
    if (rc < 0)
        rc = err_wrap(e, jf_error(st->jf, rc, e), "table %s", st->table);
    else
        rc = m->each(m->arg, i, rc == 1 ? db_column_blob(st->get, 0) : BYTES_NULL);
    db_reset(st->get);
    return rc;
}

static int read_rest(const struct many *m, int from, struct err *e)
{
    struct readahead *a;
    int rc = 0;

    begin(m->st, m->keys + from, m->n - from);
    a = m->st->jf->ahead;
    for (int i = from; i < m->n && rc == 0; i++) {
        atomic_store_explicit(&a->at, i - from, memory_order_relaxed);
        rc = read_one(m, i, e);
    }
    end(a, m->n);
    return rc;
}

int state_get_many(struct state *st, const struct state_key *keys, int n,
                   int (*each)(void *arg, int i, struct bytes blob), void *arg, struct err *e)
{
    struct many m = {.st = st, .keys = keys, .n = n, .each = each, .arg = arg};
    int64_t start = clock_mono_ns(clock_system()), first = n < FIRST_ROWS ? n : FIRST_ROWS;
    int i = 0, rc = 0;

    for (; i < first && rc == 0; i++)
        rc = read_one(&m, i, e);
    if (rc == 0 && n - i > AHEAD_THREADS && st->jf->path != NULL &&
        clock_mono_ns(clock_system()) - start >= first * SLOW_NS)
        return read_rest(&m, i, e);
    for (; i < n && rc == 0; i++)
        rc = read_one(&m, i, e);
    return rc;
}
