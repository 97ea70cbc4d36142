/* load_lives.c - people with habits. Somebody looks round, signs up, fills carts, buys or forgets to, opens a
 * ticket, loses a card, shares a tablet, moves house and zone, answers what they get. The programmes are
 * made of pieces, as the seed says, so that the oracle knows what must hold of each message.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "simulator/load.h"
#include "simulator/machine.h"
#include "simulator/world.h"

enum piece {
    PIECE_GROUPS,
    PIECE_TICKET,
    PIECE_FRAUD,
    PIECE_HOLDOUT,
    PIECE_OWN_HOLDOUT,
    PIECE_SMS_CAP,
    PIECE_SPLIT,
    PIECE_MILESTONES,
    PIECE_NEWS,
    PIECE_VOUCHERS,
    PIECE_SEGMENT,
    PIECE_INSTEAD,
    PIECE_DIGEST,
    PIECE_HANDOFF,
    PIECE_CHOICE,
    PIECE_RATE,
};

/* ---- programmes ---------------------------------------------------------------------------------- */

#define MESSAGE(name, settings)                                                               \
    "=== messages/" name "/message.yaml\n" settings "email: {subject: '{{ person.name }}'}\n" \
    "=== messages/" name "/email.txt.liquid\n" name "\n"                                      \
    "=== messages/" name "/sms.liquid\n{{ person.name }}\n"

static const char base[] =
    "=== journeys/welcome.yaml\njourney: welcome\nowner: sim\n"
    "enter: {event: Signed Up, again: never}\n"
    "steps:\n  - {send: hello}\n  - wait: {for: 1d, unless: engaged}\n"
    "  - branch: [{if: 'engaged(\"hello\", \"7d\")', do: [{send: thanks}]}]\n"
    "=== journeys/cart.yaml\njourney: cart\nowner: sim\npriority: 50\n"
    "goal: {event: Order Completed, within: 7d}\n"
    "enter: {event: Cart Updated, key: event.cart, at_once: {max: 3}}\n"
    "steps:\n  - wait: {for: 1h, reset_by: Cart Updated, at_most: 5h}\n"
    "  - {send: reminder, channels: {first_of: [email, sms]}, if_not_sent: [{send: offer}]}\n"
    "=== journeys/order.yaml\njourney: order\nowner: sim\n"
    "enter: {event: Order Completed, at_once: {max: 5}}\n"
    "steps:\n  - {send: receipt}\n  - wait: {for: 2 days}\n  - {send: review, go_on: true}\n"
    "  - set: {vip: 'true'}\n"
    "=== journeys/login.yaml\njourney: login\nowner: sim\n"
    "enter: {event: Login Tried, at_once: {max: 9}}\nsteps: [{send: code}]\n"              //
    MESSAGE("hello", "category: lifecycle\n")                                              //
    MESSAGE("thanks", "category: lifecycle\ncontent_key: kind\n")                          //
    MESSAGE("reminder", "category: offer\nonly_if: '!did(\"Order Completed\", \"1h\")'\n") //
    MESSAGE("offer", "category: offer\n")                                                  //
    MESSAGE("receipt", "category: order-update\n")                                         //
    MESSAGE("review", "category: lifecycle\n")                                             //
    MESSAGE("code", "category: code\n");

static const char *const texts[] = {
    [PIECE_GROUPS] =
        "=== journeys/promo.yaml\njourney: promo\nowner: sim\n"
        "enter: {event: Sale Seen, at_once: {max: 1, then: restart}}\n"
        "steps:\n  - wait: {for: 10m}\n  - {send: sale}\n" MESSAGE("sale", "category: offer\n"),
    [PIECE_OWN_HOLDOUT] =
        "=== journeys/idle.yaml\njourney: idle\nowner: sim\nholdout: {percent: 20}\n"
        "enter: {event: Seen}\nrequire: '!traits.vip || idle(\"Order Completed\", \"1d\")'\n"
        "steps:\n  - wait: {until: {if: 'idle(\"Seen\", \"2d\")'}, for: 9d}\n"
        "  - {send: come-back}\n" MESSAGE("come-back", "category: lifecycle\ncontent_key: kind\n"),
    [PIECE_SPLIT] =
        "=== journeys/trial.yaml\njourney: trial\nowner: sim\nenter: {event: Seen, again: {after: 1d}}\n"
        "goal: {event: Order Completed, within: 3d}\nsteps:\n"
        "  - split:\n      name: incentive\n      arms:\n"
        "        - {arm: gift, weight: 50, do: [{send: gift-a}]}\n"
        "        - {arm: none, weight: 50}\n"
        "  - wait: {for: 6h}\n" MESSAGE("gift-a", "category: offer\n"),
    [PIECE_MILESTONES] =
        "=== journeys/course.yaml\njourney: course\nowner: sim\nenter: {event: Signed Up}\n"
        "exits: [{if: 'did(\"Order Completed\", \"1h\")'}]\nmilestones:\n"
        "  - {name: one, done: 'did(\"Seen\")', do: [{wait: {for: 5h}}, {send: lesson-1}]}\n"
        "  - {name: two, done: 'count(\"Cart Updated\") >= 2', do: [{wait: {for: 1d}}, {send: "
        "lesson-2}]}\n"
        "advance: furthest\n" //
    MESSAGE("lesson-1", "category: lifecycle\n") MESSAGE("lesson-2", "category: tips\n"),
    [PIECE_NEWS] =
        "=== journeys/delay.yaml\njourney: delay\nowner: sim\n"
        "enter: {event: Cart Updated, key: event.cart, at_once: {max: 5, per: key}}\n"
        "on:\n  - {event: Order Completed, cancel: pending, then: exit}\n"
        "steps:\n  - send: delayed\n    if_not_sent: [{exit: }]\n  - wait: {for: 1h}\n" //
    MESSAGE("delayed", "category: offer\nsupersedes: key\n"),
    [PIECE_VOUCHERS] =
        "=== vouchers/goodwill.csv\ncode\nA1\nA2\nA3\nA4\n"
        "=== journeys/gift.yaml\njourney: gift\nowner: sim\n"
        "enter: {event: Gift, at_once: {max: 9}}\n"
        "steps:\n  - {send: gift, voucher: {pool: goodwill, as: code, if_empty: skip}}\n" //
        "=== messages/gift/message.yaml\ncategory: offer\nemail: {subject: gift}\n"
        "=== messages/gift/email.txt.liquid\n{{ voucher.code }}\n"
        "=== messages/gift/sms.liquid\n{{ voucher.code }}\n",
    [PIECE_SEGMENT] =
        "=== segments/keen.yaml\nsegment: keen\nwhen: 'count(\"Seen\", \"2d\") >= 2'\n"
        "=== journeys/keen-club.yaml\njourney: keen-club\nowner: sim\n"
        "enter: {segment: keen, existing: enter}\nexits: [{segment_left: keen}]\n"
        "steps:\n  - send: club\n  - wait: {for: 3d, until: Order Completed}\n" //
    MESSAGE("club", "category: lifecycle\n"),
    [PIECE_INSTEAD] = "=== journeys/refill.yaml\njourney: refill\nowner: sim\n"
                      "enter: {event: Order Completed, at_once: {max: 2}}\n"
                      "steps:\n  - wait: {for: 3h}\n  - send: refill\n    instead:\n"
                      "      - {if: 'did(\"Seen\", \"2h\")', do: [{send: cross-sell}]}\n" //
    MESSAGE("refill", "category: offer\n") MESSAGE("cross-sell", "category: offer\n"),
    [PIECE_DIGEST] =
        "=== journeys/digest.yaml\njourney: digest\nowner: sim\n"
        "enter:\n  schedule: {every: 'every day at 10:30', zone: person, until: 2026-03-12}\n"
        "steps: [{send: digest}]\n" MESSAGE("digest", "category: lifecycle\n"),
    [PIECE_HANDOFF] = "=== journeys/refund.yaml\njourney: refund\nowner: sim\n"
                      "enter: {event: Ticket Solved, at_once: {max: 2}}\n"
                      "steps:\n  - run: check\n  - handoff: apology\n    with: {amount: '2.0'}\n"
                      "    if_refused: [{send: note}]\n"
                      "=== journeys/check.yaml\njourney: check\nowner: sim\nenter: {run: true}\n"
                      "steps: [{wait: {for: 20m}}]\n"
                      "=== journeys/apology.yaml\njourney: apology\nowner: sim\n"
                      "enter: {handoff: true, again: {after: 1d}}\nsteps: [{send: sorry}]\n" //
    MESSAGE("sorry", "category: lifecycle\n") MESSAGE("note", "category: tips\n"),
    [PIECE_CHOICE] =
        "=== journeys/best.yaml\njourney: best\nowner: sim\nenter: {event: Seen, again: {after: 6h}}\n"
        "steps:\n  - choose:\n"
        "      - {arm: vip, if: 'traits.vip', priority: 50, do: [{send: upgrade}]}\n"
        "      - {arm: rest, score: 'double(bucket(\"s\"))', do: [{send: survey}]}\n" //
    MESSAGE("upgrade", "category: offer\n") MESSAGE("survey", "category: tips\n"),
};

static bool has(const struct sim *s, enum piece piece)
{
    return s->options[OPTION_PIECES] >> piece & 1;
}

/* Version `version` lacks one piece and has other figures than the one before. */
static void write_programme(struct load *l, uint32_t version)
{
    struct sim *s = l->sim;
    struct buf b;
    uint32_t lacks = version == 0 ? UINT32_MAX : (uint32_t)draw_below(s, STREAM_LOAD, 16);
    buf_init(&b);
    buf_printf(&b,
               "=== programme.yaml\nname: Sim %u\ntimezone: Europe/London\n"
               "traits: {name: {type: string}, vip: {type: bool, default: false}}\n"
               "categories:\n  order-update: {lane: service}\n  tips: {lane: service}\n"
               "  code: {lane: otp}\n"
               "  lifecycle: {lane: marketing, valid_for: 4d, priority: 500, settle: %us}\n"
               "  offer: {lane: marketing, valid_for: 2d, priority: 300, settle: %us}\n"
               "caps:\n  - {limit: %u, per: day}\n  - {limit: %u, per: 7d}\n",
               version, (unsigned)draw_below(s, STREAM_LOAD, 3) * 60,
               (unsigned)draw_below(s, STREAM_LOAD, 3) * 600,
               1 + (unsigned)draw_below(s, STREAM_LOAD, 3),
               3 + (unsigned)draw_below(s, STREAM_LOAD, 3));
    if (draw_below(s, STREAM_LOAD, 2))
        buf_printf(&b, "  - {min_gap: %uh}\n", 1 + (unsigned)draw_below(s, STREAM_LOAD, 4));
    if (has(s, PIECE_SMS_CAP))
        buf_printf(&b, "  - {limit: 1, per: day, channel: sms}\n");
    buf_printf(&b, "quiet_hours: [{from: '21:00', to: '08:00'}]\n");
    if (has(s, PIECE_GROUPS) && lacks != PIECE_GROUPS)
        buf_printf(&b, "groups:\n  - {name: first, journeys: [cart]}\n"
                       "  - {name: second, journeys: [welcome], pauses: [third]}\n"
                       "  - {name: third, journeys: [promo]}\n");
    if (has(s, PIECE_TICKET) || has(s, PIECE_FRAUD))
        buf_printf(&b, "holds:\n");
    if (has(s, PIECE_TICKET))
        buf_printf(&b, "  - {name: ticket, from: Ticket Opened, until: Ticket Solved, key: ticket, "
                       "linger: 2h, at_most: 3d, waits: freeze}\n");
    if (has(s, PIECE_FRAUD))
        buf_printf(&b, "  - {name: fraud, from: Fraud Seen, until: Fraud Over, linger: 0s, "
                       "at_most: 1d, drop: true}\n");
    if (has(s, PIECE_HOLDOUT))
        buf_printf(&b, "holdout: {percent: 20, salt: one}\n");
    buf_printf(&b,
               "=== providers/mail.yaml\nkind: smtp\nslots: %u\n"
               "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n"
               "%s=== providers/text.yaml\nkind: webhook\nchannel: sms\nslots: %u\n"
               "settings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n",
               1 + (unsigned)draw_below(s, STREAM_LOAD, 4),
               has(s, PIECE_RATE) && lacks != PIECE_RATE ? "rate: 5/min\n" : "",
               1 + (unsigned)draw_below(s, STREAM_LOAD, 3));
    buf_printf(&b, "%s", base);
    for (uint32_t i = 0; i < array_count(texts); i++)
        if (has(s, (enum piece)i) && i != lacks && texts[i] != NULL)
            buf_printf(&b, "%s", texts[i]);
    buf_add_byte(&b, 0);
    load_add_programme(l, (const char *)b.at);
    buf_fini(&b);
}

/* ---- lives --------------------------------------------------------------------------------------- */

struct life {
    uint32_t carts;   /* so far */
    uint32_t tickets; /* opened; the last one is open if odd */
    bool is_known, has_signed, is_watched;
};

static uint32_t number(struct load *l, uint32_t count)
{
    return (uint32_t)draw_below(l->sim, STREAM_LOAD, count);
}

static const char *journeys[] = {"welcome", "cart",   "order", "promo", "idle",  "trial",
                                 "course",  "refill", "gift",  "best",  "digest"};

static void write_to(struct load *l, struct fact *out, uint32_t person, bool is_yes)
{
    bool is_mail = number(l, 3) != 0;
    uint32_t nth = number(l, 3) ? person : number(l, (uint32_t)l->sim->options[OPTION_PEOPLE]);
    snprintf(out->event, sizeof(out->event), "Consent Changed");
    if (is_mail)
        snprintf(out->fields, sizeof(out->fields),
                 "channel=email status=%s address=a%u@example.org", is_yes ? "granted" : "denied",
                 nth);
    else
        snprintf(out->fields, sizeof(out->fields), "channel=sms status=%s address=+4470000%u",
                 is_yes ? "granted" : "denied", nth);
}

static void introduce(struct load *l, struct fact *out, uint32_t person)
{
    static const char *const zones[] = {"Europe/London", "America/New_York", "Asia/Tokyo",
                                        "Europe/London"};
    uint32_t nth = number(l, 5) ? person : number(l, (uint32_t)l->sim->options[OPTION_PEOPLE]);
    out->kind = EVENT_IDENTIFY;
    snprintf(out->fields, sizeof(out->fields),
             "email=a%u@example.org phone=+4470000%u timezone=%s name=N%u", nth, nth,
             zones[number(l, 4)], number(l, 3));
}

/* An answer to something that a provider took. */
static bool answer(struct load *l, struct fact *out)
{
    static const char *const words[] = {"Message Opened", "Message Clicked", "Message Opened",
                                        "Unsubscribed", "Message Complained"};
    const struct world *w = l->sim->world;
    if (world_count(w) == 0)
        return false;
    const struct delivery *d = world_delivery(w, number(l, world_count(w)));
    if (strstr(d->address, MARK_BEGINS) != NULL) /* a guest's own affair */
        return false;
    uint32_t what = number(l, 5);
    if (what >= 3 && number(l, 3))
        what = 0;
    snprintf(out->event, sizeof(out->event), "%s", words[what]);
    out->cause = d->decision;
    if (what == 3)
        snprintf(out->fields, sizeof(out->fields), "channel=%s address=%s",
                 d->channel == CHANNEL_EMAIL ? "email" : "sms", d->address);
    return true;
}

static void operate(struct load *l, struct fact *out)
{
    static const uint8_t phases[] = {PHASE_PAUSED, PHASE_ACTIVE, PHASE_DRAINING,
                                     PHASE_PAUSED, PHASE_ACTIVE, PHASE_STOPPED};
    out->what = FACT_COMMAND;
    snprintf(out->event, sizeof(out->event), "%s", journeys[number(l, array_count(journeys))]);
    if (number(l, 2)) {
        out->word = (struct command_word){.kind = COMMAND_PHASE,
                                          .phase = phases[number(l, array_count(phases))],
                                          .flags = (uint8_t)number(l, 4)};
        if (out->word.phase == PHASE_ACTIVE && number(l, 2)) {
            out->word.pace_count = 1 + number(l, 3);
            out->word.pace_ms = HOUR_MS;
        }
        if (out->word.phase != PHASE_PAUSED)
            out->word.flags = 0;
        return;
    }
    out->word = (struct command_word){.kind = number(l, 3) ? COMMAND_KILL : COMMAND_UNKILL,
                                      .flags = (uint8_t)number(l, 4)};
    switch (number(l, 3)) {
    case 0: out->word.scope = KILL_JOURNEY; break;
    case 1:
        out->word.scope = KILL_CHANNEL;
        out->word.channel = number(l, 2) ? CHANNEL_EMAIL : CHANNEL_SMS;
        out->event[0] = 0;
        break;
    default:
        out->word.scope = KILL_ALL;
        out->event[0] = 0;
        break;
    }
}

/* One more deed of somebody's life. */
static void live(struct load *l, struct fact *out, struct life *life, uint32_t person)
{
    static const char *const small[] = {"Seen", "Seen", "Sale Seen", "Login Tried", "Gift"};
    snprintf(out->who, sizeof(out->who), "u%u", person);
    if (!life->is_known) {
        introduce(l, out, person);
        life->is_known = true;
        return;
    }
    if (!life->has_signed) {
        if (number(l, 2)) {
            write_to(l, out, person, true);
            return;
        }
        snprintf(out->event, sizeof(out->event), "Signed Up");
        life->has_signed = true;
        return;
    }
    switch (number(l, 16)) {
    case 0: introduce(l, out, person); return;
    case 1:
    case 2: write_to(l, out, person, number(l, 5) != 0); return;
    case 3:
    case 4:
    case 5:
        life->carts += number(l, 3) == 0;
        snprintf(out->event, sizeof(out->event), "Cart Updated");
        snprintf(out->fields, sizeof(out->fields), "cart=%u", life->carts);
        return;
    case 6:
    case 7:
        snprintf(out->event, sizeof(out->event), "Order Completed");
        snprintf(out->fields, sizeof(out->fields), "cart=%u", life->carts);
        return;
    case 8:
        snprintf(out->event, sizeof(out->event), "%s",
                 life->tickets % 2 ? "Ticket Solved" : "Ticket Opened");
        snprintf(out->fields, sizeof(out->fields), "ticket=%u", life->tickets / 2);
        life->tickets++;
        return;
    case 9:
        snprintf(out->event, sizeof(out->event), "%s",
                 life->is_watched ? "Fraud Over" : "Fraud Seen");
        life->is_watched = !life->is_watched;
        return;
    case 10: /* on a shared device: a stranger's at first, perhaps another's */
        snprintf(out->who, sizeof(out->who), number(l, 2) ? "~d%u" : "u%u~d%u",
                 number(l, 2) ? person : number(l, 4), number(l, 4));
        snprintf(out->event, sizeof(out->event), "Seen");
        return;
    case 11:
        out->kind = EVENT_ALIAS;
        snprintf(out->previous, sizeof(out->previous), "u%u",
                 number(l, (uint32_t)l->sim->options[OPTION_PEOPLE]));
        return;
    default: snprintf(out->event, sizeof(out->event), "%s", small[number(l, 5)]); return;
    }
}

static void make(struct load *l, struct fact *out)
{
    uint32_t person = number(l, (uint32_t)l->sim->options[OPTION_PEOPLE]);
    if (draw_permille(l->sim, STREAM_LOAD, l->sim->options[OPTION_COMMANDS]))
        operate(l, out);
    else if (number(l, 8) == 0 && answer(l, out))
        snprintf(out->who, sizeof(out->who), "u%u", person);
    else
        live(l, out, &l->lives[person], person);
}

void load_lives(struct load *l)
{
    l->make = make;
    l->lives = mem_new(l->sim->options[OPTION_PEOPLE] * sizeof(l->lives[0]));
    for (uint32_t i = 0; i < l->sim->options[OPTION_PROGRAMMES]; i++)
        write_programme(l, i);
}
