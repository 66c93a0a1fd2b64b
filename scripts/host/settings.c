// SPDX-License-Identifier: Apache-2.0
//
// leat.lua is Lua under the same sandbox as jobs, without the words of jobs: it returns one table.
// An unknown name is an error with a suggestion: a misspelt setting must not silently be the
// default.
//
// The table is first turned into a plain value, then read: after that no Lua is left.
#include "scripts/settings.h"

#include <glob.h>
#include <stdio.h>

#include "runtime/base/datetime.h"
#include "runtime/base/limits.h"
#include "runtime/base/number.h"
#include "scripts/host/host.h"
#include "scripts/host/source.h"
#include "runtime/base/suggest.h"
#include "scripts/host/values.h"

struct loading {
    struct settings *out;
    const char *file;
    const char *folder; // of the file, with a '/' at the end; "" for here
    struct bytes source;
    struct value root;
    struct err *e;
};

struct setting {
    const char *name;
    int (*read)(struct loading *x, void *into, const struct value *v);
};

void settings_init(struct settings *s)
{
    memset(s, 0, sizeof(*s));
    arena_init(&s->arena);
}

void settings_deinit(struct settings *s)
{
    arena_deinit(&s->arena);
}

static int refuse(struct loading *x, const char *text)
{
    return err_set(x->e, LEAT_ELOAD, "%s", text);
}

static const char *text_of(struct loading *x, const struct value *v)
{
    return v->type == VALUE_TEXT ? (const char *)arena_copy(&x->out->arena, v->s).p : NULL;
}

// Paths are meant from where leat.lua stands.
static const char *path_of(struct loading *x, const char *path)
{
    return path[0] == '/' ? path : arena_printf(&x->out->arena, "%s%s", x->folder, path);
}

// Reads each member with its setting's function; wraps errors in the setting's name.
static int read_members(struct loading *x, const struct value *v, const struct setting *known,
                        void *into)
{
    if (v->type != VALUE_OBJECT)
        return refuse(x, "must be a table with names");
    for (size_t i = 0; i < v->object->n; i++) {
        const char *name = (const char *)v->object->names[i].p;
        struct suggestion s = {.name = name};
        size_t k = 0;
        int rc;

        for (; known[k].name != NULL && strcmp(known[k].name, name) != 0; k++)
            suggest(&s, known[k].name);
        if (known[k].name == NULL)
            return err_set(x->e, LEAT_ELOAD, "unknown setting '%s'%s", name, suggest_text(&s));
        rc = known[k].read(x, into, &v->object->values[i]);
        if (rc != 0)
            return err_wrap(x->e, rc, "%s", name);
    }
    return 0;
}

static int read_data(struct loading *x, void *into, const struct value *v)
{
    const char *path = text_of(x, v);

    (void)into;
    if (path == NULL)
        return refuse(x, "must be a text: the folder of the data");
    x->out->data = path_of(x, path);
    return 0;
}

static int read_address(struct loading *x, void *into, const struct value *v)
{
    *(const char **)into = text_of(x, v);
    return *(const char **)into != NULL ? 0 : refuse(x, "must be \"host:port\"");
}

static int read_kafka_listen(struct loading *x, void *into, const struct value *v)
{
    (void)into;
    return read_address(x, &x->out->kafka_listen, v);
}

static int read_http_listen(struct loading *x, void *into, const struct value *v)
{
    (void)into;
    return read_address(x, &x->out->http_listen, v);
}

static int read_later(struct loading *x, void *into, const struct value *v)
{
    (void)into;
    (void)v;
    return refuse(x, "is not supported by this version");
}

static int read_listen(struct loading *x, void *into, const struct value *v)
{
    static const struct setting known[] = {
        {"kafka", read_kafka_listen}, {"http", read_http_listen}, {"registry", read_later}, {0}};

    return read_members(x, v, known, into);
}

static int add_jobs(struct loading *x, const char *pattern)
{
    struct settings *s = x->out;
    const char **grown;
    glob_t found;
    int rc = glob(pattern, 0, NULL, &found); // sorted

    if (rc == GLOB_NOMATCH)
        return err_set(x->e, LEAT_ELOAD, "no file matches \"%s\"", pattern);
    if (rc != 0)
        return err_set(x->e, LEAT_ELOAD, "cannot look for \"%s\"", pattern);
    grown = arena_alloc(&s->arena, (s->n_jobs + found.gl_pathc + 1) * sizeof(*grown));
    if (s->n_jobs > 0)
        memcpy(grown, s->jobs, s->n_jobs * sizeof(*grown));
    for (size_t i = 0; i < found.gl_pathc; i++)
        grown[s->n_jobs++] = arena_strdup(&s->arena, found.gl_pathv[i]);
    s->jobs = grown;
    globfree(&found);
    return 0;
}

static int read_jobs(struct loading *x, void *into, const struct value *v)
{
    int rc = 0;

    (void)into;
    if (v->type == VALUE_OBJECT && v->object->n == 0)
        return 0;
    if (v->type != VALUE_ARRAY)
        return refuse(x, "must be a list of files, as in { \"jobs/*.lua\" }");
    for (size_t i = 0; i < v->array->n && rc == 0; i++) {
        const char *pattern = text_of(x, &v->array->items[i]);
        rc = pattern != NULL ? add_jobs(x, path_of(x, pattern))
                             : refuse(x, "each must be a text, as in \"jobs/*.lua\"");
    }
    return rc;
}

static int read_count(struct loading *x, void *into, const struct value *v)
{
    if (v->type != VALUE_INT || v->i < 1 || v->i > PARTITIONS_PER_TOPIC_MAX)
        return err_set(x->e, LEAT_ELOAD, "must be a whole number from 1 to %d",
                       PARTITIONS_PER_TOPIC_MAX);
    *(int32_t *)into = (int32_t)v->i;
    return 0;
}

static int read_partitions(struct loading *x, void *into, const struct value *v)
{
    return read_count(x, &((struct settings_topic *)into)->partitions, v);
}

static int read_retention(struct loading *x, void *into, const struct value *v)
{
    struct settings_topic *t = into;

    if (v->type == VALUE_TEXT && bytes_eq_str(v->s, "forever"))
        t->retention_ms = -1;
    else if (v->type != VALUE_TEXT || duration_parse(v->s, &t->retention_ms) != 0 ||
             t->retention_ms < 1)
        return refuse(x, "must be \"forever\" or a duration such as \"7d\"");
    return 0;
}

static int read_retention_bytes(struct loading *x, void *into, const struct value *v)
{
    struct settings_topic *t = into;

    if (v->type == VALUE_INT)
        t->retention_bytes = v->i;
    else if (v->type != VALUE_TEXT || number_parse_size(v->s, &t->retention_bytes) != 0)
        t->retention_bytes = 0;
    return t->retention_bytes > 0 ? 0 : refuse(x, "must be a size such as \"10GiB\"");
}

static int read_compact(struct loading *x, void *into, const struct value *v)
{
    ((struct settings_topic *)into)->compact = v->type == VALUE_BOOL && v->b;
    return v->type == VALUE_BOOL ? 0 : refuse(x, "must be true or false");
}

static int read_topics(struct loading *x, void *into, const struct value *v)
{
    static const struct setting known[] = {{"partitions", read_partitions},
                                           {"retention", read_retention},
                                           {"retention_bytes", read_retention_bytes},
                                           {"compact", read_compact},
                                           {0}};
    struct settings *s = x->out;
    int rc = 0;

    (void)into;
    if (v->type != VALUE_OBJECT)
        return refuse(x, "must be a table: { [\"name\"] = { partitions = 1 } }");
    s->topics = arena_zalloc(&s->arena, (v->object->n + 1) * sizeof(*s->topics));
    for (size_t i = 0; i < v->object->n && rc == 0; i++) {
        struct settings_topic *t = &s->topics[s->n_topics++];
        t->name = (const char *)arena_copy(&s->arena, v->object->names[i]).p;
        rc = read_members(x, &v->object->values[i], known, t);
        if (rc != 0)
            return err_wrap(x->e, rc, "%s", t->name);
    }
    return rc;
}

static int read_default_partitions(struct loading *x, void *into, const struct value *v)
{
    (void)into;
    return read_count(x, &x->out->default_partitions, v);
}

static int read_auto_create(struct loading *x, void *into, const struct value *v)
{
    (void)into;
    x->out->auto_create = v->type == VALUE_BOOL && v->b;
    return v->type == VALUE_BOOL ? 0 : refuse(x, "must be true or false");
}

static const struct setting settings_known[] = {
    {"data", read_data},
    {"listen", read_listen},
    {"jobs", read_jobs},
    {"topics", read_topics},
    {"partitions", read_default_partitions},
    {"auto_create", read_auto_create},
    {"kafka", read_later},
    {0},
};

static int run_settings(lua_State *L)
{
    struct loading *x = lua_touserdata(L, 1);

    host_push_key(L, KEY_WORDS);
    values_open(L);
    lua_pushfstring(L, "@%s", x->file);
    if (luaL_loadbufferx(L, (const char *)x->source.p, x->source.n, lua_tostring(L, -1), "t") != 0)
        return lua_error(L);
    host_push_key(L, KEY_ENV);
    (void)lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) != LUA_TTABLE)
        return luaL_error(L, "%s: must return a table: return { data = \"data\", ... }", x->file);
    value_take(L, -1, &x->out->arena, &x->root);
    return 0;
}

static const char *folder_of(struct arena *a, const char *file)
{
    const char *slash = strrchr(file, '/');

    if (slash == NULL)
        return "";
    return (const char *)arena_copy(a, bytes_of(file, (size_t)(slash - file) + 1)).p;
}

int settings_load(struct settings *s, const char *file, struct err *e)
{
    struct loading x = {
        .out = s, .file = file, .folder = folder_of(&s->arena, file), .root = VALUE_OF_MISSING};
    struct host h = {.file = file};
    struct err own;
    uint8_t *p = arena_alloc(&s->arena, JOB_SOURCE_BYTES_MAX);
    int rc;

    x.e = e != NULL ? e : &own;
    x.source.p = p;
    rc = source_read(file, p, JOB_SOURCE_BYTES_MAX, &x.source.n, x.e);
    if (rc == 0)
        rc = host_open(&h, LUA_TIME_MS_MAX, x.e);
    if (rc != 0)
        return rc;
    rc = host_run(&h, run_settings, &x, 0, x.e);
    host_close(&h);
    if (rc == 0)
        rc = read_members(&x, &x.root, settings_known, NULL);
    else
        return x.e->code = LEAT_ELOAD;
    return rc == 0 ? 0 : err_wrap(x.e, rc, "%s", file);
}
