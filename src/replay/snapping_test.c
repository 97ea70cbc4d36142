/* Snapshots that are taken while a shop goes on: each is the state of one moment, a crash or a full disk at any
 * call leaves the ones before, and a byte that is wrong is found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "os/file.h"
#include "replay/fixture.h"

/* What the server does, in one thread. */
struct roll {
    struct snapping *snapping;
    enum status status;
    struct fault f;
};

static void put_piece(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct roll *r = self;
    if (r->status == OK)
        r->status = snapping_put(r->snapping, section, partition, bytes, &r->f);
}

static bool roll_begin(struct roll *r, const struct shop *s)
{
    struct engine *e = world_engine(s->world);
    struct release here = release_here();
    *r = (struct roll){0};
    r->status =
        snapping_begin(&s->directory, engine_batch(e), engine_now(e), &here, &r->snapping, &r->f);
    if (r->status == OK)
        engine_save_begin(e);
    return r->status == OK;
}

/* One piece more; false when it is over, well or not. */
static bool roll_on(struct roll *r, const struct shop *s, uint64_t work)
{
    struct engine *e = world_engine(s->world);
    enum save_state state = engine_save_step(e, work, r, put_piece);
    if (state == SAVE_GOES_ON && r->status == OK)
        return true;
    uint64_t hash = state == SAVE_IS_WHOLE ? engine_save_hash(e) : 0;
    engine_save_end(e);
    if (state == SAVE_IS_WHOLE && r->status == OK)
        r->status = snapping_commit(r->snapping, hash, &r->f);
    else
        snapping_abandon(r->snapping);
    return false;
}

/* To look at it, with the state's hash found out again, or to go on. */
static void must_recover_to(const struct shop *s, bool is_to_write, struct recovered *r)
{
    struct recover_options options = {.is_to_write = is_to_write};
    struct fault f = {0};
    if (recover(&s->directory, &options, r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_hash(r->engine), engine_hash(world_engine(s->world)));
    assert_int_equal(engine_audit(r->engine, NULL, NULL), 0);
}

static void must_recover(const struct shop *s, struct recovered *r)
{
    must_recover_to(s, false, r);
}

static void a_snapshot_taken_in_pieces_is_the_state_of_its_moment(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(3);
    struct shop s;
    struct roll roll;
    struct fault f = {0};
    bool is_on = false;
    uint32_t whole = 0;
    assert_true(shop_open(&s, fake_disk_of(fake), 5, 120, 6, NULL));
    for (uint32_t i = 0; synth_next_ms(s.synth) != FOREVER_MS; i++) {
        assert_true(shop_step(&s));
        if (!is_on && i % 50 == 49) {
            is_on = roll_begin(&roll, &s);
            assert_true(is_on);
        } else if (is_on) {
            is_on = roll_on(&roll, &s, 1000 + i * 7919 % 60000);
            whole += !is_on;
            assert_int_equal(roll.status, OK);
        }
    }
    while (is_on)
        is_on = roll_on(&roll, &s, 100000);
    assert_int_equal(world_commit(s.world, &f), OK);
    assert_true(whole > 3);

    struct recovered r;
    must_recover(&s, &r); /* from the newest, and what came after */
    assert_true(r.snapshot_batch > 100);
    assert_int_equal(r.snapshots_refused, 0);
    recovered_fini(&r);
    struct recover_options options = {.from_beginning = true, .checks_hashes = true};
    if (recover(&s.directory, &options, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(r.hashes_compared, SNAPSHOTS_KEPT);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

static void another_programme_ends_the_snapshot_under_way(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(3);
    struct shop s;
    struct roll roll;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 5, 40, 3, NULL));
    for (uint32_t i = 0; i < 200; i++)
        assert_true(shop_step(&s));
    assert_true(roll_begin(&roll, &s));
    assert_true(roll_on(&roll, &s, 1000));
    assert_int_equal(world_activate(s.world, s.shelf.plans[0], &f), OK);
    assert_int_equal(engine_save_step(world_engine(s.world), 1000, &roll, put_piece), SAVE_IS_LOST);
    assert_false(roll_on(&roll, &s, 1000));
    assert_int_equal(world_commit(s.world, &f), OK);
    struct recovered r;
    must_recover(&s, &r);
    assert_int_equal(r.snapshot_batch, 0);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

/* A shop that has a snapshot, and takes another one while it goes on, at one of whose calls the disk fails. */
static bool lives_over(enum fake_fault fault, uint64_t call, uint64_t *refused)
{
    struct fake_disk *fake = fake_disk_new(700 + call);
    struct shop s;
    struct roll roll;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 8, 25, 3, NULL));
    for (uint32_t i = 0; i < 100; i++)
        assert_true(shop_step(&s));
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    uint64_t first = engine_batch(world_engine(s.world));
    for (uint32_t i = 0; i < 100; i++)
        assert_true(shop_step(&s));
    assert_int_equal(world_commit(s.world, &f), OK);
    uint64_t second = engine_batch(world_engine(s.world));
    fake_disk_fail_at(fake, fake_disk_calls(fake) + call, fault);
    if (roll_begin(&roll, &s))
        while (roll_on(&roll, &s, 20000))
            continue;
    bool was_met = fake_disk_has_failed(fake);
    fake_disk_fail_at(fake, 0, FAKE_NONE);
    if (fault == FAKE_CRASH)
        fake_disk_restart(fake);
    struct recovered r;
    must_recover(&s, &r);
    assert_true(r.snapshot_batch == first || r.snapshot_batch == second);
    /* Unless the disk died, what does not become whole leaves nothing behind and the next one does. */
    *refused += r.snapshots_refused;
    recovered_fini(&r);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    must_recover(&s, &r);
    assert_int_equal(r.snapshot_batch, second);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
    return was_met;
}

static void whatever_the_disk_does_there_is_a_snapshot(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_CRASH, FAKE_FULL, FAKE_EIO};
    for (uint32_t k = 0; k < array_count(faults); k++) {
        uint64_t calls = 0, refused = 0;
        while (lives_over(faults[k], calls + 1, &refused))
            calls++;
        assert_true(calls >= 6);      /* open, write, sync, rename, sync of the folder, removing */
        assert_int_equal(refused, 0); /* what has its name is whole */
    }
}

static void a_byte_that_is_wrong_is_found(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    struct os_stat at;
    char path[OS_PATH_BYTES];
    assert_true(shop_open(&s, fake_disk_of(fake), 4, 20, 3, NULL));
    for (uint32_t i = 0; i < 60; i++)
        assert_true(shop_step(&s));
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    uint64_t first = engine_batch(world_engine(s.world));
    for (uint32_t i = 0; i < 20; i++)
        assert_true(shop_step(&s));
    assert_int_equal(world_commit(s.world, &f), OK);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    assert_true(snapshot_path(path, sizeof(path), s.directory.snapshots,
                              engine_batch(world_engine(s.world))));
    assert_int_equal(os_stat(s.disk, path, &at, &f), OK);
    /* The whole header, index and trailer, and a sample of the chunks: their heads, bytes and sums. */
    for (uint64_t i = 0; i < at.bytes; i += i < 400 || i + 200 > at.bytes ? 1 : at.bytes / 200) {
        struct recovered r;
        fake_disk_damage(fake, path, i, (uint8_t)(1u << i % 8));
        must_recover_to(&s, i % 2 == 0, &r);
        assert_int_equal(r.snapshots_refused, 1);
        assert_int_equal(r.snapshot_batch, first);
        recovered_fini(&r);
        fake_disk_damage(fake, path, i, (uint8_t)(1u << i % 8));
    }
    shop_close(&s);
    fake_disk_free(fake);
}

static void a_hash_that_is_not_the_states_is_found_by_whoever_looks(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(3);
    struct shop s;
    struct roll roll;
    struct fault f = {0};
    struct recovered r;
    assert_true(shop_open(&s, fake_disk_of(fake), 5, 60, 3, NULL));
    for (uint32_t i = 0; i < 100; i++)
        assert_true(shop_step(&s));
    assert_int_equal(world_commit(s.world, &f), OK);
    assert_true(roll_begin(&roll, &s));
    struct engine *e = world_engine(s.world);
    while (engine_save_step(e, 10000000, &roll, put_piece) == SAVE_GOES_ON)
        continue;
    uint64_t hash = engine_save_hash(e);
    uint64_t batch = engine_batch(e);
    engine_save_end(e);
    assert_int_equal(roll.status, OK);
    assert_int_equal(snapping_commit(roll.snapping, hash + 1, &f), OK);
    must_recover_to(&s, false, &r);
    assert_int_equal(r.snapshots_refused, 1);
    assert_int_equal(r.snapshot_batch, 0);
    assert_non_null(strstr(r.snapshot_fault.text, "does not have the state that it says"));
    recovered_fini(&r);
    must_recover_to(&s, true, &r); /* the bytes are whole, and this release wrote them */
    assert_int_equal(r.snapshots_refused, 0);
    assert_int_equal(r.snapshot_batch, batch);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a snapshot taken in pieces is the state of its moment",
             a_snapshot_taken_in_pieces_is_the_state_of_its_moment),
        TEST("another programme ends the snapshot under way",
             another_programme_ends_the_snapshot_under_way),
        TEST("whatever the disk does while one is written, there is a snapshot",
             whatever_the_disk_does_there_is_a_snapshot),
        TEST("a byte that is wrong anywhere is found, and the snapshot before it is taken",
             a_byte_that_is_wrong_is_found),
        TEST("a hash that is not the state's is found by whoever looks",
             a_hash_that_is_not_the_states_is_found_by_whoever_looks),
    };
    return cmocka_run_group_tests_name("replay/snapping", tests, NULL, NULL);
}
