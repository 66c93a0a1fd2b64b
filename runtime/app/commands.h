// SPDX-License-Identifier: Apache-2.0
//
// One struct command per file cmd_*.c.
#ifndef LEAT_APP_COMMANDS_H
#define LEAT_APP_COMMANDS_H

#include "runtime/app/command.h"

extern const struct command command_run, command_serve, command_test, command_check,
    command_explain, command_produce, command_consume, command_topics, command_query,
    command_status, command_expr, command_plan, command_outbox, command_dlq, command_init;

#endif
