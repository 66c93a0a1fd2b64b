// SPDX-License-Identifier: Apache-2.0
#include "runtime/http/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/base/err.h"
#include "runtime/record/value.h"

void http_answer_deinit(struct http_answer *a)
{
    buf_deinit(&a->body);
    buf_deinit(&a->position);
}

void http_answer_error(struct http_answer *a, int status, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    a->status = status;
    a->type = "application/json";
    buf_clear(&a->body);
    buf_append_str(&a->body, "{\"error\":");
    json_write_text(bytes_str(text), &a->body);
    buf_append_str(&a->body, "}\n");
}
