-- The cap of output: a commit ends behind the record with which it is reached.
job "commit-bytes" { version = 1, commit = { bytes = 4096 } }

from "in" :map(function(v) return { n = v.n, text = ("x"):rep(v.bytes) } end) :to "out"

local commits = "select records from _leat_commits where records > 0 order by id"

test("commit: what waits is one commit, up to its cap of bytes to send", function(t)
  t:batch(function() for i = 1, 5 do t:send("in", { n = i, bytes = 1500 }) end end)
  t:rows(commits, { { records = 3 }, { records = 2 } })
end)

test("commit: a record that is more than the cap is a commit of its own", function(t)
  t:batch(function() for i = 1, 3 do t:send("in", { n = i, bytes = 5000 }) end end)
  t:rows(commits, { { records = 1 }, { records = 1 }, { records = 1 } })
end)

test("commit: what it counts is bytes, not records", function(t)
  t:batch(function() for i = 1, 5 do t:send("in", { n = i, bytes = i == 3 and 5000 or 0 }) end end)
  t:rows(commits, { { records = 3 }, { records = 2 } })
end)
