-- SPDX-License-Identifier: Apache-2.0
job "parcels" { version = 1 }

local parcels = table "parcels" [[ id text primary key, place text not null ]]

local scans = from "scans" { time = "at" }
scans:into(parcels, { id = "id", place = "place" })
scans:where "place == 'lost'" :to "lost"
