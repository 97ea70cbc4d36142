/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/synth.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "when/civil.h"

#define PRODUCTS 240

enum deed {
    DEED_BECOMES_KNOWN, /* was a customer before we began */
    DEED_SIGNS_UP,
    DEED_SESSION,
    DEED_VIEWS,
    DEED_FILLS_CART,
    DEED_ORDERS,
    DEED_OPENS_TICKET,
    DEED_SOLVES_TICKET,
    DEED_OPENS,
    DEED_CLICKS,
    DEED_UNSUBSCRIBES,
};

/* An entry of the agenda: a heap by (at_ms, person, number). */
struct plan_item {
    int64_t at_ms;
    uint32_t person;
    uint32_t number; /* order of planning: total, so that the heap has one order */
    uint8_t deed;
    uint8_t part;     /* which of several events of the deed comes next */
    uint8_t is_extra; /* of a session that a message led to: no other follows it */
    uint16_t left;    /* VIEWS: products still to be looked at */
    uint64_t decision;
    char attempt_id[48];
};

struct shopper {
    uint32_t draws; /* chance already used up */
    uint16_t carts; /* carts, orders, tickets so far */
    uint16_t orders;
    uint16_t tickets;
    uint16_t sku;     /* looked at last */
    uint8_t is_known; /* signed up */
    uint8_t has_cart;
    uint8_t likes;       /* out of 255: how readily they buy */
    uint8_t is_gone;     /* unsubscribed */
    int32_t value_cents; /* of the cart */
};

struct synth {
    struct synth_options options;
    struct shopper *people;
    struct plan_item *heap;
    uint32_t count, room, planned;
    bool is_extra; /* what is planned now belongs to an extra session */
    char user_id[24], anonymous_id[24], message_id[48], attempt_id[48], texts[4][64];
};

/* ---- chance ------------------------------------------------------------------------------------ */

static uint64_t draw(struct synth *s, uint32_t person)
{
    return hash_pair(s->options.seed, (uint64_t)person << 32 | s->people[person].draws++);
}

/* 0 <= x < most, uniform. */
static int64_t below(struct synth *s, uint32_t person, int64_t most)
{
    return (int64_t)(((unsigned __int128)draw(s, person) * (uint64_t)most) >> 64);
}

static bool chance(struct synth *s, uint32_t person, uint32_t of_1000)
{
    return below(s, person, 1000) < of_1000;
}

/* Of the person for good: does not use up chance. */
static uint64_t trait_of(const struct synth *s, uint32_t person, uint32_t which)
{
    return hash_pair(hash_pair(s->options.seed, which), person);
}

/* ---- the agenda -------------------------------------------------------------------------------- */

static bool is_before(const struct plan_item *a, const struct plan_item *b)
{
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms;
    if (a->person != b->person)
        return a->person < b->person;
    return a->number < b->number;
}

static void plan_again(struct synth *s, struct plan_item item)
{
    if (item.at_ms >= s->options.end_ms)
        return;
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 1024;
        s->heap = mem_resize(s->heap, s->room * sizeof(s->heap[0]));
    }
    uint32_t at = s->count++;
    while (at > 0 && is_before(&item, &s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = item;
}

static void plan_deed(struct synth *s, uint32_t person, enum deed deed, int64_t at_ms)
{
    plan_again(
        s, (struct plan_item){
               .at_ms = at_ms, .person = person, .number = s->planned++, .deed = (uint8_t)deed});
}

static struct plan_item take_first(struct synth *s)
{
    must(s->count > 0);
    struct plan_item first = s->heap[0], last = s->heap[--s->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= s->count)
            break;
        if (child + 1 < s->count && is_before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!is_before(&s->heap[child], &last))
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    if (s->count > 0)
        s->heap[at] = last;
    return first;
}

/* ---- people ------------------------------------------------------------------------------------ */

static const struct {
    const char *zone;
    int8_t hours; /* rough offset: when their day is */
} places[] = {
    {"Europe/London", 0}, {"Europe/Berlin", 1},    {"America/New_York", -5}, {"Europe/Madrid", 1},
    {"Europe/London", 0}, {"America/Chicago", -6}, {"Asia/Kolkata", 5},      {"Europe/London", 0},
};

static const char *const first_names[] = {
    "Ann",  "Ben",  "Clara", "David",  "Elif", "Farid", "Grace", "Hugo",   "Iris",  "Jonas",
    "Kira", "Liam", "Maya",  "Noah",   "Olga", "Priya", "Quinn", "Rosa",   "Samir", "Tessa",
    "Umar", "Vera", "Wim",   "Ximena", "Yara", "Zoe",   "Émile", "Jürgen", "Søren", "Łucja",
};

/* The next session: after some days, at a waking hour of theirs. */
static int64_t next_session(struct synth *s, uint32_t person, int64_t after_ms)
{
    int64_t gap_ms = DAY_MS / 2 + below(s, person, 9 * DAY_MS);
    if (s->people[person].likes > 200)
        gap_ms /= 3;
    int64_t at_ms = after_ms + gap_ms;
    int64_t day_ms = at_ms - floor_mod(at_ms, DAY_MS);
    uint64_t place = trait_of(s, person, 1) % array_count(places);
    int64_t wall_ms = 7 * HOUR_MS + below(s, person, 15 * HOUR_MS);
    at_ms = day_ms + wall_ms - places[place].hours * HOUR_MS;
    return max_of(at_ms, after_ms + HOUR_MS);
}

struct synth *synth_new(const struct synth_options *options)
{
    struct synth *s = mem_new(sizeof(*s));
    s->options = *options;
    s->people = mem_new(options->people * sizeof(s->people[0]));
    int64_t span_ms = options->end_ms - options->start_ms;
    must(span_ms > 0);
    for (uint32_t i = 0; i < options->people; i++) {
        s->people[i].likes = (uint8_t)trait_of(s, i, 2);
        if (trait_of(s, i, 3) % 100 < 55)
            plan_deed(s, i, DEED_BECOMES_KNOWN, options->start_ms + below(s, i, HOUR_MS));
        else
            plan_deed(s, i, DEED_SESSION, options->start_ms + below(s, i, span_ms * 4 / 5));
    }
    return s;
}

void synth_free(struct synth *s)
{
    if (s == NULL)
        return;
    mem_free(s->people);
    mem_free(s->heap);
    mem_free(s);
}

int64_t synth_next_ms(const struct synth *s)
{
    return s->count ? s->heap[0].at_ms : FOREVER_MS;
}

/* ---- what they do ------------------------------------------------------------------------------ */

static void add_text(struct synth_event *e, const char *path, struct str text)
{
    must(e->field_count < SYNTH_FIELDS_MAX);
    e->fields[e->field_count++] = (struct synth_field){str_of(path), value_text(text)};
}

static void add_int(struct synth_event *e, const char *path, int64_t x)
{
    must(e->field_count < SYNTH_FIELDS_MAX);
    e->fields[e->field_count++] = (struct synth_field){str_of(path), value_int(x)};
}

static void add_money(struct synth_event *e, const char *path, int64_t cents)
{
    must(e->field_count < SYNTH_FIELDS_MAX);
    e->fields[e->field_count++] =
        (struct synth_field){str_of(path), value_double((double)cents / 100.0)};
}

static struct str print_to(char *out, const char *format, uint32_t a, uint32_t b)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int len = snprintf(out, 64, format, a, b);
#pragma GCC diagnostic pop
    must(len > 0 && len < 64);
    return (struct str){out, (size_t)len};
}

static int32_t price_of(uint32_t sku)
{
    return (int32_t)(499 + hash_pair(sku, 4) % 12000);
}

/* Traits, then consent; both are said when somebody becomes known. */
static void tell_traits(struct synth *s, uint32_t person, struct synth_event *e)
{
    e->kind = EVENT_IDENTIFY;
    add_text(e, "email", print_to(s->texts[0], "c%u@customers.example", person, 0));
    add_text(e, "first_name",
             str_of(first_names[trait_of(s, person, 5) % array_count(first_names)]));
    add_text(e, "timezone", str_of(places[trait_of(s, person, 1) % array_count(places)].zone));
    add_text(e, "plan", trait_of(s, person, 6) % 5 ? STR("free") : STR("plus"));
}

static void tell_consent(const struct synth *s, uint32_t person, struct synth_event *e)
{
    e->kind = EVENT_TRACK;
    e->name = STR("Consent Changed");
    add_text(e, "channel", STR("email"));
    add_text(e, "purpose", STR("marketing"));
    add_text(e, "status", trait_of(s, person, 7) % 100 < 85 ? STR("granted") : STR("denied"));
}

static void fill_cart(struct synth *s, uint32_t person, struct synth_event *e)
{
    struct shopper *p = &s->people[person];
    if (!p->has_cart) {
        p->has_cart = true;
        p->carts++;
        p->value_cents = 0;
    }
    p->value_cents += price_of(p->sku);
    e->name = STR("Cart Updated");
    add_text(e, "cart_id", print_to(s->texts[0], "c%u-%u", person, p->carts));
    add_text(e, "sku", print_to(s->texts[1], "s%u", p->sku, 0));
    add_text(e, "name", print_to(s->texts[2], "Product %u", p->sku, 0));
    add_money(e, "value", p->value_cents);
    add_text(e, "currency", STR("GBP"));
}

static void order(struct synth *s, uint32_t person, int64_t at_ms, struct synth_event *e)
{
    struct shopper *p = &s->people[person];
    p->orders++;
    p->has_cart = false;
    e->name = STR("Order Completed");
    add_text(e, "order_id", print_to(s->texts[0], "o%u-%u", person, p->orders));
    add_text(e, "cart_id", print_to(s->texts[1], "c%u-%u", person, p->carts));
    add_text(e, "sku", print_to(s->texts[2], "s%u", p->sku, 0));
    add_money(e, "total", p->value_cents);
    add_text(e, "currency", STR("GBP"));
    add_int(e, "orders", p->orders);
    if (chance(s, person, 62))
        plan_deed(s, person, DEED_OPENS_TICKET, at_ms + HOUR_MS + below(s, person, 3 * DAY_MS));
}

/* After a look at a product: another one, into the cart, an order, or away. */
static void go_on(struct synth *s, const struct plan_item *item)
{
    uint32_t person = item->person;
    struct shopper *p = &s->people[person];
    int64_t soon_ms = item->at_ms + 20 * SECOND_MS + below(s, person, 4 * MINUTE_MS);
    if (item->deed == DEED_VIEWS && item->left > 0) {
        struct plan_item next = *item;
        next.at_ms = soon_ms;
        next.left--;
        plan_again(s, next);
        return;
    }
    if (item->deed == DEED_VIEWS && p->is_known && chance(s, person, 150 + p->likes)) {
        plan_deed(s, person, DEED_FILLS_CART, soon_ms);
        return;
    }
    if (item->deed == DEED_VIEWS && !p->is_known && chance(s, person, 350)) {
        plan_deed(s, person, DEED_SIGNS_UP, soon_ms);
        return;
    }
    if (item->deed == DEED_FILLS_CART && chance(s, person, 300)) {
        p->sku = (uint16_t)below(s, person, PRODUCTS);
        plan_deed(s, person, DEED_FILLS_CART, soon_ms);
        return;
    }
    if (item->deed == DEED_FILLS_CART && chance(s, person, 320 + p->likes / 2)) {
        plan_deed(s, person, DEED_ORDERS, soon_ms);
        return;
    }
    if (item->deed == DEED_SIGNS_UP && chance(s, person, 250)) {
        plan_deed(s, person, DEED_FILLS_CART, soon_ms);
        return;
    }
    if (!item->is_extra)
        plan_deed(s, person, DEED_SESSION, next_session(s, person, item->at_ms));
}

static void tell_answer(struct synth_event *e, const struct plan_item *item, const char *name)
{
    e->name = str_of(name);
    e->decision = item->decision;
    add_text(e, "attempt_id", e->attempt_id);
}

/* Fills the event of the deed's part; true if the deed has another part. */
static bool tell(struct synth *s, struct plan_item *item, struct synth_event *e)
{
    struct shopper *p = &s->people[item->person];
    e->kind = EVENT_TRACK;
    switch ((enum deed)item->deed) {
    case DEED_BECOMES_KNOWN:
        p->is_known = true;
        if (item->part == 0)
            tell_traits(s, item->person, e);
        else
            tell_consent(s, item->person, e);
        if (item->part == 1) { /* as if the last session had been some days ago */
            int64_t ago_ms = below(s, item->person, 4 * DAY_MS);
            int64_t next_ms = next_session(s, item->person, item->at_ms - ago_ms);
            plan_deed(s, item->person, DEED_SESSION, max_of(next_ms, item->at_ms + MINUTE_MS));
        }
        return item->part == 0;
    case DEED_SIGNS_UP:
        p->is_known = true;
        if (item->part == 0)
            tell_traits(s, item->person, e);
        else if (item->part == 1)
            tell_consent(s, item->person, e);
        else
            e->name = STR("Signed Up");
        if (item->part == 2)
            go_on(s, item);
        return item->part < 2;
    case DEED_SESSION:
        p->sku = (uint16_t)below(s, item->person, PRODUCTS);
        e->kind = EVENT_PAGE;
        add_text(e, "name", STR("Home"));
        add_text(e, "path", STR("/"));
        item->deed = DEED_VIEWS;
        item->left = (uint16_t)below(s, item->person, 6);
        go_on(s, item);
        return false;
    case DEED_VIEWS:
        if (!chance(s, item->person, 400))
            p->sku = (uint16_t)below(s, item->person, PRODUCTS);
        e->name = STR("Product Viewed");
        add_text(e, "sku", print_to(s->texts[1], "s%u", p->sku, 0));
        add_text(e, "name", print_to(s->texts[2], "Product %u", p->sku, 0));
        add_money(e, "price", price_of(p->sku));
        go_on(s, item);
        return false;
    case DEED_FILLS_CART:
        fill_cart(s, item->person, e);
        go_on(s, item);
        return false;
    case DEED_ORDERS:
        order(s, item->person, item->at_ms, e);
        go_on(s, item);
        return false;
    case DEED_OPENS_TICKET:
        p->tickets++;
        e->name = STR("Ticket Opened");
        add_text(e, "ticket_id", print_to(s->texts[0], "t%u-%u", item->person, p->tickets));
        plan_deed(s, item->person, DEED_SOLVES_TICKET,
                  item->at_ms + 2 * HOUR_MS + below(s, item->person, 2 * DAY_MS));
        return false;
    case DEED_SOLVES_TICKET:
        e->name = STR("Ticket Solved");
        add_text(e, "ticket_id", print_to(s->texts[0], "t%u-%u", item->person, p->tickets));
        return false;
    case DEED_OPENS: tell_answer(e, item, "Message Opened"); return false;
    case DEED_CLICKS:
        tell_answer(e, item, "Message Clicked");
        s->is_extra = true;
        plan_deed(s, item->person,
                  p->has_cart && chance(s, item->person, 350) ? DEED_ORDERS : DEED_SESSION,
                  item->at_ms + MINUTE_MS + below(s, item->person, 5 * MINUTE_MS));
        return false;
    case DEED_UNSUBSCRIBES:
        p->is_gone = true;
        tell_answer(e, item, "Unsubscribed");
        add_text(e, "channel", STR("email"));
        return false;
    }
    must(!"a deed that is none");
}

void synth_next(struct synth *s, struct synth_event *out)
{
    struct plan_item item = take_first(s);
    _Static_assert(sizeof(s->attempt_id) == sizeof(item.attempt_id), "both hold the same text");
    memcpy(s->attempt_id, item.attempt_id, sizeof(s->attempt_id));
    *out = (struct synth_event){
        .at_ms = item.at_ms,
        .person = item.person,
        .is_anonymous = !s->people[item.person].is_known && item.deed != DEED_BECOMES_KNOWN &&
                        item.deed != DEED_SIGNS_UP,
        .user_id = print_to(s->user_id, "c%u", item.person, 0),
        .anonymous_id = print_to(s->anonymous_id, "a%u", item.person, 0),
        .message_id = print_to(s->message_id, "synth-%u-%u", item.person,
                               s->people[item.person].draws * 4 + item.part),
        .attempt_id = str_of(s->attempt_id),
    };
    s->people[item.person].draws++; /* message ids differ even where nothing was drawn */
    struct plan_item rest = item;
    s->is_extra = item.is_extra;
    bool has_more = tell(s, &item, out);
    s->is_extra = false;
    if (has_more) {
        rest.part++;
        rest.at_ms += 5;
        plan_again(s, rest);
    }
}

enum receipt_kind synth_answer(const struct synth *s, uint32_t person)
{
    return trait_of(s, person, 8) % 100 == 0 ? RECEIPT_REJECTED_ADDRESS : RECEIPT_ACCEPTED;
}

void synth_sent(struct synth *s, uint32_t person, struct str name, uint64_t decision,
                struct str attempt_id, int64_t at_ms)
{
    /* What is about something that they just did is read more. */
    bool is_close = str_find(name, STR("cart"), 0) != SIZE_MAX ||
                    str_find(name, STR("order"), 0) != SIZE_MAX ||
                    str_find(name, STR("welcome"), 0) != SIZE_MAX;
    struct plan_item item = {.person = person, .decision = decision};
    if (person >= s->options.people ||
        !str_to_z(attempt_id, item.attempt_id, sizeof(item.attempt_id)))
        return;
    if (!chance(s, person, is_close ? 430 : 240)) {
        return;
    }
    item.at_ms = at_ms + MINUTE_MS + below(s, person, is_close ? 5 * HOUR_MS : 20 * HOUR_MS);
    item.deed = DEED_OPENS;
    item.number = s->planned++;
    plan_again(s, item);
    if (chance(s, person, is_close ? 220 : 110)) {
        item.at_ms += 10 * SECOND_MS + below(s, person, 2 * MINUTE_MS);
        item.deed = DEED_CLICKS;
        item.number = s->planned++;
        plan_again(s, item);
    } else if (chance(s, person, 6)) {
        item.at_ms += 20 * SECOND_MS;
        item.deed = DEED_UNSUBSCRIBES;
        item.number = s->planned++;
        plan_again(s, item);
    }
}

bool synth_person(struct str user_id, uint32_t *person)
{
    int64_t number;
    if (user_id.len < 2 || user_id.at[0] != 'c' ||
        !str_to_int(str_part(user_id, 1, SIZE_MAX), &number) || number < 0 || number > UINT32_MAX)
        return false;
    *person = (uint32_t)number;
    return true;
}
