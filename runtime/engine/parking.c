// SPDX-License-Identifier: Apache-2.0
//
// Records that failed.
//
//                       class                                 then
//   decode schema number                                      FINAL, the key goes on
//   type time ahead key lua constraint budget history crash   FINAL, the key is held
//   missing             RETRY after 1 s, 10 s, ... of the step's clock, then FINAL; key held
//   (any record whose key is held)                            SEQUENCE behind it
//
// A sequence is (where the record entered, key): what comes later with the same key waits, so that
// a cure cannot overtake what it cures. When the head of a sequence succeeds, its followers run in
// order, each all or nothing; the first that fails is the new head, with its own class, unless that
// class holds no key.
//
// Everything is rows of the step: parked rows, their removal, the dead letter. The set of held keys
// in memory is only a copy of them; an aborted step reads it again.
//
// A dead letter goes out when a record's parking is final, never for those that merely wait.
#include "runtime/engine/parking.h"

#include "runtime/base/limits.h"
#include "runtime/base/random.h"
#include "runtime/engine/class.h"
#include "runtime/engine/dead_letter.h"

#include <stdio.h>

enum { FOLLOWERS_AT_ONCE = 64 };

struct parking_verdict parking_decide(const struct plan_errors *s, int class, bool keyed,
                                      int32_t tries)
{
    struct parking_verdict v = {.state = PARKED_FINAL};

    if (s->park == PARK_STOP) {
        v.stop = true;
        return v;
    }
    v.holds = keyed && s->park == PARK_KEY && !class_is_unreadable(class);
    if (class == LEAT_EMISSING && tries <= s->n_retry) {
        v.state = PARKED_RETRY;
        v.wait_ms = s->retry_ms[tries - 1];
    }
    return v;
}

// A record that waits for a row has its own limit: tried at the times of the job's retries, and a
// last time at the limit.
static void wait_for_row(const struct parking *p, const struct parked_row *row, int class,
                         int64_t now, struct parking_verdict *v)
{
    int64_t left = row->parked_at + p->run->wait_ms - now;

    if (class != LEAT_EMISSING || p->run->wait_ms < 0 || v->stop)
        return;
    if (left > 0 && (v->state != PARKED_RETRY || v->wait_ms > left))
        v->wait_ms = left;
    v->state = left > 0 ? PARKED_RETRY : PARKED_FINAL;
}

void parking_init(struct parking *p, const struct plan *plan, struct store *s, struct run *r)
{
    *p = (struct parking){.plan = plan, .store = s, .run = r, .next_at = INT64_MAX, .dirty = true};
    hashmap_init(&p->held, random_entropy_u64());
}

void parking_deinit(struct parking *p)
{
    hashmap_deinit(&p->held);
    buf_deinit(&p->tmp);
    buf_deinit(&p->scratch);
}

static struct bytes held_key(struct parking *p, struct bytes entry, struct bytes key)
{
    buf_clear(&p->tmp);
    buf_append_bytes(&p->tmp, entry);
    buf_append_byte(&p->tmp, 0);
    buf_append_bytes(&p->tmp, key);
    return buf_bytes(&p->tmp);
}

static void hold(struct parking *p, struct bytes entry, struct bytes key)
{
    (void)hashmap_put(&p->held, held_key(p, entry, key), p);
}

// Whether others wait behind a row that failed with this class.
static bool heads(const struct parking *p, const struct parked_row *row)
{
    return parking_decide(&p->plan->errors, row->class, !bytes_is_null(row->key), 1).holds;
}

static int load_row(void *arg, const struct parked_row *row)
{
    struct parking *p = arg;

    if (!bytes_is_null(row->key) && (row->state == PARKED_SEQUENCE || heads(p, row)))
        hold(p, row->entry, row->key);
    return 0;
}

int parking_load(struct parking *p, struct err *e)
{
    uint64_t seed = p->held.seed;
    int rc;

    hashmap_deinit(&p->held);
    hashmap_init(&p->held, seed);
    p->dirty = true;
    p->count = p->store->ops->park_count(p->store);
    if (p->count == 0)
        return 0;
    rc = p->store->ops->park_keys(p->store, load_row, p, e);
    return rc < 0 ? rc : 0;
}

bool parking_holds(struct parking *p, const char *entry, struct bytes key)
{
    if (p->held.n == 0 || bytes_is_null(key))
        return false;
    return hashmap_get(&p->held, held_key(p, bytes_str(entry), key)) != NULL;
}

// --- parking ---

static void fill_record(struct parked_row *row, const struct parking_record *rec, int64_t now)
{
    *row = (struct parked_row){
        .entry = bytes_str(rec->entry),
        .key = rec->key,
        .parked_at = now,
        .topic = rec->topic,
        .partition = rec->partition,
        .offset = rec->record->offset,
        .timestamp = rec->record->timestamp,
        .time = rec->timed ? rec->time : rec->record->timestamp,
        .record_key = rec->record->key,
        .value = rec->record->value,
        .headers = rec->record->headers,
        .n_headers = rec->record->n_headers,
    };
}

struct blame {
    char message[PARKED_MESSAGE_MAX];
    char where[512];
};

static void blame_row(struct parking *p, struct parked_row *row, struct blame *b, int class,
                      const char *message)
{
    row->class = class;
    row->message = bytes_of(
        b->message, dead_letter_text(message, strlen(message), b->message, sizeof b->message));
    run_where(p->run, b->where, sizeof b->where);
    row->where = bytes_str(b->where);
}

int parking_add(struct parking *p, const struct parking_record *rec, int class, const char *message,
                int64_t now, struct err *e)
{
    struct parking_verdict v = parking_decide(&p->plan->errors, class, !bytes_is_null(rec->key), 1);
    struct parked_row row;
    struct blame b;
    int rc;

    ASSERT(!v.stop);
    fill_record(&row, rec, now);
    wait_for_row(p, &row, class, now, &v);
    blame_row(p, &row, &b, class, message);
    row.state = v.state;
    row.tries = 1;
    row.next_at = v.state == PARKED_RETRY ? now + v.wait_ms : 0;
    rc = p->store->ops->park_add(p->store, &row, e);
    if (rc != 0)
        return rc;
    p->count++;
    p->dirty = true;
    if (v.holds)
        hold(p, row.entry, row.key);
    return v.state == PARKED_FINAL ? dead_letter_add(p->run, &row, e) : 0;
}

int parking_follow(struct parking *p, const struct parking_record *rec, int64_t now, struct err *e)
{
    struct parked_row row;
    int rc;

    fill_record(&row, rec, now);
    row.state = PARKED_SEQUENCE;
    rc = p->store->ops->park_add(p->store, &row, e);
    if (rc == 0)
        p->count++;
    return rc;
}

int parking_next(struct parking *p, int64_t *at, struct err *e)
{
    struct parked_row row;
    struct arena a;
    int rc;

    *at = p->count > 0 ? p->next_at : INT64_MAX;
    if (p->count == 0 || !p->dirty)
        return 0;
    arena_init(&a);
    rc = p->store->ops->park_due(p->store, &a, &row, e);
    if (rc >= 0) {
        p->next_at = rc == 1 ? row.next_at : INT64_MAX;
        p->dirty = false;
        *at = p->next_at;
    }
    arena_deinit(&a);
    return rc < 0 ? rc : 0;
}

// --- retries ---

// A person had it tried again: only what is spent, or is never tried by itself, can have been final
// before.
static bool was_final(const struct parking *p, const struct parked_row *row)
{
    if (p->run->wait_ms >= 0)
        return row->next_at > row->parked_at + p->run->wait_ms;
    return row->state == PARKED_RETRY &&
           (row->class != LEAT_EMISSING || row->tries > p->plan->errors.n_retry);
}

// The tried row failed again: wait on, or give up. It becomes a dead letter once.
static int failed_again(struct parking *p, struct parked_row *row, int class, int64_t now,
                        struct err *why, struct err *e)
{
    bool again = was_final(p, row);
    struct parking_verdict v;
    struct blame b;
    int rc;

    row->tries++;
    v = parking_decide(&p->plan->errors, class, !bytes_is_null(row->key), row->tries);
    if (v.stop)
        return err_set(e, LEAT_ESTOPPED, "%s", why->text);
    wait_for_row(p, row, class, now, &v);
    blame_row(p, row, &b, class, why->text);
    row->state = v.state;
    row->next_at = v.state == PARKED_RETRY ? now + v.wait_ms : 0;
    p->dirty = true;
    rc = p->store->ops->park_update(p->store, row, e);
    if (rc == 0 && v.state == PARKED_FINAL && !again)
        rc = dead_letter_add(p->run, row, e);
    return rc;
}

// 1 those behind it may go on: it is cured, or failed in a way that holds nobody. 0 it failed and
// they wait on. Negative the machine's error.
static int try_row(struct parking *p, struct parked_row *row, const struct parking_again *again,
                   struct err *e)
{
    struct err why = {0};
    int rc = again->rerun(again->arg, row, &why);
    int class = class_of(rc);

    if (rc != 0 && class == 0) {
        if (e != NULL)
            *e = why;
        return rc;
    }
    if (rc != 0) {
        rc = failed_again(p, row, class, again->now, &why, e);
        return rc != 0 ? rc : !bytes_is_null(row->key) && !heads(p, row);
    }
    rc = p->store->ops->park_remove(p->store, row->id, e);
    p->count--;
    p->dirty = true;
    return rc != 0 ? rc : 1;
}

struct followers {
    struct parking *parking;
    struct arena *arena;
    struct parked_row rows[FOLLOWERS_AT_ONCE];
    int n;
    bool held; // by another failed row of the key
};

static void row_copy(struct parked_row *to, const struct parked_row *from, struct arena *a)
{
    struct bytes *all[] = {&to->entry,      &to->key,   &to->message, &to->where,  &to->topic,
                           &to->record_key, &to->value, &to->headers, &to->edited, &to->reason};

    *to = *from;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!bytes_is_null(*all[i]))
            *all[i] = arena_copy(a, *all[i]);
}

static int take_follower(void *arg, const struct parked_row *row)
{
    struct followers *f = arg;

    if (row->state != PARKED_SEQUENCE) { // parked for itself, such as one that could not be read
        f->held = heads(f->parking, row);
        return f->held;
    }
    row_copy(&f->rows[f->n++], row, f->arena);
    return f->n == FOLLOWERS_AT_ONCE;
}

// Runs what waited behind a head that is out of the way. The key is free when nothing is left.
static int release(struct parking *p, struct bytes entry, struct bytes key,
                   const struct parking_again *again, struct err *e)
{
    struct followers f = {.parking = p};
    struct arena a;
    int rc;

    arena_init(&a);
    f.arena = &a;
    do {
        arena_reset(&a);
        f.n = 0;
        rc = p->store->ops->park_scan(p->store, &entry, &key, take_follower, &f, e);
        rc = rc < 0 ? rc : 1;
        for (int i = 0; i < f.n && rc == 1; i++)
            rc = try_row(p, &f.rows[i], again, e);
    } while (rc == 1 && !f.held && f.n == FOLLOWERS_AT_ONCE);
    if (rc == 1 && !f.held)
        (void)hashmap_remove(&p->held, held_key(p, entry, key));
    arena_deinit(&a);
    return rc < 0 ? rc : 0;
}

int parking_retry(struct parking *p, const struct parking_again *again, struct err *e)
{
    struct arena a;
    int rc = 0;

    arena_init(&a);
    for (;;) {
        struct parked_row row;
        int64_t at;

        arena_reset(&a);
        rc = parking_next(p, &at, e);
        if (rc != 0 || at > again->now)
            break;
        rc = p->store->ops->park_due(p->store, &a, &row, e);
        if (rc <= 0)
            break;
        rc = try_row(p, &row, again, e);
        if (rc == 1 && !bytes_is_null(row.key))
            rc = release(p, row.entry, row.key, again, e);
        if (rc < 0)
            break;
    }
    arena_deinit(&a);
    return rc < 0 ? rc : 0;
}
