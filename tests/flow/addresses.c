/* Events that carry an address and no id, where a scenario file is not enough: batches, merges, crowds,
 * public keys, copies of the state. House asks the engine's audit after each batch, which recounts who
 * holds which address. */
#include "support/house.h"

#define PROGRAMME                                                                     \
    "=== programme.yaml\n"                                                            \
    "name: House\n"                                                                   \
    "categories:\n"                                                                   \
    "  order-update: {lane: service}\n"                                               \
    "  lifecycle: {lane: marketing, valid_for: 2d, settle: 0s}\n"                     \
    "caps: []\n"                                                                      \
    "quiet_hours: []\n"                                                               \
    "=== providers/mail.yaml\n"                                                       \
    "kind: smtp\n"                                                                    \
    "slots: 64\n"                                                                     \
    "settings: {url: 'smtp://127.0.0.1:2525', from: a@example.org, security: none}\n" \
    "=== journeys/order.yaml\n"                                                       \
    "journey: order\n"                                                                \
    "enter: {event: Order Completed, again: always, at_once: {max: 64}}\n"            \
    "steps: [{send: receipt, channels: [email]}]\n"                                   \
    "=== journeys/tip.yaml\n"                                                         \
    "journey: tip\n"                                                                  \
    "enter: {event: Tip Wanted, again: always, at_once: {max: 64}}\n"                 \
    "steps: [{send: tip, channels: [email]}]\n"                                       \
    "=== messages/receipt/message.yaml\n"                                             \
    "category: order-update\n"                                                        \
    "email: {subject: receipt}\n"                                                     \
    "=== messages/receipt/email.txt.liquid\nreceipt\n"                                \
    "=== messages/tip/message.yaml\n"                                                 \
    "category: lifecycle\n"                                                           \
    "email: {subject: tip}\n"                                                         \
    "=== messages/tip/email.txt.liquid\ntip\n"

static struct house *house(void)
{
    struct house *h = house_new();
    house_activate(h, PROGRAMME);
    return h;
}

static uint32_t entered(const struct house *h, const char *who)
{
    uint64_t profile = house_person(h, who);
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        count += h->rows[i].result.kind == RESULT_ENTERED && h->rows[i].result.profile == profile;
    return count;
}

/* ---- one batch or many -------------------------------------------------------------------------- */

static void an_address_said_in_the_same_batch_is_known(void **state)
{
    (void)state;
    struct house *h = house();
    house_event(h, "@ann@example.org", "Order Completed", ""); /* not yet */
    house_identify(h, "ann", "email=ann@example.org");
    house_event(h, "@ANN@example.org", "Order Completed", "");
    house_identify(h, "ann", "email=new@example.org");
    house_event(h, "@ann@example.org", "Order Completed", ""); /* no longer */
    house_event(h, "@new@example.org", "Order Completed", "");
    house_identify(h, "ann", "email=null");
    house_event(h, "@new@example.org", "Order Completed", "");
    house_apply(h, at("12:00"));
    assert_int_equal(entered(h, "ann"), 2);
    assert_int_equal(house_count(h, RESULT_UNFOUND, NULL), 3);
    house_free(h);
}

static void old_news_do_not_move_an_address(void **state)
{
    (void)state;
    struct house *h = house();
    house_identify(h, "ann", "email=ann@example.org");
    house_apply(h, at("12:00"));
    struct record *late = house_identify(h, "ann", "email=old@example.org");
    late->event_ms = at("10:00");
    house_event(h, "@old@example.org", "Order Completed", "");
    house_event(h, "@ann@example.org", "Order Completed", "");
    house_apply(h, at("13:00"));
    assert_int_equal(entered(h, "ann"), 1);
    assert_int_equal(house_count(h, RESULT_UNFOUND, NULL), 1);
    house_free(h);
}

/* People, one or another address for each, now and then none. */
static const char *const people[] = {"ann", "bob", "~tab", "eve~tab", "~pad", "bob~pad", "dan"};
static const char *const mails[] = {"a@example.org", "B@example.org", "c@example.org", "null"};

enum { STORY = 120 };

static void play(struct house *h, uint64_t luck, bool is_together)
{
    for (uint32_t i = 0; i < STORY; i++) {
        uint64_t x = hash_pair(luck, i);
        const char *who = people[x % array_count(people)];
        const char *mail = mails[(x >> 8) % array_count(mails)];
        char text[64];
        struct record *r;
        if ((x >> 16) % 3 == 0) {
            snprintf(text, sizeof(text), "email=%s", mail);
            r = house_identify(h, who, text);
        } else if ((x >> 16) % 7 == 0) {
            r = house_event(h, who, "Nothing", ""); /* perhaps a merge */
        } else {
            snprintf(text, sizeof(text), "@%s", mail);
            r = house_event(h, text, "Order Completed", "");
        }
        r->event_ms = at("12:00") - STORY + i;
        if (!is_together || (x >> 24) % 9 == 0)
            house_apply(h, at("12:00"));
    }
    house_apply(h, at("12:00"));
}

/* The profile that it has become part of in the end. */
static uint64_t whole(const struct house *h, uint64_t profile)
{
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        if (row->kind == RESULT_MERGED && row->profile == profile)
            return whole(h, row->id);
    }
    return profile;
}

/* Events that reached the profile, or what it is made of; 0: that found nobody. */
static uint32_t reached(const struct house *h, uint64_t profile)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->row_count; i++) {
        const struct result *row = &h->rows[i].result;
        count += profile ? row->kind == RESULT_ENTERED && whole(h, row->profile) == profile
                         : row->kind == RESULT_UNFOUND;
    }
    return count;
}

static void batches_do_not_decide_whom_an_address_finds(void **state)
{
    (void)state;
    uint32_t found = 0, merges = 0;
    for (uint64_t luck = 1; luck <= 40; luck++) {
        struct house *one = house(), *many = house();
        play(one, luck, false);
        play(many, luck, true);
        assert_int_equal(reached(one, 0), reached(many, 0));
        merges += house_count(one, RESULT_MERGED, NULL);
        for (uint32_t partition = 0; partition < 256; partition++)
            for (uint32_t local = 1; local < 6; local++) {
                uint64_t profile = profile_number(partition, local);
                uint32_t times = reached(one, profile);
                found += times;
                assert_int_equal(reached(many, profile), times);
            }
        house_hop(one);
        house_hop(many);
        house_free(one);
        house_free(many);
    }
    assert_true(found > 500);
    assert_true(merges > 20);
}

/* ---- merges -------------------------------------------------------------------------------------- */

static void after_a_merge_an_address_finds_the_whole(void **state)
{
    (void)state;
    struct house *h = house();
    house_identify(h, "~tablet", "email=old@example.org phone=+441");
    house_apply(h, at("11:00"));
    house_identify(h, "ann", "email=ann@example.org");
    house_apply(h, at("12:00"));
    house_event(h, "ann~tablet", "Nothing", "");
    house_event(h, "#+441", "Order Completed", "");            /* came from the tablet */
    house_event(h, "@ann@example.org", "Order Completed", ""); /* the later one stays */
    house_event(h, "@old@example.org", "Order Completed", ""); /* the earlier one does not */
    house_apply(h, at("13:00"));
    assert_int_equal(house_count(h, RESULT_MERGED, NULL), 1);
    assert_int_equal(entered(h, "ann"), 2);
    assert_int_equal(house_count(h, RESULT_UNFOUND, NULL), 1);
    house_hop(h);
    house_event(h, "#+441", "Order Completed", "");
    house_apply(h, at("14:00"));
    assert_int_equal(entered(h, "ann"), 3);
    house_free(h);
}

static void an_address_merges_nobody(void **state)
{
    (void)state;
    struct house *h = house();
    house_identify(h, "ann", "email=home@example.org");
    house_identify(h, "bob", "email=home@example.org");
    house_identify(h, "~tablet", "email=home@example.org");
    house_apply(h, at("12:00"));
    house_identify(h, "@home@example.org", "phone=+441");
    house_apply(h, at("12:10"));
    assert_int_equal(house_count(h, RESULT_MERGED, NULL), 0);
    assert_int_not_equal(house_person(h, "ann"), house_person(h, "bob"));
    assert_int_not_equal(house_person(h, "ann"), house_person(h, "~tablet"));
    house_free(h);
}

/* ---- who may ------------------------------------------------------------------------------------- */

static void a_public_key_reaches_nobody_by_an_address(void **state)
{
    (void)state;
    struct house *h = house();
    house_meet(h, "ann", "email");
    h->flags = 0;
    house_event(h, "@ann@example.org", "Order Completed", "");
    house_event(h, "@ann@example.org", "Unsubscribed", "channel=email address=ann@example.org");
    house_identify(h, "@ann@example.org", "email=eve@example.org");
    house_apply(h, at("12:00"));
    assert_int_equal(house_count(h, RESULT_UNFOUND, NULL), 3);
    assert_int_equal(entered(h, "ann"), 0);
    h->flags = RECORD_IS_SERVER;
    house_event(h, "ann", "Tip Wanted", "");
    house_apply(h, at("13:00"));
    house_run(h, at("14:00"));
    assert_int_equal(house_sent(h, "ann", "tip"), 1);
    assert_string_equal(h->attempts[0].address, "ann@example.org");
    house_free(h);
}

/* ---- crowds -------------------------------------------------------------------------------------- */

static void a_no_of_a_crowded_address_is_heeded_for_all(void **state)
{
    (void)state;
    struct house *h = house();
    char who[16];
    enum { CROWD = 50 };
    for (int i = 0; i < CROWD; i++) {
        snprintf(who, sizeof(who), "~v%d", i);
        house_identify(h, who, "email=info@example.org");
        house_consent(h, who, "email", true);
    }
    house_identify(h, "ann", "email=info@example.org");
    house_consent(h, "ann", "email", true);
    house_apply(h, at("11:00"));
    house_event(h, "@info@example.org", "Order Completed", ""); /* a user goes before visitors */
    house_apply(h, at("11:10"));
    assert_int_equal(entered(h, "ann"), 1);
    house_hop(h);
    house_event(h, "@info@example.org", "Unsubscribed", "address=info@example.org");
    house_apply(h, at("12:00"));
    for (int i = 0; i < CROWD; i++) {
        snprintf(who, sizeof(who), "~v%d", i);
        house_event(h, who, "Tip Wanted", "");
    }
    house_event(h, "ann", "Tip Wanted", "");
    house_apply(h, at("13:00"));
    house_run(h, at("20:00"));
    assert_int_equal(house_sent(h, NULL, "tip"), 0);
    assert_int_equal(house_count(h, RESULT_ENTERED, "tip"), CROWD + 1);
    house_free(h);
}

static void a_complaint_about_no_known_message_is_a_no(void **state)
{
    (void)state;
    struct house *h = house();
    house_meet(h, "ann", "email");
    house_event(h, "@ann@example.org", "Message Complained", "address=ann@example.org");
    house_apply(h, at("12:00"));
    house_event(h, "ann", "Tip Wanted", "");
    house_event(h, "ann", "Order Completed", "");
    house_apply(h, at("13:00"));
    house_run(h, at("14:00"));
    assert_int_equal(house_sent(h, "ann", "tip"), 0);
    assert_int_equal(house_sent(h, "ann", "receipt"), 1);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_said_in_the_same_batch_is_known),
        cmocka_unit_test(old_news_do_not_move_an_address),
        cmocka_unit_test(batches_do_not_decide_whom_an_address_finds),
        cmocka_unit_test(after_a_merge_an_address_finds_the_whole),
        cmocka_unit_test(an_address_merges_nobody),
        cmocka_unit_test(a_public_key_reaches_nobody_by_an_address),
        cmocka_unit_test(a_no_of_a_crowded_address_is_heeded_for_all),
        cmocka_unit_test(a_complaint_about_no_known_message_is_a_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
