-- limit: a bug does not park a whole topic.
job "errors-limit" { version = 1, errors = { limit = 3 } }

from "in" :map(function(v) error "a bug" end) :to "out"

test("at the limit the job stops, and stays so until somebody has looked", function(t)
  t:batch(function() for i = 1, 10 do t:send("in", { n = i }) end end)
  t:stopped "3 records are parked, the limit"
  t:parked { {}, {}, {} }
  t:rows("select next from _leat_offsets", { { next = 3 } })
  t:restart()
  t:stopped "leat dlq list errors%-limit"
end)
