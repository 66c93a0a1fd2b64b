-- changes() of tables: one record per change of a row, whatever wrote it; $old is the row before.
job "changes" { version = 1 }

local accounts = table "accounts" [[
  id text primary key, balance integer not null default 0 check (balance < 1000), note text
]]
local moves = table "moves" [[
  id integer primary key, account text not null references accounts on delete cascade,
  amount real not null, ok bool, fee decimal(9,2)
]]

from "accounts" { changelog = true } :into(accounts)

from "moves" :match "type" {
  Book = {
    moves:insert { id = "id", account = "account", amount = "amount", ok = "ok", fee = "fee" },
    accounts:add("account", { balance = "amount // 1" }),
  },
  Note = accounts:patch("account", { note = "note" }),
  Rename = function(e, ctx)
    ctx.db:sql("update accounts set id = :to where id = :account", e)
  end,
  Twice = function(e, ctx)
    ctx.db.accounts:add(e.account, { balance = 1 })
    ctx.db.accounts:add(e.account, { balance = 2 })
    pcall(function() ctx.db.accounts:add(e.account, { balance = 5000 }) end)
    ctx.db:sql("update accounts set note = 'sql' where id = :id", { id = e.account })
    if e.fail then error "no" end
    return nil
  end,
}

accounts:changes()
  :select { id = "$key", "balance", was = "$old.balance", gone = "balance == nil", "note" }
  :to "accounts.changed"
accounts:changes { latest = true } :to "accounts.latest"
moves:changes():select { "$key", "amount", "ok", "fee", old = "$old.amount" } :to "moves.changed"

local by = from "sales" { time = "at" } :by "sku"
by:aggregate { n = count(), best = max "price" }:changes()
  :select { "sku", "n", "best", was = "$old.n" } :to "totals.changed"
by:window { size = "10s", every = "5s" }:aggregate { best = max "price", last = last "name" }
  :changes():to "windows.changed"

test("changes of an aggregate come with the record, unchanged rows say nothing", function(t)
  local function sale(price, at, name)
    t:send("sales", { sku = "a", price = price, at = at, name = name })
  end
  sale(5, 1767225607000, "x")
  sale(3, 1767225607000, "x")
  t:expect("totals.changed", { { ["$key"] = "a", sku = "a", n = 1, best = 5 },
                               { n = 2, best = 5, was = 1 } })
  t:expect("windows.changed", { { window_start = 1767225600000, best = 5 },
                                { window_start = 1767225605000, best = 5, last = "x" } })
  sale(9, 1767225611000, "y")
  t:expect("windows.changed", { { window_start = 1767225605000, best = 9, last = "y" },
                                { window_start = 1767225610000, best = 9 } })
end)

test("each change in order, nothing for a write that changes nothing", function(t)
  t:send("accounts", { balance = 5 }, { key = "a" })
  t:send("accounts", { balance = 5 }, { key = "a" })
  t:send("moves", { type = "Note", account = "a", note = "n" })
  t:send("moves", { type = "Note", account = "a", note = "n" })
  t:expect("accounts.changed", { { ["$key"] = "a", id = "a", balance = 5 },
                                 { balance = 5, was = 5, note = "n" } })
  t:send("moves", { type = "Twice", account = "a" })
  t:expect("accounts.changed", { { balance = 6, was = 5 }, { balance = 8, was = 6 },
                                 { balance = 8, was = 8, note = "sql" } })
  t:expect("accounts.latest", { { id = "a", balance = 5 }, { id = "a", balance = 5, note = "n" },
                                { id = "a", balance = 8, note = "sql" } })
end)

test("a record that fails has changed nothing", function(t)
  t:send("accounts", { balance = 5 }, { key = "a" })
  t:expect("accounts.changed", { { balance = 5 } })
  t:send("moves", { type = "Twice", account = "a", fail = true }, { key = "m" })
  t:expect("accounts.changed", {})
  t:parked { { key = "m", class = "lua" } }
end)

test("deletes are nil with $old, cascades are changes too, values keep their types", function(t)
  t:send("accounts", { balance = 5 }, { key = "a" })
  t:send("moves", { type = "Book", id = 7, account = "a", amount = 2.0, ok = true, fee = "1.50" })
  t:expect("moves.changed", { { key = 7, amount = 2.0, ok = true, fee = "1.50" } })
  t:send("accounts", nil, { key = "a" })
  t:expect("moves.changed", { { key = 7, old = 2.0 } })
  t:batch(function()
    t:send("accounts", { balance = 1 }, { key = "b" })
    t:send("accounts", { balance = 2 }, { key = "b" })
    t:send("accounts", { balance = 1 }, { key = "c" })
    t:send("accounts", nil, { key = "c" })
  end)
  t:expect("accounts.latest", { { balance = 5 }, { balance = 7 }, { ["$key"] = "a" },
                                { id = "b", balance = 2 } })
end)

test("a row with another primary key is another row, the old one has gone", function(t)
  t:send("accounts", { balance = 5 }, { key = "a" })
  t:send("accounts", { balance = 6 }, { key = "b" })
  t:expect("accounts.changed", { { id = "a" }, { id = "b" } })
  t:expect("accounts.latest", { { id = "a" }, { id = "b" } })
  t:send("moves", { type = "Rename", account = "a", to = "c" })
  t:expect("accounts.changed", { { id = "a", gone = true, was = 5, balance = null },
                                 { id = "c", gone = false, was = null, balance = 5 } })
  t:expect("accounts.latest", { { ["$key"] = "a" }, { ["$key"] = "c", id = "c", balance = 5 } })
end)
