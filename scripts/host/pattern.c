// SPDX-License-Identifier: Apache-2.0
//
// Lua's patterns, matched under a budget of steps: the stock matcher backtracks without end inside
// one C call, where no hook can stop it ("a-" thirty times over, ".-.-.-.-b").
//
// The text is first compiled into a list of items; matching walks the list by index:
//
//   single  a byte, any byte, or a set of bytes (256 bits), with  none ? * + -
//   open ( , position () , close )      captures
//   balance %bxy, frontier %f[set], back-reference %1, end $
//
// match_here(i, pos) runs item after item in a loop and recurses only where it may have to come
// back (quantifiers and captures). Each recursion goes on with a higher item, so the depth is
// bounded by the pattern, not by the subject; PATTERN_DEPTH_MAX bounds it again for the C stack.
#include "scripts/host/pattern.h"

#include <ctype.h>

enum item_kind {
    ITEM_SINGLE,
    ITEM_OPEN,
    ITEM_POSITION,
    ITEM_CLOSE,
    ITEM_BALANCE,
    ITEM_FRONTIER,
    ITEM_BACK,
    ITEM_END,  // $ at the end of the pattern
    ITEM_DONE, // behind the last item
};

enum single_kind { SINGLE_BYTE, SINGLE_ANY, SINGLE_SET };

struct item {
    uint8_t kind;
    uint8_t single;
    char quantifier; // 0 ? * + -
    uint8_t a, b;    // the byte; %b's two; the back-reference's number
    uint32_t set[8];
};

struct pattern {
    bool anchored;
    size_t n;
    struct item items[];
};

struct compiler {
    struct bytes text;
    size_t at;
    struct pattern *p;
    int open; // captures not closed
    int n_captures;
    struct err *e;
};

size_t pattern_size(struct bytes text)
{
    return sizeof(struct pattern) + (text.n + 1) * sizeof(struct item);
}

bool pattern_anchored(const struct pattern *p)
{
    return p->anchored;
}

static void set_add(uint32_t set[8], int c)
{
    set[c / 32] |= UINT32_C(1) << (c % 32);
}

static bool set_has(const uint32_t set[8], uint8_t c)
{
    return (set[c / 32] >> (c % 32)) & 1;
}

static bool class_has(int class, int c)
{
    switch (tolower(class)) {
    case 'a':
        return isalpha(c);
    case 'c':
        return iscntrl(c);
    case 'd':
        return isdigit(c);
    case 'g':
        return isgraph(c);
    case 'l':
        return islower(c);
    case 'p':
        return ispunct(c);
    case 's':
        return isspace(c);
    case 'u':
        return isupper(c);
    case 'w':
        return isalnum(c);
    default:
        return isxdigit(c); // x
    }
}

static bool is_class(int c)
{
    return c != 0 && strchr("acdglpsuwxACDGLPSUWX", c) != NULL;
}

// %x where x is a class letter adds the class, else the byte itself.
static void set_add_escape(uint32_t set[8], int x)
{
    if (!is_class(x)) {
        set_add(set, x);
        return;
    }
    for (int c = 0; c < 256; c++) {
        if (class_has(x, c) == (islower(x) != 0))
            set_add(set, c);
    }
}

static int compile_set(struct compiler *c, uint32_t set[8])
{
    const uint8_t *t = c->text.p;
    size_t n = c->text.n;
    bool complement = c->at < n && t[c->at] == '^';
    bool first = true;

    if (complement)
        c->at++;
    for (; c->at < n && (t[c->at] != ']' || first); first = false) {
        int from = t[c->at++];
        if (from == '%') {
            if (c->at >= n)
                return err_set(c->e, LEAT_EINVAL, "malformed pattern (ends with '%%')");
            set_add_escape(set, t[c->at++]);
        } else if (c->at + 1 < n && t[c->at] == '-' && t[c->at + 1] != ']') {
            for (int x = from; x <= t[c->at + 1]; x++)
                set_add(set, x);
            c->at += 2;
        } else {
            set_add(set, from);
        }
    }
    if (c->at >= n)
        return err_set(c->e, LEAT_EINVAL, "malformed pattern (missing ']')");
    c->at++;
    for (int i = 0; complement && i < 8; i++)
        set[i] = ~set[i];
    return 0;
}

static int compile_capture(struct compiler *c, struct item *it)
{
    it->kind = ITEM_OPEN;
    if (c->at < c->text.n && c->text.p[c->at] == ')') {
        it->kind = ITEM_POSITION;
        c->at++;
    } else {
        c->open++;
    }
    if (++c->n_captures > PATTERN_CAPTURES_MAX)
        return err_set(c->e, LEAT_EINVAL, "too many captures");
    return 0;
}

static int compile_escape(struct compiler *c, struct item *it)
{
    const uint8_t *t = c->text.p;
    int x;

    if (c->at >= c->text.n)
        return err_set(c->e, LEAT_EINVAL, "malformed pattern (ends with '%%')");
    x = t[c->at++];
    if (x == 'b') {
        if (c->text.n - c->at < 2)
            return err_set(c->e, LEAT_EINVAL, "malformed pattern (missing arguments to '%%b')");
        *it = (struct item){.kind = ITEM_BALANCE, .a = t[c->at], .b = t[c->at + 1]};
        c->at += 2;
    } else if (x == 'f') {
        if (c->at >= c->text.n || t[c->at] != '[')
            return err_set(c->e, LEAT_EINVAL, "missing '[' after '%%f' in pattern");
        c->at++;
        it->kind = ITEM_FRONTIER;
        return compile_set(c, it->set);
    } else if (isdigit(x)) {
        *it = (struct item){.kind = ITEM_BACK, .a = (uint8_t)(x - '1')};
        if (x == '0' || it->a >= c->n_captures)
            return err_set(c->e, LEAT_EINVAL, "invalid capture index %%%c", x);
    } else if (is_class(x)) {
        it->single = SINGLE_SET;
        set_add_escape(it->set, x);
    } else {
        it->a = (uint8_t)x;
    }
    return 0;
}

static int compile_item(struct compiler *c, struct item *it)
{
    int x = c->text.p[c->at++];
    int rc = 0;

    *it = (struct item){.kind = ITEM_SINGLE, .single = SINGLE_BYTE, .a = (uint8_t)x};
    if (x == '(') {
        return compile_capture(c, it);
    } else if (x == ')') {
        it->kind = ITEM_CLOSE;
        if (c->open-- == 0)
            return err_set(c->e, LEAT_EINVAL, "invalid pattern capture");
        return 0;
    } else if (x == '$' && c->at == c->text.n) {
        it->kind = ITEM_END;
        return 0;
    } else if (x == '%') {
        rc = compile_escape(c, it);
    } else if (x == '[') {
        it->single = SINGLE_SET;
        rc = compile_set(c, it->set);
    } else if (x == '.') {
        it->single = SINGLE_ANY;
    }
    if (rc == 0 && it->kind == ITEM_SINGLE && c->at < c->text.n &&
        memchr("?*+-", c->text.p[c->at], 4) != NULL)
        it->quantifier = (char)c->text.p[c->at++];
    return rc;
}

int pattern_compile(struct pattern *p, struct bytes text, struct err *e)
{
    struct compiler c = {.text = text, .p = p, .e = e};
    int rc;

    p->anchored = text.n > 0 && text.p[0] == '^';
    p->n = 0;
    c.at = p->anchored ? 1 : 0;
    while (c.at < text.n) {
        rc = compile_item(&c, &p->items[p->n++]);
        if (rc != 0)
            return rc;
    }
    p->items[p->n] = (struct item){.kind = ITEM_DONE};
    return c.open == 0 ? 0 : err_set(e, LEAT_EINVAL, "unfinished capture");
}

struct matcher {
    const struct pattern *p;
    struct bytes s;
    int64_t steps;
    int depth;
    int rc; // LEAT_EBUDGET or LEAT_EINVAL: give up
    struct pattern_match *m;
};

#define NO_MATCH ((size_t)-1)

static size_t match_here(struct matcher *x, size_t i, size_t pos);

static bool single_has(const struct item *it, uint8_t c)
{
    return it->single == SINGLE_ANY ||
           (it->single == SINGLE_BYTE ? it->a == c : set_has(it->set, c));
}

// The rest of the pattern, one level deeper.
static size_t match_deeper(struct matcher *x, size_t i, size_t pos)
{
    size_t end;

    if (x->depth >= PATTERN_DEPTH_MAX) {
        x->rc = LEAT_EINVAL;
        return NO_MATCH;
    }
    x->depth++;
    end = match_here(x, i, pos);
    x->depth--;
    return end;
}

static size_t match_longest(struct matcher *x, size_t i, size_t pos, size_t least)
{
    const struct item *it = &x->p->items[i];
    size_t n = 0, end;

    while (pos + n < x->s.n && single_has(it, x->s.p[pos + n]))
        n++;
    x->steps -= (int64_t)n;
    for (; n + 1 > least; n--) {
        end = match_deeper(x, i + 1, pos + n);
        if (end != NO_MATCH || x->rc != 0)
            return end;
        if (n == 0)
            break;
    }
    return NO_MATCH;
}

static size_t match_shortest(struct matcher *x, size_t i, size_t pos)
{
    const struct item *it = &x->p->items[i];
    size_t end;

    for (;; pos++) {
        end = match_deeper(x, i + 1, pos);
        if (end != NO_MATCH || x->rc != 0)
            return end;
        if (pos >= x->s.n || !single_has(it, x->s.p[pos]))
            return NO_MATCH;
    }
}

static size_t match_open(struct matcher *x, size_t i, size_t pos, ptrdiff_t n)
{
    struct pattern_match *m = x->m;
    size_t end;

    m->captures[m->n_captures++] = (struct pattern_capture){pos, n};
    end = match_deeper(x, i + 1, pos);
    if (end == NO_MATCH)
        m->n_captures--;
    return end;
}

static size_t match_close(struct matcher *x, size_t i, size_t pos)
{
    struct pattern_match *m = x->m;
    int k = m->n_captures - 1;
    size_t end;

    while (m->captures[k].n != CAPTURE_OPEN) // the compiler has counted: there is one
        k--;
    m->captures[k].n = (ptrdiff_t)(pos - m->captures[k].pos);
    end = match_deeper(x, i + 1, pos);
    if (end == NO_MATCH)
        m->captures[k].n = CAPTURE_OPEN;
    return end;
}

// Past %bxy, or NO_MATCH.
static size_t skip_balance(struct matcher *x, const struct item *it, size_t pos)
{
    int64_t depth = 1;

    if (pos >= x->s.n || x->s.p[pos] != it->a)
        return NO_MATCH;
    for (pos++; pos < x->s.n; pos++) {
        uint8_t c = x->s.p[pos];
        x->steps--;
        if (c == it->b && --depth == 0)
            return pos + 1;
        if (c == it->a && c != it->b)
            depth++;
    }
    return NO_MATCH;
}

static size_t skip_back(struct matcher *x, const struct item *it, size_t pos)
{
    const struct pattern_capture *c = &x->m->captures[it->a];

    if (it->a >= x->m->n_captures || c->n == CAPTURE_OPEN) {
        x->rc = LEAT_EINVAL;
        return NO_MATCH;
    }
    if (c->n == CAPTURE_POSITION)
        return NO_MATCH;
    x->steps -= c->n;
    if (x->s.n - pos < (size_t)c->n ||
        !bytes_eq(bytes_of(x->s.p + pos, (size_t)c->n), bytes_of(x->s.p + c->pos, (size_t)c->n)))
        return NO_MATCH;
    return pos + (size_t)c->n;
}

static bool at_frontier(const struct matcher *x, const struct item *it, size_t pos)
{
    uint8_t before = pos == 0 ? 0 : x->s.p[pos - 1];
    uint8_t here = pos < x->s.n ? x->s.p[pos] : 0;

    return !set_has(it->set, before) && set_has(it->set, here);
}

// Items that take a piece of the subject and never come back: where to go on, or NO_MATCH.
static size_t skip_item(struct matcher *x, const struct item *it, size_t pos)
{
    switch (it->kind) {
    case ITEM_SINGLE:
        return pos < x->s.n && single_has(it, x->s.p[pos]) ? pos + 1 : NO_MATCH;
    case ITEM_BALANCE:
        return skip_balance(x, it, pos);
    case ITEM_FRONTIER:
        return at_frontier(x, it, pos) ? pos : NO_MATCH;
    case ITEM_BACK:
        return skip_back(x, it, pos);
    case ITEM_END:
        return pos == x->s.n ? pos : NO_MATCH;
    default:
        UNREACHABLE("captures and the end are handled by match_here");
    }
}

static size_t match_quantified(struct matcher *x, size_t i, size_t pos)
{
    const struct item *it = &x->p->items[i];
    size_t end;

    switch (it->quantifier) {
    case '*':
        return match_longest(x, i, pos, 0);
    case '+':
        return match_longest(x, i, pos, 1);
    case '-':
        return match_shortest(x, i, pos);
    default: // ?
        if (pos < x->s.n && single_has(it, x->s.p[pos])) {
            end = match_deeper(x, i + 1, pos + 1);
            if (end != NO_MATCH || x->rc != 0)
                return end;
        }
        return match_deeper(x, i + 1, pos);
    }
}

static size_t match_here(struct matcher *x, size_t i, size_t pos)
{
    for (;; i++) {
        const struct item *it = &x->p->items[i];

        if (--x->steps <= 0)
            x->rc = LEAT_EBUDGET;
        if (x->rc != 0)
            return NO_MATCH;
        if (it->kind == ITEM_DONE)
            return pos;
        if (it->kind == ITEM_OPEN)
            return match_open(x, i, pos, CAPTURE_OPEN);
        if (it->kind == ITEM_POSITION)
            return match_open(x, i, pos, CAPTURE_POSITION);
        if (it->kind == ITEM_CLOSE)
            return match_close(x, i, pos);
        if (it->quantifier != 0)
            return match_quantified(x, i, pos);
        pos = skip_item(x, it, pos);
        if (pos == NO_MATCH)
            return NO_MATCH;
    }
}

int pattern_find(const struct pattern *p, struct bytes subject, size_t from, int64_t *steps,
                 struct pattern_match *m, struct err *e)
{
    struct matcher x = {.p = p, .s = subject, .steps = *steps, .m = m};
    size_t end = NO_MATCH;

    ASSERT(from <= subject.n);
    for (size_t pos = from; pos <= subject.n && x.rc == 0; pos++) {
        m->n_captures = 0;
        m->start = pos;
        end = match_here(&x, 0, pos);
        if (end != NO_MATCH || p->anchored)
            break;
    }
    *steps = x.steps > 0 ? x.steps : 0;
    if (x.rc == LEAT_EBUDGET)
        return err_set(e, LEAT_EBUDGET, "pattern matching takes too many steps");
    if (x.rc != 0)
        return err_set(e, LEAT_EINVAL, "pattern too complex");
    m->end = end;
    return end != NO_MATCH;
}
