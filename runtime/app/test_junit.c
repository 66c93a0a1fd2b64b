// SPDX-License-Identifier: Apache-2.0
//
// A report as CI servers read it: testsuites, testsuite (a file), testcase, and in it a failure (it
// ran and did not pass) or an error (the file did not load). The attributes are those that the
// readers agree on: name, classname, file, line, time, tests, failures, errors.
//
// Texts come from jobs: what XML 1.0 has no place for, control characters and bytes that are no
// UTF-8, becomes U+FFFD.
#include <errno.h>
#include <stdio.h>

#include "runtime/app/test_report.h"

#define REPLACEMENT "\xef\xbf\xbd"

static void add_character(struct buf *out, const uint8_t *p, size_t n)
{
    static const char *const names[256] = {
        ['&'] = "&amp;",  ['<'] = "&lt;",   ['>'] = "&gt;",  ['"'] = "&quot;",
        ['\t'] = "&#9;",  ['\n'] = "&#10;", ['\r'] = "&#13;",
    };

    if (n == 1 && names[*p] != NULL)
        buf_append_str(out, names[*p]);
    else if ((n == 1 && *p < 0x20) || (n == 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe))
        buf_append_str(out, REPLACEMENT); // U+FFFE and U+FFFF are no characters either
    else
        buf_append(out, p, n);
}

static size_t character_bytes(const uint8_t *p, size_t n)
{
    size_t want = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    return want <= n && bytes_is_utf8(bytes_of(p, want)) ? want : 0;
}

static void add_escaped(struct buf *out, const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t n = strlen(text);

    while (n > 0) {
        size_t k = character_bytes(p, n);
        if (k > 0)
            add_character(out, p, k);
        else
            buf_append_str(out, REPLACEMENT);
        k = k > 0 ? k : 1;
        p += k;
        n -= k;
    }
}

static void add_attribute(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, " %s=\"", name);
    add_escaped(out, text);
    buf_append_byte(out, '"');
}

static void add_counts(struct buf *out, size_t tests, size_t failures, size_t errors, int64_t ns)
{
    buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n", tests,
               failures, errors, (double)ns / 1e9);
}

// <failure message="its first line">all of it</failure>
static void add_problem(struct buf *out, const char *element, const char *text)
{
    size_t line = strcspn(text, "\n");
    struct buf first = BUF_EMPTY;

    buf_append(&first, text, line);
    buf_printf(out, "      <%s", element);
    add_attribute(out, "message", buf_cstr(&first));
    buf_append_byte(out, '>');
    add_escaped(out, text);
    buf_printf(out, "</%s>\n", element);
    buf_deinit(&first);
}

static void add_failure(struct buf *out, const struct script_test_result *t)
{
    struct buf text = BUF_EMPTY;

    buf_append_str(&text, t->message);
    for (int i = 0; i < t->chaos.n_failures; i++) {
        const struct chaos_failure *x = &t->chaos.failures[i];
        buf_printf(&text, "\nvariation %s:%lld\n%s\n%s", chaos_kind_name(x->kind),
                   (long long)x->number, x->what, x->detail);
    }
    add_problem(out, "failure", buf_cstr(&text));
    buf_deinit(&text);
}

static void add_case(struct buf *out, const struct test_file *f, const struct script_test_result *t)
{
    buf_append_str(out, "    <testcase");
    add_attribute(out, "name", t->name);
    add_attribute(out, "classname", test_file_shown(f));
    add_attribute(out, "file", test_file_shown(f));
    buf_printf(out, " line=\"%d\" time=\"%.3f\"%s>\n", t->line, (double)t->ns / 1e9,
               t->passed ? "/" : "");
    if (t->passed)
        return;
    add_failure(out, t);
    buf_append_str(out, "    </testcase>\n");
}

void junit_add(struct junit *j, const struct test_file *f, const struct script_test_results *r)
{
    int64_t ns = 0;

    for (size_t i = 0; i < r->n; i++)
        ns += r->items[i].ns;
    buf_append_str(&j->suites, "  <testsuite");
    add_attribute(&j->suites, "name", test_file_shown(f));
    add_counts(&j->suites, r->n, r->n_failed, 0, ns);
    for (size_t i = 0; i < r->n; i++)
        add_case(&j->suites, f, &r->items[i]);
    buf_append_str(&j->suites, "  </testsuite>\n");
    j->tests += r->n;
    j->failures += r->n_failed;
    j->ns += ns;
}

void junit_add_broken(struct junit *j, const struct test_file *f, const struct err *why)
{
    buf_append_str(&j->suites, "  <testsuite");
    add_attribute(&j->suites, "name", test_file_shown(f));
    add_counts(&j->suites, 1, 0, 1, 0);
    buf_append_str(&j->suites, "    <testcase name=\"loads\"");
    add_attribute(&j->suites, "classname", test_file_shown(f));
    buf_append_str(&j->suites, " time=\"0.000\">\n");
    add_problem(&j->suites, "error", why->text);
    buf_append_str(&j->suites, "    </testcase>\n  </testsuite>\n");
    j->tests++;
    j->errors++;
}

int junit_write(const struct junit *j, const char *path, struct err *e)
{
    struct buf out = BUF_EMPTY;
    FILE *file;
    bool written;

    buf_append_str(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                         "<testsuites name=\"leat test\"");
    add_counts(&out, j->tests, j->failures, j->errors, j->ns);
    buf_append_bytes(&out, buf_bytes(&j->suites));
    buf_append_str(&out, "</testsuites>\n");
    file = fopen(path, "w");
    if (file == NULL) {
        buf_deinit(&out);
        return err_errno(e, errno, "cannot write %s", path);
    }
    written = fwrite(out.p, 1, out.n, file) == out.n;
    buf_deinit(&out);
    if (fclose(file) != 0 || !written)
        return err_errno(e, errno, "cannot write %s", path);
    return 0;
}

void junit_deinit(struct junit *j)
{
    buf_deinit(&j->suites);
}
