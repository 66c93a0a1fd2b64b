// SPDX-License-Identifier: Apache-2.0
//
// A dead letter is the record as it came: key, value, headers and timestamp; why it is here stands
// in headers that Kafka Connect introduced and that most tools know:
//
//   __connect.errors.topic .partition .offset       where the record came from
//   __connect.errors.connector.name .task.id        the job; always 0
//   __connect.errors.stage                          the operator that failed
//   __connect.errors.exception.class.name           the class
//   __connect.errors.exception.message              the sentence, at most 1 KiB, always UTF-8
//   __connect.errors.exception.stacktrace           "jobs/a.lua:19: in match"
//   leat.parked.id                                  its row in _leat_parked
//
// It goes through the outbox, in the transaction that parks the record: once, or not at all.
//
// A record may be as large as a batch, and then its letter is not, for the headers that are added.
// The letter leaves out what does not fit, the value first, then the record's own headers, then its
// key: what is left says where the record is. The row in _leat_parked has all of it.
#include "runtime/engine/dead_letter.h"

#include "runtime/base/limits.h"

enum { LETTER_HEADERS = 10 };

size_t dead_letter_text(const char *in, size_t n, char *out, size_t cap)
{
    size_t at = 0;

    for (size_t i = 0; i < n;) {
        uint8_t c = (uint8_t)in[i];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

        if (len > n - i || !bytes_is_utf8(bytes_of(in + i, len))) {
            if (at + 1 > cap)
                break;
            out[at++] = '?';
            i++;
            continue;
        }
        if (at + len > cap)
            break;
        memcpy(out + at, in + i, len);
        at += len;
        i += len;
    }
    return at;
}

static void add(struct header *h, size_t *n, const char *name, struct bytes value)
{
    h[(*n)++] = (struct header){.name = bytes_str(name), .value = value};
}

static struct bytes number_text(struct arena *a, int64_t v)
{
    return bytes_str(arena_printf(a, "%lld", (long long)v));
}

static size_t why(const struct run *r, const struct parked_row *row, struct arena *a,
                  struct header *h)
{
    size_t n = 0;

    add(h, &n, "__connect.errors.topic", row->topic);
    add(h, &n, "__connect.errors.partition", number_text(a, row->partition));
    add(h, &n, "__connect.errors.offset", number_text(a, row->offset));
    add(h, &n, "__connect.errors.connector.name", bytes_str(r->plan->job));
    add(h, &n, "__connect.errors.task.id", BYTES_LIT("0"));
    add(h, &n, "__connect.errors.stage", r->guilty != NULL ? bytes_str(r->guilty->id) : row->entry);
    add(h, &n, "__connect.errors.exception.class.name", bytes_str(err_name(row->class)));
    add(h, &n, "__connect.errors.exception.message", row->message);
    add(h, &n, "__connect.errors.exception.stacktrace", row->where);
    add(h, &n, "leat.parked.id", number_text(a, row->id));
    ASSERT(n == LETTER_HEADERS);
    return n;
}

static int own_headers(const struct parked_row *row, struct arena *a, struct header **out)
{
    struct batch_record r = {.headers = row->headers, .n_headers = row->n_headers};

    if (row->n_headers == 0)
        return 0;
    return batch_record_headers(&r, a, out, NULL);
}

// `headers`: the record's own, n_own of them, and behind them ours.
static int add_what_fits(struct outputs *o, struct output_new *out, size_t n_own, struct err *e)
{
    int rc = outputs_add(o, out, e);

    if (rc == LEAT_EBUDGET) {
        out->value = BYTES_NULL;
        rc = outputs_add(o, out, e);
    }
    if (rc == LEAT_EBUDGET) {
        out->headers += n_own;
        out->n_headers -= n_own;
        rc = outputs_add(o, out, e);
    }
    if (rc == LEAT_EBUDGET) {
        out->key = BYTES_NULL;
        rc = outputs_add(o, out, e);
    }
    return rc;
}

int dead_letter_add(struct run *r, const struct parked_row *row, struct err *e)
{
    int dest = r->plan->errors.dead != NULL ? outputs_dest(&r->out, r->plan->errors.dead) : -1;
    struct output_new out = {.dest = dest,
                             .key = row->key,
                             .value = row->value,
                             .time = row->timestamp,
                             .topic = row->topic,
                             .partition = row->partition,
                             .offset = row->offset};
    size_t n_own = (size_t)row->n_headers;
    struct header *headers, *own = NULL;
    struct arena a;
    int rc;

    if (dest < 0)
        return 0;
    arena_init(&a);
    if (own_headers(row, &a, &own) != 0)
        n_own = 0;
    headers = arena_alloc(&a, (n_own + LETTER_HEADERS) * sizeof *headers);
    for (size_t i = 0; i < n_own; i++)
        headers[i] = own[i];
    out.headers = headers;
    out.n_headers = n_own + why(r, row, &a, headers + n_own);
    rc = add_what_fits(&r->out, &out, n_own, e);
    arena_deinit(&a);
    return rc;
}
