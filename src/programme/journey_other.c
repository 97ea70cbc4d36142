/* journey_other.c - the steps that lead into another journey, and the graph that they make of journeys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

#define RUNS_MAX 8 /* runs inside each other: each keeps an instance of the person's */

static void other_compile(struct builder *b, const struct yaml_node *node, const char *key,
                          struct plan_other *other)
{
    struct compile *c = b->c;
    const struct yaml_node *with = shape_value(node, "", "with");
    uint32_t count = with && with->type == YAML_MAP ? with->count : 0;
    struct plan_given *given = arena_array(c->arena, struct plan_given, count);
    other->index = build_journey_index(c, b->yaml, shape_value(node, "", key));
    if (other->index != PLAN_NO_INDEX)
        other->journey = build_name(c, shape_value(node, "", key)->text);
    other->given = given;
    for (uint32_t i = 0; i < count; i++) {
        struct plan_given *one = &given[other->given_count];
        *one = (struct plan_given){.name = build_name(c, with->pairs[i].key->text)};
        if (one->name == NAME_NONE)
            continue;
        scope_compile(c, b->yaml, with->pairs[i].value,
                      builder_target(b, SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_ANY), &one->value);
        other->given_count++;
    }
}

void handoff_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                     struct open_ends *ends, uint16_t *last_message)
{
    const struct yaml_node *refused = shape_value(node, "", "if_refused");
    other_compile(b, node, "handoff", &step->other);
    if (shape_count(refused))
        inner_compile(b, refused, &step->next, ends, last_message);
    else
        ends_open(b, ends, &step->next);
}

void run_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step)
{
    other_compile(b, node, "run", &step->other);
}

/* ---- the graph ----------------------------------------------------------------------------------- */

static bool has_way(const struct plan_journey *j, enum way_kind kind)
{
    for (uint32_t i = 0; i < j->way_count; i++)
        if (j->ways[i].kind == kind)
            return true;
    return false;
}

/* May the journey refuse whom another hands over? */
static bool may_refuse(const struct compile *c, const struct plan_journey *j)
{
    bool has_condition = false;
    for (uint32_t i = 0; i < j->entry_count; i++)
        if (j->entries[i].way && j->entries[i].way->kind == WAY_HANDOFF)
            has_condition |= j->entries[i].when.code != NULL;
    bool is_full = j->at_once_then == AT_ONCE_IGNORE;
    bool has_group = j->group != PLAN_NO_INDEX && c->plan->groups[j->group].at_most != 0;
    return has_condition || is_full || has_group || j->again != AGAIN_ALWAYS ||
           j->require.code != NULL || j->key != NAME_NONE;
}

static void link_look(struct compile *c, uint32_t from, uint32_t place)
{
    const struct plan_step *step = &c->journeys[from].steps[place];
    struct place where = c->journey_infos[from].places[place];
    bool is_run = step->kind == STEP_RUN;
    if (step->other.index == PLAN_NO_INDEX)
        return;
    const struct plan_journey *to = &c->journeys[step->other.index];
    struct str name = names_text(c->names, to->name);
    if (!has_way(to, is_run ? WAY_RUN : WAY_HANDOFF)) {
        findings_add(c->findings, FINDING_CONFLICT, where,
                     is_run ? "the journey \"%.*s\" is not one that others may run"
                            : "the journey \"%.*s\" takes nobody over from others",
                     STR_ARG(name));
        finding_advise(c->findings, "say so in its file: enter: {%s: true}",
                       is_run ? "run" : "handoff");
        return;
    }
    if (is_run || step->next != PLAN_END || !may_refuse(c, to))
        return;
    findings_add(c->findings, FINDING_HANDOFF_NO_PATH, where,
                 "\"%.*s\" may refuse whom this hands over, and then the journey just ends",
                 STR_ARG(name));
    finding_advise(c->findings, "say what happens then: if_refused: [...]");
}

enum mark { UNSEEN, OPEN, DONE };

struct graph {
    struct compile *c;
    enum step_kind kind;
    uint8_t *marks; /* enum mark, by journey */
    uint8_t *depth; /* RUN: how many runs are inside each other below it */
};

/* Recursion is bounded by the number of journeys; the place is where a circle closes. */
static void graph_walk(struct graph *g, uint32_t from)
{
    struct compile *c = g->c;
    const struct plan_journey *j = &c->journeys[from];
    g->marks[from] = OPEN;
    for (uint32_t i = 0; i < j->step_count; i++) {
        const struct plan_step *step = &j->steps[i];
        if (step->kind != g->kind || step->other.index == PLAN_NO_INDEX)
            continue;
        uint32_t to = step->other.index;
        bool is_run = g->kind == STEP_RUN;
        if (g->marks[to] == UNSEEN)
            graph_walk(g, to);
        if (g->marks[to] == OPEN) {
            findings_add(c->findings, is_run ? FINDING_RUN_CYCLE : FINDING_HANDOFF_CYCLE,
                         c->journey_infos[from].places[i],
                         is_run ? "\"%.*s\" would run inside itself"
                                : "people who leave \"%.*s\" by handoffs come back to it here",
                         STR_ARG(names_text(c->names, c->journeys[to].name)));
            if (!is_run)
                finding_advise(c->findings, "let `again` of one of them say when that may be");
            continue;
        }
        g->depth[from] = (uint8_t)max_of(g->depth[from], (uint8_t)(g->depth[to] + 1));
        if (!is_run || g->depth[from] <= RUNS_MAX)
            continue;
        findings_add(c->findings, FINDING_RUN_CYCLE, c->journey_infos[from].places[i],
                     "more than %d journeys run inside each other", RUNS_MAX);
        g->depth[from] = 0; /* said once */
    }
    g->marks[from] = DONE;
}

void links_check(struct compile *c)
{
    static const enum step_kind kinds[] = {STEP_RUN, STEP_HANDOFF};
    uint32_t count = c->plan->journey_count;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < c->journeys[i].step_count; k++)
            if (c->journeys[i].steps[k].kind == STEP_RUN ||
                c->journeys[i].steps[k].kind == STEP_HANDOFF)
                link_look(c, i, k);
    for (size_t n = 0; n < array_count(kinds); n++) {
        struct graph g = {.c = c,
                          .kind = kinds[n],
                          .marks = arena_array(&c->scratch, uint8_t, count),
                          .depth = arena_array(&c->scratch, uint8_t, count)};
        memset(g.marks, 0, count);
        memset(g.depth, 0, count);
        for (uint32_t i = 0; i < count; i++)
            if (g.marks[i] == UNSEEN)
                graph_walk(&g, i);
    }
}
