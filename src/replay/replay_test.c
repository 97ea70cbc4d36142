/* Made-up people, virtual time and recovery: the same seed gives the same month, and the log alone
 * gives the same state, whatever happened to the disk. */
#include "base/mem.h"
#include "disk/snapshot.h"
#include "os/fake_disk.h"
#include "os/file.h"
#include "replay/fixture.h"
#include "replay/run_scenario.h"

/* ---- made-up people ----------------------------------------------------------------------------- */

static uint64_t life_hash(uint64_t seed, bool answers, uint32_t *events)
{
    struct synth_options options = {
        .seed = seed, .people = 60, .start_ms = START_MS, .end_ms = START_MS + 10 * DAY_MS};
    struct synth *s = synth_new(&options);
    struct synth_event e;
    uint64_t hash = 0;
    int64_t last_ms = 0;
    *events = 0;
    while (synth_next_ms(s) != FOREVER_MS) {
        assert_true(synth_next_ms(s) >= last_ms);
        last_ms = synth_next_ms(s);
        synth_next(s, &e);
        assert_int_equal(e.at_ms, last_ms);
        assert_true(e.at_ms < options.end_ms);
        hash = hash_pair(hash, hash_pair((uint64_t)e.at_ms, hash_str(e.message_id, 0)));
        hash = hash_pair(hash, hash_str(e.name, e.person));
        for (uint32_t i = 0; i < e.field_count; i++)
            hash = hash_pair(hash, hash_str(e.fields[i].path, e.fields[i].value.type));
        ++*events;
        if (answers && str_is(e.name, "Cart Updated"))
            synth_sent(s, e.person, STR("cart-reminder"), 77, STR("1-2-1"), e.at_ms + HOUR_MS);
    }
    synth_free(s);
    return hash;
}

static void same_seed_same_people(void **state)
{
    (void)state;
    uint32_t a, b, c, d;
    assert_int_equal(life_hash(5, false, &a), life_hash(5, false, &b));
    assert_int_equal(a, b);
    assert_int_not_equal(life_hash(6, false, &c), life_hash(5, false, &a));
    assert_true(a > 500);
    /* What is sent is answered: more happens. */
    life_hash(5, true, &d);
    assert_true(d > a);
}

static void message_ids_are_their_own(void **state)
{
    (void)state;
    struct synth_options options = {
        .seed = 9, .people = 40, .start_ms = START_MS, .end_ms = START_MS + 20 * DAY_MS};
    struct synth *s = synth_new(&options);
    struct synth_event e;
    static uint64_t seen[20000];
    uint32_t count = 0;
    while (synth_next_ms(s) != FOREVER_MS && count < array_count(seen)) {
        synth_next(s, &e);
        uint64_t hash = hash_str(e.message_id, 0);
        for (uint32_t i = count > 4000 ? count - 4000 : 0; i < count; i++)
            assert_int_not_equal(seen[i], hash);
        seen[count++] = hash;
    }
    assert_true(count > 500);
    synth_free(s);
}

/* ---- a world with a log -------------------------------------------------------------------------- */

static void recovery_rebuilds_the_state(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 2, 150, 8, NULL));
    assert_true(shop_live(&s, 900));
    uint64_t hash = engine_hash(world_engine(s.world));
    uint64_t last = engine_batch(world_engine(s.world));
    assert_true(engine_counts(world_engine(s.world))->actions > 20);

    struct recover_options whole = {.from_beginning = true, .checks_hashes = true};
    struct recovered r;
    if (recover(&s.directory, &whole, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(r.batches, last);
    assert_int_equal(r.results_compared, last);
    assert_int_equal(r.hashes_compared, 1);
    assert_int_equal(engine_hash(r.engine), hash);
    assert_int_equal(engine_audit(r.engine, NULL, NULL), 0);
    recovered_fini(&r);

    struct recover_options tail = {0};
    if (recover(&s.directory, &tail, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_true(r.snapshot_batch > 800);
    assert_int_equal(r.snapshot_batch + r.batches, last);
    assert_int_equal(engine_hash(r.engine), hash);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

static void a_snapshot_that_is_damaged_is_passed_over(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    char path[OS_PATH_BYTES];
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 40, 4, NULL));
    assert_true(shop_live(&s, UINT32_MAX));
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    uint64_t hash = engine_hash(world_engine(s.world));
    assert_true(snapshot_path(path, sizeof(path), s.directory.snapshots,
                              engine_batch(world_engine(s.world))));
    fake_disk_damage(fake, path, 2000, 0x10);
    struct recover_options tail = {0};
    struct recovered r;
    if (recover(&s.directory, &tail, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(r.snapshots_refused, 1);
    assert_int_equal(r.snapshot_batch, 0);
    assert_int_equal(engine_hash(r.engine), hash);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

static void a_damaged_snapshot_is_not_kept_as_one_of_two(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    char first[OS_PATH_BYTES], second[OS_PATH_BYTES];
    uint64_t saved = 0;
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 40, 4, NULL));
    while (synth_next_ms(s.synth) != FOREVER_MS) {
        uint64_t batch = engine_batch(world_engine(s.world));
        assert_true(shop_step(&s));
        if (batch >= saved + 100) {
            saved = batch;
            assert_int_equal(world_commit(s.world, &f), OK);
            assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
            assert_true(snapshot_path(first, sizeof(first), s.directory.snapshots,
                                      engine_batch(world_engine(s.world))));
        }
    }
    assert_int_equal(world_commit(s.world, &f), OK);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    assert_true(snapshot_path(second, sizeof(second), s.directory.snapshots,
                              engine_batch(world_engine(s.world))));
    fake_disk_damage(fake, second, 2000, 0x10);
    struct recover_options tail = {0};
    struct recovered r;
    assert_int_equal(recover(&s.directory, &tail, &r, &f), OK);
    assert_true(os_exists(s.directory.disk, second)); /* who reads removes nothing */
    recovered_fini(&r);
    assert_int_equal(recover_to_write(&s.directory, s.log, NULL, &r, &f), OK);
    assert_int_equal(r.snapshots_refused, 1);
    assert_true(os_exists(s.directory.disk, first));
    assert_false(os_exists(s.directory.disk, second));
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

/* A whole snapshot at the log's end, as another release would write it. */
static void put_strange_snapshot(const struct shop *s)
{
    struct fault f = {0};
    struct snapshot_writer *writer;
    const struct engine *e = world_engine(s->world);
    struct snapshot_about about = {
        .batch = engine_batch(e), .now_ms = engine_now(e), .partition_count = 256};
    struct buf meta;
    buf_init(&meta);
    buf_add_varint(&meta, 1000000); /* no release writes this version */
    assert_int_equal(snapshot_begin(s->directory.disk, s->directory.snapshots, &about, &writer, &f),
                     OK);
    assert_int_equal(snapshot_put(writer, STR("meta"), 0, meta.at, meta.len, &f), OK);
    assert_int_equal(snapshot_commit(writer, &f), OK);
    buf_fini(&meta);
}

static void a_snapshot_of_another_release_is_passed_over(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 40, 4, NULL));
    assert_true(shop_live(&s, UINT32_MAX));
    put_strange_snapshot(&s);
    struct recover_options tail = {0};
    struct recovered r;
    if (recover(&s.directory, &tail, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(r.snapshots_refused, 1);
    assert_true(str_find(str_of(r.snapshot_fault.text), STR("state version 1000000"), 0) !=
                SIZE_MAX);
    assert_int_equal(r.snapshot_batch, 0);
    assert_int_equal(engine_hash(r.engine), engine_hash(world_engine(s.world)));
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

/* The log in `d` as it was before the results of the batches behind `results_last` were durable: in its place. */
static void drop_results(struct directory *d, uint64_t results_last, struct evlog **out)
{
    struct evlog_options options = {.disk = d->disk, .segment_bytes = 1 << 20, .log_id = 12};
    struct evlog_reader *reader;
    struct evlog_item item;
    struct fault f = {0};
    assert_int_equal(evlog_reader_open(d->disk, d->log, 0, &reader, &f), OK);
    snprintf(d->log, sizeof(d->log), "/shop/shorter");
    assert_int_equal(os_make_dirs(d->disk, d->log, &f), OK);
    assert_int_equal(evlog_open(d->log, &options, out, &f), OK);
    while (evlog_reader_next(reader, &item, &f) == OK && item.kind != EVLOG_END) {
        if (item.kind == EVLOG_BATCH)
            assert_int_equal(evlog_append(*out, &item.batch, &f), OK);
        else if (item.number <= results_last)
            assert_int_equal(evlog_append_results(*out, item.number, item.results, &f), OK);
        assert_int_equal(evlog_commit(*out, &f), OK);
    }
    evlog_reader_close(reader);
}

/* Starts with a snapshot of the log's last batch while the results of the last `lost` are not durable; how many are not in
 * the log afterwards. With `has_older` there is a snapshot from before. Returns where it began. */
static uint64_t start_before_results(bool has_older, uint64_t lost, uint64_t *missing)
{
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 40, 4, NULL));
    assert_true(shop_live(&s, has_older ? 50 : UINT32_MAX));
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    uint64_t hash = engine_hash(world_engine(s.world));
    uint64_t last = engine_batch(world_engine(s.world));

    struct evlog *log;
    struct recovered r;
    drop_results(&s.directory, lost < last ? last - lost : 0, &log);
    if (recover_to_write(&s.directory, log, NULL, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_batch(r.engine), last);
    assert_int_equal(engine_hash(r.engine), hash);
    uint64_t began = r.snapshot_batch;
    assert_int_equal(r.results_lost, 0);
    recovered_fini(&r);

    struct recover_options whole = {.from_beginning = true};
    if (recover(&s.directory, &whole, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(r.batches, last);
    *missing = last - r.results_compared;
    recovered_fini(&r);
    evlog_free(log);
    shop_close(&s);
    fake_disk_free(fake);
    return began;
}

static void a_start_makes_the_results_that_a_snapshot_was_ahead_of(void **state)
{
    (void)state;
    uint64_t missing;
    uint64_t began = start_before_results(true, 2, &missing);
    assert_true(began > 0); /* with the older snapshot */
    assert_int_equal(missing, 0);
}

static void without_an_older_snapshot_results_are_made_from_the_beginning(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 3; round++) {
        uint64_t missing;
        uint64_t began =
            start_before_results(false, round == 2 ? UINT64_MAX : 2 + 40 * round, &missing);
        assert_int_equal(began, 0);
        assert_int_equal(missing, 0);
    }
}

/* What becomes of the log's end: its last batches are gone, results and all. */
static void cut_log(struct directory *d, uint64_t batch_last)
{
    struct evlog_options options = {.disk = d->disk, .segment_bytes = 1 << 20, .log_id = 12};
    struct evlog_reader *reader;
    struct evlog *log;
    struct evlog_item item;
    struct fault f = {0};
    assert_int_equal(evlog_reader_open(d->disk, d->log, 0, &reader, &f), OK);
    snprintf(d->log, sizeof(d->log), "/shop/shorter");
    assert_int_equal(os_remove_tree(d->disk, d->log, &f), OK);
    assert_int_equal(os_make_dirs(d->disk, d->log, &f), OK);
    assert_int_equal(evlog_open(d->log, &options, &log, &f), OK);
    while (evlog_reader_next(reader, &item, &f) == OK && item.kind != EVLOG_END) {
        if (item.kind == EVLOG_BATCH && item.batch.number <= batch_last)
            assert_int_equal(evlog_append(log, &item.batch, &f), OK);
        else if (item.kind == EVLOG_RESULTS && item.number < batch_last) /* one is on its way */
            assert_int_equal(evlog_append_results(log, item.number, item.results, &f), OK);
        assert_int_equal(evlog_commit(log, &f), OK);
    }
    evlog_reader_close(reader);
    evlog_free(log);
}

/* Every end that the log may have is tried, under snapshots of its middle and of its last batch: a start comes to
 * the state of that end, or says that the end is lost and what can be done. */
static void no_start_goes_on_behind_an_end_that_is_lost(void **state)
{
    (void)state;
    static uint64_t hashes[20000];
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 9, 20, 2, hashes));
    assert_true(shop_live(&s, 30));
    uint64_t last = engine_batch(world_engine(s.world)), middle = 0, refused = 0, fine = 0;
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    struct directory whole = s.directory;
    for (uint32_t round = 0; round < 2; round++) {
        for (uint64_t end = 1; end <= last; end++) {
            struct directory d = whole;
            struct evlog *log;
            struct evlog_options options = {.disk = d.disk, .segment_bytes = 1 << 20};
            struct recovered r;
            f = (struct fault){0};
            cut_log(&d, end);
            assert_int_equal(evlog_open(d.log, &options, &log, &f), OK);
            enum status status = recover_to_write(&d, log, NULL, &r, &f);
            if (status == OK) {
                assert_int_equal(engine_batch(r.engine), end);
                assert_int_equal(engine_hash(r.engine), hashes[end]);
                assert_int_equal(evlog_results_newest(log), end);
                middle = max_of(middle, r.snapshot_batch);
                fine++;
            } else {
                assert_int_equal(status, GIVE_UP);
                assert_true(str_find(str_of(f.text), STR("the end of the log is lost"), 0) !=
                            SIZE_MAX);
                assert_true(str_find(str_of(f.text), STR("/shop/snapshots"), 0) != SIZE_MAX);
                refused++;
            }
            assert_true((status == OK) == (end == last || (round == 1 && end >= middle)));
            recovered_fini(&r);
            evlog_free(log);
        }
        /* As the fault says. */
        char path[OS_PATH_BYTES];
        assert_true(snapshot_path(path, sizeof(path), whole.snapshots, last));
        if (round == 0)
            assert_int_equal(os_remove(whole.disk, path, &f), OK);
        if (round == 0)
            middle = 1;
        for (uint64_t i = last - 1; round == 0 && middle == 1 && i > 1; i--) {
            assert_true(snapshot_path(path, sizeof(path), whole.snapshots, i));
            if (os_exists(whole.disk, path))
                middle = i;
        }
    }
    assert_true(refused > last && fine > 10);
    shop_close(&s);
    fake_disk_free(fake);
}

/* The n-th call to the disk fails, for each n: the start says so, or comes to the same state. */
static void a_disk_that_fails_at_a_start_is_what_the_start_speaks_of(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 40, 4, NULL));
    assert_true(shop_live(&s, 50));
    uint64_t hash = engine_hash(world_engine(s.world));
    uint32_t failed = 0;
    bool is_met = true;
    for (uint64_t nth = 1; is_met; nth++) {
        struct recover_options tail = {0};
        struct recovered r;
        struct directory d;
        f = (struct fault){0};
        fake_disk_fail_at(fake, fake_disk_calls(fake) + nth, FAKE_EIO);
        enum status status = directory_make(fake_disk_of(fake), "/shop", NULL, &d, &f);
        if (status == OK) {
            status = recover(&d, &tail, &r, &f);
            if (status == OK)
                assert_int_equal(engine_hash(r.engine), hash);
            recovered_fini(&r);
        }
        is_met = fake_disk_has_failed(fake);
        assert_true(is_met || status == OK);
        if (status != OK && str_find(str_of(f.text), STR("Input/output error"), 0) == SIZE_MAX)
            fail_msg("call %u: %s", (unsigned)nth, f.text);
        failed += status != OK;
        fake_disk_fail_at(fake, 0, FAKE_NONE);
    }
    assert_true(failed > 5);
    shop_close(&s);
    fake_disk_free(fake);
}

static void results_that_do_not_agree_stop_recovery(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct directory d;
    struct evlog *log;
    struct recovered r;
    struct fault f = {0};
    assert_int_equal(directory_make(fake_disk_of(fake), "/d", NULL, &d, &f), OK);
    struct evlog_options options = {.disk = fake_disk_of(fake), .segment_bytes = 1 << 16};
    assert_int_equal(evlog_open(d.log, &options, &log, &f), OK);
    for (uint64_t number = 1; number <= 3; number++) {
        struct batch batch = {number, START_MS, 0, NULL};
        assert_int_equal(evlog_append(log, &batch, &f), OK);
        assert_int_equal(evlog_append_results(log, number, number == 2 ? STR("lies") : STR(""), &f),
                         OK);
    }
    assert_int_equal(evlog_commit(log, &f), OK);
    struct recover_options tail = {0};
    assert_int_equal(recover(&d, &tail, &r, &f), GIVE_UP);
    assert_true(str_find(str_of(f.text), STR("batch 2"), 0) != SIZE_MAX);
    recovered_fini(&r);
    evlog_free(log);
    fake_disk_free(fake);
}

static void crashes_lose_nothing_that_was_committed(void **state)
{
    (void)state;
    static uint64_t hashes[20000];
    for (uint64_t round = 0; round < 24; round++) {
        struct fake_disk *fake = fake_disk_new(100 + round);
        struct shop s;
        struct fault f = {0};
        assert_true(shop_open(&s, fake_disk_of(fake), 6, 30, 3, hashes));
        uint64_t committed = 0;
        fake_disk_fail_at(fake, fake_disk_calls(fake) + 5 + round * 7, FAKE_CRASH);
        for (uint32_t i = 0; synth_next_ms(s.synth) != FOREVER_MS; i++) {
            if (!shop_step(&s))
                break;
            if (i % 9 == 0) {
                if (world_commit(s.world, &f) != OK)
                    break;
                committed = engine_batch(world_engine(s.world));
            }
        }
        shop_close(&s);
        fake_disk_restart(fake);
        struct directory d;
        struct recovered r;
        struct recover_options whole = {.from_beginning = true};
        f = (struct fault){0};
        assert_int_equal(directory_open(fake_disk_of(fake), "/shop", &d, &f), OK);
        /* The writer's opening cuts what the crash tore; then everything committed is there. */
        struct evlog *log;
        struct evlog_options options = {.disk = fake_disk_of(fake), .segment_bytes = 1 << 20};
        if (evlog_open(d.log, &options, &log, &f) != OK)
            fail_msg("%s", f.text);
        if (recover(&d, &whole, &r, &f) != OK)
            fail_msg("%s", f.text);
        assert_true(engine_batch(r.engine) >= committed);
        if (engine_batch(r.engine) > 0)
            assert_int_equal(engine_hash(r.engine), hashes[engine_batch(r.engine)]);
        recovered_fini(&r);
        evlog_free(log);
        fake_disk_free(fake);
    }
}

/* ---- scenarios ----------------------------------------------------------------------------------- */

static void a_scenario_that_fails_says_why(void **state)
{
    (void)state;
    struct programme_folder folder;
    struct shelf shelf;
    struct arena arena;
    struct findings findings;
    const struct scenario *list;
    uint32_t count;
    small_folder(&folder);
    shelf_init(&shelf, NULL);
    arena_init(&arena, 65536);
    findings_init(&findings);
    struct plan *plan = small_plan(&folder, &shelf);
    assert_int_equal(scenarios_read(&folder, plan, shelf.names, &arena, &list, &count, &findings),
                     OK);
    assert_int_equal(count, 2);
    struct scenario_result result;
    assert_false(scenario_run(&shelf, plan, &list[0], &arena, &result));
    assert_int_equal(result.failure_count, 1);
    assert_true(str_is(result.failures[0].expected, "ann: hello is not sent"));
    assert_true(str_starts(result.failures[0].got, STR("sent at 2026-03-02 13:01:00")));
    assert_true(str_find(result.failures[0].story, STR("enters cart"), 0) != SIZE_MAX);
    assert_true(scenario_run(&shelf, plan, &list[1], &arena, &result));
    findings_fini(&findings);
    arena_fini(&arena);
    shelf_fini(&shelf);
    programme_folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the same seed gives the same people", same_seed_same_people),
        TEST("every made-up event has a message id of its own", message_ids_are_their_own),
        TEST("recovery rebuilds the state, from the log and from a snapshot",
             recovery_rebuilds_the_state),
        TEST("a snapshot that is damaged is passed over",
             a_snapshot_that_is_damaged_is_passed_over),
        TEST("a damaged snapshot is not kept as one of two",
             a_damaged_snapshot_is_not_kept_as_one_of_two),
        TEST("a snapshot that another release wrote is passed over",
             a_snapshot_of_another_release_is_passed_over),
        TEST("a start makes the results that a snapshot was ahead of",
             a_start_makes_the_results_that_a_snapshot_was_ahead_of),
        TEST(
            "where there is no older snapshot, the results that it was ahead of are made from the beginning",
            without_an_older_snapshot_results_are_made_from_the_beginning),
        TEST("no start goes on behind an end of the log that is lost",
             no_start_goes_on_behind_an_end_that_is_lost),
        TEST("a disk that fails at a start is what the start speaks of",
             a_disk_that_fails_at_a_start_is_what_the_start_speaks_of),
        TEST("results that do not agree stop recovery and name the batch",
             results_that_do_not_agree_stop_recovery),
        TEST("a crash at any moment loses nothing that was committed",
             crashes_lose_nothing_that_was_committed),
        TEST("a scenario that fails says what was expected, what came, and why",
             a_scenario_that_fails_says_why),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
