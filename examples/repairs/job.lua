-- A bicycle workshop: what fails, what becomes of it, and how a person mends it.
job "repairs" {
  version = 1,
  errors  = {
    retry = { "2s", "1m", "1h" },               -- what time cures: the bike may still be announced
    park  = "key",                              -- later events of the same order wait behind it
    dead  = "repairs.dead",                     -- who else has to know
    limit = 500,                                -- a bug should not park everything
  },
}

local bikes = table "bikes" [[
  frame text primary key,
  owner text not null
]]

local orders = table "orders" [[
  id      text primary key,
  frame   text not null references bikes,
  minutes integer not null default 0 check (minutes <= 600),
  done_at time
]] { index = { "frame" } }

from "workshop.bikes" { changelog = true } :into(bikes)

from "workshop.orders" { time = "at" } :match "type" {
  Accepted = orders:insert { id = "id", frame = "frame" },     -- without its bike: class missing
  Worked   = orders:add ("id", { minutes = "minutes" }),        -- more than ten hours: constraint
  Done     = function(e, ctx)
    local o = ctx.db.orders:get(e.id) or ctx:retry "that order is not here yet"
    assert(o.minutes > 0, "nobody has worked on it")            -- class lua
    ctx.db.orders:patch(e.id, { done_at = ctx.time })
    return { type = "Invoice", id = e.id, minutes = o.minutes }
  end,
}
  :to("workshop.invoices", { key = "id" })

local function ev(t, id, kind, more)
  local e = { type = kind, id = id, at = "2026-01-01T08:00:00Z" }
  for k, v in pairs(more or {}) do e[k] = v end
  t:send("workshop.orders", e, { key = id })
end

local function bike(t, frame) t:send("workshop.bikes", { owner = "Ida" }, { key = frame }) end

test("an order before its bike waits, and what follows it waits behind it", function(t)
  ev(t, "o1", "Accepted", { frame = "f1" })
  ev(t, "o1", "Worked", { minutes = 30 })
  t:parked { { key = "o1", class = "missing" }, { key = "o1", class = "sequence" } }
  bike(t, "f1")
  t:advance "2s"
  t:parked {}
  t:rows("select minutes from orders", { { minutes = 30 } })
end)

test("a slip of the pen is parked at once and told to whoever reads repairs.dead", function(t)
  bike(t, "f1")
  ev(t, "o1", "Accepted", { frame = "f1" })
  ev(t, "o1", "Worked", { minutes = 3000 })
  ev(t, "o1", "Done")
  t:parked { { key = "o1", class = "constraint" }, { key = "o1", class = "sequence" } }
  t:expect("repairs.dead", { { ["$key"] = "o1", type = "Worked",
                               ["$header.__connect.errors.exception.class.name"] = "constraint" } })
  t:rows("select minutes from orders", { { minutes = 0 } })
  t:expect("workshop.invoices", {})
end)

test("another order is not held up", function(t)
  bike(t, "f1")
  ev(t, "o1", "Accepted", { frame = "none" })
  ev(t, "o2", "Accepted", { frame = "f1" })
  ev(t, "o2", "Worked", { minutes = 45 })
  ev(t, "o2", "Done")
  t:expect("workshop.invoices", { { ["$key"] = "o2", minutes = 45 } })
end)
