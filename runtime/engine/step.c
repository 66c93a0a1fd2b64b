// SPDX-License-Identifier: Apache-2.0
//
// A step is one transaction: what one batch of records did, together with the offsets behind it.
//
//   starts   when there is a record, a retry, a tick, a window to close, or a first position to
//            note; not while the last commit is younger than the gap, nor while too many outbox
//            rows wait for their destinations
//   ends     at a cap (records, output bytes, time, parked records, memory of operators), when
//            everything is read, or when a partition has more but not here
//   fails    back to before begin, then:
//
//        in              a record's class            passes by itself      anything else
//        records         again, record by record     wait                  stop; again when a
//                                                                          record overran
//        flush           again, record by record     wait                  stop
//        the same again  stop: nobody to blame       wait                  stop
//        commit          stop                        wait                  stop
//
// A record that fails by itself is parked and does not come here. A constraint that breaks when
// many records' aggregates are written at once names no record, nor does a sum that overflows when
// its row is read, which aggregates put off until the flush or a window's end. The same batch run
// again with a flush behind each record does, because a run is a function of its batch.
//
// The cap of time is for latency. Where writing takes longer than that anyway, because the rows are
// more than memory, a step may collect for as long as the last one took to write, up to ten times
// the cap: fewer, larger steps write each page less often.
#include "runtime/engine/step.h"

#include "runtime/engine/class.h"

enum step_verdict step_judge(enum step_phase phase, int rc, bool careful)
{
    if (rc == LEAT_EOVERRUN && phase == STEP_RECORDS)
        return STEP_AGAIN;
    if (class_of(rc) != 0)
        return phase != STEP_COMMIT && !careful ? STEP_AGAIN_CAREFUL : STEP_STOP;
    return class_is_passing(rc) ? STEP_WAIT : STEP_STOP;
}

enum step_start step_wanted(const struct step_wish *w)
{
    if (!w->record && !w->retry && !w->tick && !w->closing && !w->unplaced)
        return STEP_NO;
    if (w->outbox_waiting >= w->outbox_max)
        return STEP_BLOCKED;
    return w->since_commit_ms < w->gap_ms ? STEP_TOO_SOON : STEP_YES;
}

int64_t step_collect_ms(int64_t every_ms, int64_t write_ms)
{
    int64_t longest = every_ms < INT64_MAX / 10 ? every_ms * 10 : INT64_MAX;

    return write_ms < every_ms ? every_ms : write_ms < longest ? write_ms : longest;
}

bool step_full(const struct step_size *s, const struct step_caps *c)
{
    return s->records >= c->records || s->bytes >= c->bytes || s->elapsed_ms >= c->every_ms ||
           s->parked >= c->parked || s->memory;
}

int64_t step_backoff(int64_t last_ms)
{
    return last_ms == 0 ? 1000 : last_ms >= 15000 ? 30000 : last_ms * 2;
}
