/* main.c - many seeds, on some processes, for so many seconds; and what they have shown.
 *
 *     simulator [--seed N|new] [--count N] [--seconds S] [--jobs J] [--list FILE] [--loud] [--here] [--until-failure] [--report] [FOLDER...]
 *
 * "new" is a seed that nobody has had yet, told in the first line, as of all runs of more than one. --seconds bounds how many are begun, those of the list aside.
 *
 * Each seed is run twice with its stages split, and must come out the same; and once with them joined. A process that ends is a seed that fails: its parent
 * names it and goes on with another. Ends with `N passed, N failed, N skipped`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/clock.h"
#include "simulator/sim.h"

#define JOBS_MAX  16
#define SEEDS_MAX 4096 /* of a list */
#define TELL_MAX  20   /* pairs that were never shown, printed */
#define HANG_S    120  /* a seed that takes longer hangs: by the processor's time, ... */
#define STUCK_S   1800 /* ... or by the clock, which a busy machine makes long */

struct job {
    volatile uint64_t seed; /* at work on it */
    volatile bool is_at_work;
    uint64_t passed, failed;
    uint64_t batches, rows, transmissions, starts;
    uint32_t shown[SHOWN_END];            /* seeds that have */
    uint32_t pairs[SHOWN_END][SHOWN_END]; /* seeds that have both; first < second */
    uint64_t loads[2];
};

struct shared {
    _Atomic uint64_t next; /* which of the seeds */
    struct job jobs[JOBS_MAX];
};

struct wishes {
    uint64_t seed, count, seconds, jobs;
    bool is_loud, is_report, is_here, is_until_failure;
    uint64_t *listed;
    uint32_t listed_count;
    const char *const *folders;
    uint32_t folder_count;
    int64_t until_ns;
};

static bool is_same(const struct sim_digest *a, const struct sim_digest *b)
{
    return a->state == b->state && a->log == b->log && a->sent == b->sent;
}

/* From here on; 0: no more. */
static void limit_time(time_t work_s, unsigned clock_s)
{
    struct itimerval work = {.it_value.tv_sec = work_s};
    must(setitimer(ITIMER_PROF, &work, NULL) == 0);
    alarm(clock_s);
}

static void work_on(const struct wishes *wishes, struct job *job, uint64_t seed)
{
    uint8_t shown[SHOWN_END] = {0};
    struct sim_digest one, two;
    job->seed = seed;
    job->is_at_work = true;
    limit_time(HANG_S, STUCK_S);
    one = sim_run(seed, wishes->folders, wishes->folder_count,
                  wishes->is_loud ? SIM_LOUD : SIM_WHOLE, shown);
    two = sim_run(seed, wishes->folders, wishes->folder_count, SIM_LIGHT, NULL);
    (void)sim_run(seed, wishes->folders, wishes->folder_count,
                  wishes->is_loud ? SIM_JOINED_LOUD : SIM_JOINED, shown);
    limit_time(0, 0);
    if (!is_same(&one, &two)) {
        printf(
            "seed %lu fails: run twice, it is not the same (state %lx %lx, log %lx %lx, sent %lx "
            "%lx)\n",
            seed, one.state, two.state, one.log, two.log, one.sent, two.sent);
        fflush(stdout);
        _Exit(3);
    }
    job->is_at_work = false;
    job->passed++;
    job->batches += one.batches;
    job->rows += one.rows;
    job->transmissions += one.transmissions;
    job->starts += one.starts;
    for (uint32_t i = 0; i < SHOWN_END; i++) {
        job->shown[i] += shown[i];
        for (uint32_t k = i + 1; shown[i] && k < SHOWN_END; k++)
            job->pairs[i][k] += shown[k];
    }
}

static void work(const struct wishes *wishes, struct shared *shared, struct job *job)
{
    for (;;) {
        uint64_t nth = atomic_fetch_add(&shared->next, 1);
        bool is_listed = nth < wishes->listed_count;
        if (!is_listed && (nth - wishes->listed_count >= wishes->count ||
                           os_clock_monotonic_ns() > wishes->until_ns)) {
            fflush(stdout);
            _Exit(0);
        }
        work_on(wishes, job,
                is_listed ? wishes->listed[nth] : wishes->seed + nth - wishes->listed_count);
    }
}

static pid_t hire(const struct wishes *wishes, struct shared *shared, struct job *job)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0)
        work(wishes, shared, job);
    return child;
}

static bool is_hanging(int signal)
{
    return signal == SIGPROF || signal == SIGALRM;
}

/* All seeds, also those behind one that ends its process. */
static void run_all(const struct wishes *wishes, struct shared *shared)
{
    pid_t children[JOBS_MAX];
    uint64_t left = wishes->jobs;
    for (uint64_t i = 0; i < wishes->jobs; i++)
        children[i] = hire(wishes, shared, &shared->jobs[i]);
    while (left > 0) {
        int how;
        pid_t ended = wait(&how);
        uint64_t i = 0;
        while (i < wishes->jobs && children[i] != ended)
            i++;
        if (i == wishes->jobs)
            continue;
        struct job *job = &shared->jobs[i];
        if (!job->is_at_work) {
            left--;
            continue;
        }
        job->failed++;
        job->is_at_work = false;
        if (WIFSIGNALED(how))
            printf("seed %lu fails: %s\n", job->seed,
                   is_hanging(WTERMSIG(how)) ? "it hangs" : strsignal(WTERMSIG(how)));
        printf("again: make sim SEED=%lu LOUD=1\n", job->seed);
        if (wishes->is_until_failure)
            atomic_store(&shared->next, UINT64_MAX / 2);
        children[i] = hire(wishes, shared, job);
    }
}

/* ---- the report ---------------------------------------------------------------------------------- */

static void add_up(const struct wishes *wishes, struct shared *shared, struct job *sum)
{
    for (uint64_t i = 0; i < wishes->jobs; i++) {
        const struct job *job = &shared->jobs[i];
        sum->passed += job->passed;
        sum->failed += job->failed;
        sum->batches += job->batches;
        sum->rows += job->rows;
        sum->transmissions += job->transmissions;
        sum->starts += job->starts;
        for (uint32_t a = 0; a < SHOWN_END; a++) {
            sum->shown[a] += job->shown[a];
            for (uint32_t b = 0; b < SHOWN_END; b++)
                sum->pairs[a][b] += job->pairs[a][b];
        }
    }
}

static void report(const struct job *sum, bool is_long)
{
    char name[64], other[64];
    uint32_t kinds = 0, pairs = 0, shown_pairs = 0, told = 0;
    printf("%lu batches, %lu rows, %lu transmissions, %lu starts of the server\n", sum->batches,
           sum->rows, sum->transmissions, sum->starts);
    for (uint32_t a = 0; a < SHOWN_END; a++) {
        kinds += sum->shown[a] > 0;
        for (uint32_t b = a + 1; sum->shown[a] && b < SHOWN_END; b++) {
            pairs += sum->shown[b] > 0;
            shown_pairs += sum->pairs[a][b] > 0;
        }
    }
    printf("exercised: %u faults, rows, outcomes and rules; %u of their %u pairs in one seed\n",
           kinds, shown_pairs, pairs);
    for (uint32_t a = 0; a < FAULT_KIND_END; a++)
        if (is_long || sum->shown[a] == 0)
            printf("  %-45s %6u seeds\n", shown_name(a, name), sum->shown[a]);
    for (uint32_t a = FAULT_KIND_END; is_long && a < SHOWN_END; a++)
        if (sum->shown[a])
            printf("  %-45s %6u seeds\n", shown_name(a, name), sum->shown[a]);
    for (uint32_t a = 0; is_long && a < SHOWN_END; a++)
        for (uint32_t b = a + 1; sum->shown[a] && b < SHOWN_END && told < TELL_MAX; b++)
            if (sum->shown[b] && sum->pairs[a][b] == 0 && ++told)
                printf("  never together: %s, %s\n", shown_name(a, name), shown_name(b, other));
}

/* ---- what is asked ------------------------------------------------------------------------------- */

static uint64_t number_of(const char *text)
{
    int64_t number;
    if (text == NULL || !str_to_int(str_of(text), &number) || number < 0) {
        fprintf(stderr, "a number is wanted, not \"%s\"\n", text ? text : "");
        exit(2);
    }
    return (uint64_t)number;
}

/* "new": one that nobody has had, with a thousand to itself and those behind it. */
static uint64_t seed_of(const char *text)
{
    bool is_new = text != NULL && strcmp(text, "new") == 0;
    return is_new ? (uint64_t)os_clock_utc_ms() : number_of(text);
}

/* One seed a line; what follows it is a comment. */
static void read_list(struct wishes *wishes, const char *path)
{
    char line[300];
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read\n", path ? path : "the list");
        exit(2);
    }
    wishes->listed = mem_new(SEEDS_MAX * sizeof(wishes->listed[0]));
    while (fgets(line, sizeof(line), file) != NULL)
        if (line[0] >= '0' && line[0] <= '9' && wishes->listed_count < SEEDS_MAX)
            wishes->listed[wishes->listed_count++] = strtoull(line, NULL, 10);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct wishes wishes = {.seed = 1, .count = 100, .seconds = 3600, .jobs = 2};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--loud") == 0)
            wishes.is_loud = true;
        else if (strcmp(argv[i], "--until-failure") == 0)
            wishes.is_until_failure = true;
        else if (strcmp(argv[i], "--here") == 0)
            wishes.is_here = true;
        else if (strcmp(argv[i], "--report") == 0)
            wishes.is_report = true;
        else if (strcmp(argv[i], "--seed") == 0)
            wishes.seed = seed_of(argv[++i]);
        else if (strcmp(argv[i], "--count") == 0)
            wishes.count = number_of(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0)
            wishes.seconds = number_of(argv[++i]);
        else if (strcmp(argv[i], "--jobs") == 0)
            wishes.jobs = number_of(argv[++i]);
        else if (strcmp(argv[i], "--list") == 0)
            read_list(&wishes, argv[++i]);
        else {
            fprintf(stderr, "unknown option %s\n", argv[i]);
            return 2;
        }
    }
    wishes.jobs = min_of(max_of(wishes.jobs, 1), JOBS_MAX);
    wishes.folders = (const char *const *)&argv[i];
    wishes.folder_count = (uint32_t)(argc - i);
    wishes.until_ns = os_clock_monotonic_ns() + (int64_t)wishes.seconds * 1000000000;
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    int64_t began_ns = os_clock_monotonic_ns();
    if (wishes.count > 1)
        printf("seeds, from %lu on\n", wishes.seed);
    if (wishes.is_here)
        work_on(&wishes, &shared->jobs[0], wishes.seed);
    else
        run_all(&wishes, shared);
    struct job *sum = mem_new(sizeof(*sum));
    add_up(&wishes, shared, sum);
    report(sum, wishes.is_report);
    printf("%lu seeds in %ld s\n", sum->passed + sum->failed,
           (os_clock_monotonic_ns() - began_ns) / 1000000000);
    printf("%lu passed, %lu failed, 0 skipped\n", sum->passed, sum->failed);
    return sum->failed > 0 ? 1 : 0;
}
