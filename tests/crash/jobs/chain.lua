-- W4: a hash chain per key in keyed state, in a table and in a topic: one number proves that no
-- record was lost, doubled or taken out of order.
job "chain" { version = 1 }

local heads = table "heads" [[ k text primary key, n integer not null, h integer not null ]]

local chain = from "in" { idle = false } :by "k" :process {
  state = { n = 0, h = 7 },
  on = function(e, ctx)
    local s = ctx.state
    s.n, s.h = s.n + 1, (s.h * 31 + ctx.offset * 7 + e.v) % 2147483647
    return { k = e.k, n = s.n, h = s.h }
  end,
}

chain:into(heads, { k = "k", n = "n", h = "h" })
chain:to "chain.out"
