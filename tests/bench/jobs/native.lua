-- Sound readings in Fahrenheit, per device and minute. Everything is an expression.
job "native" { version = 1 }

from "bench.readings"
  :where     "status ~= 'fault'"
  :by        "device"
  :window    { size = "1m" }
  :aggregate {
    n     = count(),
    total = sum "temp * 1.8 + 32",
    low   = min "temp * 1.8 + 32",
    high  = max "temp * 1.8 + 32",
  }
  :into      "readings"
