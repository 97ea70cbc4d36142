/* SPDX-License-Identifier: Apache-2.0 */
#include "model/plan.h"

#include "base/hash.h"

const struct plan_trait *plan_trait_find(const struct plan *p, uint32_t name)
{
    uint32_t low = 0, high = p->trait_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (p->traits[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->trait_count && p->traits[low].name == name ? &p->traits[low] : NULL;
}

uint16_t plan_segment_find(const struct plan *p, uint32_t name)
{
    uint32_t low = 0, high = p->segment_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (p->segments[p->segments_by_name[middle]].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = low < p->segment_count && p->segments[p->segments_by_name[low]].name == name;
    return is_found ? p->segments_by_name[low] : PLAN_NO_INDEX;
}

const struct plan_readers *plan_readers_find(const struct plan *p, uint32_t name)
{
    const struct plan_readers *at = p->readers;
    if (p->reader_count == 0)
        return NULL;
    for (uint32_t count = p->reader_count; count > 1;) { /* chosen, not jumped to */
        const struct plan_readers *middle = at + count / 2;
        at = middle->name <= name ? middle : at;
        count -= count / 2;
    }
    return at->name == name ? at : NULL;
}

uint16_t plan_feature_find(const struct plan *p, uint32_t name)
{
    uint32_t low = 0, high = p->feature_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (p->features[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->feature_count && p->features[low].name == name ? (uint16_t)low : PLAN_NO_INDEX;
}

const struct plan_arm *plan_split_arm(const struct plan_split *split, uint64_t profile)
{
    uint64_t hash = hash_pair(split->salt, profile);
    uint32_t point = (uint32_t)(((unsigned __int128)hash * split->weight_total) >> 64);
    for (uint32_t i = 0; i < split->arm_count; i++) {
        if (point < split->arms[i].weight)
            return &split->arms[i];
        point -= split->arms[i].weight;
    }
    return NULL;
}

uint16_t plan_journey_find(const struct plan *p, uint32_t name)
{
    for (uint32_t i = 0; i < p->journey_count; i++)
        if (p->journeys[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

uint16_t plan_audience_find(const struct plan *p, uint32_t name)
{
    for (uint32_t i = 0; i < p->audience_count; i++)
        if (p->audiences[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

const struct plan_message *plan_message_at(const struct plan *p, uint32_t index)
{
    if (index < p->message_count)
        return &p->messages[index];
    if (index - p->message_count < p->audience_count)
        return &p->audiences[index - p->message_count].export;
    const struct plan_errand *errand = plan_errand_at(p, index);
    return errand != NULL ? &errand->request : NULL;
}

uint32_t plan_category_of(const struct plan *p, uint32_t message_index)
{
    const struct plan_message *m = plan_message_at(p, message_index);
    return m == NULL || m->category == PLAN_NO_INDEX ? NAME_NONE : p->categories[m->category].name;
}

const struct plan_errand *plan_errand_at(const struct plan *p, uint32_t message_index)
{
    uint32_t before = p->message_count + p->audience_count;
    if (message_index < before || message_index - before >= p->errand_count)
        return NULL;
    return &p->errands[message_index - before];
}

uint16_t plan_message_find(const struct plan *p, uint32_t name)
{
    for (uint32_t i = 0; i < p->message_count; i++)
        if (p->messages[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

uint16_t plan_provider_find(const struct plan *p, uint32_t name)
{
    for (uint32_t i = 0; i < p->provider_count; i++)
        if (p->providers[i].name == name)
            return (uint16_t)i;
    return PLAN_NO_INDEX;
}

bool plan_journey_listens(const struct plan *p, uint32_t journey, uint32_t event)
{
    uint16_t index = p != NULL ? plan_journey_find(p, journey) : PLAN_NO_INDEX;
    for (uint32_t i = 0; index != PLAN_NO_INDEX && i < p->journeys[index].entry_count; i++)
        if (p->journeys[index].entries[i].event == event)
            return true;
    return false;
}

static uint64_t add_name(uint64_t hash, const struct names *names, uint32_t name)
{
    return hash_str(names_text(names, name), hash);
}

static uint64_t journey_layout(const struct plan_journey *j, const struct names *names)
{
    uint64_t hash = hash_pair(j->step_count, j->way_count);
    hash = add_name(hash, names, j->name);
    for (uint32_t i = 0; i < j->step_count; i++)
        hash = add_name(hash_pair(hash, hash_pair(j->steps[i].kind, j->steps[i].next)), names,
                        j->steps[i].id);
    for (uint32_t i = 0; i < j->way_count; i++)
        hash = add_name(hash_pair(hash, j->ways[i].kind), names, j->ways[i].event);
    return hash;
}

uint64_t plan_layout(const struct plan *p, const struct names *names)
{
    uint64_t hash =
        hash_pair(hash_pair(p->journey_count, p->message_count),
                  hash_pair(p->provider_count, hash_pair(p->segment_count, p->feature_count)));
    uint64_t made = 0; /* in the order of their numbers, or of files: a sum */
    for (uint32_t i = 0; i < p->journey_count; i++)
        hash = hash_pair(hash, journey_layout(&p->journeys[i], names));
    for (uint32_t i = 0; i < p->message_count; i++)
        hash = add_name(hash, names, p->messages[i].name);
    for (uint32_t i = 0; i < p->audience_count; i++)
        hash = add_name(hash, names, p->audiences[i].name);
    for (uint32_t i = 0; i < p->errand_count; i++)
        hash = add_name(hash, names, p->errands[i].name);
    for (uint32_t i = 0; i < p->provider_count; i++)
        hash = add_name(hash, names, p->providers[i].name);
    for (uint32_t i = 0; i < p->segment_count; i++)
        made += add_name(1, names, p->segments[i].name);
    for (uint32_t i = 0; i < p->feature_count; i++)
        made += add_name(2, names, p->features[i].name);
    return hash_pair(hash, made);
}

uint16_t plan_move_of(const struct plan_journey *j, uint32_t step_id)
{
    for (uint32_t i = 0; i < j->move_count; i++)
        if (j->moves[i].from == step_id)
            return j->moves[i].to;
    if (j->moves_others == MOVE_EXIT)
        return PLAN_END;
    for (uint32_t i = 0; j->moves_others == MOVE_SAME && i < j->step_count; i++)
        if (j->steps[i].id == step_id)
            return (uint16_t)i;
    return PLAN_NO_MOVE;
}
