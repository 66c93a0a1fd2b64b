-- Decimals: exact, with a scale; in columns an integer, in topics a text.
job "decimals" { version = 1 }

local prices = table "prices" [[
  id text primary key, price decimal(6,2), rate decimal(18,9), any_text any
]]
from "prices" :into(prices)
from "put" :match "op" { Put = prices:put { id = "id", price = "price" } }
prices:changes() :select { id = "$key", "price", "rate" } :to "prices.changed"
from "prices.changed" { format = "text" } :select { is = "text" } :to "written"

from "calc" :select {
  scale = "text(dec(a))", plus = "dec(a) + dec(b)", minus = "dec(a) - dec(b)",
  times = "dec(a) * dec(b)", integer = "dec(a) + 1", less = "dec(a) < dec(b)",
  same = "dec(a) == dec(b)", negative = "-dec(a)",
} :to "calc.out"
from "mix" :select { x = "dec(a) + f" } :to "mix.out"
from "halves" :select { r = "dec(a) * dec(b)" } :to "halves.out"
from "large" :select { r = "dec(a) + dec(b)" } :to "large.out"
from "product" :select { r = "dec(a) * dec(b)" } :to "large.out"

local amounts = from "amounts" { schema = schema "amount" { k = "text", amount = "decimal(8,2)" } }
amounts :by "k" :aggregate { total = sum "amount", most = max "amount", mean = avg "amount" }
  :into "totals"
amounts :select { "amount" } :to "amounts.out"
from "amounts.out" { format = "text" } :select { is = "text" } :to "written"
query "price" { params = { id = "text" }, sql = "select price from prices where id = :id" }

test("decimals: dec takes the scale from the digits; + and - keep the longer, * adds them",
  function(t)
    t:send("calc", { a = "1.50", b = "0.1" })
    t:expect("calc.out", { { scale = "1.50", plus = "1.60", minus = "1.40", times = "0.150",
                             integer = "2.50", less = false, same = false, negative = "-1.50" } })
    t:send("calc", { a = "2.0", b = "2.000" })
    t:expect("calc.out", { { scale = "2.0", plus = "4.000", times = "4.0000", same = true } })
  end)

test("decimals: * has at most 18 places, rounded half to even", function(t)
  for _, c in ipairs {
    { "0.000000001", "0.0000000005", "0.000000000000000000" },
    { "0.000000001", "0.0000000015", "0.000000000000000002" },
    { "0.000000001", "0.0000000025", "0.000000000000000002" },
    { "-0.000000001", "0.0000000015", "-0.000000000000000002" },
    { "0.000000001", "0.0000000026", "0.000000000000000003" },
  } do
    t:send("halves", { a = c[1], b = c[2] })
    t:expect("halves.out", { { r = c[3] } })
  end
end)

test("decimals: what overflows is an error of class type", function(t)
  t:send("large", { a = "9223372036854775807", b = "1" }, { key = "sum" })
  t:send("large", { a = "90", b = "0.000000000000000001" }, { key = "scale" })
  t:send("product", { a = "9999999999", b = "9999999999" }, { key = "product" })
  t:parked { { key = "sum", class = "type" }, { key = "scale", class = "type" },
             { key = "product", class = "type" } }
  t:expect("large.out", {})
end)

test("decimals: beside a float is class type, what is no number class number", function(t)
  t:send("mix", { a = "1.5", f = 0.5 }, { key = "float" })
  t:send("mix", { a = "1,5", f = 1 }, { key = "text" })
  t:send("mix", { a = "1.5", f = 1 }, { key = "fine" })
  t:parked { { key = "float", class = "type" }, { key = "text", class = "number" } }
  t:expect("mix.out", { { x = "2.5" } })
end)

test("decimals: a column holds an integer, a topic and a query show a text", function(t)
  t:send("prices", { id = "a", price = "10.5", rate = 0.1 })
  t:rows("select price + 0 price, rate + 0 rate, typeof(price) kind from prices",
    { { price = 1050, rate = 100000000, kind = "integer" } })
  t:rows("select sum(price) total from prices", { { total = 1050 } })
  t:expect("written", { { is = '{"price":"10.50","rate":"0.100000000","id":"a"}' } })
  t:query("price", { id = "a" }, { { price = "10.50" } })
end)

test("decimals: text and numbers are taken where they are exact, else it is class type", function(t)
  for i, price in ipairs { "10.50", 10.5, 10, "-0.01", "9999.99", "10.500" } do
    t:send("prices", { id = "p" .. i, price = price })
  end
  t:rows("select price + 0 price from prices order by id", { { price = 1050 }, { price = 1050 },
    { price = 1000 }, { price = -1 }, { price = 999999 }, { price = 1050 } })
  for i, price in ipairs { "10.505", 0.001, 10000, "99999", "ten", true } do
    t:send("put", { op = "Put", id = "p1", price = price }, { key = "k" .. i })
  end
  local classes = {}
  for i = 1, 6 do classes[i] = { key = "k" .. i, class = "type" } end
  t:parked(classes)
  t:rows("select price + 0 price from prices where id = 'p1'", { { price = 1050 } })
end)

test("decimals: aggregates of them are exact; a schema gives every one its scale", function(t)
  for _, amount in ipairs { "0.10", 0.2, 1 } do t:send("amounts", { k = "a", amount = amount }) end
  t:rows("select total + 0 total, most + 0 most, mean from totals",
    { { total = 130, most = 100, mean = 0.43333333333333335 } })
  t:expect("written", { { is = '{"amount":"0.10"}' }, { is = '{"amount":"0.20"}' },
                        { is = '{"amount":"1.00"}' } })
end)
