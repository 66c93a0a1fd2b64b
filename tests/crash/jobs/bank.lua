-- W3: transfers between accounts; the money stays the same in every snapshot, no account is
-- overdrawn, and the moves explain the balances.
job "bank" { version = 1 }

local accounts = table "accounts" [[
  id integer primary key, balance integer not null check (balance >= 0)
]]
local moves = table "moves" [[
  v integer primary key, source integer not null, target integer not null, amount integer not null
]]

from "in" { idle = false } :map(function(e, ctx)
  local from_id, to_id, amount = e.v % 20, e.v // 20 % 20, e.v % 7
  for _, id in ipairs { from_id, to_id } do
    if not ctx.db.accounts:get(id) then ctx.db.accounts:insert { id = id, balance = 100 } end
  end
  if ctx.db.accounts:get(from_id).balance < amount then return { v = e.v, refused = true } end
  ctx.db.accounts:add(from_id, { balance = -amount })
  ctx.db.accounts:add(to_id, { balance = amount })
  ctx.db.moves:insert { v = e.v, source = from_id, target = to_id, amount = amount }
end)
  :to "bank.refused"
