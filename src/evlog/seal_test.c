/* SPDX-License-Identifier: Apache-2.0 */
#include "evlog/seal.h"

#include "evlog/fixture.h"
#include "evlog/sealed_int.h"

struct life {
    struct fake_disk *fake;
    struct os_disk *disk;
    struct memory m;
    struct dice d;
    uint64_t newest;
};

/* A log of several closed segments, and an open one; closed. */
static struct life make_log(uint64_t seed, int commits)
{
    struct life l = {.fake = fake_disk_new(seed), .d = {.seed = seed}};
    l.disk = fake_disk_of(l.fake);
    memory_init(&l.m);
    struct evlog_options options = {.disk = l.disk, .segment_bytes = 8192, .log_id = 77};
    struct evlog *log = NULL;
    assert_int_equal(evlog_open(FIXTURE_DIR, &options, &log, NULL), OK);
    for (int i = 0; i < commits; i++) {
        assert_int_equal(write_some(log, &l.m, &l.d, 12), OK);
        if (happens(&l.d, 12)) { /* an orderly end in the middle of a segment */
            assert_int_equal(evlog_close(log, NULL), OK);
            assert_int_equal(evlog_open(FIXTURE_DIR, &options, &log, NULL), OK);
        }
    }
    l.newest = evlog_batch_durable(log);
    assert_int_equal(evlog_close(log, NULL), OK);
    return l;
}

static void end(struct life *l)
{
    memory_fini(&l->m);
    fake_disk_free(l->fake);
}

static struct keystore *open_keys(struct os_disk *disk, const struct master_key *master)
{
    struct keystore *keys = NULL;
    struct fault f = {0};
    enum status status = keystore_open(disk, FIXTURE_DIR, master, &keys, &f);
    if (status != OK)
        print_message("%s: %s\n", f.file, f.text);
    assert_int_equal(status, OK);
    return keys;
}

static enum status seal_all(struct os_disk *disk, struct seal_counts *counts, struct fault *f)
{
    struct keystore *keys;
    enum status status = keystore_open(disk, FIXTURE_DIR, NULL, &keys, f);
    if (status != OK)
        return status;
    struct seal_options o = {.disk = disk, .dir = FIXTURE_DIR, .keys = keys};
    status = seal_segments(&o, counts, f);
    keystore_close(keys);
    return status;
}

static uint32_t plain_segments(struct os_disk *disk)
{
    uint32_t count;
    assert_int_equal(seal_count_plain(disk, FIXTURE_DIR, &count, NULL), OK);
    return count;
}

static void what_is_sealed_reads_back_from_any_batch(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct life l = make_log(seed, 60);
        struct seal_counts counts;
        uint32_t segments = plain_segments(l.disk);
        assert_true(segments > 3);
        assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
        assert_int_equal(counts.segments, segments - 1);
        assert_int_equal(plain_segments(l.disk), 1);
        for (uint64_t from = 1; from <= l.newest; from++)
            assert_reads_back(l.disk, &l.m, from, l.newest);
        assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
        assert_int_equal(counts.segments, 0);

        /* It goes on. */
        struct evlog_options options = {.disk = l.disk, .segment_bytes = 8192};
        struct evlog *log;
        assert_int_equal(evlog_open(FIXTURE_DIR, &options, &log, NULL), OK);
        for (int i = 0; i < 20; i++)
            assert_int_equal(write_some(log, &l.m, &l.d, 12), OK);
        assert_int_equal(evlog_roll(log, NULL), OK);
        l.newest = evlog_batch_durable(log);
        assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
        assert_reads_back(l.disk, &l.m, 1, l.newest);
        assert_int_equal(evlog_close(log, NULL), OK);
        assert_int_equal(evlog_open(FIXTURE_DIR, &options, &log, NULL), OK);
        assert_true(evlog_batch_durable(log) == l.newest);
        assert_int_equal(evlog_close(log, NULL), OK);
        end(&l);
    }
}

static void a_crash_at_any_step_leaves_a_log_that_reads_back_and_can_be_sealed(void **state)
{
    (void)state;
    uint32_t crashes = 0;
    for (uint64_t call = 1;; call += 1 + call / 40) {
        struct life l = make_log(9, 16);
        struct seal_counts counts;
        fake_disk_restart(l.fake);
        fake_disk_fail_at(l.fake, call, FAKE_CRASH);
        enum status status = seal_all(l.disk, &counts, NULL);
        bool has_failed = fake_disk_has_failed(l.fake);
        assert_int_equal(status, has_failed ? GIVE_UP : OK);
        fake_disk_restart(l.fake);
        assert_reads_back(l.disk, &l.m, 1, l.newest);
        assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
        assert_int_equal(plain_segments(l.disk), 1);
        assert_reads_back(l.disk, &l.m, 1, l.newest);
        end(&l);
        crashes += has_failed;
        if (!has_failed)
            break;
    }
    assert_true(crashes > 30);
}

static void a_disk_that_fails_or_is_full_is_told_and_nothing_is_lost(void **state)
{
    (void)state;
    for (uint32_t fault = FAKE_EIO; fault <= FAKE_FULL; fault++) {
        for (uint64_t call = 1;; call += 1 + call / 20) {
            struct life l = make_log(10, 12);
            struct seal_counts counts;
            fake_disk_restart(l.fake);
            fake_disk_fail_at(l.fake, call, (enum fake_fault)fault);
            enum status status = seal_all(l.disk, &counts, NULL);
            bool has_failed = fake_disk_has_failed(l.fake);
            fake_disk_fail_at(l.fake, 0, FAKE_NONE);
            if (fault == FAKE_EIO && has_failed)
                assert_int_not_equal(status, FIX_INPUT);
            if (!has_failed)
                assert_int_equal(status, OK);
            assert_reads_back(l.disk, &l.m, 1, l.newest);
            assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
            assert_reads_back(l.disk, &l.m, 1, l.newest);
            end(&l);
            if (!has_failed)
                break;
        }
    }
}

/* Every record of the owner has lost its personal part, every other has it. */
static void who_is_destroyed_is_lost_and_nobody_else(void **state)
{
    (void)state;
    struct life l = make_log(3, 40);
    struct seal_counts counts;
    struct fault f = {0};
    uint32_t lost = 0, left = 0, destroyed;
    assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
    const struct record *first = NULL;
    for (uint64_t n = 1; first == NULL; n++)
        for (uint32_t i = 0; i < l.m.batches[n].count && first == NULL; i++)
            if (id128_is_set(l.m.batches[n].records[i].user) &&
                l.m.batches[n].records[i].personal.bytes > 0)
                first = &l.m.batches[n].records[i];
    struct id128 gone = first->user;
    struct keystore *keys = open_keys(l.disk, NULL);
    assert_int_equal(keystore_destroy(keys, &gone, 1, &destroyed, &f), OK);
    assert_int_equal(destroyed, 1);
    assert_int_equal(keystore_destroy(keys, &gone, 1, &destroyed, &f), OK);
    assert_int_equal(destroyed, 0);
    uint8_t key[KEY_BYTES];
    uint32_t before = keystore_count(keys);
    assert_int_equal(keystore_take(keys, gone, key), before); /* who comes back gets another one */
    keystore_close(keys);

    struct evlog_reader *r;
    struct evlog_item item;
    assert_int_equal(evlog_reader_open(l.disk, FIXTURE_DIR, 1, &r, &f), OK);
    for (;;) {
        assert_int_equal(evlog_reader_next(r, &item, &f), OK);
        if (item.kind == EVLOG_END)
            break;
        for (uint32_t i = 0; item.kind == EVLOG_BATCH && i < item.batch.count; i++) {
            const struct record *is = &item.batch.records[i];
            const struct record *was = &l.m.batches[item.number].records[i];
            bool is_gone = id128_equal(was->user, gone);
            assert_true(id128_equal(is->user, was->user));
            assert_same_body(is->clear, was->clear);
            if (is_gone)
                assert_int_equal(record_personal(is).bytes, 0);
            else
                assert_same_body(record_personal(is), was->personal);
            lost += is_gone;
            left += !is_gone;
        }
    }
    evlog_reader_close(r);
    assert_true(lost > 0 && left > 50);
    end(&l);
}

static void read_file(struct os_disk *disk, const char *path, struct buf *out)
{
    out->len = 0;
    assert_int_equal(os_read_whole(disk, path, 1 << 20, out, NULL), OK);
}

/* A byte of damage is told, wherever it is: as damage, or as another content. Never is anything else read. */
static void damage_to_any_byte_is_told(void **state)
{
    (void)state;
    struct life l = make_log(4, 14);
    struct seal_counts counts;
    struct buf b;
    buf_init(&b);
    assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
    assert_true(counts.segments >= 1);
    const char *path = FIXTURE_DIR "/0000000000000001.seg";
    read_file(l.disk, path, &b);
    for (size_t i = 0; i < b.len; i++) {
        struct fault f = {0};
        enum status ended;
        struct evlog_reader *r;
        fake_disk_damage(l.fake, path, i, (uint8_t)(1u << i % 8));
        struct evlog_item item = {.kind = EVLOG_BATCH};
        ended = evlog_reader_open(l.disk, FIXTURE_DIR, 1, &r, &f);
        assert_int_equal(ended, OK);
        while (ended == OK && item.kind != EVLOG_END)
            ended = evlog_reader_next(r, &item, &f);
        evlog_reader_close(r);
        assert_int_equal(ended, GIVE_UP);
        assert_true(f.text[0] != '\0');
        if (i + 64 >=
            b.len) { /* the mark says that it is sealed: it is not taken for a plain one */
            f = (struct fault){0};
            assert_int_equal(seal_all(l.disk, &counts, &f), GIVE_UP);
            assert_string_equal(f.file, path);
        }
        fake_disk_damage(l.fake, path, i, (uint8_t)(1u << i % 8));
    }
    assert_reads_back(l.disk, &l.m, 1, l.newest);

    /* A key that is damaged is not one that was destroyed. */
    read_file(l.disk, FIXTURE_DIR "/keys", &b);
    uint32_t told = 0;
    for (size_t i = 0; i < min_of(b.len, (size_t)640); i += 3) {
        struct fault f = {0};
        struct evlog_reader *r;
        struct evlog_item item = {.kind = EVLOG_BATCH};
        fake_disk_damage(l.fake, FIXTURE_DIR "/keys", i, 0x10);
        enum status status = evlog_reader_open(l.disk, FIXTURE_DIR, 1, &r, &f);
        while (status == OK && item.kind != EVLOG_END) {
            status = evlog_reader_next(r, &item, &f);
            for (uint32_t k = 0; status == OK && item.kind == EVLOG_BATCH && k < item.batch.count;
                 k++)
                (void)record_personal(&item.batch.records[k]);
        }
        told += status == GIVE_UP;
        evlog_reader_close(r);
        fake_disk_damage(l.fake, FIXTURE_DIR "/keys", i, 0x10);
    }
    assert_int_equal(told, (min_of(b.len, (size_t)640) + 2) / 3);
    buf_fini(&b);
    end(&l);
}

static void keys_are_wrapped_by_a_master_key(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct master_key master = {.is_given = true, .bytes = {1, 2, 3}}, other = master;
    struct id128 somebody = {5, 6};
    uint8_t key[KEY_BYTES], again[KEY_BYTES];
    struct fault f = {0};
    struct buf b;
    other.bytes[9] = 1;
    buf_init(&b);
    assert_int_equal(os_make_dirs(disk, FIXTURE_DIR, NULL), OK);
    struct keystore *k = open_keys(disk, &master);
    assert_int_equal(keystore_load(k, NULL), OK);
    assert_int_equal(keystore_take(k, somebody, key), 0);
    assert_int_equal(keystore_commit(k, NULL), OK);
    keystore_close(k);
    read_file(disk, FIXTURE_DIR "/keys", &b);
    assert_null(memmem(b.at, b.len, key, KEY_BYTES));

    k = open_keys(disk, &master);
    assert_int_equal(keystore_get(k, 0, somebody, again), KEY_LIVE);
    assert_memory_equal(key, again, KEY_BYTES);
    assert_int_equal(keystore_get(k, 0, (struct id128){5, 7}, again), KEY_DAMAGED);
    assert_int_equal(keystore_get(k, 1, somebody, again), KEY_DAMAGED);
    keystore_close(k);
    assert_int_equal(keystore_open(disk, FIXTURE_DIR, &other, &k, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "is not the one"));
    f = (struct fault){0};
    assert_int_equal(keystore_open(disk, FIXTURE_DIR, NULL, &k, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "WEND_MASTER_KEY"));
    buf_fini(&b);
    fake_disk_free(fake);
}

static void destroying_goes_on_after_a_crash_at_any_step(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        struct fake_disk *fake = fake_disk_new(call);
        struct os_disk *disk = fake_disk_of(fake);
        struct id128 people[8];
        uint8_t key[KEY_BYTES];
        uint32_t destroyed;
        assert_int_equal(os_make_dirs(disk, FIXTURE_DIR, NULL), OK);
        struct keystore *k = open_keys(disk, NULL);
        assert_int_equal(keystore_load(k, NULL), OK);
        for (uint32_t i = 0; i < 8; i++) {
            people[i] = (struct id128){i + 1, i};
            assert_int_equal(keystore_take(k, people[i], key), i);
        }
        assert_int_equal(keystore_commit(k, NULL), OK);
        keystore_close(k);
        fake_disk_restart(fake);
        fake_disk_fail_at(fake, call, FAKE_CRASH);
        enum status status = keystore_open(disk, FIXTURE_DIR, NULL, &k, NULL);
        if (status == OK) {
            status = keystore_destroy(k, people, 5, &destroyed, NULL);
            keystore_close(k);
        }
        bool has_failed = fake_disk_has_failed(fake);
        assert_int_equal(status == OK, !has_failed);
        fake_disk_restart(fake);
        k = open_keys(disk, NULL);
        assert_int_equal(keystore_destroy(k, people, 5, &destroyed, NULL), OK);
        for (uint32_t i = 0; i < 8; i++)
            assert_int_equal(keystore_get(k, i, people[i], key), i < 5 ? KEY_DESTROYED : KEY_LIVE);
        keystore_close(k);
        fake_disk_free(fake);
        if (!has_failed)
            break;
    }
}

/* What one process wrote and did not sync is read by the next, which goes on from it; then the power goes. */
static void what_was_read_of_keys_survives_a_power_cut(void **state)
{
    (void)state;
    bool has_failed = true;
    for (uint64_t i = 0; i < 8 || has_failed; i++) {
        uint64_t call = i / 8 + 1; /* each with eight seeds */
        has_failed = (i % 8 != 0 && has_failed);
        struct fake_disk *fake = fake_disk_new(i);
        struct os_disk *disk = fake_disk_of(fake);
        struct id128 people[6];
        uint8_t key[KEY_BYTES], again[6][KEY_BYTES];
        uint32_t slots[6], destroyed;
        assert_int_equal(os_make_dirs(disk, FIXTURE_DIR, NULL), OK);
        assert_int_equal(os_sync_dir(disk, ".", NULL), OK);
        fake_disk_fail_at(fake, fake_disk_calls(fake) + call, FAKE_EIO);
        struct keystore *k = NULL;
        enum status status = keystore_open(disk, FIXTURE_DIR, NULL, &k, NULL);
        if (status == OK)
            status = keystore_load(k, NULL);
        for (uint32_t p = 0; p < 6; p++)
            people[p] = (struct id128){p + 1, p};
        for (uint32_t p = 0; status == OK && p < 6; p++) {
            (void)keystore_take(k, people[p], key);
            if (p % 2) /* some at a time */
                status = keystore_commit(k, NULL);
        }
        if (status == OK)
            status = keystore_destroy(k, people, 2, &destroyed, NULL);
        keystore_close(k);
        has_failed |= fake_disk_has_failed(fake);
        assert_int_equal(status == OK, !fake_disk_has_failed(fake));
        fake_disk_fail_at(fake, 0, FAKE_NONE);

        k = open_keys(disk, NULL);
        assert_int_equal(keystore_load(k, NULL), OK);
        for (uint32_t p = 0; p < 6; p++)
            slots[p] = keystore_take(k, people[p], again[p]);
        assert_int_equal(keystore_commit(k, NULL), OK);
        keystore_close(k);
        fake_disk_restart(fake);
        k = open_keys(disk, NULL);
        for (uint32_t p = 0; p < 6; p++) {
            assert_int_equal(keystore_get(k, slots[p], people[p], key), KEY_LIVE);
            assert_memory_equal(key, again[p], KEY_BYTES);
        }
        keystore_close(k);
        fake_disk_free(fake);
    }
}

static void keys_stay_at_hand_when_the_disk_fails(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        struct fake_disk *fake = fake_disk_new(call);
        struct os_disk *disk = fake_disk_of(fake);
        struct id128 people[6];
        uint8_t keys[6][KEY_BYTES], again[KEY_BYTES];
        uint32_t destroyed, slots[6];
        assert_int_equal(os_make_dirs(disk, FIXTURE_DIR, NULL), OK);
        struct keystore *k = open_keys(disk, NULL);
        assert_int_equal(keystore_load(k, NULL), OK);
        fake_disk_fail_at(fake, fake_disk_calls(fake) + call, FAKE_EIO);
        bool has_failed = false;
        for (uint32_t i = 0; i < 6; i++) { /* two at a time; who fails goes on */
            people[i] = (struct id128){i + 1, i};
            slots[i] = keystore_take(k, people[i], keys[i]);
            if (i % 2 == 1)
                has_failed |= keystore_commit(k, NULL) != OK;
        }
        has_failed |= keystore_destroy(k, people, 2, &destroyed, NULL) != OK;
        assert_int_equal(has_failed, fake_disk_has_failed(fake));
        fake_disk_fail_at(fake, 0, FAKE_NONE);
        for (uint32_t i = 2; i < 6; i++) {
            assert_int_equal(keystore_get(k, slots[i], people[i], again), KEY_LIVE);
            assert_memory_equal(again, keys[i], KEY_BYTES);
        }
        assert_int_equal(keystore_destroy(k, people, 3, &destroyed, NULL), OK);
        for (uint32_t i = 0; i < 6; i++)
            assert_int_equal(keystore_get(k, slots[i], people[i], again),
                             i < 3 ? KEY_DESTROYED : KEY_LIVE);
        keystore_close(k);
        fake_disk_free(fake);
        if (!has_failed)
            break;
    }
}

/* What one person says, however often, is no word; what many say is. */
static void a_dictionary_has_nothing_that_is_one_persons(void **state)
{
    (void)state;
    struct sample samples[600];
    struct arena a;
    struct buf out;
    arena_init(&a, 65536);
    buf_init(&out);
    for (uint32_t i = 0; i < array_count(samples); i++) {
        uint32_t owner = i % 3 == 0 ? 1 : i;
        struct str text = arena_printf(
            &a, "agent=Mozilla/5.0 (X11; Linux x86_64) shop; mail=%s%u@example.org; seven=%u",
            owner == 1 ? "secret.marker.of.one.person." : "someone.", owner, i % 7);
        if (i % 7 == 3 && owner % 6 == 1)
            text = arena_printf(&a, "%.*s;few.people.say.so.%u", STR_ARG(text), 1u);
        samples[i] = (struct sample){
            {owner % 6 == 1 ? 1 + i % 7 : owner, 1}, (const uint8_t *)text.at, (uint32_t)text.len};
    }
    dictionary_make(samples, array_count(samples), &out);
    assert_true(out.len > 0);
    assert_non_null(memmem(out.at, out.len, "Linux x86_64) shop", 18));
    assert_null(memmem(out.at, out.len, "secret.marker", 13));
    assert_null(memmem(out.at, out.len, "people.say", 10));
    buf_fini(&out);
    arena_fini(&a);
}

/* The packs that an index names for somebody are those in which they are, and few others. */
static void an_index_finds_every_pack(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct dice d = {.seed = seed};
        struct person_index_writer *w = person_index_writer_new();
        uint32_t people = 1 + (uint32_t)roll(&d, 3000), packs = 1 + (uint32_t)roll(&d, 40);
        bool *is_in = mem_new((size_t)people * packs);
        bool *found = mem_new(packs);
        for (uint32_t p = 0; p < packs; p++) {
            for (uint32_t i = 0; i < people; i++) {
                is_in[i * packs + p] = happens(&d, 10);
                for (uint64_t k = is_in[i * packs + p] ? 1 + roll(&d, 2) : 0; k > 0; k--)
                    person_index_add_owner(w, (struct id128){i + 1, i});
            }
            struct pack_place place = {100 + p * 50, 1 + p * 10, 10 + p * 10, (int64_t)p * 1000,
                                       (int64_t)p * 1000 + 900};
            person_index_add_pack(w, &place);
        }
        struct buf out;
        struct arena a;
        struct person_index_reader r;
        buf_init(&out);
        arena_init(&a, 4096);
        person_index_finish(w, &out);
        assert_true(person_index_open(&r, buf_str(&out), &a));
        assert_int_equal(r.pack_count, packs);
        assert_true(r.packs[packs - 1].offset == 100 + (packs - 1) * 50);
        assert_true(r.packs[packs - 1].batch_last == packs * 10);
        assert_true(r.packs[packs - 1].last_ms == (int64_t)packs * 1000 - 100);
        for (uint32_t i = 0; i < people; i++) {
            memset(found, 0, packs);
            person_index_find(&r, (struct id128){i + 1, i}, found);
            assert_memory_equal(found, is_in + (size_t)i * packs, packs);
        }
        arena_fini(&a);
        buf_fini(&out);
        mem_free(found);
        mem_free(is_in);
        person_index_writer_free(w);
    }
}

/* A history has every record of whom it is asked of, and reads no more than the index says. */
static void a_history_has_every_record_of_a_person(void **state)
{
    (void)state;
    struct life l = make_log(12, 60);
    struct seal_counts counts;
    struct fault f = {0};
    assert_int_equal(seal_all(l.disk, &counts, NULL), OK);
    for (uint64_t n = 1; n <= l.newest; n += 3) {
        for (uint32_t i = 0; i < l.m.batches[n].count; i += 4) {
            const struct record *r = &l.m.batches[n].records[i];
            struct id128 ids[] = {r->user, r->anonymous, r->previous};
            for (uint32_t k = 0; k < 3; k++) {
                struct evlog_reader *reader;
                struct evlog_item item;
                bool is_found = false;
                if (!id128_is_set(ids[k]))
                    continue;
                fake_disk_restart(l.fake);
                assert_int_equal(evlog_history_open(l.disk, FIXTURE_DIR, &ids[k], 1, &reader, &f),
                                 OK);
                uint32_t seen = 0;
                for (;;) {
                    assert_int_equal(evlog_reader_next(reader, &item, &f), OK);
                    if (item.kind == EVLOG_END)
                        break;
                    seen++;
                    assert_same_batch(&item.batch, &l.m.batches[item.number]);
                    is_found |= item.number == n;
                }
                evlog_reader_close(reader);
                assert_true(is_found);
                assert_true(seen < l.newest);
            }
        }
    }
    end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is sealed reads back from any batch, and the log goes on",
             what_is_sealed_reads_back_from_any_batch),
        TEST("a crash at any step leaves a log that reads back and can be sealed",
             a_crash_at_any_step_leaves_a_log_that_reads_back_and_can_be_sealed),
        TEST("a disk that fails or is full is told, and nothing is lost",
             a_disk_that_fails_or_is_full_is_told_and_nothing_is_lost),
        TEST("who is destroyed is lost, and nobody else", who_is_destroyed_is_lost_and_nobody_else),
        TEST("damage to any byte is told", damage_to_any_byte_is_told),
        TEST("keys are wrapped by a master key", keys_are_wrapped_by_a_master_key),
        TEST("destroying keys goes on after a crash at any step",
             destroying_goes_on_after_a_crash_at_any_step),
        TEST("what was read of keys survives a power cut",
             what_was_read_of_keys_survives_a_power_cut),
        TEST("keys stay at hand when the disk fails", keys_stay_at_hand_when_the_disk_fails),
        TEST("a dictionary has nothing that is one person's",
             a_dictionary_has_nothing_that_is_one_persons),
        TEST("a history has every record of a person", a_history_has_every_record_of_a_person),
        TEST("an index finds every pack that somebody is in", an_index_finds_every_pack),
    };
    return cmocka_run_group_tests_name("evlog/seal", tests, NULL, NULL);
}
