/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "cli/operate.h"
#include "replay/erase.h"
#include "replay/fixture.h"

/* The programme of the fixture, and a journey that asks about something that nobody kept. */
static void asking_folder(struct programme_folder *folder)
{
    struct programme_file list[array_count(files)];
    memcpy(list, files, sizeof(list));
    list[array_count(files) - 1] = (struct programme_file){
        STR("journeys/asks.yaml"),
        STR("journey: asks\nowner: x\n"
            "enter: {event: Order Completed, when: 'last(\"Cart Updated\").cart_id != \"none\" && "
            "count(\"Cart Updated\", \"90d\") >= 2'}\n"
            "steps:\n  - send: thanks\n")};
    folder_of(list, array_count(list), folder);
}

static void fine(enum status status, const struct fault *f)
{
    if (status != OK)
        fail_msg("%s", f->text);
}

/* What is remembered for the features of the plan: people, and all of it as one number. */
struct remembered {
    uint32_t people;
    uint64_t total;
};

static struct remembered remember(struct engine *e, const struct plan *plan)
{
    struct remembered all = {0};
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        bool has_any = false;
        engine_look(e, number, &who);
        for (uint32_t i = 0; i < who.profile->histories.count; i++) {
            const struct history *h = person_history(&who, i);
            if (plan_feature_find(plan, h->feature) == PLAN_NO_INDEX)
                continue;
            all.total += hash_pair(number, hash_pair(h->total, (uint64_t)h->last_ms));
            has_any = true;
        }
        all.people += has_any;
    }
    return all;
}

enum point {
    NOTHING_BEGUN,
    PREPARED,
    UNITING,
    POINT_END,
};

/* Erases one in a directory that was left at that point of a change of programme, and then changes it. */
static struct remembered erase_at(enum point point, bool has_snapshot, struct id128 who)
{
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct programme_folder folder;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 60, 20, NULL));
    assert_true(shop_live(&s, UINT32_MAX));
    asking_folder(&folder);
    struct plan *plan = small_plan(&folder, &s.shelf);
    fine(programme_store(s.disk, s.directory.programmes, &folder, &f), &f);
    if (point >= PREPARED)
        fine(world_prepare(s.world, plan, &f), &f);
    if (point == UNITING)
        fine(world_unite(s.world, &s.directory, NULL, &f), &f);
    fine(world_commit(s.world, &f), &f);
    if (has_snapshot)
        fine(snapshot_engine(&s.directory, world_engine(s.world), &f), &f);
    struct directory d = s.directory;
    char hash[65];
    memcpy(hash, plan->hash, sizeof(hash));
    shop_close(&s);
    programme_folder_fini(&folder);

    struct engine_ids ids = {&who, 1, 1};
    uint32_t people = 0;
    fine(erase_listed(&d, &ids, &people, &f), &f);
    assert_int_equal(people, 1);

    struct recovered r;
    struct evlog *log;
    struct evlog_options options = {.disk = d.disk, .segment_bytes = 1 << 20};
    fine(evlog_open(d.log, &options, &log, &f), &f);
    fine(recover_to_write(&d, log, NULL, &r, &f), &f);
    assert_null(engine_change(r.engine).plan);
    assert_int_equal(engine_find(r.engine, who), 0);
    struct world_options world_options = {.secret = d.secret, .log = log};
    struct world *world = world_of(&r.shelf, r.engine, &world_options);
    r.engine = NULL;
    const struct plan *again = shelf_find(&r.shelf, str_of(hash), r.shelf.names);
    assert_non_null(again);
    fine(world_change(world, &d, again, NULL, &f), &f);
    fine(world_commit(world, &f), &f);
    const struct plans *plans = engine_plans(world_engine(world));
    assert_string_equal(plans->at[plans->newest]->hash, hash);
    struct remembered all = remember(world_engine(world), again);
    world_free(world);
    evlog_free(log);
    recovered_fini(&r);
    fake_disk_free(fake);
    return all;
}

static void
who_is_erased_in_the_middle_of_a_change_leaves_a_directory_that_can_be_changed(void **state)
{
    (void)state;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    directory_secret(3, secret);
    struct id128 who = identifier_hash(IDENTIFIER_ANONYMOUS, STR("a7"), secret);
    struct remembered wanted = erase_at(NOTHING_BEGUN, false, who);
    assert_true(wanted.people > 20); /* the others, with what they did before */
    for (enum point point = PREPARED; point < POINT_END; point++) {
        for (uint32_t has_snapshot = 0; has_snapshot < 2; has_snapshot++) {
            struct remembered is = erase_at(point, has_snapshot == 1, who);
            assert_int_equal(is.people, wanted.people);
            assert_true(is.total == wanted.total);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(
            "who is erased in the middle of a change of programme leaves a directory that can be changed",
            who_is_erased_in_the_middle_of_a_change_leaves_a_directory_that_can_be_changed),
    };
    return cmocka_run_group_tests_name("erase", tests, NULL, NULL);
}
