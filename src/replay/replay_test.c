/* Made-up people, virtual time and recovery: the same seed gives the same month, and the log alone
 * gives the same state, whatever happened to the disk. */
#include "base/mem.h"
#include "disk/snapshot.h"
#include "os/fake_disk.h"
#include "os/file.h"
#include "replay/recover.h"
#include "replay/run_scenario.h"
#include "replay/synth.h"
#include "replay/world.h"
#include "test.h"
#include "when/zone.h"

#define START_MS INT64_C(1772409600000)

static const struct programme_file files[] = {
    {{"programme.yaml", 14},
     {"name: Small\ntimezone: Europe/London\ntraits:\n  first_name: {type: string}\n"
      "categories:\n  lifecycle: {lane: marketing, valid_for: 3d, priority: 500}\n"
      "  order: {lane: service, purpose: contract}\n",
      0}},
    {{"providers/mail.yaml", 19},
     {"kind: smtp\nchannel: email\nslots: 4\n"
      "settings: {url: 'smtp://127.0.0.1:2525', from: 'Small <small@example.org>'}\n",
      0}},
    {{"messages/hello/message.yaml", 27},
     {"category: lifecycle\nemail:\n  subject: 'Hello {{ person.first_name }}'\n", 0}},
    {{"messages/hello/email.txt.liquid", 31}, {"Hello {{ entry.cart_id }}\n", 0}},
    {{"messages/thanks/message.yaml", 28}, {"category: order\nemail:\n  subject: 'Thanks'\n", 0}},
    {{"messages/thanks/email.txt.liquid", 32}, {"Thanks for {{ entry.order_id }}\n", 0}},
    {{"journeys/cart.yaml", 18},
     {"journey: cart\nowner: x\ngoal: {event: Order Completed, within: 7d}\n"
      "enter: {event: Cart Updated, key: event.cart_id, again: {after: 1d, of: end, per: person}}\n"
      "steps:\n  - wait: {for: 1h, reset_by: Cart Updated}\n  - send: hello\n",
      0}},
    {{"journeys/thanks.yaml", 20},
     {"journey: thanks\nowner: x\nenter: {event: Order Completed, again: always}\n"
      "steps:\n  - send: thanks\n",
      0}},
    {{"tests/wrong.yaml", 16},
     {"- it: expects what does not happen\n"
      "  given:\n    people: [{id: ann, traits: {email: ann@example.org}, consent: [email]}]\n"
      "  when:\n    - {at: 2026-03-02T12:00, person: ann, event: Cart Updated, properties: {cart_id: c1}}\n"
      "  expect:\n    - {person: ann, not_sent: hello}\n"
      "- it: expects what happens\n"
      "  given:\n    people: [{id: ann, traits: {email: ann@example.org}, consent: [email]}]\n"
      "  when:\n    - {at: 2026-03-02T12:00, person: ann, event: Cart Updated, properties: {cart_id: c1}}\n"
      "  expect:\n    - {person: ann, sent: hello, at: 2026-03-02T13:01}\n",
      0}},
};

/* The folder of the files above, with one zone. */
static void small_folder(struct programme_folder *folder)
{
    struct programme_file list[array_count(files)];
    struct zone_file zone = {STR("Europe/London"), STR("GMT0BST,M3.5.0/1,M10.5.0")};
    struct zoneset *zones;
    struct fault f = {0};
    struct buf bytes;
    buf_init(&bytes);
    assert_int_equal(zoneset_build(STR("test"), &zone, 1, &zones, &f), OK);
    zoneset_write(zones, &bytes);
    for (size_t i = 0; i < array_count(files); i++)
        list[i] = (struct programme_file){files[i].path, str_of(files[i].text.at)};
    if (programme_folder_of(list, array_count(files), buf_str(&bytes), folder, &f) != OK)
        fail_msg("%s", f.text);
    zoneset_free(zones);
    buf_fini(&bytes);
}

static struct plan *small_plan(const struct programme_folder *folder, struct shelf *shelf)
{
    struct findings findings;
    struct plan *plan = NULL;
    findings_init(&findings);
    if (programme_compile(folder, shelf->names, &plan, &findings) != OK)
        fail_msg("%.*s: %.*s", STR_ARG(findings.list[0].place.file),
                 STR_ARG(findings.list[0].text));
    findings_fini(&findings);
    shelf_add(shelf, plan);
    return plan;
}

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

struct shop {
    struct os_disk *disk;
    struct directory directory;
    struct programme_folder folder;
    struct shelf shelf;
    struct evlog *log;
    struct world *world;
    struct synth *synth;
    uint64_t committed; /* batch that is durable */
    uint64_t *hashes;   /* state hash by batch; NULL = not wanted */
};

static void note_hash(void *self, uint64_t batch, int64_t now_ms, const struct result *rows,
                      uint32_t count)
{
    struct shop *s = self;
    (void)now_ms;
    (void)rows;
    (void)count;
    if (s->hashes != NULL && batch < 20000)
        s->hashes[batch] = engine_hash(world_engine(s->world));
}

static bool shop_open(struct shop *s, struct os_disk *disk, uint64_t seed, uint32_t people,
                      int64_t days, uint64_t *hashes)
{
    struct fault f = {0};
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    *s = (struct shop){.disk = disk, .hashes = hashes};
    directory_secret(3, secret);
    small_folder(&s->folder);
    shelf_init(&s->shelf, NULL);
    struct plan *plan = small_plan(&s->folder, &s->shelf);
    struct evlog_options options = {.disk = disk, .segment_bytes = 1 << 20, .log_id = 11};
    if (directory_make(disk, "/shop", secret, &s->directory, &f) != OK ||
        programme_store(disk, s->directory.programmes, &s->folder, &f) != OK ||
        evlog_open(s->directory.log, &options, &s->log, &f) != OK)
        return false;
    struct world_options world = {
        .secret = s->directory.secret, .log = s->log, .host = {.self = s, .results = note_hash}};
    s->world = world_new(&s->shelf, &world, START_MS);
    struct synth_options synth = {
        .seed = seed, .people = people, .start_ms = START_MS, .end_ms = START_MS + days * DAY_MS};
    s->synth = synth_new(&synth);
    return world_activate(s->world, plan, &f) == OK;
}

/* One event of the made-up people; false where the disk failed. */
static bool shop_step(struct shop *s)
{
    struct synth_event e;
    struct buf personal;
    struct fault f = {0};
    synth_next(s->synth, &e);
    buf_init(&personal);
    for (uint32_t i = 0; i < e.field_count; i++)
        body_put(&personal, names_add(s->shelf.names, e.fields[i].path), &e.fields[i].value);
    struct record r = {
        .type = RECORD_EVENT,
        .kind = e.kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = e.kind == EVENT_TRACK  ? names_add(s->shelf.names, e.name)
                : e.kind == EVENT_PAGE ? (uint32_t)NAME_PAGE
                                       : 0,
        .at_ms = e.at_ms,
        .event_ms = e.at_ms,
        .arrival_ms = e.at_ms,
        .message_hash = hash_str(e.message_id, 1) | 1,
        .anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, e.anonymous_id, s->directory.secret),
        .personal = body_of(&personal),
    };
    if (!e.is_anonymous)
        r.user = identifier_hash(IDENTIFIER_USER, e.user_id, s->directory.secret);
    bool is_fine = world_apply(s->world, &r, &f) == OK;
    buf_fini(&personal);
    return is_fine;
}

static void shop_close(struct shop *s)
{
    evlog_free(s->log);
    world_free(s->world);
    synth_free(s->synth);
    shelf_fini(&s->shelf);
    programme_folder_fini(&s->folder);
}

static void recovery_rebuilds_the_state(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct fault f = {0};
    assert_true(shop_open(&s, fake_disk_of(fake), 2, 150, 8, NULL));
    for (uint32_t i = 0; synth_next_ms(s.synth) != FOREVER_MS; i++) {
        assert_true(shop_step(&s));
        if (i == 900)
            assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    }
    assert_int_equal(world_commit(s.world, &f), OK);
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
    while (synth_next_ms(s.synth) != FOREVER_MS)
        assert_true(shop_step(&s));
    assert_int_equal(world_commit(s.world, &f), OK);
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
    while (synth_next_ms(s.synth) != FOREVER_MS)
        assert_true(shop_step(&s));
    assert_int_equal(world_commit(s.world, &f), OK);
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
        TEST("a snapshot that another release wrote is passed over",
             a_snapshot_of_another_release_is_passed_over),
        TEST("results that do not agree stop recovery and name the batch",
             results_that_do_not_agree_stop_recovery),
        TEST("a crash at any moment loses nothing that was committed",
             crashes_lose_nothing_that_was_committed),
        TEST("a scenario that fails says what was expected, what came, and why",
             a_scenario_that_fails_says_why),
    };
    return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
