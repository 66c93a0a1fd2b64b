-- changes {latest = true}: one for each key and commit; what comes and goes within one is silent.
-- Not for leat test --chaos: it ends commits elsewhere, and what one commit is silent about two are
-- not. That is what latest promises, and why it is for topics of which the last value counts.
job "latest" { version = 1 }

local stock = table "stock" [[ sku text primary key, n integer not null default 0 ]]
from "moves" :match "type" { Move = stock:add("sku", { n = "n" }), Out = stock:delete "sku" }
stock:changes { latest = true } :select { sku = "$key", "n", was = "$old.n", gone = "n == nil" }
  :to "latest"

local function move(t, n) t:send("moves", { type = "Move", sku = "a", n = n }) end

test("latest: a row that comes back to what it was in one commit is silent", function(t)
  move(t, 5)
  t:expect("latest", { { n = 5, was = null } })
  t:batch(function() move(t, 3) move(t, -3) end)
  t:expect("latest", {})
  t:batch(function() t:send("moves", { type = "Out", sku = "a" }) move(t, 5) end)
  t:expect("latest", {})
end)

test("latest: its row before is that of the last commit", function(t)
  move(t, 1)
  t:batch(function() move(t, 1) move(t, 1) end)
  t:expect("latest", { { n = 1 }, { n = 3, was = 1 } })
end)

test("latest: so is a row that comes and goes in one", function(t)
  t:batch(function() move(t, 5) t:send("moves", { type = "Out", sku = "a" }) end)
  t:expect("latest", {})
  move(t, 2)
  t:send("moves", { type = "Out", sku = "a" })
  t:expect("latest", { { n = 2 }, { gone = true, was = 2 } })
end)
