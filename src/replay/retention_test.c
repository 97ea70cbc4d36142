/* A shop that drops what is old, on a disk that fails: what is left is recovered, verified and written on, whatever
 * ended the process; and nothing that is young was lost.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "replay/retention.h"
#include "measure/report.h"
#include "os/file.h"
#include "replay/backup.h"
#include "replay/fixture.h"
#include "replay/recount.h"
#include "replay/segment.h"

#define KEEP_MS (4 * DAY_MS)

/* The fixture's programme, which keeps its log for four days. */
static void keeping_folder(struct programme_folder *folder)
{
    struct programme_file list[array_count(files) + 1];
    memcpy(list, files, sizeof(files));
    list[0].text = STR(
        "name: Small\ntimezone: Europe/London\nkeep: {log: 96h}\ntraits:\n  first_name: {type: string}\n"
        "categories:\n  lifecycle: {lane: marketing, valid_for: 3d, priority: 500}\n"
        "  order: {lane: service, purpose: contract}\n");
    list[array_count(files)] = (struct programme_file){
        STR("segments/carts.yaml"), STR("segment: carts\nwhen: did(\"Cart Updated\", \"3d\")\n")};
    folder_of(list, array_count(list), folder);
}

static void snapshot(struct shop *s)
{
    struct fault f = {0};
    if (snapshot_engine(&s->directory, world_engine(s->world), &f) != OK)
        fail_msg("%s", f.text);
}

/* Lives until the moment; each quarter of a day a segment ends and a snapshot is taken. */
static void live(struct shop *s, int64_t until_ms, bool drops, uint32_t *dropped)
{
    struct fault f = {0};
    struct engine *e = world_engine(s->world);
    int64_t next_ms = engine_now(e) + DAY_MS / 4;
    *dropped = 0;
    while (engine_now(e) < until_ms) {
        assert_true(shop_step(s));
        if (engine_now(e) < next_ms)
            continue;
        next_ms = engine_now(e) + DAY_MS / 4;
        assert_int_equal(world_commit(s->world, &f), OK);
        assert_int_equal(evlog_roll(s->log, &f), OK);
        assert_true(shop_step(s));
        assert_int_equal(world_commit(s->world, &f), OK);
        snapshot(s);
        struct retained retained = {0};
        if (drops && retention_drop(&s->directory, KEEP_MS, engine_now(e), &retained, &f) != OK)
            fail_msg("%s", f.text);
        *dropped += retained.segments;
    }
    assert_int_equal(world_commit(s->world, &f), OK);
}

static void open_keeping(struct shop *s, struct fake_disk *fake)
{
    struct programme_folder folder;
    keeping_folder(&folder);
    assert_true(shop_open_with(s, fake_disk_of(fake), folder, 6, 60, 16, NULL));
}

static uint64_t recovered_hash(const struct directory *d, const struct recover_options *options,
                               struct recovered *r)
{
    struct fault f = {0};
    if (recover(d, options, r, &f) != OK)
        fail_msg("%s", f.text);
    return engine_hash(r->engine);
}

/* All that a directory is for still works; *base_ms is how far back. */
static void check_whole(const struct directory *d, uint64_t hash, int64_t *base_ms)
{
    struct recovered r;
    struct recover_options newest = {0};
    struct recover_options all = {.from_beginning = true, .checks_hashes = true};
    assert_int_equal(recovered_hash(d, &newest, &r), hash);
    assert_true(r.results_compared + r.results_missing == r.batches);
    recovered_fini(&r);
    assert_int_equal(recovered_hash(d, &all, &r), hash);
    assert_true(r.batches > 0);
    assert_true(r.log_first <= r.snapshot_batch + 1);
    assert_int_equal(r.snapshots_refused, 0);
    *base_ms = r.log_first > 1 ? r.kept_since_ms : INT64_MIN;
    recovered_fini(&r);
}

static void what_is_old_goes_and_what_is_young_stays(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct reach reach;
    struct fault f = {0};
    uint32_t dropped;
    int64_t base_ms;
    open_keeping(&s, fake);
    struct engine *e = world_engine(s.world);
    live(&s, START_MS + 3 * DAY_MS, true, &dropped);
    assert_int_equal(dropped, 0);
    assert_int_equal(reach_of(&s.directory, &reach, &f), OK);
    assert_int_equal(reach.log_first, 1);
    assert_int_equal(reach.since_ms, INT64_MIN);
    for (uint32_t day = 4; day < 15; day++) {
        live(&s, START_MS + day * DAY_MS, true, &dropped);
        check_whole(&s.directory, engine_hash(e), &base_ms);
        assert_int_equal(reach_of(&s.directory, &reach, &f), OK);
        assert_int_equal(reach.since_ms, base_ms);
        if (day < 6)
            continue;
        assert_true(dropped > 0);
        assert_true(base_ms <= engine_now(e) - KEEP_MS);
        /* a step, and the time between two snapshots */
        assert_true(base_ms >= engine_now(e) - KEEP_MS - KEEP_MS / RETENTION_PARTS - DAY_MS / 2);
    }
    uint64_t *batches;
    uint32_t count;
    struct arena a;
    arena_init(&a, 4096);
    assert_int_equal(snapshot_list(s.disk, s.directory.snapshots, &a, &batches, &count, &f), OK);
    assert_true(count >= RETENTION_PARTS && count <= RETENTION_PARTS + 4);
    arena_fini(&a);
    shop_close(&s);
    fake_disk_free(fake);
}

static void sum_member(void *self, uint64_t profile, int64_t since_ms)
{
    uint64_t *sum = self;
    *sum += hash_pair(profile, (uint64_t)since_ms);
}

/* Everything is as if nothing had been dropped, or as much of it. */
static void questions_about_the_past_say_how_far_they_reach(void **state)
{
    (void)state;
    struct fake_disk *fakes[2];
    struct shop s[2];
    struct fault f = {0};
    uint32_t dropped;
    for (uint32_t i = 0; i < 2; i++) {
        fakes[i] = fake_disk_new(1);
        open_keeping(&s[i], fakes[i]);
        live(&s[i], START_MS + 10 * DAY_MS, i == 1, &dropped);
    }
    struct engine *e = world_engine(s[1].world);
    assert_int_equal(engine_hash(e), engine_hash(world_engine(s[0].world)));
    struct reach reach;
    assert_int_equal(reach_of(&s[1].directory, &reach, &f), OK);
    assert_true(reach.log_first > 1);

    /* counted: of what is left, the same */
    struct funnel funnels[2];
    struct recount about;
    funnel_init(&funnels[1]);
    assert_int_equal(funnel_recount(&s[1].directory, INT64_MIN, 0, &funnels[1], &about, &f), OK);
    assert_true(about.from_ms <= reach.since_ms && about.from_ms > START_MS);
    int64_t from_ms = about.from_ms;
    funnel_init(&funnels[0]);
    assert_int_equal(funnel_recount(&s[0].directory, from_ms, 0, &funnels[0], &about, &f), OK);
    assert_int_equal(about.from_ms, INT64_MIN);
    for (uint32_t v = 1; v < engine_plans(e)->count; v++) {
        const struct plan *plan = engine_plans(e)->at[v];
        for (uint32_t j = 0; j < plan->journey_count; j++) {
            struct arena a;
            struct report reports[2];
            arena_init(&a, 65536);
            for (uint32_t i = 0; i < 2; i++)
                report_funnel(&funnels[i], engine_plans(e)->at, engine_plans(e)->count,
                              plan->journeys[j].name, &a, &reports[i]);
            assert_int_equal(reports[0].version_count, reports[1].version_count);
            for (uint32_t i = 0; i < reports[0].version_count; i++)
                assert_int_equal(reports[0].versions[i].entered, reports[1].versions[i].entered);
            arena_fini(&a);
        }
    }
    funnel_fini(&funnels[0]);
    funnel_fini(&funnels[1]);

    /* a state of a moment before is refused, one behind is the same */
    struct recovered r[2];
    struct recover_options options = {
        .from_beginning = true, .is_tolerant = true, .until_ms = reach.since_ms - 1};
    assert_int_equal(recover(&s[1].directory, &options, &r[1], &f), FIX_INPUT);
    assert_true(str_find(str_of(f.text), STR("is not kept any more"), 0) != SIZE_MAX);
    recovered_fini(&r[1]);
    options.until_ms = reach.since_ms + DAY_MS;
    assert_int_equal(recovered_hash(&s[0].directory, &options, &r[0]),
                     recovered_hash(&s[1].directory, &options, &r[1]));
    recovered_fini(&r[0]);
    recovered_fini(&r[1]);
    options = (struct recover_options){.batch_last = reach.base - 1, .is_tolerant = true};
    f = (struct fault){0};
    assert_int_equal(recover(&s[1].directory, &options, &r[1], &f), FIX_INPUT);
    recovered_fini(&r[1]);

    /* who was in a segment, by what is left */
    for (int64_t at_ms = reach.since_ms; at_ms < engine_now(e); at_ms += DAY_MS / 3) {
        uint64_t sums[2] = {0, 0};
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(segment_past(&s[i].directory,
                                          names_find(engine_names(e), STR("carts")), at_ms,
                                          &sums[i], sum_member, &f),
                             OK);
        assert_int_equal(sums[0], sums[1]);
        assert_true(sums[0] != 0);
    }
    uint64_t sum = 0;
    assert_int_equal(segment_past(&s[1].directory, names_find(engine_names(e), STR("carts")),
                                  reach.since_ms - DAY_MS, &sum, sum_member, &f),
                     FIX_INPUT);
    for (uint32_t i = 0; i < 2; i++) {
        shop_close(&s[i]);
        fake_disk_free(fakes[i]);
    }
}

static void a_backup_reaches_back_as_far(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    struct backup b;
    struct directory d;
    struct reach reach, again;
    uint32_t dropped;
    int64_t base_ms;
    uint64_t hash;
    open_keeping(&s, fake);
    live(&s, START_MS + 8 * DAY_MS, true, &dropped);
    assert_int_equal(reach_of(&s.directory, &reach, &f), OK);
    assert_true(reach.base > 1);
    if (backup_write(&s.directory, "/backup", &b, &f) != OK)
        fail_msg("%s", f.text);
    if (backup_verify(s.disk, "/backup", &b, "/scratch", &hash, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(hash, engine_hash(world_engine(s.world)));
    assert_int_equal(backup_restore(s.disk, "/backup", &b, "/again", &f), OK);
    assert_int_equal(directory_open(s.disk, "/again", &d, &f), OK);
    check_whole(&d, hash, &base_ms);
    assert_int_equal(reach_of(&d, &again, &f), OK);
    assert_int_equal(again.base, reach.base);
    assert_int_equal(base_ms, reach.since_ms);
    backup_fini(&b);
    shop_close(&s);
    fake_disk_free(fake);
}

/* Dropping ends at a call: what is left is whole, is written on, and the next drop does the rest. */
static bool is_gone_on_with(enum fake_fault fault, uint64_t call)
{
    struct fake_disk *fake = fake_disk_new(500 + call);
    struct shop s;
    struct fault f = {0};
    struct retained retained;
    uint32_t dropped;
    int64_t base_ms;
    open_keeping(&s, fake);
    struct engine *e = world_engine(s.world);
    live(&s, START_MS + 6 * DAY_MS, false, &dropped);
    uint64_t hash = engine_hash(e);
    int64_t now_ms = engine_now(e);
    assert_int_equal(evlog_close(s.log, &f), OK);
    fake_disk_fail_at(fake, fake_disk_calls(fake) + call, fault);
    enum status status = retention_drop(&s.directory, KEEP_MS, now_ms, &retained, &f);
    bool was_met = fake_disk_has_failed(fake);
    assert_true(was_met || status == OK);
    fake_disk_fail_at(fake, 0, FAKE_NONE);
    if (fault == FAKE_CRASH)
        fake_disk_restart(fake);
    struct evlog_options options = {.disk = s.disk, .segment_bytes = 1 << 20};
    f = (struct fault){0};
    if (evlog_open(s.directory.log, &options, &s.log, &f) != OK)
        fail_msg("fault %d at call %lu: %s", fault, call, f.text);
    assert_int_equal(evlog_batch_next(s.log), engine_batch(e) + 1);
    check_whole(&s.directory, hash, &base_ms);
    assert_true(base_ms <= now_ms - KEEP_MS);
    assert_int_equal(retention_drop(&s.directory, KEEP_MS, now_ms, &retained, &f), OK);
    check_whole(&s.directory, hash, &base_ms);
    assert_true(base_ms > START_MS + DAY_MS && base_ms <= now_ms - KEEP_MS);
    shop_close(&s);
    fake_disk_free(fake);
    return was_met;
}

static void dropping_that_was_interrupted_is_gone_on_with(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_CRASH, FAKE_FULL, FAKE_EIO};
    for (uint32_t k = 0; k < array_count(faults); k++) {
        uint64_t call = 1;
        while (is_gone_on_with(faults[k], call))
            call += 1 + call / 12;
        assert_true(call > 20);
    }
}

static void damage(struct shop *s, struct fake_disk *fake, uint64_t batch)
{
    char path[OS_PATH_BYTES];
    assert_true(snapshot_path(path, sizeof(path), s->directory.snapshots, batch));
    fake_disk_damage(fake, path, 5000, 4);
}

/* A fallback that is damaged keeps the log behind the one before it. */
static void recovery_keeps_its_fallback(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    struct arena a;
    uint64_t *batches;
    uint32_t count, dropped;
    struct retained retained;
    int64_t base_ms;
    open_keeping(&s, fake);
    struct engine *e = world_engine(s.world);
    live(&s, START_MS + 3 * DAY_MS, false, &dropped);
    arena_init(&a, 4096);
    assert_int_equal(snapshot_list(s.disk, s.directory.snapshots, &a, &batches, &count, &f), OK);
    assert_true(count > 4);
    damage(&s, fake, batches[1]);
    /* All of it is old by then. */
    assert_int_equal(
        retention_drop(&s.directory, KEEP_MS, engine_now(e) + 90 * DAY_MS, &retained, &f), OK);
    assert_int_equal(retained.base, batches[2]);
    damage(&s, fake, batches[0]);
    struct recovered r;
    struct recover_options newest = {0};
    assert_int_equal(recovered_hash(&s.directory, &newest, &r), engine_hash(e));
    assert_int_equal(r.snapshot_batch, batches[2]);
    recovered_fini(&r);
    /* With none that is whole but one, nothing more goes. */
    assert_int_equal(
        retention_drop(&s.directory, KEEP_MS, engine_now(e) + 99 * DAY_MS, &retained, &f), OK);
    assert_int_equal(retained.base, 0);
    /* And without any, it says what is missing. */
    damage(&s, fake, batches[2]);
    f = (struct fault){0};
    assert_int_equal(recover(&s.directory, &newest, &r, &f), GIVE_UP);
    assert_true(str_find(str_of(f.text), STR("older ones were dropped"), 0) != SIZE_MAX);
    recovered_fini(&r);
    for (uint32_t i = 0; i < 3; i++)
        damage(&s, fake, batches[i]);
    check_whole(&s.directory, engine_hash(e), &base_ms);
    arena_fini(&a);
    shop_close(&s);
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is old goes, and what is young stays", what_is_old_goes_and_what_is_young_stays),
        TEST("questions about the past say how far they reach",
             questions_about_the_past_say_how_far_they_reach),
        TEST("a backup reaches back as far as what it is of", a_backup_reaches_back_as_far),
        TEST("dropping that was interrupted is gone on with",
             dropping_that_was_interrupted_is_gone_on_with),
        TEST("recovery keeps its fallback", recovery_keeps_its_fallback),
    };
    return cmocka_run_group_tests_name("replay/retention", tests, NULL, NULL);
}
