// SPDX-License-Identifier: Apache-2.0
//
// Whose fault an error is. The classes of the record's own errors come last in err.h's list; a few
// general codes mean "the job's author asked for something impossible" when an operator returns
// them, and count as class lua. Everything else is the machine's: the record waits for it, or a
// person does.
#ifndef LEAT_ENGINE_CLASS_H
#define LEAT_ENGINE_CLASS_H

#include "runtime/base/err.h"

#include <stdbool.h>

// The class of a record's error, or 0 when rc is the machine's.
static inline int class_of(int rc)
{
    if (rc <= LEAT_EDECODE && rc >= LEAT_ECRASH)
        return rc;
    switch (rc) {
    case LEAT_EINVAL:
    case LEAT_ESQL:
    case LEAT_ERANGE:
    case LEAT_EUNSUPPORTED:
        return LEAT_ELUA;
    default:
        return 0;
    }
}

// Neither the key nor the event can be trusted: followers go on.
static inline bool class_is_unreadable(int class)
{
    return class == LEAT_EDECODE || class == LEAT_ESCHEMA || class == LEAT_ENUMBER;
}

// The record has no event time that could be believed: it moves no watermark.
static inline bool class_is_timeless(int class)
{
    return class == LEAT_ETIME || class == LEAT_EAHEAD;
}

// A machine's error that goes away by itself or with more room: the batch is run again later.
static inline bool class_is_passing(int rc)
{
    return rc == LEAT_ENOSPC || rc == LEAT_EBUSY || rc == LEAT_ELOCKED || rc == LEAT_ETIMEDOUT ||
           rc == LEAT_ECONNECT || rc == LEAT_ENOMEM || rc == LEAT_EMFILE;
}

#endif
