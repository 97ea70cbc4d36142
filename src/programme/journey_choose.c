/* journey_choose.c - the step `choose`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

/* `if` or `unless`, one of them. */
static void when_compile(struct builder *b, const struct yaml_node *item, struct plan_expr *out)
{
    const struct yaml_node *when = shape_value(item, "", "if");
    const struct yaml_node *unless = shape_value(item, "", "unless");
    uint32_t flags = SCOPE_ENTRY | SCOPE_ONCE;
    if (when && unless)
        findings_add(b->c->findings, FINDING_CONFLICT, yaml_place(b->yaml, unless),
                     "\"if\" and \"unless\" are one condition; join them with &&");
    if (!when && unless)
        flags |= SCOPE_NOT;
    scope_compile(b->c, b->yaml, when ? when : unless, builder_target(b, flags, EXPR_WANT_BOOL),
                  out);
}

static void candidate_compile(struct builder *b, const struct yaml_node *item,
                              struct plan_candidate *candidate)
{
    struct compile *c = b->c;
    const struct yaml_node *name = shape_value(item, "", "arm");
    const struct yaml_node *priority = shape_value(item, "", "priority");
    const struct yaml_node *score = shape_value(item, "", "score");
    candidate->name = name ? build_name(c, name->text) : NAME_NONE;
    candidate->target = PLAN_END;
    candidate->priority = (int32_t)shape_int(priority, 0);
    when_compile(b, item, &candidate->when);
    scope_compile(c, b->yaml, score, builder_target(b, SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_NUMBER),
                  &candidate->score);
    if (priority && score)
        findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, priority),
                     "\"priority\" and \"score\" both say how good it is");
}

void choose_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                    struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    const struct yaml_node *list = shape_value(node, "", "choose");
    uint32_t count = shape_count(list);
    struct plan_candidate *candidates = arena_array(c->arena, struct plan_candidate, count);
    const struct yaml_node *otherwise = NULL;
    uint16_t before = *last_message;
    bool is_first = true;
    uint32_t guard_count = b->guard_count;
    step->choose.candidates = candidates;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const char *member = shape_member(item, shape_union_get("CANDIDATE"));
        if (!member)
            continue;
        if (otherwise) {
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "nothing comes after \"else\"");
            break;
        }
        uint16_t last = before;
        uint16_t *start = &step->next;
        if (strcmp(member, "else") == 0) {
            otherwise = item;
        } else {
            struct plan_candidate *candidate = &candidates[step->choose.count++];
            *candidate = (struct plan_candidate){0};
            candidate_compile(b, item, candidate);
            for (struct plan_candidate *other = candidates; other < candidate; other++)
                if (other->name == candidate->name && candidate->name != NAME_NONE)
                    findings_add(c->findings, FINDING_NAME_TWICE,
                                 yaml_place(b->yaml, shape_value(item, "", "arm")),
                                 "the choice has two arms \"%.*s\"",
                                 STR_ARG(names_text(c->names, candidate->name)));
            guards_add(b, &candidate->when);
            start = &candidate->target;
        }
        inner_compile(b, shape_value(item, "", "do"), start, ends, &last);
        *last_message = is_first ? last : last_of_two(*last_message, last);
        is_first = false;
    }
    b->guard_count = guard_count;
    if (!otherwise) {
        ends_open(b, ends, &step->next);
        *last_message = is_first ? before : last_of_two(*last_message, before);
    }
    if (list && step->choose.count == 0 && !list->is_bad)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, list),
                     "the choice has no candidates");
}
