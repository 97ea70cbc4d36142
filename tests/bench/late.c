/* late.c - how late a deadline is met while a server is at work.
 *
 * BENCH_PEOPLE people (1,000,000; 10,000,000 is what the goal says and takes some 7 GB and several minutes of filling) wait in a journey, each
 * until a moment of their own, PER_MS of them in each millisecond; then they wait again, so that everybody always holds a
 * deadline. The server (HTTP, parsing, log, engine; its own clock, a real log) has one processor and gets
 * POSTS_PER_S single posts a second over HTTP from the other, due at moments fixed beforehand.
 *
 * A deadline counts as met when the batch that it is part of is committed and applied: when the server's counter of
 * timers says so, which a thread looks at every SAMPLE_US. So each figure is an upper bound, that pause included.
 *
 *     timer_late_p50_ms, _p99_ms, _max_ms   from the deadline until then
 *     timer_late_disk_p99                   what the disk alone takes to make 4 KB durable, right afterwards
 *     timer_late_bare_p50_ms, _p99_ms       the same in /dev/shm, where nothing waits for a disk
 *     timer_late_per_s, timer_late_posts_per_s   deadlines and posts a second
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <sys/stat.h>

#include "crowd.h"
#include "posts.h"
#include "served.h"
#include "server/server_int.h"

#define PER_MS      4 /* deadlines: 4,000 a second */
#define POSTS_PER_S 4000
#define RUN_MS      10000
#define SAMPLE_US   100
#define WAIT_MS     (30 * DAY_MS)
#define SAMPLES_MAX 1000000
#define PROBES      400
#define SERVER_CORE 0
#define CLIENT_CORE 1

static const struct programme_file late_files[] = {
    {STR("programme.yaml"),
     STR("name: Bench\ncategories:\n  service: {lane: service, settle: 0s, purpose: contract}\n")},
    {STR("journeys/waits.yaml"),
     STR("journey: waits\nowner: bench\nenter: {event: Joined, again: always}\n"
         "steps:\n  - wait: {for: 30d}\n  - wait: {for: 60d}\n")},
};

/* The counter, and when it was seen, in engine time. */
struct sample {
    int64_t at_ns;
    uint64_t count;
};

struct late {
    struct served served;
    uint64_t people;
    int64_t first_ms; /* of the deadlines */
    struct sample *samples;
    uint32_t sample_count;
    atomic_bool is_over;
    struct os_thread sampler;
};

static int64_t engine_ns(struct late *l)
{
    return atomic_load(&l->served.server->pace.offset_ns) + os_clock_monotonic_ns();
}

static uint64_t met(const struct late *l)
{
    return atomic_load(&l->served.server->counters[COUNTER_TIMERS]);
}

/* How many deadlines are at or before this. */
static uint64_t due(const struct late *l, int64_t at_ms)
{
    return at_ms < l->first_ms ? 0
                               : min_of((uint64_t)(at_ms - l->first_ms + 1) * PER_MS, l->people);
}

static void fill(struct late *l)
{
    static const char *const none[] = {NULL};
    struct crowd c = {.now_ms = l->first_ms - WAIT_MS - 1};
    uint32_t joined;
    crowd_open(&c, l->served.data, late_files, array_count(late_files), none);
    joined = crowd_name(&c, "Joined");
    for (uint64_t person = 0; person < l->people;) {
        c.now_ms++;
        for (uint32_t i = 0; i < PER_MS && person < l->people; i++, person++)
            (void)crowd_add(&c, EVENT_TRACK, joined, person);
        crowd_apply(&c);
    }
    if (engine_next(c.engine) != l->first_ms) {
        fprintf(stderr, "bench: the first deadline is %ld ms elsewhere\n",
                engine_next(c.engine) - l->first_ms);
        exit(1);
    }
    crowd_save(&c);
    crowd_close(&c);
}

static void run_sampler(void *context)
{
    struct late *l = context;
    uint64_t seen = met(l);
    posts_stay_on(CLIENT_CORE);
    while (!atomic_load(&l->is_over) && l->sample_count < SAMPLES_MAX) {
        uint64_t now = met(l);
        if (now != seen)
            l->samples[l->sample_count++] = (struct sample){engine_ns(l), now};
        seen = now;
        usleep(SAMPLE_US);
    }
}

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double ms_at(const int64_t *times_ns, uint64_t count, double part)
{
    return (double)times_ns[min_of((uint64_t)((double)count * part), count - 1)] * 1e-6;
}

/* Waits until the server has met what was due before, and is quiet for a second. */
static void settle_down(struct late *l)
{
    int64_t last_ms = l->first_ms + (int64_t)(l->people / PER_MS);
    while (engine_ns(l) / 1000000 < l->first_ms || met(l) < due(l, engine_ns(l) / 1000000 - 1000))
        os_clock_sleep_ms(10);
    os_clock_sleep_ms(1000);
    if (engine_ns(l) / 1000000 + 2000 > last_ms) {
        fprintf(stderr, "bench: filling took longer than the deadlines last; more BENCH_PEOPLE\n");
        exit(1);
    }
}

static void post(struct late *l)
{
    struct fault f = {0};
    int64_t last_ms = l->first_ms + (int64_t)(l->people / PER_MS);
    int64_t run_ms = min_of((int64_t)bench_count(RUN_MS), last_ms - engine_ns(l) / 1000000 - 500);
    struct posts posts = {.port = l->served.port,
                          .batch = 1,
                          .count = 64,
                          .left = (uint64_t)run_ms * POSTS_PER_S / 1000,
                          .answered = "HTTP/1.1 200",
                          .interval_ns = 1000000000 / POSTS_PER_S,
                          .core = CLIENT_CORE};
    served_need(os_thread_start(&l->sampler, "sampler", run_sampler, l, &f), &f);
    served_need(os_thread_start(&posts.thread, "client", posts_run, &posts, &f), &f);
    os_thread_join(&posts.thread);
    atomic_store(&l->is_over, true);
    os_thread_join(&l->sampler);
    uint64_t most = due(l, engine_ns(l) / 1000000), is = met(l);
    if (is > most || is + UINT64_C(10000) * PER_MS < most) {
        fprintf(stderr, "bench: %lu timers fired, %lu were due\n", is, most);
        exit(1);
    }
}

/* Of each deadline that was met between the first sample and the last, how late; their number. */
static uint64_t times(const struct late *l, int64_t **out)
{
    uint64_t from = l->samples[0].count, count = 0;
    int64_t *list = mem_new((l->samples[l->sample_count - 1].count - from + 1) * sizeof(list[0]));
    for (uint32_t i = 1; i < l->sample_count; i++)
        for (; from < l->samples[i].count; from++)
            list[count++] =
                l->samples[i].at_ns - (l->first_ms + (int64_t)(from / PER_MS)) * 1000000;
    qsort(list, count, sizeof(list[0]), ascending);
    *out = list;
    return count;
}

static void run(const char *dir, const char *what, uint64_t people)
{
    static struct late l;
    struct fault f = {0};
    char name[64];
    int64_t *list, disk_ns[PROBES];
    l = (struct late){.people = people, .samples = mem_new(SAMPLES_MAX * sizeof(struct sample))};
    l.served.files = late_files;
    l.served.file_count = array_count(late_files);
    must(os_path_join(l.served.data, sizeof(l.served.data), dir, "bench-late"));
    /* Filling and starting should have ended then; if they have not, there are later ones. */
    l.first_ms = os_clock_utc_ms() + 3000 + (int64_t)people / 50;
    fill(&l);
    posts_stay_on(SERVER_CORE);
    served_begin(&l.served);
    settle_down(&l);
    post(&l);
    if (l.sample_count < 2) {
        fprintf(stderr, "bench: no timer fired\n");
        exit(1);
    }
    uint64_t count = times(&l, &list);
    snprintf(name, sizeof(name), "timer_late%s_p50_ms", what);
    bench_print(name, ms_at(list, count, 0.5), "ms");
    snprintf(name, sizeof(name), "timer_late%s_p99_ms", what);
    bench_print(name, ms_at(list, count, 0.99), "ms");
    if (what[0] == 0) {
        double spent_s = (double)(l.samples[l.sample_count - 1].at_ns - l.samples[0].at_ns) * 1e-9;
        bench_print("timer_late_max_ms", ms_at(list, count, 1), "ms");
        bench_print("timer_late_per_s", (double)count / spent_s, "per_second");
        bench_print("timer_late_posts_per_s", POSTS_PER_S, "per_second");
        served_probe_disk(l.served.data, disk_ns, PROBES);
        qsort(disk_ns, PROBES, sizeof(disk_ns[0]), ascending);
        bench_print("timer_late_disk_p99", ms_at(disk_ns, PROBES, 0.99), "ms");
    }
    mem_free(list);
    mem_free(l.samples);
    served_stop(&l.served);
    served_need(os_remove_tree(os_disk_real(), l.served.data, &f), &f);
}

int main(void)
{
    const char *given = getenv("BENCH_PEOPLE"), *dir = getenv("BENCH_DIR");
    uint64_t people = given ? strtoull(given, NULL, 10) : bench_count(1000000);
    struct stat shared;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "bench: late wants two processors\n");
        return 0;
    }
    people = max_of(people, 40000);
    run(dir ? dir : "build", "", people);
    if (stat("/dev/shm", &shared) == 0 && S_ISDIR(shared.st_mode) && access("/dev/shm", W_OK) == 0)
        run("/dev/shm", "_bare", people);
    return 0;
}
