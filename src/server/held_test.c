/* SPDX-License-Identifier: Apache-2.0 */
#include "server/held.h"

#include "base/mem.h"
#include "model/plan.h"
#include "os/fake_disk.h"
#include "os/file.h"
#include "test.h"
#include "when/zones_for_tests.h"

/* The two are only handed on: nothing here looks inside. */
#define TEMPLATE ((const struct channel_template *)(const void *)"template")
#define PATH     "data/held"
#define BATCH    41

static const uint32_t slots[] = {7, 8, 9, 10};
static const struct plan_message messages[] = {
    {.name = 100},
    {.name = 101, .field_count = 4, .fields = slots, .templates = {[CHANNEL_EMAIL] = TEMPLATE}},
};
static const struct plan_provider providers[] = {{.name = 300}, {.name = 301}};
/* A plan that is good for the whole program. */
static const struct plan *the_plan(void)
{
    static struct plan plan = {
        .message_count = 2, .messages = messages, .provider_count = 2, .providers = providers};
    if (plan.zones == NULL)
        plan.zones = one_zone("CET-1");
    return &plan;
}

static struct held *held(uint64_t n)
{
    struct value fields[4] = {value_text(STR("Uma")), value_none(), value_int((int64_t)n),
                              value_double(0.5)};
    struct action action = {
        .type = ACTION_ATTEMPT,
        .channel = CHANNEL_EMAIL,
        .lane = LANE_SERVICE,
        .attempts = n % 2 ? AT_LEAST_ONCE : AT_MOST_ONCE,
        .attempt = (uint32_t)n + 1,
        .profile = n + 10,
        .decision = n * 1000 + 1,
        .plan = 1,
        .message = 1,
        .provider = 1,
        .granted_ms = 5000,
        .deadline_ms = 9000,
        .address = STR("uma@example.org"),
        .zone = n % 2 ? STR("Here") : STR("Nowhere"),
        .field_count = 4,
        .fields = fields,
    };
    return held_new(&action, the_plan());
}

static void check(const struct held *h, uint64_t n)
{
    assert_int_equal(h->profile, n + 10);
    assert_int_equal(h->decision, n * 1000 + 1);
    assert_int_equal(h->attempt, n + 1);
    assert_true(str_is(h->zone, n % 2 ? "Here" : "Nowhere"));
    assert_ptr_equal(h->message.zone,
                     zoneset_zone(the_plan()->zones, 0)); /* the programme's, if unknown */
    assert_int_equal(h->is_at_least_once, n % 2);
    assert_int_equal(h->lane, LANE_SERVICE);
    assert_int_equal(h->provider_name, 301);
    assert_int_equal(h->granted_ms, 5000);
    assert_int_equal(h->deadline_ms, 9000);
    assert_ptr_equal(h->message.message, TEMPLATE);
    assert_true(str_is(h->message.to, "uma@example.org"));
    assert_int_equal(h->message.field_count, 4);
    assert_true(str_is(h->message.fields[0].text, "Uma"));
    assert_int_equal(h->message.fields[1].type, VALUE_NONE);
    assert_int_equal(h->message.fields[2].integer, n);
    assert_true(h->message.fields[3].number == 0.5);
    uint64_t profile, decision;
    uint32_t attempt;
    assert_true(attempt_id_parse(h->message.id, &profile, &decision, &attempt));
    assert_int_equal(profile, h->profile);
    assert_int_equal(decision, h->decision);
    assert_int_equal(attempt, h->attempt);
}

static struct held *list_of(uint64_t count)
{
    struct held *list = NULL;
    for (uint64_t n = 0; n < count; n++) {
        struct held *h = held(n);
        h->was_in_doubt = n == 2;
        h->next = list;
        list = h;
    }
    return list;
}

static struct os_disk *disk_with(struct fake_disk *fake, const struct held *list)
{
    struct os_disk *disk = fake_disk_of(fake);
    struct fault f = {0};
    assert_int_equal(os_make_dirs(disk, "data", &f), OK);
    assert_int_equal(held_write(disk, PATH, BATCH, list, &f), OK);
    return disk;
}

static struct held *read_at(struct os_disk *disk, uint64_t batch)
{
    const struct plan *list_of_plans[] = {NULL, the_plan()};
    struct plans known = {.at = list_of_plans, .count = 2, .newest = 1};
    struct held *list = NULL;
    struct fault f = {0};
    assert_int_equal(held_read(disk, PATH, batch, &known, &list, &f), OK);
    return list;
}

static void copies(void **state)
{
    (void)state;
    struct held *h = held(3);
    check(h, 3);
    held_free(h);
}

static void comes_back(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct held *list = list_of(5);
    struct os_disk *disk = disk_with(fake, list);
    held_free_list(list);
    list = read_at(disk, BATCH);
    bool seen[5] = {false};
    uint32_t count = 0;
    for (const struct held *h = list; h != NULL; h = h->next) {
        uint64_t n = h->profile - 10;
        assert_true(n < 5);
        assert_false(seen[n]);
        seen[n] = true;
        check(h, n);
        assert_int_equal(h->was_in_doubt, n == 2);
        count++;
    }
    assert_int_equal(count, 5);
    held_free_list(list);
    fake_disk_free(fake);
}

static void other_batch(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct held *list = list_of(2);
    struct os_disk *disk = disk_with(fake, list);
    held_free_list(list);
    assert_null(read_at(disk, BATCH + 1));
    assert_null(read_at(disk, BATCH - 1));
    fake_disk_free(fake);
}

static void removed(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct held *list = list_of(2);
    struct os_disk *disk = disk_with(fake, list);
    struct fault f = {0};
    held_free_list(list);
    assert_int_equal(held_remove(disk, PATH, &f), OK);
    fake_disk_restart(fake); /* durable: a crash does not bring it back */
    assert_null(read_at(disk, BATCH));
    assert_int_equal(held_remove(disk, PATH, &f), OK);
    fake_disk_free(fake);
}

static void damaged(void **state)
{
    (void)state;
    struct buf bytes;
    struct fault f = {0};
    struct fake_disk *fake = fake_disk_new(1);
    struct held *list = list_of(3);
    struct os_disk *disk = disk_with(fake, list);
    held_free_list(list);
    buf_init(&bytes);
    assert_int_equal(os_read_whole(disk, PATH, 1 << 20, &bytes, &f), OK);
    for (uint64_t at = 0; at < bytes.len; at++) {
        fake_disk_damage(fake, PATH, at, 1u << (at % 8));
        assert_null(read_at(disk, BATCH));
        fake_disk_damage(fake, PATH, at, 1u << (at % 8));
    }
    for (size_t len = 0; len < bytes.len; len++) {
        struct str part = {(const char *)bytes.at, len};
        assert_int_equal(os_write_whole(disk, PATH, part, &f), OK);
        assert_null(read_at(disk, BATCH));
    }
    buf_fini(&bytes);
    fake_disk_free(fake);
}

/* A crash at any call leaves the old file or the new one, and a removed one stays removed. */
static void crashes(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        struct fake_disk *fake = fake_disk_new(call);
        struct held *list = list_of(3);
        struct os_disk *disk = fake_disk_of(fake);
        struct fault f = {0};
        assert_int_equal(os_make_dirs(disk, "data", &f), OK);
        fake_disk_fail_at(fake, fake_disk_calls(fake) + call, FAKE_CRASH);
        bool is_written = held_write(disk, PATH, BATCH, list, &f) == OK;
        bool has_crashed = fake_disk_has_failed(fake);
        held_free_list(list);
        fake_disk_restart(fake);
        list = read_at(disk, BATCH);
        uint32_t count = 0;
        for (const struct held *h = list; h != NULL; h = h->next)
            count++;
        assert_true(count == 3 || (count == 0 && !is_written));
        held_free_list(list);
        fake_disk_free(fake);
        if (!has_crashed)
            break;
        assert_true(call < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("an action is copied whole, with its fields and its id", copies),
        TEST("what was held comes back as it was", comes_back),
        TEST("a file of another batch counts for nothing", other_batch),
        TEST("a removed file stays away after a crash", removed),
        TEST("a file with a bit turned or bytes missing counts for nothing", damaged),
        TEST("a crash while it is written leaves all of it or nothing", crashes),
    };
    return cmocka_run_group_tests_name("server/held", tests, NULL, NULL);
}
