/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/world.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "model/receipt.h"
#include "model/transmission.h"
#include "outbox/outbox.h"
#include "simulator/machine.h"
#include "simulator/oracle.h"

#define CALM_MS 50

struct flight {
    uint32_t run;
    uint32_t connections; /* of that run: by which settings of its provider it went */
    uint64_t ticket;
    uint32_t delivery;
    int64_t due_ms; /* by the clock */
    struct transmission result;
};

/* What a provider reports by itself, until it is told that it was understood. */
struct letter {
    struct receipt receipt;
    int64_t due_ms; /* FOREVER_MS: waits for the answer, or done */
    bool is_done;
    bool is_strange; /* about nothing known: once is enough */
};

/* A provider's own troubles. */
struct station {
    char name[64];
    int64_t out_until_ms;
    int64_t minute; /* of the clock */
    uint32_t taken; /* in it */
};

struct world {
    struct sim *sim;
    struct delivery *deliveries;
    uint32_t count, room;
    struct map_u64 by_attempt;
    struct flight *flights;
    uint32_t flight_count, flight_room;
    struct letter *letters;
    uint32_t letter_count, letter_room;
    struct station stations[OUTBOX_PROVIDERS_MAX];
    uint32_t station_count;
    uint64_t transmissions;
};

struct world *world_new(struct sim *s)
{
    struct world *w = mem_new(sizeof(*w));
    w->sim = s;
    map_u64_init(&w->by_attempt);
    return w;
}

void world_free(struct world *w)
{
    map_u64_fini(&w->by_attempt);
    mem_free(w->deliveries);
    mem_free(w->flights);
    mem_free(w->letters);
    mem_free(w);
}

static struct station *station_of(struct world *w, struct str name)
{
    for (uint32_t i = 0; i < w->station_count; i++)
        if (str_is(name, w->stations[i].name))
            return &w->stations[i];
    must(w->station_count < array_count(w->stations));
    struct station *fresh = &w->stations[w->station_count++];
    must(str_to_z(name, fresh->name, sizeof(fresh->name)));
    return fresh;
}

static struct delivery *delivery_of(struct world *w, struct str provider, const struct held *h,
                                    bool is_idempotent)
{
    uint64_t key = hash_pair(hash_pair(h->profile, h->decision), h->attempt);
    uint32_t at = map_u64_find(&w->by_attempt, key);
    if (at != MAP_NONE)
        return &w->deliveries[at];
    if (w->count == w->room) {
        w->room = w->room ? w->room * 2 : 64;
        w->deliveries = mem_resize(w->deliveries, w->room * sizeof(w->deliveries[0]));
    }
    map_u64_set(&w->by_attempt, key, w->count);
    struct delivery *d = &w->deliveries[w->count++];
    *d = (struct delivery){.profile = h->profile,
                           .decision = h->decision,
                           .attempt = h->attempt,
                           .is_at_least_once = h->is_at_least_once,
                           .is_idempotent = is_idempotent,
                           .lane = h->lane,
                           .channel = h->channel,
                           .granted_ms = h->granted_ms};
    if (!str_to_z(h->address, d->address, sizeof(d->address)) ||
        !str_to_z(provider, d->provider, sizeof(d->provider)))
        sim_fail(w->sim, "an address or a provider's name is too long");
    return d;
}

/* ---- a transmission ------------------------------------------------------------------------------ */

static enum transmission_outcome choose_failure(struct sim *s)
{
    switch (draw_below(s, STREAM_WORLD, 24)) {
    case 0: saw(s, FAULT_BAD_ADDRESS); return TRANSMISSION_BAD_ADDRESS;
    case 1:
    case 2: saw(s, FAULT_BAD_MESSAGE); return TRANSMISSION_BAD_MESSAGE;
    case 3:
    case 4: saw(s, FAULT_POLICY); return TRANSMISSION_POLICY;
    case 5: saw(s, FAULT_NO_ACCESS); return TRANSMISSION_NO_ACCESS;
    case 6:
    case 7: saw(s, FAULT_ABORTED); return TRANSMISSION_ABORTED;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12: saw(s, FAULT_OUTAGE); return TRANSMISSION_UNREACHABLE;
    default: saw(s, FAULT_SOFT); return TRANSMISSION_SOFT;
    }
}

static struct transmission choose(struct world *w, struct station *p)
{
    struct sim *s = w->sim;
    struct transmission t = {.outcome = TRANSMISSION_ACCEPTED, .code = 250};
    if (s->is_calm)
        return t;
    int64_t minute = s->clock_ms / MINUTE_MS;
    if (p->minute != minute)
        p->taken = 0;
    p->minute = minute;
    if (p->out_until_ms > s->clock_ms) {
        saw(s, FAULT_OUTAGE);
        t = (struct transmission){.outcome = TRANSMISSION_UNREACHABLE, .detail = "out"};
    } else if (s->options[OPTION_RATE] && p->taken >= s->options[OPTION_RATE]) {
        saw(s, FAULT_RATE_LIMIT);
        t = (struct transmission){.outcome = TRANSMISSION_SLOW_DOWN,
                                  .code = 429,
                                  .retry_after_ms = (minute + 1) * MINUTE_MS - s->clock_ms};
    } else if (draw_permille(s, STREAM_WORLD, s->options[OPTION_FAIL])) {
        t = (struct transmission){.outcome = choose_failure(s), .code = 450, .detail = "no"};
    } else if (draw_permille(s, STREAM_WORLD, s->options[OPTION_DOUBT])) {
        t = (struct transmission){.outcome = TRANSMISSION_IN_DOUBT, .detail = "no answer"};
    }
    return t;
}

static void write_letter(struct world *w, const struct letter *letter)
{
    if (w->letter_count == w->letter_room) {
        w->letter_room = w->letter_room ? w->letter_room * 2 : 32;
        w->letters = mem_resize(w->letters, w->letter_room * sizeof(w->letters[0]));
    }
    w->letters[w->letter_count++] = *letter;
}

/* Receipts that the provider will send by itself. */
static void plan_letters(struct world *w, const struct delivery *d)
{
    struct sim *s = w->sim;
    if (s->is_calm || !draw_permille(s, STREAM_WORLD, s->options[OPTION_RECEIPTS]))
        return;
    struct letter letter = {
        .receipt = {.kind = draw_below(s, STREAM_WORLD, 4) ? RECEIPT_DELIVERED : RECEIPT_BOUNCED,
                    .profile = d->profile,
                    .decision = d->decision,
                    .attempt = d->attempt,
                    .code = draw_below(s, STREAM_WORLD, 3) ? 452 : 550},
        .due_ms = s->clock_ms + 1 + draw_power(s, STREAM_WORLD, 8)};
    saw(s, FAULT_RECEIPT_LATE);
    write_letter(w, &letter);
    if (!draw_permille(s, STREAM_WORLD, s->options[OPTION_STRANGE]))
        return;
    letter.due_ms += draw_power(s, STREAM_WORLD, 7);
    switch (draw_below(s, STREAM_WORLD, 4)) {
    case 0:
        letter.receipt.decision = draw(s, STREAM_WORLD);
        letter.is_strange = true;
        saw(s, FAULT_RECEIPT_STRANGE);
        break;
    case 1:
        letter.receipt.profile = 1 + draw_below(s, STREAM_WORLD, UINT64_C(1) << 40);
        letter.is_strange = true;
        saw(s, FAULT_RECEIPT_STRANGE);
        break;
    case 2:
        letter.receipt.attempt += 1 + (uint32_t)draw_below(s, STREAM_WORLD, 3);
        letter.is_strange = true;
        saw(s, FAULT_RECEIPT_STRANGE);
        break;
    default: saw(s, FAULT_RECEIPT_TWICE); break;
    }
    write_letter(w, &letter);
}

/* At most once: no other transmission of the decision is there, as far as the house can know. */
static void check_once(struct world *w, const struct delivery *d)
{
    if (d->is_at_least_once || d->is_idempotent)
        return;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct delivery *other = &w->deliveries[i];
        if (other->decision == d->decision && other->profile == d->profile && other->is_open &&
            !other->has_bounced)
            sim_fail(w->sim, "decision %lx of profile %lx goes out twice (attempts %u and %u)",
                     d->decision, d->profile, other->attempt, d->attempt);
    }
}

void world_send(struct world *w, struct str provider, const struct held *held, uint32_t connections,
                uint32_t slots, bool is_idempotent, uint64_t ticket)
{
    struct sim *s = w->sim;
    struct station *station = station_of(w, provider);
    struct delivery *d = delivery_of(w, provider, held, is_idempotent);
    struct transmission t = choose(w, station);
    uint32_t here = 0;
    if (!oracle_has_grant(s->oracle, d->profile, d->decision, d->attempt))
        sim_fail(s, "an attempt that nothing granted goes out");
    check_once(w, d);
    for (uint32_t i = 0; i < w->flight_count; i++)
        here += w->flights[i].run == machine_run(s->machine) &&
                w->flights[i].connections == connections;
    if (here >= slots && slots > 0)
        sim_fail(s, "%u transmissions at provider %s, which has %u slots", here + 1, station->name,
                 slots);
    sim_say(s, "  sent decision %lx attempt %u by %s: %s", d->decision, d->attempt, station->name,
            transmission_name(t.outcome));
    w->transmissions++;
    d->starts++;
    station->taken++;
    bool is_taken = t.outcome == TRANSMISSION_ACCEPTED;
    if (t.outcome == TRANSMISSION_IN_DOUBT) {
        is_taken = draw_below(s, STREAM_WORLD, 2) != 0;
        saw(s, is_taken ? FAULT_DOUBT_TAKEN : FAULT_DOUBT_LOST);
    }
    if (is_taken && !(d->is_idempotent && d->taken > 0))
        d->taken++;
    if (is_taken && draw_permille(s, STREAM_WORLD, s->is_calm ? 0 : s->options[OPTION_LIE]))
        saw(s, draw_below(s, STREAM_WORLD, 2) ? FAULT_DOUBLED : FAULT_SWALLOWED);
    if (is_taken || t.outcome == TRANSMISSION_IN_DOUBT)
        d->is_open = true;
    if (is_taken)
        plan_letters(w, d);
    int64_t takes_ms = s->is_calm ? (int64_t)draw_below(s, STREAM_WORLD, CALM_MS)
                                  : draw_power(s, STREAM_WORLD, s->options[OPTION_SLOW]);
    if (takes_ms > MINUTE_MS)
        saw(s, FAULT_SLOW);
    if (w->flight_count == w->flight_room) {
        w->flight_room = w->flight_room ? w->flight_room * 2 : 32;
        w->flights = mem_resize(w->flights, w->flight_room * sizeof(w->flights[0]));
    }
    w->flights[w->flight_count++] = (struct flight){.run = machine_run(s->machine),
                                                    .connections = connections,
                                                    .ticket = ticket,
                                                    .delivery = (uint32_t)(d - w->deliveries),
                                                    .due_ms = s->clock_ms + takes_ms,
                                                    .result = t};
}

/* ---- time ---------------------------------------------------------------------------------------- */

static void land(struct world *w, uint32_t place)
{
    struct flight flight = w->flights[place];
    w->flights[place] = w->flights[--w->flight_count];
    machine_result(w->sim->machine, flight.run, flight.ticket, &flight.result);
}

static bool post(struct world *w, uint32_t place)
{
    struct letter *letter = &w->letters[place];
    letter->due_ms = FOREVER_MS;
    if (letter->receipt.kind == RECEIPT_BOUNCED && !letter->is_strange) {
        const struct receipt *r = &letter->receipt;
        uint32_t at =
            map_u64_find(&w->by_attempt, hash_pair(hash_pair(r->profile, r->decision), r->attempt));
        must(at != MAP_NONE);
        w->deliveries[at].has_bounced = true;
    }
    if (!machine_report(w->sim->machine, &letter->receipt, place))
        world_report_answer(w, place, false);
    return true;
}

bool world_turn(struct world *w)
{
    int64_t clock_ms = w->sim->clock_ms;
    for (uint32_t i = 0; i < w->flight_count; i++)
        if (w->flights[i].due_ms <= clock_ms)
            return land(w, i), true;
    for (uint32_t i = 0; i < w->letter_count; i++)
        if (w->letters[i].due_ms <= clock_ms)
            return post(w, i);
    return false;
}

int64_t world_wake_ms(const struct world *w)
{
    int64_t wake_ms = FOREVER_MS;
    for (uint32_t i = 0; i < w->flight_count; i++)
        wake_ms = min_of(wake_ms, w->flights[i].due_ms);
    for (uint32_t i = 0; i < w->letter_count; i++)
        wake_ms = min_of(wake_ms, w->letters[i].due_ms);
    return wake_ms == FOREVER_MS ? wake_ms : max_of(wake_ms, w->sim->clock_ms + 1);
}

void world_report_answer(struct world *w, uint32_t report, bool is_durable)
{
    struct letter *letter = &w->letters[report];
    letter->is_done |= is_durable || letter->is_strange;
    if (!letter->is_done)
        letter->due_ms = w->sim->clock_ms + 1000;
}

void world_grace(struct world *w, int64_t grace_ms)
{
    uint32_t run = machine_run(w->sim->machine);
    for (uint32_t i = w->flight_count; i-- > 0;) {
        if (w->flights[i].run != run)
            continue;
        if (w->flights[i].due_ms > w->sim->clock_ms + grace_ms)
            w->flights[i].result =
                (struct transmission){.outcome = TRANSMISSION_IN_DOUBT, .detail = "broken off"};
        if (w->flights[i].result.outcome == TRANSMISSION_IN_DOUBT)
            w->deliveries[w->flights[i].delivery].is_open = true;
        land(w, i);
    }
}

/* What was on its way may have been taken or not; nobody at home will know. */
void world_hang_up(struct world *w)
{
    for (uint32_t i = 0; i < w->flight_count; i++)
        w->deliveries[w->flights[i].delivery].is_open = true;
    w->flight_count = 0;
}

void world_trouble(struct world *w)
{
    struct sim *s = w->sim;
    if (s->is_calm || w->station_count == 0 ||
        !draw_permille(s, STREAM_WORLD, s->options[OPTION_OUTAGE]))
        return;
    w->stations[draw_below(s, STREAM_WORLD, w->station_count)].out_until_ms =
        s->clock_ms + draw_power(s, STREAM_WORLD, 8);
}

void world_calm(struct world *w)
{
    for (uint32_t i = 0; i < w->station_count; i++)
        w->stations[i].out_until_ms = 0;
}

/* ---- for others ---------------------------------------------------------------------------------- */

uint32_t world_count(const struct world *w)
{
    return w->count;
}

const struct delivery *world_delivery(const struct world *w, uint32_t place)
{
    must(place < w->count);
    return &w->deliveries[place];
}

uint64_t world_digest(const struct world *w)
{
    uint64_t digest = w->transmissions;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct delivery *d = &w->deliveries[i];
        digest = hash_pair(digest, d->profile);
        digest = hash_pair(digest, d->decision);
        digest = hash_pair(digest, (uint64_t)d->attempt << 32 | d->starts);
        digest = hash_pair(digest, hash_str(str_of(d->address), d->taken));
    }
    return digest;
}

uint64_t world_transmissions(const struct world *w)
{
    return w->transmissions;
}

uint32_t world_flights(const struct world *w)
{
    return w->flight_count;
}

bool world_is_idle(const struct world *w)
{
    for (uint32_t i = 0; i < w->letter_count; i++)
        if (!w->letters[i].is_done)
            return false;
    return w->flight_count == 0;
}
