-- SPDX-License-Identifier: Apache-2.0
-- The job of the tests from outside: a table, an output, a query of each kind.
job "shop" { version = 1 }

local orders = table "orders" [[
  id text primary key,
  n  integer not null,
  at time
]] { index = { "n" } }

local input = from "in"

input:into(orders, { id = "id", n = "n", at = "at" })
input:where "n > 5" :select { "id", "n" } :to("big", { key = "id" })

query "by_n" {
  path   = "/orders/:n",
  params = { n = "integer = 0", most = "integer = 10" },
  sql    = "select id, n, at from orders where n >= :n order by n limit :most",
}

query "one" {
  params = { id = "text" },
  sql    = "select id, n from orders where id = :id",
  one    = true,
}

query "slow" {
  sql = [[
    with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) as n from c
  ]],
}

test("a large order is announced", function(t)
  t:send("in", { id = "a", n = 6 })
  t:send("in", { id = "b", n = 5 })
  t:expect("big", { { ["$key"] = "a", id = "a", n = 6 } })
  t:rows("select id from orders order by id", { { id = "a" }, { id = "b" } })
end)
