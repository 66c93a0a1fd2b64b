// SPDX-License-Identifier: Apache-2.0
//
// Lua shows no prototypes to C, but lua_dump writes them down. This reads such a dump (Lua 5.4,
// this machine's sizes: it was written by the library we run with, so it is well-formed; it is
// checked all the same, and anything unknown is an error, never a guess).
//
//   header    "\x1bLua" 0x54 0x00, 6 check bytes, sizes of instruction, integer, number, two
//             sample values, number of upvalues
//   function  source, line, last line, parameters, vararg, stack
//             n code (4 bytes each)
//             n constants (type, value)
//             n upvalues (in_stack, index, kind)
//             n functions inside
//             n line deltas, n absolute lines (pc, line), n locals (name, from, to), n upvalue
//             names
//
// Counts are big-endian base 128, the last byte with the high bit set; a string is its length plus
// one, 0 for none.
//
// Two questions. Does it write outside of itself: OP_SETUPVAL or OP_SETTABUP on an upvalue that,
// followed through the enclosing functions of the dump, is not a local of one of them. And what
// does it do: code and constants, for the plan's fingerprint; lines and names are skipped, so that
// comments and moved code do not count.
#include "scripts/host/bytecode.h"

#include <stdio.h>

#include "runtime/base/bytes.h"

#define LUA_VERSION_BYTE 0x54
#define HEADER_FIXED_BYTES 15 // up to and including the three sizes
#define NESTED_MAX 200

enum { OPCODE_SETUPVAL = 10, OPCODE_SETTABUP = 15 };
enum {
    CONST_NIL = 0x00,
    CONST_FALSE = 0x01,
    CONST_TRUE = 0x11,
    CONST_INT = 0x03,
    CONST_FLOAT = 0x13,
    CONST_SHORT = 0x04,
    CONST_LONG = 0x14
};

struct proto {
    const struct proto *outer;
    const uint8_t *upvalues; // 3 bytes each
    size_t n_upvalues;
};

struct reader {
    const uint8_t *p, *end;
    bool bad;
    struct buf *describe; // or
    struct bytecode_write *found;
    bool names_db;
};

static int dump_writer(lua_State *L, const void *p, size_t n, void *ud)
{
    (void)L;
    buf_append(ud, p, n);
    return 0;
}

static const uint8_t *take(struct reader *r, size_t n)
{
    const uint8_t *p = r->p;

    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return p;
}

static uint8_t take_byte(struct reader *r)
{
    const uint8_t *p = take(r, 1);

    return p != NULL ? *p : 0;
}

static size_t take_count(struct reader *r)
{
    size_t n = 0;
    uint8_t c;

    do {
        c = take_byte(r);
        if (r->bad || n > SIZE_MAX >> 8) {
            r->bad = true;
            return 0;
        }
        n = n << 7 | (c & 0x7f);
    } while ((c & 0x80) == 0);
    return n;
}

static struct bytes take_text(struct reader *r)
{
    size_t n = take_count(r);

    if (n == 0 || r->bad)
        return BYTES_NULL;
    return bytes_of(take(r, n - 1), n - 1);
}

static void describe(struct reader *r, const void *p, size_t n)
{
    if (r->describe != NULL && !r->bad)
        buf_append(r->describe, p, n);
}

static void read_constants(struct reader *r)
{
    size_t n = take_count(r);

    for (size_t i = 0; i < n && !r->bad; i++) {
        uint8_t type = take_byte(r);
        struct bytes s = BYTES_NULL;

        describe(r, &type, 1);
        if (type == CONST_INT || type == CONST_FLOAT)
            s = bytes_of(take(r, 8), 8);
        else if (type == CONST_SHORT || type == CONST_LONG)
            s = take_text(r);
        else if (type != CONST_NIL && type != CONST_FALSE && type != CONST_TRUE)
            r->bad = true;
        r->names_db = r->names_db || (type == CONST_SHORT && bytes_eq_str(s, "db"));
        describe(r, &s.n, sizeof(s.n));
        describe(r, s.p, s.p != NULL ? s.n : 0);
    }
}

// Whether the upvalue is a variable from outside the dumped function.
static bool is_outside(const struct proto *f, size_t index)
{
    while (index < f->n_upvalues) {
        const uint8_t *u = f->upvalues + 3 * index;
        if (f->outer == NULL)
            return true; // an upvalue of the outermost function
        if (u[0] != 0)
            return false; // a local of the enclosing one
        index = u[1];
        f = f->outer;
    }
    return false;
}

struct writes { // first offending instruction of one function
    long pc;
    size_t upvalue;
};

static struct writes find_writes(const struct proto *f, const uint8_t *code, size_t n)
{
    for (size_t pc = 0; pc < n; pc++) {
        uint32_t word;
        size_t upvalue;

        memcpy(&word, code + 4 * pc, 4);
        if ((word & 0x7f) == OPCODE_SETUPVAL)
            upvalue = word >> 16 & 0xff; // B
        else if ((word & 0x7f) == OPCODE_SETTABUP)
            upvalue = word >> 7 & 0xff; // A
        else
            continue;
        if (is_outside(f, upvalue))
            return (struct writes){(long)pc, upvalue};
    }
    return (struct writes){-1, 0};
}

// Lines of instructions are deltas to the one before; -128 says that the absolute list has it.
static int line_of(struct reader *r, long pc, size_t line)
{
    size_t n = take_count(r);
    const uint8_t *deltas = take(r, n);
    size_t n_absolute = take_count(r);
    size_t at = (size_t)-1, base_line = line;

    for (size_t i = 0; i < n_absolute && !r->bad; i++) {
        size_t abs_pc = take_count(r), abs_line = take_count(r);
        if (pc >= 0 && abs_pc <= (size_t)pc) {
            at = abs_pc;
            base_line = abs_line;
        }
    }
    if (pc < 0 || r->bad || (size_t)pc >= n)
        return 0;
    for (at++; at <= (size_t)pc; at++)
        base_line += (size_t)(int8_t)deltas[at];
    return (int)base_line;
}

static void read_debug(struct reader *r, struct writes w, size_t line)
{
    int at = line_of(r, w.pc, line);
    size_t n = take_count(r);

    for (size_t i = 0; i < n && !r->bad; i++) {
        (void)take_text(r);
        (void)take_count(r);
        (void)take_count(r);
    }
    n = take_count(r);
    for (size_t i = 0; i < n && !r->bad; i++) {
        struct bytes name = take_text(r);
        if (w.pc >= 0 && i == w.upvalue && r->found != NULL && r->found->line == 0) {
            r->found->line = at;
            r->found->global = bytes_eq_str(name, "_ENV");
            (void)snprintf(r->found->name, sizeof(r->found->name), "%.*s", BYTES_FMT(name));
        }
    }
}

static void read_function(struct reader *r, const struct proto *outer, int depth)
{
    struct proto f = {.outer = outer};
    size_t line, n_code, n;
    const uint8_t *code, *shape;
    struct writes w;

    if (depth > NESTED_MAX)
        r->bad = true;
    (void)take_text(r);
    line = take_count(r);
    (void)take_count(r); // last line
    shape = take(r, 3);
    describe(r, shape, 3);
    n_code = take_count(r);
    code = n_code <= SIZE_MAX / 4 ? take(r, n_code * 4) : (r->bad = true, NULL);
    describe(r, &n_code, sizeof(n_code));
    describe(r, code, n_code * 4);
    read_constants(r);
    f.n_upvalues = take_count(r);
    f.upvalues = take(r, f.n_upvalues <= 255 ? f.n_upvalues * 3 : SIZE_MAX);
    describe(r, f.upvalues, f.n_upvalues * 3);
    if (r->bad)
        return;
    w = find_writes(&f, code, n_code);
    n = take_count(r);
    describe(r, &n, sizeof(n));
    for (size_t i = 0; i < n && !r->bad; i++)
        read_function(r, &f, depth + 1);
    read_debug(r, w, line);
}

static bool check_header(struct reader *r)
{
    const uint8_t *h = take(r, HEADER_FIXED_BYTES);

    (void)take(r, sizeof(lua_Integer) + sizeof(lua_Number));
    (void)take_byte(r); // number of upvalues
    return !r->bad && memcmp(h, LUA_SIGNATURE, 4) == 0 && h[4] == LUA_VERSION_BYTE && h[5] == 0 &&
           h[12] == 4 && h[13] == sizeof(lua_Integer) && h[14] == sizeof(lua_Number);
}

static int read_dump(lua_State *L, int i, bool strip, struct reader *r, struct err *e)
{
    struct buf dump = BUF_EMPTY;
    int rc = 0;

    lua_pushvalue(L, i);
    (void)lua_dump(L, dump_writer, &dump, strip); // raises nothing: the writer is ours
    lua_pop(L, 1);
    r->p = dump.p;
    r->end = dump.p + dump.n;
    if (check_header(r))
        read_function(r, NULL, 0);
    else
        r->bad = true;
    if (r->bad)
        rc =
            err_set(e, LEAT_EUNSUPPORTED, "this Lua library writes bytecode that leat cannot read");
    buf_deinit(&dump);
    return rc;
}

int bytecode_find_write(lua_State *L, int i, struct bytecode_write *out, struct err *e)
{
    struct reader r = {.found = out};

    *out = (struct bytecode_write){0};
    return read_dump(L, i, false, &r, e);
}

int bytecode_describe(lua_State *L, int i, struct buf *out, bool *names_db, struct err *e)
{
    struct reader r = {.describe = out};
    int rc = read_dump(L, i, true, &r, e);

    *names_db = *names_db || r.names_db;
    return rc;
}
