/* growth.c - what an event costs where there are ten times as many people.
 *
 * Two engines in one process, one with BENCH_PEOPLE / 10 people and one with BENCH_PEOPLE (2,000,000; the goal speaks of
 * 10,000,000, which take some 5 GB). Each person has one identifier, four numeric traits, a live journey that waits, and a feature
 * with events in it: between the lean and the full fixture of state.c. Both get the same events, in
 * batches of 100 by random people, some thousand in turn, by the thread's own time; the middle of the turns counts.
 *
 *     growth_small_ns, _large_ns  an event
 *     growth_tenfold              their ratio; called growth_1m_to_10m where it is of these
 *     growth_bytes                a person of the larger one
 *
 * BENCH_GROWTH=1 makes only the smaller one, =2 only the larger one: to be counted under callgrind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "crowd.h"

#define START_MS     INT64_C(1772409600000)
#define BATCH_EVENTS 100
#define TURNS        15

static const struct programme_file files[] = {
    {{"programme.yaml", 14},
     {"name: Bench\ntimezone: Europe/London\n"
      "categories:\n  lifecycle: {lane: marketing, valid_for: 3d, priority: 500}\n",
      0}},
    {{"providers/mail.yaml", 19},
     {"kind: smtp\nchannel: email\nslots: 64\n"
      "settings: {url: 'smtp://127.0.0.1:2525', from: 'Bench <bench@example.org>'}\n",
      0}},
    {{"messages/hello/message.yaml", 27}, {"category: lifecycle\nemail:\n  subject: 'Hello'\n", 0}},
    {{"messages/hello/email.txt.liquid", 31}, {"Hello\n", 0}},
    {{"journeys/one.yaml", 17},
     {"journey: one\nowner: x\ngoal: {event: Bought, within: 90d}\n"
      "enter: {event: Joined, again: {after: 30d, of: end, per: person}}\n"
      "steps:\n  - wait: {for: 90d}\n  - send: hello\n",
      0}},
    {{"journeys/often.yaml", 19},
     {"journey: often\nowner: x\n"
      "enter: {if: 'count(\"Viewed\", \"30d\") >= 100'}\n"
      "steps:\n  - send: hello\n",
      0}},
};

static const char *const names[] = {"Joined",  "Viewed",  "price",   "trait_0",
                                    "trait_1", "trait_2", "trait_3", NULL};

struct half {
    struct crowd crowd;
    uint64_t people, seed;
    uint32_t viewed, price;
    double times_ns[TURNS];
};

static uint64_t next(struct half *h)
{
    h->seed = h->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return h->seed >> 16;
}

static void view(struct half *h)
{
    struct crowd *c = &h->crowd;
    for (uint32_t i = 0; i < BATCH_EVENTS; i++) {
        struct record *r = crowd_add(c, EVENT_TRACK, h->viewed, next(h) % h->people);
        struct value x = value_int((int64_t)(next(h) % 100));
        body_put(&c->bodies[c->count - 1], h->price, &x);
        r->clear = body_of(&c->bodies[c->count - 1]);
    }
    c->now_ms++;
    crowd_apply(c);
}

static void make(struct half *h, uint64_t people)
{
    struct crowd *c = &h->crowd;
    struct programme_file list[array_count(files)];
    uint32_t traits[4];
    for (uint32_t i = 0; i < array_count(files); i++)
        list[i] = (struct programme_file){files[i].path, str_of(files[i].text.at)};
    *h = (struct half){.people = people, .seed = 1};
    c->now_ms = START_MS;
    crowd_open(c, NULL, list, array_count(list), names);
    h->viewed = crowd_name(c, "Viewed");
    h->price = crowd_name(c, "price");
    uint32_t joined = crowd_name(c, "Joined");
    for (uint32_t i = 0; i < array_count(traits); i++)
        traits[i] = crowd_name(c, names[3 + i]);
    for (uint64_t person = 0; person < people; person++) {
        struct record *r = crowd_add(c, EVENT_IDENTIFY, 0, person);
        struct buf *body = &c->bodies[c->count - 1];
        for (uint32_t i = 0; i < array_count(traits); i++) {
            struct value x = value_int((int64_t)(person % 1000 * (i + 1)));
            body_put(body, traits[i], &x);
        }
        r->personal = body_of(body);
        (void)crowd_add(c, EVENT_TRACK, joined, person);
        if (c->count >= 1000) {
            c->now_ms++;
            crowd_apply(c);
        }
    }
    crowd_apply(c);
    for (uint64_t i = 0; i < people / BATCH_EVENTS / 2; i++) /* so that many have been there */
        view(h);
}

/* `batches` of events; what one costs. */
static double turn(struct half *h, uint64_t batches)
{
    for (uint64_t i = 0; i < batches / 10; i++) /* the other's are out of the cache again */
        view(h);
    h->crowd.apply_ns = 0;
    h->crowd.events = 0;
    for (uint64_t i = 0; i < batches; i++)
        view(h);
    return (double)h->crowd.apply_ns / (double)h->crowd.events;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double middle(double *times)
{
    qsort(times, TURNS, sizeof(times[0]), ascending);
    return times[TURNS / 2];
}

int main(void)
{
    static struct half small, large;
    const char *given = getenv("BENCH_PEOPLE"), *only = getenv("BENCH_GROWTH");
    uint64_t people = given ? strtoull(given, NULL, 10) : bench_count(2000000);
    uint64_t batches = max_of(bench_count(1000), 10);
    people = max_of(people, 10000);
    if (only != NULL) {
        make(&small, only[0] == '1' ? people / 10 : people);
        bench_print("growth_only_ns", turn(&small, batches * TURNS), "ns");
        crowd_close(&small.crowd);
        return 0;
    }
    make(&small, people / 10);
    make(&large, people);
    bench_print("growth_bytes", (double)engine_bytes(large.crowd.engine) / (double)people, "bytes");
    for (uint32_t i = 0; i < TURNS; i++) {
        small.times_ns[i] = turn(&small, batches);
        large.times_ns[i] = turn(&large, batches);
    }
    double before = middle(small.times_ns), after = middle(large.times_ns);
    bench_print("growth_small_ns", before, "ns");
    bench_print("growth_large_ns", after, "ns");
    bench_print(people == 10000000 ? "growth_1m_to_10m" : "growth_tenfold", after / before,
                "ratio");
    crowd_close(&small.crowd);
    crowd_close(&large.crowd);
    return 0;
}
