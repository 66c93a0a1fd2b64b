// SPDX-License-Identifier: Apache-2.0
//
// Stage 2 of reading JSON: one walk over the token positions of stage 1 (json_index.h) that checks
// the whole text and, beside it, walks down the field plan, so that each planned path's token ends
// in its slot.
//
// Checked: structure, literals, number grammar, escapes (a lone surrogate is refused: it has no
// UTF-8), control characters in strings, UTF-8, depth, nothing behind the value. Not checked:
// whether a number fits; that is the business of whoever reads it. Duplicate names: the last wins.
//
// Tokens: text without escapes is VALUE_TEXT; numbers and escaped text are VALUE_LAZY, told apart
// by their first byte (escaped text keeps its quotes); objects and arrays are documents.
#include "runtime/record/fieldplan.h"

#include "runtime/base/limits.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "runtime/record/json_index.h"

struct json_scanner {
    struct json_index index;
    struct slots *slots;
    struct err *e;
    int depth;
};

static int bad(struct json_scanner *s, size_t pos, const char *why)
{
    if (pos >= s->index.n)
        return err_set(s->e, LEAT_EDECODE, "invalid JSON: it ends after byte %zu: %s", s->index.n,
                       why);
    return err_set(s->e, LEAT_EDECODE, "invalid JSON at byte %zu: %s", pos, why);
}

// The byte at a token's position; 0, which starts no token, at the end.
static inline uint8_t peek(const struct json_scanner *s, uint32_t pos)
{
    return pos < s->index.n ? s->index.p[pos] : 0;
}

static inline void set_token(struct value *out, enum value_type type, const uint8_t *p, size_t n)
{
    token_set(out, type, FORMAT_JSON, p, p + n);
}

static inline bool ends_token(uint8_t c)
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (uint8_t)(*p - '0') <= 9)
        p++;
    return p;
}

// The same for plain numbers of up to 15 bytes (-12.5, 1700000000000) without a branch per digit;
// NULL says only that this one is not plain.
static inline const uint8_t *plain_number_end(const uint8_t *p, const uint8_t *end)
{
#if defined(__SSE2__)
    const __m128i nine = _mm_set1_epi8(9);
    unsigned minus, body, dots, n;
    __m128i v, digits;

    if (end - p < 16)
        return NULL;
    v = _mm_loadu_si128((const __m128i *)(const void *)p);
    digits = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    digits = _mm_cmpeq_epi8(_mm_min_epu8(digits, nine), digits);
    dots = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
    minus = *p == '-';
    body = ((unsigned)_mm_movemask_epi8(digits) | dots) >> minus;
    n = (unsigned)__builtin_ctz(~body);
    dots = dots >> minus & ((1u << n) - 1);
    // A digit at both ends, one point at most, no leading zero.
    if (n == 0 || n + minus >= 16 || (dots & (dots - 1)) != 0 || (dots & 1) != 0 ||
        dots >> (n - 1) != 0 || (p[minus] == '0' && n > 1 && (dots & 2) == 0))
        return NULL;
    p += minus + n;
    return ends_token(*p) ? p : NULL;
#else
    (void)end;
    return p == end ? p : NULL;
#endif
}

// The end of the number at p, or NULL.
static const uint8_t *number_end(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *first;

    p += *p == '-';
    first = p;
    p = skip_digits(p, end);
    if (p == first || (*first == '0' && p - first > 1))
        return NULL;
    if (p < end && *p == '.') {
        first = ++p;
        p = skip_digits(p, end);
        if (p == first)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        first = p;
        p = skip_digits(p, end);
        if (p == first)
            return NULL;
    }
    return p == end || ends_token(*p) ? p : NULL;
}

static int scan_number(struct json_scanner *s, uint32_t at, struct value *out)
{
    const uint8_t *p = s->index.p + at, *last = s->index.p + s->index.n;
    const uint8_t *end = plain_number_end(p, last);

    if (end == NULL)
        end = number_end(p, last);
    if (end == NULL)
        return bad(s, at, "not a number");
    set_token(out, VALUE_LAZY, p, (size_t)(end - p));
    return 0;
}

static int scan_literal(struct json_scanner *s, uint32_t at, struct value *out)
{
    const uint8_t *p = s->index.p + at;
    size_t left = s->index.n - at, n = *p == 'f' ? 5 : 4;

    if (left < n ||
        memcmp(p,
               n == 5      ? "false"
               : *p == 't' ? "true"
                           : "null",
               n) != 0 ||
        (left > n && !ends_token(p[n])))
        return bad(s, at, "unknown word");
    *out = *p == 'n' ? VALUE_OF_NULL : value_bool(*p == 't');
    return 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The four hex digits at p, or -1.
static int32_t hex_unit(const uint8_t *p, const uint8_t *end)
{
    int32_t unit = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

// The code point of the \u escape whose hex digits start at *p (a pair of them for surrogates), or
// -1.
static int32_t hex_code_point(const uint8_t **p, const uint8_t *end)
{
    int32_t high = hex_unit(*p, end), low;

    if (high < 0)
        return -1;
    *p += 4;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -1;
    low = hex_unit(*p + 2, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *p += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(int32_t c, uint8_t *to)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

// The character that \c stands for, 0 for none.
static uint8_t escape_of(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

// One escape: *p stands behind the backslash. Returns its bytes' count in `to` (4 of room), 0 if
// there is no such.
static size_t unescape_one(const uint8_t **p, const uint8_t *end, uint8_t *to)
{
    int32_t c;

    if (*p == end)
        return 0;
    if (**p == 'u') {
        ++*p;
        c = hex_code_point(p, end);
        return c < 0 ? 0 : put_utf8(c, to);
    }
    to[0] = escape_of(*(*p)++);
    return to[0] != 0;
}

static bool escapes_valid(const uint8_t *p, const uint8_t *end)
{
    uint8_t scratch[4];

    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        p++;
        if (unescape_one(&p, end, scratch) == 0)
            return false;
    }
    return true;
}

size_t json_unescape(struct bytes token, uint8_t *to)
{
    const uint8_t *p = token.p + 1, *end = token.p + token.n - 1; // without the quotes
    uint8_t one[4];
    size_t n = 0;

    while (p < end) {
        const uint8_t *back = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((back != NULL ? back : end) - p), more;

        if (to != NULL && plain > 0)
            memcpy(to + n, p, plain);
        n += plain;
        p += plain;
        if (back == NULL)
            break;
        p++;
        more = unescape_one(&p, end, one);
        if (to != NULL)
            memcpy(to + n, one, more);
        n += more;
    }
    return n;
}

static int scan_text(struct json_scanner *s, uint32_t at, struct value *out)
{
    uint32_t close = json_index_next(&s->index);
    const uint8_t *p = s->index.p + at + 1;
    size_t n;

    if (close >= s->index.n)
        return bad(s, close, "a string is not closed");
    n = close - at - 1;
    if (s->index.backslash && n > 0 && memchr(p, '\\', n) != NULL) {
        if (!escapes_valid(p, p + n))
            return bad(s, at, "a string with an escape that does not exist");
        set_token(out, VALUE_LAZY, p - 1, n + 2);
        return 0;
    }
    set_token(out, VALUE_TEXT, p, n);
    return 0;
}

static int scan_object(struct json_scanner *s, uint32_t at, const struct plan_node *node,
                       struct value *out);
static int scan_array(struct json_scanner *s, uint32_t at, const struct plan_node *node,
                      struct value *out);

// The value whose token starts at `at`. node: what the plan wants here and below, or NULL.
static int scan_value(struct json_scanner *s, uint32_t at, const struct plan_node *node,
                      struct value *out)
{
    uint8_t c = peek(s, at);
    int rc;

    if (c == '"')
        rc = scan_text(s, at, out);
    else if (c == '-' || (uint8_t)(c - '0') <= 9)
        rc = scan_number(s, at, out);
    else if (c == '{')
        rc = scan_object(s, at, node, out);
    else if (c == '[')
        rc = scan_array(s, at, node, out);
    else if (c == 't' || c == 'f' || c == 'n')
        rc = scan_literal(s, at, out);
    else
        rc = bad(s, at, "expected a value");
    if (rc == 0 && node != NULL)
        plan_found(node, out, s->slots);
    return rc;
}

// The node of the member whose name token is given. Escaped names are rare and undone in the arena.
static int planned_member(struct json_scanner *s, const struct plan_node *node,
                          const struct value *name, const struct plan_node **child)
{
    uint8_t *plain;

    if (name->type == VALUE_TEXT) {
        *child = plan_member(node, name->s);
        return 0;
    }
    plain = arena_try_alloc(s->slots->arena, name->s.n);
    if (plain == NULL)
        return err_set(s->e, LEAT_ENOMEM, "out of memory for a name of %zu bytes", name->s.n);
    *child = plan_member(node, bytes_of(plain, json_unescape(name->s, plain)));
    return 0;
}

static inline int enter(struct json_scanner *s, uint32_t at)
{
    if (++s->depth <= VALUE_DEPTH_MAX)
        return 0;
    return bad(s, at, "nested deeper than 64");
}

static inline void leave(struct json_scanner *s, uint32_t at, uint32_t close, enum value_type type,
                         struct value *out)
{
    s->depth--;
    set_token(out, type, s->index.p + at, (size_t)close + 1 - at);
}

// Room for one more of the root's members, whose value is to be filled in; NULL: no memory.
static inline struct value *note_member(struct json_scanner *s, struct bytes name)
{
    struct members *m = s->slots->members;

    if (m->object.n == m->cap && members_grow(m, s->slots->arena) != 0)
        return NULL;
    m->object.names[m->object.n] = name;
    return &m->object.values[m->object.n++];
}

static int note_scanned(struct json_scanner *s, const struct value *name, const struct value *value)
{
    struct bytes plain = name->s;
    struct value *to = NULL;

    if (name->type != VALUE_TEXT) {
        uint8_t *p = arena_try_alloc(s->slots->arena, name->s.n);
        plain = p != NULL ? bytes_of(p, json_unescape(name->s, p)) : BYTES_NULL;
    }
    if (!bytes_is_null(plain))
        to = note_member(s, plain);
    if (to == NULL)
        return err_set(s->e, LEAT_ENOMEM, "out of memory for the members of a record");
    *to = *value;
    return 0;
}

// One member; the name's token starts at `at`.
static int scan_member(struct json_scanner *s, uint32_t at, const struct plan_node *node, bool note)
{
    const struct plan_node *child = NULL;
    struct value name, value;
    uint32_t colon;
    int rc;

    if (peek(s, at) != '"')
        return bad(s, at, "expected a member's name");
    rc = scan_text(s, at, &name);
    if (rc != 0)
        return rc;
    if (node != NULL && node->child != NULL)
        rc = planned_member(s, node, &name, &child);
    if (rc != 0)
        return rc;
    if (child != NULL)
        plan_forget(child, s->slots);
    colon = json_index_next(&s->index);
    if (peek(s, colon) != ':')
        return bad(s, colon, "expected ':'");
    rc = scan_value(s, json_index_next(&s->index), child, &value);
    return rc == 0 && note ? note_scanned(s, &name, &value) : rc;
}

// The members that records are made of: a plain name and text or a plain number, all of their
// tokens in the chunk. Says false, with nothing done, for anything else; scan_member knows them
// all, and the errors.
static inline bool scan_flat_member(struct json_scanner *s, uint32_t at,
                                    const struct plan_node *node, bool note, uint32_t *next)
{
    struct json_index *x = &s->index;
    const uint32_t *token = &x->at[x->i_at]; // closing quote, colon, value, ...
    const struct plan_node *child = NULL;
    const uint8_t *p = x->p, *value, *end;
    struct bytes name;
    struct value *noted;
    bool text;

    if (x->n_at - x->i_at < 5 || x->backslash || p[at] != '"' || p[token[1]] != ':')
        return false;
    value = p + token[2];
    text = *value == '"';
    end = text ? p + token[3] : plain_number_end(value, p + x->n);
    if (end == NULL)
        return false;
    name = bytes_of(p + at + 1, token[0] - at - 1);
    if (node != NULL && node->child != NULL)
        child = plan_member(node, name);
    if (child != NULL && child->child != NULL)
        return false;
    if (note) {
        noted = note_member(s, name);
        if (noted == NULL)
            return false; // scan_member says so
        set_token(noted, text ? VALUE_TEXT : VALUE_LAZY, value + text,
                  (size_t)(end - value) - text);
    }
    if (child != NULL) {
        set_token(&s->slots->values[child->slot], text ? VALUE_TEXT : VALUE_LAZY, value + text,
                  (size_t)(end - value) - text);
        s->slots->known[child->slot] = SLOT_TOKEN;
    }
    *next = token[3 + text];
    x->i_at += 4 + (uint32_t)text;
    return true;
}

static int scan_object(struct json_scanner *s, uint32_t at, const struct plan_node *node,
                       struct value *out)
{
    uint32_t next = json_index_next(&s->index);
    int rc = enter(s, at);
    bool note = s->depth == 1 && s->slots != NULL && s->slots->members != NULL;

    if (rc == 0 && peek(s, next) == '}') {
        leave(s, at, next, VALUE_DOC_OBJECT, out);
        return 0;
    }
    while (rc == 0) {
        if (!scan_flat_member(s, next, node, note, &next)) {
            rc = scan_member(s, next, node, note);
            if (rc != 0)
                break;
            next = json_index_next(&s->index);
        }
        if (peek(s, next) == '}') {
            leave(s, at, next, VALUE_DOC_OBJECT, out);
            return 0;
        }
        if (peek(s, next) != ',')
            return bad(s, next, "expected ',' or '}'");
        next = json_index_next(&s->index);
    }
    return rc;
}

static int scan_array(struct json_scanner *s, uint32_t at, const struct plan_node *node,
                      struct value *out)
{
    bool planned = node != NULL && node->child != NULL;
    uint32_t next = json_index_next(&s->index);
    struct value element;
    int rc = enter(s, at);

    if (rc == 0 && peek(s, next) == ']') {
        leave(s, at, next, VALUE_DOC_ARRAY, out);
        return 0;
    }
    for (int64_t i = 1; rc == 0; i++) {
        rc = scan_value(s, next, planned ? plan_element(node, i) : NULL, &element);
        if (rc != 0)
            break;
        next = json_index_next(&s->index);
        if (peek(s, next) == ']') {
            leave(s, at, next, VALUE_DOC_ARRAY, out);
            return 0;
        }
        if (peek(s, next) != ',')
            return bad(s, next, "expected ',' or ']'");
        next = json_index_next(&s->index);
    }
    return rc;
}

int json_scan(struct bytes raw, const struct plan_node *root, struct slots *slots,
              struct value *out, struct err *e)
{
    struct json_scanner s;
    uint32_t first, behind;
    int rc;

    s.slots = slots;
    s.e = e;
    s.depth = 0;
    if (raw.n > UINT32_MAX / 2)
        return err_set(e, LEAT_EDECODE, "JSON of %zu bytes is too large", raw.n);
    json_index_init(&s.index, raw, json_kernel_best());
    first = json_index_next(&s.index);
    rc = scan_value(&s, first, root, out);
    if (rc != 0)
        return rc;
    behind = json_index_next(&s.index);
    if (behind < raw.n)
        return bad(&s, behind, "something follows the value");
    if (s.index.control)
        return bad(&s, first, "a string with a control character that is not escaped");
    if (s.index.high && !bytes_is_utf8(raw))
        return bad(&s, bytes_utf8_prefix(raw), "not UTF-8");
    return 0;
}
