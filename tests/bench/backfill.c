/* backfill.c - how fast the past of a new programme's features is made.
 *
 * A log of 300,000 events by 20,000 people in batches of 100 on the disk, applied under a programme that
 * keeps nothing. Then a programme that asks about three of the five events is prepared, and its backfill
 * is made: the log read, identity and features, the file written and synced. One thread.
 *
 *     backfill_events   events of the log in a second
 *     backfill_bytes    the file, for each person
 *     backfill_unite    people in a second whose halves are united when the programme is activated
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/mem.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "os/file.h"
#include "replay/world.h"

#define PEOPLE       20000
#define BATCH_EVENTS 100
#define EVENTS       300000
#define START_MS     INT64_C(1772409600000)

static const char *const event_names[] = {"cart", "order", "page", "view", "search"};

static const struct programme_file common[] = {
    {{"programme.yaml", 14}, {"name: Bench\ncategories:\n  service: {lane: service}\n", 0}},
    {{"providers/mail.yaml", 19},
     {"kind: smtp\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org'}\n", 0}},
    {{"messages/m/message.yaml", 23}, {"category: service\nemail: {subject: Hello}\n", 0}},
    {{"messages/m/email.txt.liquid", 27}, {"Hello\n", 0}},
};

static const char *const journeys[] = {
    "journey: j\nowner: us\ngoal: {event: Never}\nenter: {event: Never}\nsteps: [{send: m}]\n",
    "journey: j\nowner: us\ngoal: {event: Never}\n"
    "enter: {event: Never, when: 'count(\"cart\", \"30d\") > 2 && sum(\"order\", \"90d\", \"value\") > 100.0 && "
    "idle(\"page\", \"7d\")'}\nsteps: [{send: m}]\n",
};

static void fine(enum status status, const struct fault *f)
{
    if (status == OK)
        return;
    fprintf(stderr, "%s\n", f->text);
    exit(1);
}

static const struct plan *put_plan(struct shelf *shelf, const struct directory *d,
                                   const char *journey)
{
    struct programme_file list[array_count(common) + 1];
    struct programme_folder folder;
    struct findings findings;
    struct plan *plan = NULL;
    struct fault f = {0};
    struct buf zones;
    buf_init(&zones);
    fine(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    for (size_t i = 0; i < array_count(common); i++)
        list[i] = (struct programme_file){common[i].path, str_of(common[i].text.at)};
    list[array_count(common)] = (struct programme_file){STR("journeys/j.yaml"), str_of(journey)};
    fine(programme_folder_of(list, array_count(list), buf_str(&zones), &folder, &f), &f);
    buf_fini(&zones);
    findings_init(&findings);
    if (programme_compile(&folder, shelf->names, &plan, &findings) != OK)
        exit(1);
    findings_fini(&findings);
    fine(programme_store(d->disk, d->programmes, &folder, &f), &f);
    programme_folder_fini(&folder);
    shelf_add(shelf, plan);
    return plan;
}

static void write_log(struct world *w, struct shelf *shelf, const struct directory *d,
                      uint64_t events)
{
    struct fault f = {0};
    uint32_t names[array_count(event_names)], value_name = names_add(shelf->names, STR("value"));
    struct record batch[BATCH_EVENTS];
    struct buf bodies[BATCH_EVENTS];
    for (size_t i = 0; i < array_count(names); i++)
        names[i] = names_add(shelf->names, str_of(event_names[i]));
    for (size_t i = 0; i < BATCH_EVENTS; i++)
        buf_init(&bodies[i]);
    for (uint64_t done = 0; done < events; done += BATCH_EVENTS) {
        int64_t at_ms = START_MS + (int64_t)(done * MINUTE_MS / 4);
        for (uint32_t i = 0; i < BATCH_EVENTS; i++) {
            uint64_t dice = hash_pair(done, i);
            char id[32];
            struct value value = value_int((int64_t)(dice >> 40 & 127));
            snprintf(id, sizeof(id), "u%lu", dice % PEOPLE);
            bodies[i].len = 0;
            body_put(&bodies[i], value_name, &value);
            batch[i] = (struct record){
                .type = RECORD_EVENT,
                .kind = EVENT_TRACK,
                .schema = RECORD_SCHEMA,
                .name = names[(dice >> 32) % array_count(names)],
                .at_ms = at_ms,
                .event_ms = at_ms,
                .arrival_ms = at_ms,
                .message_hash = dice | 1,
                .user = identifier_hash(IDENTIFIER_USER, str_of(id), d->secret),
                .clear = body_of(&bodies[i]),
            };
        }
        fine(world_apply_all(w, batch, BATCH_EVENTS, &f), &f);
    }
    fine(world_commit(w, &f), &f);
    for (size_t i = 0; i < BATCH_EVENTS; i++)
        buf_fini(&bodies[i]);
}

int main(void)
{
    const char *root = getenv("BENCH_DIR");
    char path[OS_PATH_BYTES];
    struct directory d;
    struct shelf shelf;
    struct evlog *log;
    struct fault f = {0};
    uint64_t events = bench_count(EVENTS / BATCH_EVENTS) * BATCH_EVENTS;
    if (!os_path_join(path, sizeof(path), root ? root : "build", "bench-backfill"))
        return 1;
    fine(os_remove_tree(os_disk_real(), path, &f), &f);
    fine(directory_make(os_disk_real(), path, NULL, &d, &f), &f);
    struct evlog_options options = {.disk = os_disk_real()};
    fine(evlog_open(d.log, &options, &log, &f), &f);
    shelf_init(&shelf, &d);
    struct world_options world = {.secret = d.secret, .log = log};
    struct world *w = world_new(&shelf, &world, START_MS);
    fine(world_activate(w, put_plan(&shelf, &d, journeys[0]), &f), &f);
    write_log(w, &shelf, &d, events);
    fine(world_prepare(w, put_plan(&shelf, &d, journeys[1]), &f), &f);
    fine(world_commit(w, &f), &f);

    struct engine_change change = engine_change(world_engine(w));
    struct loaded_backfill *backfill;
    int64_t start_ns = os_clock_monotonic_ns();
    fine(backfill_make(&d, &change, NULL, &backfill, &f), &f);
    bench_rate("backfill_events", events, os_clock_monotonic_ns() - start_ns);
    backfill_free(backfill);
    fine(backfill_make(&d, &change, NULL, &backfill, &f), &f); /* finds the file */
    uint64_t people = engine_profile_count(world_engine(w));
    bench_print("backfill_bytes", (double)backfill_bytes(backfill) / (double)people, "bytes");
    backfill_free(backfill);
    start_ns = os_clock_monotonic_ns();
    fine(world_finish(w, &d, NULL, &f), &f);
    bench_rate("backfill_unite", people, os_clock_monotonic_ns() - start_ns);

    world_free(w);
    evlog_free(log);
    shelf_fini(&shelf);
    fine(os_remove_tree(os_disk_real(), path, &f), &f);
    return 0;
}
