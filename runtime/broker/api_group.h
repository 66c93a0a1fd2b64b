// SPDX-License-Identifier: Apache-2.0
//
// How the group coordinator's replies become responses. The waiter of a reply is its request.
#ifndef LEAT_BROKER_API_GROUP_H
#define LEAT_BROKER_API_GROUP_H

#include "runtime/broker/group.h"

void group_reply_write(const struct group *g, const struct group_reply *reply);
void group_reply_send(const struct group_reply *reply); // after all have been written
// A held request of a server that stops; NULL is fine.
void group_reply_drop(void *waiter);

#endif
