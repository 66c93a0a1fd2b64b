// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/command.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/base/heap.h"
#include "runtime/base/number.h"

static const struct option common_options[] = {
    {"--json", 0, NULL, "print JSON instead of text for people"},
    {"--help", 'h', NULL, "this text"},
};

// --- help ---

static void print_option(const struct option *o)
{
    char left[64];

    snprintf(left, sizeof left, "%s%s%s", o->name, o->argument != NULL ? " " : "",
             o->argument != NULL ? o->argument : "");
    if (o->letter != 0)
        printf("  -%c, %-28s %s\n", o->letter, left, o->help);
    else
        printf("      %-28s %s\n", left, o->help);
}

static void print_command_help(const struct command *c)
{
    printf("leat %s - %s\n\nUsage: leat %s [options] %s\n", c->name, c->summary, c->name,
           c->arguments);
    if (c->details != NULL)
        printf("\n%s\n", c->details);
    printf("\nOptions:\n");
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && c->options[i].name != NULL; i++)
        print_option(&c->options[i]);
    for (size_t i = 0; i < ARRAY_LEN(common_options); i++)
        print_option(&common_options[i]);
    printf("\nExamples:\n%s\n\nExit codes: %s\n", c->examples,
           c->exits != NULL ? c->exits
                            : "0 ok, 1 the operation failed, 2 wrong usage, 3 cannot reach the "
                              "server.");
}

static void print_help(void)
{
    printf(
        "leat %s - a broker that Kafka clients talk to, and stream jobs in Lua that become SQLite "
        "tables, exactly once\n\nUsage: leat COMMAND [options] [arguments]\n\nCommands:\n",
        LEAT_VERSION);
    for (size_t i = 0; commands[i] != NULL; i++)
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n`leat COMMAND --help` shows options and examples of one command.\n");
}

int usage_error(const struct args *a, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "leat %s: ", a->command->name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry `leat %s --help`.\n", a->command->name);
    return EXIT_USAGE;
}

int command_failed(const struct args *a, const struct err *e)
{
    if (args_has(a, "--json")) {
        struct buf out = BUF_EMPTY;
        buf_append_str(&out, "{\"error\":\"");
        for (const char *p = e->text; *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_append_byte(&out, '\\');
            buf_append_byte(&out, (uint8_t)(*p == '\n' ? ' ' : *p));
        }
        fprintf(stderr, "%s\"}\n", buf_cstr(&out));
        buf_deinit(&out);
    } else {
        fprintf(stderr, "leat %s: %s\n", a->command->name, e->text);
    }
    if (e->code == LEAT_EUSAGE)
        return EXIT_USAGE;
    return e->code == LEAT_ECONNECT ? EXIT_UNREACHABLE : EXIT_FAILED;
}

// --- parsing ---

static const struct option *find_in(const struct option *o, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n && o[i].name != NULL; i++)
        if (strlen(o[i].name) == len && memcmp(o[i].name, name, len) == 0)
            return &o[i];
    return NULL;
}

static const struct option *find_letter(const struct option *o, size_t n, char letter)
{
    for (size_t i = 0; i < n && o[i].name != NULL; i++)
        if (o[i].letter == letter)
            return &o[i];
    return NULL;
}

static const struct option *find_option(const struct command *c, const char *word, size_t len)
{
    const struct option *o;

    if (word[1] != '-') {
        o = len == 2 ? find_letter(c->options, COMMAND_OPTIONS_MAX, word[1]) : NULL;
        return o != NULL || len != 2
                   ? o
                   : find_letter(common_options, ARRAY_LEN(common_options), word[1]);
    }
    o = find_in(c->options, COMMAND_OPTIONS_MAX, word, len);
    return o != NULL ? o : find_in(common_options, ARRAY_LEN(common_options), word, len);
}

static int parse_option(struct args *a, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const char *equals = strchr(word, '=');
    size_t len = equals != NULL && word[1] == '-' ? (size_t)(equals - word) : strlen(word);
    const struct option *o = find_option(a->command, word, len);
    const char *value = NULL;

    if (o == NULL)
        return usage_error(a, "unknown option %.*s", (int)len, word);
    if (o->argument != NULL) {
        if (word[len] == '=')
            value = word + len + 1;
        else if (*i + 1 < argc)
            value = argv[++*i];
        else
            return usage_error(a, "%s wants %s", o->name, o->argument);
    } else if (word[len] == '=') {
        return usage_error(a, "%s takes no value", o->name);
    }
    if (a->n_values == COMMAND_VALUES_MAX)
        return usage_error(a, "more than %d options", COMMAND_VALUES_MAX);
    a->values[a->n_values].option = o;
    a->values[a->n_values++].value = value;
    return EXIT_OK;
}

static int parse(struct args *a, int argc, char **argv)
{
    bool options = true;

    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] != 0) {
            int rc = parse_option(a, argc, argv, &i);
            if (rc != EXIT_OK)
                return rc;
        } else {
            a->positional[a->n_positional++] = argv[i];
        }
    }
    if (args_has(a, "--help"))
        return EXIT_OK;
    if ((int)a->n_positional < a->command->min_positional)
        return usage_error(a, "it wants %s", a->command->arguments);
    if (a->command->max_positional >= 0 && (int)a->n_positional > a->command->max_positional)
        return usage_error(a, "unexpected argument \"%s\"",
                           a->positional[a->command->max_positional]);
    return EXIT_OK;
}

static int run(const struct command *c, int argc, char **argv)
{
    struct args a = {.command = c};
    int rc;

    a.positional = heap_alloc((size_t)(argc + 1) * sizeof *a.positional);
    rc = parse(&a, argc, argv);
    if (rc == EXIT_OK && args_has(&a, "--help"))
        print_command_help(c);
    else if (rc == EXIT_OK)
        rc = c->run(&a);
    heap_free(a.positional);
    return rc;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

int command_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";
    const struct command *c = find_command(name);

    if (strcmp(name, "help") == 0 && argc > 2 && find_command(argv[2]) != NULL) {
        print_command_help(find_command(argv[2]));
        return EXIT_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return argc > 1 ? EXIT_OK : EXIT_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("leat %s\n", LEAT_VERSION);
        return EXIT_OK;
    }
    if (c == NULL) {
        fprintf(stderr, "leat: unknown command \"%s\"; `leat --help` lists them\n", name);
        return EXIT_USAGE;
    }
    return run(c, argc - 2, argv + 2);
}

// --- what was given ---

const char *args_nth(const struct args *a, const char *option, size_t i)
{
    for (size_t k = 0; k < a->n_values; k++)
        if (strcmp(a->values[k].option->name, option) == 0 && i-- == 0)
            return a->values[k].value != NULL ? a->values[k].value : "";
    return NULL;
}

bool args_has(const struct args *a, const char *option)
{
    return args_nth(a, option, 0) != NULL;
}

const char *args_get(const struct args *a, const char *option, const char *fallback)
{
    const char *value = fallback, *v;

    for (size_t i = 0; (v = args_nth(a, option, i)) != NULL; i++)
        value = v;
    return value;
}

int args_int(const struct args *a, const char *option, int64_t min, int64_t max, int64_t *out,
             struct err *e)
{
    const char *text = args_get(a, option, NULL);

    if (text == NULL)
        return 0;
    if (number_parse_int(bytes_str(text), out) != 0 || *out < min || *out > max)
        return err_set(e, LEAT_EUSAGE, "%s wants a whole number from %lld to %lld, not \"%s\"",
                       option, (long long)min, (long long)max, text);
    return 0;
}
