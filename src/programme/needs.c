/* needs.c - `needs` of a category: what must be known of a person before anything of it goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

void needs_compile(struct compile *c)
{
    const struct yaml_node *map = shape_value(c->settings->yaml.root, "", "categories");
    struct plan_category *categories = (struct plan_category *)(uintptr_t)c->plan->categories;
    for (uint32_t i = 0; map != NULL && map->type == YAML_MAP && i < map->count; i++) {
        const struct yaml_node *needs = shape_value(map->pairs[i].value, "", "needs");
        uint32_t name = names_find(c->names, map->pairs[i].key->text);
        for (uint32_t k = 0; needs != NULL && k < c->plan->category_count; k++)
            if (categories[k].name == name)
                scope_compile(c, &c->settings->yaml, needs,
                              (struct scope_target){.wanted = EXPR_WANT_BOOL},
                              &categories[k].needs);
    }
}
