// SPDX-License-Identifier: Apache-2.0
//
// leat: one binary, many commands. The table below is all there is to see; command.c parses and
// dispatches.
#include "runtime/app/command.h"
#include "runtime/app/commands.h"

const struct command *const commands[] = {
    &command_init,    &command_run,     &command_serve,   &command_test,   &command_check,
    &command_explain, &command_expr, &command_plan,    &command_produce, &command_consume,
    &command_topics,  &command_query,   &command_status,  &command_outbox,  &command_dlq,
    NULL,
};

int main(int argc, char **argv)
{
    return command_main(argc, argv);
}
