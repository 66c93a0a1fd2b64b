// SPDX-License-Identifier: Apache-2.0
#include "operators/groupkey.h"

#include "runtime/base/endian.h"

#include <math.h>

enum { TAG_NUMBER = 1, TAG_TEXT = 2, TAG_BLOB = 3 };
enum { KIND_INT = 0, KIND_FLOAT = 1, KIND_DECIMAL = 2 };

#define SIGN (UINT64_C(1) << 63)
#define NUMBER_BYTES 18

static uint64_t double_fold(double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return bits & SIGN ? ~bits : bits | SIGN;
}

static double double_unfold(uint64_t folded)
{
    uint64_t bits = folded & SIGN ? folded & ~SIGN : ~folded;
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

static void put_number(struct buf *out, double d, int64_t i, int kind)
{
    uint8_t b[NUMBER_BYTES];

    b[0] = TAG_NUMBER;
    store_be64(b + 1, double_fold(d));
    store_be64(b + 9, (uint64_t)i ^ SIGN);
    b[17] = (uint8_t)kind;
    buf_append(out, b, sizeof(b));
}

static bool float_is_int(double f)
{
    return f >= -9223372036854775808.0 && f < 9223372036854775808.0 && floor(f) == f;
}

static void put_float(struct buf *out, double f)
{
    if (float_is_int(f))
        put_number(out, (double)(int64_t)f, (int64_t)f, KIND_INT);
    else
        put_number(out, f, f > 0 ? INT64_MAX : INT64_MIN, KIND_FLOAT);
}

static void put_decimal(struct buf *out, int64_t i, int scale)
{
    double d;

    while (scale > 0 && i % 10 == 0) {
        i /= 10;
        scale--;
    }
    d = (double)i / pow(10, scale);
    put_number(out, d, i, scale == 0 ? KIND_INT : KIND_DECIMAL + scale);
}

// Rare: every 00 becomes 00 FF.
static size_t put_escaped(uint8_t *to, struct bytes s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        to[n++] = s.p[i];
        if (s.p[i] == 0)
            to[n++] = 0xff;
    }
    return n;
}

static void put_run(struct buf *out, int tag, struct bytes s)
{
    uint8_t *p;
    size_t n = s.n;

    buf_reserve(out, 2 * s.n + 3);
    p = out->p + out->n;
    p[0] = (uint8_t)tag;
    if (n > 0 && memchr(s.p, 0, n) != NULL)
        n = put_escaped(p + 1, s);
    else if (n > 0)
        memcpy(p + 1, s.p, n);
    p[n + 1] = 0;
    p[n + 2] = 1;
    out->n += n + 3;
}

int group_key_encode(struct buf *out, const struct value *parts, int n, struct err *e)
{
    for (int i = 0; i < n; i++) {
        const struct value *v = &parts[i];

        switch ((enum value_type)v->type) {
        case VALUE_TEXT:
            put_run(out, TAG_TEXT, v->s);
            break;
        case VALUE_BYTES:
            put_run(out, TAG_BLOB, v->s);
            break;
        case VALUE_INT:
            put_number(out, (double)v->i, v->i, KIND_INT);
            break;
        case VALUE_FLOAT:
            put_float(out, v->f);
            break;
        case VALUE_BOOL:
            put_number(out, v->b, v->b, KIND_INT);
            break;
        case VALUE_DECIMAL:
            put_decimal(out, v->i, v->scale);
            break;
        default:
            return err_set(e, LEAT_EKEY, "a key of %s cannot be grouped by", value_type_name(v));
        }
    }
    return 0;
}

void group_key_plain(const struct value *parts, int n, struct value *out)
{
    for (int i = 0; i < n; i++) {
        bool whole = parts[i].type == VALUE_FLOAT && float_is_int(parts[i].f);

        out[i] = whole ? value_int((int64_t)parts[i].f) : parts[i];
    }
}

bool group_key_is_exact(const struct value *parts, int n)
{
    for (int i = 0; i < n; i++) {
        const struct value *v = &parts[i];

        if (v->type == VALUE_BOOL || v->type == VALUE_DECIMAL)
            return false;
        if (v->type == VALUE_FLOAT && float_is_int(v->f))
            return false;
    }
    return true;
}

static struct value get_number(const uint8_t *p)
{
    int kind = p[17];
    int64_t i = (int64_t)(load_be64(p + 9) ^ SIGN);

    if (kind == KIND_INT)
        return value_int(i);
    if (kind == KIND_FLOAT)
        return value_float(double_unfold(load_be64(p + 1)));
    return (struct value){.type = VALUE_DECIMAL, .scale = (uint8_t)(kind - KIND_DECIMAL), .i = i};
}

// The length of the run up to its end mark; *zeros counts the 00 in it.
static size_t run_length(struct bytes key, size_t *zeros)
{
    size_t n = 0;

    for (*zeros = 0;;) {
        const uint8_t *zero = memchr(key.p + n, 0, key.n - n);

        ASSERT(zero != NULL && zero + 1 < key.p + key.n);
        n = (size_t)(zero - key.p);
        if (zero[1] == 1)
            return n;
        n += 2;
        ++*zeros;
    }
}

static struct bytes run_unescape(struct bytes run, size_t zeros, struct arena *a)
{
    uint8_t *p;
    size_t n = 0;

    if (zeros == 0)
        return run;
    p = arena_alloc(a, run.n);
    for (size_t i = 0; i < run.n; i++) {
        p[n++] = run.p[i];
        i += run.p[i] == 0; // the FF
    }
    return bytes_of(p, n);
}

void group_key_decode(struct bytes key, struct value *parts, int n, struct arena *a)
{
    for (int i = 0; i < n; i++) {
        size_t zeros, used;

        ASSERT(key.n > 1);
        if (key.p[0] == TAG_NUMBER) {
            ASSERT(key.n >= NUMBER_BYTES);
            parts[i] = get_number(key.p);
            used = NUMBER_BYTES;
        } else {
            struct bytes rest = bytes_of(key.p + 1, key.n - 1);
            size_t run = run_length(rest, &zeros);

            parts[i].type = key.p[0] == TAG_TEXT ? VALUE_TEXT : VALUE_BYTES;
            parts[i].s = run_unescape(bytes_of(rest.p, run), zeros, a);
            used = run + 3;
        }
        key = bytes_of(key.p + used, key.n - used);
    }
}
