-- Readings per record key and minute. The value is not looked at: format "bytes".
job "count" { version = 1 }

from "bench.readings" { format = "bytes" }
  :window    { size = "1m" }
  :aggregate { n = count() }
  :into      "readings"
