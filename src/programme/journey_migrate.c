/* journey_migrate.c - `migrate`: where people go who are in older versions of the journey.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/journey_int.h"

static bool find_step(const struct builder *b, struct str id, uint16_t *out)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (!str_equal(names_text(b->c->names, b->steps[i].id), id))
            continue;
        *out = (uint16_t)i;
        return true;
    }
    return false;
}

static void unknown_step(struct builder *b, const struct yaml_file *yaml,
                         const struct yaml_node *node)
{
    struct str *known = arena_array(&b->c->scratch, struct str, b->count + 1);
    for (uint32_t i = 0; i < b->count; i++)
        known[i] = names_text(b->c->names, b->steps[i].id);
    findings_add(b->c->findings, FINDING_UNKNOWN_NAME, yaml_place(yaml, node),
                 "this version has no step \"%.*s\" to go to",
                 STR_ARG(str_part(node->text, 0, 100)));
    struct str near = str_nearest(node->text, known, b->count);
    if (near.len)
        finding_advise(b->c->findings, "did you mean \"%.*s\"? exit ends them", STR_ARG(near));
    else
        finding_advise(b->c->findings, "a step of this version, or exit");
}

/* What migrate.yaml says of the journey; NULL: nothing. */
static const struct yaml_node *said_beside(const struct builder *b)
{
    const struct compile_file *file = b->c->migrations;
    const struct yaml_node *map = file ? shape_value(file->yaml.root, "", "journeys") : NULL;
    struct str name = names_text(b->c->names, b->journey->name);
    for (uint32_t i = 0; map != NULL && map->type == YAML_MAP && i < map->count; i++)
        if (str_equal(map->pairs[i].key->text, name))
            return map->pairs[i].value;
    return NULL;
}

void migrations_look(struct compile *c)
{
    const struct compile_file *file = c->migrations;
    const struct yaml_node *map = file ? shape_value(file->yaml.root, "", "journeys") : NULL;
    for (uint32_t i = 0; map != NULL && map->type == YAML_MAP && i < map->count; i++)
        (void)build_journey_index(c, &file->yaml, map->pairs[i].key);
}

void migrate_compile(struct builder *b, const struct yaml_node *node)
{
    struct plan_journey *j = b->journey;
    const struct yaml_file *yaml = b->yaml;
    const struct yaml_node *beside = said_beside(b);
    if (beside != NULL) {
        node = beside;
        yaml = &b->c->migrations->yaml;
    }
    const struct yaml_node *steps = shape_value(node, "", "steps");
    struct str others = shape_text(shape_value(node, "", "others"), STR("stay"));
    uint32_t count = steps && steps->type == YAML_MAP ? steps->count : 0;
    struct plan_move *moves = arena_array(b->c->arena, struct plan_move, count + 1);
    j->moves_others = str_is(others, "same")   ? MOVE_SAME
                      : str_is(others, "exit") ? MOVE_EXIT
                                               : MOVE_STAY;
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *to = steps->pairs[i].value;
        uint32_t from = build_name(b->c, steps->pairs[i].key->text);
        uint16_t target = PLAN_END;
        if (to->is_bad || from == NAME_NONE)
            continue;
        if (!str_is(to->text, "exit") && !find_step(b, to->text, &target)) {
            unknown_step(b, yaml, to);
            continue;
        }
        moves[j->move_count++] = (struct plan_move){from, target};
    }
    j->moves = moves;
}
