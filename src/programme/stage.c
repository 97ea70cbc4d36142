/* stage.c - `stages` of programme.yaml: the customer's life, in its order.
 *
 * A stage with a condition is a segment without a name of its own, "$stage:NAME"; one without is set by
 * steps. What a stage depends on must not ask for the stage: then nothing would be first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

static const struct yaml_node *stage_list(const struct compile *c)
{
    const struct yaml_node *root = c->settings->yaml.root;
    return root != NULL && root->type == YAML_MAP ? shape_value(root, "", "stages") : NULL;
}

uint32_t build_stage(struct compile *c, const struct yaml_file *file, const struct yaml_node *node)
{
    if (node == NULL || node->is_bad || node->type != YAML_TEXT)
        return NAME_NONE;
    struct str known[PLAN_STAGES_MAX];
    for (uint32_t i = 0; i < c->plan->stage_count; i++) {
        known[i] = names_text(c->names, c->plan->stages[i].name);
        if (str_equal(known[i], node->text))
            return c->plan->stages[i].name;
    }
    build_unknown(c, file, node, "stage", known, c->plan->stage_count);
    return NAME_NONE;
}

void stages_declare(struct compile *c)
{
    const struct yaml_node *list = stage_list(c);
    const struct yaml_file *file = &c->settings->yaml;
    uint32_t count = shape_count(list);
    if (count > PLAN_STAGES_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, yaml_place(file, list),
                     "a programme has at most %d stages", PLAN_STAGES_MAX);
        count = PLAN_STAGES_MAX;
    }
    c->stages = arena_array(c->arena, struct plan_stage, count + 1);
    c->stage_is_covered = arena_array(&c->scratch, bool, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const struct yaml_node *name = shape_value(item, "name", "name");
        const struct yaml_node *suppress = shape_value(item, "name", "suppress");
        struct plan_stage *stage = &c->stages[i];
        *stage = (struct plan_stage){.name = name ? build_name(c, name->text) : NAME_NONE};
        c->stage_is_covered[i] = false;
        for (uint32_t k = 0; k < shape_count(suppress); k++) {
            enum channel channel;
            const struct yaml_node *one = shape_item(suppress, k);
            if (!one->is_bad && one->type == YAML_TEXT && channel_find(one->text, &channel))
                stage->suppressed |= 1u << channel;
        }
        for (uint32_t k = 0; k < i && name; k++)
            if (c->stages[k].name == stage->name)
                findings_add(c->findings, FINDING_NAME_TWICE, yaml_place(file, name),
                             "there are two stages \"%.*s\"", STR_ARG(name->text));
    }
    c->plan->stages = c->stages;
    c->plan->stage_count = count;
    if (count == 0)
        return;
    /* What the engine says of a person nobody else may say. */
    build_event(c, NAME_STAGE_ENTERED, yaml_place(file, list))->is_ours = true;
    build_event(c, NAME_STAGE_LEFT, yaml_place(file, list))->is_ours = true;
}

/* Does the segment read the stage, itself or by others? */
static bool reads_stage(struct compile *c, const struct compile_segment *s, uint32_t depth)
{
    if (name_set_has(&s->reads, NAME_IN_STAGE))
        return true;
    for (uint32_t i = 0; i < s->segments.count && depth < 32; i++) {
        const struct compile_segment *other = build_segment(c, s->segments.names[i]);
        if (other != NULL && reads_stage(c, other, depth + 1))
            return true;
    }
    return false;
}

void stages_compile(struct compile *c)
{
    const struct yaml_node *list = stage_list(c);
    const struct yaml_file *file = &c->settings->yaml;
    for (uint32_t i = 0; i < c->plan->stage_count; i++) {
        const struct yaml_node *when = shape_value(shape_item(list, i), "name", "when");
        struct plan_stage *stage = &c->stages[i];
        if (when == NULL || when->is_bad || stage->name == NAME_NONE)
            continue;
        struct str own =
            arena_printf(&c->scratch, "$stage:%.*s", STR_ARG(names_text(c->names, stage->name)));
        uint32_t name = build_name(c, own);
        if (name == NAME_NONE || build_segment(c, name) != NULL ||
            !segment_of_condition(c, file, when, when->text, 0, SEGMENT_STAGE, name))
            continue;
        stage->segment = name;
        if (reads_stage(c, build_segment(c, name), 0))
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(file, when),
                         "the stage's condition asks for the stage itself, in_stage()");
    }
}

/* ---- what nobody speaks to ------------------------------------------------------------------------ */

void stage_cover(struct compile *c, uint32_t name)
{
    for (uint32_t i = 0; i < c->plan->stage_count; i++)
        if (c->plan->stages[i].name == name)
            c->stage_is_covered[i] = true;
}

/* Journeys that begin when a stage is entered: with this one, or with any. */
static void cover_entries(struct compile *c)
{
    for (uint32_t i = 0; i < c->plan->journey_count; i++) {
        const struct plan_journey *j = &c->plan->journeys[i];
        for (uint32_t k = 0; k < j->entry_count; k++) {
            const struct plan_listen *entry = &j->entries[k];
            if (entry->event != NAME_STAGE_ENTERED)
                continue;
            for (uint32_t s = 0; s < c->plan->stage_count; s++) {
                struct str name = names_text(c->names, c->plan->stages[s].name);
                c->stage_is_covered[s] |=
                    entry->when.code == NULL || str_find(entry->when.text, name, 0) != SIZE_MAX;
            }
        }
    }
}

void stages_check(struct compile *c)
{
    const struct yaml_node *list = stage_list(c);
    cover_entries(c);
    for (uint32_t i = 0; i < c->plan->stage_count; i++) {
        if (c->stage_is_covered[i])
            continue;
        findings_add(c->findings, FINDING_STAGE_UNCOVERED,
                     yaml_place(&c->settings->yaml, shape_item(list, i)),
                     "no journey speaks to people in the stage \"%.*s\"",
                     STR_ARG(names_text(c->names, c->plan->stages[i].name)));
        finding_advise(c->findings, "name it in a journey (stage: %.*s), or let one begin with it",
                       STR_ARG(names_text(c->names, c->plan->stages[i].name)));
    }
}
