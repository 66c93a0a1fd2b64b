// SPDX-License-Identifier: Apache-2.0
//
// Commands of the binary as data: name, options, help and examples in one table, from which parsing
// and every help text follow.
//
// Exit codes: 0 ok, 1 the operation failed, 2 wrong usage, 3 cannot reach the server.
#ifndef LEAT_APP_COMMAND_H
#define LEAT_APP_COMMAND_H

#include "runtime/base/buf.h"
#include "runtime/base/err.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNREACHABLE = 3 };

enum { COMMAND_OPTIONS_MAX = 24, COMMAND_VALUES_MAX = 64 };

struct option {
    const char *name;     // "--brokers"
    char letter;          // 'b' for -b; 0: none
    const char *argument; // "HOST:PORT"; NULL: a flag
    const char *help;
};

struct args;

struct command {
    const char *name;
    const char *arguments;              // "TOPIC [FILE]"
    const char *summary;                // one line
    const char *details;                // paragraphs; may be NULL
    const char *examples;               // one command per line, indented two spaces
    const char *exits;                  // what its exit codes mean; NULL: what they mean everywhere
    int min_positional, max_positional; // -1: any number
    struct option options[COMMAND_OPTIONS_MAX];
    int (*run)(struct args *a); // returns an exit code
};

struct args {
    const struct command *command;
    struct {
        const struct option *option;
        const char *value;
    } values[COMMAND_VALUES_MAX];
    size_t n_values;
    const char **positional;
    size_t n_positional;
};

// The command table, NULL-terminated.
extern const struct command *const commands[];

// The whole program: finds the command, parses, runs. Prints help and usage errors itself.
int command_main(int argc, char **argv);

bool args_has(const struct args *a, const char *option);
// The last value given, or `fallback`.
const char *args_get(const struct args *a, const char *option, const char *fallback);
// The i-th value of a repeatable option, or NULL.
const char *args_nth(const struct args *a, const char *option, size_t i);
// A whole number in [min, max]; *out stays as it is when it is not given. LEAT_EUSAGE.
int args_int(const struct args *a, const char *option, int64_t min, int64_t max, int64_t *out,
             struct err *e) LEAT_CHECKED;

// "leat produce: <text>" and how to get help; returns EXIT_USAGE.
int usage_error(const struct args *a, const char *fmt, ...) LEAT_PRINTF(2, 3);
// "leat produce: <text of the error>"; returns EXIT_UNREACHABLE for LEAT_ECONNECT, EXIT_USAGE for
// LEAT_EUSAGE, else EXIT_FAILED.
int command_failed(const struct args *a, const struct err *e);

#endif
