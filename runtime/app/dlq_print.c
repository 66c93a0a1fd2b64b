// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/dlq.h"

#include <stdio.h>

#include "runtime/app/terminal.h"
#include "runtime/base/datetime.h"
#include "runtime/record/batch.h"
#include "runtime/record/value.h"

enum { MESSAGE_SHOWN = 100 };

static const char *const states[] = {[PARKED_RETRY] = "retry",
                                     [PARKED_FINAL] = "final",
                                     [PARKED_SEQUENCE] = "sequence",
                                     [PARKED_SKIPPED] = "skipped"};

// --- pieces ---

// "moves/2@9931"; of what was born inside the job, the operator that made it.
static const char *origin(struct dlq *d, const struct parked_row *r)
{
    if (r->offset < 0 || r->topic.n == 0)
        return arena_printf(&d->arena, "%.*s", BYTES_FMT(r->entry));
    return arena_printf(&d->arena, "%.*s/%d@%lld", BYTES_FMT(r->topic), r->partition,
                        (long long)r->offset);
}

static struct bytes shown_key(struct dlq *d, const struct parked_row *r)
{
    struct value key = value_of_key(r->key);
    struct buf b = BUF_EMPTY;
    struct bytes out;

    if (bytes_is_null(r->key))
        return BYTES_LIT("");
    if (key.type == VALUE_TEXT)
        return key.s;
    if (value_write_json(&key, &b, NULL) != 0)
        buf_append_str(&b, "?");
    out = arena_copy(&d->arena, buf_bytes(&b));
    buf_deinit(&b);
    return out;
}

static const char *waits(struct dlq *d, const struct parked_row *r)
{
    int64_t ms = r->next_at - d->now;
    char text[32];

    if (r->state == PARKED_SKIPPED)
        return "skipped";
    if (r->state == PARKED_SEQUENCE)
        return "waits behind another";
    snprintf(text, sizeof text, "%d %s", r->tries, r->tries == 1 ? "try" : "tries");
    if (r->state == PARKED_FINAL)
        return arena_printf(&d->arena, "%s", text);
    if (ms <= 0)
        return arena_printf(&d->arena, "%s, next now", text);
    return ms < 120000 ? arena_printf(&d->arena, "%s, next in %lld s", text,
                                      (long long)(ms + 999) / 1000)
                       : arena_printf(&d->arena, "%s, next in %lld min", text,
                                      (long long)ms / 60000);
}

// --- list ---

static const char *behind(struct dlq *d, const struct dlq_row *r)
{
    if (r->n_behind == 0)
        return "";
    if (r->types == NULL)
        return arena_printf(&d->arena, "%zu behind", r->n_behind);
    return arena_printf(&d->arena, "%zu behind, types: %s", r->n_behind, r->types);
}

static void text_cell(struct table_print *t, const char *text)
{
    table_print_cell(t, bytes_str(text), false);
}

static void list_row(struct dlq *d, struct table_print *t, const struct dlq_row *r)
{
    struct bytes why = r->row.state == PARKED_SKIPPED ? r->row.reason : r->row.message;
    char id[32];

    snprintf(id, sizeof id, "%lld", (long long)r->row.id);
    table_print_cell(t, bytes_str(id), true);
    text_cell(t, origin(d, &r->row));
    table_print_cell(t, shown_key(d, &r->row), false);
    table_print_cell(t, bytes_is_null(r->type) ? BYTES_LIT("") : r->type, false);
    text_cell(t, r->row.class != 0 ? err_name(r->row.class) : "");
    text_cell(t, waits(d, &r->row));
    text_cell(t, behind(d, r));
    why.n = why.n > MESSAGE_SHOWN ? MESSAGE_SHOWN : why.n;
    table_print_cell(t, why, false);
}

void dlq_print_list(struct dlq *d)
{
    static const char *const columns[] = {"id",    "record", "key",    "type",
                                          "class", "state",  "behind", "why"};
    struct table_print *t = table_print_new(columns, ARRAY_LEN(columns));
    size_t n = 0, followers = 0;

    for (size_t i = 0; i < d->n; i++) {
        followers += d->rows[i].row.state == PARKED_SEQUENCE;
        if (!d->rows[i].chosen)
            continue;
        list_row(d, t, &d->rows[i]);
        n++;
    }
    if (n > 0)
        table_print_end(t, stdout);
    else
        table_print_free(t);
    if (n == 0)
        printf("%s: nothing %s\n", d->job,
               args_has(d->args, "--skipped") ? "has been skipped" : "is parked");
    else if (followers > 0)
        printf("\n%zu %s behind these\n", followers, followers == 1 ? "waits" : "wait");
}

// --- show ---

static void print_value(const char *label, struct bytes value)
{
    if (bytes_is_null(value))
        printf(" %s(null)\n", label);
    else if (bytes_is_utf8(value))
        printf(" %s%.*s\n", label, BYTES_FMT(value));
    else
        printf(" %s(%zu bytes that are no text; see --json)\n", label, value.n);
}

static void print_headers(struct dlq *d, const struct parked_row *row)
{
    struct batch_record r = {.headers = row->headers, .n_headers = row->n_headers};
    struct header *h;

    if (row->n_headers == 0 || batch_record_headers(&r, &d->arena, &h, NULL) != 0)
        return;
    for (int i = 0; i < row->n_headers; i++)
        if (bytes_is_utf8(h[i].value))
            printf(" %.*s: %.*s\n", BYTES_FMT(h[i].name), BYTES_FMT(h[i].value));
}

static void print_behind(struct dlq *d, const struct dlq_row *head)
{
    for (size_t i = 0; i < d->n && head->n_behind > 0; i++) {
        const struct dlq_row *r = &d->rows[i];
        if (r->row.state == PARKED_SEQUENCE && bytes_eq(r->row.entry, head->row.entry) &&
            bytes_eq(r->row.key, head->row.key))
            printf("   behind it: %lld  %s  %.*s\n", (long long)r->row.id, origin(d, &r->row),
                   BYTES_FMT(bytes_is_null(r->type) ? BYTES_LIT("") : r->type));
    }
}

void dlq_print_one(struct dlq *d, const struct dlq_row *r)
{
    const struct parked_row *row = &r->row;
    char at[DATETIME_TEXT_SIZE] = "";

    if (row->parked_at >= DATETIME_MIN && row->parked_at <= DATETIME_MAX)
        datetime_format(row->parked_at, at);
    printf("%lld  %s", (long long)row->id, origin(d, row));
    if (!bytes_is_null(row->key))
        printf("  key %.*s", BYTES_FMT(shown_key(d, row)));
    if (!bytes_is_null(r->type))
        printf("  %.*s", BYTES_FMT(r->type));
    printf("  parked %s, %s", at, waits(d, row));
    if (r->n_behind > 0)
        printf("  %s", behind(d, r));
    printf("\n");
    if (row->class != 0)
        printf(" %s: %.*s   at %.*s\n", err_name(row->class), BYTES_FMT(row->message),
               BYTES_FMT(row->where));
    if (row->reason.n > 0)
        printf(" skipped: %.*s\n", BYTES_FMT(row->reason));
    print_headers(d, row);
    print_value("", row->value);
    if (!bytes_is_null(row->edited))
        print_value("amended: ", row->edited);
    print_behind(d, r);
}

// --- JSON ---

static void member(struct buf *out, const char *name)
{
    buf_printf(out, "%s\"%s\":", out->p[out->n - 1] == '{' ? "" : ",", name);
}

static void number(struct buf *out, const char *name, int64_t v)
{
    member(out, name);
    buf_printf(out, "%lld", (long long)v);
}

// Bytes are text where they can be; else base64 under NAME_base64.
static void bytes_member(struct buf *out, const char *name, struct bytes b)
{
    struct value v = {.type = VALUE_BYTES, .s = b};

    if (bytes_is_null(b)) {
        member(out, name);
        buf_append_str(out, "null");
    } else if (bytes_is_utf8(b)) {
        member(out, name);
        json_write_text(b, out);
    } else {
        buf_printf(out, ",\"%s_base64\":", name);
        if (value_write_json(&v, out, NULL) != 0)
            buf_append_str(out, "null");
    }
}

// As it is when it is JSON.
static void value_member_of(struct buf *out, const char *name, struct bytes b, struct arena *a)
{
    struct value v;

    if (bytes_is_null(b) || value_decode(FORMAT_JSON, b, a, &v, NULL) != 0) {
        bytes_member(out, bytes_is_null(b) ? name : arena_printf(a, "%s_text", name), b);
        return;
    }
    member(out, name);
    buf_append_bytes(out, b);
}

static void headers_member(struct dlq *d, const struct parked_row *row, struct buf *out)
{
    struct batch_record r = {.headers = row->headers, .n_headers = row->n_headers};
    struct header *h;

    if (row->n_headers == 0 || batch_record_headers(&r, &d->arena, &h, NULL) != 0)
        return;
    member(out, "headers");
    buf_append_byte(out, '[');
    for (int i = 0; i < row->n_headers; i++) {
        buf_append_str(out, i ? ",{" : "{");
        bytes_member(out, "name", h[i].name);
        bytes_member(out, "value", h[i].value);
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, ']');
}

static void fate_members(const struct parked_row *row, struct buf *out)
{
    member(out, "state");
    buf_printf(out, "\"%s\"", states[row->state]);
    if (row->class != 0) {
        member(out, "class");
        buf_printf(out, "\"%s\"", err_name(row->class));
        bytes_member(out, "message", row->message);
        bytes_member(out, "where", row->where);
    }
    number(out, "tries", row->tries);
    if (row->state == PARKED_RETRY)
        number(out, "next_at", row->next_at);
    number(out, "parked_at", row->parked_at);
    if (row->reason.n > 0)
        bytes_member(out, "reason", row->reason);
}

void dlq_row_json(struct dlq *d, const struct dlq_row *r, struct buf *out)
{
    const struct parked_row *row = &r->row;

    buf_append_byte(out, '{');
    number(out, "id", row->id);
    member(out, "job");
    json_write_text(bytes_str(d->job), out);
    bytes_member(out, "entry", row->entry);
    bytes_member(out, "key", row->key);
    if (!bytes_is_null(r->type))
        bytes_member(out, "type", r->type);
    fate_members(row, out);
    if (r->n_behind > 0)
        number(out, "behind", (int64_t)r->n_behind);
    bytes_member(out, "topic", row->topic);
    number(out, "partition", row->partition);
    number(out, "offset", row->offset);
    number(out, "timestamp", row->timestamp);
    number(out, "time", row->time);
    headers_member(d, row, out);
    value_member_of(out, "value", row->value, &d->arena);
    if (!bytes_is_null(row->edited))
        value_member_of(out, "amended", row->edited, &d->arena);
    buf_append_byte(out, '}');
}
