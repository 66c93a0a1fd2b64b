// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_info {
    const char *name;
    int kafka;
};

static const struct err_info err_infos[] = {{"ok", 0},
#define X(name, text, kafka) {text, kafka},
                                            LEAT_ERRORS(X)
#undef X
};

static const struct err_info *err_info(int code)
{
    ASSERT(code <= 0 && (size_t)-code < ARRAY_LEN(err_infos));
    return &err_infos[-code];
}

const char *err_name(int code)
{
    return err_info(code)->name;
}

int err_kafka(int code)
{
    return err_info(code)->kafka;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return code;
    e->code = code;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    return code;
}

static int errno_code(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return LEAT_ENOSPC;
    case EMFILE:
    case ENFILE:
        return LEAT_EMFILE;
    case ENOENT:
        return LEAT_ENOTFOUND;
    case ENOMEM:
        return LEAT_ENOMEM;
    case EEXIST:
        return LEAT_EEXISTS;
    default:
        return LEAT_EIO;
    }
}

int err_errno(struct err *e, int errnum, const char *fmt, ...)
{
    int code = errno_code(errnum);
    char what[ERR_TEXT_MAX];
    va_list ap;

    if (e == NULL)
        return code;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_set(e, code, "%.300s: %s", what, strerror(errnum));
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
    char context[ERR_TEXT_MAX], cause[ERR_TEXT_MAX];
    va_list ap;

    if (e == NULL || code == 0)
        return code;
    va_start(ap, fmt);
    vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    snprintf(cause, sizeof cause, "%s", e->code == code && e->text[0] ? e->text : err_name(code));
    e->code = code;
    if (snprintf(e->text, sizeof e->text, "%s: %s", context, cause) < 0)
        e->text[0] = 0;
    return code;
}

void err_clear(struct err *e)
{
    if (e != NULL) {
        e->code = 0;
        e->text[0] = 0;
    }
}
