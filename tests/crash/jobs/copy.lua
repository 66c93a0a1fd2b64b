-- W1: every record once, in the order of its partition.
job "copy" { version = 1 }

from "in" { idle = false } :to "copy.out"
