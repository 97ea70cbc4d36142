/* journeys.c - what journeys cost an event, and what those cost that it does not concern.
 *
 * 20,000 people and an engine without a log; batches of 100 track events by random people, as records
 * (parsing and durability are spine.c's). The same events go through three engines, turn by turn, and
 * of each the cheapest round counts, so that a busy machine troubles them alike.
 *
 *     journeys_0_ns          an event that no journey reads: identity, dedupe, batch
 *     journeys_50_ns         50 journeys, ten of which listen (two to each of the five events that
 *                            come) and ask two comparisons
 *     journeys_1000_idle_ns  the same with 1,000 more that listen to events that do not come
 *     journeys_1000_idle_percent   what those add
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/mem.h"
#include "bench/programme.h"
#include "engine/engine.h"
#include "model/identifier.h"
#include "os/clock.h"

#define PEOPLE       20000
#define BATCH_EVENTS 100
#define ROUNDS       12
#define START_MS     INT64_C(1772409600000)

static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = "a secret of the bench's own, no use";

struct track {
    const char *name;
    uint32_t listening, idle;
    struct names *names;
    struct plan *plan;
    struct engine *engine;
    uint32_t event[5], value, currency;
    int64_t least_ns;
};

static struct plan *compile(struct names *names, uint32_t listening, uint32_t idle)
{
    uint32_t count = 0, journeys = (listening ? 50 : 0) + idle;
    struct programme_file *files = mem_new((journeys + 4) * sizeof(*files));
    char *texts = mem_new((size_t)(journeys + 1) * 512);
    files[count++] = (struct programme_file){STR("programme.yaml"),
                                             STR("name: Bench\ntimezone: Europe/London\n"
                                                 "traits:\n  first_name: {type: string}\n"
                                                 "categories:\n  lifecycle: {lane: marketing}\n")};
    files[count++] = (struct programme_file){
        STR("providers/mail.yaml"),
        STR("kind: smtp\nchannel: email\nslots: 64\n"
            "settings: {url: 'smtp://127.0.0.1:2525', from: 'Bench <bench@example.org>'}\n")};
    files[count++] = (struct programme_file){
        STR("messages/hello/message.yaml"),
        STR("category: lifecycle\nemail:\n  subject: 'Hello {{ person.first_name }}'\n"
            "  from: 'Bench <bench@example.org>'\n")};
    files[count++] =
        (struct programme_file){STR("messages/hello/email.txt.liquid"), STR("Hello\n")};
    for (uint32_t i = 0; i < journeys; i++) {
        char *text = texts + (size_t)i * 512;
        bool listens = i < listening;
        int len = snprintf(text, 460,
                           "journey: j%u\nowner: bench\n"
                           "goal: {event: Bought %u, within: 7d}\n"
                           "enter:\n  event: Event %u\n"
                           "  when: 'event.value >= %u.0 && event.currency == \"GBP\"'\n"
                           "  again: {after: 30d, of: end, per: person}\n"
                           "steps:\n  - wait: {for: 90d}\n  - send: hello\n",
                           i, i, listens ? i % 5 : 100 + i, listens ? 1000 : 10);
        char *path = text + len + 1;
        snprintf(path, 40, "journeys/j%u.yaml", i);
        files[count++] = (struct programme_file){str_of(path), {text, (size_t)len}};
    }
    struct plan *plan = bench_plan(files, count, names);
    mem_free(texts);
    mem_free(files);
    return plan;
}

static void apply(struct engine *e, struct record *records, uint32_t count, int64_t now_ms)
{
    struct engine_output out;
    for (uint32_t i = 0; i < count; i++)
        records[i].at_ms = now_ms;
    struct batch batch = {engine_batch(e) + 1, now_ms, count, records};
    engine_apply(e, &batch, &out);
    bench_keep(out.result_count);
}

static void begin(struct track *t)
{
    t->names = names_new();
    t->plan = compile(t->names, t->listening, t->idle);
    char text[16];
    for (uint32_t i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "Event %u", i);
        t->event[i] = names_add(t->names, str_of(text));
    }
    t->value = names_add(t->names, STR("value"));
    t->currency = names_add(t->names, STR("currency"));
    t->engine = engine_new(&(struct engine_options){.secret = secret});
    t->least_ns = INT64_MAX;
    engine_prepare(t->engine, t->plan);

    struct buf name, hash;
    buf_init(&name);
    buf_init(&hash);
    for (uint32_t i = NAME_FIXED_END; i < names_count(t->names); i++) {
        name.len = 0;
        body_put_text(&name, NAME_TEXT, names_text(t->names, i));
        struct record r = {
            .type = RECORD_NAME, .schema = RECORD_SCHEMA, .name = i, .clear = body_of(&name)};
        apply(t->engine, &r, 1, START_MS);
    }
    body_put_text(&hash, NAME_PROGRAMME, str_of(t->plan->hash));
    struct record r = {.type = RECORD_PROGRAMME,
                       .kind = PROGRAMME_ACTIVATE,
                       .schema = RECORD_SCHEMA,
                       .clear = body_of(&hash)};
    apply(t->engine, &r, 1, START_MS);
    buf_fini(&name);
    buf_fini(&hash);
}

/* One batch: 100 events by random people, the same for each lane. */
static void one_batch(struct track *t, uint64_t number, struct buf *bodies,
                      const struct id128 *people, int64_t *spent_ns)
{
    struct record records[BATCH_EVENTS];
    uint64_t seed = number;
    for (uint32_t i = 0; i < BATCH_EVENTS; i++) {
        seed = hash_pair(seed, i);
        bodies[i].len = 0;
        body_put_double(&bodies[i], t->value, (double)(seed % 400) / 10);
        body_put_text(&bodies[i], t->currency, STR("GBP"));
        records[i] = (struct record){
            .type = RECORD_EVENT,
            .kind = EVENT_TRACK,
            .schema = RECORD_SCHEMA,
            .name = t->event[seed / 400 % 5],
            .event_ms = START_MS + (int64_t)number,
            .arrival_ms = START_MS + (int64_t)number,
            .message_hash = hash_pair(number, i) | 1,
            .user = people[seed / 2000 % PEOPLE],
            .clear = body_of(&bodies[i]),
        };
    }
    int64_t start_ns = os_clock_thread_ns();
    apply(t->engine, records, BATCH_EVENTS, START_MS + (int64_t)number);
    *spent_ns += os_clock_thread_ns() - start_ns;
}

int main(void)
{
    struct track tracks[] = {
        {.name = "journeys_0_ns"},
        {.name = "journeys_50_ns", .listening = 10},
        {.name = "journeys_1000_idle_ns", .listening = 10, .idle = 1000},
    };
    struct id128 *people = mem_new(PEOPLE * sizeof(*people));
    struct buf bodies[BATCH_EVENTS];
    char id[32];
    for (uint32_t i = 0; i < PEOPLE; i++) {
        snprintf(id, sizeof(id), "user-%u", i);
        people[i] = identifier_hash(IDENTIFIER_USER, str_of(id), secret);
    }
    for (uint32_t i = 0; i < BATCH_EVENTS; i++)
        buf_init(&bodies[i]);
    for (uint32_t i = 0; i < array_count(tracks); i++)
        begin(&tracks[i]);
    uint64_t number = 1, batches = bench_count(1000);
    for (uint32_t round = 0; round <= ROUNDS; round++) {
        for (uint32_t i = 0; i < array_count(tracks); i++) {
            int64_t spent_ns = 0;
            for (uint64_t k = 0; k < batches; k++)
                one_batch(&tracks[i], number + k, bodies, people, &spent_ns);
            if (round > 0) /* the first one creates the people */
                tracks[i].least_ns = min_of(tracks[i].least_ns, spent_ns);
        }
        number += batches;
    }
    double events = (double)batches * BATCH_EVENTS;
    for (uint32_t i = 0; i < array_count(tracks); i++)
        bench_print(tracks[i].name, (double)tracks[i].least_ns / events, "ns");
    bench_print("journeys_1000_idle_percent",
                100.0 * (double)(tracks[2].least_ns - tracks[1].least_ns) /
                    (double)tracks[1].least_ns,
                "percent");
    for (uint32_t i = 0; i < array_count(tracks); i++) {
        engine_free(tracks[i].engine);
        programme_plan_free(tracks[i].plan);
        names_free(tracks[i].names);
    }
    for (uint32_t i = 0; i < BATCH_EVENTS; i++)
        buf_fini(&bodies[i]);
    mem_free(people);
    return 0;
}
