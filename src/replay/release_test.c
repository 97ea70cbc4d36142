/* A log of one release in the hands of another: names that are made otherwise, results that are the same, results
 * that are not, and what becomes of attempts then, with an end of the process at any moment. */
#include "base/hook.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "os/file.h"
#include "replay/adopt.h"
#include "replay/fixture.h"

/* This program's own hooks: what release it is at the moment. */
static uint64_t hooks[HOOK_STOP + 1];

uint64_t hook(enum hook which)
{
    return hooks[which];
}

static void be_release(uint64_t release, uint64_t names, uint64_t features, uint64_t decision)
{
    memset(hooks, 0, sizeof(hooks));
    hooks[HOOK_RELEASE] = release;
    hooks[HOOK_NAMES] = names;
    hooks[HOOK_FEATURES] = features;
    hooks[HOOK_DECISION] = decision;
}

/* Everybody lives for so many days; the log is committed and has no mark of an orderly end. */
static void live(struct shop *s, struct fake_disk *fake, uint64_t seed, uint32_t people,
                 int64_t days)
{
    assert_true(shop_open(s, fake_disk_of(fake), seed, people, days, NULL));
    assert_true(shop_live(s, UINT32_MAX));
}

static struct evlog *open_log(const struct directory *d)
{
    struct evlog_options options = {.disk = d->disk, .segment_bytes = 1 << 20};
    struct evlog *log;
    struct fault f = {0};
    if (evlog_open(d->log, &options, &log, &f) != OK)
        fail_msg("%s", f.text);
    return log;
}

static uint64_t hash_of(const struct directory *d, bool from_beginning, struct recovered *r)
{
    struct recover_options options = {.from_beginning = from_beginning, .checks_hashes = true};
    struct fault f = {0};
    if (recover(d, &options, r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_audit(r->engine, NULL, NULL), 0);
    return engine_hash(r->engine);
}

/* ---- names ---------------------------------------------------------------------------------------- */

/* Asks much of people and lets nobody in: instances have ids that are made of numbers. */
static const struct programme_file asking[] = {
    {{"programme.yaml", 14},
     {"name: Asking\ntimezone: Europe/London\ntraits:\n  first_name: {type: string}\n"
      "holds:\n  - {name: ticket, from: Ticket Opened, until: Ticket Closed}\n",
      0}},
    {{"segments/keen.yaml", 18},
     {"segment: keen\nowner: x\nwhen: 'count(\"Cart Updated\", \"3d\") >= 2 && "
      "!did(\"Order Completed\", \"1d\")'\n",
      0}},
    {{"segments/old.yaml", 17},
     {"segment: old\nowner: x\nwhen: 'has_been(in_segment(\"keen\"), \"1d\") || "
      "last(\"Cart Updated\").cart_id == \"x\"'\n",
      0}},
};

static void the_hash_does_not_know_numbers(void **state)
{
    (void)state;
    uint64_t hash[2];
    uint32_t names[2];
    for (uint64_t k = 0; k < 2; k++) {
        struct fake_disk *fake = fake_disk_new(1);
        struct programme_folder folder;
        struct shop s;
        be_release(0, k, 0, 0);
        folder_of(asking, array_count(asking), &folder);
        assert_true(shop_open_with(&s, fake_disk_of(fake), folder, 2, 60, 6, NULL));
        while (synth_next_ms(s.synth) != FOREVER_MS)
            assert_true(shop_step(&s));
        assert_true(engine_members(world_engine(s.world), names_find(s.shelf.names, STR("keen"))));
        hash[k] = engine_hash(world_engine(s.world));
        names[k] = names_count(s.shelf.names);
        shop_close(&s);
        fake_disk_free(fake);
    }
    assert_true(names[1] > names[0] + 20);
    assert_true(hash[0] == hash[1]);
}

/* Written with `before`, opened with `after`, gone on with, opened with `before` again. */
static void open_and_go_on(uint64_t before, uint64_t after, bool has_snapshot)
{
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct recovered r;
    struct fault f = {0};
    bool is_changed;
    be_release(1, before, 0, 0);
    live(&s, fake, 3, 50, 5);
    if (has_snapshot)
        assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    uint64_t hash = engine_hash(world_engine(s.world));
    evlog_free(s.log);
    s.log = NULL;

    be_release(2, after, 0, 0);
    assert_true(hash_of(&s.directory, true, &r) == hash);
    assert_true(r.results_compared > 300);
    assert_int_equal(r.results_compared, r.batches);
    recovered_fini(&r);
    struct evlog *log = open_log(&s.directory);
    if (recover_to_write(&s.directory, log, NULL, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(r.snapshot_batch > 0, has_snapshot);
    struct takeover t = {.log = log, .recovered = &r};
    assert_int_equal(take_over(&s.directory, &t, &is_changed, &f), OK);
    assert_true(is_changed);
    assert_int_equal(names_count(evlog_names(log)), names_count(r.shelf.names));

    struct world_options options = {.secret = s.directory.secret, .log = log};
    struct world *w = world_of(&r.shelf, r.engine, &options);
    r.engine = NULL;
    if (world_wait(w, world_now(w) + 3 * DAY_MS, &f) != OK || world_commit(w, &f) != OK)
        fail_msg("%s", f.text);
    hash = engine_hash(world_engine(w));
    world_free(w);
    recovered_fini(&r);
    evlog_free(log);

    be_release(1, before, 0, 0);
    assert_true(hash_of(&s.directory, false, &r) == hash);
    assert_true(release_is_known(&r.release));
    recovered_fini(&r);
    assert_true(hash_of(&s.directory, true, &r) == hash);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

static void a_log_opens_whatever_names_are_made(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        open_and_go_on(i & 1, ~i & 1, i & 2);
}

static void a_state_whose_features_have_other_names_is_made_anew(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct recovered r;
    struct fault f = {0};
    be_release(1, 0, 0, 0);
    live(&s, fake, 4, 40, 5);
    assert_int_equal(snapshot_engine(&s.directory, world_engine(s.world), &f), OK);
    be_release(2, 0, 1, 0);
    hash_of(&s.directory, false, &r);
    assert_int_equal(r.snapshots_refused, 1);
    assert_true(str_find(str_of(r.snapshot_fault.text), STR("compiles programme"), 0) != SIZE_MAX);
    assert_int_equal(r.snapshot_batch, 0);
    assert_int_equal(r.results_compared, r.batches);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

/* ---- taking over ---------------------------------------------------------------------------------- */

static enum status take(const struct directory *d, struct evlog *log, bool *is_changed,
                        struct fault *f)
{
    struct recovered r;
    enum status status = recover_to_write(d, log, NULL, &r, f);
    struct takeover t = {.log = log, .recovered = &r, .now_ms = START_MS};
    if (status == OK)
        status = take_over(d, &t, is_changed, f);
    recovered_fini(&r);
    return status;
}

static void a_release_takes_over_once(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct recovered r;
    struct fault f = {0};
    bool is_changed;
    be_release(1, 0, 0, 0);
    live(&s, fake, 4, 30, 4);
    evlog_free(s.log);
    s.log = open_log(&s.directory);
    uint64_t last = evlog_batch_durable(s.log);
    for (uint64_t release = 1; release <= 3; release++) {
        be_release(release, 0, 0, 0);
        assert_int_equal(take(&s.directory, s.log, &is_changed, &f), OK);
        assert_true(is_changed);
        assert_int_equal(evlog_batch_durable(s.log), last + release);
        assert_int_equal(take(&s.directory, s.log, &is_changed, &f), OK);
        assert_false(is_changed);
        assert_int_equal(evlog_batch_durable(s.log), last + release);
    }
    struct recover_options tail = {0};
    assert_int_equal(recover(&s.directory, &tail, &r, &f), OK);
    assert_int_equal(r.snapshot_batch, last + 2);
    assert_int_equal(r.batches, 1);
    recovered_fini(&r);
    shop_close(&s);
    fake_disk_free(fake);
}

static void nothing_is_decided_again_across_a_change(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct recovered r;
    struct fault f = {0};
    bool is_changed;
    be_release(1, 0, 0, 0);
    live(&s, fake, 4, 30, 4);
    evlog_free(s.log);
    s.log = open_log(&s.directory);
    be_release(2, 0, 0, 0);
    assert_int_equal(take(&s.directory, s.log, &is_changed, &f), OK);
    assert_int_equal(os_remove_tree(s.directory.disk, s.directory.snapshots, &f), OK);
    be_release(3, 0, 0, 0);
    assert_int_equal(recover_to_write(&s.directory, s.log, NULL, &r, &f), GIVE_UP);
    assert_true(str_find(str_of(f.text), STR("wend recover"), 0) != SIZE_MAX);
    recovered_fini(&r);
    /* Who only looks may, and an operator may say that it is right. */
    hash_of(&s.directory, true, &r);
    assert_true(r.crossed_batch > 0);
    recovered_fini(&r);
    struct trial trial;
    f = (struct fault){0};
    assert_int_equal(trial_run(&s.directory, s.log, &trial, &f), OK);
    assert_int_equal(trial.batches, 0);
    assert_true(trial_differs(&trial));
    trial_fini(&trial);
    shop_close(&s);
    fake_disk_free(fake);
}

static void an_end_at_any_moment_of_taking_over_is_made_good(void **state)
{
    (void)state;
    uint32_t rounds = 0;
    bool was_whole = false;
    for (uint64_t call = 0; !was_whole; call++) {
        struct fake_disk *fake = fake_disk_new(50 + call);
        struct shop s;
        struct recovered r;
        struct fault f = {0};
        bool is_changed = false;
        be_release(1, 0, 0, 0);
        live(&s, fake, 5, 12, 3);
        uint64_t last = engine_batch(world_engine(s.world));
        evlog_free(s.log);
        s.log = NULL;
        fake_disk_fail_at(fake, fake_disk_calls(fake) + 1 + call * 3, FAKE_CRASH);
        be_release(2, 1, 0, 0);
        struct evlog_options options = {.disk = s.directory.disk, .segment_bytes = 1 << 20};
        struct evlog *log = NULL;
        if (evlog_open(s.directory.log, &options, &log, &f) == OK)
            was_whole = take(&s.directory, log, &is_changed, &f) == OK;
        evlog_free(log);
        fake_disk_restart(fake);
        log = open_log(&s.directory);
        f = (struct fault){0};
        if (take(&s.directory, log, &is_changed, &f) != OK)
            fail_msg("after call %lu: %s", call * 3, f.text);
        evlog_free(log);
        hash_of(&s.directory, false, &r);
        struct release here = release_here();
        assert_true(release_is_same(&r.release, &here));
        assert_true(engine_batch(r.engine) >= last);
        recovered_fini(&r);
        shop_close(&s);
        fake_disk_free(fake);
        rounds++;
    }
    assert_true(rounds > 10);
}

/* ---- adopting ------------------------------------------------------------------------------------- */

/* Every attempt that the log's result blocks grant. */
struct grants {
    uint64_t *ids; /* decision and attempt as one number */
    uint32_t count, room;
    uint32_t doubts; /* decisions in doubt */
};

static void note_row(void *self, const struct result *row)
{
    struct grants *g = self;
    if (row->kind == RESULT_DECIDED && row->how == OUTCOME_IN_DOUBT)
        g->doubts++;
    if (row->kind != RESULT_GRANTED)
        return;
    if (g->count == g->room) {
        g->room = g->room ? g->room * 2 : 64;
        g->ids = mem_resize(g->ids, g->room * sizeof(g->ids[0]));
    }
    g->ids[g->count++] = hash_pair(row->id, row->step);
}

static void read_grants(const struct directory *d, struct grants *g)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    struct fault f = {0};
    *g = (struct grants){0};
    assert_int_equal(evlog_reader_open(d->disk, d->log, 1, &reader, &f), OK);
    while (item.kind != EVLOG_END) {
        assert_int_equal(evlog_reader_next(reader, &item, &f), OK);
        if (item.kind == EVLOG_RESULTS)
            difference_rows(item.results, 0, g, note_row);
    }
    evlog_reader_close(reader);
}

static void none_is_granted_twice(const struct directory *d, uint32_t doubts_least)
{
    struct grants g;
    read_grants(d, &g);
    assert_true(g.count > 2);
    for (uint32_t i = 0; i < g.count; i++)
        for (uint32_t k = i + 1; k < g.count; k++)
            assert_true(g.ids[i] != g.ids[k]);
    assert_true(g.doubts >= doubts_least);
    mem_free(g.ids);
}

/* Adopts and takes over; false where the disk ended it. */
static bool adopt(const struct directory *d, struct evlog *log, uint32_t *kept, uint32_t *undone)
{
    struct trial trial;
    struct fault f = {0};
    bool is_changed;
    bool is_fine = trial_run(d, log, &trial, &f) == OK;
    if (is_fine) {
        struct takeover t = {
            .log = log, .recovered = &trial.recovered, .is_forced = trial_differs(&trial)};
        *kept += trial.kept_count;
        *undone += trial.keep_count - trial.kept_count;
        is_fine = trial_adopt(&t, &trial, STR("a test"), &f) == OK &&
                  take_over(d, &t, &is_changed, &f) == OK;
    }
    trial_fini(&trial);
    return is_fine;
}

/* Everybody goes on for some days. */
static void go_on(const struct directory *d, struct evlog *log, int64_t days)
{
    struct recovered r;
    struct fault f = {0};
    if (recover_to_write(d, log, NULL, &r, &f) != OK)
        fail_msg("%s", f.text);
    struct world_options options = {.secret = d->secret, .log = log};
    struct world *w = world_of(&r.shelf, r.engine, &options);
    r.engine = NULL;
    if (world_wait(w, world_now(w) + days * DAY_MS, &f) != OK || world_commit(w, &f) != OK)
        fail_msg("%s", f.text);
    world_free(w);
    recovered_fini(&r);
}

/* Decided with every `before`-th decision for not sending, adopted by who has another number. */
static void adopt_and_go_on(uint64_t before, uint64_t after, uint32_t *kept, uint32_t *undone)
{
    struct fake_disk *fake = fake_disk_new(1);
    struct shop s;
    struct recovered r;
    struct fault f = {0};
    be_release(1, 0, 0, before);
    live(&s, fake, 6, 60, 6);
    evlog_free(s.log);
    s.log = open_log(&s.directory);

    be_release(2, 0, 0, after);
    uint64_t bytes = fake_disk_used_bytes(fake);
    assert_int_equal(recover_to_write(&s.directory, s.log, NULL, &r, &f), GIVE_UP);
    assert_true(r.differs_from > 1);
    assert_true(str_find(str_of(f.text), STR("wend recover"), 0) != SIZE_MAX);
    assert_true(str_find(str_of(f.text), STR("row "), 0) != SIZE_MAX);
    recovered_fini(&r);
    assert_int_equal(fake_disk_used_bytes(fake), bytes);

    uint32_t here_kept = 0;
    assert_true(adopt(&s.directory, s.log, &here_kept, undone));
    *kept += here_kept;
    none_is_granted_twice(&s.directory, here_kept);
    go_on(&s.directory, s.log, 4);
    none_is_granted_twice(&s.directory, here_kept);
    uint64_t hash = hash_of(&s.directory, false, &r);
    recovered_fini(&r);
    /* The log alone says so too: the record is in it. */
    assert_true(hash_of(&s.directory, true, &r) == hash);
    assert_true(r.adopted_batch > r.differs_from);
    recovered_fini(&r);
    /* There is nothing left to adopt. */
    uint32_t again = 0;
    assert_true(adopt(&s.directory, s.log, &again, &again));
    assert_int_equal(again, 0);
    shop_close(&s);
    fake_disk_free(fake);
}

static void what_differs_is_adopted_by_an_operator(void **state)
{
    (void)state;
    uint32_t kept = 0, undone = 0;
    adopt_and_go_on(0, 3, &kept, &undone);
    adopt_and_go_on(0, 7, &kept, &undone);
    adopt_and_go_on(3, 0, &kept, &undone);
    adopt_and_go_on(3, 5, &kept, &undone);
    assert_true(kept > 5);
    assert_true(undone > 0);
}

static void an_end_at_any_moment_of_adopting_is_made_good(void **state)
{
    (void)state;
    bool was_whole = false;
    uint32_t rounds = 0;
    for (uint64_t call = 0; !was_whole; call++) {
        struct fake_disk *fake = fake_disk_new(70 + call);
        struct shop s;
        struct recovered r;
        struct fault f = {0};
        uint32_t first = 0, kept = 0, ignored = 0;
        be_release(1, 0, 0, 0);
        live(&s, fake, 7, 25, 4);
        evlog_free(s.log);
        s.log = NULL;
        be_release(2, 1, 0, 3);
        fake_disk_fail_at(fake, fake_disk_calls(fake) + 1 + call * 3, FAKE_CRASH);
        struct evlog_options options = {.disk = s.directory.disk, .segment_bytes = 1 << 20};
        struct evlog *log = NULL;
        if (evlog_open(s.directory.log, &options, &log, &f) == OK)
            was_whole = adopt(&s.directory, log, &first, &ignored);
        evlog_free(log);
        fake_disk_restart(fake);
        log = open_log(&s.directory);
        assert_true(adopt(&s.directory, log, &kept, &ignored));
        go_on(&s.directory, log, 3);
        assert_true(first > 0 || kept > 0);
        none_is_granted_twice(&s.directory, kept);
        uint64_t hash = hash_of(&s.directory, false, &r);
        recovered_fini(&r);
        assert_true(hash_of(&s.directory, true, &r) == hash);
        recovered_fini(&r);
        evlog_free(log);
        shop_close(&s);
        fake_disk_free(fake);
        rounds++;
    }
    assert_true(rounds > 10);
}

/* ---- calls that are under way ---------------------------------------------------------------------- */

/* One of them is made once alone. */
static const struct programme_file calling[] = {
    {{"programme.yaml", 14},
     {"name: Calling\ntimezone: Europe/London\ntraits:\n  first_name: {type: string}\n"
      "categories:\n  order: {lane: service, purpose: contract}\n",
      0}},
    {{"providers/service.yaml", 22},
     {"kind: http\nslots: 40\nsettings: {url: 'https://service.example'}\n", 0}},
    {{"journeys/once.yaml", 18},
     {"journey: once\nowner: x\nenter: {event: Order Completed, key: event.order_id, again: always}\n"
      "steps: [{call: service, id: grant, category: order, retry: never, within: 5d}]\n",
      0}},
    {{"journeys/safe.yaml", 18},
     {"journey: safe\nowner: x\nenter: {event: Order Completed, key: event.order_id, again: always}\n"
      "steps: [{call: service, id: ask, category: order, within: 5d}]\n",
      0}},
};

#define ANSWERED_MS (20 * HOUR_MS)

/* A service that answers late, and knows every attempt that it was ever given, whatever release gave it. */
struct service {
    struct {
        uint64_t decision;
        uint32_t attempt;
        bool is_once;
    } calls[4096];
    uint32_t count;
    bool is_quick;
    struct world *world; /* NULL while the log is adopted: who is called then does not answer */
};

static struct service service; /* this program's own: of the test that runs */

static void call(const struct engine *e, const struct action *a)
{
    uint32_t once = names_find(engine_names(e), STR("once"));
    assert_true(service.count < array_count(service.calls));
    service.calls[service.count].decision = a->decision;
    service.calls[service.count].attempt = a->attempt;
    service.calls[service.count++].is_once = a->journey_name == once;
}

static void take_call(void *self, const struct engine *e, const struct action *a)
{
    (void)self;
    call(e, a);
}

static void answer_call(struct world *w, const struct action *a, int64_t now_ms)
{
    const struct plan *plan = engine_plans(world_engine(w))->at[a->plan];
    struct receipt receipt = {.kind = RECEIPT_ACCEPTED,
                              .profile = a->profile,
                              .decision = a->decision,
                              .attempt = a->attempt,
                              .provider = plan->providers[a->provider].name,
                              .code = 200};
    call(world_engine(w), a);
    world_receipt_at(w, &receipt, now_ms + (service.is_quick ? 0 : ANSWERED_MS));
}

static void serve_shop(void *self, const struct action *a, int64_t now_ms)
{
    answer_call(((struct shop *)self)->world, a, now_ms);
}

static void serve_world(void *self, const struct action *a, int64_t now_ms)
{
    (void)self;
    answer_call(service.world, a, now_ms);
}

/* What a start does: of whatever was under way nobody knows. */
static void doubt(void *self, struct pending p)
{
    struct world *w = self;
    world_receipt(w, &(struct receipt){.kind = RECEIPT_IN_DOUBT,
                                       .profile = p.profile,
                                       .decision = p.decision,
                                       .attempt = p.attempt,
                                       .provider = p.provider});
}

/* For some days, until everything that was begun has come to its end. */
static void go_on_calling(const struct directory *d, struct evlog *log)
{
    struct recovered r;
    struct fault f = {0};
    if (recover_to_write(d, log, NULL, &r, &f) != OK)
        fail_msg("%s", f.text);
    struct world_options options = {.secret = d->secret, .log = log, .host = {.act = serve_world}};
    struct world *w = world_of(&r.shelf, r.engine, &options);
    r.engine = NULL;
    service.world = w;
    service.is_quick = true;
    engine_pending(world_engine(w), w, doubt);
    if (world_wait(w, world_now(w) + 6 * DAY_MS, &f) != OK || world_commit(w, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_audit(world_engine(w), NULL, NULL), 0);
    service.world = NULL;
    world_free(w);
    recovered_fini(&r);
}

static void note_entered(void *self, const struct result *row)
{
    struct grants *g = self;
    if (row->kind == RESULT_ENTERED)
        g->count++;
}

static uint32_t entered(const struct directory *d)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    struct fault f = {0};
    struct grants g = {.count = 0};
    assert_int_equal(evlog_reader_open(d->disk, d->log, 1, &reader, &f), OK);
    while (item.kind != EVLOG_END) {
        assert_int_equal(evlog_reader_next(reader, &item, &f), OK);
        if (item.kind == EVLOG_RESULTS)
            difference_rows(item.results, 0, &g, note_entered);
    }
    evlog_reader_close(reader);
    return g.count;
}

/* A shop whose attempts are no messages, as the release writes it that decides `before` otherwise. */
static void write_served(struct shop *s, struct fake_disk *fake,
                         const struct programme_folder *folder, uint64_t before, uint64_t seed,
                         void (*serve)(void *self, const struct action *a, int64_t now_ms))
{
    be_release(1, 0, 0, before);
    assert_true(shop_open_served(s, fake_disk_of(fake), *folder, seed, 300, 6, NULL, serve));
    assert_true(shop_live(s, UINT32_MAX));
    evlog_free(s->log);
    s->log = open_log(&s->directory);
}

/* Adopts it as the release that decides `after` otherwise; all that it keeps or undoes is of one kind. */
static void adopt_served(struct shop *s, uint64_t after, bool is_listing, uint32_t *kept,
                         uint32_t *undone,
                         void (*act)(void *self, const struct engine *e, const struct action *a))
{
    struct trial trial;
    struct fault f = {0};
    bool is_changed;
    be_release(2, 0, 0, after);
    assert_int_equal(trial_run(&s->directory, s->log, &trial, &f), OK);
    for (uint32_t i = 0; i < trial.keep_count; i++) {
        assert_true(is_listing ? trial.keeps[i].is_listing : trial.keeps[i].is_errand);
        *(trial.keeps[i].kind == RELEASE_KEPT ? kept : undone) += 1;
    }
    struct takeover t = {.log = s->log,
                         .recovered = &trial.recovered,
                         .is_forced = trial_differs(&trial),
                         .act = act};
    assert_int_equal(trial_adopt(&t, &trial, STR("what is served is another"), &f), OK);
    assert_int_equal(take_over(&s->directory, &t, &is_changed, &f), OK);
    trial_fini(&trial);
}

/* The log from its beginning and the newest snapshot lead to the same. */
static void comes_to_the_same(const struct shop *s)
{
    struct recovered r;
    uint64_t hash = hash_of(&s->directory, false, &r);
    recovered_fini(&r);
    assert_true(hash_of(&s->directory, true, &r) == hash);
    recovered_fini(&r);
}

/* Written by who holds back every `before`-th call for half a day, adopted by who has another number. */
static void adopt_calls(uint64_t before, uint64_t after, uint64_t seed, uint32_t *kept,
                        uint32_t *undone)
{
    struct fake_disk *fake = fake_disk_new(1);
    struct programme_folder folder;
    struct shop s;
    service = (struct service){.count = 0};
    folder_of(calling, array_count(calling), &folder);
    write_served(&s, fake, &folder, before, seed, serve_shop);
    uint32_t journeys = entered(&s.directory), called = service.count;
    assert_true(called > 50);
    adopt_served(&s, after, false, kept, undone, take_call);
    go_on_calling(&s.directory, s.log);
    comes_to_the_same(&s);

    uint32_t decisions = 0;
    for (uint32_t i = 0; i < service.count; i++) {
        bool is_first = true;
        for (uint32_t k = 0; k < i; k++) {
            bool is_same = service.calls[i].decision == service.calls[k].decision;
            is_first &= !is_same;
            assert_false(is_same && service.calls[i].attempt == service.calls[k].attempt);
            assert_false(is_same && service.calls[i].is_once); /* handed over, and not again */
        }
        decisions += is_first;
    }
    assert_int_equal(decisions, journeys); /* nobody is left out */
    shop_close(&s);
    fake_disk_free(fake);
}

static void a_call_is_handed_over_once_whatever_is_adopted(void **state)
{
    (void)state;
    uint32_t kept = 0, undone = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        adopt_calls(0, 3, seed, &kept, &undone);
        adopt_calls(3, 0, seed, &kept, &undone);
        adopt_calls(3, 5, seed, &kept, &undone);
    }
    assert_true(kept > 5);
    assert_true(undone > 5);
}

/* ---- audience uploads that are under way ----------------------------------------------------------- */

static const struct programme_file listing[] = {
    {{"programme.yaml", 14},
     {"name: Listing\ntimezone: Europe/London\ntraits:\n  first_name: {type: string}\n"
      "categories:\n  ads: {lane: service, purpose: contract}\n"
      "audiences: {carts: {provider: network, category: ads}}\n",
      0}},
    {{"providers/network.yaml", 22},
     {"kind: webhook\nchannel: webhook\nslots: 40\n"
      "settings: {url: 'https://ads.example/lists', secret: '${ENV:ADS_SECRET}'}\n",
      0}},
    {{"journeys/cart.yaml", 18},
     {"journey: cart\nowner: x\nenter: {event: Cart Updated, key: event.cart_id, again: always}\n"
      "steps: [{audience: carts}, {wait: {for: 1d}}]\n",
      0}},
};

#define MEMBERS_MAX 512

/* A network that does at once what it is told, and says so late. It knows every attempt that it was given. */
struct network {
    struct {
        char hash[SHA256_HEX_BYTES];
        bool is_in;
    } members[MEMBERS_MAX];
    uint32_t member_count;
    struct {
        uint64_t decision;
        uint32_t attempt;
    } told[4096];
    uint32_t told_count;
    bool is_quick;
    struct world *world;
};

static struct network network; /* this program's own: of the test that runs */

static void upload(const struct action *a)
{
    char hash[SHA256_HEX_BYTES];
    uint32_t i = 0;
    assert_int_equal(a->field_count, AUDIENCE_FIELDS);
    assert_true(str_to_z(a->fields[AUDIENCE_MEMBER].text, hash, sizeof(hash)));
    while (i < network.member_count && strcmp(network.members[i].hash, hash) != 0)
        i++;
    assert_true(i < MEMBERS_MAX);
    if (i == network.member_count) {
        memcpy(network.members[i].hash, hash, sizeof(hash));
        network.member_count++;
    }
    network.members[i].is_in = str_is(a->fields[AUDIENCE_ACTION].text, "add");
    for (uint32_t k = 0; k < network.told_count; k++)
        assert_false(network.told[k].decision == a->decision &&
                     network.told[k].attempt == a->attempt);
    assert_true(network.told_count < array_count(network.told));
    network.told[network.told_count].decision = a->decision;
    network.told[network.told_count++].attempt = a->attempt;
}

static void answer_upload(struct world *w, const struct action *a, int64_t now_ms)
{
    const struct plan *plan = engine_plans(world_engine(w))->at[a->plan];
    struct receipt receipt = {.kind = RECEIPT_ACCEPTED,
                              .profile = a->profile,
                              .decision = a->decision,
                              .attempt = a->attempt,
                              .provider = plan->providers[a->provider].name};
    upload(a);
    world_receipt_at(w, &receipt, now_ms + (network.is_quick ? 0 : ANSWERED_MS));
}

static void upload_shop(void *self, const struct action *a, int64_t now_ms)
{
    answer_upload(((struct shop *)self)->world, a, now_ms);
}

static void upload_world(void *self, const struct action *a, int64_t now_ms)
{
    (void)self;
    answer_upload(network.world, a, now_ms);
}

static void take_upload(void *self, const struct engine *e, const struct action *a)
{
    (void)self, (void)e;
    upload(a);
}

/* Is the member in, as far as the state knows? */
static bool is_listed(struct engine *e, const char *hash)
{
    bool is_in = false;
    for (uint64_t number = engine_each(e, 0); number != 0; number = engine_each(e, number)) {
        struct person who;
        engine_look(e, number, &who);
        for (uint32_t i = 0; i < who.profile->listings.count; i++) {
            const struct listing *x = person_listing(&who, i);
            char hex[SHA256_HEX_BYTES];
            sha256_print(x->member, hex);
            assert_int_equal(x->state, LISTING_IDLE);
            assert_true(x->known != LISTING_DOUBT);
            is_in |= x->known == LISTING_IN && strcmp(hex, hash) == 0;
        }
    }
    return is_in;
}

/* Until every answer is there; nobody is left in the middle, and some are still in. */
static void go_on_listing(const struct directory *d, struct evlog *log, uint32_t *in)
{
    struct recovered r;
    struct fault f = {0};
    if (recover_to_write(d, log, NULL, &r, &f) != OK)
        fail_msg("%s", f.text);
    struct world_options options = {.secret = d->secret, .log = log, .host = {.act = upload_world}};
    struct world *w = world_of(&r.shelf, r.engine, &options);
    r.engine = NULL;
    network.world = w;
    network.is_quick = true;
    engine_pending(world_engine(w), w, doubt);
    if (world_wait(w, world_now(w) + 2 * HOUR_MS, &f) != OK || world_commit(w, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_audit(world_engine(w), NULL, NULL), 0);
    for (uint32_t i = 0; i < network.member_count; i++) {
        bool is_in = is_listed(world_engine(w), network.members[i].hash);
        if (network.members[i].is_in != is_in)
            fail_msg("member %u: the network has them %s, the state %s", i,
                     network.members[i].is_in ? "in" : "out", is_in ? "in" : "out");
        *in += is_in;
    }
    network.world = NULL;
    world_free(w);
    recovered_fini(&r);
}

/* Written by who lets every `before`-th instance add nobody, adopted by who has another number. */
static void adopt_uploads(uint64_t before, uint64_t after, uint64_t seed, uint32_t *kept,
                          uint32_t *undone, uint32_t *in)
{
    struct fake_disk *fake = fake_disk_new(1);
    struct programme_folder folder;
    struct shop s;
    network = (struct network){.member_count = 0};
    folder_of(listing, array_count(listing), &folder);
    write_served(&s, fake, &folder, before, seed, upload_shop);
    assert_true(network.told_count > 50);
    adopt_served(&s, after, true, kept, undone, take_upload);
    go_on_listing(&s.directory, s.log, in);
    comes_to_the_same(&s);
    shop_close(&s);
    fake_disk_free(fake);
}

static void a_network_has_whom_the_state_says_whatever_is_adopted(void **state)
{
    (void)state;
    uint32_t kept = 0, undone = 0, in = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        adopt_uploads(0, 3, seed, &kept, &undone, &in);
        adopt_uploads(3, 0, seed, &kept, &undone, &in);
        adopt_uploads(3, 5, seed, &kept, &undone, &in);
    }
    assert_true(kept > 5);
    assert_true(undone > 5);
    assert_true(in > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the state's hash does not depend on the numbers of names",
             the_hash_does_not_know_numbers),
        TEST("a log opens whatever names a release makes, and goes on",
             a_log_opens_whatever_names_are_made),
        TEST("a snapshot whose features have other names is passed over",
             a_state_whose_features_have_other_names_is_made_anew),
        TEST("a release takes over once, behind a snapshot", a_release_takes_over_once),
        TEST("nothing is decided again across a change of release",
             nothing_is_decided_again_across_a_change),
        TEST("an end at any moment of taking over is made good",
             an_end_at_any_moment_of_taking_over_is_made_good),
        TEST("what differs is adopted by an operator, and no attempt is granted twice",
             what_differs_is_adopted_by_an_operator),
        TEST("an end at any moment of adopting is made good",
             an_end_at_any_moment_of_adopting_is_made_good),
        TEST("a call is handed over, and once, whatever is adopted",
             a_call_is_handed_over_once_whatever_is_adopted),
        TEST("a network has in an audience whom the state says, whatever is adopted",
             a_network_has_whom_the_state_says_whatever_is_adopted),
    };
    return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
