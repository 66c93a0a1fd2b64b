// SPDX-License-Identifier: Apache-2.0
//
// Errors of the world are values. A function that can fail returns 0 or a negative LEAT_E code, and
// takes `struct err *` last, into which the place that knows most writes one sentence; each layer
// that adds knowledge wraps once: "jobs/a.lua:3: in where: unexpected 'end of expression'". An err
// never allocates and may be NULL everywhere.
#ifndef LEAT_BASE_ERR_H
#define LEAT_BASE_ERR_H

#include "runtime/base/assert.h"

// X(name, text, kafka_code). kafka_code is what a Kafka client is told; -1 is UNKNOWN_SERVER_ERROR.
#define LEAT_ERRORS(X)                                                                             \
    X(ENOMEM, "out of memory", -1)                                                                 \
    X(EINVAL, "invalid argument", 42)                                                              \
    X(EUSAGE, "wrong usage", 42)                                                                   \
    X(ENOTFOUND, "not found", 3)                                                                   \
    X(EEXISTS, "exists already", 36)                                                               \
    X(EIO, "I/O error", 56)                                                                        \
    X(ENOSPC, "no space left on device", 56)                                                       \
    X(EMFILE, "too many open files", 56)                                                           \
    X(ECORRUPT, "corrupt data", 2)                                                                 \
    X(ETORN, "torn data: it ends in the middle", 2)                                                \
    X(ETOOBIG, "too large", 10)                                                                    \
    X(ELIMIT, "limit reached", 44)                                                                 \
    X(EPROTO, "malformed message", 42)                                                             \
    X(EUNSUPPORTED, "not supported", 35)                                                           \
    X(ECANCELED, "canceled", -1)                                                                   \
    X(ETIMEDOUT, "timed out", 7)                                                                   \
    X(EBUSY, "busy", 14)                                                                           \
    X(ELOCKED, "locked by another process", -1)                                                    \
    X(ECONNECT, "cannot connect", -1)                                                              \
    X(ECLOSED, "connection closed", -1)                                                            \
    X(ERANGE, "out of range", 1)                                                                   \
    X(ESEQUENCE, "out of order sequence", 45)                                                      \
    X(EFENCED, "fenced by a newer owner", 47)                                                      \
    X(EFORK, "same sequence with other content", 87)                                               \
    X(ESQL, "SQL error", -1)                                                                       \
    X(ELOAD, "job does not load", -1)                                                              \
    X(ESTOPPED, "stopped", -1)                                                                     \
    X(EOVERRUN, "a statement ran too long and took its transaction with it", -1)                   \
    /* classes of record errors: the record's fault, never the machine's (engine/class.h) */       \
    X(EDECODE, "decode", 87)                                                                       \
    X(ESCHEMA, "schema", 87)                                                                       \
    X(ENUMBER, "number", 87)                                                                       \
    X(ETYPE, "type", 87)                                                                           \
    X(ETIME, "time", 87)                                                                           \
    X(EAHEAD, "ahead", 32)                                                                         \
    X(EKEY, "key", 87)                                                                             \
    X(ELUA, "lua", -1)                                                                             \
    X(ECONSTRAINT, "constraint", -1)                                                               \
    X(EMISSING, "missing", -1)                                                                     \
    X(EBUDGET, "budget", -1)                                                                       \
    X(EHISTORY, "history", -1)                                                                     \
    X(ECRASH, "crash", -1)

enum leat_error {
    LEAT_OK = 0,
#define X(name, text, kafka) LEAT_POSITIVE_##name,
    LEAT_ERRORS(X)
#undef X
};
enum {
#define X(name, text, kafka) LEAT_##name = -(int)LEAT_POSITIVE_##name,
    LEAT_ERRORS(X)
#undef X
};

#define ERR_TEXT_MAX 512

struct err {
    int code;
    char text[ERR_TEXT_MAX]; // "context: context: cause", cut at the end if longer
};

// The short text of a code; "ok" for 0.
const char *err_name(int code);

// The Kafka error code a client is answered with; 0 for 0.
int err_kafka(int code);

// Sets `e` and returns `code`, so that `return err_set(e, LEAT_EINVAL, "...")` reads as one
// thought.
int err_set(struct err *e, int code, const char *fmt, ...) LEAT_PRINTF(3, 4);

// From errno: ENOSPC and EDQUOT give LEAT_ENOSPC, EMFILE and ENFILE LEAT_EMFILE, ENOENT
// LEAT_ENOTFOUND, ENOMEM LEAT_ENOMEM, else LEAT_EIO; the text ends in strerror's.
int err_errno(struct err *e, int errnum, const char *fmt, ...) LEAT_PRINTF(3, 4);

// Puts "context: " before the text; returns the code unchanged. With an empty text, the code's name
// is the cause.
int err_wrap(struct err *e, int code, const char *fmt, ...) LEAT_PRINTF(3, 4);

void err_clear(struct err *e);

#endif
