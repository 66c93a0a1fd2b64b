// SPDX-License-Identifier: Apache-2.0
//
// SQL that strangers write. Read-only is not enough: a read-only connection will write a copy of
// the whole database to any path (VACUUM INTO), and one SELECT can ask for gigabytes
// (hex(zeroblob(...))). Five fences, each for what the others miss:
//
//   authorizer   what a statement names: tables and columns by policy, functions by list; all else
//   is refused query_only   what slips through cannot write limits       lengths, depths and
//   counts, so that a small statement stays small deadline     a progress handler every thousand
//   operations one          one statement, nothing behind it (db_stmt.c)
//
// The list of functions has what answers in time linear to its input, and its input is bounded by
// the length limit. printf and replace are not on it: both make much of little inside one call,
// where no progress handler runs.
#include <stdlib.h>
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/db/db_internal.h"

// Sorted: looked up by bsearch.
static const char *const functions[] = {
    "->",
    "->>",
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "cos",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_each",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_patch",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_tree",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "percent_rank",
    "pi",
    "pow",
    "power",
    "quote",
    "radians",
    "random",
    "rank",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "sqrt",
    "strftime",
    "subtype",
    "substr",
    "substring",
    "sum",
    "tan",
    "time",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
};

static int compare_name(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

static bool function_allowed(const char *name)
{
    char lower[24];
    size_t i;

    for (i = 0; name[i] && i < sizeof lower - 1; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    lower[i] = 0;
    return name[i] == 0 && bsearch(lower, functions, ARRAY_LEN(functions), sizeof functions[0],
                                   compare_name) != NULL;
}

static int ask(struct db *db, enum db_access_kind kind, const char *table, const char *column,
               const char *via)
{
    struct db_access a = {
        .kind = kind, .table = table, .column = column != NULL ? column : "", .via = via};

    return table != NULL && db->policy.may(db->policy.ctx, &a) ? SQLITE_OK : SQLITE_DENY;
}

static int on_authorize(void *ctx, int action, const char *a1, const char *a2, const char *dbname,
                        const char *via)
{
    struct db *db = ctx;

    if (db->trusted || db->policy.may == NULL)
        return SQLITE_OK;
    if (dbname != NULL && strcmp(dbname, "main") != 0)
        return SQLITE_DENY;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_READ:
        // The columns of a common table expression or a table-valued function are not a table's.
        if (dbname == NULL || strcmp(a1, "json_each") == 0 || strcmp(a1, "json_tree") == 0)
            return SQLITE_OK;
        return ask(db, DB_ACCESS_READ, a1, a2, via);
    case SQLITE_FUNCTION:
        return function_allowed(a2) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_INSERT:
        return ask(db, DB_ACCESS_INSERT, a1, NULL, via);
    case SQLITE_UPDATE:
        return ask(db, DB_ACCESS_UPDATE, a1, a2, via);
    case SQLITE_DELETE:
        return ask(db, DB_ACCESS_DELETE, a1, NULL, via);
    case SQLITE_CREATE_TABLE:
        return ask(db, DB_ACCESS_CREATE_TABLE, a1, NULL, via);
    case SQLITE_CREATE_INDEX:
        return ask(db, DB_ACCESS_CREATE_INDEX, a1, a2, via);
    case SQLITE_CREATE_VIEW:
        return ask(db, DB_ACCESS_CREATE_VIEW, a1, NULL, via);
    case SQLITE_REINDEX:
        // Asked of CREATE INDEX for the index it has just been allowed to make.
        return db->mode == DB_READER ? SQLITE_DENY : SQLITE_OK;
    default:
        return SQLITE_DENY;
    }
}

void db_set_policy(struct db *db, const struct db_policy *p)
{
    db->policy = p != NULL ? *p : (struct db_policy){0};
}

// Once, at open: each call of sqlite3_set_authorizer makes all prepared statements be prepared
// again.
void db_guard_install(struct db *db)
{
    (void)sqlite3_set_authorizer(db->h, on_authorize, db);
}

static int on_progress(void *ctx)
{
    struct db *db = ctx;

    return db->deadline_ns != 0 && clock_mono_ns(db->clock) > db->deadline_ns;
}

void db_set_deadline(struct db *db, int64_t mono_ns)
{
    db->deadline_ns = mono_ns;
    if (mono_ns != 0)
        sqlite3_progress_handler(db->h, 1000, on_progress, db);
    else
        sqlite3_progress_handler(db->h, 0, NULL, NULL);
}

static bool may_nothing(void *ctx, const struct db_access *a)
{
    (void)ctx;
    (void)a;
    return false;
}

int db_guard_reader(struct db *db, struct err *e)
{
    static const struct {
        int id, value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, 2 * STATE_BYTES_MAX},
        {SQLITE_LIMIT_SQL_LENGTH, 100000},
        {SQLITE_LIMIT_COLUMN, 100},
        {SQLITE_LIMIT_EXPR_DEPTH, 50},
        {SQLITE_LIMIT_COMPOUND_SELECT, 10},
        {SQLITE_LIMIT_VDBE_OP, 25000},
        {SQLITE_LIMIT_FUNCTION_ARG, 8},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 50},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 10},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    struct db_policy nothing = {.may = may_nothing};
    // The first use of these declares a table inside SQLite, which the policy would refuse.
    int rc = db_exec(db,
                     "PRAGMA query_only=1; SELECT 1 FROM json_each('[]'); "
                     "SELECT 1 FROM json_tree('[]')",
                     e);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        (void)sqlite3_limit(db->h, limits[i].id, limits[i].value);
    db_set_policy(db, &nothing);
    return 0;
}
