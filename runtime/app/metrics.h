// SPDX-License-Identifier: Apache-2.0
//
// Counters and gauges as Prometheus text (exposition format 0.0.4).
#ifndef LEAT_APP_METRICS_H
#define LEAT_APP_METRICS_H

#include "runtime/app/hosted_job.h"
#include "runtime/broker/broker.h"

void metrics_write(struct broker *b, struct hosted_job **jobs, size_t n, struct buf *text);

#endif
