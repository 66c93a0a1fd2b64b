-- Expressions in jobs: they mean what Lua means by the same text, ? binds values, $names are the
-- record's own data. Operators and functions one by one: tests/unit/expr.
job "expressions" { version = 1 }

local pairs_of = from "pairs"
pairs_of :select {
  "id", add = "a + b", sub = "a - b", mul = "a * b", lt = "a < b", le = "a <= b", gt = "a > b",
  ge = "a >= b", eq = "a == b", ne = "a ~= b", joined = "a .. '|' .. b", neg = "-a",
  mixed = "a + b * 2 - -a < b or not (a == b) and b", last = "(a and b) == b and b or a",
} :to "pairs.out"
pairs_of :where "b ~= 0" :select {
  "id", div = "a / b", idiv = "a // b", mod = "a % b", whole = "a // b * b + a % b == a",
} :to "divided.out"
from "patterns" :where "matches(s, p)" :to "patterns.out"
from "lua.patterns" :where(function(v) return v.s:find(v.p) ~= nil end) :to "patterns.out"

local limit, word, flag = 90, "it's ? or 'x' == 'x'", false
from "bound" :where("n > ? and s == ? and f == ?", limit, word, flag)
  :select { "n", quoted = "'?'", twice = { "n * ? + ?", 2, 0.5 }, none = { "? == nil", null } }
  :to "bound.out"

local meta = from "meta" :by("a", "b")
meta :select { first = "$key[1]", second = "$key[2]", third = "$key[3]", n = "len($key)" }
  :to "meta.out"
from "missing" :select { h = "$header.none == nil", k = "$key == nil", n = "$now", at = "$time" }
  :to "missing.out"

from "slots" :select {
  text = "'placed'", field = "placed", number = 5, bool = true, deep = "a.b[2]",
} :to "slots.out"
from "order" :select { "z", "a", "m.y", c = "1", b = "2" } :to "order.out"
from "order.out" { format = "text" } :select { is = "text" } :to "written"

local t0 = 1767225600000

test("expressions: operators give what Lua's give", function(t)
  local numbers = { 7, -7, 2, -2, 0, 1, 7.5, -7.5, 0.5, -0.25, 1e5, 3 }
  local out, divided, id = {}, {}, 0
  local sent = {}
  for _, a in ipairs(numbers) do
    for _, b in ipairs(numbers) do
      id = id + 1
      sent[id] = { id = id, a = a, b = b }
      out[id] = {
        id = id, add = a + b, sub = a - b, mul = a * b, lt = a < b, le = a <= b, gt = a > b,
        ge = a >= b, eq = a == b, ne = a ~= b, joined = a .. '|' .. b, neg = -a,
        mixed = a + b * 2 - -a < b or not (a == b) and b, last = (a and b) == b and b or a,
      }
      if b ~= 0 then
        divided[#divided + 1] = { id = id, div = a / b, idiv = a // b, mod = a % b,
                                  whole = a // b * b + a % b == a }
      end
    end
  end
  t:batch(function() for _, value in ipairs(sent) do t:send("pairs", value) end end)
  t:expect("pairs.out", out)
  t:expect("divided.out", divided)
end)

test("expressions: matches takes Lua's patterns", function(t)
  local patterns = { "^T%-%d+$", "a.-c", "[^%s]+", "%bxy", "%f[%w]end", "()a", "(a*(.)%w(%s*))",
                     "[%a_][%w_]*", "^%s*$", "a?b-c*d+", "[a-f0-9]+$", "[]]", "%%", "x$" }
  local texts = { "T-101", "abc", "", "  ", "x(y)y", "the end", "end", "aXc d", "_x1", "100%",
                  "]", "$x$", "bcd", "ffff" }
  for topic in pairs { patterns = true, ["lua.patterns"] = true } do
    local found = {}
    t:batch(function()
      for _, s in ipairs(texts) do
        for _, p in ipairs(patterns) do
          t:send(topic, { s = s, p = p })
          if s:find(p) then found[#found + 1] = { s = s, p = p } end
        end
      end
    end)
    t:expect("patterns.out", found)
  end
end)

test("expressions: ? takes Lua values, one after the other, whatever is in them", function(t)
  t:send("bound", { n = 91, s = word, f = false })
  t:send("bound", { n = 90, s = word, f = false })
  t:send("bound", { n = 91, s = "x", f = false })
  t:send("bound", { n = 91, s = word })
  t:expect("bound.out", { { n = 91, quoted = "?", twice = 182.5, none = true } })
end)

test("expressions: a key of several parts is a list of them", function(t)
  t:send("meta", { a = "x", b = 7 })
  t:expect("meta.out", { { first = "x", second = 7, third = null, n = 2 } })
end)

test("expressions: $names that a record has not are nil, times are milliseconds", function(t)
  t:send("missing", {}, { time = t0 + 5 })
  t:expect("missing.out", { { h = true, k = true, n = t0 + 5, at = t0 + 5 } })
end)

test("expressions: a string is an expression, a text stands in quotes; others are themselves",
  function(t)
    t:send("slots", { placed = "p", a = { b = { 1, 2 } } })
    t:expect("slots.out", { { text = "placed", field = "p", number = 5, bool = true, deep = 2 } })
  end)

test("select: fields without a name first, in order, then the named ones by name", function(t)
  t:send("order", { z = 1, a = 2, m = { y = 3 } })
  t:expect("written", { { is = '{"z":1,"a":2,"y":3,"b":2,"c":1}' } })
end)
