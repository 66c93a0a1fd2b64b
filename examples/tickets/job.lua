-- Numbers without gaps: a ticket machine. The counter, the row and the published record of one booking commit
-- together or not at all, so a record that fails burns no number and publishes nothing.
job "tickets" { version = 1 }

local series  = table "series" [[ name text primary key, last integer not null default 0 ]]
local tickets = table "tickets" [[
  number   integer primary key,
  booking  text not null unique,
  seats    integer not null check (seats between 1 and 9),
  sold_at  time not null
]]

from "bookings.paid" { time = "paid_at" }
  :map(function(b, ctx)
    ctx.db.series:add("ticket", { last = 1 })
    local number = ctx.db.series:get("ticket").last
    ctx.db.tickets:insert { number = number, booking = b.booking, seats = assert(b.seats, "no seats"), sold_at = ctx.time }
    return { type = "TicketSold", number = number, booking = b.booking }
  end)
  :to("tickets.sold", { key = "booking", headers = { id = "'ticket-' .. number" } })

test("numbers have no gaps whatever fails in between", function(t)
  local function paid(booking, seats)
    t:send("bookings.paid", { booking = booking, seats = seats, paid_at = "2026-05-01T09:00:00Z" }, { key = booking })
  end
  paid("b1", 2) paid("b2") paid("b3", 12) paid("b4", 1) paid("b1", 2)
  t:expect("tickets.sold", {
    { number = 1, booking = "b1", ["$header.id"] = "ticket-1" },
    { number = 2, booking = "b4", ["$header.id"] = "ticket-2" },
  })
  t:parked { { key = "b2", class = "lua" }, { key = "b3", class = "constraint" }, { key = "b1", class = "constraint" } }
  t:rows("select last from series", { { last = 2 } })
end)
