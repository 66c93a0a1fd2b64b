// SPDX-License-Identifier: Apache-2.0
//
// A record that was running when the process ended. Essay in suspect.c.
#ifndef LEAT_ENGINE_SUSPECT_H
#define LEAT_ENGINE_SUSPECT_H

#include <pthread.h>

#include "runtime/engine/flight.h"
#include "runtime/engine/store.h"

struct suspect {
    struct flight *flight; // the job's page; never NULL
    struct flight own;     // when there is none to be had
    pthread_mutex_t *gate; // of all jobs of the process; NULL: this is the only one

    enum flight_phase phase; // FLIGHT_IDLE: nobody is suspected
    struct flight_id id;
    bool alone_before; // counted already, before it ran
    bool counted;      // this crash is in the file
    bool ahead;        // the file's count has the next run in it already
    bool alone;        // it runs now, by itself
    bool gated;        // the gate is held
    bool cleared;      // it has run, or been parked: forgotten with the commit
    int64_t crashes;
    int64_t commits; // since the start, without meeting it
};

// `page`: as the last process left it, or NULL.
void suspect_open(struct suspect *s, struct flight *page, pthread_mutex_t *gate, struct store *st);
void suspect_close(struct suspect *s);

// Before anything is read, outside of a step: counts the crash, once. LEAT_ESTOPPED: the machine's
// own part of a step does not come through, again and again.
int suspect_start(struct suspect *s, struct store *st, int64_t now, struct err *e) LEAT_CHECKED;
// Whether records should be flushed one by one, so that the next crash has a name.
bool suspect_wants_care(const struct suspect *s);
// Around a step: takes the gate if somebody is suspected.
void suspect_begin(struct suspect *s);
// Whether this is the suspect.
bool suspect_is(const struct suspect *s, enum flight_phase phase, struct flight_id id);
// It is, and has ended the process so often that it is parked instead of being run.
bool suspect_is_guilty(const struct suspect *s, enum flight_phase phase, struct flight_id id);
// It is, and its turn has come: before the step, it is counted for this run.
int suspect_count(struct suspect *s, struct store *st, int64_t now, struct err *e) LEAT_CHECKED;
// It came through, or was parked.
void suspect_passed(struct suspect *s);
// Inside the step, before its commit.
int suspect_write(struct suspect *s, struct store *st, struct err *e) LEAT_CHECKED;
// The step is over; `drained`: there was nothing more to do.
void suspect_end(struct suspect *s, bool committed, bool drained);

// "the process has ended 3 times while this record ran"
const char *suspect_sentence(const struct suspect *s, char out[80]);

#endif
