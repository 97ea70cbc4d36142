/* journey_branch.c - the steps that take one of several ways, and `set`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

#include "base/hash.h"

void branch_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                    struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    const struct yaml_node *list = shape_value(node, "", "branch");
    uint32_t count = shape_count(list);
    struct plan_arm *arms = arena_array(c->arena, struct plan_arm, count);
    const struct yaml_node *otherwise = NULL;
    uint16_t before = *last_message;
    bool is_first = true;
    uint32_t guard_count = b->guard_count;
    step->branch.arms = arms;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const char *member = shape_member(item, shape_union_get("ARM"));
        if (!member)
            continue;
        if (otherwise) {
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, item),
                         "nothing comes after \"else\"");
            break;
        }
        uint16_t last = before;
        if (strcmp(member, "else") == 0) {
            otherwise = item;
            inner_compile(b, shape_value(item, "", "do"), &step->next, ends, &last);
        } else {
            struct plan_arm *arm = &arms[step->branch.arm_count++];
            uint32_t flags = SCOPE_ENTRY | SCOPE_ONCE;
            if (strcmp(member, "unless") == 0)
                flags |= SCOPE_NOT;
            arm->target = PLAN_END;
            scope_compile(c, b->yaml, shape_value(item, "", member),
                          builder_target(b, flags, EXPR_WANT_BOOL), &arm->when);
            guards_add(b, &arm->when);
            inner_compile(b, shape_value(item, "", "do"), &arm->target, ends, &last);
        }
        *last_message = is_first ? last : last_of_two(*last_message, last);
        is_first = false;
    }
    b->guard_count = guard_count;
    if (!otherwise) {
        ends_open(b, ends, &step->next);
        *last_message = is_first ? before : last_of_two(*last_message, before);
    }
    if (list && step->branch.arm_count == 0 && !list->is_bad && list->count == 0)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, list),
                     "the branch has no ways");
}

void split_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                   struct open_ends *ends, uint16_t *last_message)
{
    struct compile *c = b->c;
    const struct yaml_node *split = shape_value(node, "", "split");
    const struct yaml_node *name = shape_value(split, "", "name");
    const struct yaml_node *salt = shape_value(split, "", "salt");
    const struct yaml_node *list = shape_value(split, "", "arms");
    uint32_t count = shape_count(list);
    struct plan_arm *arms = arena_array(c->arena, struct plan_arm, count);
    uint16_t before = *last_message;
    bool is_first = true;
    uint64_t total = 0;
    step->split.name = name ? build_name(c, name->text) : NAME_NONE;
    step->split.salt =
        hash_str(salt ? arena_printf(&c->scratch, "split:%.*s", STR_ARG(salt->text))
                      : arena_printf(&c->scratch, "split:%.*s:%.*s", STR_ARG(b->file->name),
                                     STR_ARG(shape_text(name, STR("")))),
                 0);
    step->split.arms = arms;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = shape_item(list, i);
        const struct yaml_node *arm_name = shape_value(item, "", "arm");
        struct plan_arm *arm = &arms[step->split.arm_count++];
        arm->when.text = STR("");
        arm->target = PLAN_END;
        arm->name = arm_name ? build_name(c, arm_name->text) : NAME_NONE;
        arm->weight = (uint32_t)shape_int(shape_value(item, "", "weight"), 1);
        total += arm->weight;
        for (uint32_t k = 0; k < i && arm_name; k++)
            if (arms[k].name == arm->name)
                findings_add(c->findings, FINDING_NAME_TWICE, yaml_place(b->yaml, arm_name),
                             "the split has two arms \"%.*s\"", STR_ARG(arm_name->text));
        uint16_t last = before;
        inner_compile(b, shape_value(item, "", "do"), &arm->target, ends, &last);
        *last_message = is_first ? last : last_of_two(*last_message, last);
        is_first = false;
    }
    step->split.weight_total = (uint32_t)min_of(total, (uint64_t)UINT32_MAX);
    if (list && !list->is_bad && count < 2)
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, list),
                     "a split needs two arms or more");
    else if (list && !list->is_bad && (total == 0 || total > UINT32_MAX))
        findings_add(c->findings, FINDING_WRONG_VALUE, yaml_place(b->yaml, list),
                     "the arms' weights are %s", total ? "too large together" : "all 0");
}

static enum expr_wanted wanted_of(const struct plan_trait *trait)
{
    switch (trait->type) {
    case VALUE_TEXT: return EXPR_WANT_TEXT;
    case VALUE_INT: return EXPR_WANT_INT;
    case VALUE_DOUBLE: return EXPR_WANT_NUMBER;
    case VALUE_BOOL: return EXPR_WANT_BOOL;
    case VALUE_TIME: return EXPR_WANT_TIME;
    default: return EXPR_WANT_ANY;
    }
}

void set_compile(struct builder *b, const struct yaml_pair *pair, struct plan_step *step)
{
    struct compile *c = b->c;
    uint32_t name = names_find(c->names, pair->key->text);
    const struct plan_trait *trait = name ? plan_trait_find(c->plan, name) : NULL;
    step->set.to.text = STR("");
    if (!trait) {
        struct str *known = arena_array(&c->scratch, struct str, c->plan->trait_count);
        for (uint32_t i = 0; i < c->plan->trait_count; i++)
            known[i] = names_text(c->names, c->plan->traits[i].name);
        build_unknown(c, b->yaml, pair->key, "trait", known, c->plan->trait_count);
        return;
    }
    step->set.trait = name;
    scope_compile(c, b->yaml, pair->value,
                  builder_target(b, SCOPE_ENTRY | SCOPE_ONCE, wanted_of(trait)), &step->set.to);
}
