// SPDX-License-Identifier: Apache-2.0
//
// Reading out of JSON that json_scan has checked: stepping over the members of a document, and
// making values of lazy tokens. The bytes are trusted to be well-formed but never past their end.
#include "runtime/record/fieldplan.h"

#include "runtime/base/number.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// The first quote or backslash from p on.
static const uint8_t *find_quote(const uint8_t *p, const uint8_t *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                   _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

// From behind the opening quote to behind the closing one.
static const uint8_t *skip_text(const uint8_t *p, const uint8_t *end, bool *escaped)
{
    for (;;) {
        p = find_quote(p, end);
        if (p >= end)
            return end;
        if (*p == '"')
            return p + 1;
        *escaped = true;
        p = end - p >= 2 ? p + 2 : end;
    }
}

// From the opening bracket to behind the closing one.
static const uint8_t *skip_nested(const uint8_t *p, const uint8_t *end)
{
    bool escaped;
    int depth = 0;

    while (p < end) {
        uint8_t c = *p++;
        if (c == '"')
            p = skip_text(p, end, &escaped);
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return p;
}

int json_depth(struct bytes doc)
{
    const uint8_t *p = doc.p, *end = doc.p + doc.n;
    int depth = 0, deepest = 0;
    bool escaped;

    while (p < end) {
        uint8_t c = *p++;
        if (c == '"')
            p = skip_text(p, end, &escaped);
        else if (c == '{' || c == '[')
            deepest = ++depth > deepest ? depth : deepest;
        else if (c == '}' || c == ']')
            depth--;
    }
    return deepest;
}

static bool is_scalar_byte(uint8_t c)
{
    return c > ' ' && c != ',' && c != ']' && c != '}';
}

// The token at p; returns what lies behind it.
static const uint8_t *take_token(const uint8_t *p, const uint8_t *end, struct value *out)
{
    const uint8_t *first = p;
    bool escaped = false;

    switch (*p) {
    case '"':
        p = skip_text(p + 1, end, &escaped);
        if (escaped)
            token_set(out, VALUE_LAZY, FORMAT_JSON, first, p);
        else
            token_set(out, VALUE_TEXT, FORMAT_JSON, first + 1, p - 1);
        return p;
    case '{':
    case '[':
        p = skip_nested(p, end);
        token_set(out, *first == '{' ? VALUE_DOC_OBJECT : VALUE_DOC_ARRAY, FORMAT_JSON, first, p);
        return p;
    default:
        while (p < end && is_scalar_byte(*p))
            p++;
        p = p == first ? end : p; // only if the document was never checked: end rather than loop
        if (*first == 't' || *first == 'f')
            *out = value_bool(*first == 't');
        else if (*first == 'n')
            *out = VALUE_OF_NULL;
        else
            token_set(out, VALUE_LAZY, FORMAT_JSON, first, p);
        return p;
    }
}

// Over spaces and the one separator that a checked document has here.
static const uint8_t *skip_between(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p <= ' ' || *p == ',' || *p == ':'))
        p++;
    return p;
}

struct bytes json_open(const struct value *doc)
{
    ASSERT(doc->s.n >= 2);
    return bytes_of(doc->s.p + 1, doc->s.n - 2);
}

int json_next(struct bytes *rest, bool object, struct value *name, struct value *out)
{
    const uint8_t *end = rest->p + rest->n, *p = skip_between(rest->p, end);

    if (p < end && object)
        p = skip_between(take_token(p, end, name), end);
    if (p >= end) {
        *rest = bytes_of(end, 0);
        return 0;
    }
    p = take_token(p, end, out);
    *rest = bytes_of(p, (size_t)(end - p));
    return 1;
}

static int force_text(struct value *v, struct arena *a, struct err *e)
{
    uint8_t *plain = arena_try_alloc(a, v->s.n);

    if (plain == NULL)
        return err_set(e, LEAT_ENOMEM, "out of memory for a text of %zu bytes", v->s.n);
    *v = value_text(bytes_of(plain, json_unescape(v->s, plain)));
    return 0;
}

static bool is_real(struct bytes token)
{
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] == '.' || (token.p[i] | 0x20) == 'e')
            return true;
    return false;
}

int json_force(struct value *v, struct arena *a, struct err *e)
{
    struct bytes token = v->s;
    int64_t i;
    double f;
    int rc;

    if (token.n > 0 && token.p[0] == '"')
        return force_text(v, a, e);
    rc = number_parse_int(token, &i);
    if (rc == 0) {
        *v = value_int(i);
        return 0;
    }
    if (!is_real(token))
        return err_set(e, LEAT_ENUMBER, "integer %.*s does not fit into 64 bits",
                       (int)(token.n < 40 ? token.n : 40), (const char *)token.p);
    rc = number_parse_float(token, &f);
    if (rc != 0)
        return err_set(e, rc == LEAT_ENOMEM ? rc : LEAT_ENUMBER, "number %.*s is out of range",
                       (int)(token.n < 40 ? token.n : 40), (const char *)token.p);
    *v = value_float(f);
    return 0;
}
