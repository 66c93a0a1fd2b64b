-- Page views, counted per page and minute; busy minutes are published once they are over.
job "pageviews" { version = 1 }

local busy = param("busy", 3)                        -- another one: -p busy=100

local per_minute = table "pageviews_per_minute" [[
  page         text,
  window_start time,
  window_end   time,
  n            integer,
  visitors     integer,
  primary key (page, window_start)
]] { ttl = "90d after window_end" }

local views = from "pageviews" { time = "at", disorder = "5s" }

local minutes = views
  :by        "page"
  :window    { size = "1m" }
  :aggregate { n = count(), visitors = distinct "visitor" }

minutes:into(per_minute)                             -- open minutes are in it, and still change

minutes:final()                                      -- a stream: each minute once, when it is over
  :where("n >= ?", busy)
  :select { "page", "n", "visitors", minute = "window_start" }
  :to("pageviews.busy", { key = "page" })

query "page" {
  params = { page = "text", n = "integer = 10" },
  sql    = [[
    select window_start as minute, n, visitors from pageviews_per_minute
    where page = :page order by minute desc limit :n
  ]],
}

test("a busy minute is published when it is over", function(t)
  local function view(page, visitor, time)
    t:send("pageviews", { page = page, visitor = visitor, at = "2026-01-01T" .. time .. "Z" })
  end
  view("/", "ann", "12:00:10") view("/", "bob", "12:00:20") view("/", "ann", "12:00:30")
  view("/help", "bob", "12:00:40")
  t:expect("pageviews.busy", {})
  view("/", "ann", "12:01:10")                       -- a minute and 5s of disorder later
  t:expect("pageviews.busy", { { ["$key"] = "/", page = "/", n = 3, visitors = 2 } })
  t:query("page", { page = "/help" }, { { n = 1, visitors = 1 } })
end)
