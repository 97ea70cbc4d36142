/* journey_reaction.c - `on:` and `milestones:`, whose steps stand behind those of `steps`.
 *
 *     steps ··· gate ··· milestone a ··· stand a ··· milestone b ··· stand b ··· do of on[0] ··· do of on[1]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

/* ---- milestones ---------------------------------------------------------------------------------- */

static void milestone_compile(struct builder *b, const struct yaml_node *node, uint32_t number,
                              struct plan_milestone *out)
{
    struct compile *c = b->c;
    const struct yaml_node *name = shape_value(node, "", "name");
    struct open_ends ends = {0};
    uint16_t last_message = LAST_MANY;
    *out = (struct plan_milestone){.name = name ? build_name(c, name->text) : NAME_NONE};
    scope_compile(c, b->yaml, shape_value(node, "", "done"),
                  builder_target(b, SCOPE_ENTRY, EXPR_WANT_BOOL), &out->done);
    out->first = (uint16_t)b->count;
    steps_compile(b, shape_value(node, "", "do"), &ends, &last_message);
    struct plan_step *stand = step_new(b, node, STEP_MILESTONE, &ends);
    if (!stand)
        return;
    out->stand = (uint16_t)(b->count - 1);
    stand->stand.milestone = (uint16_t)number;
    stand->id = id_make(b, stand, shape_text(name, STR("")));
}

void milestones_compile(struct builder *b, struct open_ends *ends)
{
    struct compile *c = b->c;
    const struct yaml_node *root = b->yaml->root;
    const struct yaml_node *list = shape_value(root, "", "milestones");
    const struct yaml_node *advance = shape_value(root, "", "advance");
    const struct yaml_node *goal = shape_value(root, "", "goal");
    uint32_t count = shape_count(list);
    if (advance && !list)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, advance),
                     "\"advance\" means nothing without \"milestones\"");
    if (count == 0)
        return;
    if (goal)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, goal),
                     "the last milestone is the goal: \"goal\" says another");
    if (count > PLAN_MILESTONES_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, list),
                     "a journey has at most %d milestones", PLAN_MILESTONES_MAX);
        return;
    }
    struct plan_milestone *milestones = arena_array(c->arena, struct plan_milestone, count);
    struct plan_step *gate = step_new(b, list, STEP_MILESTONE, ends);
    if (!gate)
        return;
    gate->stand.milestone = PLAN_NO_INDEX;
    gate->id = id_make(b, gate, STR("milestones"));
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        milestone_compile(b, item, i, &milestones[i]);
        for (uint32_t k = 0; k < i; k++)
            if (milestones[k].name == milestones[i].name && milestones[i].name != NAME_NONE)
                findings_add(c->findings, FINDING_NAME_TWICE,
                             yaml_place(b->yaml, shape_value(item, "", "name")),
                             "there are two milestones \"%.*s\"",
                             STR_ARG(names_text(c->names, milestones[i].name)));
    }
    if (b->is_full)
        return;
    b->journey->milestones = milestones;
    b->journey->milestone_count = count;
    b->journey->advances_furthest = str_is(shape_text(advance, STR("first_unmet")), "furthest");
}

/* ---- reactions ----------------------------------------------------------------------------------- */

/* The step of that name, or the first of the milestone of that name. */
static uint16_t step_find(struct builder *b, const struct yaml_node *node, struct str name)
{
    struct compile *c = b->c;
    uint32_t number = names_find(c->names, name);
    for (uint32_t i = 0; i < b->journey->milestone_count; i++)
        if (number != NAME_NONE && b->journey->milestones[i].name == number)
            return b->journey->milestones[i].first;
    for (uint32_t i = 0; i < b->count; i++)
        if (number != NAME_NONE && b->steps[i].id == number)
            return (uint16_t)i;
    struct str *known = arena_array(&c->scratch, struct str, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        known[i] = names_text(c->names, b->steps[i].id);
    struct str near = str_nearest(name, known, b->count);
    findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(b->yaml, node),
                 "there is no step \"%.*s\"", STR_ARG(name));
    if (near.len)
        finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
    return PLAN_END;
}

static void reaction_compile(struct builder *b, const struct yaml_node *node,
                             struct plan_reaction *out)
{
    struct compile *c = b->c;
    const struct yaml_node *steps = shape_value(node, "", "do");
    const struct yaml_node *then = shape_value(node, "", "then");
    struct str word = shape_text(then, STR("stay"));
    bool goes = str_starts(word, STR("go "));
    bool exits = str_is(word, "exit");
    struct open_ends ends = {0};
    uint16_t last_message = LAST_MANY;
    struct listens listens = listens_of(b, node, true);
    *out = (struct plan_reaction){.listen_count = listens.count,
                                  .listens = listens.list,
                                  .cancels = shape_value(node, "", "cancel") != NULL,
                                  .then = goes || exits ? REACTION_MOVES : REACTION_STAYS,
                                  .first = PLAN_END};
    if (!goes && !exits && !str_is(word, "stay") && then) {
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, then),
                     "\"then\" wants stay, exit, or go and the name of a step, not \"%.*s\"",
                     STR_ARG(str_part(word, 0, 60)));
        return;
    }
    if (!goes && !exits && shape_count(steps) == 0 && !yaml_find_key(node, "cancel"))
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, node),
                     "the reaction does nothing: say cancel, do or then");
    ends_open(b, &ends, &out->first);
    b->is_aside = !goes && !exits;
    steps_compile(b, steps, &ends, &last_message);
    b->is_aside = false;
    uint16_t target = PLAN_END;
    if (goes) {
        target = step_find(b, then, str_trim(str_part(word, 3, word.len)));
    } else if (exits) {
        struct plan_step *exit = step_new(b, node, STEP_EXIT, &ends);
        if (exit)
            exit->id = id_make(b, exit, STR(""));
    }
    ends_close(&ends, target);
    out->behind = (uint16_t)b->count;
    if (goes && shape_count(steps) == 0)
        out->behind = out->first; /* nothing to be inside of */
}

void reactions_compile(struct builder *b)
{
    struct compile *c = b->c;
    const struct yaml_node *list = shape_value(b->yaml->root, "", "on");
    uint32_t count = shape_count(list);
    if (count > PLAN_REACTIONS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, list),
                     "a journey has at most %d reactions", PLAN_REACTIONS_MAX);
        return;
    }
    struct plan_reaction *reactions = arena_array(c->arena, struct plan_reaction, count);
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!shape_item(list, i)->is_bad)
            reaction_compile(b, shape_item(list, i), &reactions[made++]);
    b->journey->reactions = reactions;
    b->journey->reaction_count = made;
}
