/* unite.c - two people turn out to be one, or the programme is another: what that does to intents.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"

static bool is_waiting(const struct intent *in)
{
    return in->state == INTENT_SETTLING || in->state == INTENT_DEFERRED ||
           in->state == INTENT_PLANNED;
}

/* Do both say the same to the same end: one message of one journey, about one cart? */
static bool is_twin(const struct person *who, const struct intent *a, const struct intent *b)
{
    uint8_t flags;
    uint64_t key_a, key_b;
    must(a != b);
    if (a->message != b->message || a->journey != b->journey || a->instance == b->instance)
        return false;
    intent_instance(who, a->instance, &flags, &key_a);
    intent_instance(who, b->instance, &flags, &key_b);
    return key_a == key_b;
}

/* Pending intents with the same message and key become one: a waiting one gives way to one that is
 * under way, or was there before it. */
static void drop_twins(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count;) {
        const struct intent *in = person_intent(who, i);
        bool gives_way = false;
        for (uint32_t k = 0; k < who->profile->intents.count && is_waiting(in); k++) {
            const struct intent *other = person_intent(who, k);
            if (k != i && other->state != INTENT_WATCHED && (k < i || !is_waiting(other)) &&
                is_twin(who, in, other))
                gives_way = true;
        }
        if (gives_way)
            intent_finish(who, i, OUTCOME_MERGED, RULE_NONE);
        else
            i++;
    }
}

/* The control group of now covers what was not tried yet, and nothing else. */
static void mark_ghosts(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->intents.count; i++) {
        struct intent *in = person_touch_intent(who, i);
        bool is_untried = in->attempt == 0 && (is_waiting(in) || in->state == INTENT_QUEUED ||
                                               in->state == INTENT_REVOKING);
        uint8_t flags;
        uint64_t key;
        intent_instance(who, in->instance, &flags, &key);
        bool is_one = intent_is_ghost(who, (enum lane)in->lane, flags);
        if (!is_untried || in->is_ghost == is_one)
            continue;
        in->is_ghost = is_one;
        if (in->state == INTENT_QUEUED)
            intent_revoke(who, in, OUTCOME_NONE);
    }
}

void desk_activated(struct person *who)
{
    mark_ghosts(who);
    who->is_desk_due = true;
    who->is_touched = true;
}

uint32_t desk_under_way(const struct person *who)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < who->profile->intents.count; i++)
        count +=
            !is_waiting(person_intent(who, i)) && person_intent(who, i)->state != INTENT_WATCHED;
    return count;
}

/* Ends the last waiting intent; false if there is none. */
static bool drop_waiting(struct person *who)
{
    for (uint32_t i = who->profile->intents.count; i-- > 0;) {
        if (person_intent(who, i)->state == INTENT_WATCHED) {
            intent_forget(who, i);
            return true;
        }
        if (!is_waiting(person_intent(who, i)))
            continue;
        intent_finish(who, i, OUTCOME_MERGED, RULE_NONE);
        return true;
    }
    return false;
}

void desk_unite(struct person *who, struct person *from)
{
    must(who != from);
    must(desk_under_way(who) + desk_under_way(from) <= PROFILE_UNITED_MAX);
    while (who->profile->intents.count + from->profile->intents.count > PROFILE_UNITED_MAX) {
        bool has_dropped = drop_waiting(from) || drop_waiting(who);
        must(has_dropped);
    }
    for (uint32_t i = 0; i < from->profile->intents.count; i++) {
        struct intent theirs = *person_intent(from, i);
        struct blob entry = {0};
        blob_set(who->space, &entry, blob_at(from->space, theirs.entry), theirs.entry.bytes);
        blob_set(from->space, &theirs.entry, NULL, 0);
        struct intent *in = person_push_intent(who);
        must(in != NULL);
        *in = theirs;
        in->entry = entry;
        put_off_move(who->space, from->space, in);
    }
    must(who->profile->intents.count <= PROFILE_UNITED_MAX);
    for (uint32_t i = 0; i < from->profile->ledger.count; i++) {
        const struct sent *theirs = person_sent(from, i);
        if (planted("merge-forgets-sends") || ledger_find(who, theirs->decision) != UINT32_MAX)
            continue;
        if (who->profile->ledger.count >= PROFILE_LEDGER_MAX)
            ledger_make_room(who);
        must(who->profile->ledger.count < PROFILE_LEDGER_MAX);
        struct sent *line = person_push_sent(who);
        must(line != NULL);
        *line = *theirs;
        line->more = 0;
        sent_set_more(who->space, line, person_sent_more(from, theirs));
    }
    vec_clear(from->space, &from->profile->intents, sizeof(struct intent));
    sent_clear(from->space, &from->profile->ledger);
    drop_twins(who);
    if (person_is_held_out(who) != person_is_held_out(from))
        person_result(who, (struct result){.kind = RESULT_CROSSED, .how = person_is_held_out(who)});
    mark_ghosts(who);
    who->is_desk_due = true;
    who->is_touched = true;
}
