// SPDX-License-Identifier: Apache-2.0
//
// Bytes that another implementation wrote (tests/golden/wire/messages.txt). Every field holds a
// value made from its own name, so the test knows what to expect without a list of expectations:
//
//     strings, bytes, records   the name
//     integers, bool            the low bits of the FNV-1a hash of the name; plus i in element i of
//     an array uuid                      the hash, big-endian, twice
//
// Nothing is null. So a field that is missing, misplaced, of a wrong width or of a wrong name is
// found.
#include "tests/unit/wire/wire_tests.h"

#include "runtime/base/endian.h"
#include "runtime/wire/codec.h"

static const char *path = "tests/golden/wire/messages.txt";

static uint64_t fnv1a(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *s != 0; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    return h;
}

static void expect_struct(const struct wire_message *m, int version, const uint8_t *in);

static bool scalar_as_expected(const struct wire_field *f, const uint8_t *at, int32_t i)
{
    uint64_t want = fnv1a(f->name) + (uint64_t)i;
    uint8_t id[16];
    struct bytes text;

    switch (f->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        memcpy(&text, at, sizeof text);
        return bytes_eq_str(text, f->name);
    case WIRE_BOOL:
        return *at == (want & 1);
    case WIRE_UUID:
        store_be64(id, want);
        store_be64(id + 8, want);
        return memcmp(at, id, 16) == 0;
    default:
        return memcmp(at, &want, wire_value_size(f)) == 0;
    }
}

static void expect_one(const struct wire_message *m, const struct wire_field *f, int version,
                       const uint8_t *at, int32_t i)
{
    const uint8_t *p = at;

    if (f->type == WIRE_OPTIONAL)
        memcpy(&p, at, sizeof p);
    if (p == NULL)
        fail_msg("%s v%d: %s is null", m->name, version, f->name);
    if (f->of != NULL)
        expect_struct(f->of, version, p);
    else if (!scalar_as_expected(f, at, i))
        fail_msg("%s v%d: %s has another value", m->name, version, f->name);
}

static void expect_array(const struct wire_message *m, const struct wire_field *f, int version,
                         const uint8_t *at)
{
    struct wire_array array = wire_array_load(at);

    if (array.n != 1 && array.n != 2)
        fail_msg("%s v%d: %s has %d elements", m->name, version, f->name, array.n);
    for (int32_t i = 0; i < array.n; i++)
        expect_one(m, f, version, (uint8_t *)array.items + (size_t)i * wire_value_size(f), i);
}

static void expect_struct(const struct wire_message *m, int version, const uint8_t *in)
{
    for (int i = 0; i < m->n_plain + m->n_tagged; i++) {
        const struct wire_field *f = &m->fields[i];
        const uint8_t *at = in + f->offset;

        if (!wire_field_in(f, version))
            assert_true(wire_field_is_default(f, at));
        else if (f->flags & WIRE_ARRAY)
            expect_array(m, f, version, at);
        else
            expect_one(m, f, version, at, 0);
    }
}

static const struct wire_message *message_named(const char *name)
{
    for (size_t i = 0; i < wire_n_messages; i++)
        if (strcmp(wire_messages[i]->name, name) == 0)
            return wire_messages[i];
    fail_msg("%s: %s is not in the schema", path, name);
    return NULL;
}

static void given_hex(struct buf *out, const char *hex)
{
    for (buf_clear(out); hex[0] != 0 && hex[0] != '\n'; hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        buf_append_byte(out, (uint8_t)byte);
    }
}

static void check_line(const char *line)
{
    struct buf bytes = BUF_EMPTY, again = BUF_EMPTY;
    const struct wire_message *m;
    struct arena a;
    struct err e = {0};
    char name[64];
    int version, hex;
    void *out;

    assert_int_equal(sscanf(line, "%63s %d %n", name, &version, &hex), 2);
    m = message_named(name);
    given_hex(&bytes, line + hex);
    arena_init(&a);
    out = arena_alloc(&a, m->size);
    if (wire_decode(m, version, buf_bytes(&bytes), &a, out, &e) != 0)
        fail_msg("%s", e.text);
    expect_struct(m, version, out);
    if (wire_encode(m, version, out, &again, &e) != 0)
        fail_msg("%s", e.text);
    if (!bytes_eq(buf_bytes(&bytes), buf_bytes(&again)))
        fail_msg("%s v%d: we encode it in another way", m->name, version);
    arena_deinit(&a);
    buf_deinit(&bytes);
    buf_deinit(&again);
}

// Another implementation's bytes mean the same to us, and we would have written them too.
static void test_golden(void **state)
{
    static char line[64 * 1024];
    FILE *file = fopen(path, "r");
    int n = 0;

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#')
            continue;
        check_line(line);
        n++;
    }
    fclose(file);
    assert_true(n > 400);
}

int run_golden_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
    };

    return cmocka_run_group_tests_name("wire golden", tests, NULL, NULL);
}
