-- park = "stop": while a job is written, its first error should be looked at.
job "errors-stop" { version = 1, errors = { park = "stop" } }

local seen = table "seen" [[ n integer primary key ]]
local input = from "in"
input :into(seen, { n = "n" })
input :map(function(v) assert(v.n < 10, "n is too large") return v end) :to "out"

test("what came before the record is committed, the record is not touched", function(t)
  t:batch(function()
    t:send("in", { n = 1 })
    t:send("in", { n = 12 })
    t:send("in", { n = 2 })
  end)
  t:stopped "n is too large: in/0@1 %(park = \"stop\"%)"
  t:rows("select n from seen", { { n = 1 } })
  t:expect("out", { { n = 1 } })
  t:parked {}
  t:restart()
  t:stopped "n is too large"
end)
