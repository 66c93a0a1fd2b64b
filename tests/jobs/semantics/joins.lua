-- Joins: two streams within an interval, a stream with the rows of a table, changes with a table.
job "joins" { version = 1, errors = { retry = { "10s", "1m" } } }

local function pair(name, o)
  local left  = from(name .. ".left")  { time = "at" } :by "k"
  local right = from(name .. ".right") { time = "at" } :by "k"
  o.as = "r"
  left:join(right, o) :select { l = "id", r = "r.id", at = "$time", k = "$key" } :to(name .. ".out")
end
pair("inner", { within = { "-10s", "30s" } })
pair("left",  { within = { "-10s", "30s" }, kind = "left" })
pair("outer", { within = { "-10s", "30s" }, kind = "outer" })
pair("grace", { within = { "0s", "10s" }, kind = "left", grace = "5s" })
pair("before", { within = { "-20s", "-10s" }, kind = "outer" })
from "nested.left" { time = "at" } :by "k"
  :join(from "nested.right" { time = "at" } :by "k", { as = "r", within = { "0s", "1m" } })
  :to "nested.out"

local customers = table "customers" [[ id text primary key, name text, n integer ]]
from "customers" { changelog = true, time = "at" } :into(customers)
local orders = from "orders" { time = "at" }
orders :join(customers, { as = "customer", on = "who" }) :select { "id", name = "customer.name" }
  :to "orders.inner"
orders :join(customers, { as = "customer", on = "who", kind = "left" })
  :select { "id", name = "customer.name", nothing = "customer == nil" } :to "orders.left"
from "waiting" { time = "at" } :join(customers, { as = "customer", on = "who", wait = "5m" })
  :select { "id", name = "customer.name" } :to "waiting.out"
from "keyed" :join(customers, { as = "customer" }) :select { name = "customer.name" }
  :to "keyed.out"

local accounts = table "accounts" [[ id text primary key, owner text, balance integer ]]
from "accounts" { changelog = true } :into(accounts)
accounts:changes() :join(customers, { as = "customer", on = "owner", kind = "left" })
  :select { id = "$key", "balance", name = "customer.name" } :to "accounts.named"

view "named" [[ select a.id, a.balance, c.name from accounts a join customers c on c.id = a.owner ]]
query "account" { params = { id = "text" }, sql = "select * from named where id = :id" }

local t0 = 1767225600000
local function send(t, topic, id, at, k)
  t:send(topic, { id = id, k = k or "k", at = t0 + at }, { time = t0 + 3600000 })
end
local function names(t, topic, id, who) t:send(topic, { id = id, who = who, at = t0 }) end

test("interval: right time - left time lies in it, both ends in", function(t)
  send(t, "inner.left", "l", 20000)
  for id, at in ipairs { 9999, 10000, 50000, 50001 } do send(t, "inner.right", id, at) end
  t:expect("inner.out",
    { { l = "l", r = 2, at = t0 + 20000 }, { l = "l", r = 3, at = t0 + 50000 } })
end)

test("interval: whichever comes first, and only with an equal key", function(t)
  send(t, "inner.right", "r", 1000)
  send(t, "inner.left", 1, 0, "other")
  send(t, "inner.left", 2, 0)
  send(t, "inner.left", 3, 1000)
  t:expect("inner.out", { { l = 2, r = "r" }, { l = 3, r = "r" } })
end)

test("interval: a record that meets several meets them in the order of their times", function(t)
  for id, at in ipairs { 3000, 1000, 2000 } do send(t, "inner.right", id, at) end
  send(t, "inner.left", "l", 0)
  t:expect("inner.out", { { r = 2 }, { r = 3 }, { r = 1 } })
end)

test("interval: the left side stays as it is, the right one is nested", function(t)
  t:send("nested.left", { k = "k", at = t0, x = 1 })
  t:send("nested.right", { k = "k", at = t0 + 5, x = 2 })
  t:expect("nested.out", { { k = "k", at = t0, x = 1, r = { k = "k", at = t0 + 5, x = 2 } } })
end)

test("interval: it may lie wholly before; no match is told behind the time itself", function(t)
  send(t, "before.right", 1, 0)
  send(t, "before.right", 2, 5000)
  send(t, "before.left", 1, 15000)
  send(t, "before.left", 2, 20001)
  t:expect("before.out", { { l = 1, r = 1, at = t0 + 15000 }, { l = 1, r = 2 }, { l = 2, r = 2 } })
  send(t, "before.right", 3, 90000)
  send(t, "before.left", 3, 60000)
  t:expect("before.out", {})
  send(t, "before.left", 4, 60001)
  t:expect("before.out", { { l = 3, r = null, at = t0 + 60000 } })
  send(t, "before.left", 5, 110000)         -- its interval is the millisecond of the right one
  t:expect("before.out", { { l = 5, r = 3 }, { l = 4, r = null } })
end)

test("interval: both sides survive a restart", function(t)
  send(t, "inner.left", 1, 0)
  t:restart()
  send(t, "inner.right", 1, 0)
  t:restart()
  send(t, "inner.left", 2, 1000)
  t:expect("inner.out", { { l = 1, r = 1 }, { l = 2, r = 1 } })
end)

test("interval: partitions do not matter, only keys", function(t)
  t:batch(function()
    t:send("inner.left", { id = 1, k = "k", at = t0 }, { partition = 2, time = t0 })
    t:send("inner.right", { id = 2, k = "k", at = t0 }, { partition = 1, time = t0 })
  end)
  t:expect("inner.out", { { l = 1, r = 2 } })
end)

test("left: a left record without a match comes out once, when its interval has passed", function(t)
  send(t, "left.left", 1, 0)
  send(t, "left.right", 9, 90000, "other")
  send(t, "left.left", 2, 30000)            -- W of the join is 30 s: the interval's last moment
  t:expect("left.out", {})
  send(t, "left.left", 3, 30001, "z")
  t:expect("left.out", { { l = 1, r = null, at = t0 + 30000 } })
  t:advance "2h"
  t:expect("left.out", { { l = 2, r = null }, { l = 3, r = null } })
end)

test("left: once, also when the job starts again in between", function(t)
  send(t, "left.left", 1, 0)
  t:restart()
  t:advance "2h"
  t:expect("left.out", { { l = 1, r = null } })
  t:restart()
  t:advance "2h"
  t:expect("left.out", {})
end)

test("left: a matched one does not, and right ones never", function(t)
  send(t, "left.left", 1, 0)
  send(t, "left.right", 2, 0)
  send(t, "left.right", 3, 500000)
  t:advance "2h"
  t:expect("left.out", { { l = 1, r = 2 } })
end)

test("outer: both sides come out without a match", function(t)
  send(t, "outer.left", 1, 0)
  send(t, "outer.right", 2, 500000)
  t:advance "2h"
  t:expect("outer.out", { { l = 1, r = null, k = "k" }, { l = null, r = 2, k = "k" } })
end)

test("left: grace waits longer with what has no match", function(t)
  send(t, "grace.left", 1, 0)
  send(t, "grace.right", 9, 60000, "other")
  send(t, "grace.left", 2, 15000, "b")
  t:expect("grace.out", {})
  send(t, "grace.right", 3, 9999)           -- late itself: nothing on time can be before it
  send(t, "grace.right", 4, 10000)
  t:expect("grace.out", { { l = 1, r = 4 } })
end)

test("late: a record whose interval + grace ended before W goes to the sample only", function(t)
  send(t, "inner.left", 1, 100000)
  send(t, "inner.right", 2, 100000)
  send(t, "inner.left", 3, 69999)           -- its interval ended at 99,999
  send(t, "inner.left", 4, 70000)
  send(t, "inner.right", 5, 89999)
  send(t, "inner.right", 6, 90000)
  t:expect("inner.out", { { l = 1, r = 2 }, { l = 4, r = 2 }, { l = 4, r = 6 }, { l = 1, r = 6 } })
  t:rows("select json_extract(value, '$.id') id from _leat_late order by n",
    { { id = 3 }, { id = 5 } })
end)

test("table: the row as it is when the record is processed", function(t)
  t:send("customers", { name = "Ann", at = t0 }, { key = "a" })
  names(t, "orders", 1, "a")
  t:send("customers", { name = "Anna", at = t0 }, { key = "a" })
  names(t, "orders", 2, "a")
  t:expect("orders.inner", { { id = 1, name = "Ann" }, { id = 2, name = "Anna" } })
end)

test("table: without a row inner drops, left gives nil", function(t)
  names(t, "orders", 1, "nobody")
  t:expect("orders.inner", {})
  t:expect("orders.left", { { id = 1, nothing = true, name = null } })
end)

test("table: at equal times its changelog goes first, wherever it stands in the file", function(t)
  t:batch(function()
    names(t, "orders", 1, "a")
    t:send("customers", { name = "Ann", at = t0 }, { key = "a" })
  end)
  t:expect("orders.inner", { { id = 1, name = "Ann" } })
end)

test("table: what waits on both sides is taken in the order of event times", function(t)
  local function customer(name, at)
    t:send("customers", { name = name, at = t0 + at }, { key = "a", time = t0 + 10000 })
  end
  local function order(id, at)
    t:send("orders", { id = id, who = "a", at = t0 + at }, { time = t0 + 10000 })
  end
  t:batch(function()                        -- as when a job starts on topics with a past
    for id, at in ipairs { 500, 1500, 2000, 3500 } do order(id, at) end
    customer("Ann", 1000)
    customer("Anna", 2000)
    customer("Hanna", 3000)
  end)
  t:expect("orders.left", { { id = 1, nothing = true }, { id = 2, name = "Ann" },
                            { id = 3, name = "Anna" }, { id = 4, name = "Hanna" } })
end)

test("table: partitions do not matter", function(t)
  t:send("customers", { name = "Ann", at = t0 }, { key = "a", partition = 2 })
  t:send("orders", { id = 1, who = "a", at = t0 }, { partition = 0 })
  t:send("orders", { id = 2, who = "a", at = t0 }, { partition = 1 })
  t:expect("orders.inner", { { id = 1, name = "Ann" }, { id = 2, name = "Ann" } })
end)

test("table: a change of its row says nothing of the records that have met it", function(t)
  names(t, "orders", 1, "a")
  t:send("customers", { name = "Ann", at = t0 }, { key = "a" })
  t:expect("orders.left", { { id = 1, nothing = true } })
  t:expect("orders.inner", {})
end)

test("table: wait parks the record as missing, and it goes on when the row is there", function(t)
  names(t, "waiting", 1, "a")
  t:parked { { class = "missing" } }
  t:send("customers", { name = "Ann", at = t0 }, { key = "a" })
  t:advance "10s"
  t:expect("waiting.out", { { id = 1, name = "Ann" } })
  t:parked {}
end)

test("table: wait ends at its time, whatever the retries are", function(t)
  names(t, "waiting", 1, "a")
  t:advance "4m"
  t:rows("select state from _leat_parked", { { state = "retry" } })
  t:advance "61s"
  t:rows("select state, class, tries from _leat_parked",
    { { state = "final", class = "missing", tries = 4 } })
  t:send("customers", { name = "Ann", at = t0 }, { key = "a" })
  t:advance "1h"
  t:expect("waiting.out", {})
end)

test("table: it joins by the record's key unless on says otherwise", function(t)
  t:send("customers", { name = "Ann", at = t0 }, { key = "a" })
  t:send("keyed", { x = 1 }, { key = "a" })
  t:expect("keyed.out", { { name = "Ann" } })
end)

test("changes with a table: a change of the other table says nothing by itself", function(t)
  t:send("customers", { name = "Ann", at = t0 }, { key = "c" })
  t:send("accounts", { owner = "c", balance = 5 }, { key = "a" })
  t:expect("accounts.named", { { id = "a", balance = 5, name = "Ann" } })
  t:send("customers", { name = "Anna", at = t0 }, { key = "c" })
  t:expect("accounts.named", {})
  t:send("accounts", { owner = "c", balance = 6 }, { key = "a" })
  t:expect("accounts.named", { { balance = 6, name = "Anna" } })
end)

test("two tables: a view is their join, as they are now", function(t)
  t:send("accounts", { owner = "c", balance = 5 }, { key = "a" })
  t:query("account", { id = "a" }, {})
  t:send("customers", { name = "Ann", at = t0 }, { key = "c" })
  t:query("account", { id = "a" }, { { id = "a", balance = 5, name = "Ann" } })
  t:send("customers", { name = "Anna", at = t0 }, { key = "c" })
  t:query("account", { id = "a" }, { { balance = 5, name = "Anna" } })
  t:send("customers", nil, { key = "c" })
  t:query("account", { id = "a" }, {})
end)
