// SPDX-License-Identifier: Apache-2.0
//
// The functions of expressions: native, pure, sorted by name in one table. Arguments arrive checked
// against `takes` and without nil (fn_call sees to both), so that a function is its one thought.
#include "runtime/expr/ast.h"

#include <math.h>

#include "runtime/base/datetime.h"
#include "runtime/base/number.h"
#include "runtime/base/suggest.h"

static bool is_text(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BYTES;
}

static int give(struct value *out, struct value v)
{
    *out = v;
    return 0;
}

static int new_text(const struct call *c, struct bytes b, struct value *out)
{
    uint8_t *p = arena_try_alloc(c->arena, b.n);

    if (p == NULL)
        return err_set(c->e, LEAT_ENOMEM, "out of memory for a text of %zu bytes", b.n);
    if (b.n > 0)
        memcpy(p, b.p, b.n);
    return give(out, value_text(bytes_of(p, b.n)));
}

// --- text ---

// ASCII only: the same in every locale and every version of Unicode.
static int change_case(const struct call *c, uint8_t first, struct value *out)
{
    uint8_t *p;
    int rc = new_text(c, c->args[0].s, out);

    if (rc != 0)
        return rc;
    p = (uint8_t *)(uintptr_t)out->s.p;
    for (size_t i = 0; i < out->s.n; i++)
        if (p[i] >= first && p[i] < first + 26)
            p[i] ^= 0x20;
    return 0;
}

static int fn_lower(const struct call *c, struct value *out)
{
    return change_case(c, 'A', out);
}

static int fn_upper(const struct call *c, struct value *out)
{
    return change_case(c, 'a', out);
}

static int fn_len(const struct call *c, struct value *out)
{
    return op_unary(OP_LEN, &c->args[0], out, c->e);
}

static int fn_utf8len(const struct call *c, struct value *out)
{
    struct bytes s = c->args[0].s;
    int64_t n = 0;

    if (!bytes_is_utf8(s))
        return err_set(c->e, LEAT_ETYPE, "not UTF-8 at byte %zu", bytes_utf8_prefix(s));
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return give(out, value_int(n));
}

static int fn_starts(const struct call *c, struct value *out)
{
    return give(out, value_bool(bytes_starts(c->args[0].s, c->args[1].s)));
}

static int fn_ends(const struct call *c, struct value *out)
{
    struct bytes s = c->args[0].s, tail = c->args[1].s;
    bool yes = tail.n <= s.n && bytes_eq(bytes_of(s.p + (s.n - tail.n), tail.n), tail);

    return give(out, value_bool(yes));
}

static int contains_element(const struct call *c, struct value *out)
{
    struct value_iter it;
    struct value element;
    struct bytes name;
    bool found = false;
    int rc;

    value_iter_init(&it, &c->args[0], c->arena);
    while (!found && (rc = value_iter_token(&it, &name, &element, c->e)) != 0) {
        if (rc < 0)
            return rc;
        found = value_eq(&element, &c->args[1], c->arena);
    }
    return give(out, value_bool(found));
}

static int fn_contains(const struct call *c, struct value *out)
{
    const struct value *of = &c->args[0], *what = &c->args[1];

    if (value_is_array(of))
        return contains_element(c, out);
    if (!is_text(of) || !is_text(what))
        return err_set(c->e, LEAT_ETYPE, "cannot look for %s in %s", value_type_name(what),
                       value_type_name(of));
    return give(
        out, value_bool(what->s.n == 0 || memmem(of->s.p, of->s.n, what->s.p, what->s.n) != NULL));
}

static int fn_matches(const struct call *c, struct value *out)
{
    int rc = pattern_matches(c->args[0].s, c->args[1].s, c->e);

    return rc < 0 ? rc : give(out, value_bool(rc == 1));
}

// --- numbers ---

static int fn_abs(const struct call *c, struct value *out)
{
    const struct value *v = &c->args[0];

    if (v->type == VALUE_FLOAT)
        return give(out, value_float(fabs(v->f)));
    return v->i < 0 ? op_unary(OP_NEG, v, out, c->e) : give(out, *v);
}

// As Lua: an integer if there is one, else the float itself, which is whole already.
static int whole(double d, struct value *out)
{
    return give(out, d >= -0x1p63 && d < 0x1p63 ? value_int((int64_t)d) : value_float(d));
}

static struct decimal decimal_of(const struct value *v)
{
    return (struct decimal){v->i, v->type == VALUE_DECIMAL ? v->scale : 0};
}

static int fn_floor(const struct call *c, struct value *out)
{
    if (c->args[0].type == VALUE_FLOAT)
        return whole(floor(c->args[0].f), out);
    return give(out, value_int(decimal_floor(decimal_of(&c->args[0]))));
}

static int fn_ceil(const struct call *c, struct value *out)
{
    struct decimal d = decimal_of(&c->args[0]), back;
    int64_t below;

    if (c->args[0].type == VALUE_FLOAT)
        return whole(ceil(c->args[0].f), out);
    below = decimal_floor(d);
    if (decimal_rescale(d, 0, &back) != 0)
        below++; // something is behind the point, so it is far from the end
    return give(out, value_int(below));
}

// Half away from zero by the exact value of v * 10^digits: the product's rounding error, had by
// fma, breaks ties.
static double round_to(double v, int digits)
{
    double power = 1, scaled, below, rest, n;

    for (int i = 0; i < digits; i++)
        power *= 10;
    scaled = fabs(v) * power;
    if (scaled >= 0x1p52)
        return v;
    below = floor(scaled);
    rest = scaled - below;
    n = below + (rest > 0.5 || (rest == 0.5 && fma(fabs(v), power, -scaled) >= 0));
    return copysign(n / power, v);
}

static int round_decimal(const struct call *c, int digits, struct value *out)
{
    struct decimal d;
    int rc = decimal_round(decimal_of(&c->args[0]), digits, &d);

    ASSERT(rc == 0 || digits == 0); // fewer digits fit in any case
    if (rc != 0)
        return err_set(c->e, LEAT_ETYPE, "decimal overflow");
    return give(out, c->n == 1 ? value_int(d.i) : value_of_decimal(d));
}

static int fn_round(const struct call *c, struct value *out)
{
    int64_t digits = c->n > 1 ? c->args[1].i : 0;

    if (digits < 0 || digits > 15)
        return err_set(c->e, LEAT_ETYPE, "digits must be 0 to 15");
    if (c->args[0].type == VALUE_INT)
        return give(out, c->args[0]);
    if (c->args[0].type == VALUE_DECIMAL)
        return round_decimal(c, (int)digits, out);
    if (c->n == 1)
        return whole(round(c->args[0].f), out);
    return give(out, value_float(round_to(c->args[0].f, (int)digits)));
}

static int extreme(const struct call *c, int sign, struct value *out)
{
    const struct value *best = &c->args[0];

    for (int i = 1; i < c->n; i++) {
        int cmp, rc = value_cmp(&c->args[i], best, &cmp, c->e);
        if (rc != 0)
            return rc;
        if ((cmp > 0) - (cmp < 0) == sign)
            best = &c->args[i];
    }
    return give(out, *best);
}

static int fn_least(const struct call *c, struct value *out)
{
    return extreme(c, -1, out);
}

static int fn_greatest(const struct call *c, struct value *out)
{
    return extreme(c, 1, out);
}

// --- conversions ---

static int not_a_number(const struct call *c)
{
    struct bytes s = c->args[0].s;

    return err_set(c->e, LEAT_ENUMBER, "'%.*s' is not a number", (int)(s.n < 40 ? s.n : 40),
                   (const char *)s.p);
}

static int fn_num(const struct call *c, struct value *out)
{
    const struct value *v = &c->args[0];
    int64_t i;
    double d;

    if (v->type == VALUE_INT || v->type == VALUE_FLOAT)
        return give(out, *v);
    if (v->type == VALUE_DECIMAL && v->scale > 0)
        return give(out, value_float(decimal_to_float(decimal_of(v))));
    if (v->type == VALUE_DECIMAL)
        return give(out, value_int(v->i));
    if (!is_text(v))
        return err_set(c->e, LEAT_ETYPE, "cannot make a number of %s", value_type_name(v));
    switch (number_parse_int(v->s, &i)) {
    case 0:
        return give(out, value_int(i));
    case LEAT_ERANGE: // an integer that does not fit is never silently a float
        return not_a_number(c);
    default:
        return number_parse_float(v->s, &d) == 0 ? give(out, value_float(d)) : not_a_number(c);
    }
}

// Towards zero.
static int64_t decimal_cut(struct decimal d)
{
    int64_t below = decimal_floor(d);
    struct decimal whole;

    return d.i < 0 && decimal_rescale(d, 0, &whole) != 0 ? below + 1 : below;
}

static int fn_int(const struct call *c, struct value *out)
{
    int rc;
    double d;

    if (c->args[0].type == VALUE_DECIMAL)
        return give(out, value_int(decimal_cut(decimal_of(&c->args[0]))));
    rc = fn_num(c, out);

    if (rc != 0 || out->type == VALUE_INT)
        return rc;
    d = trunc(out->f);
    if (d < -0x1p63 || d >= 0x1p63)
        return err_set(c->e, LEAT_ENUMBER, "does not fit into a 64-bit integer");
    return give(out, value_int((int64_t)d));
}

// The scale is the number of digits behind the point; a float is taken as it is written.
static int fn_dec(const struct call *c, struct value *out)
{
    const struct value *v = &c->args[0];
    struct decimal d;
    int rc = value_decimal(v, &d);

    if (rc == LEAT_ETYPE)
        return err_set(c->e, rc, "cannot make a decimal of %s", value_type_name(v));
    if (rc != 0 && v->type == VALUE_TEXT)
        return err_set(c->e, rc, "'%.*s' is not a decimal of at most 18 digits",
                       (int)(v->s.n < 40 ? v->s.n : 40), (const char *)v->s.p);
    if (rc != 0)
        return err_set(c->e, rc, "the number is not a decimal of at most 18 digits");
    return give(out, value_of_decimal(d));
}

static int fn_text(const struct call *c, struct value *out)
{
    const struct value *v = &c->args[0];
    struct value empty = value_text(bytes_str(""));
    struct buf b = BUF_EMPTY;
    int rc;

    if (v->type == VALUE_TEXT)
        return give(out, *v);
    if (v->type == VALUE_BYTES && !bytes_is_utf8(v->s))
        return err_set(c->e, LEAT_ETYPE, "not UTF-8 at byte %zu", bytes_utf8_prefix(v->s));
    if (v->type == VALUE_BYTES)
        return give(out, value_text(v->s));
    if (!value_is_array(v) && !value_is_object(v) && v->type != VALUE_BOOL)
        return op_binary(OP_CONCAT, v, &empty, c->arena, out, c->e);
    rc = value_write_json(v, &b, c->e);
    if (rc == 0)
        rc = new_text(c, buf_bytes(&b), out);
    buf_deinit(&b);
    return rc;
}

static int duration_of(const struct call *c, int i, int64_t *ms)
{
    const struct value *v = &c->args[i];

    *ms = v->i;
    if (v->type == VALUE_INT)
        return 0;
    if (duration_parse(v->s, ms) != 0)
        return err_set(c->e, LEAT_ETYPE, "'%.*s' is not a duration (such as 5m, 1h30m, 7d)",
                       (int)(v->s.n < 40 ? v->s.n : 40), (const char *)v->s.p);
    return 0;
}

static int fn_dur(const struct call *c, struct value *out)
{
    int64_t ms;
    int rc = duration_of(c, 0, &ms);

    return rc != 0 ? rc : give(out, value_int(ms));
}

static int check_time(const struct call *c, int64_t ms)
{
    if (ms < DATETIME_MIN || ms > DATETIME_MAX)
        return err_set(c->e, LEAT_ETIME, "%lld is not a time in the years 1 to 9999",
                       (long long)ms);
    return 0;
}

static int fn_time(const struct call *c, struct value *out)
{
    const struct value *v = &c->args[0];
    int64_t ms;

    if (v->type == VALUE_INT) {
        int rc = check_time(c, v->i);
        return rc != 0 ? rc : give(out, *v);
    }
    if (datetime_parse(v->s, &ms) != 0)
        return err_set(c->e, LEAT_ETIME, "'%.*s' is not a time", (int)(v->s.n < 40 ? v->s.n : 40),
                       (const char *)v->s.p);
    return give(out, value_int(ms));
}

static int fn_iso(const struct call *c, struct value *out)
{
    char text[DATETIME_TEXT_SIZE];
    int rc = check_time(c, c->args[0].i);

    if (rc != 0)
        return rc;
    datetime_format(c->args[0].i, text);
    return new_text(c, bytes_str(text), out);
}

// --- time ---

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t rest = t % step;

    return rest < 0 ? t - rest - step : t - rest;
}

static int step_of(const struct call *c, int64_t *step)
{
    int rc = duration_of(c, 1, step);

    if (rc == 0 && (*step <= 0 || *step > DATETIME_MAX))
        rc = err_set(c->e, LEAT_ETYPE, "a time cannot be cut to %lld ms", (long long)*step);
    return rc;
}

static int fn_trunc(const struct call *c, struct value *out)
{
    int64_t step, t = c->args[0].i;
    int rc = step_of(c, &step);

    if (rc == 0)
        rc = check_time(c, t);
    return rc != 0 ? rc : give(out, value_int(floor_to(t, step)));
}

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS };

static int fn_hour(const struct call *c, struct value *out)
{
    int64_t t = c->args[0].i;
    int rc = check_time(c, t);

    return rc != 0 ? rc : give(out, value_int((t - floor_to(t, DAY_MS)) / HOUR_MS));
}

// 1970-01-01 was a Thursday; Monday is 1.
static int fn_weekday(const struct call *c, struct value *out)
{
    int64_t days;
    int rc = check_time(c, c->args[0].i);

    if (rc != 0)
        return rc;
    days = floor_to(c->args[0].i, DAY_MS) / DAY_MS;
    return give(out, value_int(((days + 3) % 7 + 7) % 7 + 1));
}

// --- others ---

// The number that Kafka's default partitioner makes of a key of this value, so hash(x) % n is its
// partition of n.
static int fn_hash(const struct call *c, struct value *out)
{
    struct buf b = BUF_EMPTY;
    int rc = value_key_bytes(&c->args[0], &b, c->e);

    if (rc == 0)
        *out = value_int((int64_t)(bytes_murmur2(buf_bytes(&b)) & 0x7fffffff));
    buf_deinit(&b);
    return rc == LEAT_EKEY
               ? err_set(c->e, LEAT_ETYPE, "cannot hash %s", value_type_name(&c->args[0]))
               : rc;
}

static int fn_oneof(const struct call *c, struct value *out)
{
    bool found = false;

    for (int i = 1; i < c->n && !found; i++)
        found = value_eq(&c->args[0], &c->args[i], c->arena);
    return give(out, value_bool(found));
}

static const struct fn fns[] = {
    {"abs", 1, 1, "n", GIVES_SAME, false, false, fn_abs},
    {"ceil", 1, 1, "n", GIVES_WHOLE, false, false, fn_ceil},
    {"coalesce", 1, -1, "*", GIVES_EITHER, false, false, NULL},
    {"contains", 2, 2, "c*", GIVES_BOOL, false, false, fn_contains},
    {"dec", 1, 1, "s", GIVES_DECIMAL, false, false, fn_dec},
    {"dur", 1, 1, "d", GIVES_INTEGER, false, false, fn_dur},
    {"ends", 2, 2, "t", GIVES_BOOL, false, false, fn_ends},
    {"floor", 1, 1, "n", GIVES_WHOLE, false, false, fn_floor},
    {"greatest", 1, -1, "*", GIVES_EITHER, false, true, fn_greatest},
    {"hash", 1, 1, "*", GIVES_INTEGER, false, false, fn_hash},
    {"hour", 1, 1, "i", GIVES_INTEGER, false, false, fn_hour},
    {"int", 1, 1, "s", GIVES_INTEGER, false, false, fn_int},
    {"iso", 1, 1, "i", GIVES_TEXT, false, false, fn_iso},
    {"least", 1, -1, "*", GIVES_EITHER, false, true, fn_least},
    {"len", 1, 1, "*", GIVES_INTEGER, false, false, fn_len},
    {"lower", 1, 1, "t", GIVES_TEXT, false, false, fn_lower},
    {"matches", 2, 2, "t", GIVES_BOOL, false, false, fn_matches},
    {"num", 1, 1, "s", GIVES_NUMBER, false, false, fn_num},
    {"oneof", 2, -1, "*", GIVES_BOOL, true, true, fn_oneof},
    {"round", 1, 2, "ni", GIVES_ROUND, false, false, fn_round},
    {"starts", 2, 2, "t", GIVES_BOOL, false, false, fn_starts},
    {"text", 1, 1, "*", GIVES_TEXT, false, false, fn_text},
    {"time", 1, 1, "d", GIVES_TIME, false, false, fn_time},
    {"trunc", 2, 2, "id", GIVES_TIME, false, false, fn_trunc},
    {"upper", 1, 1, "t", GIVES_TEXT, false, false, fn_upper},
    {"utf8len", 1, 1, "t", GIVES_INTEGER, false, false, fn_utf8len},
    {"weekday", 1, 1, "i", GIVES_INTEGER, false, false, fn_weekday},
};

const struct fn *fn_find(struct bytes name, struct arena *a, const char **like)
{
    struct suggestion s = {.name = (const char *)arena_copy(a, name).p};

    *like = "";
    for (size_t i = 0; i < ARRAY_LEN(fns); i++) {
        if (bytes_eq_str(name, fns[i].name))
            return &fns[i];
        suggest(&s, fns[i].name);
    }
    *like = arena_strdup(a, suggest_text(&s));
    return NULL;
}

char fn_letter(const struct fn *fn, int i)
{
    size_t last = strlen(fn->takes) - 1;

    return fn->takes[(size_t)i < last ? (size_t)i : last];
}

const char *fn_wants(const struct fn *fn, int i)
{
    switch (fn_letter(fn, i)) {
    case 't':
        return "text";
    case 'n':
        return "number";
    case 'i':
        return "integer";
    case 'd':
        return "text or an integer";
    case 'c':
        return "text or an array";
    case 's':
        return "text or a number";
    default:
        return "anything";
    }
}

static int check_arg(const struct fn *fn, int i, const struct value *v, struct err *e)
{
    bool fine, integer = v->type == VALUE_INT;
    char letter = fn_letter(fn, i);
    const char *have = v->type == VALUE_FLOAT && letter != 't' ? "a fractional number"
                                                               : value_type_name(v);

    switch (letter) {
    case 't':
        fine = is_text(v);
        break;
    case 'n':
        fine = integer || v->type == VALUE_FLOAT || v->type == VALUE_DECIMAL;
        break;
    case 'i':
        fine = integer;
        break;
    case 'd':
        fine = integer || is_text(v);
        break;
    default:
        return 0;
    }
    if (fine)
        return 0;
    return err_set(e, LEAT_ETYPE, "argument %d must be %s, not %s", i + 1, fn_wants(fn, i), have);
}

int fn_check_constant(const struct fn *fn, const struct call *c)
{
    const struct value *v = &c->args[1];
    int64_t step;

    if (fn->call != fn_trunc || (v->type != VALUE_INT && v->type != VALUE_TEXT))
        return 0;
    return step_of(c, &step);
}

int fn_call(const struct fn *fn, const struct call *c, struct value *out)
{
    for (int i = 0; i < (fn->nil_first_only ? 1 : c->n); i++)
        if (value_is_nil(&c->args[i]))
            return give(out, VALUE_OF_NULL);
    for (int i = 0; i < c->n; i++) {
        int rc = check_arg(fn, i, &c->args[i], c->e);
        if (rc != 0)
            return rc;
    }
    return fn->call(c, out);
}
