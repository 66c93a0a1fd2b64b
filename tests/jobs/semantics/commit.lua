-- Commits: what is committed together, and when. Seen in the job file's own tables.
job "commit" { version = 1, commit = { records = 3 } }

local rows = table "rows" [[ id integer primary key, n integer ]]
local numbers = from "numbers" { time = "at" }
numbers :into(rows, { id = "id" })
numbers :to "numbers.out"
numbers :by "'all'" :window { size = "1m" } :aggregate { n = count() } :into "minutes"

local t0 = 1767225600000
local commits = "select records from _leat_commits where records > 0 order by id"
local function send(t, id) t:send("numbers", { id = id, at = t0 }) end

test("commit: a drained input commits at once", function(t)
  send(t, 1)
  send(t, 2)
  t:rows(commits, { { records = 1 }, { records = 1 } })
end)

test("commit: what waits is one commit, up to its cap", function(t)
  t:batch(function() for i = 1, 7 do send(t, i) end end)
  t:rows(commits, { { records = 3 }, { records = 3 }, { records = 1 } })
  t:rows("select n from minutes", { { n = 7 } })
end)

test("commit: nothing to do, no commit", function(t)
  send(t, 1)
  t:rows("select count(*) n, max(id) last from _leat_commits", { { n = 1, last = 1 } })
  t:advance "20s"
  t:restart()
  t:rows("select count(*) n, max(id) last from _leat_commits", { { n = 1, last = 1 } })
end)

test("commit: rows, state, offsets and watermark are in it together", function(t)
  send(t, 1)
  send(t, 2)
  t:rows([[select (select count(*) from rows) rows, (select n from minutes) n, next, watermark
           from _leat_offsets]], { { rows = 2, n = 2, next = 2, watermark = t0 } })
end)

test("commit: it is written down with its records, clock and where its inputs stand", function(t)
  t:send("numbers", { id = 1, at = t0 }, { time = t0 + 5000 })
  t:rows("select records, wall, vector, idle from _leat_commits order by id desc limit 1",
    { { records = 1, wall = t0 + 5000, vector = "numbers:0@1", idle = null } })
end)

test("commit: which partitions were idle is written down too", function(t)
  send(t, 1)
  t:advance "2m"                            -- the clock closes the minute
  t:rows("select vector, idle from _leat_commits order by id desc limit 1",
    { { vector = "numbers:0@1", idle = "numbers:0" } })
end)

test("commit: the offset has the epoch of the record's batch beside it", function(t)
  t:rows("select next, epoch from _leat_offsets", {})
  send(t, 1)
  t:rows("select next, epoch from _leat_offsets", { { next = 1, epoch = 0 } })
end)
