/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/oracle.h"

#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "evlog/evlog.h"
#include "model/plan.h"
#include "profile/traits.h"
#include "replay/recover.h"
#include "simulator/load.h"
#include "simulator/machine.h"
#include "simulator/world.h"
#include "when/zone.h"

#define LONGEST_MS (31 * DAY_MS) /* nothing waits longer */
#define DEDUPE_SURE_MS \
    (23 * HOUR_MS) /* message ids are remembered for a day: within this, surely, */
#define DEDUPE_NEVER_MS (25 * HOUR_MS) /* and beyond this surely not */

/* What the rows have told so far of an instance or a decision. */
struct tale {
    uint32_t begun, ended;
    uint32_t attempts;
    bool is_reserved, is_spent;
    int64_t granted_ms; /* the first attempt; 0: none yet */
    uint32_t counted;   /* the last of the oracle's counts that it is part of */
};

/* The last word about an address, as it was told. */
struct word {
    char address[96];
    uint8_t channel;
    bool is_yes;
    int64_t said_ms;
};

struct memory {
    uint64_t state; /* 0: not known */
    uint64_t rows;
};

struct oracle {
    struct sim *sim;
    struct memory *pasts; /* by batch */
    uint64_t past_count, past_room;
    struct map_u64 tale_of;
    struct tale *tales;
    uint32_t tale_count, tale_room;
    struct map_u64 grants; /* of (profile, decision, attempt) */
    struct map_u64 heard; /* message ids of what was said about addresses: the minute of the last */
    struct word *words;
    uint32_t word_count, word_room;
    uint64_t rows, duplicates, entered;
    uint32_t counts;       /* of what providers took, so far */
    uint64_t erased_batch; /* of the newest erasure that is done */
    bool is_ending;
};

struct oracle *oracle_new(struct sim *s)
{
    struct oracle *o = mem_new(sizeof(*o));
    o->sim = s;
    map_u64_init(&o->tale_of);
    map_u64_init(&o->grants);
    map_u64_init(&o->heard);
    return o;
}

void oracle_free(struct oracle *o)
{
    map_u64_fini(&o->tale_of);
    map_u64_fini(&o->grants);
    map_u64_fini(&o->heard);
    mem_free(o->pasts);
    mem_free(o->tales);
    mem_free(o->words);
    mem_free(o);
}

uint64_t oracle_batches(const struct oracle *o)
{
    return o->past_count;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static struct tale *tale_of(struct oracle *o, uint64_t id)
{
    uint32_t at = map_u64_find(&o->tale_of, id);
    if (at != MAP_NONE)
        return &o->tales[at];
    if (o->tale_count == o->tale_room) {
        o->tale_room = o->tale_room ? o->tale_room * 2 : 256;
        o->tales = mem_resize(o->tales, o->tale_room * sizeof(o->tales[0]));
    }
    map_u64_set(&o->tale_of, id, o->tale_count);
    o->tales[o->tale_count] = (struct tale){0};
    return &o->tales[o->tale_count++];
}

static void claim(const struct oracle *o, bool holds, const char *what, const struct result *row)
{
    if (!holds)
        sim_fail(o->sim, "row %s of profile %lx, id %lx: %s", result_name(row->kind), row->profile,
                 row->id, what);
}

static void note_decided(struct oracle *o, struct tale *t, const struct result *row)
{
    const struct outcome_term *term = outcome_term((enum outcome)row->how);
    claim(o, t->ended == 0, "an outcome after the last one", row);
    t->ended += term->class != OUTCOME_WAITING;
    o->sim->shown[SHOWN_OUTCOMES + row->how] = 1;
    if (row->step < 16 && row->how != OUTCOME_SENT)
        o->sim->shown[SHOWN_RULES + row->step] = 1;
}

static void tell_row(const struct oracle *o, const struct result *row)
{
    sim_say(o->sim, "  row %-10s profile %lx id %lx how %u step %u number %ld at %ld",
            result_name(row->kind), row->profile, row->id, row->how, row->step, row->number,
            row->at_ms);
}

static void note_row(struct oracle *o, const struct result *row)
{
    struct tale *t = row->id ? tale_of(o, row->id) : NULL;
    o->rows++;
    tell_row(o, row);
    o->sim->shown[SHOWN_ROWS + row->kind] = 1;
    switch (row->kind) {
    case RESULT_DUPLICATE: o->duplicates++; break;
    case RESULT_ENTERED:
        o->entered++;
        claim(o, t->begun++ == 0, "entered twice", row);
        break;
    case RESULT_STEP:
        claim(o, t->begun == 1, "a step of what never began", row);
        claim(o, t->ended == 0, "a step of what has ended", row);
        break;
    case RESULT_ENDED:
        claim(o, t->begun == 1, "the end of what never began", row);
        claim(o, t->ended++ == 0, "a second end", row);
        break;
    case RESULT_DECIDED: note_decided(o, t, row); break;
    case RESULT_REOPENED: t->ended = 0; break;
    case RESULT_RESERVED:
        claim(o, !t->is_reserved || t->attempts > 0, "a slot reserved twice", row);
        claim(o, !t->is_spent || t->attempts > 0, "a slot reserved that is spent", row);
        t->is_reserved = true;
        t->is_spent = false;
        break;
    case RESULT_SPENT:
        claim(o, t->is_reserved, "a slot spent that was not reserved", row);
        t->is_reserved = false;
        t->is_spent = true;
        break;
    case RESULT_RETURNED:
        claim(o, t->is_reserved || t->is_spent, "a slot returned that nobody had", row);
        t->is_reserved = t->is_spent = false;
        break;
    case RESULT_GRANTED:
        claim(o, t->ended == 0, "granted after its end", row);
        claim(o, ++t->attempts == row->step, "an attempt granted twice, or one left out", row);
        break;
    case RESULT_MERGED:
        if (world_flights(o->sim->world) > 0)
            saw(o->sim, FAULT_MERGE_IN_FLIGHT);
        break;
    default: break;
    }
}

/* ---- what was said about addresses --------------------------------------------------------------- */

static struct word *word_of(struct oracle *o, struct str address, uint8_t channel)
{
    for (uint32_t i = 0; i < o->word_count; i++)
        if (o->words[i].channel == channel && str_is(address, o->words[i].address))
            return &o->words[i];
    if (o->word_count == o->word_room) {
        o->word_room = o->word_room ? o->word_room * 2 : 32;
        o->words = mem_resize(o->words, o->word_room * sizeof(o->words[0]));
    }
    struct word *fresh = &o->words[o->word_count++];
    *fresh = (struct word){.channel = channel, .said_ms = INT64_MIN};
    if (!str_to_z(address, fresh->address, sizeof(fresh->address)))
        sim_fail(o->sim, "an address is too long");
    return fresh;
}

/* Whether a statement is what was heard within a day: told again, by a client whose clock was put on in between,
 * perhaps as if of another time. */
static bool is_heard(struct oracle *o, const struct record *r)
{
    uint32_t now = (uint32_t)(r->at_ms / MINUTE_MS);
    uint32_t last = map_u64_find(&o->heard, r->message_hash);
    if (last != MAP_NONE && now - last < DAY_MS / MINUTE_MS)
        return true;
    map_u64_set(&o->heard, r->message_hash, now);
    return false;
}

/* A statement that names an address counts for it by its own time; of two at one time the no. */
static void note_word(struct oracle *o, const struct record *r)
{
    struct arena scratch;
    enum channel channel;
    bool is_no = r->name == NAME_UNSUBSCRIBED;
    if (r->type != RECORD_EVENT || r->kind != EVENT_TRACK ||
        (!is_no && r->name != NAME_CONSENT_CHANGED))
        return;
    arena_init(&scratch, 512);
    struct value address = record_get(r, NAME_ADDRESS, &scratch);
    struct value name = record_get(r, NAME_CHANNEL, &scratch);
    struct value status = record_get(r, NAME_STATUS, &scratch);
    if (address.type == VALUE_TEXT && name.type == VALUE_TEXT &&
        channel_find(name.text, &channel) && !is_heard(o, r)) {
        struct word *w = word_of(o, address.text, (uint8_t)channel);
        bool is_yes = !is_no && status.type == VALUE_TEXT && str_is(status.text, "granted");
        if (r->event_ms > w->said_ms || (r->event_ms == w->said_ms && !is_yes)) {
            w->said_ms = r->event_ms;
            w->is_yes = is_yes;
        }
    }
    arena_fini(&scratch);
}

/* ---- grants -------------------------------------------------------------------------------------- */

static uint64_t grant_key(uint64_t profile, uint64_t decision, uint32_t attempt)
{
    return hash_pair(hash_pair(profile, decision), attempt);
}

bool oracle_has_grant(const struct oracle *o, uint64_t profile, uint64_t decision, uint32_t attempt)
{
    return map_u64_find(&o->grants, grant_key(profile, decision, attempt)) != MAP_NONE;
}

static uint64_t now_is(struct engine *e, uint64_t profile)
{
    struct person person;
    engine_look(e, profile, &person);
    return person.id;
}

/* Marketing messages of the person that providers truly took, of grants after `from_ms`, but this one. One
 * that bounced on a channel and was taken on the next is one message, in one slot. */
static uint32_t count_taken(struct oracle *o, struct engine *e, uint64_t person, int64_t from_ms,
                            uint64_t decision)
{
    uint32_t count = 0;
    o->counts++;
    for (uint32_t i = 0; i < world_count(o->sim->world); i++) {
        const struct delivery *d = world_delivery(o->sim->world, i);
        if (d->lane != LANE_MARKETING || d->taken == 0 || d->decision == decision)
            continue;
        struct tale *t = tale_of(o, d->decision);
        if (t->counted == o->counts || t->granted_ms <= from_ms || now_is(e, d->profile) != person)
            continue;
        t->counted = o->counts;
        count++;
    }
    return count;
}

static void check_caps(struct oracle *o, struct engine *e, const struct action *a,
                       const struct person *who, const struct zone *zone)
{
    const struct plan *plan = engine_plan(e);
    for (uint32_t i = 0; i < plan->cap_count; i++) {
        const struct plan_cap *c = &plan->caps[i];
        int64_t from_ms = a->granted_ms - c->window_ms;
        uint32_t limit = c->kind == CAP_GAP ? 1 : c->limit;
        if (c->channels || c->categories || c->groups || c->messages != NULL ||
            c->journey != PLAN_NO_INDEX)
            continue;
        if (c->kind == CAP_DAY)
            from_ms = zone_day_start(zone, a->granted_ms) - 1;
        else if (c->kind != CAP_SLIDING && c->kind != CAP_GAP)
            continue;
        uint32_t taken = count_taken(o, e, who->id, from_ms, a->decision);
        if (taken >= limit)
            sim_fail(o->sim,
                     "cap \"%.*s\": profile %lx gets one more, and providers took %u in its window",
                     STR_ARG(c->text), who->id, taken);
    }
}

/* Marketing, under programmes whose pieces are known (load_lives.c). */
static void check_marketing(struct oracle *o, struct engine *e, const struct action *a)
{
    struct sim *s = o->sim;
    const struct plan *plan = engine_plan(e);
    struct person who;
    const struct word *word = word_of(o, a->address, a->channel);
    engine_look(e, a->profile, &who);
    if (!word->is_yes)
        sim_fail(s, "%.*s is written to against its word", STR_ARG(a->address));
    struct value text = traits_get(&who, NAME_TIMEZONE, NULL);
    uint16_t index = text.type == VALUE_TEXT ? zoneset_find(plan->zones, text.text) : plan->zone;
    const struct zone *zone = zoneset_zone(plan->zones, index != ZONE_NONE ? index : plan->zone);
    struct local wall = zone_local(zone, a->granted_ms);
    if (plan->window_count > 0 && (wall.hour < 8 || wall.hour >= 21))
        sim_fail(s, "profile %lx is written to at %u:%02u", who.id, wall.hour, wall.minute);
    for (uint32_t i = 0; i < who.profile->holds.count; i++) {
        const struct hold *hold = person_hold(&who, i);
        bool is_known = hold->name == NAME_MESSAGE_COMPLAINED;
        for (uint32_t k = 0; k < plan->hold_count; k++)
            is_known |= plan->holds[k].name == hold->name;
        if (is_known && hold->from_ms <= a->granted_ms && a->granted_ms < hold->until_ms)
            sim_fail(s, "profile %lx is written to under a hold", who.id);
    }
    if (a->attempt != 1)
        return;
    uint16_t journey = plan_journey_find(plan, a->journey_name);
    if (hash_chance(plan->holdout_salt, who.id) < plan->holdout)
        sim_fail(s, "profile %lx is in the control group and is written to", who.id);
    if (journey != PLAN_NO_INDEX && plan->journeys[journey].holdout > 0 &&
        hash_chance(plan->journeys[journey].salt, who.id) < plan->journeys[journey].holdout)
        sim_fail(s, "profile %lx is in the journey's control group and is written to", who.id);
    check_caps(o, e, a, &who, zone);
}

static void note_action(struct oracle *o, struct engine *e, const struct action *a, bool is_checked)
{
    struct tale *t = tale_of(o, a->decision);
    if (oracle_has_grant(o, a->profile, a->decision, a->attempt))
        sim_fail(o->sim, "attempt %u of decision %lx is granted twice", a->attempt, a->decision);
    if (a->granted_ms > a->deadline_ms)
        sim_fail(o->sim, "decision %lx is granted after its deadline", a->decision);
    map_u64_set(&o->grants, grant_key(a->profile, a->decision, a->attempt), 1);
    if (t->granted_ms == 0)
        t->granted_ms = a->granted_ms;
    if (is_checked && a->lane == LANE_MARKETING)
        check_marketing(o, e, a);
}

/* ---- batches ------------------------------------------------------------------------------------- */

static void tell_fault(void *self, struct str line)
{
    struct oracle *o = self;
    sim_fail(o->sim, "audit: %.*s", STR_ARG(line));
}

void oracle_erased(struct oracle *o, uint64_t batch)
{
    o->erased_batch = max_of(o->erased_batch, batch);
}

void oracle_saved(const struct oracle *o, uint64_t batch, uint64_t hash)
{
    if (!o->sim->is_light && batch < o->past_count && o->pasts[batch].state != 0 &&
        o->pasts[batch].state != (hash | 1))
        sim_fail(o->sim, "the snapshot of batch %lu has another state", batch);
}

static struct memory *past_of(struct oracle *o, uint64_t batch)
{
    while (o->past_count <= batch) {
        if (o->past_count == o->past_room) {
            o->past_room = o->past_room ? o->past_room * 2 : 512;
            o->pasts = mem_resize(o->pasts, o->past_room * sizeof(o->pasts[0]));
        }
        o->pasts[o->past_count++] = (struct memory){0};
    }
    return &o->pasts[batch];
}

#ifdef SIMDUMP
#    include <unistd.h>
static void dump(void *self, struct str section, uint32_t partition, struct str bytes)
{
    FILE *f = self;
    fprintf(f, "%.*s %u %zu: ", STR_ARG(section), partition, bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        fprintf(f, bytes.at[i] > 32 && bytes.at[i] < 127 ? "%c" : "\\%02x",
                (unsigned char)bytes.at[i]);
    fprintf(f, "\n");
}
#endif

void oracle_batch(struct oracle *o, struct engine *e, const struct batch *batch,
                  const struct engine_output *out)
{
    if (o->sim->is_light) {
        for (uint32_t i = 0; i < out->action_count; i++)
            map_u64_set(&o->grants,
                        grant_key(out->actions[i].profile, out->actions[i].decision,
                                  out->actions[i].attempt),
                        1);
        return;
    }
    struct memory *past = past_of(o, batch->number);
    struct buf bytes;
    buf_init(&bytes);
    results_write(out->results, out->result_count, batch->now_ms, &bytes);
    struct memory now = {engine_hash(e) | 1, hash_bytes(bytes.at, bytes.len, 0)};
    buf_fini(&bytes);
#ifdef SIMDUMP
    {
        char path[99];
        for (int k = 0;; k++) {
            snprintf(path, 99, "/tmp/d/%lu.%d", batch->number, k);
            if (access(path, 0) != 0)
                break;
        }
        FILE *file = fopen(path, "w");
        engine_save(e, file, dump);
        fclose(file);
    }
#endif
    if (o->is_ending && batch->number <= o->erased_batch)
        return; /* without what was sealed: recover() compares what can be */
    if (past->state != 0) {
        for (uint32_t i = 0; past->rows != now.rows && i < out->result_count; i++)
            tell_row(o, &out->results[i]);
        if (past->rows != now.rows)
            sim_fail(o->sim, "batch %lu applied again has other rows", batch->number);
        if (past->state != now.state)
            sim_fail(o->sim, "batch %lu applied again leads to another state", batch->number);
        return;
    }
    *past = now;
    if (out->result_count > 0)
        sim_say(o->sim, "batch %lu", batch->number);
    for (uint32_t i = 0; i < batch->count; i++)
        note_word(o, &batch->records[i]);
    for (uint32_t i = 0; i < out->result_count; i++)
        note_row(o, &out->results[i]);
    for (uint32_t i = 0; i < out->action_count; i++)
        note_action(o, e, &out->actions[i], o->sim->options[OPTION_LOAD] == 0 && !o->is_ending);
    (void)engine_audit(e, o, tell_fault);
}

/* ---- the log ------------------------------------------------------------------------------------- */

/* Reads the whole log: which messages are in it; how many must, and may, be duplicates. */
static void read_log(struct oracle *o, const struct directory *d, struct map_u64 *messages,
                     uint64_t *least, uint64_t *most, uint64_t *digest)
{
    struct evlog_reader *reader;
    struct evlog_item item;
    struct fault f = {0};
    int64_t *heard_ms = NULL;
    uint32_t room = 0;
    *least = *most = 0;
    *digest = 0;
    if (evlog_reader_open(d->disk, d->log, 0, &reader, &f) != OK)
        sim_fail(o->sim, "the log cannot be read: %s", f.text);
    for (;;) {
        if (evlog_reader_next(reader, &item, &f) != OK)
            sim_fail(o->sim, "the log cannot be read: %s", f.text);
        if (item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_RESULTS) {
            *digest = hash_pair(*digest, item.results_hash);
            continue;
        }
        *digest = hash_pair(*digest, (uint64_t)item.batch.now_ms);
        for (uint32_t i = 0; i < item.batch.count; i++) {
            const struct record *r = &item.batch.records[i];
            struct body personal = record_personal(r);
            *digest = hash_pair(*digest, hash_bytes(personal.at, personal.bytes, r->name));
            if (r->type != RECORD_EVENT || r->message_hash == 0)
                continue;
            uint32_t at = map_u64_find(messages, r->message_hash);
            if (at == MAP_NONE) {
                at = messages->count;
                if (at >= room) {
                    room = room ? room * 2 : 256;
                    heard_ms = mem_resize(heard_ms, room * sizeof(heard_ms[0]));
                }
                map_u64_set(messages, r->message_hash, at);
                heard_ms[at] = r->at_ms;
                continue;
            }
            int64_t apart_ms = r->at_ms - heard_ms[at];
            *least += apart_ms < DEDUPE_SURE_MS;
            *most += apart_ms < DEDUPE_NEVER_MS;
            if (apart_ms >= DEDUPE_SURE_MS)
                heard_ms[at] = r->at_ms;
        }
    }
    evlog_reader_close(reader);
    mem_free(heard_ms);
}

/* Whatever a client was told to be durable is in the log. */
static void check_promises(struct oracle *o, const struct map_u64 *messages)
{
    const struct load *l = o->sim->load;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct fact *fact = l->facts[i];
        if (fact->what == FACT_EVENT && fact->is_answered &&
            map_u64_find(messages, fact->message) == MAP_NONE)
            sim_fail(o->sim, "\"%s\" of %s was promised, and is not in the log", fact->event,
                     fact->who);
    }
}

void oracle_recovered(struct oracle *o, struct engine *e, const struct directory *d)
{
    struct map_u64 messages;
    uint64_t least, most, digest, batch = engine_batch(e);
    if (batch + 1 < o->past_count)
        sim_fail(o->sim, "batch %lu was applied, and the log ends with %lu", o->past_count - 1,
                 batch);
    struct memory *past = past_of(o, batch);
    if (!o->sim->is_light && past->state != 0 && past->state != (engine_hash(e) | 1))
        sim_fail(o->sim, "the state of batch %lu is not what it was", batch);
    map_u64_init(&messages);
    read_log(o, d, &messages, &least, &most, &digest);
    check_promises(o, &messages);
    map_u64_fini(&messages);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void note_pending(void *self, struct pending p)
{
    const struct oracle *o = self;
    sim_fail(o->sim, "attempt %u of decision %lx was never reported", p.attempt, p.decision);
}

/* Programmes whose schedules go on for ever may have something pending that is young. */
static void check_intent(const struct oracle *o, const struct engine *e, uint64_t profile,
                         const struct intent *in)
{
    bool is_young = in->created_ms > engine_now(e) - LONGEST_MS && in->deadline_ms > engine_now(e);
    if (o->sim->options[OPTION_LOAD] == 0 || !is_young)
        sim_fail(
            o->sim,
            "decision %lx of profile %lx is pending for ever (state %u, made %ld ms ago, %ld ms "
            "to its deadline)",
            in->decision, profile, in->state, engine_now(e) - in->created_ms,
            in->deadline_ms - engine_now(e));
}

static void check_rest(struct oracle *o, struct engine *e)
{
    uint64_t live = 0, ended = 0;
    for (uint64_t p = engine_each(e, 0); p != 0; p = engine_each(e, p)) {
        struct person who;
        engine_look(e, p, &who);
        live += who.profile->instances.count;
        for (uint32_t i = 0; i < who.profile->intents.count; i++)
            check_intent(o, e, p, person_intent(&who, i));
    }
    for (uint32_t i = 0; i < o->tale_count; i++) {
        const struct tale *t = &o->tales[i];
        ended += t->begun && t->ended;
        if (t->is_reserved)
            sim_fail(o->sim, "a slot is reserved for ever");
        if (t->attempts > 0 && t->ended == 0)
            sim_fail(o->sim, "a decision that was attempted has no outcome");
    }
    if (o->entered != ended + live)
        sim_fail(o->sim, "%lu instances began, %lu ended, %lu live", o->entered, ended, live);
    engine_pending(e, o, note_pending);
}

static void note_replayed(void *self, struct engine *e, const struct batch *batch,
                          const struct engine_output *out)
{
    oracle_batch(self, e, batch, out);
}

/* The log from its beginning comes to the same rows and states, batch by batch. */
static void replay(struct oracle *o, struct engine *e, const struct directory *d)
{
    struct recover_options options = {.from_beginning = true,
                                      .checks_hashes = true,
                                      .self = o,
                                      .after = note_replayed,
                                      .split = machine_split(o->sim->machine)};
    struct recovered again;
    struct fault f = {0};
    if (recover(d, &options, &again, &f) != OK)
        sim_fail(o->sim, "the log is not applied again: %s", f.text);
    if (engine_batch(again.engine) != engine_batch(e))
        sim_fail(o->sim, "the log ends with batch %lu, the state is of %lu",
                 engine_batch(again.engine), engine_batch(e));
    if (engine_hash(again.engine) != engine_hash(e))
        sim_fail(o->sim, "the log applied again leads to another state");
    recovered_fini(&again);
}

void oracle_end(struct oracle *o, struct engine *e, const struct directory *d,
                struct sim_digest *out)
{
    struct map_u64 messages;
    uint64_t least, most;
    o->is_ending = true;
    if (engine_has_inbox(e))
        sim_fail(o->sim, "there is an inbox for ever");
    map_u64_init(&messages);
    if (o->sim->is_light) {
        read_log(o, d, &messages, &least, &most, &out->log);
        map_u64_fini(&messages);
        out->state = engine_hash(e);
        return;
    }
    check_rest(o, e);
    read_log(o, d, &messages, &least, &most, &out->log);
    check_promises(o, &messages);
    for (uint32_t i = 0; i < o->sim->load->count; i++)
        if (!o->sim->load->facts[i]->is_answered)
            sim_fail(o->sim, "\"%s\" was never promised", o->sim->load->facts[i]->event);
    if (o->duplicates < least || o->duplicates > most)
        sim_fail(o->sim, "%lu events were duplicates, %lu to %lu should be", o->duplicates, least,
                 most);
    map_u64_fini(&messages);
    replay(o, e, d);
    for (uint32_t i = 0; i < world_count(o->sim->world); i++) {
        const struct delivery *x = world_delivery(o->sim->world, i);
        if (x->taken > 1 && (!x->is_at_least_once || x->is_idempotent))
            sim_fail(o->sim, "attempt %u of decision %lx was taken %u times", x->attempt,
                     x->decision, x->taken);
    }
    out->state = engine_hash(e);
    out->batches = engine_batch(e);
    out->rows = o->rows;
}
