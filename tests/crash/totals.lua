-- One row per key, for more keys than memory has room for.
job "totals" { version = 1 }

from "events" { time = "t" }
  :by        "k"
  :aggregate { n = count(), total = sum "v", seen = last "t" }
  :into      "totals"
