/* SPDX-License-Identifier: Apache-2.0 */
#include "server/keys.h"

#include "os/fake_disk.h"
#include "os/file.h"
#include "test.h"

static void options(void **state)
{
    (void)state;
    struct keys k;
    struct fault f = {0};
    keys_init(&k);
    assert_int_equal(keys_add(&k, "wk_1=shop", 0, &f), OK);
    assert_int_equal(keys_add(&k, "sk_1", INGEST_KEY_SERVER, &f), OK);
    assert_int_equal(keys_add(&k, "wk_2=a=b", 0, &f), OK);
    assert_true(str_is(k.list[0].key, "wk_1"));
    assert_true(str_is(k.list[0].source, "shop"));
    assert_int_equal(k.list[0].flags, 0);
    assert_true(str_is(k.list[1].key, "sk_1"));
    assert_true(str_is(k.list[1].source, "server"));
    assert_int_equal(k.list[1].flags, INGEST_KEY_SERVER);
    assert_true(str_is(k.list[2].source, "a=b"));
    assert_false(k.is_new);
    keys_fini(&k);
}

static void most(void **state)
{
    (void)state;
    struct keys k;
    struct fault f = {0};
    keys_init(&k);
    for (uint32_t i = 0; i < KEYS_MAX; i++)
        assert_int_equal(keys_add(&k, "k=s", 0, &f), OK);
    assert_int_equal(keys_add(&k, "k=s", 0, &f), FIX_INPUT);
    keys_fini(&k);
}

static void makes(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct keys made, read, other;
    struct fault f = {0};
    keys_init(&made);
    keys_init(&read);
    keys_init(&other);
    assert_int_equal(keys_load(&made, disk, "keys.json", &f), OK);
    assert_true(made.is_new);
    assert_int_equal(made.count, 2);
    assert_int_equal(made.list[0].flags, 0);
    assert_int_equal(made.list[1].flags, INGEST_KEY_SERVER);
    assert_true(made.list[1].key.len >= 30);
    fake_disk_restart(fake);
    assert_int_equal(keys_load(&read, disk, "keys.json", &f), OK);
    assert_false(read.is_new);
    assert_int_equal(read.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(str_equal(read.list[i].key, made.list[i].key));
        assert_true(str_equal(read.list[i].source, made.list[i].source));
        assert_int_equal(read.list[i].flags, made.list[i].flags);
    }
    assert_int_equal(keys_load(&other, disk, "other.json", &f), OK);
    assert_false(str_equal(other.list[0].key, made.list[0].key));
    assert_false(str_equal(other.list[1].key, made.list[1].key));
    keys_fini(&made);
    keys_fini(&read);
    keys_fini(&other);
    fake_disk_free(fake);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"keys\": []}",
        "{\"keys\": [{\"key\": \"k\", \"source\": \"s\"}]}",
        "{\"keys\": [{\"key\": \"k\", \"source\": \"s\", \"kind\": \"admin\"}]}",
    };
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    for (size_t i = 0; i < array_count(texts); i++) {
        struct keys k;
        struct fault f = {0};
        keys_init(&k);
        assert_int_equal(os_write_whole(disk, "keys.json", str_of(texts[i]), &f), OK);
        assert_int_equal(keys_load(&k, disk, "keys.json", &f), FIX_INPUT);
        assert_true(str_find(str_of(f.text), STR("keys.json"), 0) != SIZE_MAX);
        keys_fini(&k);
    }
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("KEY=source and KEY alone are read", options),
        TEST("there is a bound on keys", most),
        TEST("where there is no file it is made once, with keys nobody can guess", makes),
        TEST("a file that is wrong is refused and named", refuses),
    };
    return cmocka_run_group_tests_name("server/keys", tests, NULL, NULL);
}
