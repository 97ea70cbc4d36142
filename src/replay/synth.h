/* synth.h - made-up customers of a made-up shop: sessions, carts, orders, tickets, and opens and clicks
 * that depend on what was sent to them. The same seed gives the same people, and the same answers to the
 * same messages, on any machine.
 *
 *     each person ──► an agenda of what they do next ──► synth_next(): the earliest of all
 *                          ▲
 *                          └── synth_sent(): a message came; perhaps they open it, click, order, or
 *                              unsubscribe
 *
 * The behaviour is drawn from rates that a shop would recognise (a session every few days in waking
 * hours, one cart in four sessions, four orders in ten carts, a ticket after one order in sixteen), not
 * fitted to anybody's data. Nothing here is a measurement of what messages achieve.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/value.h"
#include "model/receipt.h"
#include "model/record.h"

#define SYNTH_FIELDS_MAX 12

struct synth;

struct synth_options {
    uint64_t seed;
    uint32_t people;
    int64_t start_ms; /* UTC */
    int64_t end_ms;   /* nobody does anything from here on */
};

struct synth_field {
    struct str path; /* "cart_id"; good for ever */
    struct value value;
};

/* Something that a person does. Texts are good until the next call. */
struct synth_event {
    int64_t at_ms;
    uint32_t person;         /* from 0 */
    uint8_t kind;            /* enum event_kind: TRACK, PAGE or IDENTIFY */
    bool is_anonymous;       /* not signed in yet: only the anonymous id is known */
    struct str name;         /* of a track event */
    struct str user_id;      /* "c17" */
    struct str anonymous_id; /* "a17" */
    struct str message_id;
    uint64_t decision;     /* OPENED, CLICKED, UNSUBSCRIBED: in answer to which; 0 = none */
    struct str attempt_id; /* the same as text; empty = none */
    uint32_t field_count;
    struct synth_field fields[SYNTH_FIELDS_MAX]; /* properties or traits */
};

struct synth *synth_new(const struct synth_options *options) mustuse;
void synth_free(struct synth *s);

/* When the next event happens; FOREVER_MS when there is none left. */
int64_t synth_next_ms(const struct synth *s);

/* The next event. Requires one to be left. */
void synth_next(struct synth *s, struct synth_event *out);

/* The person was sent a message: `name` as in the programme ("cart-reminder"), `attempt_id` as printed by
 * attempt_id_print(). What they do about it is put on the agenda. */
void synth_sent(struct synth *s, uint32_t person, struct str name, uint64_t decision,
                struct str attempt_id, int64_t at_ms);

/* What the person's mailbox answers to an attempt: accepted, for one in a hundred no such address. */
enum receipt_kind synth_answer(const struct synth *s, uint32_t person);

/* "c17" to 17; false for anything else. */
bool synth_person(struct str user_id, uint32_t *person) mustuse;
