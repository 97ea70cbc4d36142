/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/programme.h"

#include "os/fake_disk.h"
#include "os/file.h"

#include "programme/test_programme.h"

static void folder_given(struct programme_folder *out, const char *journey, const char *zones)
{
    const struct programme_file files[] = {
        {STR("programme.yaml"), STR("name: T\n")},
        {STR("journeys/j.yaml"), str_of(journey)},
    };
    struct fault f = {0};
    assert_int_equal(programme_folder_of(files, 2, str_of(zones), out, &f), OK);
}

static void hash_of_content(void **state)
{
    (void)state;
    struct programme_folder a, b, c, d, e;
    folder_given(&a, "journey: j\n", "z");
    folder_given(&b, "journey: j\n", "z");
    folder_given(&c, "journey: k\n", "z");
    folder_given(&d, "journey: j\n", "y");
    const struct programme_file turned[] = {
        {STR("journeys/j.yaml"), STR("journey: j\n")},
        {STR("programme.yaml"), STR("name: T\n")},
    };
    assert_int_equal(programme_folder_of(turned, 2, STR("z"), &e, NULL), OK);
    assert_int_equal(strlen(a.hash), 64);
    assert_string_equal(a.hash, b.hash);
    assert_string_equal(a.hash, e.hash);
    assert_string_not_equal(a.hash, c.hash);
    assert_string_not_equal(a.hash, d.hash);
    /* Made from the bytes of folder.c's essay with another program. */
    assert_string_equal(a.hash, "91fec1fda30fa2cd0ea5d5b07681d861ae3a8b85224fc22f19113e42aeb40b6b");
    programme_folder_fini(&a);
    programme_folder_fini(&b);
    programme_folder_fini(&c);
    programme_folder_fini(&d);
    programme_folder_fini(&e);
}

static void refused(void **state)
{
    (void)state;
    struct programme_folder folder;
    struct fault f = {0};
    const struct programme_file twice[] = {
        {STR("programme.yaml"), STR("a")},
        {STR("programme.yaml"), STR("b")},
    };
    assert_int_equal(programme_folder_of(twice, 2, STR(""), &folder, &f), FIX_INPUT);
    assert_string_equal(f.text, "the file programme.yaml is there twice");
    f = (struct fault){0};
    assert_int_equal(programme_folder_of(twice, 0, STR(""), &folder, &f), FIX_INPUT);
    assert_string_equal(f.text, "there is no programme.yaml: this folder is not a programme");
}

static void bounded(void **state)
{
    (void)state;
    struct programme_folder folder;
    char *text = malloc(PROGRAMME_FILE_BYTES_MAX + 1);
    memset(text, ' ', PROGRAMME_FILE_BYTES_MAX + 1);
    struct programme_file file = {STR("programme.yaml"), {text, PROGRAMME_FILE_BYTES_MAX}};
    assert_int_equal(programme_folder_of(&file, 1, STR(""), &folder, NULL), OK);
    programme_folder_fini(&folder);
    file.text.len++;
    assert_int_equal(programme_folder_of(&file, 1, STR(""), &folder, NULL), FIX_INPUT);
    free(text);
}

static void write_file(struct os_disk *disk, const char *path, const char *text)
{
    char folder[OS_PATH_BYTES];
    struct fault f = {0};
    assert_true(os_path_dir(folder, sizeof(folder), path));
    assert_int_equal(os_make_dirs(disk, folder, &f), OK);
    assert_int_equal(os_write_whole(disk, path, str_of(text), &f), OK);
}

static void read_from_disk(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    write_file(disk, "p/programme.yaml", "name: T\n");
    write_file(disk, "p/journeys/j.yaml", "journey: j\n");
    write_file(disk, "p/messages/m/message.yaml", "category: a\n");
    write_file(disk, "p/messages/m/.email.swp", "x");
    write_file(disk, "p/messages/m/email.txt.liquid~", "x");
    write_file(disk, "p/README.md", "x");
    write_file(disk, "p/.git/config", "x");
    write_file(disk, "p/other/x.yaml", "x");
    struct programme_folder folder;
    struct fault f = {0};
    assert_int_equal(programme_folder_read(disk, "p", STR("z"), &folder, &f), OK);
    assert_int_equal(folder.file_count, 3);
    assert_string_equal(folder.files[0].path.at, "journeys/j.yaml");
    assert_string_equal(folder.files[1].path.at, "messages/m/message.yaml");
    assert_string_equal(folder.files[2].path.at, "programme.yaml");
    assert_string_equal(folder.files[2].text.at, "name: T\n");
    assert_null(programme_folder_find(&folder, STR("README.md")));
    programme_folder_fini(&folder);
    assert_int_equal(programme_folder_read(disk, "q", STR("z"), &folder, &f), FIX_INPUT);
    assert_string_equal(f.text, "there is no folder q");
    fake_disk_free(fake);
}

static void stored_and_recalled(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(2);
    struct os_disk *disk = fake_disk_of(fake);
    struct programme_folder folder, again;
    struct fault f = {0};
    folder_given(&folder, "journey: j\n", "some zones");
    assert_int_equal(os_make_dirs(disk, "data/programmes", &f), OK);
    assert_int_equal(programme_store(disk, "data/programmes", &folder, &f), OK);
    assert_int_equal(programme_store(disk, "data/programmes", &folder, &f), OK);
    assert_int_equal(programme_recall(disk, "data/programmes", folder.hash, &again, &f), OK);
    assert_string_equal(again.hash, folder.hash);
    assert_int_equal(again.file_count, 2);
    assert_string_equal(again.zones.at, "some zones");
    programme_folder_fini(&again);

    char path[OS_PATH_BYTES];
    snprintf(path, sizeof(path), "data/programmes/%s/files/journeys/j.yaml", folder.hash);
    write_file(disk, path, "journey: somebody else's\n");
    assert_int_equal(programme_recall(disk, "data/programmes", folder.hash, &again, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "is damaged"));
    f = (struct fault){0};
    assert_int_equal(programme_recall(disk, "data/programmes", "0123", &again, &f), GIVE_UP);
    programme_folder_fini(&folder);
    fake_disk_free(fake);
}

/* The plug is pulled at every call of a store in turn. */
static void survives_crashes(void **state)
{
    (void)state;
    struct programme_folder folder, again;
    folder_given(&folder, "journey: j\n", "some zones");
    for (uint64_t call = 1;; call++) {
        struct fake_disk *fake = fake_disk_new(call);
        struct os_disk *disk = fake_disk_of(fake);
        struct fault f = {0};
        assert_int_equal(os_make_dirs(disk, "programmes", &f), OK);
        assert_int_equal(os_sync_dir(disk, ".", &f), OK);
        fake_disk_fail_at(fake, fake_disk_calls(fake) + call, FAKE_CRASH);
        enum status stored = programme_store(disk, "programmes", &folder, &f);
        bool has_failed = fake_disk_has_failed(fake);
        fake_disk_restart(fake);
        f = (struct fault){0};
        if (stored == OK) /* what was said to be stored is there */
            assert_int_equal(programme_recall(disk, "programmes", folder.hash, &again, &f), OK);
        else
            assert_int_equal(programme_store(disk, "programmes", &folder, &f), OK);
        if (stored != OK)
            assert_int_equal(programme_recall(disk, "programmes", folder.hash, &again, &f), OK);
        assert_string_equal(again.hash, folder.hash);
        programme_folder_fini(&again);
        fake_disk_free(fake);
        if (!has_failed) {
            assert_true(call > 10);
            break;
        }
    }
    programme_folder_fini(&folder);
}

static void real_zones(void **state)
{
    (void)state;
    struct buf bytes;
    struct fault f = {0};
    if (!os_exists(os_disk_real(), "/usr/share/zoneinfo/tzdata.zi"))
        skip();
    buf_init(&bytes);
    assert_int_equal(programme_zones(os_disk_real(), NULL, &bytes, &f), OK);
    struct zoneset *set;
    assert_int_equal(zoneset_read(buf_str(&bytes), &set, &f), OK);
    assert_int_not_equal(zoneset_find(set, STR("Europe/London")), ZONE_NONE);
    zoneset_free(set);
    buf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the hash is that of paths, texts and zones, whatever their order", hash_of_content),
        TEST("a folder without programme.yaml, or with a file twice, is none", refused),
        TEST("a file may have so many bytes and no more", bounded),
        TEST("a programme's files are read and all others left alone", read_from_disk),
        TEST("what is stored is recalled, and refused where it is damaged", stored_and_recalled),
        TEST("a store that was interrupted anywhere is made good by the next", survives_crashes),
        TEST("the machine's zone data can be had", real_zones),
    };
    return cmocka_run_group_tests_name("programme/folder", tests, NULL, NULL);
}
