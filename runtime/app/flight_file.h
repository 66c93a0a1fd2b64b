// SPDX-License-Identifier: Apache-2.0
//
// The page on which a job says what it is doing (engine/flight.h), as a mapped file beside the
// job's: jobs/<job>/<version>.flight. The kernel keeps what was stored there when the process ends,
// however it ends, and nobody syncs it.
#ifndef LEAT_APP_FLIGHT_FILE_H
#define LEAT_APP_FLIGHT_FILE_H

#include "runtime/base/err.h"
#include "runtime/engine/flight.h"

// `db`: path of the job's file. Made if it is not there.
int flight_file_map(const char *db, struct flight **out, struct err *e) LEAT_CHECKED;
void flight_file_unmap(struct flight *f); // NULL is fine

#endif
