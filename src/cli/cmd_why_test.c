/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/why_past.h"
#include "evlog/seal.h"
#include "os/file.h"
#include "test.h"

/* A folder of its own, with a programme of two journeys whose names and messages contain each other's, and
 * what the last run of `wend` said. */
struct shop {
    char folder[64];
    char *out;
    char *err;
    int code;
};

static void at(const struct shop *s, const char *name, char path[OS_PATH_BYTES])
{
    assert_true(os_path_join(path, OS_PATH_BYTES, s->folder, name));
}

static void put(const struct shop *s, const char *name, const char *text)
{
    char path[OS_PATH_BYTES], folder[OS_PATH_BYTES];
    struct fault f = {0};
    at(s, name, path);
    assert_true(os_path_dir(folder, sizeof(folder), path));
    assert_int_equal(os_make_dirs(os_disk_real(), folder, &f), OK);
    assert_int_equal(os_write_whole(os_disk_real(), path, str_of(text), &f), OK);
}

/* `wend` with these words; words that begin with ./ are in the folder. */
#define wend(s, ...)                                   \
    run(s, (const char *const[]){"wend", __VA_ARGS__}, \
        (int)(sizeof((const char *const[]){"wend", __VA_ARGS__}) / sizeof(char *)))
static void run(struct shop *s, const char *const *words, int count)
{
    const char *argv[16];
    char paths[16][OS_PATH_BYTES];
    size_t out_bytes, err_bytes;
    assert_true(count <= 16);
    for (int i = 0; i < count; i++) {
        argv[i] = words[i];
        if (strncmp(words[i], "./", 2) != 0)
            continue;
        at(s, words[i] + 2, paths[i]);
        argv[i] = paths[i];
    }
    free(s->out);
    free(s->err);
    FILE *out = open_memstream(&s->out, &out_bytes);
    FILE *err = open_memstream(&s->err, &err_bytes);
    s->code = cli_run(count, argv, out, err);
    fclose(out);
    fclose(err);
}

static const char events[] =
    "{\"type\":\"identify\",\"userId\":\"ann\",\"timestamp\":\"2026-01-05T10:00:00Z\","
    "\"traits\":{\"email\":\"ann@example.org\"}}\n"
    "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
    "\"timestamp\":\"2026-01-05T11:00:00Z\"}\n"
    "{\"type\":\"track\",\"event\":\"Paid\",\"userId\":\"ann\","
    "\"timestamp\":\"2026-01-05T12:00:00Z\"}\n";

static int setup(void **state)
{
    struct shop *s = test_calloc(1, sizeof(*s));
    assert_non_null(mkdtemp(test_path(s->folder, sizeof(s->folder), "why")));
    put(s, "p/programme.yaml", "name: P\ncategories:\n  confirm: {lane: service}\n");
    put(s, "p/journeys/order.yaml",
        "journey: order\nenter: {event: Ordered}\nsteps: [{send: thanks}]\n");
    put(s, "p/journeys/order-paid.yaml",
        "journey: order-paid\nenter: {event: Paid}\nsteps: [{send: thanks-paid}]\n");
    put(s, "p/messages/thanks/message.yaml", "category: confirm\nemail: {subject: Thanks}\n");
    put(s, "p/messages/thanks/email.txt.liquid", "Thanks.\n");
    put(s, "p/messages/thanks-paid/message.yaml", "category: confirm\nemail: {subject: Paid}\n");
    put(s, "p/messages/thanks-paid/email.txt.liquid", "Paid.\n");
    put(s, "p/providers/mail.yaml",
        "kind: smtp\nslots: 1\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', "
        "security: none}\n");
    put(s, "e.ndjson", events);
    wend(s, "run", "./p", "--events", "./e.ndjson", "--data", "./d", "--after", "1h", "--quiet");
    if (s->code != CLI_OK)
        fail_msg("%s%s", s->out, s->err);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shop *s = *state;
    struct fault f = {0};
    assert_int_equal(os_remove_tree(os_disk_real(), s->folder, &f), OK);
    free(s->out);
    free(s->err);
    test_free(s);
    return 0;
}

static void says(const struct shop *s, const char *text)
{
    if (strstr(s->out, text) == NULL && strstr(s->err, text) == NULL)
        fail_msg("\"%s\" is not in:\n%s%s", text, s->out, s->err);
}

static void says_nothing_of(const struct shop *s, const char *text)
{
    if (strstr(s->out, text) != NULL)
        fail_msg("\"%s\" is in:\n%s", text, s->out);
}

static void one_journey(void **state)
{
    struct shop *s = *state;
    wend(s, "why", "./d", "ann", "--journey", "order");
    says(s, "enters order, because of Ordered\n");
    says(s, "message thanks: sent");
    says_nothing_of(s, "order-paid");
    says_nothing_of(s, "thanks-paid");
    wend(s, "why", "./d", "ann", "--journey", "order-paid");
    says(s, "enters order-paid, because of Paid\n");
    says(s, "message thanks-paid: sent");
    says_nothing_of(s, "message thanks: ");
}

static void one_message(void **state)
{
    struct shop *s = *state;
    wend(s, "why", "./d", "ann", "--message", "thanks");
    says(s, "step thanks (send)");
    says(s, "message thanks: sent");
    says_nothing_of(s, "thanks-paid");
    says_nothing_of(s, "enters");
}

static void wrong_names(void **state)
{
    struct shop *s = *state;
    wend(s, "why", "./d", "ann", "--journey", "oder");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "there is no journey \"oder\"; did you mean \"order\"?");
    wend(s, "why", "./d", "ann", "--message", "thank");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "there is no message \"thank\"; did you mean \"thanks\"?");
}

static void for_machines(void **state)
{
    struct shop *s = *state;
    wend(s, "why", "./d", "ann", "--message", "thanks", "--json");
    assert_int_equal(s->code, CLI_OK);
    says(s, "\"at\": \"2026-01-05T11:00:00.");
    says(s, "\"journey\": \"order\"");
    says(s, "\"message\": \"thanks\"");
    says_nothing_of(s, "order-paid");
}

#define IN_SHOP(sentence, function)               \
    {                                             \
        sentence, function, setup, teardown, NULL \
    }

static void settling(void **state)
{
    struct shop *s = *state;
    put(s, "p/programme.yaml",
        "name: P\ncategories:\n  confirm: {lane: service}\n  news: {lane: marketing}\n");
    put(s, "p/journeys/promotion.yaml",
        "journey: promotion\nenter: {event: Paid}\nsteps: [{send: offer}, {wait: {until: Never}}]\n");
    put(s, "p/messages/offer/message.yaml", "category: news\nemail: {subject: Offer}\n");
    put(s, "p/messages/offer/email.txt.liquid", "Offer. {{ unsubscribe_url }}\n");
    wend(s, "run", "./p", "--events", "./e.ndjson", "--data", "./settling", "--after", "10s",
         "--quiet");
    wend(s, "person", "./settling", "ann");
    says(s, "\"state\": \"settling\",\n      \"not_before\": \"2026-01-05T12:01:00.");
    says(s, "\"next\": null");
    says_nothing_of(s, "\"not_before\": \"never\"");
    wend(s, "why", "./settling", "ann", "--message", "offer");
    says(s, "message offer: waits for rivals until 2026-01-05 12:01:00; its deadline is ");
}

/* ---- the one change ------------------------------------------------------------------------------ */

/* What can stand in the way of the message `offer`, and how `why` calls it. */
enum { CAP, HOLD, QUIET, CONSENT, PAUSE, ONLY_IF, OBSTACLES };

static const char *const obstacles[OBSTACLES] = {
    [CAP] = "the cap \"1 per 7d\"",
    [HOLD] = "the hold ticket",
    [QUIET] = "the quiet hours 11:00 to 13:00",
    [CONSENT] = "their no to marketing messages",
    [PAUSE] = "journey winback, which pauses its group",
    [ONLY_IF] = "its only_if, person.tier == 'gold'",
};

static const char obstacle_events[] =
    "{\"type\":\"identify\",\"userId\":\"ann\",\"timestamp\":\"2026-01-04T10:00:00Z\","
    "\"traits\":{\"email\":\"ann@example.org\",\"tier\":\"%s\"}}\n"
    "{\"type\":\"track\",\"event\":\"Consent Changed\",\"userId\":\"ann\",\"timestamp\":"
    "\"2026-01-04T10:00:00Z\",\"properties\":{\"channel\":\"email\",\"status\":\"granted\"}}\n"
    "{\"type\":\"track\",\"event\":\"Started\",\"userId\":\"ann\",\"timestamp\":"
    "\"2026-01-04T10:30:00Z\"}\n"
    "{\"type\":\"track\",\"event\":\"%s\",\"userId\":\"ann\",\"timestamp\":"
    "\"2026-01-05T10:30:00Z\"}\n"
    "{\"type\":\"track\",\"event\":\"%s\",\"userId\":\"ann\",\"timestamp\":"
    "\"2026-01-05T10:31:00Z\"}\n"
    "{\"type\":\"track\",\"event\":\"Consent Changed\",\"userId\":\"ann\",\"timestamp\":"
    "\"2026-01-05T10:32:00Z\",\"properties\":{\"channel\":\"email\",\"status\":\"%s\"}}\n"
    "{\"type\":\"track\",\"event\":\"Viewed\",\"userId\":\"ann\",\"timestamp\":"
    "\"2026-01-05T12:00:00Z\"}\n";

static bool is_in_the_way(unsigned set, unsigned obstacle)
{
    return set >> obstacle & 1;
}

static void put_message(const struct shop *s, const char *name, const char *more)
{
    char path[128], text[256];
    snprintf(path, sizeof(path), "p/messages/%s/message.yaml", name);
    snprintf(text, sizeof(text), "category: news\n%semail: {subject: A}\n", more);
    put(s, path, text);
    snprintf(path, sizeof(path), "p/messages/%s/email.txt.liquid", name);
    put(s, path, "A. {{ unsubscribe_url }}\n");
}

/* Runs the shop with these obstacles. */
static void run_with(struct shop *s, unsigned set)
{
    char text[4096];
    snprintf(text, sizeof(text),
             "name: P\ntraits: {tier: {type: string}}\n"
             "categories: {news: {lane: marketing, valid_for: 2d}, confirm: {lane: service}}\n"
             "groups:\n  - {name: back, journeys: [winback], pauses: [grow]}\n"
             "  - {name: grow, journeys: [promotion]}\n"
             "holds: [{name: ticket, from: Ticket Opened, until: Ticket Solved}]\n%s%s",
             is_in_the_way(set, CAP) ? "caps: [{limit: 1, per: 7d}]\n" : "",
             is_in_the_way(set, QUIET) ? "quiet_hours: [{from: '11:00', to: '13:00'}]\n" : "");
    put(s, "p/programme.yaml", text);
    put(s, "p/journeys/order.yaml",
        "journey: order\nenter: {event: Started}\nsteps: [{send: thanks}]\n");
    put(s, "p/journeys/promotion.yaml",
        "journey: promotion\nenter: {event: Viewed}\nsteps: [{send: offer}, {wait: {for: 9d}}]\n");
    put(s, "p/journeys/winback.yaml",
        "journey: winback\nenter: {event: Lapsed}\nsteps: [{wait: {for: 9d}}]\n");
    put_message(s, "thanks", "");
    put_message(s, "offer", "only_if: person.tier == 'gold'\n");
    snprintf(text, sizeof(text), obstacle_events, is_in_the_way(set, ONLY_IF) ? "tin" : "gold",
             is_in_the_way(set, HOLD) ? "Ticket Opened" : "Ticket Solved",
             is_in_the_way(set, PAUSE) ? "Lapsed" : "Looked",
             is_in_the_way(set, CONSENT) ? "denied" : "granted");
    put(s, "o.ndjson", text);
    struct fault f = {0};
    char folder[OS_PATH_BYTES];
    at(s, "o", folder);
    assert_int_equal(os_remove_tree(os_disk_real(), folder, &f), OK);
    wend(s, "run", "./p", "--events", "./o.ndjson", "--data", "./o", "--after", "2m", "--quiet");
    if (s->code != CLI_OK)
        fail_msg("%s%s", s->out, s->err);
}

/* No obstacle, each, each two, and all: one is named as the change, several are all named, none lets the message go. */
static void one_change(void **state)
{
    struct shop *s = *state;
    for (unsigned set = 0; set < 1u << OBSTACLES; set++) {
        if (__builtin_popcount(set) > 2 && set != (1u << OBSTACLES) - 1)
            continue; /* three are no other than two, and each run takes its time */
        run_with(s, set);
        wend(s, "why", "./o", "ann", "--message", "offer", "--ahead", "0s");
        int count = __builtin_popcount(set);
        if (count == 0)
            says(s, "message offer: sent");
        else
            says_nothing_of(s, "message offer: sent");
        if (count == 1)
            says(s, " on email but for ");
        else
            says_nothing_of(s, "but for");
        if (count > 1)
            says(s, "message offer: no single change would ");
        else
            says_nothing_of(s, "no single change");
        for (unsigned i = 0; i < OBSTACLES; i++) {
            if (is_in_the_way(set, i))
                says(s, obstacles[i]);
            else
                says_nothing_of(s, obstacles[i]);
        }
    }
}

/* The facts of each rule are those of the person. */
static void facts(void **state)
{
    struct shop *s = *state;
    run_with(s, (1u << OBSTACLES) - 1);
    wend(s, "why", "./o", "ann", "--message", "offer");
    says(s, "cap 1 per 7d: 1 of 1 used, by thanks (2026-01-04 10:31:00); free again at "
            "2026-01-11 10:31:00");
    says(s, "hold ticket, since 2026-01-05 10:30:00, until it is lifted");
    says(s, "quiet hours 11:00 to 13:00, where it is 2026-01-05 12:01:00 now, until "
            "2026-01-05 13:00:00");
    says(s, "they said no to marketing messages on this channel on 2026-01-05 10:32:00");
    says(s, "group grow is paused while the person is in journey winback (since "
            "2026-01-05 10:31:00)");
    says(s, "its only_if does not hold: person.tier == 'gold' is false; person.tier was \"tin\"");
}

static void rivals(void **state)
{
    struct shop *s = *state;
    run_with(s, 1u << CAP);
    put(s, "p/journeys/z.yaml",
        "journey: z\ngroup: grow\npriority: 10\nenter: {event: Viewed}\nsteps: [{send: thanks}]\n");
    put(s, "p/journeys/order.yaml",
        "journey: order\nenter: {event: Never}\nsteps: [{send: thanks}]\n");
    wend(s, "run", "./p", "--events", "./o.ndjson", "--data", "./rivals", "--after", "2m",
         "--quiet");
    wend(s, "why", "./rivals", "ann");
    says(
        s,
        "message thanks: number 1 of 2 that compete: before offer (journey promotion) by priority of "
        "the journey, 10 before 0");
    says(s, "message offer: number 2 of 2 that compete: after thanks (journey z), which goes, by "
            "priority of the journey, 10 before 0");
    says(s, "cap 1 per 7d: 1 of 1 used, by thanks (on its way)");
    says(s, "but for the cap \"1 per 7d\", or for thanks (journey z), which took its last slot");
}

/* ---- who did not enter --------------------------------------------------------------------------- */

static void not_entered(void **state)
{
    struct shop *s = *state;
    put(s, "p/journeys/order.yaml",
        "journey: order\nenter: {event: Ordered, when: \"event.total >= 30.0 && event.country == 'NO'\"}\n"
        "steps: [{send: thanks}]\n");
    put(s, "p/journeys/order-paid.yaml",
        "journey: order-paid\nenter: {event: Paid, key: event.invoice, again: never}\n"
        "steps: [{send: thanks-paid}]\n");
    put(s, "n.ndjson",
        "{\"type\":\"identify\",\"userId\":\"ann\",\"timestamp\":\"2026-01-05T10:00:00Z\","
        "\"traits\":{\"email\":\"ann@example.org\"}}\n"
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T11:00:00Z\",\"properties\":{\"total\":20.5,\"country\":\"NO\"}}\n"
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T11:01:00Z\",\"properties\":{\"total\":20.5,\"country\":\"SE\"}}\n"
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T11:02:00Z\",\"properties\":{\"country\":\"NO\"}}\n"
        "{\"type\":\"track\",\"event\":\"Paid\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T12:00:00Z\"}\n"
        "{\"type\":\"track\",\"event\":\"Paid\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T12:01:00Z\",\"properties\":{\"invoice\":7}}\n"
        "{\"type\":\"track\",\"event\":\"Paid\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T12:02:00Z\",\"properties\":{\"invoice\":7}}\n");
    wend(s, "run", "./p", "--events", "./n.ndjson", "--data", "./n", "--after", "1h", "--quiet");
    wend(s, "why", "./n", "ann");
    says(s, "11:00:00  does not enter order: event.total >= 30.0 is false; event.total was 20.5\n");
    says(s, "11:00:00  order: would have been entered but for event.total >= 30.0\n");
    says(s,
         "11:01:00  does not enter order: event.total >= 30.0 is false; event.total was 20.5; not "
         "true either: event.country == 'NO'\n");
    says(s, "11:01:00  order: no single change would have let them in; in the way: "
            "event.total >= 30.0, event.country == 'NO'\n");
    says(s, "11:02:00  entry into order refused: error: event.total >= 30.0 fails: there is no "
            "event.total\n");
    says(s,
         "12:00:00  entry into order-paid refused: error: the event has no \"invoice\" that could "
         "be the key of the journey\n");
    says(s, "12:01:00  enters order-paid, because of Paid\n");
    says(s, "12:02:00  entry into order-paid refused: again: they have been in it, and it may be "
            "entered once\n");
    says(s,
         "12:02:00  order-paid: would have been entered but for their having been in it before\n");
}

/* ---- from a snapshot, and between moments -------------------------------------------------------- */

/* The segment that is written to ends, and is sealed. */
static void seal(const struct shop *s)
{
    struct directory d;
    struct fault f = {0};
    struct evlog *log;
    struct keystore *keys;
    struct seal_counts counts;
    char path[OS_PATH_BYTES];
    at(s, "d", path);
    assert_int_equal(directory_open(os_disk_real(), path, &d, &f), OK);
    assert_int_equal(evlog_open(d.log, &(struct evlog_options){.disk = d.disk}, &log, &f), OK);
    assert_int_equal(evlog_roll(log, &f), OK);
    assert_int_equal(evlog_close(log, &f), OK);
    assert_int_equal(keystore_open(d.disk, d.log, NULL, &keys, &f), OK);
    struct seal_options options = {.disk = d.disk, .dir = d.log, .keys = keys};
    assert_int_equal(seal_segments(&options, &counts, &f), OK);
    assert_int_equal(counts.segments, 1);
    keystore_close(keys);
}

/* How often a state is read for the answer. */
static uint32_t passes(const struct shop *s, const char *person, const char *since,
                       const char *when)
{
    struct directory d;
    struct told told;
    struct why_refusal refusal;
    struct why_question q = {.person = str_of(person), .since = str_of(since), .at = str_of(when)};
    struct fault f = {0};
    struct arena arena;
    char path[OS_PATH_BYTES];
    at(s, "d", path);
    arena_init(&arena, 4096);
    assert_int_equal(directory_open(os_disk_real(), path, &d, &f), OK);
    assert_int_equal(told_read(&d, &q, &arena, &told, &refusal, &f), OK);
    uint32_t count = told.passes;
    told_fini(&told);
    arena_fini(&arena);
    return count;
}

static void come_later(struct shop *s)
{
    put(s, "later.ndjson",
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T14:00:00Z\"}\n"
        "{\"type\":\"identify\",\"userId\":\"bob\",\"timestamp\":\"2026-01-05T14:01:00Z\","
        "\"traits\":{\"email\":\"bob@example.org\",\"timezone\":\"Asia/Tokyo\"}}\n"
        "{\"type\":\"track\",\"event\":\"Paid\",\"userId\":\"bob\","
        "\"timestamp\":\"2026-01-05T14:02:00Z\"}\n");
    wend(s, "import", "./d", "./later.ndjson", "--live", "--quiet");
    assert_int_equal(s->code, CLI_OK);
}

static void read_once(void **state)
{
    struct shop *s = *state;
    assert_int_equal(passes(s, "ann", "", ""), 1);
    assert_int_equal(passes(s, "ann", "2026-01-05T11:30:00Z", ""), 1);
    /* Who had the address at the time is said at the end; how things stood at a moment, at that moment. */
    assert_int_equal(passes(s, "ann@example.org", "", ""), 2);
    assert_int_equal(passes(s, "ann", "", "2026-01-05T11:30:00Z"), 2);
    come_later(s);
    for (int is_sealed = 0; is_sealed <= 1; is_sealed++) {
        assert_int_equal(passes(s, "ann", "", ""), 1); /* from the beginning at once */
        assert_int_equal(passes(s, "bob", "", ""), 1);
        assert_int_equal(passes(s, "ann", "2026-01-05T13:59:00Z", ""), 1);
        assert_int_equal(passes(s, "ann@example.org", "2026-01-05T15:02:00Z", ""), 1);
        assert_int_equal(passes(s, "ann@example.org", "", ""), 2);
        if (!is_sealed)
            seal(s);
    }
}

static void from_a_snapshot(void **state)
{
    struct shop *s = *state;
    struct fault f = {0};
    char folder[OS_PATH_BYTES];
    come_later(s);
    static const char *const questions[][4] = {
        {"ann", "--since", "2026-01-05T13:59:00Z", "--json"},
        {"ann", "--since", "2026-01-05T09:00:00Z", "--json"},
        {"ann@example.org", "--since", "2026-01-05T12:00", "--json"},
        {"bob", "--journey", "order-paid", "--json"},
        {"bob", "--at", "2026-01-05T23:01:30", "--json"},
    };
    char *quick[array_count(questions)];
    for (size_t i = 0; i < array_count(questions); i++) {
        wend(s, "why", "./d", questions[i][0], questions[i][1], questions[i][2], questions[i][3]);
        assert_int_equal(s->code, CLI_OK);
        quick[i] = strdup(s->out);
    }
    at(s, "d/snapshots", folder);
    assert_int_equal(os_remove_tree(os_disk_real(), folder, &f), OK);
    for (size_t i = 0; i < 2 * array_count(questions); i++) {
        const char *const *q = questions[i % array_count(questions)];
        if (i == array_count(questions))
            seal(s);
        wend(s, "why", "./d", q[0], q[1], q[2], q[3]);
        assert_string_equal(s->out, quick[i % array_count(questions)]);
    }
    for (size_t i = 0; i < array_count(questions); i++)
        free(quick[i]);
}

static void between_moments(void **state)
{
    struct shop *s = *state;
    wend(s, "why", "./d", "ann", "--since", "2026-01-05T11:30", "--until", "2026-01-05T12:00:30");
    says(s, "enters order-paid, because of Paid\n");
    says_nothing_of(s, "enters order, because of Ordered\n");
    wend(s, "why", "./d", "ann", "--until", "2026-01-05T11:30");
    says(s, "enters order, because of Ordered\n");
    says_nothing_of(s, "enters order-paid, because of Paid\n");
    wend(s, "why", "./d", "ann", "--until", "soon");
    assert_int_equal(s->code, CLI_USAGE);
    says(s, "--until is a moment such as 2026-03-02T12:00, not \"soon\"");
    wend(s, "why", "./d", "nan");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "nobody is known as \"nan\"");
}

/* One clock, which the answer names: that of the person, from when it is known. */
static void one_clock(void **state)
{
    struct shop *s = *state;
    put(s, "t.ndjson",
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T11:00:00Z\"}\n"
        "{\"type\":\"identify\",\"userId\":\"ann\",\"timestamp\":\"2026-01-05T11:30:00Z\","
        "\"traits\":{\"email\":\"ann@example.org\",\"timezone\":\"Asia/Tokyo\"}}\n"
        "{\"type\":\"track\",\"event\":\"Paid\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T12:00:00Z\"}\n");
    wend(s, "run", "./p", "--events", "./t.ndjson", "--data", "./t", "--after", "1h", "--quiet");
    wend(s, "why", "./t", "ann");
    says(s, "  times are those of UTC\n");
    says(s, "  2026-01-05 11:00:00  enters order, because of Ordered\n");
    says(s, "  times are those of Asia/Tokyo\n");
    says(s, "  2026-01-05 21:00:00  enters order-paid, because of Paid\n");
    wend(s, "why", "./t", "ann", "--since", "2026-01-05T20:59");
    says(s, "  2026-01-05 21:00:00  enters order-paid, because of Paid\n");
    says_nothing_of(s, "enters order, because of Ordered\n");
}

/* ---- what is to come ----------------------------------------------------------------------------- */

static void ahead(void **state)
{
    struct shop *s = *state;
    put(s, "p/journeys/order.yaml",
        "journey: order\nenter: {event: Ordered}\n"
        "steps: [{wait: {for: 2d, until: Paid}}, {send: thanks}]\n");
    put(s, "p/journeys/year.yaml",
        "journey: year\nenter: {schedule: 'every day at 09:00'}\nsteps: [{exit: true}]\n");
    put(s, "a.ndjson",
        "{\"type\":\"identify\",\"userId\":\"ann\",\"timestamp\":\"2026-01-05T10:00:00Z\","
        "\"traits\":{\"email\":\"ann@example.org\"}}\n"
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\","
        "\"timestamp\":\"2026-01-05T11:00:00Z\"}\n");
    wend(s, "run", "./p", "--events", "./a.ndjson", "--data", "./a", "--after", "1h", "--quiet");
    if (s->code != CLI_OK)
        fail_msg("%s%s", s->out, s->err);
    wend(s, "why", "./a", "ann");
    says(s, "  how things stand\n");
    says(s, "order: at step wait-1 since 2026-01-05 11:00:00, goes on at 2026-01-07 11:00:00, or "
            "before on: Paid\n");
    says(s, "  what comes if nothing happens\n");
    says(s, "  2026-01-07 11:00:00  order: step thanks (send)\n");
    says(s, "  2026-01-07 11:00:00  message thanks: sent");
    wend(s, "why", "./a", "ann", "--ahead", "1d");
    says_nothing_of(s, "  2026-01-07 11:00:00  order");
    wend(s, "why", "./a", "ann", "--ahead", "0s");
    says_nothing_of(s, "what comes if nothing happens");
    wend(s, "person", "./a", "ann");
    says(s, "\"scheduled\": [");
    says(s, "\"next\": {");
    wend(s, "why", "./a", "ann", "--json");
    says(s, "\"until\": \"2026-01-07T11:00:00.000Z\"");
    says(s, "\"ahead\": [");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SHOP("only lines about one journey are told, its messages among them", one_journey),
        IN_SHOP("only lines about one message are told", one_message),
        IN_SHOP("a journey or message that there never was is answered with the nearest",
                wrong_names),
        IN_SHOP("a message that waits for rivals says until when", settling),
        IN_SHOP(
            "the one change that would have let a message go is named, and none where it takes two",
            one_change),
        IN_SHOP("whoever did not enter is told which parts were false, and the one change",
                not_entered),
        IN_SHOP("a story from a snapshot, or a sealed log, is the story from the beginning",
                from_a_snapshot),
        IN_SHOP("a story is read once where whom it is about does not change", read_once),
        IN_SHOP("a story is narrowed to what happened between two moments", between_moments),
        IN_SHOP("times are those of one clock, which is named", one_clock),
        IN_SHOP("what is scheduled is told, and what comes if nothing happens", ahead),
        IN_SHOP("each rule that refuses tells its facts", facts),
        IN_SHOP("who competed, in which order and why, and who took the last slot", rivals),
        IN_SHOP("lines name their journey and message for machines", for_machines),
    };
    return cmocka_run_group_tests_name("cli/why", tests, NULL, NULL);
}
