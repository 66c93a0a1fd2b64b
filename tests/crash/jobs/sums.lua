-- W2: aggregates per key in a table and, change by change, as a topic: the n-th change of a key
-- says n.
job "sums" { version = 1 }

local sums = from "in" { idle = false }
  :by "k"
  :aggregate { n = count(), total = sum "v", low = min "v", high = max "v", recent = last "v" }

sums:into "sums"
sums:changes():to "sums.out"
