// SPDX-License-Identifier: Apache-2.0
//
// One step of a job: the shell around step.c's decisions.
//
//   refresh, fill     what can be read, a head for each partition that has something
//   clock             what the wall clock does to watermarks, when there is a step at all
//   begin
//     close           windows that the clock made due, rows that go by time
//     retries, ticks
//     records         merged, until full
//     settle          what waits for the end of the step goes out
//     flush, write    operators' rows; outbox, samples, counters; marks of what was published
//   commit            with the offsets
//
// Any failure between begin and commit goes through fail(): abort, everything in memory back to
// what is committed, then again, later, or never.
#include "runtime/engine/job_parts.h"

#include "runtime/base/heap.h"
#include "runtime/base/limits.h"
#include "runtime/engine/class.h"

static int64_t elapsed_ms(const struct job *j, int64_t since)
{
    return (clock_mono_ns(j->config.clock) - since) / 1000000;
}

// A clock's watermark is where its last commit left it, not where the clock is now: what has become
// due in between is still to close. Files of before have the last tick instead.
static int place_clock(struct job *j, struct job_tick *t, struct err *e)
{
    int64_t w = j->now;
    int rc = run_number_get(&j->run, t->w_name, &w, e);

    if (rc == 0)
        rc = run_number_get(&j->run, t->name, &w, e);
    t->known = false;
    j->run.ops[t->node]->watermark = w;
    return rc < 0 ? rc : 0;
}

// To now, or as far as rows that go by time let it. A clock that was set back stands still.
static int move_clock(struct job *j, const struct job_tick *t, struct err *e)
{
    struct operator *o = j->run.ops[t->node];
    int64_t from = o->watermark;
    int rc = run_watermark(&j->run, t->node, j->now > from ? j->now : from, e);

    if (rc == 0 && (j->run.closes || j->run.expires))
        rc = run_number_put(&j->run, t->w_name, o->watermark, e);
    return rc;
}

int job_abort(struct job *j, struct err *e)
{
    int rc = 0;

    j->store->ops->abort(j->store);
    run_aborted(&j->run);
    inputs_rewind(&j->in);
    for (int i = 0; i < j->in.n_sources; i++)
        j->run.ops[j->in.sources[i].node]->watermark = j->in.sources[i].wm.w;
    for (int i = 0; i < j->n_ticks && rc == 0; i++)
        rc = place_clock(j, &j->ticks[i], e);
    if (rc == 0)
        rc = run_resume(&j->run, e);
    run_place_watermarks(&j->run);
    if (rc == 0)
        rc = run_find_watermarks(&j->run, e);
    if (rc == 0)
        rc = parking_load(&j->parking, e);
    j->ready = rc == 0; // which keys are held must be known before anything runs
    return rc;
}

static int fail(struct job *j, enum step_phase phase, int rc, struct err *e)
{
    bool careful = j->run.careful;
    struct err second = {0};

    if (phase == STEP_FLUSH && class_of(rc) != 0 && careful)
        (void)err_wrap(e, rc, "a change that no single record can be blamed for");
    j->stop_after = false;
    if (job_abort(j, &second) != 0 && (class_of(rc) != 0 || class_is_passing(rc))) {
        *e = second;
        rc = second.code;
    }
    switch (step_judge(phase, rc, careful)) {
    case STEP_AGAIN:
        j->again = true;
        return 0;
    case STEP_AGAIN_CAREFUL:
        j->careful_left = j->step_records + 1; // and what runs before the records
        j->again = true;
        return 0;
    case STEP_WAIT:
        j->backoff_ms = step_backoff(j->backoff_ms);
        j->retry_at = j->ran + j->backoff_ms;
        j->state = JOB_WAITING;
        j->why = *e;
        return 0;
    case STEP_STOP:
        return rc;
    }
    UNREACHABLE("a verdict");
}

// --- reasons ---

static bool closing(struct job *j)
{
    if (!j->run.closes && !j->run.expires)
        return false;
    for (int i = 0; i < j->plan->n_nodes; i++)
        j->w[i] = j->now; // of clocks
    for (int i = 0; i < j->in.n_sources; i++)
        j->w[j->in.sources[i].node] = watermark_at(&j->in.sources[i].wm, j->now);
    return run_would_close(&j->run, j->w, j->scratch);
}

static int64_t tick_at(const struct job *j, const struct job_tick *t)
{
    int64_t every = j->plan->nodes[t->node].every.interval_ms;

    return t->known ? t->last + every : j->now;
}

static int wishes(struct job *j, struct step_wish *w, struct err *e)
{
    int64_t retry;
    int rc = parking_next(&j->parking, &retry, e);

    *w = (struct step_wish){.record = j->in.merge.n > 0,
                            .retry = retry <= j->now,
                            .closing = closing(j),
                            .unplaced = inputs_unplaced(&j->in),
                            .since_commit_ms =
                                j->committed_once ? j->ran - j->last_commit : INT64_MAX,
                            .gap_ms = j->config.gap_ms,
                            .outbox_waiting = j->store->ops->outbox_waiting(j->store),
                            .outbox_max = OUTBOX_ROWS_MAX};
    for (int i = 0; i < j->n_ticks; i++)
        w->tick = w->tick || tick_at(j, &j->ticks[i]) <= j->now;
    return rc;
}

// --- inside the transaction ---

static int close_by_clock(struct job *j, struct err *e)
{
    int rc;

    arena_reset(&j->arena);
    j->run.arena = &j->arena;
    rc = run_catch_up(&j->run, e);
    if (rc == 0)
        rc = run_expire(&j->run, e);
    for (int i = 0; i < j->in.n_sources && rc == 0 && !j->run.held; i++) {
        struct input_source *s = &j->in.sources[i];
        if (s->wm.w > j->run.ops[s->node]->watermark)
            rc = run_watermark(&j->run, s->node, s->wm.w, e);
    }
    if (rc == 0 && j->run.careful && j->run.closes)
        rc = run_flush(&j->run, e); // what closing changed is not the next record's
    return rc;
}

// The first sight of a clock only notes where it stands; missed ticks collapse into the last.
static int ticks(struct job *j, struct err *e)
{
    for (int i = 0; i < j->n_ticks; i++) {
        struct job_tick *t = &j->ticks[i];
        int64_t every = j->plan->nodes[t->node].every.interval_ms;
        int64_t at = j->now - ((j->now % every) + every) % every;
        int rc = 0;

        if (!t->known)
            rc = run_number_get(&j->run, t->name, &t->last, e);
        if (rc < 0)
            return rc;
        if ((t->known || rc == 1) && at > t->last)
            rc = job_tick(j, t, at, e);
        else
            rc = 0;
        if (rc == 0 && (!t->known || at > t->last))
            rc = run_number_put(&j->run, t->name, at, e);
        if (rc == 0)
            rc = move_clock(j, t, e);
        if (rc == 0 && j->run.careful && j->run.closes)
            rc = run_flush(&j->run, e);
        if (rc != 0)
            return rc;
        t->last = at;
        t->known = true;
        if (j->run.held)
            break;
    }
    return 0;
}

// Reading the clock costs much beside a cheap record, so it is read behind 1, 3, 7, 15 ... of them,
// at most CLOCK_EVERY_RECORDS apart, and behind each where they are slow: a step of slow functions
// that goes on for a minute holds up whoever wants to end the job.
static int64_t look_at_clock(struct job *j)
{
    int64_t elapsed = elapsed_ms(j, j->collect_started);

    j->clock_gap *= 2;
    if (elapsed - j->clock_was >= CLOCK_SLOW_MS)
        j->clock_gap = 1;
    else if (j->clock_gap > CLOCK_EVERY_RECORDS)
        j->clock_gap = CLOCK_EVERY_RECORDS;
    j->clock_was = elapsed;
    j->clock_at = j->step_records + j->clock_gap;
    return elapsed;
}

static bool full(struct job *j)
{
    struct step_size s = {.records = j->step_records,
                          .bytes = (int64_t)j->run.out.bytes.n,
                          .parked = j->parking.count};
    struct step_caps c = {.records = j->plan->commit.records,
                          .bytes = j->plan->commit.bytes,
                          .every_ms = step_collect_ms(j->plan->commit.every_ms, j->write_ms),
                          .parked = j->plan->errors.limit};

    if (j->step_records >= j->clock_at)
        s.elapsed_ms = look_at_clock(j);
    if (j->step_records % MEMORY_EVERY_RECORDS == 0 && j->step_records > 0)
        s.memory = run_is_full(&j->run);
    return j->run.overrun.met || step_full(&s, &c);
}

// Before each of the entries that may have to run with a flush behind it: what comes before the
// records is one.
static void be_careful(struct job *j)
{
    j->run.careful = j->constrained || j->careful_left > 0;
    if (j->careful_left > 0)
        j->careful_left--;
}

static bool cut_here(const struct job *j)
{
    const struct job_config *c = &j->config;

    return c->ends_step != NULL && c->ends_step(c->ends_step_arg, j->step_records);
}

static bool suspected(const struct job *j, const struct input_part *p)
{
    return j->suspect.phase != FLIGHT_IDLE && p != NULL &&
           suspect_is(&j->suspect, FLIGHT_RECORD, inputs_flight(&j->in, p));
}

static int records(struct job *j, struct err *e)
{
    struct input_part *p;

    while ((p = inputs_head(&j->in)) != NULL && !full(j) && !j->run.held) {
        bool alone = suspected(j, p);
        int rc;

        if (alone && j->step_records > 0)
            return 0; // the next step is its
        be_careful(j);
        rc = job_record(j, p, e);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        j->step_records++;
        rc = inputs_advance(&j->in, p, j->now, e);
        if (rc <= 0)
            return rc; // more is there but not here: the order of what follows is not known
        if (alone || cut_here(j))
            return 0;
    }
    return 0;
}

static int work(struct job *j, struct err *e)
{
    struct parking_again again = {.rerun = job_retry, .arg = j, .now = j->now};
    int rc;

    be_careful(j);
    rc = close_by_clock(j, e);
    if (rc == 0 && !j->run.held)
        rc = parking_retry(&j->parking, &again, e);
    if (rc == 0)
        rc = job_catch_up(j, e);
    if (rc == 0 && !j->run.held)
        rc = ticks(j, e);
    return rc != 0 ? rc : records(j, e);
}

static int settle(struct job *j, struct err *e)
{
    arena_reset(&j->arena);
    j->run.arena = &j->arena;
    return run_settle(&j->run, e);
}

// Old outbox rows leave before new ones come.
static int write_all(struct job *j, struct err *e)
{
    int rc = run_keep_watermarks(&j->run, e);

    if (rc == 0)
        rc = relay_mark(&j->relay, e);
    if (rc == 0)
        rc = run_write(&j->run, e);
    return rc != 0 ? rc : suspect_write(&j->suspect, j->store, e);
}

static int commit(struct job *j, struct err *e)
{
    struct store_commit c = {.offsets = j->offsets, .now = j->now, .records = j->step_records};
    int64_t id;

    if (j->cap_offsets < j->in.n_parts) {
        j->offsets = heap_realloc(j->offsets, (size_t)j->in.n_parts * sizeof *j->offsets);
        j->cap_offsets = j->in.n_parts;
        c.offsets = j->offsets;
    }
    c.n_offsets = inputs_offsets(&j->in, j->offsets);
    c.micros = (clock_mono_ns(j->config.clock) - j->step_started) / 1000;
    return j->store->ops->commit(j->store, &c, &id, e);
}

static void committed(struct job *j, int64_t commit_ns)
{
    j->records_out += (int64_t)j->run.out.n;
    inputs_committed(&j->in);
    run_committed(&j->run);
    relay_marked(&j->relay);
    relay_committed(&j->relay);
    j->records_in += j->step_records;
    j->micros[j->commits++ % COMMIT_SAMPLES] = commit_ns / 1000;
    j->last_commit = j->ran;
    j->committed_once = true;
    j->backoff_ms = 0;
    j->state = JOB_RUNNING;
}

static int transaction(struct job *j, bool *worked, struct err *e)
{
    int64_t write_started, commit_started;
    int rc = j->store->ops->begin(j->store, j->now, e); // may copy pages into the file

    j->write_ms += elapsed_ms(j, j->step_started);
    j->collect_started = clock_mono_ns(j->config.clock);
    j->clock_at = j->clock_gap = 1;
    j->clock_was = 0;
    if (rc != 0)
        return fail(j, STEP_COMMIT, rc, e);
    j->run.now = j->now;
    run_begin(&j->run);
    rc = work(j, e);
    if (rc != 0)
        return fail(j, STEP_RECORDS, rc, e);
    rc = settle(j, e);
    if (rc != 0)
        return fail(j, STEP_RECORDS, rc, e);
    write_started = clock_mono_ns(j->config.clock);
    rc = run_flush(&j->run, e);
    if (rc != 0)
        return fail(j, STEP_FLUSH, rc, e);
    rc = write_all(j, e);
    commit_started = clock_mono_ns(j->config.clock);
    if (rc == 0)
        rc = commit(j, e);
    if (rc != 0)
        return fail(j, STEP_COMMIT, rc, e);
    committed(j, clock_mono_ns(j->config.clock) - commit_started);
    j->write_ms = elapsed_ms(j, write_started);
    *worked = true;
    return 0;
}

// A step while the page says so; one that a suspect is in, with the gate closed behind it.
static int in_flight(struct job *j, bool *worked, struct err *e)
{
    const struct input_part *p = inputs_head(&j->in);
    int rc = 0;

    suspect_begin(&j->suspect);
    if (suspected(j, p) && p->class != LEAT_ECRASH)
        rc = suspect_count(&j->suspect, j->store, j->now, e);
    if (rc != 0) {
        rc = fail(j, STEP_COMMIT, rc, e);
    } else {
        flight_phase(j->suspect.flight, FLIGHT_STEP);
        rc = transaction(j, worked, e);
        flight_phase(j->suspect.flight, FLIGHT_IDLE);
    }
    suspect_end(&j->suspect, *worked, inputs_head(&j->in) == NULL);
    return rc;
}

static int check_limits(struct job *j, struct err *e)
{
    int64_t retry;
    int rc;

    if (j->stop_after) {
        j->stop_after = false;
        *e = j->stop_err;
        return LEAT_ESTOPPED;
    }
    if (j->parking.count < j->plan->errors.limit)
        return 0;
    rc = parking_next(&j->parking, &retry, e);
    if (rc != 0 || retry <= j->now) // what a person has decided still runs; no record does
        return rc;
    return err_set(e, LEAT_ESTOPPED,
                   "%lld records are parked, the limit: look at them (leat dlq list %s), mend the "
                   "cause and start the job again, or have them tried again (leat dlq retry)",
                   (long long)j->parking.count, j->plan->job);
}

int job_step(struct job *j, bool *worked, int64_t *wait, struct err *e)
{
    struct step_wish w;
    int rc = check_limits(j, e);

    if (rc == 0)
        rc = inputs_refresh(&j->in, e);
    if (rc == 0)
        rc = inputs_fill(&j->in, j->now, e);
    if (rc < 0)
        return rc;
    if (rc == 0) // known data that is not here: the merge could not tell what goes first
        return *wait = 1, 0;
    inputs_look(&j->in, j->now);
    rc = wishes(j, &w, e);
    if (rc != 0)
        return rc;
    switch (step_wanted(&w)) {
    case STEP_NO:
        j->nothing_left = true;
        return 0;
    case STEP_TOO_SOON:
        *wait = w.gap_ms - w.since_commit_ms;
        return 0;
    case STEP_BLOCKED:
        j->state = JOB_WAITING;
        (void)err_set(&j->why, LEAT_EBUSY, "%lld outbox rows wait to be published",
                      (long long)w.outbox_waiting);
        *wait = 100;
        return 0;
    case STEP_YES:
        break;
    }
    j->step_started = clock_mono_ns(j->config.clock);
    j->step_records = 0;
    inputs_clock(&j->in, j->now);
    rc = in_flight(j, worked, e);
    return rc != 0 ? rc : check_limits(j, e);
}
