// SPDX-License-Identifier: Apache-2.0
//
// The time limit of user code, at a price of a few stores per call.
//
// A count hook that is always armed doubles the cost of a Lua loop, and a clock read per call costs
// as much as a small lambda. So the running thread only counts: `run` is odd while user code runs.
// A thread per Lua state looks at the counter every TICK_MS. When it sees the same odd number again
// and again, it asks the kernel how much CPU time the running thread has spent since it first saw
// that number. Past the limit it sets `expired_run` and sends SIGURG to that thread, and goes on
// sending one per tick until the run has ended.
//
//   worker   enter (run = 7) ........ user code ........ signal: lua_sethook ... error ... leave
//   (8) watcher       sees 7      sees 7, CPU 0.9 s   sees 7, CPU 1.0 s: expired_run = 7, signal
//
// Why a signal: lua_sethook from another thread is a data race (it walks the call list); from a
// handler on the running thread itself it is what Lua's own interpreter does for Ctrl-C. The
// handler touches nothing else. A signal that comes too late, or to a thread that took over the
// number of one that ended, finds no run that matches and does nothing; SIGURG is ignored by
// default, so even a process without the handler would not mind.
//
// CPU time, not wall time: a busy machine must not fail a record that costs little. A run that
// sleeps in SQLite or in I/O is not the job's doing, and is bounded elsewhere.
//
// Under ThreadSanitizer signals are held back until the next intercepted call, which a pure Lua
// loop never makes; such builds keep a coarse hook armed instead.
#include "scripts/host/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <lua.h>

#include "runtime/base/heap.h"

#define TICK_MS 50
#define WATCHER_STACK_BYTES (256 * 1024)

struct watchdog {
    // written by the running thread, read by the watcher
    _Atomic uint64_t run; // odd while user code runs
    _Atomic int tid;
    // written by the watcher, read by the running thread
    _Atomic uint64_t expired_run;
    // the running thread's own
    lua_State *L;
    struct watchdog *outer; // next run outwards on the same thread
    // fixed
    lua_Hook expire;
    int64_t limit_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

static _Thread_local struct watchdog *innermost; // runs of this thread, for the handler
static _Thread_local int own_tid;                // 0 until the first run

static void on_signal(int signo)
{
    (void)signo;
    for (struct watchdog *w = innermost; w != NULL; w = w->outer) {
        if (watchdog_expired(w))
            lua_sethook(w->L, w->expire, LUA_MASKCOUNT, 1);
    }
}

static void install_handler(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigemptyset(&sa.sa_mask);
    ASSERT(sigaction(SIGURG, &sa, NULL) == 0);
}

static void prepare_thread(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t set;

    ASSERT(pthread_once(&once, install_handler) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    ASSERT(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    own_tid = (int)syscall(SYS_gettid);
}

#ifdef __SANITIZE_THREAD__
static void coarse_hook(lua_State *L, lua_Debug *ar)
{
    for (struct watchdog *w = innermost; w != NULL; w = w->outer) {
        if (w->L == L && watchdog_expired(w))
            w->expire(L, ar);
    }
}
#endif

void watchdog_enter(struct watchdog *w, lua_State *L)
{
    if (own_tid == 0)
        prepare_thread();
#ifdef __SANITIZE_THREAD__
    lua_sethook(L, coarse_hook, LUA_MASKCOUNT, 10000);
#endif
    w->L = L;
    w->outer = innermost;
    atomic_signal_fence(memory_order_seq_cst);
    innermost = w;
    atomic_store_explicit(&w->tid, own_tid, memory_order_relaxed);
    atomic_store_explicit(&w->run, atomic_load_explicit(&w->run, memory_order_relaxed) + 1,
                          memory_order_release);
}

void watchdog_leave(struct watchdog *w)
{
    ASSERT(innermost == w);
    atomic_store_explicit(&w->run, atomic_load_explicit(&w->run, memory_order_relaxed) + 1,
                          memory_order_release);
    innermost = w->outer;
    atomic_signal_fence(memory_order_seq_cst);
}

bool watchdog_expired(const struct watchdog *w)
{
    return atomic_load_explicit(&w->expired_run, memory_order_relaxed) ==
           atomic_load_explicit(&w->run, memory_order_relaxed);
}

// CPU time of a thread of this process, by its kernel id; -1 when it is gone. The clock id is
// built as the kernel documents it for dynamic per-thread clocks (a pthread_t may be stale here).
static int64_t thread_cpu_ms(int tid)
{
    clockid_t id = (clockid_t)(((unsigned)~tid << 3) | 6u);
    struct timespec t;

    if (clock_gettime(id, &t) != 0)
        return -1;
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void tick(struct watchdog *w, uint64_t *seen, int64_t *since)
{
    uint64_t run = atomic_load_explicit(&w->run, memory_order_acquire);
    int tid = atomic_load_explicit(&w->tid, memory_order_relaxed);
    int64_t now;

    if (run % 2 == 0) {
        *seen = 0;
        return;
    }
    now = thread_cpu_ms(tid);
    if (run != *seen) {
        *seen = run;
        *since = now;
        return;
    }
    if (now >= 0 && now - *since >= w->limit_ms) {
        atomic_store_explicit(&w->expired_run, run, memory_order_relaxed);
        (void)syscall(SYS_tgkill, getpid(), tid, SIGURG);
    }
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    uint64_t seen = 0;
    int64_t since = 0;
    struct timespec until;

    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
            tick(w, &seen, &since);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

// The watcher takes no signals: they belong to the main loop and to the workers.
static int start_thread(struct watchdog *w)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WATCHER_STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&w->thread, &attr, watch, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

struct watchdog *watchdog_new(void (*expire)(struct lua_State *L, void *ar), int64_t limit_ms,
                              struct err *e)
{
    struct watchdog *w = heap_zalloc(sizeof(*w));
    pthread_condattr_t attr;
    int rc;

    w->expire = (lua_Hook)expire;
    w->limit_ms = limit_ms;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    rc = start_thread(w);
    if (rc != 0) {
        (void)err_errno(e, rc, "cannot start the thread that limits the time of scripts");
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
        heap_free(w);
        return NULL;
    }
    return w;
}

void watchdog_free(struct watchdog *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    heap_free(w);
}
