// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/test_report.h"

#include <stdio.h>
#include <unistd.h>

#include "runtime/record/value.h"

// --- text ---

static int64_t variations(const struct script_test_results *r, int kind, bool left_out)
{
    int64_t n = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct chaos_result *c = &r->items[i].chaos;
        if (__builtin_add_overflow(n, left_out ? c->skipped[kind] : c->n[kind], &n))
            return INT64_MAX;
    }
    return n;
}

static void print_variations(const struct script_test_results *r)
{
    static const char *const names[] = {"batch splits", "crashes", "partition orders"};
    const char *between = "";
    int64_t all = 0;

    for (int k = 0; k < CHAOS_KINDS; k++)
        all += variations(r, k, false);
    if (all == 0)
        return;
    printf("   + %lld variations (", (long long)all);
    for (int k = 0; k < CHAOS_KINDS; k++) {
        int64_t left_out = variations(r, k, true);
        printf("%s%s %lld", between, names[k], (long long)variations(r, k, false));
        if (left_out > 0)
            printf(", a sample");
        between = ", ";
    }
    printf(")");
}

static bool failed_in_a_variation(const struct script_test_results *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].passed && r->items[i].chaos.n_failures == 0)
            return false;
    return r->n_failed > 0;
}

static void print_failure(const struct test_file *f, const struct script_test_result *t)
{
    const struct chaos_result *c = &t->chaos;

    printf("\n  %s\n", t->name);
    if (c->n_failures == 0)
        printf("  %s\n", t->message);
    for (int i = 0; i < c->n_failures; i++) {
        const struct chaos_failure *x = &c->failures[i];
        printf("  %s\n%s\n    again with  leat test %s -k \"%s\" --variation %s:%lld\n", x->what,
               x->detail, test_file_shown(f), t->name, chaos_kind_name(x->kind),
               (long long)x->number);
    }
}

void test_print_text(const struct test_file *f, const struct script_test_results *r)
{
    bool color = isatty(STDOUT_FILENO) != 0;

    printf("%s   %zu test%s   %zu passed", test_file_shown(f), r->n, r->n == 1 ? "" : "s",
           r->n - r->n_failed);
    if (r->n_failed > 0)
        printf("   %s%zu FAILED%s%s", color ? "\x1b[31m" : "", r->n_failed,
               failed_in_a_variation(r) ? " in a variation" : "", color ? "\x1b[0m" : "");
    print_variations(r);
    printf("\n");
    for (size_t i = 0; i < r->n; i++)
        if (!r->items[i].passed)
            print_failure(f, &r->items[i]);
}

// --- JSON ---

static void add_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_text(bytes_str(text), out);
}

static void add_variations(struct buf *out, const struct chaos_result *c)
{
    buf_append_str(out, ",\"variations\":{");
    for (int k = 0; k < CHAOS_KINDS; k++)
        buf_printf(out, "%s\"%s\":{\"run\":%lld,\"left_out\":%lld}", k > 0 ? "," : "",
                   chaos_kind_name((enum chaos_kind)k), (long long)c->n[k],
                   (long long)c->skipped[k]);
    buf_append_str(out, "},\"failures\":[");
    for (int i = 0; i < c->n_failures; i++) {
        const struct chaos_failure *x = &c->failures[i];
        buf_printf(out, "%s{\"variation\":\"%s:%lld\"", i > 0 ? "," : "",
                   chaos_kind_name(x->kind), (long long)x->number);
        add_text(out, "what", x->what);
        add_text(out, "detail", x->detail);
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, ']');
}

void test_print_json(const struct test_file *f, const struct script_test_results *r)
{
    struct buf out = BUF_EMPTY;

    for (size_t i = 0; i < r->n; i++) {
        const struct script_test_result *t = &r->items[i];
        buf_append_str(&out, "{\"file\":");
        json_write_text(bytes_str(test_file_shown(f)), &out);
        add_text(&out, "job", f->job);
        buf_printf(&out, ",\"line\":%d", t->line);
        add_text(&out, "test", t->name);
        buf_printf(&out, ",\"passed\":%s,\"ms\":%lld", t->passed ? "true" : "false",
                   (long long)(t->ns / 1000000));
        if (!t->passed)
            add_text(&out, "message", t->message);
        if (t->varied)
            add_variations(&out, &t->chaos);
        buf_append_str(&out, "}\n");
    }
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
}
