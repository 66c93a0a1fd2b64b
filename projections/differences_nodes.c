// SPDX-License-Identifier: Apache-2.0
//
// Operators. Each that is new, gone, or means something else by itself is a difference, with the
// class of the worst that it does: to the rows that it keeps, and to whatever it feeds that keeps
// rows. An operator without state that only feeds operators that are themselves new (or gone) is
// left to these.
//
// The fingerprints have the last word: an operator that keeps rows and whose inputs mean something
// else is a rebuild, whether or not a cause was found (streams that were joined up another way).
#include "projections/differences_parts.h"

#include <string.h>

static bool is_kind(const struct outline_node *n, const char *kind)
{
    return strcmp(n->kind, kind) == 0;
}

// Numbers of another format cannot be compared: then the texts are all there is to compare, and
// functions count as the same.
static bool means_the_same(struct finding *f, const struct outline_node *was,
                           const struct outline_node *is)
{
    if (f->was->format == f->is->format)
        return was->own == is->own;
    return settings_text(f->arena, &was->config, &is->config, SETTINGS_TEXTS)[0] == 0;
}

static bool reads_the_same(struct finding *f, const struct outline_node *was,
                           const struct outline_node *is)
{
    if (was->n_inputs != is->n_inputs)
        return false;
    for (int i = 0; i < is->n_inputs; i++)
        if (strcmp(f->was->nodes[was->inputs[i].node].id, f->is->nodes[is->inputs[i].node].id) !=
                0 ||
            strcmp(was->inputs[i].port, is->inputs[i].port) != 0)
            return false;
    return true;
}

// The first operator behind the one at `from` in `o` that keeps rows and stands in the other
// outline too; NULL when there is none.
static const struct outline_node *keeper_behind(struct finding *f, const struct outline *o,
                                                const struct outline *other, int from)
{
    bool *reached = outline_reach(o, from, f->arena);

    for (int i = from + 1; i < o->n_nodes; i++)
        if (reached[i] && o->nodes[i].keeps && outline_find_node(other, o->nodes[i].id) >= 0)
            return &o->nodes[i];
    return NULL;
}

static bool feeds_any_of(struct finding *f, const struct outline *o, const struct outline *other,
                         int from)
{
    bool *reached = outline_reach(o, from, f->arena);

    for (int i = from + 1; i < o->n_nodes; i++)
        if (reached[i] && outline_find_node(other, o->nodes[i].id) >= 0)
            return true;
    return false;
}

static void node_differs(struct finding *f, const struct outline_node *n, struct difference d)
{
    d.what = "operator";
    d.name = n->id;
    if (d.sign != '-')
        d.line = n->line;
    finding_add(f, &d);
}

static void feeds_keeper(struct difference *d, struct finding *f, const struct outline_node *keeper)
{
    d->class = UPGRADE_REBUILD;
    d->from_now = true;
    d->why = arena_printf(f->arena, "it feeds %s, which has kept the old meaning", keeper->id);
}

// --- new ---

static void new_node(struct finding *f, int i)
{
    const struct outline_node *n = &f->is->nodes[i],
                              *keeper = keeper_behind(f, f->is, f->was, i);
    struct difference d = {.class = UPGRADE_FROM_NOW, .sign = '+', .text = "is new", .why = ""};
    bool ends = is_kind(n, "to"), starts = n->n_inputs == 0;

    if (keeper != NULL)
        feeds_keeper(&d, f, keeper);
    else if (n->keeps) {
        d.class = UPGRADE_REBUILD;
        d.from_now = true;
        d.why = "it would begin empty";
    } else if (ends)
        d.why = "what came before is not published";
    else if (is_kind(n, "from"))
        d.why = "it is read from its start";
    else if (!starts && !feeds_any_of(f, f->is, f->was, i))
        return;
    node_differs(f, n, d);
}

// --- changed ---

// Of an operator that keeps rows and means something else.
static void changed_keeper(struct finding *f, struct difference *d, const struct outline_node *was,
                           const struct outline_node *is)
{
    bool process = is_kind(is, "process");
    struct value upgrade = outline_member(&is->config, "upgrade", f->arena);

    d->class = UPGRADE_REBUILD;
    d->from_now = was->shape == is->shape;
    d->why = d->from_now ? "what it keeps has the old meaning"
                         : "what it keeps is laid out for the old meaning";
    if (!process)
        return;
    if (was->shape == is->shape || value_is_object(&upgrade)) {
        d->class = UPGRADE_IN_PLACE;
        d->why = was->shape == is->shape ? "the state stays" : "upgrade takes the old states over";
    } else {
        d->from_now = false;
        d->why = "the initial state has another shape, and there is no upgrade for old ones";
    }
}

static void changed_node(struct finding *f, const struct outline_node *was, int i)
{
    const struct outline_node *is = &f->is->nodes[i], *keeper = keeper_behind(f, f->is, f->was, i);
    struct difference d = {.class = UPGRADE_FROM_NOW, .sign = '~', .why = ""};

    d.text = settings_text(f->arena, &was->config, &is->config, SETTINGS_MEANING);
    if (d.text[0] == 0)
        d.text = "means something else";
    if (is->keeps || was->keeps)
        changed_keeper(f, &d, was, is);
    if (keeper != NULL && d.class != UPGRADE_REBUILD)
        feeds_keeper(&d, f, keeper);
    if (d.class == UPGRADE_FROM_NOW)
        d.why = "history keeps the old meaning";
    node_differs(f, is, d);
}

static void changed_timing(struct finding *f, const struct outline_node *was,
                           const struct outline_node *is)
{
    const char *text = settings_text(f->arena, &was->config, &is->config, SETTINGS_TIMING);

    if (text[0])
        node_differs(
            f, is,
            (struct difference){.class = UPGRADE_IN_PLACE, .sign = '~', .text = text, .why = ""});
}

// --- gone ---

static void gone_node(struct finding *f, int i)
{
    const struct outline_node *n = &f->was->nodes[i],
                              *keeper = keeper_behind(f, f->was, f->is, i);
    struct difference d = {.class = UPGRADE_FROM_NOW, .sign = '-', .text = "is gone", .why = ""};

    if (keeper != NULL)
        feeds_keeper(&d, f, keeper);
    else if (n->shape != 0) {
        d.class = UPGRADE_REMOVED;
        d.why = "what it keeps goes with it";
    } else if (n->keeps) {
        d.why = "what it has written stays";
    } else if (is_kind(n, "to"))
        d.why = "what it has published stays";
    else if (is_kind(n, "from"))
        d.why = "its position stays, should it come back";
    else if (n->n_inputs > 0 && !feeds_any_of(f, f->was, f->is, i))
        return;
    node_differs(f, n, d);
}

// --- all ---

static bool is_covered(struct finding *f, const char *id, int from)
{
    int at = outline_find_node(f->is, id);

    for (int i = from; i < f->out->n; i++) {
        const struct difference *d = &f->out->items[i];
        const struct outline *o = d->sign == '-' ? f->was : f->is;
        int cause = outline_find_node(o, d->name), here = outline_find_node(o, id);
        if (d->class == UPGRADE_REBUILD && cause >= 0 && here >= 0 &&
            outline_reach(o, cause, f->arena)[here])
            return true;
    }
    return at < 0;
}

static void check_inputs(struct finding *f, int from)
{
    for (int i = 0; i < f->is->n_nodes; i++) {
        const struct outline_node *n = &f->is->nodes[i];
        int old = outline_find_node(f->was, n->id);
        bool own = old >= 0 && f->was->nodes[old].own == n->own;
        if (old < 0 || !n->keeps || f->was->nodes[old].fingerprint == n->fingerprint ||
            f->was->format != f->is->format)
            continue;
        if (!own && reads_the_same(f, &f->was->nodes[old], n))
            continue; // by itself, and that is said
        if (!is_covered(f, n->id, from))
            node_differs(f, n,
                         (struct difference){.class = UPGRADE_REBUILD,
                                             .from_now = true,
                                             .sign = '~',
                                             .text = "what it reads means something else",
                                             .why = "what it keeps has the old meaning"});
    }
}

void find_nodes(struct finding *f)
{
    int from = f->out->n;

    for (int i = 0; i < f->is->n_nodes; i++) {
        int old = outline_find_node(f->was, f->is->nodes[i].id);
        if (old < 0) {
            new_node(f, i);
        } else {
            if (!means_the_same(f, &f->was->nodes[old], &f->is->nodes[i]))
                changed_node(f, &f->was->nodes[old], i);
            changed_timing(f, &f->was->nodes[old], &f->is->nodes[i]);
        }
    }
    for (int i = 0; i < f->was->n_nodes; i++)
        if (outline_find_node(f->is, f->was->nodes[i].id) < 0)
            gone_node(f, i);
    check_inputs(f, from);
}
