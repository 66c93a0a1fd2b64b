// SPDX-License-Identifier: Apache-2.0
//
// Random messages, made by walking the same tables as the codec does.
#include "tests/unit/wire/wire_tests.h"

#include "runtime/wire/codec.h"

static struct bytes fill_bytes(struct random *r, bool may_null, struct arena *a)
{
    size_t n = random_below(r, 40);
    uint8_t *p;

    if (may_null && random_below(r, 4) == 0)
        return BYTES_NULL;
    if (random_below(r, 20) == 0)
        n += 200; // two bytes of compact length
    p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)random_next(r);
    return bytes_of(p, n);
}

static void fill_value(struct random *r, const struct wire_field *f, int version, struct arena *a,
                       uint8_t *at)
{
    bool may_null = wire_field_nullable(f, version) && (f->flags & WIRE_ARRAY) == 0;
    uint64_t v = random_next(r);
    struct bytes text;
    void *p = NULL;

    switch (f->type) {
    case WIRE_BOOL:
        *(bool *)at = v & 1;
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
    case WIRE_RECORDS:
        text = fill_bytes(r, may_null, a);
        memcpy(at, &text, sizeof text);
        break;
    case WIRE_STRUCT:
        wire_fill(r, f->of, version, a, at);
        break;
    case WIRE_OPTIONAL:
        if (random_below(r, 2) == 0) {
            p = arena_alloc(a, f->of->size);
            wire_fill(r, f->of, version, a, p);
        }
        memcpy(at, &p, sizeof p);
        break;
    case WIRE_UUID:
        memcpy(at + 8, &v, 8);
        memcpy(at, &v, 8);
        break;
    default:
        memcpy(at, &v, wire_value_size(f));
    }
}

static void fill_array(struct random *r, const struct wire_field *f, int version, struct arena *a,
                       uint8_t *at)
{
    size_t size = wire_value_size(f);
    struct wire_array array = {(int32_t)random_below(r, 4), NULL};

    if (wire_field_nullable(f, version) && random_below(r, 4) == 0)
        array.n = -1;
    if (array.n > 0)
        array.items = arena_alloc(a, (size_t)array.n * size);
    for (int32_t i = 0; i < array.n; i++)
        fill_value(r, f, version, a, (uint8_t *)array.items + (size_t)i * size);
    memcpy(at, &array, sizeof array);
}

void wire_fill(struct random *r, const struct wire_message *m, int version, struct arena *a,
               void *out)
{
    wire_defaults(m, out);
    for (int i = 0; i < m->n_plain + m->n_tagged; i++) {
        const struct wire_field *f = &m->fields[i];
        uint8_t *at = (uint8_t *)out + f->offset;

        if (!wire_field_in(f, version) || (f->tag >= 0 && random_below(r, 3) == 0))
            continue;
        if (f->flags & WIRE_ARRAY)
            fill_array(r, f, version, a, at);
        else
            fill_value(r, f, version, a, at);
    }
}
