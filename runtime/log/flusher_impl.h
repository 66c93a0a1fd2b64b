// SPDX-License-Identifier: Apache-2.0
//
// For this folder: telling the flusher's watchers from elsewhere (an append in page-cache mode).
#ifndef LEAT_LOG_FLUSHER_IMPL_H
#define LEAT_LOG_FLUSHER_IMPL_H

struct flusher;

void flusher_moved(struct flusher *f);

#endif
