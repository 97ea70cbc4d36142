/* The engine as a whole, under a programme built by hand: what reaches people, what waits, and that
 * the same batches give the same state, also over a snapshot. */
#include "engine/engine.h"

#include "base/mem.h"
#include "engine/engine_int.h"
#include "test.h"

/* ---- a small programme --------------------------------------------------------------------------
 *
 *   welcome   on "Signed Up": send hello, wait a day, send more
 *   cart      on "Cart Updated" (key cart_id): wait an hour (reset by it), send reminder;
 *             goal "Order Completed"
 *   receipt   on "Order Completed": send receipt (service)
 *
 *   caps 2 a day, gap 2 h; quiet hours 21 to 8; hold ticket from "Ticket Opened" to "Ticket Solved" */

enum { J_WELCOME, J_CART, J_RECEIPT, JOURNEYS };
enum { M_HELLO, M_MORE, M_REMINDER, M_RECEIPT, MESSAGES };

struct small {
    struct plan plan;
    struct names *names;
    struct zoneset *zones;
    struct plan_category categories[2];
    struct plan_message messages[MESSAGES];
    struct plan_journey journeys[JOURNEYS];
    struct plan_step steps[JOURNEYS][4];
    struct plan_listen entries[JOURNEYS];
    struct plan_cap caps[2];
    struct plan_window window;
    struct plan_hold hold;
    struct plan_provider provider;
    struct plan_event events[6];
    uint16_t entry_index[JOURNEYS];
    uint16_t event_index[2048];
    uint32_t field;
    uint32_t cart_id;
};

static uint32_t name(struct small *s, const char *text)
{
    return names_add(s->names, str_of(text));
}

static struct plan_step send_step(uint16_t message, uint16_t next)
{
    struct plan_step step = {.kind = STEP_SEND, .next = next};
    step.send = (struct plan_send){.message = message,
                                   .channel_count = 1,
                                   .channels = {CHANNEL_EMAIL},
                                   .if_not_sent = PLAN_NO_INDEX,
                                   .voucher = PLAN_NO_INDEX};
    return step;
}

static struct plan_step wait_step(int64_t for_ms, uint32_t reset_by, uint16_t next)
{
    struct plan_step step = {.kind = STEP_WAIT, .next = next};
    step.wait = (struct plan_wait){.for_ms = for_ms,
                                   .reset_by = reset_by,
                                   .on_timeout = PLAN_NO_INDEX,
                                   .engaged_message = PLAN_NO_INDEX};
    return step;
}

static void add_event(struct small *s, const char *text, uint32_t journey)
{
    struct plan_event *e = &s->events[s->plan.event_count];
    *e = (struct plan_event){.name = name(s, text)};
    if (journey < JOURNEYS) {
        s->entry_index[journey] = (uint16_t)journey;
        e->entry_count = 1;
        e->entries = &s->entry_index[journey];
        s->entries[journey].event = e->name;
    }
    e->bit = plan_wake_bit(e->name);
    s->event_index[e->name] = (uint16_t)s->plan.event_count++;
}

static struct small *small_new(void)
{
    struct small *s = mem_new(sizeof(*s));
    struct zone_file utc = {STR("UTC"), STR("UTC0")};
    struct fault f = {0};
    s->names = names_new();
    assert_int_equal(zoneset_build(STR("test"), &utc, 1, &s->zones, &f), OK);
    memset(s->event_index, 0xff, sizeof(s->event_index));
    add_event(s, "Signed Up", J_WELCOME);
    add_event(s, "Cart Updated", J_CART);
    add_event(s, "Order Completed", J_RECEIPT);
    add_event(s, "Ticket Opened", JOURNEYS);
    s->events[3].holds_from = 1;
    add_event(s, "Ticket Solved", JOURNEYS);
    s->events[4].holds_until = 1;
    s->cart_id = name(s, "cart_id");
    s->categories[0] = (struct plan_category){
        .name = name(s, "lifecycle"), .lane = LANE_MARKETING, .purpose = NAME_MARKETING};
    s->categories[1] =
        (struct plan_category){.name = name(s, "order-update"), .lane = LANE_SERVICE};
    const char *texts[] = {"hello", "more", "reminder", "receipt"};
    s->field = SLOT(SLOT_TRAIT, NAME_EMAIL);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        s->messages[i] = (struct plan_message){
            .name = name(s, texts[i]),
            .category = i == M_RECEIPT,
            .content_key = name(s, texts[i]),
            .valid_for_ms = 3 * DAY_MS,
            .settle_ms = i == M_RECEIPT ? 0 : MINUTE_MS,
            .priority = i == M_REMINDER ? 500 : 100,
            .channel_mask = 1u << CHANNEL_EMAIL,
            .field_count = 1,
            .fields = &s->field,
        };
        for (uint32_t c = 0; c < CHANNEL_END; c++)
            s->messages[i].providers[c] = c == CHANNEL_EMAIL ? 0 : PLAN_NO_INDEX;
    }
    s->steps[J_WELCOME][0] = send_step(M_HELLO, 1);
    s->steps[J_WELCOME][1] = wait_step(DAY_MS, NAME_NONE, 2);
    s->steps[J_WELCOME][2] = send_step(M_MORE, PLAN_END);
    s->steps[J_CART][0] = wait_step(HOUR_MS, s->events[1].name, 1);
    s->steps[J_CART][1] = send_step(M_REMINDER, PLAN_END);
    s->steps[J_RECEIPT][0] = send_step(M_RECEIPT, PLAN_END);
    const uint32_t counts[] = {3, 2, 1};
    const char *journeys[] = {"welcome", "cart", "receipt-of-order"};
    for (uint32_t i = 0; i < JOURNEYS; i++)
        s->journeys[i] = (struct plan_journey){
            .name = name(s, journeys[i]),
            .group = PLAN_NO_INDEX,
            .entry_count = 1,
            .entries = &s->entries[i],
            .again = i == J_WELCOME ? AGAIN_NEVER : AGAIN_ALWAYS,
            .at_once_max = 1,
            .step_count = counts[i],
            .steps = s->steps[i],
        };
    s->journeys[J_CART].key = s->cart_id;
    s->journeys[J_CART].at_once_per_key = true;
    s->journeys[J_CART].goal =
        (struct plan_goal){.event = s->events[2].name, .within_ms = 7 * DAY_MS};
    s->journeys[J_CART].event_wake = s->events[1].bit | s->events[2].bit;
    s->caps[0] = (struct plan_cap){
        .kind = CAP_DAY, .limit = 2, .journey = PLAN_NO_INDEX, .text = STR("2 per day")};
    s->caps[1] = (struct plan_cap){.kind = CAP_GAP,
                                   .limit = 1,
                                   .window_ms = 2 * HOUR_MS,
                                   .journey = PLAN_NO_INDEX,
                                   .text = STR("min_gap 2h")};
    s->window = (struct plan_window){
        .from_minute = 21 * 60, .until_minute = 8 * 60, .text = STR("21:00 to 08:00")};
    s->hold = (struct plan_hold){.name = name(s, "ticket"),
                                 .from = s->events[3].name,
                                 .until = s->events[4].name,
                                 .linger_ms = HOUR_MS,
                                 .freezes = true};
    s->provider = (struct plan_provider){
        .name = name(s, "mail"), .kind = STR("smtp"), .channel = CHANNEL_EMAIL, .slots = 4};
    s->plan.zones = s->zones;
    s->plan.categories = s->categories;
    s->plan.category_count = 2;
    s->plan.caps = s->caps;
    s->plan.cap_count = 2;
    s->plan.windows = &s->window;
    s->plan.window_count = 1;
    s->plan.holds = &s->hold;
    s->plan.hold_count = 1;
    s->plan.journeys = s->journeys;
    s->plan.journey_count = JOURNEYS;
    s->plan.messages = s->messages;
    s->plan.message_count = MESSAGES;
    s->plan.providers = &s->provider;
    s->plan.provider_count = 1;
    s->plan.events = s->events;
    s->plan.event_index = s->event_index;
    s->plan.event_index_count = 2048;
    s->plan.ledger_ms = 8 * DAY_MS;
    memset(s->plan.hash, 'a', 64);
    return s;
}

static void small_free(struct small *s)
{
    zoneset_free(s->zones);
    names_free(s->names);
    mem_free(s);
}

/* ---- a world around the engine ------------------------------------------------------------------ */

#define WORLD_START_MS INT64_C(1772409600000) /* 2026-03-02T00:00Z, a Monday */

struct sent_note {
    uint64_t profile, decision;
    uint32_t message, attempt;
    int64_t at_ms;
};

struct world {
    struct small *small;
    struct engine *engine;
    uint64_t number;
    int64_t now_ms;
    struct buf log; /* results of all batches, for comparison */
    struct sent_note sent[8192];
    uint32_t sent_count;
    struct buf bytes[64]; /* bodies of the batch at hand */
    uint32_t bytes_used;
    struct record records[64];
    uint32_t record_count;
    enum receipt_kind answer; /* what the provider says */
    struct receipt waiting[256];
    uint32_t waiting_count;
    struct engine_split split;
    bool is_hasty; /* time goes on though somebody's inbox waits */
};

static struct engine *engine_apart(struct engine_split split)
{
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    for (uint32_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)(i * 7 + 1);
    struct engine_options options = {
        .secret = secret, .messages_remembered = 100000, .split = split};
    return engine_new(&options);
}

static struct buf *world_bytes(struct world *w)
{
    assert_true(w->bytes_used < 64);
    struct buf *b = &w->bytes[w->bytes_used++];
    b->len = 0;
    return b;
}

static void world_apply(struct world *w, int64_t now_ms)
{
    struct engine_output out;
    w->now_ms = now_ms;
    for (uint32_t i = 0; i < w->record_count; i++) {
        struct record *r = &w->records[i];
        r->at_ms = now_ms;
        if (r->arrival_ms == 0)
            r->arrival_ms = now_ms;
        if (r->event_ms == 0)
            r->event_ms = now_ms;
    }
    struct batch batch = {++w->number, now_ms, w->record_count, w->records};
    engine_apply(w->engine, &batch, &out);
    w->record_count = w->bytes_used = 0;
    results_write(out.results, out.result_count, now_ms, &w->log);
    for (uint32_t i = 0; i < out.action_count; i++) {
        const struct action *a = &out.actions[i];
        assert_true(w->sent_count < 8192);
        w->sent[w->sent_count++] =
            (struct sent_note){a->profile, a->decision, a->message_name, a->attempt, now_ms};
        assert_int_equal(a->fields[0].type, VALUE_TEXT);
        assert_true(str_equal(a->fields[0].text, a->address));
        assert_true(w->waiting_count < 256);
        w->waiting[w->waiting_count++] = (struct receipt){
            .kind = w->answer,
            .profile = a->profile,
            .decision = a->decision,
            .attempt = a->attempt,
            .provider = w->small->provider.name,
        };
    }
}

/* Answers of the provider, empty batches for inboxes, ticks, until nothing is due before until_ms. */
static void world_run(struct world *w, int64_t until_ms)
{
    for (int guard = 0; guard < 100000; guard++) {
        bool waits = w->is_hasty && engine_has_inbox(w->engine);
        if (waits && w->number % 3 == 0)
            return;
        if (waits) {
            world_apply(w, w->now_ms);
        } else if (w->waiting_count > 0) {
            struct receipt r = w->waiting[--w->waiting_count];
            receipt_write(&r, w->now_ms, world_bytes(w), world_bytes(w),
                          &w->records[w->record_count++]);
            world_apply(w, w->now_ms);
        } else if (engine_has_inbox(w->engine)) {
            world_apply(w, w->now_ms);
        } else if (engine_next(w->engine) <= until_ms) {
            assert_true(engine_next(w->engine) > w->now_ms);
            world_apply(w, engine_next(w->engine));
        } else {
            if (until_ms > w->now_ms)
                world_apply(w, until_ms);
            return;
        }
    }
    fail_msg("the world never rests");
}

static struct world *world_new_apart(struct engine_split split)
{
    struct world *w = mem_new(sizeof(*w));
    w->small = small_new();
    w->split = split;
    w->engine = engine_apart(split);
    w->answer = RECEIPT_ACCEPTED;
    engine_prepare(w->engine, &w->small->plan);
    struct batch names = {++w->number, WORLD_START_MS, 0, NULL};
    struct record *records = mem_new(256 * sizeof(*records));
    struct buf *bufs = mem_new(256 * sizeof(*bufs));
    uint32_t count = 0;
    for (uint32_t i = NAME_FIXED_END; i < names_count(w->small->names); i++, count++) {
        body_put_text(&bufs[count], NAME_TEXT, names_text(w->small->names, i));
        records[count] =
            (struct record){.type = RECORD_NAME, .name = i, .clear = body_of(&bufs[count])};
    }
    body_put_text(&bufs[count], NAME_PROGRAMME, str_of(w->small->plan.hash));
    records[count] = (struct record){
        .type = RECORD_PROGRAMME, .kind = PROGRAMME_ACTIVATE, .clear = body_of(&bufs[count])};
    count++;
    for (uint32_t i = 0; i < count; i++)
        records[i].at_ms = WORLD_START_MS;
    names.count = count;
    names.records = records;
    struct engine_output out;
    engine_apply(w->engine, &names, &out);
    results_write(out.results, out.result_count, WORLD_START_MS, &w->log);
    for (uint32_t i = 0; i < count; i++)
        buf_fini(&bufs[i]);
    mem_free(bufs);
    mem_free(records);
    w->now_ms = WORLD_START_MS;
    return w;
}

static struct world *world_new(void)
{
    return world_new_apart((struct engine_split){0});
}

static void world_free(struct world *w)
{
    engine_free(w->engine);
    small_free(w->small);
    buf_fini(&w->log);
    for (uint32_t i = 0; i < 64; i++)
        buf_fini(&w->bytes[i]);
    mem_free(w);
}

static struct id128 id_of(const char *text)
{
    return (struct id128){hash_str(str_of(text), 5), hash_str(str_of(text), 6) | 1};
}

static struct record *world_event(struct world *w, const char *user, const char *event)
{
    struct record *r = &w->records[w->record_count++];
    struct buf *clear = world_bytes(w), *personal = world_bytes(w);
    body_put_text(personal, NAME_USER_ID, str_of(user));
    *r = (struct record){
        .type = RECORD_EVENT,
        .kind = EVENT_TRACK,
        .flags = RECORD_IS_SERVER,
        .name = names_find(w->small->names, str_of(event)),
        .message_hash = hash_pair(w->number, w->record_count) | 1,
        .user = id_of(user),
        .clear = body_of(clear),
        .personal = body_of(personal),
    };
    return r;
}

static void world_cart(struct world *w, const char *user, int64_t cart)
{
    struct record *r = world_event(w, user, "Cart Updated");
    struct buf *clear = &w->bytes[w->bytes_used - 2];
    body_put_int(clear, w->small->cart_id, cart);
    r->clear = body_of(clear);
}

/* Makes the person known: e-mail and consent. */
static void world_meet(struct world *w, const char *user)
{
    struct record *r = &w->records[w->record_count++];
    struct buf *personal = world_bytes(w);
    char email[100];
    snprintf(email, sizeof(email), "%s@example.org", user);
    body_put_text(personal, NAME_EMAIL, str_of(email));
    *r = (struct record){.type = RECORD_EVENT,
                         .kind = EVENT_IDENTIFY,
                         .user = id_of(user),
                         .message_hash = hash_pair(w->number, 100 + w->record_count) | 1,
                         .personal = body_of(personal)};
    r = world_event(w, user, "Consent Changed");
    struct buf *clear = &w->bytes[w->bytes_used - 2];
    body_put_text(clear, NAME_STATUS, STR("granted"));
    r->clear = body_of(clear);
    world_apply(w, w->now_ms);
}

static uint32_t world_count(const struct world *w, const char *message)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->sent_count; i++)
        n += w->sent[i].message == names_find(w->small->names, str_of(message));
    return n;
}

static int64_t world_when(const struct world *w, const char *message)
{
    for (uint32_t i = 0; i < w->sent_count; i++)
        if (w->sent[i].message == names_find(w->small->names, str_of(message)))
            return w->sent[i].at_ms - WORLD_START_MS;
    return -1;
}

static void note_fault(void *self, struct str line)
{
    (void)self;
    printf("audit: %.*s\n", STR_ARG(line));
}

static void world_check(struct world *w)
{
    assert_int_equal(engine_audit(w->engine, NULL, note_fault), 0);
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void sends_and_waits(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_run(w, WORLD_START_MS + 12 * HOUR_MS);
    world_event(w, "ann", "Signed Up");
    world_apply(w, WORLD_START_MS + 12 * HOUR_MS);
    world_run(w, WORLD_START_MS + 3 * DAY_MS);
    assert_int_equal(world_when(w, "hello"), 12 * HOUR_MS + MINUTE_MS);
    assert_int_equal(world_when(w, "more"), 12 * HOUR_MS + MINUTE_MS + DAY_MS + MINUTE_MS);
    world_check(w);
    world_free(w);
}

static void without_consent(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_event(w, "bob", "Signed Up");
    world_event(w, "bob", "Order Completed");
    world_apply(w, WORLD_START_MS + 12 * HOUR_MS);
    world_run(w, WORLD_START_MS + 3 * DAY_MS);
    assert_int_equal(w->sent_count, 0);
    world_free(w);
}

static void quiet_hours_defer(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_event(w, "ann", "Signed Up");
    world_event(w, "ann", "Order Completed");
    world_apply(w, WORLD_START_MS + 22 * HOUR_MS);
    world_run(w, WORLD_START_MS + 3 * DAY_MS);
    assert_int_equal(world_when(w, "receipt"), 22 * HOUR_MS); /* service: not held up */
    assert_int_equal(world_when(w, "hello"), 32 * HOUR_MS);   /* 8:00 of the next day */
    world_check(w);
    world_free(w);
}

static void the_higher_goes_first(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_run(w, WORLD_START_MS + 9 * HOUR_MS);
    world_cart(w, "ann", 1);
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS);
    world_run(w, WORLD_START_MS + 10 * HOUR_MS - 30 * SECOND_MS);
    world_event(w, "ann", "Signed Up"); /* half a minute before the reminder is proposed */
    world_apply(w, WORLD_START_MS + 10 * HOUR_MS - 30 * SECOND_MS);
    world_run(w, WORLD_START_MS + 2 * DAY_MS);
    assert_int_equal(world_when(w, "reminder"), 10 * HOUR_MS + 30 * SECOND_MS);
    assert_int_equal(world_when(w, "hello"), 12 * HOUR_MS + 30 * SECOND_MS); /* gap of 2 h */
    world_check(w);
    world_free(w);
}

static void goal_ends_the_wait(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_run(w, WORLD_START_MS + 9 * HOUR_MS);
    world_cart(w, "ann", 1);
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS);
    world_run(w, WORLD_START_MS + 9 * HOUR_MS + 30 * MINUTE_MS);
    world_event(w, "ann", "Order Completed");
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS + 30 * MINUTE_MS);
    world_run(w, WORLD_START_MS + 2 * DAY_MS);
    assert_int_equal(world_count(w, "reminder"), 0);
    assert_int_equal(world_count(w, "receipt"), 1);
    world_check(w);
    world_free(w);
}

static void a_hold_freezes_and_defers(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_run(w, WORLD_START_MS + 9 * HOUR_MS);
    world_cart(w, "ann", 1);
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS);
    world_event(w, "ann", "Ticket Opened");
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS + 15 * MINUTE_MS);
    world_run(w, WORLD_START_MS + 12 * HOUR_MS + 15 * MINUTE_MS);
    assert_int_equal(world_count(w, "reminder"), 0);
    world_event(w, "ann", "Ticket Solved"); /* held for 3 h, and 1 h of linger: frozen 4 h */
    world_apply(w, WORLD_START_MS + 12 * HOUR_MS + 15 * MINUTE_MS);
    world_run(w, WORLD_START_MS + 2 * DAY_MS);
    assert_int_equal(world_when(w, "reminder"), 14 * HOUR_MS + MINUTE_MS);
    world_check(w);
    world_free(w);
}

static void carts_are_told_apart(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_run(w, WORLD_START_MS + 9 * HOUR_MS);
    world_cart(w, "ann", 1);
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS);
    world_cart(w, "ann", 2);
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS + 30 * MINUTE_MS);
    world_cart(w, "ann", 1); /* resets the first only */
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS + 45 * MINUTE_MS);
    world_run(w, WORLD_START_MS + 2 * DAY_MS);
    assert_int_equal(world_count(w, "reminder"), 2);
    assert_int_equal(world_when(w, "reminder"), 10 * HOUR_MS + 31 * MINUTE_MS);
    world_check(w);
    world_free(w);
}

static void in_doubt_is_never_sent_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    w->answer = RECEIPT_IN_DOUBT;
    world_event(w, "ann", "Signed Up");
    world_apply(w, WORLD_START_MS + 12 * HOUR_MS);
    world_run(w, WORLD_START_MS + 13 * HOUR_MS);
    assert_int_equal(world_count(w, "hello"), 1);
    w->answer = RECEIPT_ACCEPTED;
    world_run(w, WORLD_START_MS + 5 * DAY_MS);
    assert_int_equal(world_count(w, "hello"), 1);
    assert_int_equal(world_count(w, "more"), 1); /* the journey went on: counts as sent */
    world_check(w);
    world_free(w);
}

static void service_in_doubt_is_sent_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    w->answer = RECEIPT_IN_DOUBT;
    world_event(w, "ann", "Order Completed");
    world_apply(w, WORLD_START_MS + 12 * HOUR_MS);
    w->answer = RECEIPT_ACCEPTED;
    world_run(w, WORLD_START_MS + 13 * HOUR_MS);
    assert_int_equal(w->sent[1].at_ms - w->sent[0].at_ms, 30 * SECOND_MS);
    assert_int_equal(world_count(w, "receipt"), 2);
    assert_int_equal(w->sent[0].decision, w->sent[1].decision);
    assert_int_equal(w->sent[1].attempt, 2);
    world_check(w);
    world_free(w);
}

static void a_bad_address_is_suppressed(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    w->answer = RECEIPT_REJECTED_ADDRESS;
    world_event(w, "ann", "Signed Up");
    world_apply(w, WORLD_START_MS + 12 * HOUR_MS);
    world_run(w, WORLD_START_MS + 13 * HOUR_MS);
    w->answer = RECEIPT_ACCEPTED;
    world_event(w, "ann", "Order Completed");
    world_apply(w, WORLD_START_MS + 14 * HOUR_MS);
    world_run(w, WORLD_START_MS + 5 * DAY_MS);
    assert_int_equal(w->sent_count, 1); /* a bad address stops every lane */
    world_check(w);
    world_free(w);
}

static void duplicates_are_applied_once(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    for (int i = 0; i < 3; i++) {
        int64_t at_ms = WORLD_START_MS + 12 * HOUR_MS + i;
        assert_int_equal(engine_has_seen(w->engine, 42, at_ms), i > 0);
        assert_false(engine_has_seen(w->engine, 0, at_ms));
        world_event(w, "ann", "Order Completed")->message_hash = 42;
        world_apply(w, at_ms);
    }
    assert_true(engine_has_seen(w->engine, 42, WORLD_START_MS + 36 * HOUR_MS));
    assert_false(engine_has_seen(w->engine, 42, WORLD_START_MS + 37 * HOUR_MS));
    world_run(w, WORLD_START_MS + 13 * HOUR_MS);
    assert_int_equal(world_count(w, "receipt"), 1);
    assert_int_equal(engine_counts(w->engine)->duplicates, 2);
    world_free(w);
}

static void unsubscribing_acts_on_what_waits(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_event(w, "ann", "Signed Up");
    world_apply(w, WORLD_START_MS + 22 * HOUR_MS); /* deferred to the morning */
    world_run(w, WORLD_START_MS + 23 * HOUR_MS);
    world_event(w, "ann", "Unsubscribed");
    world_apply(w, WORLD_START_MS + 23 * HOUR_MS);
    world_run(w, WORLD_START_MS + 5 * DAY_MS);
    assert_int_equal(w->sent_count, 0);
    world_check(w);
    world_free(w);
}

static void anonymous_becomes_known(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_run(w, WORLD_START_MS + 9 * HOUR_MS);
    /* An anonymous visitor fills a cart, then signs in as ann, who is already known. */
    world_cart(w, "visitor", 7);
    w->records[0].user = (struct id128){0};
    w->records[0].anonymous = id_of("visitor");
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS);
    assert_int_equal(engine_profile_count(w->engine), 2);
    struct record *r = world_event(w, "ann", "Ticket Solved");
    r->anonymous = id_of("visitor");
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS + 5 * MINUTE_MS);
    assert_int_equal(engine_profile_count(w->engine), 1);
    world_run(w, WORLD_START_MS + 2 * DAY_MS);
    assert_int_equal(world_count(w, "reminder"), 1); /* the cart came along */
    assert_int_equal(engine_find(w->engine, id_of("visitor")),
                     engine_find(w->engine, id_of("ann")));
    world_check(w);
    world_free(w);
}

static void two_users_never_merge(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_meet(w, "ann");
    world_meet(w, "bob");
    world_event(w, "ann", "Signed Up")->anonymous = id_of("tablet");
    world_apply(w, WORLD_START_MS + 9 * HOUR_MS);
    world_event(w, "bob", "Signed Up")->anonymous = id_of("tablet");
    world_apply(w, WORLD_START_MS + 10 * HOUR_MS);
    assert_int_equal(engine_profile_count(w->engine), 2);
    assert_int_not_equal(engine_find(w->engine, id_of("ann")),
                         engine_find(w->engine, id_of("bob")));
    /* The shared device means bob from here on. */
    assert_int_equal(engine_find(w->engine, id_of("tablet")), engine_find(w->engine, id_of("bob")));
    world_free(w);
}

/* ---- snapshots and replay ----------------------------------------------------------------------- */

static void load_section(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct fault f = {0};
    enum status status = engine_load(self, section, partition, bytes, &f);
    if (status != OK)
        fail_msg("%s", f.text);
}

static bool world_erase(struct world *w, const char *user)
{
    uint64_t profile = engine_find(w->engine, id_of(user));
    if (profile == 0)
        return false;
    struct buf *clear = world_bytes(w);
    body_put_int(clear, NAME_PROFILE, (int64_t)profile);
    w->records[w->record_count++] = (struct record){.type = RECORD_ERASE,
                                                    .kind = ERASE_PERSON,
                                                    .schema = RECORD_SCHEMA,
                                                    .clear = body_of(clear)};
    return true;
}

static void save_bytes(void *self, struct str section, uint32_t partition, struct str bytes)
{
    (void)section;
    (void)partition;
    buf_add_str(self, bytes);
}

static bool is_in_state(const struct world *w, const char *text)
{
    struct buf b;
    buf_init(&b);
    engine_save(w->engine, &b, save_bytes);
    bool is_there = memmem(b.at, b.len, text, strlen(text)) != NULL;
    buf_fini(&b);
    return is_there;
}

/* What is pending goes, what is known goes, what meant them goes; who comes back is somebody new. */
static void who_is_erased_leaves_nothing(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct engine_ids ids = {0};
    world_meet(w, "ann");
    world_meet(w, "bob");
    world_event(w, "ann", "Signed Up");
    world_event(w, "bob", "Signed Up");
    world_apply(w, w->now_ms + 1000);
    uint64_t ann = engine_find(w->engine, id_of("ann")), bob = engine_find(w->engine, id_of("bob"));
    uint64_t people = engine_profile_count(w->engine);
    engine_ids_of(w->engine, ann, &ids);
    assert_true(ids.count >= 1);
    assert_true(is_in_state(w, "ann"));
    assert_true(world_erase(w, "ann"));
    world_event(w, "ann", "Signed Up"); /* in the same batch, behind it: dropped with the rest */
    world_apply(w, w->now_ms + 1000);
    world_check(w);
    assert_false(is_in_state(w, "ann"));
    assert_true(is_in_state(w, "bob"));
    assert_true(engine_is_erased(w->engine, ann));
    assert_false(engine_is_erased(w->engine, bob));
    assert_true(engine_profile_count(w->engine) == people - 1);
    assert_true(engine_find(w->engine, id_of("ann")) == 0);
    uint32_t before = ids.count;
    engine_ids_of(w->engine, ann, &ids); /* they are remembered for whoever destroys their keys */
    assert_int_equal(ids.count, before);
    uint32_t sent = w->sent_count;
    world_run(w, w->now_ms + 3 * DAY_MS);
    world_check(w);
    assert_true(w->sent_count > sent); /* bob's */
    for (uint32_t i = sent; i < w->sent_count; i++)
        assert_true(w->sent[i].profile != ann);
    world_meet(w, "ann");
    world_apply(w, w->now_ms + 1000);
    assert_true(engine_find(w->engine, id_of("ann")) != 0);
    assert_true(engine_find(w->engine, id_of("ann")) != ann);
    world_check(w);
    mem_free(ids.at);
    world_free(w);
}

struct count {
    size_t bytes, most, all;
};

static void count_bytes(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct count *c = self;
    (void)partition;
    c->bytes += bytes.len;
    c->all += bytes.len;
    if (!str_is(section, "meta")) /* as it stood at the mark */
        c->most = max_of(c->most, c->bytes);
}

/* The most bytes in one step of as much work, of a state with that many entries in one table each. */
static size_t largest_step(uint32_t entries, uint64_t work)
{
    struct world *w = world_new();
    struct count c = {0};
    world_meet(w, "ann");
    world_apply(w, w->now_ms + 1000);
    uint64_t ann = engine_find(w->engine, id_of("ann"));
    for (uint32_t i = 0; i < entries; i++) {
        struct id128 key = {hash_pair(i, 1) << 8 | 7, hash_pair(i, 2)};
        index_add(&w->engine->identity.ids[7], key)->first = ann;
        assert_false(seen_note(&w->engine->identity.messages[9], hash_pair(i, 3), w->now_ms));
        addresses_hold(&w->engine->addresses, key, ann);
        gate_put(&w->engine->gate, key, &(struct address){0});
    }
    engine_save_begin(w->engine);
    enum save_state state = engine_save_step(w->engine, work, &c, count_bytes);
    for (uint32_t steps = 0; state == SAVE_GOES_ON; steps++) {
        /* Those that change meanwhile come at the table's end, also in pieces. */
        for (uint32_t i = 0; i < 8; i++) {
            uint64_t k = steps * 8 + i;
            struct id128 key = {hash_pair(k, 1) << 8 | 7, hash_pair(k, 2)};
            if (k < entries)
                keep_before(w->engine->identity.keeper, 7, key);
        }
        c.bytes = 0;
        state = engine_save_step(w->engine, work, &c, count_bytes);
    }
    assert_int_equal(state, SAVE_IS_WHOLE);
    assert_true(engine_save_hash(w->engine) == engine_hash(w->engine));
    assert_true(engine_hash_share(w->engine, 0, 8) + engine_hash_share(w->engine, 8, PARTITIONS) ==
                engine_hash(w->engine));
    engine_save_end(w->engine);
    assert_true(c.all > (size_t)entries * (25 + 8 + 17));
    world_free(w);
    return c.most;
}

static void a_step_does_not_grow_with_the_state(void **state)
{
    (void)state;
    size_t few = largest_step(500, 2000), many = largest_step(30000, 2000);
    assert_true(many <= 6000);
    assert_true(many <= max_of(few * 2, (size_t)4500));
    assert_true(largest_step(30000, 20000) > many);
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 11;
}

static void random_life(struct world *w, uint64_t seed, uint32_t steps, bool with_snapshots)
{
    static const char *const events[] = {"Signed Up",     "Cart Updated",    "Cart Updated",
                                         "Cart Updated",  "Order Completed", "Ticket Opened",
                                         "Ticket Solved", "Unsubscribed"};
    static const enum receipt_kind answers[] = {
        RECEIPT_ACCEPTED, RECEIPT_ACCEPTED,         RECEIPT_ACCEPTED,        RECEIPT_IN_DOUBT,
        RECEIPT_GAVE_UP,  RECEIPT_REJECTED_MESSAGE, RECEIPT_REJECTED_ADDRESS};
    for (uint32_t i = 0; i < 12; i++) {
        char user[16];
        snprintf(user, sizeof(user), "u%u", i);
        world_meet(w, user);
    }
    w->is_hasty = w->split.delay_permille > 0;
    for (uint32_t step = 0; step < steps; step++) {
        int64_t at_ms = w->now_ms + (int64_t)(next(&seed) % (90 * MINUTE_MS));
        w->answer = answers[next(&seed) % array_count(answers)];
        world_run(w, at_ms);
        for (uint64_t k = next(&seed) % 4; k-- > 0;) {
            char user[16];
            const char *event = events[next(&seed) % array_count(events)];
            if (str_is(str_of(event), "Unsubscribed") && next(&seed) % 8)
                event = "Signed Up";
            snprintf(user, sizeof(user), "u%lu", next(&seed) % 14);
            if (str_is(str_of(event), "Cart Updated"))
                world_cart(w, user, (int64_t)(next(&seed) % 3));
            else
                world_event(w, user, event);
            if (next(&seed) % 10 == 0) { /* a device that several people use */
                snprintf(user, sizeof(user), "d%lu", next(&seed) % 6);
                w->records[w->record_count - 1].anonymous = id_of(user);
                if (next(&seed) % 2)
                    w->records[w->record_count - 1].user = (struct id128){0};
            }
        }
        if (next(&seed) % 25 == 0) {
            char user[16];
            snprintf(user, sizeof(user), "u%lu", next(&seed) % 14);
            (void)world_erase(w, user);
        }
        world_apply(w, at_ms);
        if (with_snapshots && step % 37 == 5) {
            struct engine *copy = engine_apart(w->split);
            engine_prepare(copy, &w->small->plan);
            engine_save(w->engine, copy, load_section);
            assert_int_equal(engine_hash(copy), engine_hash(w->engine));
            assert_int_equal(engine_next(copy), engine_next(w->engine));
            engine_free(w->engine);
            w->engine = copy;
        }
        if (step % 50 == 0)
            world_check(w);
    }
    w->answer = RECEIPT_ACCEPTED;
    w->is_hasty = false;
    world_run(w, w->now_ms + 20 * DAY_MS);
    world_check(w);
}

/* After 20 quiet days nothing is pending, for anybody. */
static void check_rest(struct world *w)
{
    for (uint64_t p = engine_each(w->engine, 0); p != 0; p = engine_each(w->engine, p)) {
        struct person who;
        engine_look(w->engine, p, &who);
        assert_int_equal(who.profile->intents.count, 0);
    }
}

static void the_same_batches_give_the_same_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *a = world_new();
        struct world *b = world_new();
        random_life(a, seed, 400, false);
        random_life(b, seed, 400, true);
        assert_int_equal(engine_hash(a->engine), engine_hash(b->engine));
        assert_int_equal(a->sent_count, b->sent_count);
        assert_true(a->sent_count > 20);
        assert_true(str_equal(buf_str(&a->log), buf_str(&b->log)));
        check_rest(a);
        world_free(a);
        world_free(b);
    }
}

static void partitions_work_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *a = world_new();
        struct world *b = world_new_apart((struct engine_split){.order = seed * 77});
        random_life(a, seed, 400, false);
        random_life(b, seed, 400, false);
        assert_int_equal(engine_hash(a->engine), engine_hash(b->engine));
        assert_true(str_equal(buf_str(&a->log), buf_str(&b->log)));
        world_free(a);
        world_free(b);
    }
}

static void answers_may_wait(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct engine_split split = {
            .order = seed, .delay = seed * 77, .delay_permille = 300 + 100 * (uint32_t)seed};
        struct world *a = world_new_apart(split);
        split.order = 0; /* nothing comes of that */
        struct world *b = world_new_apart(split);
        random_life(a, seed, 400, false);
        random_life(b, seed, 400, true);
        assert_true(engine_counts(a->engine)->waits > 20);
        assert_int_equal(engine_hash(a->engine), engine_hash(b->engine));
        assert_true(str_equal(buf_str(&a->log), buf_str(&b->log)));
        assert_true(a->sent_count > 20);
        check_rest(a);
        world_free(a);
        world_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a journey sends, waits a day and sends again", sends_and_waits),
        TEST("nobody who did not agree gets marketing", without_consent),
        TEST("quiet hours defer marketing to the morning, not service", quiet_hours_defer),
        TEST("the higher message goes first and the lower waits for the gap",
             the_higher_goes_first),
        TEST("the goal acts during the wait", goal_ends_the_wait),
        TEST("a hold freezes the wait by as long as it lasts", a_hold_freezes_and_defers),
        TEST("two carts of one person are told apart", carts_are_told_apart),
        TEST("marketing in doubt is never sent again", in_doubt_is_never_sent_again),
        TEST("a service message in doubt is sent again in the same slot",
             service_in_doubt_is_sent_again),
        TEST("a bad address is written to once", a_bad_address_is_suppressed),
        TEST("the same message id is applied once", duplicates_are_applied_once),
        TEST("unsubscribing acts on what waits", unsubscribing_acts_on_what_waits),
        TEST("an anonymous visitor's cart comes along when they sign in", anonymous_becomes_known),
        TEST("two users of one device never merge", two_users_never_merge),
        TEST("who is erased leaves nothing, and who comes back is somebody new",
             who_is_erased_leaves_nothing),
        TEST("a step of a snapshot does not grow with the state",
             a_step_does_not_grow_with_the_state),
        TEST("the same batches give the same state, also over snapshots",
             the_same_batches_give_the_same_state),
        TEST("partitions that work in any order give the same rows and the same state",
             partitions_work_in_any_order),
        TEST("what pool and gate answer may wait, and nothing is pending for ever",
             answers_may_wait),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
