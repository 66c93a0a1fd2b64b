// SPDX-License-Identifier: Apache-2.0
//
// matches(text, pattern): Lua 5.4's patterns, with two bounds that Lua does not have: how deep it
// may recurse and how many steps it may take, so that a pattern such as ".-.-.-.-x" cannot hold up
// a job. Classes are ASCII in every locale. Captures are understood (they may be referred to by %1)
// but not returned.
#include "runtime/expr/ast.h"

enum { STEPS_MAX = 1000000, DEPTH_MAX = 200, CAPTURES_MAX = 32 };

struct capture {
    const uint8_t *start;
    ptrdiff_t n; // -1: still open, -2: a position
};

struct matcher {
    const uint8_t *text, *text_end, *pattern_end;
    struct capture captures[CAPTURES_MAX];
    int n_captures, steps, depth;
    const char *problem; // set: stop
};

static const uint8_t *match(struct matcher *m, const uint8_t *s, const uint8_t *p);

static const uint8_t *give_up(struct matcher *m, const char *why)
{
    if (m->problem == NULL)
        m->problem = why;
    return NULL;
}

// Behind the single character class at p.
static const uint8_t *class_end(struct matcher *m, const uint8_t *p)
{
    uint8_t c = *p++;

    if (c == '%')
        return p == m->pattern_end ? give_up(m, "it ends with '%'") : p + 1;
    if (c != '[')
        return p;
    if (p < m->pattern_end && *p == '^')
        p++;
    do { // a ']' right at the start is itself
        if (p == m->pattern_end)
            return give_up(m, "a '[' is not closed");
        c = *p++;
        if (c == '%') {
            if (p == m->pattern_end)
                return give_up(m, "a '[' is not closed");
            p++;
        }
    } while (p == m->pattern_end || *p != ']');
    return p + 1;
}

static bool between(uint8_t c, uint8_t low, uint8_t high)
{
    return c >= low && c <= high;
}

static bool in_class(uint8_t c, uint8_t class)
{
    bool lower = between(c, 'a', 'z'), upper = between(c, 'A', 'Z'), digit = between(c, '0', '9'),
         in;

    switch (class | 0x20) {
    case 'a':
        in = lower || upper;
        break;
    case 'c':
        in = c < 0x20 || c == 0x7f;
        break;
    case 'd':
        in = digit;
        break;
    case 'g':
        in = between(c, 0x21, 0x7e);
        break;
    case 'l':
        in = lower;
        break;
    case 'p':
        in = between(c, 0x21, 0x7e) && !lower && !upper && !digit;
        break;
    case 's':
        in = c == ' ' || between(c, '\t', '\r');
        break;
    case 'u':
        in = upper;
        break;
    case 'w':
        in = lower || upper || digit;
        break;
    case 'x':
        in = digit || between(c | 0x20, 'a', 'f');
        break;
    default:
        return class == c;
    }
    return in == ((class & 0x20) != 0);
}

// p at '[', end at its ']'.
static bool in_set(uint8_t c, const uint8_t *p, const uint8_t *end)
{
    bool sense = true;

    if (p[1] == '^') {
        sense = false;
        p++;
    }
    while (++p < end) {
        if (*p == '%') {
            if (in_class(c, *++p))
                return sense;
        } else if (end - p > 2 && p[1] == '-') {
            if (between(c, p[0], p[2]))
                return sense;
            p += 2;
        } else if (*p == c) {
            return sense;
        }
    }
    return !sense;
}

static bool single(const struct matcher *m, const uint8_t *s, const uint8_t *p, const uint8_t *ep)
{
    if (s >= m->text_end)
        return false;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(*s, p[1]);
    case '[':
        return in_set(*s, p, ep - 1);
    default:
        return *p == *s;
    }
}

static const uint8_t *match_balance(struct matcher *m, const uint8_t *s, const uint8_t *p)
{
    int depth = 1;

    if (m->pattern_end - p < 2)
        return give_up(m, "'%b' wants two characters");
    if (s >= m->text_end || *s != p[0])
        return NULL;
    for (s++; s < m->text_end; s++) {
        m->steps++;
        if (*s == p[1]) {
            if (--depth == 0)
                return s + 1;
        } else if (*s == p[0]) {
            depth++;
        }
    }
    return NULL;
}

static const uint8_t *max_expand(struct matcher *m, const uint8_t *s, const uint8_t *p,
                                 const uint8_t *ep)
{
    ptrdiff_t i = 0;

    while (single(m, s + i, p, ep))
        i++;
    m->steps += i < STEPS_MAX ? (int)i : STEPS_MAX;
    for (; i >= 0 && m->problem == NULL; i--) {
        const uint8_t *r = match(m, s + i, ep + 1);
        if (r != NULL)
            return r;
    }
    return NULL;
}

static const uint8_t *min_expand(struct matcher *m, const uint8_t *s, const uint8_t *p,
                                 const uint8_t *ep)
{
    while (m->problem == NULL) {
        const uint8_t *r = match(m, s, ep + 1);
        if (r != NULL)
            return r;
        if (!single(m, s, p, ep))
            return NULL;
        s++;
    }
    return NULL;
}

static const uint8_t *start_capture(struct matcher *m, const uint8_t *s, const uint8_t *p,
                                    ptrdiff_t what)
{
    const uint8_t *r;

    if (m->n_captures == CAPTURES_MAX)
        return give_up(m, "more than 32 captures");
    m->captures[m->n_captures++] = (struct capture){s, what};
    r = match(m, s, p);
    if (r == NULL)
        m->n_captures--;
    return r;
}

static const uint8_t *end_capture(struct matcher *m, const uint8_t *s, const uint8_t *p)
{
    int i = m->n_captures - 1;
    const uint8_t *r;

    while (i >= 0 && m->captures[i].n != -1)
        i--;
    if (i < 0)
        return give_up(m, "a ')' that closes nothing");
    m->captures[i].n = s - m->captures[i].start;
    r = match(m, s, p);
    if (r == NULL)
        m->captures[i].n = -1;
    return r;
}

static const uint8_t *match_capture(struct matcher *m, const uint8_t *s, uint8_t digit)
{
    int i = digit - '1';

    if (i < 0 || i >= m->n_captures || m->captures[i].n < 0)
        return give_up(m, "%1 to %9 must name a closed capture");
    if (m->text_end - s < m->captures[i].n ||
        memcmp(m->captures[i].start, s, (size_t)m->captures[i].n) != 0)
        return NULL;
    return s + m->captures[i].n;
}

static const uint8_t *match_frontier(struct matcher *m, const uint8_t *s, const uint8_t *p)
{
    uint8_t before = s == m->text ? 0 : s[-1], after = s < m->text_end ? *s : 0;
    const uint8_t *ep;

    if (p == m->pattern_end || *p != '[')
        return give_up(m, "'%f' wants a '['");
    ep = class_end(m, p);
    if (ep == NULL || in_set(before, p, ep - 1) || !in_set(after, p, ep - 1))
        return NULL;
    return match(m, s, ep);
}

// A class with its repetition.
static const uint8_t *match_repeated(struct matcher *m, const uint8_t *s, const uint8_t *p)
{
    const uint8_t *ep = class_end(m, p), *r;
    uint8_t suffix;

    if (ep == NULL)
        return NULL;
    suffix = ep < m->pattern_end ? *ep : 0;
    if (suffix == '*')
        return max_expand(m, s, p, ep);
    if (suffix == '-')
        return min_expand(m, s, p, ep);
    if (suffix == '+')
        return single(m, s, p, ep) ? max_expand(m, s + 1, p, ep) : NULL;
    if (suffix == '?') {
        r = single(m, s, p, ep) ? match(m, s + 1, ep + 1) : NULL;
        return r != NULL ? r : match(m, s, ep + 1);
    }
    return single(m, s, p, ep) ? match(m, s + 1, ep) : NULL;
}

static const uint8_t *match_here(struct matcher *m, const uint8_t *s, const uint8_t *p)
{
    const uint8_t *end = m->pattern_end;

    if (p == end)
        return s;
    if (*p == '(')
        return end - p > 1 && p[1] == ')' ? start_capture(m, s, p + 2, -2)
                                          : start_capture(m, s, p + 1, -1);
    if (*p == ')')
        return end_capture(m, s, p + 1);
    if (*p == '$' && end - p == 1)
        return s == m->text_end ? s : NULL;
    if (*p == '%' && end - p > 1) {
        if (p[1] == 'b') {
            s = match_balance(m, s, p + 2);
            return s != NULL ? match(m, s, p + 4) : NULL;
        }
        if (p[1] == 'f')
            return match_frontier(m, s, p + 2);
        if (between(p[1], '0', '9')) {
            s = match_capture(m, s, p[1]);
            return s != NULL ? match(m, s, p + 2) : NULL;
        }
    }
    return match_repeated(m, s, p);
}

static const uint8_t *match(struct matcher *m, const uint8_t *s, const uint8_t *p)
{
    const uint8_t *r;

    // A run of plain characters is walked here: recursion is for choices.
    while (p < m->pattern_end && strchr("%()[.*+-?$", *p) == NULL && *p != 0 &&
           (m->pattern_end - p == 1 || strchr("*+-?", p[1]) == NULL || p[1] == 0)) {
        if (s >= m->text_end || *s != *p)
            return NULL;
        s++;
        p++;
    }
    if (++m->steps > STEPS_MAX || ++m->depth > DEPTH_MAX)
        return give_up(m, "it takes too many steps");
    r = match_here(m, s, p);
    m->depth--;
    return r;
}

int pattern_matches(struct bytes text, struct bytes pattern, struct err *e)
{
    static const uint8_t nothing = 0;
    const uint8_t *s = text.n > 0 ? text.p : &nothing, *p = pattern.n > 0 ? pattern.p : &nothing;
    struct matcher m = {.text = s, .text_end = s + text.n, .pattern_end = p + pattern.n};
    bool anchor = pattern.n > 0 && *p == '^', found;

    do {
        m.n_captures = m.depth = 0;
        found = match(&m, s, p + anchor) != NULL;
    } while (!found && !anchor && m.problem == NULL && s++ < m.text_end);
    if (m.problem != NULL)
        return err_set(e, LEAT_ETYPE, "pattern '%.*s': %s", (int)(pattern.n < 60 ? pattern.n : 60),
                       (const char *)pattern.p, m.problem);
    return found;
}
