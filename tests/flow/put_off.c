/* What later stages say of a message on one channel, "not before": it is kept channel by channel until that moment,
 * over snapshots and merges, and `why` says it as it is. tests/flow/put-off has what scenario files can tell. */

#include "model/control.h"
#include "support/house.h"

#define MESSAGE(name, category, text)                                                           \
    "=== messages/" name "/message.yaml\ncategory: " category "\nemail: {subject: " name "}\n"  \
    "=== messages/" name "/email.txt.liquid\n" text "\n=== messages/" name "/sms.liquid\n" text \
    "\n"
#define JOURNEY(name, send)                                                             \
    "=== journeys/" name ".yaml\njourney: " name "\nenter: {event: " name ", at_once: " \
    "{max: 64}}\nsteps: [{send: " name ", " send "}]\n"
#define PROGRAMME                                                                               \
    "=== programme.yaml\nname: Test\ntimezone: UTC\nquiet_hours: []\n"                          \
    "caps: [{limit: 100, per: day}]\nlimits: {address: 1}\n"                                    \
    "categories:\n  news: {lane: marketing, settle: 0s}\n  receipt: {lane: service}\n"          \
    "  confirm: {lane: opt_in}\n"                                                               \
    "holds:\n  - {name: ticket, from: Opened, until: Solved, key: ticket_id, linger: 0s}\n"     \
    "=== providers/mail.yaml\nkind: smtp\nslots: 9\n"                                           \
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n"         \
    "=== providers/text.yaml\nkind: webhook\nslots: 9\nchannel: sms\n"                          \
    "settings: {url: 'https://sms.example/send', secret: '${ENV:SMS_SECRET}'}\n"                \
    "=== vouchers/single.csv\nONE\n" MESSAGE("hello", "news", "hello")                          \
        MESSAGE("again", "news", "again") MESSAGE("gift", "news", "{{ code }}")                 \
            MESSAGE("gone", "news", "{{ code }}") MESSAGE("paid", "receipt", "paid")            \
                MESSAGE("sure", "confirm", "sure") MESSAGE("pair", "news", "pair")              \
                    JOURNEY("hello", "channels: [email]") JOURNEY("again", "channels: [email]") \
                        JOURNEY("gift", "channels: [sms], voucher: {pool: single, if_empty: "   \
                                        "wait}")                                                \
                            JOURNEY("gone", "channels: [sms], voucher: {pool: single, "         \
                                            "if_empty: skip}")                                  \
                                JOURNEY("paid", "channels: [email]")                            \
                                    JOURNEY("sure", "channels: [email]")                        \
                                        JOURNEY("pair", "channels: {first_of: [email, sms]}")

struct story {
    struct house *house;
    const char *who;
    struct witness witness;
    struct buf told;
};

static void note(void *self, const struct note *line)
{
    struct story *s = self;
    buf_add_str(&s->told, line->text);
    buf_add_byte(&s->told, '\n');
}

static void watch(struct story *s, const char *who)
{
    s->who = who;
    engine_watch(s->house->engine, house_person(s->house, who), &s->witness);
}

static void begin(struct story *s, const char *programme)
{
    *s = (struct story){.house = house_new(), .witness = {.self = s, .note = note}};
    buf_init(&s->told);
    house_activate(s->house, programme);
    house_run(s->house, at("9:00"));
    house_meet(s->house, "ann", "email sms");
    house_apply(s->house, at("9:00"));
    watch(s, "ann");
}

static void end(struct story *s)
{
    house_free(s->house);
    buf_fini(&s->told);
}

static void happen(struct story *s, const char *who, const char *event, const char *fields)
{
    house_event(s->house, who, event, fields);
    house_apply(s->house, s->house->now_ms);
    house_run(s->house, s->house->now_ms);
}

static void order(struct story *s, const struct command_word *word)
{
    struct house *h = s->house;
    struct buf clear;
    buf_init(&clear);
    struct record *r = &h->records[h->record_count++];
    command_write(word, &clear, r);
    struct str kept = arena_copy(&h->bodies, buf_str(&clear));
    r->clear = (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
    buf_fini(&clear);
    house_apply(h, h->now_ms);
    house_run(h, h->now_ms);
}

/* Is the line among those told since the last call, once at least? Then as the answer to "why?" of now. */
static void was_told(struct story *s, const char *line)
{
    if (str_find(buf_str(&s->told), str_of(line), 0) == SIZE_MAX)
        fail_msg("nobody says \"%s\", but:\n%.*s", line, STR_ARG(buf_str(&s->told)));
}

static void is_explained(struct story *s, const char *line)
{
    s->told.len = 0;
    engine_explain(s->house->engine, house_person(s->house, s->who), &s->witness);
    was_told(s, line);
}

static uint32_t asked(const struct story *s, const char *message)
{
    return house_count(s->house, RESULT_RESERVED, message);
}

/* ---- why ----------------------------------------------------------------------------------------- */

static void why_says_that_the_address_has_had_its_share(void **state)
{
    (void)state;
    struct story s;
    const char *line =
        "message again: held back on email by rule 14 (address) until 2026-03-03 09:00:00: the "
        "address has had its marketing messages of 24 hours, whoever they were meant for";
    begin(&s, PROGRAMME);
    happen(&s, "ann", "hello", "");
    s.told.len = 0;
    happen(&s, "ann", "again", "");
    was_told(&s, line);
    was_told(&s, "but for this: every other rule allowed it");
    is_explained(&s, line);
    was_told(
        &s,
        "would go at 2026-03-02 09:00:00 on email but for the limit of marketing messages to one address");
    was_told(&s, "asked again at 2026-03-03 09:00:00");
    end(&s);
}

static void why_says_that_the_address_has_had_its_confirmations(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    happen(&s, "ann", "sure", "");
    house_run(s.house, at("12:00"));
    s.told.len = 0;
    happen(&s, "ann", "sure", "");
    was_told(
        &s,
        "message sure: held back on email by rule 14 (address) until 2026-03-03 09:00:00: the address has "
        "had its confirmations of a day or of 30 days");
    is_explained(&s, "but for the limit of confirmations to one address");
    end(&s);
}

static void why_says_which_pool_of_vouchers_is_empty(void **state)
{
    (void)state;
    struct story s;
    const char *line =
        "message gift: held back on sms by rule 13 (pool) until 2026-03-02 09:15:00: the pool of "
        "vouchers single has no code left";
    begin(&s, PROGRAMME);
    house_meet(s.house, "bob", "sms");
    happen(&s, "bob", "gift", "");
    happen(&s, "ann", "gift", "");
    was_told(&s, line);
    was_told(&s, "but for this: every other rule allowed it");
    is_explained(&s, line);
    was_told(&s, "on sms but for the empty pool of vouchers single");
    s.told.len = 0;
    happen(&s, "ann", "gone", "");
    was_told(
        &s,
        "message gone: refused on sms by rule 13 (pool): the pool of vouchers single has no code left");
    was_told(&s, "message gone: no_voucher, by rule pool");
    end(&s);
}

/* A kill is over, and bob and ann go on at a pace: watched is who comes second, at 14:00. */
static void go_on(struct story *s, struct command_word kill, const char *message)
{
    order(s, &kill);
    house_meet(s->house, "bob", "email sms");
    happen(s, "bob", message, "");
    happen(s, "ann", message, "");
    house_run(s->house, at("12:00"));
    uint64_t ann = house_person(s->house, "ann"), bob = house_person(s->house, "bob");
    bool is_ann = profile_partition(ann) != profile_partition(bob)
                      ? profile_partition(ann) > profile_partition(bob)
                      : profile_local(ann) > profile_local(bob);
    watch(s, is_ann ? "ann" : "bob");
    s->told.len = 0;
    kill.kind = COMMAND_UNKILL;
    kill.pace_count = 1;
    kill.pace_ms = 2 * HOUR_MS;
    order(s, &kill);
    assert_int_equal(house_sent(s->house, s->who, message), 0);
    assert_int_equal(house_sent(s->house, NULL, message), 1);
}

static void why_says_that_it_goes_on_at_a_pace(void **state)
{
    (void)state;
    struct story s;
    const char *line =
        "message hello: held back on email by rule 13 (pool) until 2026-03-02 14:00:00: what operators "
        "held back goes on at a pace, and its turn comes then";
    begin(&s, PROGRAMME);
    go_on(&s, (struct command_word){.kind = COMMAND_KILL, .scope = KILL_ALL}, "hello");
    was_told(&s, line);
    is_explained(&s, line);
    was_told(&s, "on email but for the pace at which operators let it go on");
    house_run(s.house, at("13:59"));
    assert_int_equal(house_sent(s.house, s.who, "hello"), 0);
    house_run(s.house, at("14:00"));
    assert_int_equal(house_sent(s.house, s.who, "hello"), 1);
    end(&s);
}

static enum receipt_kind lose_first(struct house *h, const struct house_attempt *a,
                                    int64_t *delay_ms)
{
    (void)h;
    *delay_ms = 0;
    return a->attempt == 1 ? RECEIPT_IN_DOUBT : RECEIPT_ACCEPTED;
}

static void why_says_that_an_attempt_is_in_doubt(void **state)
{
    (void)state;
    struct story s;
    const char *line =
        "message paid: held back on email by rule 13 (pool) until 2026-03-02 09:00:30: whether the last "
        "attempt arrived is not known: the next one is made after a pause";
    begin(&s, PROGRAMME);
    s.house->answer = lose_first;
    happen(&s, "ann", "paid", "");
    was_told(&s, line);
    is_explained(&s, line);
    was_told(&s, "on email but for the pause after an attempt in doubt");
    house_run(s.house, at("9:01"));
    assert_int_equal(house_sent(s.house, "ann", "paid"), 2);
    end(&s);
}

static enum receipt_kind never(struct house *h, const struct house_attempt *a, int64_t *delay_ms)
{
    (void)h;
    (void)a;
    (void)delay_ms;
    return HOUSE_LATER;
}

static void why_says_that_it_waits_for_its_turn_at_a_provider(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    s.house->answer = never;
    for (int i = 0; i < 10; i++) /* one more than the provider's connections */
        happen(&s, "ann", "paid", "");
    assert_int_equal(house_sent(s.house, "ann", "paid"), 9);
    is_explained(&s, "message paid: allowed on email until ");
    was_told(&s, "waits for its turn (a free connection, the rate) at provider mail");
    end(&s);
}

/* ---- it stands ----------------------------------------------------------------------------------- */

static void it_stands_whatever_else_holds_the_message_back_meanwhile(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    happen(&s, "ann", "hello", "");
    happen(&s, "ann", "again", "");
    assert_int_equal(asked(&s, "again"), 1);
    for (int i = 0; i < 3; i++) {
        house_run(s.house, s.house->now_ms + HOUR_MS);
        happen(&s, "ann", "Opened", "ticket_id=t1");
        is_explained(&s, "by rule 14 (address) until 2026-03-03 09:00:00");
        was_told(&s, "held back on email by rule 6 (hold) until");
        was_told(&s, "no single change would let it go");
        house_hop(s.house);
        watch(&s, "ann");
        house_run(s.house, s.house->now_ms + HOUR_MS);
        happen(&s, "ann", "Solved", "ticket_id=t1");
        is_explained(&s, "on email but for the limit of marketing messages to one address");
    }
    house_run(s.house, at("1 8:59"));
    assert_int_equal(asked(&s, "again"), 1);
    house_run(s.house, at("1 9:00"));
    assert_int_equal(asked(&s, "again"), 2);
    assert_int_equal(house_sent(s.house, "ann", "again"), 1);
    end(&s);
}

static void it_stands_on_each_channel_by_itself(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    happen(&s, "ann", "hello", "");
    happen(&s, "ann", "pair", ""); /* put off on the first channel, which it then waits for */
    assert_int_equal(asked(&s, "pair"), 1);
    house_run(s.house, at("10:00"));
    house_consent(s.house, "ann", "email", false); /* so the other one is asked about */
    house_apply(s.house, at("10:00"));
    house_run(s.house, at("10:00"));
    assert_int_equal(house_sent(s.house, "ann", "pair"), 1);
    happen(&s, "ann", "pair", ""); /* one more: put off on the second */
    assert_int_equal(asked(&s, "pair"), 3);
    house_run(s.house, at("11:00"));
    house_consent(s.house, "ann", "email", true);
    house_apply(s.house, at("11:00")); /* the first has not been asked yet, and is put off, too */
    house_run(s.house, at("11:00"));
    assert_int_equal(asked(&s, "pair"), 4);
    is_explained(&s,
                 "message pair: held back on email by rule 14 (address) until 2026-03-03 09:00:00");
    was_told(&s, "message pair: held back on sms by rule 14 (address) until 2026-03-03 10:00:00");
    house_hop(s.house);
    house_consent(s.house, "ann", "email", false);
    house_apply(s.house, at("12:00"));
    house_run(s.house, at("12:00"));
    house_consent(s.house, "ann", "email", true);
    house_apply(s.house, at("13:00"));
    house_run(s.house, at("1 8:59"));
    assert_int_equal(asked(&s, "pair"), 4); /* each has said it once */
    house_run(s.house, at("1 9:00"));
    assert_int_equal(house_sent(s.house, "ann", "pair"), 2);
    assert_int_equal(s.house->attempts[s.house->attempt_count - 1].channel, CHANNEL_EMAIL);
    end(&s);
}

static void it_stands_after_a_merge(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    house_run(s.house, at("9:30")); /* later than what ann said, so that it holds */
    house_identify(s.house, "~tablet", "email=tablet@example.org");
    house_consent(s.house, "~tablet", "email", true);
    happen(&s, "~tablet", "hello", "");
    happen(&s, "~tablet", "again", "");
    assert_int_equal(asked(&s, "again"), 1);
    house_run(s.house, at("12:00"));
    happen(&s, "ann~tablet", "Logged In", "");
    house_hop(s.house);
    house_run(s.house, at("13:00"));
    happen(&s, "ann", "Opened", "ticket_id=t1");
    happen(&s, "ann", "Solved", "ticket_id=t1");
    is_explained(
        &s, "message again: held back on email by rule 14 (address) until 2026-03-03 09:30:00");
    house_run(s.house, at("1 9:29"));
    assert_int_equal(asked(&s, "again"), 1);
    house_run(s.house, at("1 9:30"));
    assert_int_equal(house_sent(s.house, NULL, "again"), 1);
    end(&s);
}

static void what_is_said_of_an_address_is_nothing_to_another(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    happen(&s, "ann", "hello", "");
    happen(&s, "ann", "again", "");
    house_run(s.house, at("10:00"));
    house_identify(s.house, "ann", "phone=+447700900777"); /* another channel's */
    house_apply(s.house, at("10:00"));
    house_run(s.house, at("11:00"));
    assert_int_equal(asked(&s, "again"), 1);
    house_identify(s.house, "ann", "email=other@example.org");
    house_consent(s.house, "ann", "email", true);
    house_apply(s.house, at("11:00"));
    house_run(s.house, at("11:00"));
    assert_int_equal(asked(&s, "again"), 2);
    assert_int_equal(house_sent(s.house, "ann", "again"), 1);
    end(&s);
}

static void a_pace_is_kept_on_every_channel(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    go_on(&s, (struct command_word){.kind = COMMAND_KILL, .scope = KILL_ALL}, "pair");
    house_consent(s.house, s.who, "email", false);
    house_apply(s.house, at("12:30"));
    house_run(s.house, at("13:59"));
    assert_int_equal(house_sent(s.house, s.who, "pair"), 0);
    house_run(s.house, at("14:00"));
    assert_int_equal(house_sent(s.house, s.who, "pair"), 1);
    assert_int_equal(s.house->attempts[s.house->attempt_count - 1].channel, CHANNEL_SMS);
    end(&s);
}

static void the_pace_of_a_channel_is_no_other_s(void **state)
{
    (void)state;
    struct story s;
    begin(&s, PROGRAMME);
    go_on(&s,
          (struct command_word){
              .kind = COMMAND_KILL, .scope = KILL_CHANNEL, .channel = CHANNEL_EMAIL},
          "pair");
    house_consent(s.house, s.who, "email", false);
    house_apply(s.house, at("12:30"));
    house_run(s.house, at("12:30"));
    assert_int_equal(house_sent(s.house, s.who, "pair"), 1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("why says that the address has had its share",
             why_says_that_the_address_has_had_its_share),
        TEST("why says that the address has had its confirmations",
             why_says_that_the_address_has_had_its_confirmations),
        TEST("why says which pool of vouchers is empty", why_says_which_pool_of_vouchers_is_empty),
        TEST("why says that it goes on at a pace", why_says_that_it_goes_on_at_a_pace),
        TEST("why says that an attempt is in doubt", why_says_that_an_attempt_is_in_doubt),
        TEST("why says that it waits for its turn at a provider",
             why_says_that_it_waits_for_its_turn_at_a_provider),
        TEST("it stands whatever else holds the message back meanwhile",
             it_stands_whatever_else_holds_the_message_back_meanwhile),
        TEST("it stands on each channel by itself", it_stands_on_each_channel_by_itself),
        TEST("it stands after a merge", it_stands_after_a_merge),
        TEST("what is said of an address is nothing to another",
             what_is_said_of_an_address_is_nothing_to_another),
        TEST("a pace is kept on every channel", a_pace_is_kept_on_every_channel),
        TEST("the pace of a channel is no other's", the_pace_of_a_channel_is_no_other_s),
    };
    return cmocka_run_group_tests_name("put off", tests, NULL, NULL);
}
