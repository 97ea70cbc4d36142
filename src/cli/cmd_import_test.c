/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "replay/recover.h"
#include "server/held.h"
#include "test.h"

/* A folder of its own for each test, and what the last run of `wend` said. */
struct shop {
    char folder[64];
    char path[4][OS_PATH_BYTES]; /* of at(), in turn */
    uint32_t paths;
    char *out;
    char *err;
    int code;
};

static int setup(void **state)
{
    struct shop *s = test_calloc(1, sizeof(*s));
    assert_non_null(mkdtemp(test_path(s->folder, sizeof(s->folder), "import")));
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

/* The path of `name` in the folder; good for four calls. */
static const char *at(struct shop *s, const char *name)
{
    char *path = s->path[s->paths++ % 4];
    assert_true(os_path_join(path, OS_PATH_BYTES, s->folder, name));
    return path;
}

static void put(struct shop *s, const char *name, const char *text)
{
    char folder[OS_PATH_BYTES];
    struct fault f = {0};
    assert_true(os_path_dir(folder, sizeof(folder), at(s, name)));
    assert_int_equal(os_make_dirs(os_disk_real(), folder, &f), OK);
    assert_int_equal(os_write_whole(os_disk_real(), at(s, name), str_of(text), &f), OK);
}

/* `wend` with these words; words that begin with ./ are in the folder. */
#define wend(s, ...)                                   \
    run(s, (const char *const[]){"wend", __VA_ARGS__}, \
        (int)(sizeof((const char *const[]){"wend", __VA_ARGS__}) / sizeof(char *)))
static void run(struct shop *s, const char *const *words, int count)
{
    const char *argv[24];
    char paths[24][OS_PATH_BYTES];
    size_t out_bytes, err_bytes;
    assert_true(count <= 24);
    for (int i = 0; i < count; i++) {
        argv[i] = words[i];
        if (strncmp(words[i], "./", 2) != 0)
            continue;
        assert_true(os_path_join(paths[i], OS_PATH_BYTES, s->folder, words[i] + 2));
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

static void says(const struct shop *s, const char *text)
{
    if (strstr(s->out, text) == NULL && strstr(s->err, text) == NULL)
        fail_msg("\"%s\" is not in:\n%s%s", text, s->out, s->err);
}

/* The state of the data directory ./d, as one number. */
static uint64_t state_of(struct shop *s)
{
    struct directory d;
    struct recovered r;
    struct fault f = {0};
    struct recover_options options = {.from_beginning = true, .checks_hashes = true};
    assert_int_equal(directory_open(os_disk_real(), at(s, "d"), &d, &f), OK);
    if (recover(&d, &options, &r, &f) != OK)
        fail_msg("%s", f.text);
    assert_int_equal(engine_audit(r.engine, NULL, NULL), 0);
    uint64_t hash = engine_hash(r.engine);
    recovered_fini(&r);
    return hash;
}

#define ORDER(id, user, time)                                                               \
    "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"" user "\",\"messageId\":\"" id \
    "\",\"timestamp\":\"" time "\"}\n"

static const char orders[] = ORDER("1", "ann", "2026-01-01T10:00:00Z")
    ORDER("2", "ben", "2026-01-02T10:00:00Z") ORDER("3", "ann", "2026-01-03T10:00:00Z");

#define ANN \
    "{\"type\":\"identify\",\"userId\":\"ann\",\"traits\":{\"email\":\"ann@example.org\"}}\n"

/* A programme that confirms an order at once and asks a day later. */
static void put_programme(struct shop *s)
{
    put(s, "p/programme.yaml",
        "name: P\ncategories:\n  news: {lane: marketing}\n  confirm: {lane: service}\n");
    put(s, "p/journeys/j.yaml",
        "journey: j\nenter: {event: Ordered}\nsteps: [{send: done}, {wait: {for: 1d}}, "
        "{send: ask}]\n");
    put(s, "p/messages/done/message.yaml", "category: confirm\nemail: {subject: Done}\n");
    put(s, "p/messages/done/email.txt.liquid", "Done.\n");
    put(s, "p/messages/ask/message.yaml", "category: news\nemail: {subject: Well?}\n");
    put(s, "p/messages/ask/email.txt.liquid", "Well? {{ unsubscribe_url }}\n");
    put(s, "p/providers/mail.yaml",
        "kind: smtp\nchannel: email\nslots: 1\nsettings: {url: "
        "'smtp://127.0.0.1:2525', from: 'a@example.org', security: "
        "none}\n");
}

static void history(void **state)
{
    struct shop *s = *state;
    put_programme(s);
    put(s, "ann.ndjson", ANN);
    put(s, "o.ndjson", orders);
    wend(s, "import", "./d", "./ann.ndjson", "--programme", "./p");
    wend(s, "import", "./d", "./o.ndjson", "--programme", "./p", "--json");
    if (s->code != CLI_OK)
        fail_msg("%s%s", s->out, s->err);
    says(s, "\"rows\": 3");
    says(s, "\"events\": 3");
    says(s, "\"people\": 2");
    wend(s, "why", "./d", "ann");
    says(s, "entry into j refused: history");
    assert_null(strstr(s->out, "enters j"));
    assert_false(os_exists(os_disk_real(), at(s, "d/held")));
}

static void twice(void **state)
{
    struct shop *s = *state;
    put_programme(s);
    put(s, "o.ndjson", orders);
    put(s, "copy.ndjson", orders);
    wend(s, "import", "./d", "./o.ndjson", "--programme", "./p");
    assert_int_equal(s->code, CLI_OK);
    uint64_t once = state_of(s);
    wend(s, "import", "./d", "./o.ndjson");
    says(s, "0 events of 0 rows");
    says(s, "nothing new");
    assert_int_equal(state_of(s), once);
    wend(s, "import", "./d", "./o.ndjson", "./copy.ndjson", "--again");
    says(s, "0 events of 6 rows");
    says(s, "6 were there already");
    assert_int_equal(state_of(s), once);
    /* the same rows under another source are other events */
    wend(s, "import", "./d", "./o.ndjson", "--source", "elsewhere");
    says(s, "3 events of 3 rows");
    assert_int_not_equal(state_of(s), once);
}

static void growing(void **state)
{
    struct shop *s = *state;
    char more[1024];
    put_programme(s);
    put(s, "o.ndjson", orders);
    wend(s, "import", "./d", "./o.ndjson", "--programme", "./p");
    snprintf(more, sizeof(more), "%s%s", orders, ORDER("4", "cat", "2026-01-04T10:00:00Z"));
    put(s, "o.ndjson", more);
    wend(s, "import", "./d", "./o.ndjson");
    says(s, "1 events of 1 rows");
    /* another file of that name, as long as the one before */
    more[strlen("{\"type\":\"track\",\"event\":\"Or")] = 'D';
    put(s, "o.ndjson", more);
    wend(s, "import", "./d", "./o.ndjson");
    says(s, "is not the file");
    says(s, "of 4 rows");
    says(s, "4 were there already");
    put(s, "o.ndjson", ORDER("9", "dan", "2026-01-04T10:00:00Z"));
    wend(s, "import", "./d", "./o.ndjson");
    says(s, "1 events of 1 rows");
}

static void position_lost(void **state)
{
    struct shop *s = *state;
    put_programme(s);
    put(s, "o.ndjson", orders);
    wend(s, "import", "./d", "./o.ndjson", "--programme", "./p");
    uint64_t once = state_of(s);
    struct fault f = {0};
    /* as a crash between the commit and the position leaves it */
    assert_int_equal(os_remove_tree(os_disk_real(), at(s, "d/imports"), &f), OK);
    wend(s, "import", "./d", "./o.ndjson");
    says(s, "0 events of 3 rows");
    assert_int_equal(state_of(s), once);
}

static void bad_lines(void **state)
{
    struct shop *s = *state;
    struct buf text;
    buf_init(&text);
    buf_add_str(&text, str_of(orders));
    for (int i = 0; i < 20; i++)
        buf_add_str(&text, STR("{\"type\":\"track\",\"userId\":\"u\"}\n"));
    buf_add_byte(&text, 0);
    put(s, "o.ndjson", (const char *)text.at);
    wend(s, "import", "./d", "./o.ndjson", "--errors", "./errors");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "3 events of 23 rows");
    says(s, "20 lines are wrong");
    says(s, "o.ndjson:4: event: ");
    says(s, "o.ndjson:13: event: ");
    assert_null(strstr(s->err, "o.ndjson:14:"));
    struct fault f = {0};
    text.len = 0;
    assert_int_equal(os_read_whole(os_disk_real(), at(s, "errors"), 1 << 20, &text, &f), OK);
    uint32_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.at[i] == '\n';
    assert_int_equal(lines, 20);
    buf_fini(&text);
}

static void csv(void **state)
{
    struct shop *s = *state;
    put_programme(s);
    put(s, "o.csv", "who;at;n\nann;2026-01-01 10:00;2\n;2026-01-01 11:00;1\nben;soon;3\n");
    put(s, "m.json",
        "{\"delimiter\": \";\", \"event\": \"Ordered\", \"rows_need\": [\"who\"],\n"
        " \"columns\": {\"who\": \"user_id\", \"at\": \"timestamp\", \"n\": {\"type\": \"int\"}}}");
    wend(s, "import", "./d", "./o.csv", "--mapping", "./m.json", "--programme", "./p");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "1 events of 3 rows");
    says(s, "1 rows left out");
    says(s, "o.csv:4: at: the cell is not a time");
    wend(s, "import", "./d", "./o.csv");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "--mapping FILE");
    put(s, "bad.json", "{\"columns\": {\"who\": \"user_id\"},\n \"evnt\": \"Ordered\"}");
    wend(s, "import", "./d", "./o.csv", "--mapping", "./bad.json");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "bad.json:2:2: error: a mapping has no key \"evnt\"");
    says(s, "did you mean \"event\"?");
    put(s, "slip.json",
        "{\"delimiter\": \";\", \"event\": \"Ordered\",\n \"columns\": {\"who\": \"user_id\",\n"
        "  \"att\": \"timestamp\"}}");
    wend(s, "import", "./d", "./o.csv", "--mapping", "./slip.json", "--again");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "the file has no column \"att\", which ");
    says(s, "slip.json:3 names; did you mean \"at\"?");
    put(s, "slip.json",
        "{\"delimiter\": \";\", \"event\": \"Ordered\", \"columns\": {\"who\": \"user_id\"},\n"
        " \"rows_need\": [\"whom\"]}");
    wend(s, "import", "./d", "./o.csv", "--mapping", "./slip.json", "--again");
    says(s, "slip.json:2 names; did you mean \"who\"?");
}

static struct held *held_of(struct shop *s, struct recovered *r)
{
    struct directory d;
    struct held *held;
    struct fault f = {0};
    struct recover_options options = {.from_beginning = true};
    assert_int_equal(directory_open(os_disk_real(), at(s, "d"), &d, &f), OK);
    assert_int_equal(recover(&d, &options, r, &f), OK);
    assert_int_equal(held_read(os_disk_real(), at(s, "d/held"), engine_batch(r->engine),
                               engine_plans(r->engine), &held, &f),
                     OK);
    return held;
}

static void live(void **state)
{
    struct shop *s = *state;
    struct recovered r;
    put_programme(s);
    put(s, "ann.ndjson", ANN);
    put(s, "o.ndjson",
        "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"ann\",\"messageId\":\"1\"}\n");
    put(s, "later.ndjson", ORDER("2", "ben", "2026-01-02T10:00:00Z"));
    wend(s, "import", "./d", "./ann.ndjson", "./o.ndjson", "--live", "--programme", "./p");
    assert_int_equal(s->code, CLI_OK);
    says(s, "messages wait for `wend serve`");
    wend(s, "why", "./d", "ann");
    says(s, "enters j");
    struct held *held = held_of(s, &r);
    assert_non_null(held);
    assert_null(held->next);
    assert_true(str_is(held->address, "ann@example.org"));
    held_free_list(held);
    recovered_fini(&r);
    /* what waits to be sent also waits while something else is imported */
    wend(s, "import", "./d", "./later.ndjson");
    assert_int_equal(s->code, CLI_OK);
    held = held_of(s, &r);
    assert_non_null(held);
    assert_null(held->next);
    held_free_list(held);
    recovered_fini(&r);
}

static void in_use(void **state)
{
    struct shop *s = *state;
    struct directory d;
    struct evlog *log;
    struct fault f = {0};
    put(s, "o.ndjson", orders);
    assert_int_equal(directory_make(os_disk_real(), at(s, "d"), NULL, &d, &f), OK);
    assert_int_equal(evlog_open(d.log, &(struct evlog_options){.disk = os_disk_real()}, &log, &f),
                     OK);
    wend(s, "import", "./d", "./o.ndjson");
    assert_int_equal(s->code, CLI_WORLD);
    says(s, "in use");
    evlog_free(log);
}

/* ---- wend run --events ----------------------------------------------------------------------- */

static void run_file(void **state)
{
    struct shop *s = *state;
    put_programme(s);
    put(s, "o.ndjson",
        /* not by time, one without a time, one wrong, one twice */
        ORDER("2", "ben", "2026-01-02T10:00:00Z") ORDER("1", "ann", "2026-01-01T10:00:00Z") ORDER(
            "1", "ann",
            "2026-01-01T10:00:00Z") "{\"type\":\"track\",\"event\":\"Ordered\",\"userId\":\"cat\"}\n"
                                    "{\"type\":\"track\"}\n");
    wend(s, "run", "./p", "--events", "./o.ndjson", "--assume-consent", "email", "--after", "3d",
         "--data", "./d", "--sent", "./sent", "--json");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "\"untimed\": 1");
    says(s, "\"bad\": 1");
    says(s, "\"duplicates\": 1");
    says(s, "\"people_assumed\": 2");
    says(s, "\"audit_faults\": 0");
    struct buf sent;
    struct fault f = {0};
    buf_init(&sent);
    assert_int_equal(os_read_whole(os_disk_real(), at(s, "sent"), 1 << 20, &sent, &f), OK);
    buf_add_byte(&sent, 0);
    assert_string_equal((const char *)sent.at,
                        "{\"at\":\"2026-01-01T10:00:00.000Z\",\"person\":\"ann\",\"journey\":\"j\","
                        "\"message\":\"done\",\"channel\":\"email\"}\n"
                        "{\"at\":\"2026-01-02T10:00:00.000Z\",\"person\":\"ben\",\"journey\":\"j\","
                        "\"message\":\"done\",\"channel\":\"email\"}\n"
                        "{\"at\":\"2026-01-02T10:01:00.000Z\",\"person\":\"ann\",\"journey\":\"j\","
                        "\"message\":\"ask\",\"channel\":\"email\"}\n"
                        "{\"at\":\"2026-01-03T10:01:00.000Z\",\"person\":\"ben\",\"journey\":\"j\","
                        "\"message\":\"ask\",\"channel\":\"email\"}\n");
    buf_fini(&sent);
    state_of(s);
    /* without the assumption there is nobody to write to */
    wend(s, "run", "./p", "--events", "./o.ndjson", "--after", "3d", "--json");
    says(s, "\"unreachable\"");
    assert_null(strstr(s->out, "\"sent\""));
}

static void run_usage(void **state)
{
    struct shop *s = *state;
    put_programme(s);
    put(s, "o.ndjson", "\n");
    wend(s, "run", "./p", "--events", "./o.ndjson", "--people", "5");
    assert_int_equal(s->code, CLI_USAGE);
    wend(s, "run", "./p", "--assume-consent", "email");
    assert_int_equal(s->code, CLI_USAGE);
    wend(s, "run", "./p", "--events", "./o.ndjson");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "there is no event in");
    wend(s, "run", "./p", "--events", "-");
    assert_int_equal(s->code, CLI_INPUT);
    says(s, "read twice");
    wend(s, "run", "./p", "--events", "./none.ndjson", "--data", "./none");
    assert_int_equal(s->code, CLI_INPUT);
    assert_false(os_exists(os_disk_real(), at(s, "none"))); /* the next try begins anew */
}

#define IN_SHOP(sentence, function)               \
    {                                             \
        sentence, function, setup, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SHOP("an import is history and fires no journey", history),
        IN_SHOP("an import that is repeated adds nothing", twice),
        IN_SHOP("a file that has grown is read from where it ended", growing),
        IN_SHOP("an import whose position was lost adds nothing", position_lost),
        IN_SHOP("lines that are wrong are reported and left out", bad_lines),
        IN_SHOP("CSV is read by its mapping, and a mapping's faults are placed", csv),
        IN_SHOP("a live import fires journeys, and the server sends", live),
        IN_SHOP("a directory that is served takes no import", in_use),
        IN_SHOP("the events of a file are run by their times", run_file),
        IN_SHOP("a run of a file says what does not go together", run_usage),
    };
    return cmocka_run_group_tests_name("cli/import", tests, NULL, NULL);
}
