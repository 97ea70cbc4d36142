/* segments.c - what 500 segments cost an event that few of them read.
 *
 * 20,000 people and an engine without a log; batches of 100 track events by random people, as records.
 * The same events go through three engines, turn by turn, and of each the cheapest round counts.
 *
 *     segments_0_event_ns    an event that no segment reads, in a programme without any
 *     segments_10_event_ns   the same events with the ten segments that read them, and no others
 *     segments_500_event_ns  the same events with 500 segments: each of the five events that come is read
 *                            by two of them (twice in seven days, never in three), 490 read others
 *     segments_500_bytes     what the state of a person grows by
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
    uint32_t segments;
    struct names *names;
    struct plan *plan;
    struct engine *engine;
    uint32_t event[5];
    int64_t least_ns;
};

static struct plan *compile(struct names *names, uint32_t segments)
{
    uint32_t count = 0;
    struct programme_file *files = mem_new((segments + 1) * sizeof(*files));
    char *texts = mem_new((size_t)(segments + 1) * 256);
    files[count++] = (struct programme_file){STR("programme.yaml"), STR("name: Bench\n")};
    for (uint32_t i = 0; i < segments; i++) {
        char *text = texts + (size_t)i * 256;
        uint32_t event = i < 10 ? i % 5 : 100 + i;
        int len =
            i % 2 == 0
                ? snprintf(text, 200, "segment: s%u\nwhen: 'count(\"Event %u\", \"7d\") >= 2'\n", i,
                           event)
                : snprintf(text, 200, "segment: s%u\nwhen: '!did(\"Event %u\", \"3d\")'\n", i,
                           event);
        char *path = text + len + 1;
        snprintf(path, 40, "segments/s%u.yaml", i);
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
    char text[16];
    t->names = names_new();
    t->plan = compile(t->names, t->segments);
    for (uint32_t i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "Event %u", i);
        t->event[i] = names_add(t->names, str_of(text));
    }
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

/* One batch: 100 events by random people, the same for each track. */
static void one_batch(struct track *t, uint64_t number, const struct id128 *people,
                      int64_t *spent_ns)
{
    struct record records[BATCH_EVENTS];
    uint64_t seed = number;
    for (uint32_t i = 0; i < BATCH_EVENTS; i++) {
        seed = hash_pair(seed, i);
        records[i] = (struct record){
            .type = RECORD_EVENT,
            .kind = EVENT_TRACK,
            .schema = RECORD_SCHEMA,
            .name = t->event[seed % 5],
            .event_ms = START_MS + (int64_t)number,
            .arrival_ms = START_MS + (int64_t)number,
            .message_hash = hash_pair(number, i) | 1,
            .user = people[seed / 5 % PEOPLE],
        };
    }
    int64_t start_ns = os_clock_thread_ns();
    apply(t->engine, records, BATCH_EVENTS, START_MS + (int64_t)number);
    *spent_ns += os_clock_thread_ns() - start_ns;
}

int main(void)
{
    struct track tracks[] = {
        {.name = "segments_0_event_ns"},
        {.name = "segments_10_event_ns", .segments = 10},
        {.name = "segments_500_event_ns", .segments = 500},
    };
    struct id128 *people = mem_new(PEOPLE * sizeof(*people));
    char id[32];
    for (uint32_t i = 0; i < PEOPLE; i++) {
        snprintf(id, sizeof(id), "user-%u", i);
        people[i] = identifier_hash(IDENTIFIER_USER, str_of(id), secret);
    }
    for (uint32_t i = 0; i < array_count(tracks); i++)
        begin(&tracks[i]);
    uint64_t number = 1, batches = bench_count(1000);
    for (uint32_t round = 0; round <= ROUNDS; round++) {
        for (uint32_t i = 0; i < array_count(tracks); i++) {
            int64_t spent_ns = 0;
            for (uint64_t k = 0; k < batches; k++)
                one_batch(&tracks[i], number + k, people, &spent_ns);
            if (round > 0) /* the first one creates the people */
                tracks[i].least_ns = min_of(tracks[i].least_ns, spent_ns);
        }
        number += batches;
    }
    double events = (double)batches * BATCH_EVENTS;
    for (uint32_t i = 0; i < array_count(tracks); i++)
        bench_print(tracks[i].name, (double)tracks[i].least_ns / events, "ns");
    bench_print("segments_500_bytes",
                ((double)engine_bytes(tracks[2].engine) - (double)engine_bytes(tracks[0].engine)) /
                    (double)engine_profile_count(tracks[2].engine),
                "bytes");
    for (uint32_t i = 0; i < array_count(tracks); i++) {
        engine_free(tracks[i].engine);
        programme_plan_free(tracks[i].plan);
        names_free(tracks[i].names);
    }
    mem_free(people);
    return 0;
}
