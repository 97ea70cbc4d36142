/* placements.c - what a scenario cannot show of placements: why each offer stands back, and until when an
 * answer may be kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/house.h"

#include "decide/placement.h"
#include "decide/rule.h"

#define PROGRAMME                                                                                   \
    "=== programme.yaml\nname: Test\ncaps: []\nquiet_hours: []\n"                                   \
    "categories:\n  banners: {lane: marketing, consent: opt_out}\nregulations: {packs: []}\n"       \
    "holds:\n  - {name: ticket, from: Opened, until: Solved, linger: 0s}\n"                         \
    "placements:\n  home:\n    channel: web\n    category: banners\n    offers:\n"                  \
    "      - {offer: cart, if: 'did(\"Cart\", \"2d\")', content: {title: Cart}}\n"                  \
    "      - {offer: sale, priority: 3, if: 'did(\"Visit\")', at_most: 1, per: 1d, "                \
    "content: {title: Sale}}\n"                                                                     \
    "      - {offer: twin, priority: 3, if: 'did(\"Visit\")', content: {title: Twin}}\n"            \
    "    otherwise: {title: Hello}\n"                                                               \
    "=== journeys/none.yaml\njourney: none\nowner: t\nenter: {event: None}\nsteps: [{wait: "        \
    "{for: 1d}}]\n"                                                                                 \
    "=== providers/mail.yaml\nkind: smtp\nsettings: {url: 'smtp://h:25', from: 'a <a@b.example>', " \
    "security: none}\n"

/* What the page shows ann at that moment. */
static struct placement_answer look(struct house *h, int64_t now_ms, struct arena *arena)
{
    struct placement_answer out;
    assert_non_null(engine_decide(h->engine, house_person(h, "ann"), house_name(h, "home"),
                                  (struct body){0}, now_ms, arena, &out));
    return out;
}

static struct house *begin(struct arena *arena)
{
    struct house *h = house_new();
    arena_init(arena, 4096);
    house_activate(h, PROGRAMME);
    house_run(h, at("9:00"));
    house_meet(h, "ann", "");
    house_apply(h, at("9:00"));
    return h;
}

static void each_offer_that_stands_back_says_why(void **state)
{
    (void)state;
    struct arena arena;
    struct house *h = begin(&arena);
    struct placement_answer x = look(h, at("9:01"), &arena);
    const char *names[] = {"cart", "sale", "twin"};
    assert_null(x.offer);
    assert_int_equal(x.rule, 0);
    assert_int_equal(x.reason_count, array_count(names));
    for (uint32_t i = 0; i < x.reason_count; i++) {
        assert_int_equal(x.reasons[i].offer, house_name(h, names[i]));
        assert_true(x.reasons[i].says.len > 0);
    }
    house_event(h, "ann", "Opened", "");
    house_apply(h, at("9:02"));
    x = look(h, at("9:02"), &arena);
    assert_int_equal(x.rule, RULE_HOLD);
    assert_int_equal(x.reason_count, 1);
    assert_int_equal(x.reasons[0].offer, NAME_NONE); /* it is against the whole placement */
    assert_true(str_find(x.reasons[0].says, STR("ticket"), 0) != SIZE_MAX);
    arena_fini(&arena);
    house_free(h);
}

static void an_answer_may_be_kept_until_a_condition_changes(void **state)
{
    (void)state;
    struct arena arena;
    struct house *h = begin(&arena);
    house_event(h, "ann", "Cart", "");
    house_apply(h, at("9:30"));
    struct placement_answer x = look(h, at("10:00"), &arena);
    assert_non_null(x.offer);
    assert_int_equal(x.offer->name, house_name(h, "cart"));
    assert_true(x.until_ms > at("10:00") && x.until_ms <= at("2 9:30"));
    x = look(h, at("2 9:29"), &arena);
    assert_non_null(x.offer);
    assert_null(look(h, at("2 9:30"), &arena).offer);
    arena_fini(&arena);
    house_free(h);
}

static void of_two_with_one_score_the_first_of_the_file_is_shown(void **state)
{
    (void)state;
    struct arena arena;
    struct house *h = begin(&arena);
    house_event(h, "ann", "Visit", "");
    house_event(h, "ann", "Cart", "");
    house_apply(h, at("9:30"));
    assert_int_equal(look(h, at("9:31"), &arena).offer->name, house_name(h, "sale"));
    house_event(h, "ann", "Offer Shown", "placement=home offer=sale");
    house_apply(h, at("9:32"));
    struct placement_answer x = look(h, at("9:33"), &arena);
    assert_int_equal(x.offer->name,
                     house_name(h, "twin")); /* the first was seen as often as it may be */
    assert_int_equal(x.reason_count, 1);
    assert_int_equal(x.reasons[0].offer, house_name(h, "sale"));
    assert_int_equal(look(h, at("1 9:32"), &arena).offer->name, house_name(h, "sale"));
    arena_fini(&arena);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("each offer that stands back says why", each_offer_that_stands_back_says_why),
        TEST("an answer may be kept until a condition changes",
             an_answer_may_be_kept_until_a_condition_changes),
        TEST("of two with one score the first of the file is shown",
             of_two_with_one_score_the_first_of_the_file_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
