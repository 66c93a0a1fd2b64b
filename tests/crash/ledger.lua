-- SPDX-License-Identifier: Apache-2.0
-- The job of the crash campaigns: every record is counted twice, natively and by a Lua function, and
-- copied out. After any crash both tables must equal the fold of the input, and the copy must hold
-- each record once.
job "ledger" { version = 1 }

local totals = table "totals" [[
  k    text primary key,
  n    integer not null default 0,
  sum  integer not null default 0
]]

local input = from "in"

input:by "k" :aggregate { n = count(), sum = sum "v" } :into "native_totals"

input
  :map(function(v, ctx)
    ctx.db.totals:add(v.k, { n = 1, sum = v.v })
    return v
  end)
  :to("out", { key = "k" })
