/* Who would be in a segment that nobody has saved: what the log, applied again, says of it is what is
 * known where it had been saved from the start. */
#include "replay/segment.h"

#include "base/mem.h"
#include "os/fake_disk.h"
#include "replay/world.h"
#include "test.h"
#include "when/zone.h"

#define START_MS INT64_C(1772409600000)
#define PEOPLE   5

/* The last two: what the candidate has more. */
static const struct programme_file files[] = {
    {{"programme.yaml", 14}, {"name: Trial\ntraits: {vip: {type: bool}, age: {type: int}}\n", 0}},
    {{"segments/gold.yaml", 18}, {"segment: gold\nwhen: 'traits.vip'\n", 0}},
    {{"segments/plain.yaml", 19},
     {"segment: plain\nwhen: 'count(\"cart\", \"9d\") > 1 && traits.vip'\n", 0}},
    {{"segments/long.yaml", 18},
     {"segment: long\nwhen: 'has_been(traits.vip && traits.age > 3, \"30h\") || "
      "(in_segment(\"gold\", \"2d\") && has_been(has_been(traits.age > 1, \"1d\"), \"2d\"))'\n",
      0}},
};
#define COMMON 2

struct site {
    struct fake_disk *fake;
    struct directory directory;
    struct shelf shelf;
    struct evlog *log;
    struct world *world;
};

static void fine(enum status status, const struct fault *f)
{
    if (status != OK)
        fail_msg("%s", f->text);
}

static struct plan *make_plan(struct site *p, size_t count, bool is_kept)
{
    struct programme_file list[array_count(files)];
    struct zone_file zone = {STR("UTC"), STR("UTC0")};
    struct zoneset *zones;
    struct programme_folder folder;
    struct findings findings;
    struct plan *plan = NULL;
    struct fault f = {0};
    struct buf bytes;
    buf_init(&bytes);
    fine(zoneset_build(STR("test"), &zone, 1, &zones, &f), &f);
    zoneset_write(zones, &bytes);
    zoneset_free(zones);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct programme_file){files[i].path, str_of(files[i].text.at)};
    fine(programme_folder_of(list, (uint32_t)count, buf_str(&bytes), &folder, &f), &f);
    buf_fini(&bytes);
    findings_init(&findings);
    if (programme_compile(&folder, p->shelf.names, &plan, &findings) != OK)
        fail_msg("%.*s", STR_ARG(findings.list[0].text));
    findings_fini(&findings);
    if (is_kept) {
        fine(programme_store(p->directory.disk, p->directory.programmes, &folder, &f), &f);
        shelf_add(&p->shelf, plan);
    }
    programme_folder_fini(&folder);
    return plan;
}

static void site_open(struct site *p, size_t count)
{
    struct fault f = {0};
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    *p = (struct site){.fake = fake_disk_new(1)};
    directory_secret(7, secret);
    fine(directory_make(fake_disk_of(p->fake), "/d", secret, &p->directory, &f), &f);
    shelf_init(&p->shelf, &p->directory);
    struct evlog_options options = {.disk = fake_disk_of(p->fake)};
    fine(evlog_open(p->directory.log, &options, &p->log, &f), &f);
    struct world_options world = {.secret = p->directory.secret, .log = p->log};
    p->world = world_new(&p->shelf, &world, START_MS);
    fine(world_activate(p->world, make_plan(p, count, true), &f), &f);
}

static void site_close(struct site *p)
{
    world_free(p->world);
    evlog_free(p->log);
    shelf_fini(&p->shelf);
    fake_disk_free(p->fake);
}

/* The same at both: a cart, or that somebody's traits are others now. */
static void happen(struct site *p, uint64_t dice, int64_t at_ms)
{
    struct fault f = {0};
    struct buf body;
    char id[32];
    snprintf(id, sizeof(id), "u%lu", dice % PEOPLE);
    struct record r = {
        .type = RECORD_EVENT,
        .kind = dice >> 8 & 3 ? EVENT_IDENTIFY : EVENT_TRACK,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = dice >> 8 & 3 ? NAME_NONE : names_add(p->shelf.names, STR("cart")),
        .at_ms = at_ms,
        .event_ms = at_ms,
        .arrival_ms = at_ms,
        .user = identifier_hash(IDENTIFIER_USER, str_of(id), p->directory.secret),
        .message_hash = dice | 1,
    };
    buf_init(&body);
    if (dice >> 16 & 1)
        body_put_bool(&body, names_add(p->shelf.names, STR("vip")), dice >> 17 & 3);
    else
        body_put_int(&body, names_add(p->shelf.names, STR("age")), (int64_t)(dice >> 17 & 7));
    r.clear = body_of(&body);
    fine(world_apply(p->world, &r, &f), &f);
    buf_fini(&body);
}

static void a_candidate_knows_what_the_saved_one_knows(void **state)
{
    (void)state;
    uint64_t compared[2][2] = {{0}}, late = 0;
    for (uint64_t round = 0; round < 14; round++) {
        struct site saved, without;
        struct fault f = {0};
        int64_t at_ms = START_MS;
        site_open(&saved, array_count(files));
        site_open(&without, COMMON);
        for (uint32_t i = 0; i < 60 + 7 * round; i++) {
            uint64_t dice = hash_pair(round, i);
            at_ms += 2 * HOUR_MS + (int64_t)(dice >> 24) % (4 * HOUR_MS);
            happen(&saved, dice, at_ms);
            happen(&without, dice, at_ms);
        }
        fine(world_commit(without.world, &f), &f);
        fine(evlog_commit(without.log, &f), &f);
        struct plan *plan = make_plan(&without, array_count(files), false);
        const char *const names[] = {"plain", "long"};
        for (uint32_t k = 0; k < array_count(names); k++) {
            uint32_t name = names_find(without.shelf.names, str_of(names[k]));
            uint16_t index = plan_segment_find(plan, name);
            struct segment_view view;
            fine(segment_view(&without.directory, plan, index,
                              engine_now(world_engine(without.world)), 0, &view, &f),
                 &f);
            assert_int_equal(view.step_ms != 0, k == 1);
            uint32_t people = 0;
            for (uint64_t n = engine_each(view.recovered.engine, 0); n != 0;
                 n = engine_each(view.recovered.engine, n)) {
                struct person who;
                bool is_error;
                engine_look(world_engine(saved.world), n, &who);
                bool wanted = audience_is_in(&who, names_find(saved.shelf.names, str_of(names[k])));
                bool is_in = segment_view_ask(&view, n, index, &is_error);
                if (is_in != wanted) { /* it began between two looks: so much later it is known */
                    view.at_ms += 3 * view.step_ms;
                    is_in = segment_view_ask(&view, n, index, &is_error);
                    view.at_ms -= 3 * view.step_ms;
                    late++;
                }
                if (is_in != wanted)
                    fail_msg("round %lu, %s of person %u: wanted %d", round, names[k], people,
                             wanted);
                compared[k][wanted]++;
                people++;
            }
            assert_true(people == PEOPLE);
            segment_view_fini(&view);
        }
        programme_plan_free(plan);
        site_close(&saved);
        site_close(&without);
    }
    assert_true(late < 5);
    for (uint32_t k = 0; k < 2; k++)
        assert_true(compared[k][0] > 5 && compared[k][1] > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a candidate knows what it would know if it had been saved from the start",
             a_candidate_knows_what_the_saved_one_knows),
    };
    return cmocka_run_group_tests_name("replay/segment", tests, NULL, NULL);
}
