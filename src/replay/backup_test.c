/* Backups on a disk that fails: what was restored is what was backed up, an older backup outlives a newer one that
 * does not become whole, and what is damaged is named.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "replay/backup.h"
#include "os/file.h"
#include "replay/fixture.h"

static void live(struct shop *s, uint32_t events)
{
    struct fault f = {0};
    for (uint32_t i = 0; i < events; i++)
        assert_true(shop_step(s));
    assert_int_equal(world_commit(s->world, &f), OK);
}

static void back_up(const struct shop *s, struct backup *b)
{
    struct fault f = {0};
    if (backup_write(&s->directory, "/backup", b, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(b->batch, engine_batch(world_engine(s->world)));
}

static void what_was_restored_is_what_was_backed_up(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct shop s;
    struct fault f = {0};
    struct backup b, read;
    struct directory d;
    struct recovered r;
    struct recover_options options = {0};
    uint64_t hash;
    assert_true(shop_open(&s, disk, 6, 150, 8, NULL));
    live(&s, 200);
    back_up(&s, &b); /* no snapshot yet */
    assert_int_equal(b.snapshot, 0);
    backup_fini(&b);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    live(&s, 300);
    assert_int_equal(os_write_whole(disk, "/shop/held", STR("not to be sent twice"), &f), OK);
    assert_int_equal(os_write_whole(disk, "/shop/erased", STR("wend-erased 1\n"), &f), OK);
    back_up(&s, &b);
    assert_true(b.snapshot > 0);
    if (backup_read(disk, "/backup", &read, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(read.count, b.count);
    assert_int_equal(read.batch, b.batch);
    if (backup_verify(disk, "/backup", &read, "/scratch", &hash, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(hash, engine_hash(world_engine(s.world)));
    assert_false(os_exists(disk, "/scratch"));
    assert_int_equal(backup_restore(disk, "/backup", &read, "/again", &f), OK);
    assert_false(os_exists(disk, "/again/held"));
    assert_false(os_exists(disk, "/again/erased"));
    assert_int_equal(directory_open(disk, "/again", &d, &f), OK);
    assert_int_equal(recover(&d, &options, &r, &f), OK);
    assert_int_equal(engine_hash(r.engine), engine_hash(world_engine(s.world)));
    recovered_fini(&r);
    assert_int_equal(backup_restore(disk, "/backup", &read, "/again", &f), FIX_INPUT);
    assert_true(str_find(str_of(f.text), STR("not empty"), 0) != SIZE_MAX);
    backup_fini(&read);
    /* The same again writes nothing new. */
    uint64_t before = b.count;
    backup_fini(&b);
    back_up(&s, &b);
    assert_int_equal(b.count, before);
    assert_int_equal(b.new_count, 0);
    backup_fini(&b);
    assert_int_equal(directory_make(disk, "/other", NULL, &d, &f), OK);
    assert_int_equal(os_write_whole(disk, "/something", STR("x"), &f), OK);
    shop_close(&s);
    fake_disk_free(fake);
}

/* A newer backup over an older one fails at a call: the older or the newer is there, whole. */
static bool outlives(enum fake_fault fault, uint64_t call)
{
    struct fake_disk *fake = fake_disk_new(900 + call);
    struct os_disk *disk = fake_disk_of(fake);
    struct shop s;
    struct fault f = {0};
    struct backup b, read;
    uint64_t hash;
    assert_true(shop_open(&s, disk, 6, 40, 5, NULL));
    live(&s, 40);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    back_up(&s, &b);
    uint64_t first = b.batch;
    backup_fini(&b);
    live(&s, 40);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    uint64_t second = engine_batch(world_engine(s.world));
    fake_disk_fail_at(fake, fake_disk_calls(fake) + call, fault);
    enum status status = backup_write(&s.directory, "/backup", &b, &f);
    backup_fini(&b);
    bool was_met = fake_disk_has_failed(fake);
    assert_true(was_met || status == OK);
    fake_disk_fail_at(fake, 0, FAKE_NONE);
    if (fault == FAKE_CRASH)
        fake_disk_restart(fake);
    f = (struct fault){0};
    if (backup_read(disk, "/backup", &read, &f) != OK)
        fail_msg("call %lu: %s", call, f.text);
    if (read.batch != first && read.batch != second)
        fail_msg("fault %d at call %lu: batch %lu, not %lu or %lu", fault, call, read.batch, first,
                 second);
    assert_true(read.batch == second || status != OK);
    if (call % 5 == 0 && backup_verify(disk, "/backup", &read, "/scratch", &hash, &f) != OK)
        fail_msg("call %lu: %s", call, f.text);
    backup_fini(&read);
    shop_close(&s);
    fake_disk_free(fake);
    return was_met;
}

static void the_older_backup_outlives_what_goes_wrong(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_CRASH, FAKE_FULL, FAKE_EIO};
    for (uint32_t k = 0; k < array_count(faults); k++) {
        uint64_t call = 1;
        while (outlives(faults[k], call))
            call += 1 + call / 24;
        assert_true(call > 20);
    }
}

/* A restore that ends in the middle leaves nothing that can be served. */
static void a_restore_that_was_interrupted_is_no_data_directory(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call += 1 + call / 12) {
        struct fake_disk *fake = fake_disk_new(call);
        struct os_disk *disk = fake_disk_of(fake);
        struct shop s;
        struct fault f = {0};
        struct backup b;
        struct directory d;
        assert_true(shop_open(&s, disk, 6, 40, 5, NULL));
        live(&s, 40);
        back_up(&s, &b);
        fake_disk_fail_at(fake, fake_disk_calls(fake) + call, FAKE_CRASH);
        enum status status = backup_restore(disk, "/backup", &b, "/again", &f);
        bool was_met = fake_disk_has_failed(fake);
        fake_disk_restart(fake);
        f = (struct fault){0};
        bool is_there = directory_open(disk, "/again", &d, &f) == OK;
        assert_true(!is_there || status == OK || was_met);
        if (is_there) { /* then all of it is */
            struct recovered r;
            struct recover_options options = {0};
            if (recover(&d, &options, &r, &f) != OK)
                fail_msg("%s", f.text);
            assert_int_equal(engine_batch(r.engine), b.batch);
            recovered_fini(&r);
        }
        backup_fini(&b);
        shop_close(&s);
        fake_disk_free(fake);
        if (!was_met)
            break;
    }
}

static void what_is_damaged_is_named(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct shop s;
    struct fault f = {0};
    struct backup b, read;
    struct os_stat at;
    char path[OS_PATH_BYTES];
    assert_true(shop_open(&s, disk, 6, 40, 5, NULL));
    live(&s, 40);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    back_up(&s, &b);
    for (uint32_t i = 0; i < b.count; i++) {
        char name[OS_PATH_BYTES];
        snprintf(name, sizeof(name), "/backup/files/%s", b.files[i].hash);
        uint64_t place = b.files[i].bytes * (i % 3) / 3;
        fake_disk_damage(fake, name, place, 4);
        f = (struct fault){0};
        assert_int_equal(backup_read(disk, "/backup", &read, &f), FIX_INPUT);
        if (str_find(str_of(f.text), str_of(b.files[i].path), 0) == SIZE_MAX)
            fail_msg("%s is not named: %s", b.files[i].path, f.text);
        backup_fini(&read);
        fake_disk_damage(fake, name, place, 4);
    }
    assert_true(os_path_join(path, sizeof(path), "/backup", "manifest"));
    assert_int_equal(os_stat(disk, path, &at, &f), OK);
    for (uint64_t i = 0; i < at.bytes; i++) {
        fake_disk_damage(fake, path, i, 1);
        assert_int_equal(backup_read(disk, "/backup", &read, &f), FIX_INPUT);
        backup_fini(&read);
        fake_disk_damage(fake, path, i, 1);
    }
    f = (struct fault){0};
    assert_int_equal(os_write_whole(disk, path, STR("wend-backup 2\n"), &f), OK);
    assert_int_equal(backup_read(disk, "/backup", &read, &f), FIX_INPUT);
    assert_true(str_find(str_of(f.text), STR("newer release"), 0) != SIZE_MAX);
    backup_fini(&read);
    backup_fini(&b);
    shop_close(&s);
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what was restored is what was backed up", what_was_restored_is_what_was_backed_up),
        TEST("the older backup outlives whatever goes wrong with the newer one",
             the_older_backup_outlives_what_goes_wrong),
        TEST("a restore that was interrupted is no data directory",
             a_restore_that_was_interrupted_is_no_data_directory),
        TEST("what is damaged is named", what_is_damaged_is_named),
    };
    return cmocka_run_group_tests_name("replay/backup", tests, NULL, NULL);
}
