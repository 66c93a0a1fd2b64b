-- SPDX-License-Identifier: Apache-2.0
job "parcels" { version = 1 }

local parcels = table "parcels" [[ id text primary key, place text not null,
  note text not null default 'seen' ]]

local scans = from "scans" { time = "at" }
scans:into(parcels, { id = "id", place = "place" })
scans:by "place" :aggregate { n = count() } :into "places"
scans:where "place == 'lost'" :to "lost"

query "at" { params = { place = "text" }, sql = "select id from parcels where place = :place" }
