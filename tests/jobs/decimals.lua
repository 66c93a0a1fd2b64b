-- Decimals in functions, in keyed aggregates and over restarts; formats and schemas of outputs.
job "decimals" { version = 1 }

local amount = schema "amount" { account = "text", amount = "decimal(12,2)" }
local out = schema "out" { account = "text", total = "decimal(12,2)", note = "text?" }

local amounts = from "amounts" { schema = amount }
amounts:by "amount" :aggregate { n = count(), all = sum "amount" } :into "by_amount"
amounts:select { "account", total = "amount * 2" } :to("doubled", { schema = out })
amounts
  :select { "account", bound = { "amount * ?", dec "1.5" }, who = { "account .. ?", "!" } }
  :to "bound"
amounts:select { "account", "amount" } :to("packed", { format = "msgpack", key = "amount" })
amounts:select { text = "account .. ' ' .. amount" } :to("plain", { format = "text" })

from "calc" :map(function(v)
  local a, b = dec(v.a), dec(v.b)
  return {
    add = a + b, sub = a - 1, mul = a * b, idiv = a // 2, mod = a % 2, neg = -a, int = 2 * a,
    lt = a < b, le = a <= 1, eq = a == dec "1.5", text = "x" .. a .. "y", str = tostring(a),
    num = tonumber(a), whole = tonumber(dec "7"), typed = type(a),
  }
end) :to "calculated"

from "bad" :map(function(v)
  local a = dec "1.5"
  if v.how == "float" then return { x = a + 0.5 } end
  if v.how == "divide" then return { x = a / 2 } end
  if v.how == "zero" then return { x = a // 0 } end
  if v.how == "text" then return { x = a < "1" } end
  if v.how == "large" then return { x = dec "9223372036854775807" + 1 } end
  if v.how == "dec" then return { x = dec "1,5" } end
  if v.how == "index" then return { x = a.scale } end
  return { x = pcall(function() return a / 0 end) }
end) :to "never"

from "tally" :by "k" :process {
  state = { total = dec "0", seen = {} },
  on = function(v, ctx)
    local s = ctx.state
    s.total = s.total + dec(v.amount)
    s.seen[#s.seen + 1] = dec(v.amount)
    ctx.state = s
    return { total = s.total, first = s.seen[1] * 2 }
  end,
} :to "tallied"

amounts:by "account" :window { size = "1m" }
  :aggregate { best = top(2, "amount", { "amount" }), all = collect "amount", least = min "amount" }
  :final()
  :map(function(v)
    if v.least < 0 then error "negative" end
    return { n = v.all[1] + v.best[1].amount + v.least }
  end)
  :to "windows"

from "out" :map(function(v) return v end) :to("checked", { schema = out })

test("arithmetic in functions is exact and gives decimals", function(t)
  t:send("calc", { a = "1.5", b = "0.25" })
  t:expect("calculated", { { add = "1.75", sub = "0.5", mul = "0.375", idiv = "0", mod = "1.5",
    neg = "-1.5", int = "3.0", lt = false, le = false, eq = true, text = "x1.5y", str = "1.5",
    num = 1.5, whole = 7, typed = "userdata" } })
end)

test("what is not exact is refused and named", function(t)
  for _, how in ipairs { "float", "divide", "zero", "text", "large" } do
    t:send("bad", { how = how }, { key = how })
  end
  t:send("bad", { how = "dec" }, { key = "dec" })
  t:send("bad", { how = "index" }, { key = "index" })
  t:parked {
    { key = "float", class = "type" }, { key = "divide", class = "type" },
    { key = "zero", class = "type" }, { key = "text", class = "type" },
    { key = "large", class = "type" }, { key = "dec", class = "number" },
    { key = "index", class = "lua" },
  }
end)

test("equal decimals are one group, sums are exact, over a restart too", function(t)
  t:send("amounts", { account = "a", amount = "0.10" })
  t:send("amounts", { account = "b", amount = 0.1 })
  t:restart()
  t:send("amounts", { account = "c", amount = "0.1" })
  t:rows("select amount, n, \"all\" from by_amount", { { amount = 10, n = 3, all = 30 } })
  t:rows("select sum(\"all\") as s from by_amount", { { s = 30 } })
  t:expect("doubled", { { account = "a", total = "0.20" }, { total = "0.20" }, { total = "0.20" } })
  t:expect("bound", { { bound = "0.150", who = "a!" }, {}, {} })
  t:expect("packed", { { ["$key"] = "0.10", account = "a", amount = "0.10" }, {}, {} })
  t:expect("plain", { { ["$value"] = "a 0.10" }, {}, {} })
end)

test("a decimal in state is one after a restart", function(t)
  t:send("tally", { k = "a", amount = "0.10" })
  t:restart()
  t:send("tally", { k = "a", amount = "0.20" })
  t:expect("tallied", { { total = "0.10", first = "0.20" }, { total = "0.30", first = "0.20" } })
end)

test("decimals that an aggregate keeps are decimals after a restart", function(t)
  t:send("amounts", { account = "a", amount = "1.25" }, { time = "12:00:00" })
  t:restart()
  t:send("amounts", { account = "a", amount = "2.25" }, { time = "12:00:10" })
  t:restart()
  t:send("amounts", { account = "b", amount = "2.25" }, { time = "12:05:00" })
  t:expect("windows", { { n = "4.75" } })
end)

test("what goes out is checked, and written in the schema's form", function(t)
  t:send("out", { account = "a", total = 1.5 }, { key = "k1" })
  t:send("out", { account = "a", total = "1.005" }, { key = "k2" })
  t:send("out", { total = 1 }, { key = "k3" })
  t:expect("checked", { { ["$key"] = "k1", account = "a" } })
  t:parked { { key = "k2", class = "schema" }, { key = "k3", class = "schema" } }
end)
