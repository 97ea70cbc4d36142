/* What people did, through the whole engine: late and out of order, under two names that turn out to be
 * one person's, with a snapshot in between. Whoever did it all under one name must be the same. */
#include "support/house.h"

#include "profile/ask.h"

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 11;
}

static const char programme[] =
    "=== programme.yaml\n"
    "name: T\n"
    "limits: {history: 6}\n"
    "traits:\n  limit: {type: int, default: 4}\n"
    "=== journeys/j.yaml\n"
    "journey: j\n"
    "owner: tests\n"
    "enter:\n"
    "  event: Never\n"
    "  when: >-\n"
    "    did(\"Order\", \"1d\") || count(\"Order\") > 1 || count(\"Order\", \"2d\") > 1 ||\n"
    "    count(\"cart*\", \"week\") > 1 || idle(\"Order\", \"1d\") ||\n"
    "    since(\"Order\", e, e.n > 3) > duration(\"1h\") || sum(\"Order\", \"n\") > 1 ||\n"
    "    sum(\"Order\", \"1d\", e, e.n * 2, e.n > 2) > 1 || min(\"cart*\", \"n\") > 1 ||\n"
    "    max(\"Order\", \"12h\", \"n\") > 1 || avg(\"Order\", \"day\", \"n\") > 1 ||\n"
    "    distinct(\"cart*\", \"2d\", \"s\") > 1 || distinct(\"Order\", e, e.s, e.n > traits.limit) > 1 ||\n"
    "    first(\"Order\").s == \"a\" || last(\"Order\").n > 1 ||\n"
    "    last(\"cart*\", e, e.n < traits.limit).s == \"a\" || count(\"Order\", e, e.n > traits.limit) > 1 ||\n"
    "    sequence([\"cart seen\", \"Order\"], \"3h\", [\"cart left\"]) ||\n"
    "    sequence([\"cart seen\"], \"3h\", [\"Order\"], \"1d\")\n"
    "steps: [{send: m}]\n"
    "=== messages/m/message.yaml\n"
    "category: service\n"
    "email: {subject: m}\n"
    "=== messages/m/email.txt.liquid\n"
    "m\n"
    "=== providers/mail.yaml\n"
    "kind: smtp\n"
    "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n";

/* Every question of the programme, asked of the person, as a text of all answers and their moments. */
static void answers(struct house *h, const char *name, int64_t at_ms, struct buf *out)
{
    struct person who;
    house_look(h, name, &who);
    const struct plan *plan = who.plan;
    out->len = 0;
    for (uint32_t i = 0; i < plan->binding_count; i++) {
        int64_t until_ms;
        struct value v = ask_binding(&who, plan, i, NULL, 0, at_ms, &until_ms);
        struct str said =
            v.type == VALUE_NONE ? STR("nothing") : expr_value_print(who.scratch, &v, 100);
        buf_printf(out, "%u: %.*s until %ld\n", i, STR_ARG(said), until_ms);
    }
    buf_add_byte(out, 0);
}

static void put_event(struct house *h, const char *who, uint64_t seed, int64_t event_ms)
{
    static const char *const names[] = {"Order", "cart seen", "cart left", "Other"};
    char fields[64];
    const char *name = names[next(&seed) % 4];
    snprintf(fields, sizeof(fields), "n=%d s=%c", (int)(next(&seed) % 9),
             (char)('a' + next(&seed) % 5));
    struct record *r = house_event(h, who, name, fields);
    r->event_ms = event_ms;
}

static void merged_is_one(void **state)
{
    (void)state;
    struct buf one, two;
    buf_init(&one);
    buf_init(&two);
    for (uint64_t round = 1; round <= 25; round++) {
        uint64_t seed = round * 7919;
        struct house *apart = house_new(), *together = house_new();
        house_activate(apart, programme);
        house_activate(together, programme);
        int64_t now_ms = HOUSE_START_MS + HOUR_MS;
        uint32_t known = 20 + (uint32_t)(next(&seed) % 40);
        for (uint32_t i = 0; i < 80; i++) {
            now_ms += 1 + (int64_t)(next(&seed) % (3 * HOUR_MS));
            const char *who = i < 2 ? i ? "~tab" : "ann" : next(&seed) % 2 ? "ann" : "~tab";
            if (i == known)
                who = "ann~tab";
            int64_t late_ms = next(&seed) % 3 ? 0 : (int64_t)(next(&seed) % (2 * DAY_MS));
            uint64_t event = next(&seed);
            put_event(apart, i > known ? "ann" : who, event, now_ms - late_ms);
            put_event(together, "ann", event, now_ms - late_ms);
            if (next(&seed) % 3 == 0 && i != known)
                continue; /* several in one batch */
            house_apply(apart, now_ms);
            house_apply(together, now_ms);
            if (next(&seed) % 8 == 0)
                house_hop(apart);
            if (i < known || apart->record_count)
                continue;
            int64_t at_ms = now_ms + (int64_t)(next(&seed) % DAY_MS);
            answers(apart, "ann", at_ms, &one);
            answers(together, "ann", at_ms, &two);
            if (strcmp((const char *)one.at, (const char *)two.at) != 0)
                fail_msg("round %lu, event %u:\n%s\nshould be\n%s", round, i, (const char *)one.at,
                         (const char *)two.at);
        }
        house_free(apart);
        house_free(together);
    }
    buf_fini(&one);
    buf_fini(&two);
}

static uint32_t failures(const struct house *h, uint32_t place)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        count += h->rows[i].result.kind == RESULT_ERROR && h->rows[i].result.how == (uint8_t)place;
    return count;
}

/* A message whose condition is false is not counted, one whose condition fails is, once. */
static void a_failing_only_if_is_counted(void **state)
{
    (void)state;
    struct house *h = house_new();
    house_activate(h, "=== programme.yaml\nname: T\ntimezone: Europe/London\n"
                      "categories: {service: {lane: service, settle: 0s}}\nquiet_hours: []\n"
                      "=== journeys/j.yaml\njourney: j\nenter: Ask\nsteps: [{send: m}]\n"
                      "=== messages/m/message.yaml\ncategory: service\n"
                      "only_if: 'last(\"Order\").total > 5'\nemail: {subject: m}\n"
                      "=== messages/m/email.txt.liquid\nm\n"
                      "=== providers/mail.yaml\nkind: smtp\n"
                      "settings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', "
                      "security: none}\n");
    house_meet(h, "ann", "email");
    house_meet(h, "bob", "email");
    house_event(h, "ann", "Ask", ""); /* no order, no total */
    house_event(h, "bob", "Order", "total=3");
    house_event(h, "bob", "Ask", "");
    house_apply(h, at("10:00"));
    house_run(h, at("11:00"));
    assert_int_equal(house_sent(h, "ann", "m"), 0);
    assert_int_equal(house_sent(h, "bob", "m"), 0);
    assert_int_equal(failures(h, ERROR_ONLY_IF), 1);
    assert_int_equal(engine_counts(h->engine)->errors, 1);
    house_event(h, "bob", "Order", "total=9");
    house_event(h, "bob", "Ask", "");
    house_apply(h, at("12:00"));
    house_run(h, at("13:00"));
    assert_int_equal(house_sent(h, "bob", "m"), 1);
    assert_int_equal(failures(h, ERROR_ONLY_IF), 1);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a failing only_if is counted, once", a_failing_only_if_is_counted),
        TEST("two names with half the past each are one person who did it all", merged_is_one),
    };
    return cmocka_run_group_tests_name("flow/features", tests, NULL, NULL);
}
