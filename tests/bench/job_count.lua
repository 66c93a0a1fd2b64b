-- The job of the benchmark: readings per device and minute, open windows visible in the table.
job "count" { version = 1 }

from "bench.telemetry" { time = "ts" }
  :by        "device"
  :window    { size = "1m" }
  :aggregate { n = count() }
  :into      "readings"
