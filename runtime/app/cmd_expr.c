// SPDX-License-Identifier: Apache-2.0
//
// leat expr: an expression of the job language over sample records, one JSON value a line. To see
// what it gives, and what it says where it fails, before it goes into a job.
//
// A field that is not there is nil and no error. So a misspelt one is nil for every record, and an
// expression about it looks right and is never true: a field that no record has is named behind the
// results.
#include <errno.h>
#include <stdio.h>

#include "runtime/app/commands.h"
#include "runtime/base/clock.h"
#include "runtime/base/suggest.h"
#include "runtime/expr/expr.h"

enum { READ_BYTES = 64 * 1024, FIELDS_MAX = 32, NAME_BYTES = 64 };

// A field that the expression reads.
struct looked_for {
    char name[NAME_BYTES];
    bool seen;
    struct suggestion nearest; // of the fields that there are instead
};

struct trial {
    struct args *args;
    struct fieldplan *fields;
    struct expr *expr;
    struct arena arena; // of a record
    struct looked_for looked_for[FIELDS_MAX];
    int n_looked_for;
    long line, objects;
    int failed;
};

// --- fields that no record has ---

static void look_for(struct trial *t, struct bytes path)
{
    struct looked_for *f = &t->looked_for[t->n_looked_for];
    size_t n = 0;

    while (n < path.n && path.p[n] != '.' && path.p[n] != '[')
        n++;
    if (n == 0 || n >= NAME_BYTES || t->n_looked_for == FIELDS_MAX)
        return;
    for (int i = 0; i < t->n_looked_for; i++)
        if (bytes_eq_str(bytes_of(path.p, n), t->looked_for[i].name))
            return;
    memcpy(f->name, path.p, n);
    f->nearest.name = f->name;
    t->n_looked_for++;
}

static void look_at_field(struct trial *t, struct bytes name)
{
    char text[NAME_BYTES];

    if (name.n >= sizeof text)
        return;
    snprintf(text, sizeof text, "%.*s", BYTES_FMT(name));
    for (int i = 0; i < t->n_looked_for; i++) {
        struct looked_for *f = &t->looked_for[i];
        if (strcmp(f->name, text) == 0)
            f->seen = true;
        else if (!f->seen)
            suggest(&f->nearest, text);
    }
}

static void look_at_record(struct trial *t, const struct value *root)
{
    struct value_iter it;
    struct value value;
    struct bytes name;

    if (!value_is_object(root))
        return;
    t->objects++;
    value_iter_init(&it, root, &t->arena);
    while (value_iter_token(&it, &name, &value, NULL) == 1)
        look_at_field(t, name);
}

static void name_unseen(struct trial *t)
{
    fflush(stdout);
    for (int i = 0; i < t->n_looked_for && t->objects > 0; i++) {
        struct looked_for *f = &t->looked_for[i];
        if (!f->seen)
            fprintf(stderr, "leat expr: no record has a field '%s'%s\n", f->name,
                    suggest_text(&f->nearest));
    }
}

// --- records ---

static void print_value(const struct trial *t, const struct value *v)
{
    struct buf out = BUF_EMPTY;
    bool json = args_has(t->args, "--json");

    if (json)
        buf_printf(&out, "{\"line\":%ld,\"value\":", t->line);
    if (!json && value_is_nil(v))
        buf_append_str(&out, "nil");
    else if (value_write_json(v, &out, NULL) != 0)
        buf_append_str(&out, "null");
    printf("%s%s\n", buf_cstr(&out), json ? "}" : "");
    buf_deinit(&out);
}

static void print_error(struct trial *t, int rc, const struct err *e)
{
    struct buf out = BUF_EMPTY;

    t->failed++;
    if (args_has(t->args, "--json")) {
        buf_printf(&out, "{\"line\":%ld,\"class\":\"%s\",\"error\":", t->line, err_name(rc));
        json_write_text(bytes_str(e->text), &out);
        printf("%s}\n", buf_cstr(&out));
    } else {
        fflush(stdout);
        fprintf(stderr, "line %ld: %s: %s\n", t->line, err_name(rc), e->text);
    }
    buf_deinit(&out);
}

// A record without a key and headers, of now.
static void try_record(struct trial *t, struct bytes record)
{
    struct event ev = {.topic = BYTES_LIT("sample"),
                       .offset = t->line - 1,
                       .time = clock_wall_ms(clock_system()),
                       .key = VALUE_OF_MISSING};
    struct expr_env env = {.event = &ev, .now = ev.time, .arena = &t->arena};
    struct err e = {0};
    struct value v;
    int rc;

    ev.timestamp = ev.time;
    rc = view_scan(&ev.view, t->fields, FORMAT_JSON, record, &t->arena, &e);
    if (rc == 0) {
        look_at_record(t, &ev.view.root);
        rc = expr_eval(t->expr, &env, &v, &e);
    }
    if (rc == 0)
        print_value(t, &v);
    else
        print_error(t, rc, &e);
    arena_reset(&t->arena);
}

// The whole lines of what was read so far; at the end the last one too. Returns how much was used.
static size_t try_lines(struct trial *t, struct bytes in, bool end)
{
    size_t used = 0;

    while (used < in.n) {
        const uint8_t *line = in.p + used, *stop = memchr(line, '\n', in.n - used);
        size_t n = stop != NULL ? (size_t)(stop - line) : in.n - used;

        if (stop == NULL && !end)
            break;
        used += n + (stop != NULL);
        t->line++;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        if (n > 0)
            try_record(t, bytes_of(line, n));
    }
    return used;
}

static int try_stream(struct trial *t, FILE *in, struct err *e)
{
    struct buf b = BUF_EMPTY;
    size_t n = 1;

    while (n > 0) {
        size_t used;

        buf_reserve(&b, READ_BYTES);
        n = fread(b.p + b.n, 1, READ_BYTES, in);
        b.n += n;
        used = try_lines(t, buf_bytes(&b), n == 0);
        memmove(b.p, b.p + used, b.n - used);
        b.n -= used;
    }
    buf_deinit(&b);
    return ferror(in) ? err_errno(e, errno, "cannot read the records") : 0;
}

static int try_file(struct trial *t, struct err *e)
{
    const char *path = t->args->n_positional > 1 ? t->args->positional[1] : NULL;
    FILE *in = path != NULL ? fopen(path, "r") : stdin;
    int rc;

    if (in == NULL)
        return err_errno(e, errno, "cannot open %s", path);
    rc = try_stream(t, in, e);
    if (path != NULL)
        (void)fclose(in);
    return rc;
}

static int try_all(struct trial *t, struct err *e)
{
    int rc;

    for (int i = 0; i < expr_paths(t->expr); i++)
        look_for(t, expr_path(t->expr, i));
    rc = try_file(t, e);
    if (rc == 0)
        name_unseen(t);
    return rc;
}

static int expr_run(struct args *a)
{
    struct trial t = {.args = a};
    struct err e = {0};
    int rc;

    arena_init(&t.arena);
    t.fields = fieldplan_new();
    rc = expr_compile(&t.expr, bytes_str(a->positional[0]), NULL, t.fields, &e);
    if (rc != 0)
        e.code = LEAT_EUSAGE;
    else if (expr_is_constant(t.expr, NULL))
        try_record(&t, BYTES_LIT("{}"));
    else
        rc = try_all(&t, &e);
    expr_free(t.expr);
    fieldplan_free(t.fields);
    arena_deinit(&t.arena);
    if (rc != 0)
        return command_failed(a, &e);
    return t.failed > 0 ? EXIT_FAILED : EXIT_OK;
}

const struct command command_expr = {
    .name = "expr",
    .arguments = "EXPR [FILE]",
    .summary = "try an expression on sample records",
    .details = "Reads records, one JSON value a line, from the file or standard input, and prints "
               "what the\n"
               "expression gives for each; errors go to standard error with the line they are of, "
               "and the\n"
               "exit code is 1 then. An expression that is constant needs no records. A field "
               "that is not there\n"
               "is nil; one that no record has is named at the end, on standard error.",
    .examples = "  leat expr \"temperature > 90\" < sample.jsonl\n"
                "  leat expr \"round(price * 1.25, 2)\" sample.jsonl --json\n"
                "  leat expr \"dec'0.1' + dec'0.2'\"",
    .min_positional = 1,
    .max_positional = 2,
    .run = expr_run,
};
