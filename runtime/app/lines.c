// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/lines.h"

#include "runtime/base/limits.h"
#include "runtime/base/number.h"
#include "runtime/record/value.h"

enum { CSV_COLUMNS_MAX = 1000 };

void lines_init(struct lines *l)
{
    *l = (struct lines){0};
    arena_init(&l->arena);
    l->cells = arena_alloc(&l->arena, CSV_COLUMNS_MAX * sizeof *l->cells);
}

void lines_deinit(struct lines *l)
{
    arena_deinit(&l->arena);
}

void lines_cell_json(struct bytes cell, bool text, struct buf *out)
{
    double d;

    if (!text && number_parse_float(cell, &d) == 0)
        buf_append_bytes(out, cell);
    else
        json_write_text(cell, out);
}

static struct bytes without_return(struct bytes line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

// The first line of `in` without its end. 1, or 0 when there is none yet.
static int take_line(struct bytes in, bool end, struct bytes *line, size_t *used)
{
    const uint8_t *nl = in.n > 0 ? memchr(in.p, '\n', in.n) : NULL;

    if (nl == NULL && (!end || in.n == 0))
        return 0;
    line->p = in.p;
    line->n = nl != NULL ? (size_t)(nl - in.p) : in.n;
    *used = line->n + (nl != NULL);
    *line = without_return(*line);
    return 1;
}

static void append_sets(const struct lines *l, struct buf *out, bool first)
{
    for (size_t i = 0; i < l->n_sets; i++) {
        if (!first)
            buf_append_byte(out, ',');
        first = false;
        json_write_text(l->sets[i].name, out);
        buf_append_byte(out, ':');
        buf_append_bytes(out, l->sets[i].json);
    }
}

// --- NDJSON ---

static int find_key(const struct lines *l, struct bytes json, struct arena *a, struct bytes *key,
                    struct err *e)
{
    struct buf out = BUF_EMPTY;
    struct value doc, member;
    int rc;

    *key = BYTES_NULL;
    if (l->key == NULL)
        return 0;
    rc = value_decode(FORMAT_JSON, json, a, &doc, e);
    if (rc == 0)
        rc = value_member(&doc, bytes_str(l->key), a, &member, e);
    if (rc == 0 && value_is_nil(&member))
        rc = err_set(e, LEAT_EDECODE, "there is no field %s to take the key from", l->key);
    if (rc == 0)
        rc = value_key_bytes(&member, &out, e);
    if (rc == 0)
        *key = arena_copy(a, buf_bytes(&out));
    buf_deinit(&out);
    return rc;
}

static struct bytes spliced(const struct lines *l, struct bytes line, struct arena *a)
{
    struct buf out = BUF_EMPTY;
    struct bytes result;
    size_t last = line.n;

    if (l->n_sets == 0)
        return arena_copy(a, line);
    while (line.p[last - 1] != '}')
        last--;
    size_t before = last - 1;
    while (line.p[before - 1] <= ' ')
        before--;
    buf_append(&out, line.p, last - 1);
    append_sets(l, &out, line.p[before - 1] == '{'); // an empty object: no comma before the first
    buf_append_byte(&out, '}');
    result = arena_copy(a, buf_bytes(&out));
    buf_deinit(&out);
    return result;
}

static int json_record(const struct lines *l, struct bytes line, struct arena *a,
                       struct lines_record *out, struct err *e)
{
    struct value doc;
    int rc = value_decode(FORMAT_JSON, line, a, &doc, e);

    if (rc == 0 && l->n_sets > 0 && !value_is_object(&doc))
        rc = err_set(e, LEAT_EDECODE, "--set needs an object on every line");
    if (rc != 0)
        return rc;
    out->value = spliced(l, line, a);
    return find_key(l, out->value, a, &out->key, e);
}

// --- CSV (RFC 4180) ---

struct csv_row {
    struct bytes *cells;
    size_t n;
};

// One cell from the front of `in`: its text in the arena, and the byte behind it in *after (',' or
// '\n' or 0 at the end). 1, 0 when the input stops inside it.
static int csv_cell(struct bytes in, bool end, struct arena *a, struct bytes *cell, size_t *used,
                    struct err *e)
{
    struct buf text = BUF_EMPTY;
    size_t i = 0;
    int rc = 1;

    if (in.n == 0 || in.p[0] != '"') {
        while (i < in.n && in.p[i] != ',' && in.p[i] != '\n')
            i++;
        if (i == in.n && !end)
            return 0;
        *cell = arena_copy(a, without_return(bytes_of(in.p, i)));
        *used = i;
        return 1;
    }
    for (i = 1;; i++) {
        if (i >= in.n) {
            rc = end ? err_set(e, LEAT_EDECODE, "a quote is not closed") : 0;
            break;
        }
        if (in.p[i] != '"') {
            buf_append_byte(&text, in.p[i]);
        } else if (i + 1 < in.n && in.p[i + 1] == '"') {
            buf_append_byte(&text, in.p[i++]);
        } else if (i + 1 == in.n && !end) {
            rc = 0;
            break;
        } else {
            i++;
            break;
        }
    }
    *cell = arena_copy(a, buf_bytes(&text));
    buf_deinit(&text);
    *used = i + (i < in.n && in.p[i] == '\r');
    if (rc == 1 && *used < in.n && in.p[*used] != ',' && in.p[*used] != '\n')
        return err_set(e, LEAT_EDECODE, "text follows a closing quote");
    return rc;
}

static int csv_row(struct bytes in, bool end, struct arena *a, struct csv_row *row, size_t *used,
                   struct err *e)
{
    size_t pos = 0, n;

    row->n = 0;
    for (;;) {
        if (row->n == CSV_COLUMNS_MAX)
            return err_set(e, LEAT_EDECODE, "more than %d cells", CSV_COLUMNS_MAX);
        int rc = csv_cell(bytes_of(in.p + pos, in.n - pos), end, a, &row->cells[row->n], &n, e);
        if (rc <= 0)
            return rc;
        row->n++;
        pos += n;
        if (pos == in.n && !end)
            return 0;
        bool more = pos < in.n && in.p[pos] == ',';
        pos += pos < in.n;
        if (!more)
            break;
    }
    *used = pos;
    return 1;
}

static bool is_listed(const struct lines *l, struct bytes name)
{
    for (size_t i = 0; i < l->n_text_columns; i++)
        if (bytes_eq_str(name, l->text_columns[i]))
            return true;
    return false;
}

static int csv_header(struct lines *l, const struct csv_row *row, struct err *e)
{
    l->columns = arena_alloc(&l->arena, row->n * sizeof *l->columns);
    l->is_text = arena_alloc(&l->arena, row->n * sizeof *l->is_text);
    for (size_t i = 0; i < row->n; i++) {
        struct bytes name = row->cells[i];
        if (i == 0 && bytes_starts(name, BYTES_LIT("\xef\xbb\xbf")))
            name = bytes_of(name.p + 3, name.n - 3);
        if (name.n == 0)
            return err_set(e, LEAT_EDECODE, "column %zu of the header has no name", i + 1);
        l->columns[i] = arena_copy(&l->arena, name);
        l->is_text[i] = is_listed(l, name);
    }
    l->n_columns = row->n;
    return 0;
}

static int csv_record(struct lines *l, const struct csv_row *row, struct arena *a,
                      struct lines_record *out, struct err *e)
{
    struct buf json = BUF_EMPTY;
    bool first = true;

    if (row->n != l->n_columns)
        return err_set(e, LEAT_EDECODE, "%zu cells where the header has %zu columns", row->n,
                       l->n_columns);
    buf_append_byte(&json, '{');
    for (size_t i = 0; i < row->n; i++) {
        if (row->cells[i].n == 0)
            continue;
        if (!bytes_is_utf8(row->cells[i])) {
            buf_deinit(&json);
            return err_set(e, LEAT_EDECODE, "column %.*s is not UTF-8", BYTES_FMT(l->columns[i]));
        }
        if (!first)
            buf_append_byte(&json, ',');
        first = false;
        json_write_text(l->columns[i], &json);
        buf_append_byte(&json, ':');
        lines_cell_json(row->cells[i], l->is_text[i], &json);
    }
    if (l->n_sets > 0 && !first)
        buf_append_byte(&json, ',');
    append_sets(l, &json, true);
    buf_append_byte(&json, '}');
    out->value = arena_copy(a, buf_bytes(&json));
    buf_deinit(&json);
    return find_key(l, out->value, a, &out->key, e);
}

static bool csv_blank(const struct csv_row *row)
{
    return row->n == 1 && row->cells[0].n == 0;
}

static int csv_next(struct lines *l, struct bytes in, bool end, size_t *used, struct arena *a,
                    struct lines_record *out, struct err *e)
{
    struct csv_row row = {l->cells, 0};
    size_t n = 0;

    while (in.n > 0) {
        int rc = csv_row(in, end, a, &row, &n, e);
        if (rc == 0)
            return 0;
        l->line++;
        if (rc < 0)
            return rc;
        for (size_t i = 0; i + 1 < n; i++)
            l->line += in.p[i] == '\n'; // quoted cells may hold line ends
        *used += n;
        in = bytes_of(in.p + n, in.n - n);
        if (csv_blank(&row) && l->n_columns != 1)
            continue;
        if (l->n_columns > 0) {
            rc = csv_record(l, &row, a, out, e);
            return rc < 0 ? rc : 1;
        }
        rc = csv_header(l, &row, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// --- all ---

static int line_next(struct lines *l, struct bytes in, bool end, size_t *used, struct arena *a,
                     struct lines_record *out, struct err *e)
{
    struct bytes line;
    size_t n = 0;
    int rc;

    while (take_line(in, end, &line, &n)) {
        l->line++;
        *used += n;
        in = bytes_of(in.p + n, in.n - n);
        if (line.n == 0)
            continue;
        out->key = BYTES_NULL;
        if (l->format == LINES_PLAIN) {
            out->value = arena_copy(a, line);
            return 1;
        }
        rc = json_record(l, line, a, out, e);
        return rc < 0 ? rc : 1;
    }
    return 0;
}

int lines_next(struct lines *l, struct bytes in, bool end, size_t *used, struct arena *a,
               struct lines_record *out, struct err *e)
{
    int rc;

    *used = 0;
    out->key = BYTES_NULL;
    rc = l->format == LINES_CSV ? csv_next(l, in, end, used, a, out, e)
                                : line_next(l, in, end, used, a, out, e);
    if (rc < 0)
        return err_wrap(e, rc, "%s:%lld", l->file, (long long)l->line);
    if (rc == 0 && in.n - *used > TEXT_BYTES_MAX)
        return err_set(e, LEAT_ETOOBIG, "%s:%lld: a line is longer than %d bytes", l->file,
                       (long long)l->line + 1, TEXT_BYTES_MAX);
    return rc;
}
