// SPDX-License-Identifier: Apache-2.0
//
// Decimals in functions: a small userdata that behaves like a number and stays exact.
//
//   dec "10.50" + 1          + - * // % with decimals and integers
//   dec "1.5" < 2            < <= with any number; == with decimals only, as Lua has it
//   dec "10.50" .. " EUR"    as text, always with all its digits
//
// A float beside a decimal, / and ^ are refused: dec(x) makes a decimal of a number or its text,
// tonumber(d) a float. A result that does not fit is class `type`, as in expressions.
//
// It holds no memory but its own 24 bytes, has no __gc, and its metatable is out of reach, so there
// is nothing in it that a job could break.
#include "scripts/host/values.h"

#include "runtime/base/number.h"
#include "scripts/host/host.h"

typedef int decimal_op(struct decimal a, struct decimal b, struct decimal *out);

bool decimal_take(lua_State *L, int i, struct value *out)
{
    bool ours;

    if (lua_type(L, i) != LUA_TUSERDATA || !lua_getmetatable(L, i))
        return false;
    host_push_key(L, KEY_DECIMAL_META);
    ours = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (ours)
        *out = *(struct value *)lua_touserdata(L, i);
    return ours;
}

void decimal_push(lua_State *L, const struct value *v)
{
    *(struct value *)lua_newuserdatauv(L, sizeof(*v), 0) = *v;
    host_push_key(L, KEY_DECIMAL_META);
    lua_setmetatable(L, -2);
}

// --- arithmetic ---

static struct decimal operand(lua_State *L, int i, const char *op)
{
    struct value v;

    if (lua_isinteger(L, i) && lua_type(L, i) == LUA_TNUMBER)
        return (struct decimal){lua_tointeger(L, i), 0};
    if (decimal_take(L, i, &v))
        return (struct decimal){v.i, v.scale};
    if (lua_type(L, i) == LUA_TNUMBER)
        host_raise_class(L, LEAT_ETYPE,
                         "cannot apply '%s' to a decimal and a float: make both decimals with "
                         "dec(), or both floats with tonumber()",
                         op);
    host_raise_class(L, LEAT_ETYPE, "cannot apply '%s' to a decimal and a %s", op,
                     luaL_typename(L, i));
}

static int binary(lua_State *L, const char *op, decimal_op *f)
{
    struct decimal a = operand(L, 1, op), b = operand(L, 2, op), r;
    struct value v;

    if ((f == decimal_idiv || f == decimal_mod) && b.i == 0)
        host_raise_class(L, LEAT_ETYPE, "decimal division by zero");
    if (f(a, b, &r) != 0)
        host_raise_class(L, LEAT_ETYPE, "decimal overflow");
    v = value_of_decimal(r);
    decimal_push(L, &v);
    return 1;
}

static int meta_add(lua_State *L)
{
    return binary(L, "+", decimal_add);
}

static int meta_sub(lua_State *L)
{
    return binary(L, "-", decimal_sub);
}

static int meta_mul(lua_State *L)
{
    return binary(L, "*", decimal_mul);
}

static int meta_idiv(lua_State *L)
{
    return binary(L, "//", decimal_idiv);
}

static int meta_mod(lua_State *L)
{
    return binary(L, "%", decimal_mod);
}

static int meta_unm(lua_State *L)
{
    struct decimal d = operand(L, 1, "-");
    struct value v;

    if (decimal_neg(d, &d) != 0)
        host_raise_class(L, LEAT_ETYPE, "decimal overflow");
    v = value_of_decimal(d);
    decimal_push(L, &v);
    return 1;
}

static int meta_inexact(lua_State *L)
{
    host_raise_class(L, LEAT_ETYPE,
                     "cannot apply '/' or '^' to decimals, which are exact: make floats of them "
                     "with tonumber()");
}

// --- order ---

static struct value number(lua_State *L, int i)
{
    struct value v;

    if (lua_type(L, i) == LUA_TNUMBER)
        return lua_isinteger(L, i) ? value_int(lua_tointeger(L, i))
                                   : value_float(lua_tonumber(L, i));
    if (!decimal_take(L, i, &v))
        host_raise_class(L, LEAT_ETYPE, "cannot compare a decimal with a %s", luaL_typename(L, i));
    return v;
}

static bool is_nan(const struct value *v)
{
    return v->type == VALUE_FLOAT && v->f != v->f;
}

// -1, 0, 1; 2 when a NaN has no place.
static int order(lua_State *L)
{
    struct value a = number(L, 1), b = number(L, 2);
    int cmp = 2;

    if (!is_nan(&a) && !is_nan(&b) && value_cmp(&a, &b, &cmp, NULL) != 0)
        cmp = 2;
    return cmp;
}

static int meta_lt(lua_State *L)
{
    lua_pushboolean(L, order(L) == -1);
    return 1;
}

static int meta_le(lua_State *L)
{
    lua_pushboolean(L, order(L) <= 0);
    return 1;
}

static int meta_eq(lua_State *L)
{
    struct value a, b;

    lua_pushboolean(L, decimal_take(L, 1, &a) && decimal_take(L, 2, &b) &&
                           value_eq(&a, &b, NULL));
    return 1;
}

// --- text ---

static int meta_tostring(lua_State *L)
{
    const struct value *v = lua_touserdata(L, 1);
    char text[NUMBER_TEXT_SIZE];

    (void)number_format_decimal(v->i, v->scale, text);
    lua_pushstring(L, text);
    return 1;
}

static void push_part(lua_State *L, int i)
{
    struct value v;

    if (decimal_take(L, i, &v) || lua_type(L, i) == LUA_TNUMBER || lua_type(L, i) == LUA_TSTRING)
        lib_tostring(L, i);
    else
        luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, i));
}

static int meta_concat(lua_State *L)
{
    push_part(L, 1);
    push_part(L, 2);
    lua_concat(L, 2);
    return 1;
}

// --- words ---

static int word_dec(lua_State *L)
{
    struct value v = {.type = VALUE_MISSING}, out;
    struct decimal d;

    if (lua_type(L, 1) == LUA_TSTRING)
        v = value_text(lua_bytes(L, 1));
    else if (lua_type(L, 1) == LUA_TNUMBER || decimal_take(L, 1, &v))
        v = number(L, 1);
    else
        return luaL_error(L, "dec wants a text such as \"10.50\" or a number, not a %s",
                          luaL_typename(L, 1));
    if (value_decimal(&v, &d) != 0)
        host_raise_class(L, LEAT_ENUMBER, "dec: '%s' is not a decimal of at most 18 digits",
                         luaL_tolstring(L, 1, NULL));
    out = value_of_decimal(d);
    decimal_push(L, &out);
    return 1;
}

// tonumber, for decimals too: the nearest float, an integer where there are no digits behind the
// point.
static int word_tonumber(lua_State *L)
{
    struct value v;

    if (decimal_take(L, 1, &v)) {
        if (v.scale == 0)
            lua_pushinteger(L, v.i);
        else
            lua_pushnumber(L, decimal_to_float((struct decimal){v.i, v.scale}));
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

void decimals_open(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__add", meta_add},       {"__sub", meta_sub},       {"__mul", meta_mul},
        {"__idiv", meta_idiv},     {"__mod", meta_mod},       {"__unm", meta_unm},
        {"__div", meta_inexact},   {"__pow", meta_inexact},   {"__lt", meta_lt},
        {"__le", meta_le},         {"__eq", meta_eq},         {"__tostring", meta_tostring},
        {"__concat", meta_concat}, {NULL, NULL},
    };

    lua_newtable(L);
    luaL_setfuncs(L, meta, 0);
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pushliteral(L, "decimal");
    lua_setfield(L, -2, "__name");
    host_set_key(L, KEY_DECIMAL_META);

    lua_pushcfunction(L, word_dec);
    lua_setfield(L, -2, "dec");
    (void)lua_getfield(L, -1, "tonumber");
    lua_pushcclosure(L, word_tonumber, 1);
    lua_setfield(L, -2, "tonumber");
}
