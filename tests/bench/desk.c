/* desk.c - what the desk costs where it has most to do.
 *
 * People of whom each has ten messages that want to go at the same moment, from ten journeys of their own
 * priorities, under 20 caps (sliding, by day, by week, by category, group and journey, gaps). What is
 * allowed goes at once, the rest waits and is asked again as caps fall free, until all have gone or have
 * run out of time: a week and a half of virtual time, with a provider that accepts everything.
 *
 *     desk_decisions    decisions noted (deferred until when, sent, expired) per second of one core, with
 *                       all that the engine does for them
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/mem.h"
#include "bench/programme.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "replay/world.h"

#define START_MS   INT64_C(1772409600000)
#define RIVALS     10
#define LAST_MS    (11 * DAY_MS)
#define BATCH      500
#define PATH_BYTES 64
#define TEXT_BYTES 256

static const char settings[] =
    "name: Bench\ntimezone: Europe/London\n"
    "categories:\n"
    "  lifecycle: {lane: marketing, valid_for: 7d, priority: 500}\n"
    "  offer: {lane: marketing, valid_for: 3d, priority: 300}\n"
    "groups:\n"
    "  - {name: recovery, journeys: [j0, j1, j2]}\n"
    "  - {name: retention, journeys: [j3, j4, j5]}\n"
    "quiet_hours: [{from: '21:00', to: '08:00'}]\n"
    "caps:\n"
    "  - {limit: 2, per: day}\n  - {limit: 9, per: week}\n  - {limit: 9, per: 7d}\n"
    "  - {min_gap: 2h}\n  - {limit: 4, per: 2d}\n  - {limit: 2, per: day, channel: email}\n"
    "  - {limit: 6, per: 4d, channel: email}\n  - {limit: 7, per: 5d}\n"
    "  - {limit: 5, per: 7d, category: lifecycle}\n  - {limit: 5, per: 7d, category: offer}\n"
    "  - {limit: 1, per: day, category: offer}\n  - {limit: 2, per: day, category: lifecycle}\n"
    "  - {limit: 3, per: 7d, group: recovery}\n  - {limit: 3, per: 7d, group: retention}\n"
    "  - {limit: 1, per: day, group: recovery}\n  - {limit: 1, per: day, group: retention}\n"
    "  - {limit: 1, per: 2d, journey: j6}\n  - {limit: 1, per: 2d, journey: j7}\n"
    "  - {limit: 1, per: 2d, journey: j8}\n  - {limit: 1, per: 2d, journey: j9}\n";

static struct plan *compile(struct names *names)
{
    struct programme_file files[2 + 3 * RIVALS];
    static char texts[3 * RIVALS][PATH_BYTES + TEXT_BYTES];
    uint32_t count = 0, next = 0;
    files[count++] = (struct programme_file){STR("programme.yaml"), str_of(settings)};
    files[count++] = (struct programme_file){
        STR("providers/mail.yaml"),
        STR("kind: smtp\nchannel: email\nslots: 256\n"
            "settings: {url: 'smtp://127.0.0.1:2525', from: 'Bench <bench@example.org>'}\n")};
    for (int i = 0; i < RIVALS; i++) {
        char *path = texts[next++], *text = path + PATH_BYTES;
        snprintf(path, PATH_BYTES, "journeys/j%d.yaml", i);
        snprintf(text, TEXT_BYTES,
                 "journey: j%d\npriority: %d\nenter: {event: Begun}\n"
                 "steps: [{send: m%d, channels: [email]}]\n",
                 i, 10 * i, i);
        files[count++] = (struct programme_file){str_of(path), str_of(text)};
        path = texts[next++];
        text = path + PATH_BYTES;
        snprintf(path, PATH_BYTES, "messages/m%d/message.yaml", i);
        snprintf(text, TEXT_BYTES, "category: %s\nemail: {subject: hello}\n",
                 i % 2 ? "offer" : "lifecycle");
        files[count++] = (struct programme_file){str_of(path), str_of(text)};
        path = texts[next++];
        snprintf(path, PATH_BYTES, "messages/m%d/email.txt.liquid", i);
        files[count++] = (struct programme_file){str_of(path), STR("hello\n")};
    }
    return bench_plan(files, count, names);
}

struct bench {
    struct shelf shelf;
    struct world *world;
    struct id128 *people;
    uint64_t decided, sent, expired;
};

static void note(void *self, uint64_t batch, int64_t now_ms, const struct result *rows,
                 uint32_t count)
{
    struct bench *b = self;
    (void)batch;
    (void)now_ms;
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].kind != RESULT_DECIDED)
            continue;
        b->decided++;
        b->sent += rows[i].how == OUTCOME_SENT;

        b->expired += rows[i].how == OUTCOME_EXPIRED;
    }
}

/* The same event of everybody, at that moment: `clear` are its properties. */
static void everybody(struct bench *b, uint32_t count, int64_t at_ms, enum event_kind kind,
                      uint32_t name, void (*fill)(struct buf *body, uint32_t person))
{
    struct record records[BATCH];
    struct buf bodies[BATCH];
    struct fault f = {0};
    for (uint32_t i = 0; i < BATCH; i++)
        buf_init(&bodies[i]);
    for (uint32_t first = 0; first < count; first += BATCH) {
        uint32_t some = min_of(count - first, (uint32_t)BATCH);
        for (uint32_t i = 0; i < some; i++) {
            bodies[i].len = 0;
            fill(&bodies[i], first + i);
            records[i] = (struct record){
                .type = RECORD_EVENT,
                .kind = (uint8_t)kind,
                .schema = RECORD_SCHEMA,
                .flags = RECORD_IS_SERVER,
                .name = name,
                .at_ms = at_ms,
                .event_ms = at_ms,
                .arrival_ms = at_ms,
                .user = b->people[first + i],
                .personal = body_of(&bodies[i]),
            };
        }
        must(world_apply_all(b->world, records, some, &f) == OK);
    }
    for (uint32_t i = 0; i < BATCH; i++)
        buf_fini(&bodies[i]);
}

static void fill_address(struct buf *body, uint32_t person)
{
    char text[48];
    snprintf(text, sizeof(text), "p%u@example.org", person);
    body_put_text(body, NAME_EMAIL, str_of(text));
}

static void fill_consent(struct buf *body, uint32_t person)
{
    (void)person;
    body_put_text(body, NAME_CHANNEL, STR("email"));
    body_put_text(body, NAME_STATUS, STR("granted"));
}

static void fill_nothing(struct buf *body, uint32_t person)
{
    (void)body;
    (void)person;
}

int main(void)
{
    static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = "a secret of the bench's own, no use";
    struct bench b = {0};
    struct fault f = {0};
    uint32_t count = (uint32_t)bench_count(5000);
    shelf_init(&b.shelf, NULL);
    struct plan *plan = compile(b.shelf.names);
    shelf_add(&b.shelf, plan);
    b.people = mem_new(count * sizeof(*b.people));
    for (uint32_t i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof(id), "p%u", i);
        b.people[i] = identifier_hash(IDENTIFIER_USER, str_of(id), secret);
    }
    b.world = world_new(
        &b.shelf, &(struct world_options){.secret = secret, .host = {.self = &b, .results = note}},
        START_MS);
    must(world_activate(b.world, plan, &f) == OK);
    everybody(&b, count, START_MS + 1, EVENT_IDENTIFY, NAME_NONE, fill_address);
    everybody(&b, count, START_MS + 2, EVENT_TRACK, NAME_CONSENT_CHANGED, fill_consent);
    int64_t start_ns = os_clock_thread_ns();
    everybody(&b, count, START_MS + 10 * HOUR_MS, EVENT_TRACK,
              names_add(b.shelf.names, STR("Begun")), fill_nothing);
    must(world_wait(b.world, START_MS + LAST_MS, &f) == OK);
    bench_rate("desk_decisions", b.decided, os_clock_thread_ns() - start_ns);
    bench_print("desk_decided", (double)b.decided / count, "decisions_a_person");

    must(b.sent + b.expired == (uint64_t)count * RIVALS); /* else something else is measured */
    world_free(b.world);
    shelf_fini(&b.shelf);
    mem_free(b.people);
    return 0;
}
