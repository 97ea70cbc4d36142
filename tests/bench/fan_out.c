/* fan_out.c - a business event that concerns many: how fast they enter, and how long the engine is held.
 *
 * 100,000 people of an engine without a log have booked one flight each of ten; an index answers whom a
 * cancelled flight concerns. Then all flights are cancelled, one after the other, and after each batches
 * without records follow until nobody is left, as the server makes them. What was asked for in between
 * (a person's own event) waits for one batch at most.
 *
 *     fan_out_people      people a second who enter a journey by it
 *     fan_out_pause_ms    the longest of the batches: how long the engine did nothing else
 *     fan_out_miss_us     the same event of a flight that nobody booked: what it costs to find nobody
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/mem.h"
#include "bench/programme.h"
#include "engine/engine.h"
#include "model/identifier.h"
#include "os/clock.h"

#define PEOPLE       100000
#define FLIGHTS      10
#define BATCH_EVENTS 500
#define START_MS     INT64_C(1772409600000)

static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = "a secret of the bench's own, no use";

struct fan {
    struct names *names;
    struct plan *plan;
    struct engine *engine;
    int64_t now_ms;
    uint64_t entered;
    int64_t spent_ns, longest_ns;
};

static struct plan *compile(struct names *names)
{
    static const char *const files[][2] = {
        {"programme.yaml", "name: Bench\ncategories: {service: {lane: service}}\n"},
        {"providers/mail.yaml",
         "kind: smtp\nslots: 64\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org'}\n"},
        {"messages/hello/message.yaml", "category: service\nemail: {subject: Hello}\n"},
        {"messages/hello/email.txt.liquid", "Hello\n"},
        {"journeys/flight.yaml",
         "journey: flight\nenter:\n  business_event: Flight Cancelled\n"
         "  people: 'did(\"Booked\", \"30d\", e, e.flight == event.flight)'\n"
         "steps:\n  - wait: {for: 90d}\n  - send: hello\n"},
    };
    struct programme_file list[array_count(files)];
    for (size_t i = 0; i < array_count(files); i++)
        list[i] = (struct programme_file){str_of(files[i][0]), str_of(files[i][1])};
    return bench_plan(list, array_count(list), names);
}

static void apply(struct fan *fan, struct record *records, uint32_t count)
{
    struct engine_output out;
    fan->now_ms++;
    for (uint32_t i = 0; i < count; i++)
        records[i].at_ms = fan->now_ms;
    struct batch batch = {engine_batch(fan->engine) + 1, fan->now_ms, count, records};
    int64_t start_ns = os_clock_thread_ns();
    engine_apply(fan->engine, &batch, &out);
    int64_t spent_ns = os_clock_thread_ns() - start_ns;
    fan->spent_ns += spent_ns;
    fan->longest_ns = max_of(fan->longest_ns, spent_ns);
    for (uint32_t i = 0; i < out.result_count; i++)
        fan->entered += out.results[i].kind == RESULT_ENTERED;
}

static void begin(struct fan *fan)
{
    struct buf body;
    *fan = (struct fan){.names = names_new(), .now_ms = START_MS};
    fan->plan = compile(fan->names);
    names_add(fan->names, STR("Booked"));
    fan->engine = engine_new(&(struct engine_options){.secret = secret});
    engine_prepare(fan->engine, fan->plan);
    buf_init(&body);
    for (uint32_t i = NAME_FIXED_END; i < names_count(fan->names); i++) {
        body.len = 0;
        body_put_text(&body, NAME_TEXT, names_text(fan->names, i));
        struct record r = {
            .type = RECORD_NAME, .schema = RECORD_SCHEMA, .name = i, .clear = body_of(&body)};
        apply(fan, &r, 1);
    }
    body.len = 0;
    body_put_text(&body, NAME_PROGRAMME, str_of(fan->plan->hash));
    struct record r = {.type = RECORD_PROGRAMME,
                       .kind = PROGRAMME_ACTIVATE,
                       .schema = RECORD_SCHEMA,
                       .clear = body_of(&body)};
    apply(fan, &r, 1);
    buf_fini(&body);
}

/* Everybody books a flight. */
static void book(struct fan *fan, uint32_t people)
{
    struct record records[BATCH_EVENTS];
    struct buf bodies[FLIGHTS];
    char text[32];
    uint32_t count = 0;
    for (uint32_t i = 0; i < FLIGHTS; i++) {
        buf_init(&bodies[i]);
        snprintf(text, sizeof(text), "F%u", i);
        body_put_text(&bodies[i], names_find(fan->names, STR("flight")), str_of(text));
    }
    for (uint32_t i = 0; i < people; i++) {
        snprintf(text, sizeof(text), "user-%u", i);
        records[count++] = (struct record){
            .type = RECORD_EVENT,
            .kind = EVENT_TRACK,
            .schema = RECORD_SCHEMA,
            .name = names_find(fan->names, STR("Booked")),
            .event_ms = START_MS,
            .arrival_ms = START_MS,
            .message_hash = hash_pair(i, 1) | 1,
            .user = identifier_hash(IDENTIFIER_USER, str_of(text), secret),
            .clear = body_of(&bodies[hash_pair(i, 2) % FLIGHTS]),
        };
        if (count == BATCH_EVENTS || i + 1 == people) {
            apply(fan, records, count);
            count = 0;
        }
    }
    for (uint32_t i = 0; i < FLIGHTS; i++)
        buf_fini(&bodies[i]);
}

/* The flight is cancelled: batches until all whom it concerns have entered. */
static void cancel(struct fan *fan, uint32_t flight)
{
    struct buf body;
    char text[16];
    snprintf(text, sizeof(text), "F%u", flight);
    buf_init(&body);
    body_put_text(&body, names_find(fan->names, STR("flight")), str_of(text));
    struct record r = {
        .type = RECORD_EVENT,
        .kind = EVENT_BUSINESS,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = names_find(fan->names, STR("Flight Cancelled")),
        .event_ms = fan->now_ms,
        .arrival_ms = fan->now_ms,
        .message_hash = hash_pair(flight, 3) | 1,
        .clear = body_of(&body),
    };
    apply(fan, &r, 1);
    while (engine_has_inbox(fan->engine) || engine_next(fan->engine) <= fan->now_ms + 1)
        apply(fan, NULL, 0);
    buf_fini(&body);
}

int main(void)
{
    struct fan fan;
    uint32_t people = (uint32_t)bench_count(PEOPLE);
    begin(&fan);
    book(&fan, people);
    fan.spent_ns = fan.longest_ns = 0;
    for (uint32_t i = 0; i < FLIGHTS; i++)
        cancel(&fan, i);
    if (fan.entered != people) {
        fprintf(stderr, "bench: %lu of %u people entered\n", fan.entered, people);
        return 1;
    }
    bench_print("fan_out_people", (double)people / ((double)fan.spent_ns / 1e9), "people/s");
    bench_print("fan_out_pause_ms", (double)fan.longest_ns / 1e6, "ms");
    fan.spent_ns = 0;
    for (uint32_t i = 0; i < 100; i++)
        cancel(&fan, FLIGHTS + i);
    bench_print("fan_out_miss_us", (double)fan.spent_ns / 1e3 / 100, "us");
    engine_free(fan.engine);
    programme_plan_free(fan.plan);
    names_free(fan.names);
    return 0;
}
