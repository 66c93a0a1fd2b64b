-- Inline schemas: what each type takes, what may be missing, what a record reads as behind one.
job "schemas" { version = 1 }

local s = schema "all" {
  t = "text", n = "number", i = "integer", b = "bool", at = "time", d = "decimal(6,2)",
  j = "json", x = "any", opt = "text?", o = { k = "integer", deep = { l = { "number" } } },
  l = { "text" }, objects = { { k = "integer?" } },
}
local input = from "in" { schema = s }
input :select {
  later = "at + dur'1s'", price = "d * 2", opt = "opt == nil", k = "o.k + 1", first = "l[1]",
  deep = "o.deep.l[2]", object = "objects[1].k",
} :to "out"
input :map(function(v) return { at = v.at, d = v.d + 1, more = v.more } end) :to "lua.out"
from "exact" { schema = schema "exact" { big = "text", price = "decimal(18,2)" } }
  :select { "big", "price" } :to "exact.out"

local day = 1767225600000
local function record(more)
  local r = {
    t = "x", n = 1.5, i = 2, b = true, at = "2026-01-01", d = "1.5", j = { 1 }, x = "any",
    o = { k = 1, deep = { l = { 1, 2.5 } } }, l = { "a", "b" }, objects = { {}, { k = 3 } },
  }
  for name, value in pairs(more or {}) do r[name] = value end
  return r
end

test("schema: times read as milliseconds, decimals as decimals, other fields come along",
  function(t)
    t:send("in", record { more = 7 })
    t:expect("out", { { later = day + 1000, price = "3.00", opt = true, k = 2, first = "a",
                        deep = 2.5, object = null } })
    t:expect("lua.out", { { at = day, d = "2.50", more = 7 } })
    t:parked {}
  end)

test("schema: each type takes what it is and nothing else", function(t)
  local wrong, parked = {
    { t = 5 }, { t = true }, { n = "1" }, { n = true }, { i = 1.5 }, { i = "1" }, { b = 1 },
    { b = "true" }, { at = "noon" }, { at = 1.5 }, { at = true }, { d = "1.505" }, { d = 100000 },
    { d = "ten" }, { d = true }, { o = 5 }, { o = { k = "1", deep = { l = {} } } },
    { o = { k = 1, deep = {} } }, { o = { k = 1, deep = { l = { "1" } } } }, { l = "a" },
    { l = { "a", 5 } }, { l = { x = "a" } }, { objects = { 5 } }, { objects = { { k = "3" } } },
    { opt = 5 },
  }, {}
  for i, more in ipairs(wrong) do
    t:send("in", record(more), { key = "k" .. i })
    parked[i] = { key = "k" .. i, class = "schema" }
  end
  t:parked(parked)
  t:expect("out", {})
end)

test("schema: json and any take everything, number integers too", function(t)
  for _, any in ipairs { 1, 1.5, "x", true, { 1, "x" }, { k = {} } } do
    t:send("in", record { j = any, x = any, n = 5 })
  end
  t:parked {}
  t:expect("lua.out", { {}, {}, {}, {}, {}, {} })
end)

test("schema: only what has a ? may be missing or null", function(t)
  t:send("in", record { opt = "there" })
  t:send("in", record { opt = null, objects = { { k = null } } })
  t:expect("out", { { opt = false }, { opt = true } })
  local names, parked = { "t", "n", "i", "b", "at", "d", "o", "l", "objects" }, {}
  for i, name in ipairs(names) do
    local r = record()
    r[name] = nil
    t:send("in", r, { key = name })
    t:send("in", record { [name] = null }, { key = name .. " null" })
    parked[2 * i - 1] = { key = name, class = "schema" }
    parked[2 * i] = { key = name .. " null", class = "schema" }
  end
  t:parked(parked)
end)

test("schema: a decimal keeps every digit, whether it comes as text or as a number", function(t)
  t:send("exact", { big = "x", price = "1234567890123456.78" })
  t:send("exact", { big = "x", price = 0.1 })
  t:send("exact", { big = "x", price = 12345678901234567 }, { key = "many" })
  t:expect("exact.out", { { price = "1234567890123456.78" }, { price = "0.10" } })
  t:parked { { key = "many", class = "schema" } }
end)
