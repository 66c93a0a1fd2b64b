// SPDX-License-Identifier: Apache-2.0
//
// Puts the nodes so that each stands behind its inputs, keeping file order where that leaves a
// choice, and gives each port the list of its readers. The loader can only refer backwards, so a
// cycle cannot be written in a job; one here is our bug.
#include "runtime/engine/plan_passes.h"

static bool ready(const struct plan_node *n, const int *place)
{
    for (int i = 0; i < n->n_inputs; i++)
        if (place[n->inputs[i].node] < 0)
            return false;
    return true;
}

static void place_nodes(struct plan *p, int *place)
{
    struct plan_node *sorted = arena_alloc(&p->arena, (size_t)p->n_nodes * sizeof *sorted);
    int done = 0;

    while (done < p->n_nodes) {
        int i = 0;
        while (i < p->n_nodes && (place[i] >= 0 || !ready(&p->nodes[i], place)))
            i++;
        ASSERT(i < p->n_nodes); // a cycle
        place[i] = done;
        sorted[done++] = p->nodes[i];
    }
    p->nodes = sorted;
    p->cap_nodes = p->n_nodes;
}

static void add_reader(struct plan *p, int node, int input)
{
    const struct plan_input *in = &p->nodes[node].inputs[input];
    struct plan_node *from = &p->nodes[in->node];
    int n = from->n_outs[in->port];
    struct plan_input *grown = arena_alloc(&p->arena, (size_t)(n + 1) * sizeof *grown);

    if (n > 0)
        memcpy(grown, from->outs[in->port], (size_t)n * sizeof *grown);
    grown[n] = (struct plan_input){.node = node, .port = in->port};
    from->outs[in->port] = grown;
    from->n_outs[in->port] = n + 1;
}

int plan_pass_order(struct plan *p, struct err *e)
{
    int *place = arena_alloc(&p->arena, (size_t)p->n_nodes * sizeof *place);

    (void)e;
    for (int i = 0; i < p->n_nodes; i++)
        place[i] = -1;
    place_nodes(p, place);
    for (int i = 0; i < p->n_nodes; i++) {
        struct plan_node *n = &p->nodes[i];
        for (int k = 0; k < n->n_inputs; k++)
            n->inputs[k].node = place[n->inputs[k].node];
    }
    for (int i = 0; i < p->n_nodes; i++)
        for (int k = 0; k < p->nodes[i].n_inputs; k++)
            add_reader(p, i, k);
    return 0;
}
