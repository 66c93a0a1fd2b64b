// SPDX-License-Identifier: Apache-2.0
//
// A torn tail and corruption look alike and are told apart by place. While a partition runs, at
// most `unsynced_max` bytes lie beyond the last sync, and a power cut can spoil only those: later
// pages may have reached the disk before earlier ones, so the damage may start anywhere among them
// and intact batches may follow it. So damage is a torn tail only if it starts
//
//   at or above the durable position of the checkpoint, and
//   within unsynced_max of the end of the file (the unsynced bytes were the last ones),
//
// and then nothing from there on was ever acked. Damage anywhere else hits acked bytes: that is
// never cut.
#include "runtime/log/recovery.h"

enum recovery_verdict recovery_judge(const struct recovery_damage *d)
{
    if (d->pos < d->durable)
        return RECOVERY_READ_ONLY;
    if (d->end - d->pos > d->unsynced_max)
        return RECOVERY_READ_ONLY;
    return RECOVERY_CUT;
}

static bool is_old(const struct retention_rule *rule, const struct retention_segment *s)
{
    return rule->retention_ms >= 0 && s->max_timestamp >= 0 &&
           s->max_timestamp < rule->now_ms - rule->retention_ms;
}

size_t retention_count(const struct retention_rule *rule, const struct retention_segment *segments,
                       size_t n)
{
    int64_t total = 0;
    size_t i;

    for (i = 0; i < n; i++)
        total += segments[i].size;
    for (i = 0; i < n; i++) {
        const struct retention_segment *s = &segments[i];
        bool surplus = rule->retention_bytes >= 0 && i + 1 < n &&
                       total - s->size >= rule->retention_bytes;
        bool below = s->end_offset <= rule->start_offset && i + 1 < n;
        if (s->size == 0 || s->end_offset > rule->hw)
            break;
        if (!below && !surplus && !is_old(rule, s))
            break;
        total -= s->size;
    }
    return i;
}
