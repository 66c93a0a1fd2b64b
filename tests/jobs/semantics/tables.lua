-- Tables: what each verb means, in a match and in a function; what is absent, null and nil; match.
job "tables" { version = 1, errors = { retry = { "1s" } } }

local orders = table "orders" [[
  id text primary key, place text not null, status text not null default 'new',
  n integer not null default 10, note text
]]
local lines = table "lines" [[
  "order" text not null references orders(id) on delete cascade, no integer not null,
  n integer not null default 0, note text default 'none', primary key ("order", no)
]]
local strict = table "strict" [[ id text primary key, n integer not null ]]

from "orders" :match "type" {
  Insert = orders:insert { id = "id", place = "place", status = "status", n = "n" },
  Put    = orders:put { id = "id", place = "place", n = "n" },
  Patch  = orders:patch("id", { place = "place", note = "note" }),
  Clear  = orders:patch("id", { note = "x and 'never'" }),
  Add    = orders:add("id", { n = "n" }),
  Delete = orders:delete "id",
  Line   = { lines:put { order = "id", no = "no", n = "n" }, orders:add("id", { n = "1" }) },
  Broken = { orders:add("id", { n = "1" }), orders:insert { id = "id", place = "place" } },
}
from "lines" :match "type" {
  Patch  = lines:patch({ order = "o", no = "no" }, { note = "note" }),
  Add    = lines:add({ order = "o", no = "no" }, { n = "n" }),
  Delete = lines:delete { order = "o", no = "no" },
  Get    = function(v, ctx)
    local row = ctx.db.lines:get { order = v.o, no = v.no }
    return { n = row and row.n, there = row ~= nil }
  end,
} :to "lines.got"
from "strict" :match "type" {
  Put = strict:put { id = "id" },
  Add = strict:add("id", { n = "nothing" }),
}
from "handle" :map(function(v) orders:put { id = v.id, place = "x" } end)
from "calls" :map(function(v, ctx)
  ctx.db.orders:put { id = v.id, place = "ctx", n = 1 }
  ctx.db.orders:add(v.id, { n = 2 })
  ctx.db.orders:patch(v.id, { note = null })
  return ctx.db.orders:get(v.id)
end) :to "calls.out"

from "cases" :match "type" {
  Action = orders:put { id = "id", place = "'action'" },
  Func   = function(v, ctx) return { id = v.id, key = ctx.key } end,
} :to "cases.out"
from "caught" :match "type" {
  Known = function(v) return { id = v.id, known = true } end,
  _     = function(v) return { id = v.id, known = false } end,
} :to "caught.out"

local named = table "named" [[ b text, a text primary key, c integer default 7 ]]
from "named" :into(named)
local mapped = table "mapped" [[ a text primary key, n integer, s text default 'none' ]]
from "mapped" :into(mapped, { a = "id", n = "n * 2" })
from "capped" :by "k" :aggregate { n = sum "n" }
  :into(table "capped" [[ k text primary key, n integer check (n < 10) ]])

local function send(t, value, key) t:send("orders", value, { key = key or value.id }) end
local all = "select id, place, status, n, note from orders order by id"

test("insert: a row that is there is a violated constraint", function(t)
  send(t, { type = "Insert", id = "a", place = "x", status = "s", n = 1 })
  send(t, { type = "Insert", id = "a", place = "y", status = "t", n = 2 })
  t:parked { { key = "a", class = "constraint" } }
  t:rows(all, { { id = "a", place = "x", status = "s", n = 1 } })
end)

test("insert: what the record does not have takes the column's default", function(t)
  send(t, { type = "Insert", id = "a", place = "x" })
  t:rows(all, { { id = "a", place = "x", status = "new", n = 10 } })
end)

test("put: inserts, or updates the columns given and no others", function(t)
  send(t, { type = "Insert", id = "a", place = "x", status = "s", n = 1 })
  send(t, { type = "Patch", id = "a", note = "kept" })
  send(t, { type = "Put", id = "a", place = "y" })
  send(t, { type = "Put", id = "b", place = "z", n = 5 })
  t:rows(all, { { id = "a", place = "y", status = "s", n = 1, note = "kept" },
                { id = "b", place = "z", status = "new", n = 5 } })
end)

test("put: a row that is there is updated, never deleted and inserted", function(t)
  send(t, { type = "Put", id = "a", place = "x" })
  send(t, { type = "Line", id = "a", no = 1, n = 3 })
  send(t, { type = "Put", id = "a", place = "y" })
  t:rows([[select n from lines]], { { n = 3 } })
  send(t, { type = "Delete", id = "a" })
  t:rows([[select n from lines]], {})
end)

test("put: an existing row needs no required column; a new one without is missing", function(t)
  send(t, { type = "Put", id = "a", place = "x", n = 1 })
  send(t, { type = "Put", id = "a", n = 2 })
  send(t, { type = "Put", id = "b", n = 2 })
  t:parked { { key = "b", class = "missing" } }
  t:rows(all, { { id = "a", place = "x", status = "new", n = 2 } })
end)

test("patch: the row has to be there; it is waited for", function(t)
  send(t, { type = "Patch", id = "a", note = "n" })
  t:parked { { key = "a", class = "missing" } }
  send(t, { type = "Put", id = "a", place = "x" }, "other")
  t:advance "1s"
  t:parked {}
  t:rows("select note from orders", { { note = "n" } })
end)

test("add: increments, and makes the row from the defaults of its columns", function(t)
  t:send("calls", { id = "a" })
  send(t, { type = "Add", id = "a", n = 5 })
  t:rows("select n from orders", { { n = 8 } })
  t:send("lines", { type = "Add", o = "a", no = 1, n = 4 })
  t:send("lines", { type = "Add", o = "a", no = 1, n = -1 })
  t:rows("select n, note from lines", { { n = 3, note = "none" } })
end)

test("add: a required column without a default, on a new row, is class missing", function(t)
  send(t, { type = "Add", id = "a", n = 5 })
  t:send("strict", { type = "Put", id = "a" }, { key = "put" })
  t:send("strict", { type = "Add", id = "a" }, { key = "add" })
  t:parked { { key = "a", class = "missing" }, { key = "put", class = "missing" },
             { key = "add", class = "missing" } }
end)

test("delete: of a row that is not there is nothing", function(t)
  send(t, { type = "Delete", id = "a" })
  t:parked {}
end)

test("absent: a missing field leaves the column, null and an expression that is nil make it NULL",
  function(t)
    for _, id in ipairs { "a", "b", "c" } do
      send(t, { type = "Put", id = id, place = "x" })
      send(t, { type = "Patch", id = id, note = "n" })
    end
    send(t, { type = "Patch", id = "a", place = "y" })
    send(t, { type = "Patch", id = "b", note = null })
    send(t, { type = "Clear", id = "c" })
    t:rows("select id, place, note from orders order by id", {
      { id = "a", place = "y", note = "n" }, { id = "b", place = "x" }, { id = "c", place = "x" } })
  end)

test("keys: of several columns are given by name to patch, add, delete and get", function(t)
  send(t, { type = "Put", id = "a", place = "x" })
  for no = 1, 2 do send(t, { type = "Line", id = "a", no = no, n = no }) end
  local function line(value) value.o = "a" t:send("lines", value) end
  line { type = "Patch", no = 1, note = "p" }
  line { type = "Add", no = 1, n = 10 }
  line { type = "Delete", no = 2 }
  line { type = "Get", no = 1 }
  line { type = "Get", no = 2 }
  t:rows("select no, n, note from lines", { { no = 1, n = 11, note = "p" } })
  t:expect("lines.got", { { n = 11, there = true }, { there = false } })
end)

test("actions: a list of them is all or nothing", function(t)
  send(t, { type = "Put", id = "a", place = "x", n = 1 })
  send(t, { type = "Broken", id = "a", place = "y" })
  t:parked { { key = "a", class = "constraint" } }
  t:rows("select n from orders", { { n = 1 } })
end)

test("actions: a table's verbs belong to declarations, ctx.db's into functions", function(t)
  t:send("handle", { id = "a" }, { key = "k" })
  t:parked { { key = "k", class = "lua" } }
  t:rows([[select instr(message, 'use ctx.db.orders:put inside a function') > 0 told
           from _leat_parked]], { { told = 1 } })
  t:send("calls", { id = "b" })
  t:expect("calls.out", { { id = "b", place = "ctx", status = "new", n = 3 } })
end)

test("match: an action says nothing, a function's value goes on; unknown types are skipped",
  function(t)
    t:send("cases", { type = "Action", id = "a" })
    t:send("cases", { type = "Func", id = "b" }, { key = "k" })
    t:skipped(0)
    t:send("cases", { type = "Other", id = "c" })
    t:send("cases", { type = 5, id = "d" })
    t:send("cases", { id = "e" })
    t:skipped(3)
    t:expect("cases.out", { { id = "b", key = "k" } })
    t:rows("select id, place from orders", { { id = "a", place = "action" } })
    t:parked {}
  end)

test("match: _ takes what no case knows", function(t)
  t:send("caught", { type = "Known", id = 1 })
  t:send("caught", { type = "Other", id = 2 })
  t:send("caught", { id = 3 })
  t:expect("caught.out", { { id = 1, known = true }, { id = 2, known = false },
                           { id = 3, known = false } })
  t:skipped(0)
end)

test("into: binds by name; an absent field keeps the column or takes its default", function(t)
  t:send("named", { a = "k", b = "x", more = 1 })
  t:rows("select a, b, c from named", { { a = "k", b = "x", c = 7 } })
  t:send("named", { a = "k", c = 9 })
  t:rows("select a, b, c from named", { { a = "k", b = "x", c = 9 } })
  t:send("named", { a = "k", b = null })
  t:rows("select a, b, c from named", { { a = "k", c = 9 } })
  t:send("mapped", { id = "m", n = 4, s = "not given" })
  t:rows("select a, n, s from mapped", { { a = "m", n = 8, s = "none" } })
end)

test("aggregates: a row that breaks a constraint fails the record that made it do so", function(t)
  t:batch(function()
    for i, n in ipairs { 4, 5, 6, -2 } do
      t:send("capped", { k = "a", n = n }, { key = "k" .. i })
    end
  end)
  t:parked { { key = "k3", class = "constraint" } }
  t:rows("select n from capped", { { n = 7 } })
end)
