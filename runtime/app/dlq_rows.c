// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/dlq.h"

#include "projections/jobfile.h"
#include "runtime/app/job_path.h"
#include "runtime/base/clock.h"
#include "runtime/base/hashmap.h"
#include "runtime/base/heap.h"
#include "runtime/base/number.h"
#include "runtime/engine/class.h"
#include "runtime/record/batch.h"
#include "runtime/record/value.h"

enum { TYPES_SHOWN = 5 };

// --- reading ---

static struct bytes event_type(const struct parked_row *row, struct arena *a)
{
    struct batch_record r = {.headers = row->headers, .n_headers = row->n_headers};
    struct header *headers;

    if (row->n_headers == 0 || batch_record_headers(&r, a, &headers, NULL) != 0)
        return BYTES_NULL;
    for (int i = 0; i < row->n_headers; i++)
        if (bytes_eq_str(headers[i].name, "eventType"))
            return headers[i].value;
    return BYTES_NULL;
}

static struct bytes type_of(const struct parked_row *row, struct arena *a)
{
    struct bytes value = bytes_is_null(row->edited) ? row->value : row->edited;
    struct value v, type;

    if (value_decode(FORMAT_JSON, value, a, &v, NULL) == 0 && value_is_object(&v) &&
        value_member(&v, BYTES_LIT("type"), a, &type, NULL) == 0 && type.type == VALUE_TEXT)
        return type.s;
    return event_type(row, a);
}

static int take(void *arg, const struct parked_row *row)
{
    struct dlq *d = arg;
    struct dlq_row *r;
    struct bytes *all[10];

    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 64;
        d->rows = heap_realloc(d->rows, d->cap * sizeof *d->rows);
    }
    r = &d->rows[d->n++];
    *r = (struct dlq_row){.row = *row};
    memcpy(all,
           (struct bytes *[]){&r->row.entry, &r->row.key, &r->row.message, &r->row.where,
                              &r->row.topic, &r->row.record_key, &r->row.value, &r->row.headers,
                              &r->row.edited, &r->row.reason},
           sizeof all);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!bytes_is_null(*all[i]))
            *all[i] = arena_copy(&d->arena, *all[i]);
    r->type = type_of(&r->row, &d->arena);
    return 0;
}

// --- who waits behind whom ---

static bool is_head(const struct parked_row *row)
{
    return row->state != PARKED_SEQUENCE && row->state != PARKED_SKIPPED &&
           !bytes_is_null(row->key) && !class_is_unreadable(row->class);
}

static struct bytes sequence_of(const struct parked_row *row, struct buf *b)
{
    buf_clear(b);
    buf_append_bytes(b, row->entry);
    buf_append_byte(b, 0);
    buf_append_bytes(b, row->key);
    return buf_bytes(b);
}

static void add_type(struct dlq *d, struct dlq_row *head, struct bytes type)
{
    size_t n = 1;

    if (bytes_is_null(type) || (head->types != NULL && strstr(head->types, "...") != NULL))
        return;
    if (head->types == NULL) {
        head->types = arena_printf(&d->arena, "%.*s", BYTES_FMT(type));
        return;
    }
    for (const char *p = head->types; *p; p++)
        n += *p == ',';
    if (memmem(head->types, strlen(head->types), type.p, type.n) == NULL)
        head->types = n == TYPES_SHOWN
                          ? arena_printf(&d->arena, "%s, ...", head->types)
                          : arena_printf(&d->arena, "%s, %.*s", head->types, BYTES_FMT(type));
}

// Rows come by id, so the head of a sequence comes before what waits behind it.
static void count_behind(struct dlq *d)
{
    struct buf b = BUF_EMPTY;
    struct hashmap heads;
    struct dlq_row *head;

    hashmap_init(&heads, 0);
    for (size_t i = 0; i < d->n; i++) {
        struct dlq_row *r = &d->rows[i];
        if (is_head(&r->row))
            (void)hashmap_put(&heads, sequence_of(&r->row, &b), r);
        if (r->row.state != PARKED_SEQUENCE)
            continue;
        head = hashmap_get(&heads, sequence_of(&r->row, &b));
        if (head == NULL)
            continue;
        head->n_behind++;
        add_type(d, head, r->type);
    }
    hashmap_deinit(&heads);
    buf_deinit(&b);
}

// --- choosing ---

static int class_named(const char *name, struct err *e)
{
    struct buf names = BUF_EMPTY;

    for (int class = LEAT_EDECODE; class >= LEAT_ECRASH; class--) {
        if (strcmp(err_name(class), name) == 0) {
            buf_deinit(&names);
            return class;
        }
        buf_printf(&names, "%s%s", names.n ? " " : "", err_name(class));
    }
    err_set(e, LEAT_EUSAGE, "--class: there is no class \"%s\"; there are %s", name,
            buf_cstr(&names));
    buf_deinit(&names);
    return 0;
}

static int choose_id(struct dlq *d, const char *text, struct err *e)
{
    int64_t id;

    if (number_parse_int(bytes_str(text), &id) != 0)
        return err_set(e, LEAT_EUSAGE, "\"%s\" is no id: leat dlq list %s shows them", text,
                       d->job);
    for (size_t i = 0; i < d->n; i++)
        if (d->rows[i].row.id == id) {
            d->rows[i].chosen = true;
            return 0;
        }
    return err_set(e, LEAT_ENOTFOUND, "no parked record of %s has the id %lld", d->job,
                   (long long)id);
}

static int choose_ids(struct dlq *d, size_t *n, struct err *e)
{
    const char *text;
    int rc = 0;

    *n = 0;
    for (size_t i = 2; i < d->ids_end && rc == 0; i++, ++*n)
        rc = choose_id(d, d->args->positional[i], e);
    for (size_t i = 0; rc == 0 && (text = args_nth(d->args, "--id", i)) != NULL; i++, ++*n)
        rc = choose_id(d, text, e);
    return rc;
}

static bool fits(const struct dlq *d, const struct dlq_row *r, int class)
{
    const char *key = args_get(d->args, "--key", NULL);
    bool skipped = args_has(d->args, "--skipped");

    if (key != NULL && (bytes_is_null(r->row.key) || !bytes_eq_str(r->row.key, key)))
        return false;
    if (class != 0 && r->row.class != class)
        return false;
    return skipped ? r->row.state == PARKED_SKIPPED
                   : r->row.state == PARKED_RETRY || r->row.state == PARKED_FINAL;
}

static int choose(struct dlq *d, struct err *e)
{
    const char *class_name = args_get(d->args, "--class", NULL);
    int class = class_name != NULL ? class_named(class_name, e) : 0, rc;
    size_t n_ids;

    if (class_name != NULL && class == 0)
        return LEAT_EUSAGE;
    rc = choose_ids(d, &n_ids, e);
    for (size_t i = 0; i < d->n && rc == 0 && n_ids == 0; i++)
        d->rows[i].chosen = fits(d, &d->rows[i], class);
    return rc;
}

bool dlq_narrowed(const struct dlq *d)
{
    return d->ids_end > 2 || args_has(d->args, "--id") || args_has(d->args, "--key") ||
           args_has(d->args, "--class");
}

int dlq_load(struct dlq *d, struct args *a, size_t ids_end, struct err *e)
{
    int rc;

    *d = (struct dlq){.args = a,
                      .data = args_get(a, "--data", "data"),
                      .job = a->positional[1],
                      .ids_end = ids_end,
                      .now = clock_wall_ms(clock_system())};
    arena_init(&d->arena);
    rc = job_path(d->data, d->job, &d->arena, &d->path, e);
    if (rc == 0)
        rc = jobfile_parked(d->path, take, d, e);
    if (rc != 0)
        return rc;
    count_behind(d);
    return choose(d, e);
}

void dlq_free(struct dlq *d)
{
    heap_free(d->rows);
    arena_deinit(&d->arena);
}
