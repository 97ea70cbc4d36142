/* fields.c - frozen values as the nested map that templates see.
 *
 *     slots    TRAIT first_name   ENTRY item.name   ENTRY item.sku   META message id
 *     values   "Ann"              "Tent"            "s1"             "1f-9c-1"
 *
 *     {person: {first_name: "Ann"}, traits: {first_name: "Ann"},
 *      entry: {item: {name: "Tent", sku: "s1"}}, event: {item: ...}, message: {id: "1f-9c-1"}}
 *
 * Where a path is a value and also leads further ("items" and "items.size"), the value stands: its
 * size is asked of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/names.h"
#include "model/plan.h"
#include "programme/programme.h"

struct branch {
    struct str key;
    struct value value; /* VALUE_NONE: only a way to others */
    struct branch *first;
    struct branch *next;
    uint32_t count; /* below */
};

static struct branch *branch_get(struct branch *parent, struct str key, struct arena *scratch)
{
    struct branch **at = &parent->first;
    for (; *at; at = &(*at)->next)
        if (str_equal((*at)->key, key))
            return *at;
    *at = arena_new(scratch, struct branch);
    (*at)->key = key;
    parent->count++;
    return *at;
}

static void branch_put(struct branch *root, struct str path, struct value value,
                       struct arena *scratch)
{
    struct branch *at = root;
    for (size_t from = 0; from <= path.len;) {
        size_t dot = min_of(str_find(path, STR("."), from), path.len);
        at = branch_get(at, str_part(path, from, dot - from), scratch);
        from = dot + 1;
    }
    at->value = value;
}

/* Recursion is bounded by the parts of a name: NAME_BYTES_MAX / 2. */
static struct value branch_value(const struct branch *branch, struct arena *scratch)
{
    if (branch->value.type != VALUE_NONE || !branch->first)
        return branch->value;
    struct value_map *map =
        arena_zalloc(scratch, sizeof(*map) + branch->count * sizeof(struct value_pair));
    for (const struct branch *at = branch->first; at; at = at->next) {
        struct value value = branch_value(at, scratch);
        if (value.type != VALUE_NONE)
            map->pairs[map->count++] = (struct value_pair){value_text(at->key), value};
    }
    if (map->count == 0)
        return value_none();
    return (struct value){.type = VALUE_MAP, .map = map};
}

struct value programme_template_map(const struct plan *plan, const struct names *names,
                                    uint16_t message, const struct value *values,
                                    struct arena *scratch)
{
    must(message < plan->message_count);
    const struct plan_message *of = &plan->messages[message];
    struct branch root = {0};
    struct branch *person = branch_get(&root, STR("person"), scratch);
    struct branch *entry = branch_get(&root, STR("entry"), scratch);
    for (uint32_t i = 0; i < of->field_count; i++) {
        struct str path = names_text(names, SLOT_NAME(of->fields[i]));
        struct value value = values[i];
        if (value.type == VALUE_NONE)
            continue;
        switch (SLOT_SPACE(of->fields[i])) {
        case SLOT_TRAIT: branch_put(person, path, value, scratch); break;
        case SLOT_EVENT:
        case SLOT_ENTRY: branch_put(entry, path, value, scratch); break;
        case SLOT_META:
            switch ((enum slot_meta)SLOT_NAME(of->fields[i])) {
            case META_PERSON_ID: branch_put(person, STR("id"), value, scratch); break;
            case META_JOURNEY: branch_put(&root, STR("journey.name"), value, scratch); break;
            case META_MESSAGE: branch_put(&root, STR("message.name"), value, scratch); break;
            case META_ATTEMPT_ID: branch_put(&root, STR("message.id"), value, scratch); break;
            case META_EVENT_NAME: branch_put(&root, STR("event_name"), value, scratch); break;
            }
            break;
        }
    }
    /* person and traits, entry and event are two names for one map. */
    branch_get(&root, STR("traits"), scratch)->value = branch_value(person, scratch);
    branch_get(&root, STR("event"), scratch)->value = branch_value(entry, scratch);
    struct value map = branch_value(&root, scratch);
    if (map.type == VALUE_MAP)
        return map;
    struct value_map *empty = arena_zalloc(scratch, sizeof(*empty));
    return (struct value){.type = VALUE_MAP, .map = empty};
}
