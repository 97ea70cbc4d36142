/* A programme that is changed for another one knows what it would know if it had been there from the
 * start, whatever happened before, meanwhile and afterwards. */
#include "base/mem.h"
#include "os/fake_disk.h"
#include "os/file.h"
#include "replay/erase.h"
#include "replay/recover.h"
#include "replay/world.h"
#include "test.h"
#include "when/zone.h"

#define START_MS INT64_C(1772409600000)
#define PEOPLE   24

static const struct programme_file common[] = {
    {{"providers/mail.yaml", 19},
     {"kind: smtp\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: none}\n",
      0}},
    {{"messages/m/message.yaml", 23}, {"category: service\nemail: {subject: Hello}\n", 0}},
    {{"messages/m/email.txt.liquid", 27}, {"Hello\n", 0}},
    {{"programme.yaml", 14}, {"name: Trial\ncategories:\n  service: {lane: service}\n", 0}},
};

/* Nobody does "Never": what is compared is what is remembered. */
static const char *const journeys[] = {
    "journey: j\nowner: us\ngoal: {event: Never}\n"
    "enter: {event: Never, when: 'count(\"cart\", \"7d\") > 1 && did(\"page\")'}\n"
    "steps: [{send: m}]\n",

    "journey: j\nowner: us\ngoal: {event: Never}\n"
    "enter: {event: Never, when: 'count(\"cart\", \"7d\") > 1 && count(\"order\", \"3d\") > 2 && "
    "did(\"order\", \"30d\", e, e.n > 4) && sum(\"order\", \"5d\", \"n\") > 3.0 && sum(\"cart\", \"n\") > 1.0 && "
    "first(\"order\").n > 0 && last(\"cart\", e, e.n < 7).n > 1 && distinct(\"page\", \"9d\", \"n\") > 2 && "
    "count(\"ca*\", \"2d\") > 3 && sequence([\"cart\", \"order\"], \"2h\") && avg(\"page\", \"4d\", \"n\") > 1.0'}\n"
    "steps: [{send: m}]\n",

    "journey: j\nowner: us\ngoal: {event: Never}\n"
    "enter: {event: Never, when: 'count(\"calm\", \"9d\") > 1 && count(\"order\", \"3d\") > 2'}\n"
    "steps: [{send: m}]\n",
};

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

/* ---- a data directory --------------------------------------------------------------------------- */

struct site {
    struct fake_disk *fake;
    struct directory directory;
    struct shelf shelf;
    struct evlog *log;
    struct world *world;
    const struct plan *plans[3]; /* by place in `journeys` */
    uint64_t seed;
    uint64_t messages;
};

static const struct plan *put_plan(struct site *p, const char *journey)
{
    struct programme_file list[array_count(common) + 1];
    struct zone_file zone = {STR("UTC"), STR("UTC0")};
    struct zoneset *zones;
    struct programme_folder folder;
    struct findings findings;
    struct plan *plan = NULL;
    struct fault f = {0};
    struct buf bytes;
    buf_init(&bytes);
    assert_int_equal(zoneset_build(STR("test"), &zone, 1, &zones, &f), OK);
    zoneset_write(zones, &bytes);
    zoneset_free(zones);
    for (size_t i = 0; i < array_count(common); i++)
        list[i] = (struct programme_file){common[i].path, str_of(common[i].text.at)};
    list[array_count(common)] = (struct programme_file){STR("journeys/j.yaml"), str_of(journey)};
    if (programme_folder_of(list, array_count(list), buf_str(&bytes), &folder, &f) != OK)
        fail_msg("%s", f.text);
    buf_fini(&bytes);
    findings_init(&findings);
    if (programme_compile(&folder, p->shelf.names, &plan, &findings) != OK)
        fail_msg("%.*s", STR_ARG(findings.list[0].text));
    findings_fini(&findings);
    assert_int_equal(programme_store(p->directory.disk, p->directory.programmes, &folder, &f), OK);
    programme_folder_fini(&folder);
    shelf_add(&p->shelf, plan);
    return plan;
}

static void site_begin(struct site *p, uint64_t seed, bool is_hasty)
{
    struct fault f = {0};
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    *p = (struct site){.fake = fake_disk_new(1), .seed = seed};
    directory_secret(7, secret);
    if (directory_make(fake_disk_of(p->fake), "/d", secret, &p->directory, &f) != OK)
        fail_msg("%s", f.text);
    shelf_init(&p->shelf, &p->directory);
    struct evlog_options options = {.disk = fake_disk_of(p->fake)};
    assert_int_equal(evlog_open(p->directory.log, &options, &p->log, &f), OK);
    struct world_options world = {
        .secret = p->directory.secret, .log = p->log, .is_hasty = is_hasty};
    p->world = world_new(&p->shelf, &world, START_MS);
    for (size_t i = 0; i < array_count(journeys); i++)
        p->plans[i] = put_plan(p, journeys[i]);
}

static void site_open(struct site *p, uint64_t seed)
{
    site_begin(p, seed, false);
}

static void site_close(struct site *p)
{
    world_free(p->world);
    evlog_free(p->log);
    shelf_fini(&p->shelf);
    fake_disk_free(p->fake);
}

/* Somebody does something: early or late, at a moment of its own or of another event, known by one id or
 * by two, told once or twice. The seed decides. */
static void happen(struct site *p, int64_t at_ms)
{
    static const char *const names[] = {"cart", "order", "page", "calm"};
    uint64_t *seed = &p->seed;
    struct fault f = {0};
    struct buf body;
    char id[32];
    uint64_t person = next(seed) % PEOPLE, ids = next(seed) % 8, late = next(seed) % 4;
    int64_t event_ms = at_ms - (late == 0 ? (int64_t)(next(seed) % (4 * DAY_MS)) : 0);
    struct value n = value_int((int64_t)(next(seed) % 9));
    /* Two of one person often share a moment; those of two that may yet be found to be one do not. */
    event_ms = event_ms / (20 * MINUTE_MS) * (20 * MINUTE_MS) + (ids < 4);
    struct record r = {
        .type = RECORD_EVENT,
        .kind = EVENT_TRACK,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = names_add(p->shelf.names, str_of(names[next(seed) % array_count(names)])),
        .at_ms = at_ms,
        .event_ms = event_ms,
        .arrival_ms = at_ms,
    };
    if (ids == 0 || ids >= 4) {
        snprintf(id, sizeof(id), "u%lu", person);
        r.user = identifier_hash(IDENTIFIER_USER, str_of(id), p->directory.secret);
    }
    if (ids < 4) {
        snprintf(id, sizeof(id), "a%lu-%lu", person, next(seed) % 3);
        r.anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, str_of(id), p->directory.secret);
    }
    p->messages += next(seed) % 10 > 0;
    r.message_hash = hash_pair(p->messages, 1) | 1;
    buf_init(&body);
    body_put(&body, names_add(p->shelf.names, STR("n")), &n);
    r.clear = body_of(&body);
    if (world_apply(p->world, &r, &f) != OK)
        fail_msg("%s", f.text);
    buf_fini(&body);
}

/* Everybody does everything once more, so that all that is too old is dropped everywhere. */
static void everybody(struct site *p, int64_t at_ms)
{
    static const char *const names[] = {"cart", "order", "page"};
    struct fault f = {0};
    struct buf body;
    char id[32];
    buf_init(&body);
    for (uint32_t i = 0; i < PEOPLE * 4 * array_count(names); i++) {
        uint32_t who = i / (uint32_t)array_count(names);
        struct record r = {
            .type = RECORD_EVENT,
            .kind = EVENT_TRACK,
            .schema = RECORD_SCHEMA,
            .name = names_add(p->shelf.names, str_of(names[i % array_count(names)])),
            .at_ms = at_ms,
            .event_ms = at_ms + i,
            .arrival_ms = at_ms,
            .message_hash = hash_pair(i, 2) | 1,
        };
        struct value n = value_int(i % 5);
        body.len = 0;
        body_put(&body, names_add(p->shelf.names, STR("n")), &n);
        r.clear = body_of(&body);
        snprintf(id, sizeof(id), who % 4 ? "a%u-%u" : "u%u", who / 4, who % 4 - 1);
        if (who % 4)
            r.anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, str_of(id), p->directory.secret);
        else
            r.user = identifier_hash(IDENTIFIER_USER, str_of(id), p->directory.secret);
        if (world_apply(p->world, &r, &f) != OK)
            fail_msg("%s", f.text);
    }
    buf_fini(&body);
}

static void describe_items(const struct person *who, const struct history_items *items,
                           struct buf *out)
{
    buf_printf(out, " forgot %ld:", items->forgot_ms);
    for (uint32_t i = 0; i < items->times.count; i++) {
        buf_printf(out, " %ld", *(const int64_t *)vec_at(who->space, &items->times, i, 8));
        if (items->numbers.count)
            buf_printf(out, "=%ld", *(const int64_t *)vec_at(who->space, &items->numbers, i, 8));
        if (items->bodies.count) {
            const struct blob *body = vec_at(who->space, &items->bodies, i, sizeof(*body));
            buf_printf(out, "/%lx", hash_bytes(blob_at(who->space, *body), body->bytes, 0));
        }
    }
}

/* What is remembered for the plan's features, as text. */
static void remember(struct engine *e, const struct plan *plan, struct buf *out)
{
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        engine_look(e, number, &who);
        for (uint32_t i = 0; i < who.profile->histories.count; i++) {
            const struct history *h = person_history(&who, i);
            uint16_t feature = plan_feature_find(plan, h->feature);
            if (feature == PLAN_NO_INDEX)
                continue;
            buf_printf(out, "%lu %.*s: %u, last %ld", number, STR_ARG(plan->features[feature].text),
                       h->total, h->last_ms);
            if (h->kind == FEATURE_TALLY) {
                const struct history_tally *t = space_at(who.space, h->more);
                buf_printf(out, " sum %ld %lu least %ld most %ld of %u", t->sum_high, t->sum_low,
                           t->least, t->most, t->count);
            } else if (h->kind > FEATURE_TALLY) {
                describe_items(&who, space_at(who.space, h->more), out);
            }
            buf_add_byte(out, '\n');
        }
    }
}

static void must_be_same(const struct site *a, const struct site *b, uint64_t round)
{
    struct buf x, y;
    buf_init(&x);
    buf_init(&y);
    remember(world_engine(a->world), a->plans[1], &x);
    remember(world_engine(b->world), b->plans[1], &y);
    assert_true(x.len > 3000);
    struct str left = buf_str(&x), right = buf_str(&y);
    while (left.len > 0 && right.len > 0) {
        struct str is = str_part(right, 0, min_of(str_find(right, STR("\n"), 0), right.len));
        struct str was = str_part(left, 0, min_of(str_find(left, STR("\n"), 0), left.len));
        if (!str_equal(is, was))
            fail_msg("round %lu: it should be\n%.*s\nand it is\n%.*s", round, STR_ARG(was),
                     STR_ARG(is));
        left = str_part(left, min_of(was.len + 1, left.len), left.len);
        right = str_part(right, min_of(is.len + 1, right.len), right.len);
    }
    assert_int_equal(left.len, right.len);
    buf_fini(&x);
    buf_fini(&y);
}

static void must_recover(const struct site *p, bool from_beginning, uint64_t hash)
{
    struct recover_options options = {.from_beginning = from_beginning, .checks_hashes = true};
    struct recovered r;
    struct fault f = {0};
    if (recover(&p->directory, &options, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_hash(r.engine), hash);
    assert_int_equal(engine_audit(r.engine, NULL, NULL), 0);
    recovered_fini(&r);
}

static void fine(enum status status, const struct fault *f)
{
    if (status != OK)
        fail_msg("%s", f->text);
}

/* Everybody is asked everything at that instant, in both: the same comes out. */
static void must_end_same(struct site *whole, struct site *changed, int64_t at_ms, uint64_t round)
{
    everybody(whole, at_ms);
    everybody(changed, at_ms);
    must_be_same(whole, changed, round);
}

/* ---- the property ------------------------------------------------------------------------------- */

#define EVENTS 500

static void a_change_knows_what_was_before(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 12; round++) {
        struct site whole, changed;
        struct fault f = {0};
        uint64_t dice = round * 77 + 5;
        uint32_t first = round == 0 ? 0 : (uint32_t)next(&dice) % EVENTS;
        uint32_t last = first + (uint32_t)next(&dice) % (EVENTS - first);
        bool begins_with_none = round % 4 == 1;
        site_open(&whole, round);
        site_open(&changed, round);
        fine(world_activate(whole.world, whole.plans[1], &f), &f);
        if (!begins_with_none)
            fine(world_activate(changed.world, changed.plans[0], &f), &f);
        int64_t at_ms = START_MS;
        for (uint32_t i = 0; i < EVENTS; i++) {
            if (i == first)
                fine(world_prepare(changed.world, changed.plans[1], &f), &f);
            if (i == last)
                fine(world_finish(changed.world, &changed.directory, NULL, &f), &f);
            if (i == (first + last) / 2) {
                fine(world_commit(changed.world, &f), &f);
                fine(snapshot_engine(&changed.directory, world_engine(changed.world), &f), &f);
            }
            at_ms += (int64_t)(next(&dice) % (2 * HOUR_MS));
            happen(&whole, at_ms);
            happen(&changed, at_ms);
        }
        must_end_same(&whole, &changed, at_ms + HOUR_MS, round);
        fine(world_commit(changed.world, &f), &f);
        uint64_t hash = engine_hash(world_engine(changed.world));
        assert_true(engine_counts(world_engine(changed.world))->merges > 5);
        must_recover(&changed, true, hash);
        must_recover(&changed, false, hash);
        fine(os_remove_tree(changed.directory.disk, changed.directory.backfills, &f), &f);
        must_recover(&changed, true, hash);
        site_close(&whole);
        site_close(&changed);
    }
}

/* Somebody is forgotten: the same profile in both. */
static void forget(struct site *p, uint64_t profile, int64_t at_ms)
{
    struct erasure who = {.profile = profile};
    struct record r;
    struct fault f = {0};
    struct buf clear;
    buf_init(&clear);
    erasure_record(&who, ERASE_PERSON, &clear, &r);
    r.at_ms = r.arrival_ms = at_ms;
    r.clear = body_of(&clear);
    fine(world_apply(p->world, &r, &f), &f);
    assert_true(engine_is_erased(world_engine(p->world), profile));
    buf_fini(&clear);
}

/* A crash here would be gone on from: with the file, and without it. */
static void look_in(struct site *p)
{
    struct fault f = {0};
    struct engine *e = world_engine(p->world);
    fine(world_commit(p->world, &f), &f);
    must_recover(p, false, engine_hash(e)); /* from a snapshot before, or the beginning */
    fine(snapshot_engine(&p->directory, e, &f), &f);
    must_recover(p, false, engine_hash(e));
    fine(os_remove_tree(p->directory.disk, p->directory.backfills, &f), &f);
    must_recover(p, false, engine_hash(e));
    must_recover(p, true, engine_hash(e));
}

struct meanwhile {
    uint32_t batches, merges, snapshots, erased, others;
};

/* A piece in each batch, while everything else goes on. */
static void pieces(struct site *whole, struct site *changed, uint64_t *dice, int64_t *at_ms,
                   struct meanwhile *m)
{
    struct fault f = {0};
    struct engine *e = world_engine(changed->world);
    uint64_t merges = engine_counts(e)->merges;
    for (uint32_t piece = 0; engine_change(e).is_uniting; piece++) {
        assert_true(piece < 100);
        uint64_t what = next(dice) % 12;
        *at_ms += (int64_t)(next(dice) % HOUR_MS);
        if (what == 0) {
            look_in(changed);
            m->snapshots++;
        } else if (what == 1 || what == 3) {
            /* Another one comes between, and the first is asked for again. */
            fine(world_prepare(changed->world, changed->plans[2], &f), &f);
            m->others++;
            if (next(dice) % 2)
                fine(world_finish(changed->world, &changed->directory, NULL, &f), &f);
            fine(world_prepare(changed->world, changed->plans[1], &f), &f);
            fine(world_unite(changed->world, &changed->directory, NULL, &f), &f);
        } else if (what == 2) {
            uint64_t number = 0;
            for (uint64_t i = next(dice) % 40 + 1; i > 0 || number == 0; i -= i > 0)
                number = engine_each(e, number);
            forget(whole, number, *at_ms);
            forget(changed, number, *at_ms);
            m->erased++;
        } else {
            happen(whole, *at_ms);
            happen(changed, *at_ms);
        }
        m->batches++;
    }
    m->merges += (uint32_t)(engine_counts(e)->merges - merges);
}

static void what_happens_while_a_past_is_united_is_not_lost(void **state)
{
    (void)state;
    struct meanwhile m = {0};
    for (uint64_t round = 0; round < 12; round++) {
        struct site whole, changed;
        struct fault f = {0};
        uint64_t dice = round * 41 + 3;
        uint32_t first = 150 + (uint32_t)next(&dice) % 150, last = first + 60;
        site_begin(&whole, round, false);
        site_begin(&changed, round, true);
        fine(world_activate(whole.world, whole.plans[1], &f), &f);
        fine(world_activate(changed.world, changed.plans[0], &f), &f);
        int64_t at_ms = START_MS;
        for (uint32_t i = 0; i < EVENTS; i++) {
            if (i == first)
                fine(world_prepare(changed.world, changed.plans[1], &f), &f);
            if (i == last) {
                fine(world_unite(changed.world, &changed.directory, NULL, &f), &f);
                assert_true(engine_change(world_engine(changed.world)).is_uniting);
                pieces(&whole, &changed, &dice, &at_ms, &m);
                fine(world_finish(changed.world, &changed.directory, NULL, &f), &f);
            }
            at_ms += (int64_t)(next(&dice) % (2 * HOUR_MS));
            happen(&whole, at_ms);
            happen(&changed, at_ms);
        }
        must_end_same(&whole, &changed, at_ms + HOUR_MS, round);
        look_in(&changed);
        site_close(&whole);
        site_close(&changed);
    }
    assert_true(m.batches > 80);
    assert_true(m.merges > 5);
    assert_true(m.snapshots > 1);
    assert_true(m.erased > 1);
    assert_true(m.others > 1);
}

static void what_is_given_up_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 6; round++) {
        struct site whole, changed;
        struct fault f = {0};
        uint64_t dice = round * 31 + 9;
        uint32_t first = 50 + (uint32_t)next(&dice) % 100, abandoned = first + 40,
                 again = first + 90;
        site_open(&whole, round);
        site_open(&changed, round);
        fine(world_activate(whole.world, whole.plans[1], &f), &f);
        fine(world_activate(changed.world, changed.plans[0], &f), &f);
        int64_t at_ms = START_MS;
        for (uint32_t i = 0; i < EVENTS; i++) {
            if (i == first || i == again)
                fine(world_prepare(changed.world, changed.plans[1], &f), &f);
            if (i == abandoned)
                fine(world_abandon(changed.world, &f), &f);
            if (i == abandoned)
                assert_null(engine_change(world_engine(changed.world)).plan);
            if (i == again + 60)
                fine(world_change(changed.world, &changed.directory, changed.plans[1], NULL, &f),
                     &f);
            /* Back and forth: dropped, and asked for again. */
            if (round % 2 && (i == again + 100 || i == again + 140))
                fine(world_change(changed.world, &changed.directory,
                                  changed.plans[i == again + 140], NULL, &f),
                     &f);
            at_ms += (int64_t)(next(&dice) % (2 * HOUR_MS));
            happen(&whole, at_ms);
            happen(&changed, at_ms);
        }
        must_end_same(&whole, &changed, at_ms + HOUR_MS, round);
        fine(world_commit(changed.world, &f), &f);
        must_recover(&changed, true, engine_hash(world_engine(changed.world)));
        site_close(&whole);
        site_close(&changed);
    }
}

static bool stop(void *self, const struct backfill_progress *progress)
{
    uint64_t *calls = self;
    assert_true(progress->batches <= progress->batch_count);
    return ++*calls < 3;
}

static void a_backfill_that_was_broken_off_is_made_anew(void **state)
{
    (void)state;
    struct site p;
    struct fault f = {0};
    uint64_t calls = 0;
    struct backfill_host host = {&calls, stop};
    site_open(&p, 3);
    fine(world_activate(p.world, p.plans[0], &f), &f);
    for (uint32_t i = 0; i < 400; i++)
        happen(&p, START_MS + i * HOUR_MS);
    fine(world_prepare(p.world, p.plans[1], &f), &f);
    assert_int_equal(world_finish(p.world, &p.directory, &host, &f), TRY_AGAIN);
    assert_int_equal(calls, 3);
    assert_non_null(engine_change(world_engine(p.world)).plan);
    f = (struct fault){0};
    fine(world_finish(p.world, &p.directory, NULL, &f), &f);
    assert_null(engine_change(world_engine(p.world)).plan);
    fine(world_commit(p.world, &f), &f);
    must_recover(&p, true, engine_hash(world_engine(p.world)));
    site_close(&p);
}

static void a_damaged_backfill_is_made_again(void **state)
{
    (void)state;
    struct site p;
    struct fault f = {0};
    struct arena arena;
    struct os_entry *entries;
    uint32_t count;
    char path[OS_PATH_BYTES];
    site_open(&p, 4);
    fine(world_activate(p.world, p.plans[0], &f), &f);
    for (uint32_t i = 0; i < 200; i++)
        happen(&p, START_MS + i * HOUR_MS);
    fine(world_change(p.world, &p.directory, p.plans[1], NULL, &f), &f);
    fine(world_commit(p.world, &f), &f);
    uint64_t hash = engine_hash(world_engine(p.world));
    arena_init(&arena, 1024);
    fine(os_list(p.directory.disk, p.directory.backfills, &arena, &entries, &count, &f), &f);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(os_path_join(path, sizeof(path), p.directory.backfills, entries[i].name.at));
        if (entries[i].kind == OS_REGULAR)
            fake_disk_damage(p.fake, path, 700, 0x10);
    }
    must_recover(&p, true, hash);
    arena_fini(&arena);
    site_close(&p);
}

static void must_drop(const struct site *p, uint64_t since, uint32_t dropped, uint32_t left)
{
    uint32_t is_dropped, is_left;
    struct fault f = {0};
    fine(backfill_drop(&p->directory, since, &is_dropped, &is_left, &f), &f);
    assert_int_equal(is_dropped, dropped);
    assert_int_equal(is_left, left);
}

static void a_backfill_goes_when_every_snapshot_has_what_was_in_it(void **state)
{
    (void)state;
    struct site p;
    struct fault f = {0};
    site_open(&p, 6);
    must_drop(&p, 0, 0, 0);
    fine(world_activate(p.world, p.plans[0], &f), &f);
    for (uint32_t i = 0; i < 200; i++) {
        happen(&p, START_MS + i * HOUR_MS);
        if (i == 50 || i == 100) {
            fine(world_commit(p.world, &f), &f);
            fine(snapshot_engine(&p.directory, world_engine(p.world), &f), &f);
        }
    }
    fine(world_change(p.world, &p.directory, p.plans[1], NULL, &f), &f);
    uint64_t since = engine_batch(world_engine(p.world));
    for (uint32_t snapshot = 0; snapshot < 2; snapshot++) {
        must_drop(&p, since, 0, 1);
        happen(&p, START_MS + (201 + snapshot) * HOUR_MS);
        fine(world_commit(p.world, &f), &f);
        fine(snapshot_engine(&p.directory, world_engine(p.world), &f), &f);
    }
    must_drop(&p, engine_batch(world_engine(p.world)) + 1, 0, 1);
    must_drop(&p, since, 1, 0);
    must_recover(&p, false, engine_hash(world_engine(p.world)));
    must_recover(&p, true, engine_hash(world_engine(p.world)));
    must_drop(&p, since, 0, 0);
    site_close(&p);
}

/* Every call to the disk in turn is the last one before a crash. */
static void a_crash_at_any_moment_of_a_change_can_be_gone_on_from(void **state)
{
    (void)state;
    struct buf wanted;
    buf_init(&wanted);
    for (uint64_t crash = 0; crash < 60; crash++) {
        struct site p;
        struct fault f = {0};
        site_open(&p, 8);
        fine(world_activate(p.world, p.plans[0], &f), &f);
        for (uint32_t i = 0; i < 60; i++)
            happen(&p, START_MS + i * HOUR_MS);
        fine(world_commit(p.world, &f), &f);
        if (crash > 0)
            fake_disk_fail_at(p.fake, fake_disk_calls(p.fake) + crash, FAKE_CRASH);
        enum status status = world_change(p.world, &p.directory, p.plans[1], NULL, &f);
        if (status == OK)
            status = world_commit(p.world, &f);
        must(crash > 0 || status == OK);
        world_free(p.world);
        evlog_free(p.log);
        fake_disk_restart(p.fake);
        struct recovered r;
        struct evlog_options options = {.disk = fake_disk_of(p.fake)};
        f = (struct fault){0};
        fine(evlog_open(p.directory.log, &options, &p.log, &f), &f);
        fine(recover_to_write(&p.directory, p.log, NULL, &r, &f), &f);
        struct world_options world = {.secret = p.directory.secret, .log = p.log};
        p.world = world_of(&r.shelf, r.engine, &world);
        r.engine = NULL;
        const struct plan *plan = shelf_find(&r.shelf, str_of(p.plans[1]->hash), r.shelf.names);
        const struct plans *plans = engine_plans(world_engine(p.world));
        assert_non_null(plan);
        if (strcmp(plans->at[plans->newest]->hash, plan->hash) != 0)
            fine(world_change(p.world, &p.directory, plan, NULL, &f), &f);
        assert_string_equal(plans->at[plans->newest]->hash, plan->hash);
        struct buf is;
        buf_init(&is);
        remember(world_engine(p.world), plan, &is);
        if (crash == 0)
            buf_add_str(&wanted, buf_str(&is));
        assert_true(wanted.len > 1000);
        assert_true(str_equal(buf_str(&is), buf_str(&wanted)));
        buf_fini(&is);
        world_free(p.world);
        p.world = NULL;
        recovered_fini(&r);
        site_close(&p);
    }
    buf_fini(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a programme that is changed for another knows what was before, exactly",
             a_change_knows_what_was_before),
        TEST("what happens while a past is united is not lost",
             what_happens_while_a_past_is_united_is_not_lost),
        TEST("what is given up leaves nothing behind, and can be asked for again",
             what_is_given_up_leaves_nothing_behind),
        TEST("a backfill that was broken off is made anew",
             a_backfill_that_was_broken_off_is_made_anew),
        TEST("a damaged backfill is made again", a_damaged_backfill_is_made_again),
        TEST("a backfill goes when every snapshot has what was in it",
             a_backfill_goes_when_every_snapshot_has_what_was_in_it),
        TEST("a crash at any moment of a change can be gone on from",
             a_crash_at_any_moment_of_a_change_can_be_gone_on_from),
    };
    return cmocka_run_group_tests_name("backfill", tests, NULL, NULL);
}
