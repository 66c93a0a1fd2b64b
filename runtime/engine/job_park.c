// SPDX-License-Identifier: Apache-2.0
//
// How records enter a plan, and where they go when they fail. A record is parked where it entered:
//
//   from a topic             at its source: all of it runs again, through every branch
//   born at a closing window  at the operator that made it: "ID/final"
//   a tick                   at its clock
//   a timer                   at the operator that set it: "ID/timer"; the value is its name
//   a row that went by time   at the changes() that tell of it: "ID/expired", with {old, row}
//
// What is born inside the job has no bytes of its own: its value is kept as JSON and its key as
// MessagePack, which keeps the parts of a composite key apart.
#include "runtime/engine/job_parts.h"

#include "runtime/base/failpoint.h"
#include "runtime/engine/class.h"
#include "runtime/record/schema.h"

#define FINAL_SUFFIX "/final"
#define TIMER_SUFFIX "/timer"
#define EXPIRED_SUFFIX "/expired"

// Parks, or says that the job stops here.
static int park(struct job *j, const struct parking_record *rec, int class, const char *message,
                struct err *e)
{
    char where[400];

    if (j->plan->errors.park == PARK_STOP) {
        run_where(&j->run, where, sizeof where);
        return err_set(e, LEAT_ESTOPPED, "%s: %s: %.*s/%d@%lld (park = \"stop\")", where, message,
                       BYTES_FMT(rec->topic), rec->partition, (long long)rec->record->offset);
    }
    return parking_add(&j->parking, rec, class, message, j->now, e);
}

// With park = "stop" a record that can be left unread ends the step in good order: what came before
// it is committed.
static int fail_source(struct job *j, const struct parking_record *rec, int class,
                       const char *message, struct err *e)
{
    int rc = park(j, rec, class, message, e);

    if (rc != LEAT_ESTOPPED)
        return rc;
    j->stop_after = true;
    j->stop_err = *e;
    return 1;
}

static void came_through(struct job *j, enum flight_phase phase, struct flight_id id)
{
    if (suspect_is(&j->suspect, phase, id))
        suspect_passed(&j->suspect);
}

// Put together only for a record that is parked or waits behind one.
static struct parking_record source_record(const struct job *j, const struct input_part *p)
{
    const struct input_source *s = &j->in.sources[p->source];

    return (struct parking_record){.entry = j->plan->nodes[s->node].id,
                                   .key = p->record.key,
                                   .record = &p->record,
                                   .topic = s->topic_name,
                                   .partition = p->partition,
                                   .time = p->time,
                                   .timed = p->timed};
}

static int enter_source(struct job *j, struct input_part *p, struct err *e)
{
    int node = j->in.sources[p->source].node;
    struct flight *flight = j->suspect.flight;
    struct parking_record rec;
    struct err why; // not zeroed: 512 bytes per record
    int rc;

    err_clear(&why);
    j->run.guilty = &j->plan->nodes[node];
    rc = p->class;
    if (rc == 0) {
        flight_set(flight, FLIGHT_RECORD, inputs_flight(&j->in, p));
        flight->alone = j->suspect.alone;
        rc = run_enter(&j->run, node, OUT_MAIN, &p->event, &why);
        flight_phase(flight, FLIGHT_STEP);
    }
    if (rc == 0)
        return 0;
    if (class_of(rc) != 0) {
        rec = source_record(j, p);
        return fail_source(j, &rec, class_of(rc), p->class != 0 ? p->message : why.text, e);
    }
    *e = why;
    return rc;
}

// The record is dealt with; now time has come this far.
static int move_watermark(struct job *j, struct input_part *p, struct err *e)
{
    struct input_source *s = &j->in.sources[p->source];
    int rc;

    if (!p->timed || class_is_timeless(p->class))
        return 0;
    if (!watermark_record(&s->wm, p->partition, p->time))
        return 0;
    j->moved_part = (int)(p - j->in.parts);
    j->moved_offset = p->record.offset;
    rc = run_watermark(&j->run, s->node, s->wm.w, e);
    if (rc == 0 && j->run.careful && j->run.closes)
        rc = run_flush(&j->run, e);
    return rc;
}

int job_catch_up(struct job *j, struct err *e)
{
    int rc = 0;

    do {
        while (rc == 0 && j->run.overdue)
            rc = run_catch_up(&j->run, e);
        if (rc == 0)
            rc = run_expire(&j->run, e);
    } while (rc == 0 && j->run.overdue);
    return rc;
}

static int follow_source(struct job *j, const struct input_part *p, struct err *e)
{
    struct parking_record rec = source_record(j, p);

    return parking_follow(&j->parking, &rec, j->now, e);
}

int job_record(struct job *j, struct input_part *p, struct err *e)
{
    const char *entry = j->plan->nodes[j->in.sources[p->source].node].id;
    int rc;

    j->run.arena = &p->arena;
    if (parking_holds(&j->parking, entry, p->record.key))
        rc = follow_source(j, p, e);
    else
        rc = enter_source(j, p, e);
    if (rc != 0)
        return rc;
    if (j->suspect.phase != FLIGHT_IDLE)
        came_through(j, FLIGHT_RECORD, inputs_flight(&j->in, p));
    if (failpoint("after_lua") != 0)
        return err_set(e, LEAT_ESTOPPED, "failpoint after_lua");
    rc = move_watermark(j, p, e);
    if (rc == 0)
        rc = job_catch_up(j, e);
    if (rc == 0 && j->run.n_samples > SAMPLES_KEPT_MAX)
        rc = run_trim(&j->run, e);
    return rc;
}

// --- born inside ---

struct born {
    struct parking_record rec;
    struct batch_record record;
    struct buf key, key_raw, value;
};

static const char *entry_of(struct job *j, const struct plan_node *n, enum plan_port port)
{
    if (port == OUT_SELF)
        return arena_printf(j->run.arena, "%s%s", n->id,
                            n->kind == NODE_CHANGES ? EXPIRED_SUFFIX : TIMER_SUFFIX);
    return port == OUT_FINAL ? arena_printf(j->run.arena, "%s" FINAL_SUFFIX, n->id) : n->id;
}

static int describe(struct job *j, struct born *b, const struct plan_node *n, enum plan_port port,
                    const struct event *ev, struct err *e)
{
    int rc = 0;

    *b = (struct born){.rec = {.entry = entry_of(j, n, port),
                               .key = BYTES_NULL,
                               .record = &b->record,
                               .topic = ev->topic,
                               .partition = ev->partition,
                               .time = ev->time,
                               .timed = true},
                       .record = {.offset = ev->offset, .timestamp = ev->timestamp}};
    if (!value_is_nil(&ev->key)) {
        rc = value_key_bytes(&ev->key, &b->key, e);
        if (rc == 0)
            rc = value_write_state(&ev->key, &b->key_raw, e);
        b->rec.key = buf_bytes(&b->key);
        b->record.key = buf_bytes(&b->key_raw);
    }
    if (rc == 0)
        rc = value_write_json(&ev->view.root, &b->value, e);
    b->record.value = buf_bytes(&b->value);
    return rc;
}

static void born_deinit(struct born *b)
{
    buf_deinit(&b->key);
    buf_deinit(&b->key_raw);
    buf_deinit(&b->value);
}

// What is born again in another run has the same operator, time and key.
static struct flight_id born_flight(struct job *j, const struct plan_node *n, enum plan_port port,
                                    const struct event *ev)
{
    struct bytes key = ev->key.s;

    if (ev->key.type != VALUE_TEXT && ev->key.type != VALUE_BYTES) {
        buf_clear(&j->born_key);
        if (value_is_nil(&ev->key) || value_key_bytes(&ev->key, &j->born_key, NULL) != 0)
            buf_clear(&j->born_key);
        key = buf_bytes(&j->born_key);
    }
    return (struct flight_id){.entry = bytes_hash(bytes_str(n->id), (uint64_t)port + 1),
                              .offset = (int64_t)bytes_hash(key, (uint64_t)ev->time)};
}

// 1 when it was parked instead of being run: it has ended the process.
static int park_guilty(struct job *j, struct operator* o, enum plan_port port, struct event *ev,
                       struct err *e)
{
    char text[80];
    int rc = err_set(e, LEAT_ECRASH, "%s", suspect_sentence(&j->suspect, text));

    rc = job_born_failed(j, o, port, ev, rc, e);
    return rc == 0 ? 1 : rc;
}

static int follow_born(struct job *j, struct operator* o, enum plan_port port, struct event *ev,
                       struct err *e)
{
    struct born b;
    int rc = describe(j, &b, o->node, port, ev, e);

    if (rc == 0 && parking_holds(&j->parking, b.rec.entry, b.rec.key)) {
        rc = parking_follow(&j->parking, &b.rec, j->now, e);
        rc = rc == 0 ? 1 : rc;
    }
    born_deinit(&b);
    return rc;
}

int job_born_enter(void *arg, struct operator* o, enum plan_port port, struct event *ev,
                   struct err *e)
{
    struct job *j = arg;
    struct flight_id id = born_flight(j, o->node, port, ev);
    int rc = j->parking.held.n > 0 ? follow_born(j, o, port, ev, e) : 0;

    if (rc == 0 && suspect_is_guilty(&j->suspect, FLIGHT_BORN, id))
        rc = park_guilty(j, o, port, ev, e);
    came_through(j, FLIGHT_BORN, id); // by the time that the step commits
    if (rc == 0)
        flight_set(j->suspect.flight, FLIGHT_BORN, id);
    return rc;
}

void job_born_left(void *arg)
{
    flight_phase(((struct job *)arg)->suspect.flight, FLIGHT_STEP);
}

int job_born_failed(void *arg, struct operator* o, enum plan_port port, struct event *ev, int rc,
                    struct err *e)
{
    struct job *j = arg;
    struct err why = e != NULL ? *e : (struct err){0};
    struct born b;
    int rc2 = describe(j, &b, o->node, port, ev, e);

    if (rc2 == 0)
        rc2 = park(j, &b.rec, class_of(rc), why.text, e);
    born_deinit(&b);
    return rc2;
}

static void tick_event(struct job *j, const struct job_tick *t, int64_t at, struct event *ev)
{
    static const struct value_object empty = {0};
    const struct plan_node *n = &j->plan->nodes[t->node];

    *ev = (struct event){.topic = bytes_str(n->id),
                         .offset = at / n->every.interval_ms,
                         .timestamp = at,
                         .time = at};
    view_of(&ev->view, n->out_fields, (struct value){.type = VALUE_OBJECT, .object = &empty},
            &j->arena);
}

static int enter_tick(struct job *j, struct job_tick *t, struct event *ev, struct err *why)
{
    struct flight_id id = born_flight(j, &j->plan->nodes[t->node], OUT_MAIN, ev);
    char text[80];
    int rc;

    came_through(j, FLIGHT_BORN, id);
    if (suspect_is_guilty(&j->suspect, FLIGHT_BORN, id))
        return err_set(why, LEAT_ECRASH, "%s", suspect_sentence(&j->suspect, text));
    flight_set(j->suspect.flight, FLIGHT_BORN, id);
    rc = run_enter(&j->run, t->node, OUT_MAIN, ev, why);
    flight_phase(j->suspect.flight, FLIGHT_STEP);
    return rc;
}

int job_tick(struct job *j, struct job_tick *t, int64_t at, struct err *e)
{
    const struct plan_node *n = &j->plan->nodes[t->node];
    struct err why = {0};
    struct event ev;
    struct born b;
    int rc;

    arena_reset(&j->arena);
    j->run.arena = &j->arena;
    tick_event(j, t, at, &ev);
    rc = enter_tick(j, t, &ev, &why);
    if (rc != 0 && class_of(rc) != 0) {
        int class = class_of(rc);
        rc = describe(j, &b, n, OUT_MAIN, &ev, e);
        if (rc == 0)
            rc = park(j, &b.rec, class, why.text, e);
        born_deinit(&b);
    } else if (rc != 0) {
        *e = why;
    }
    return rc;
}

// --- again ---

static bool is_id_with(struct bytes entry, struct bytes id, struct bytes suffix)
{
    return entry.n == id.n + suffix.n && bytes_starts(entry, id) &&
           bytes_eq(bytes_of(entry.p + id.n, suffix.n), suffix);
}

static int node_by_entry(const struct plan *p, struct bytes entry, enum plan_port *port)
{
    for (int i = 0; i < p->n_nodes; i++) {
        struct bytes id = bytes_str(p->nodes[i].id);

        *port = OUT_MAIN;
        if (bytes_eq(entry, id))
            return i;
        *port = OUT_FINAL;
        if (is_id_with(entry, id, BYTES_LIT(FINAL_SUFFIX)))
            return i;
        *port = OUT_SELF;
        if (p->nodes[i].kind == NODE_PROCESS && is_id_with(entry, id, BYTES_LIT(TIMER_SUFFIX)))
            return i;
        if (p->nodes[i].kind == NODE_CHANGES && is_id_with(entry, id, BYTES_LIT(EXPIRED_SUFFIX)))
            return i;
    }
    return -1;
}

// What a person has put in its place, if so.
static struct bytes value_of(const struct parked_row *row)
{
    return bytes_is_null(row->edited) ? row->value : row->edited;
}

static int source_again(struct job *j, int node, const struct parked_row *row, struct event *ev,
                        struct err *e)
{
    struct batch_record r = {.offset = row->offset,
                             .timestamp = row->timestamp,
                             .key = row->record_key,
                             .value = value_of(row),
                             .headers = row->headers,
                             .n_headers = row->n_headers};
    struct input_raw raw = {
        .record = &r, .partition = row->partition, .now = j->now, .arena = &j->arena};

    for (int i = 0; i < j->in.n_sources; i++)
        if (j->in.sources[i].node == node)
            return input_decode(&j->in.sources[i], &raw, ev, e);
    UNREACHABLE("an entry that is no source");
}

// Parked values are JSON, where decimals are text.
static void born_restore(const struct plan_node *n, struct view *v)
{
    struct value root = v->root;

    schema_restore(n->out.value, &root, v->arena);
    if (root.type != v->root.type)
        view_of(v, n->out_fields, root, v->arena);
}

static int born_again(struct job *j, int node, const struct parked_row *row, struct event *ev,
                      struct err *e)
{
    int rc;

    *ev = (struct event){.topic = row->topic,
                         .partition = row->partition,
                         .offset = row->offset,
                         .timestamp = row->timestamp,
                         .time = row->time};
    rc = view_scan(&ev->view, j->plan->nodes[node].out_fields, FORMAT_JSON, value_of(row),
                   &j->arena, e);
    if (rc == 0 && j->plan->nodes[node].out.value != NULL)
        born_restore(&j->plan->nodes[node], &ev->view);
    if (rc == 0 && !bytes_is_null(row->record_key))
        rc = value_decode(FORMAT_STATE, row->record_key, &j->arena, &ev->key, e);
    if (rc == 0)
        rc = value_force(&ev->key, &j->arena, e);
    return rc;
}

static int run_again(struct job *j, const struct parked_row *row, struct err *e)
{
    enum plan_port port;
    struct event ev;
    int node = node_by_entry(j->plan, row->entry, &port);
    int rc;

    if (node < 0)
        return err_set(e, LEAT_ELUA, "the operator %.*s, where it was parked, is gone",
                       BYTES_FMT(row->entry));
    arena_reset(&j->arena);
    j->run.arena = &j->arena;
    j->run.guilty = &j->plan->nodes[node];
    if (j->plan->nodes[node].kind == NODE_SOURCE)
        rc = source_again(j, node, row, &ev, e);
    else
        rc = born_again(j, node, row, &ev, e);
    return rc != 0 ? rc : run_enter(&j->run, node, port, &ev, e);
}

int job_retry(void *arg, const struct parked_row *row, struct err *e)
{
    struct job *j = arg;
    struct flight_id id = {.offset = row->id};
    char text[80];
    int rc;

    came_through(j, FLIGHT_RETRY, id);
    if (suspect_is_guilty(&j->suspect, FLIGHT_RETRY, id))
        return err_set(e, LEAT_ECRASH, "%s", suspect_sentence(&j->suspect, text));
    flight_set(j->suspect.flight, FLIGHT_RETRY, id);
    rc = run_again(j, row, e);
    flight_phase(j->suspect.flight, FLIGHT_STEP);
    return rc;
}
