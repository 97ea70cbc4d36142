/* golden_test.c - every finding as people read it: golden.txt has cases of files and what is said.
 *
 *     === the title of the case
 *     --- programme.yaml
 *     ...                     replaces that file of the trial programme (test_programme.h)
 *     --- !journeys/j.yaml    takes it away
 *     --- says
 *     ...                     all findings
 *
 * WEND_UPDATE=1 writes what is said into the file: read the difference before it is committed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/programme.h"
#include "programme/scenario.h"

#include "programme/test_programme.h"

#include <stdio.h>
#include <stdlib.h>

#define GOLDEN_PATH  "src/programme/golden.txt"
#define GOLDEN_BYTES ((size_t)1 << 20)

struct golden {
    char *text;
    size_t bytes;
    struct buf written; /* with what is really said */
    uint32_t cases;
    uint32_t failures;
    bool is_said[FINDING_CODE_END];
};

static void golden_read(struct golden *g)
{
    FILE *file = fopen(GOLDEN_PATH, "rb");
    if (!file)
        fail_msg("cannot open %s: tests run at the repository's root", GOLDEN_PATH);
    g->text = malloc(GOLDEN_BYTES);
    g->bytes = fread(g->text, 1, GOLDEN_BYTES, file);
    fclose(file);
    assert_true(g->bytes < GOLDEN_BYTES);
    buf_init(&g->written);
}

/* The next line, its break included. */
static struct str line_of(struct str text, size_t at)
{
    size_t end = str_find(text, STR("\n"), at);
    return str_part(text, at, (end == SIZE_MAX ? text.len : end + 1) - at);
}

static void case_run(struct golden *g, struct trial *t, struct str title, struct str expected)
{
    enum status status = trial_compile(t);
    if (status == OK) {
        struct arena arena;
        const struct scenario *list;
        uint32_t count;
        arena_init(&arena, 4096);
        status = scenarios_read(&t->folder, t->plan, t->names, &arena, &list, &count, &t->findings);
        arena_fini(&arena);
        trial_say(t);
    }
    assert_int_equal(status == OK, t->findings.error_count == 0);
    for (uint32_t i = 0; i < t->findings.count; i++)
        g->is_said[t->findings.list[i].code] = true;
    struct str said = str_part(buf_str(&t->said), 0, t->said.len - 1);
    buf_add_str(&g->written, said);
    buf_add_str(&g->written, STR("\n"));
    g->cases++;
    if (str_equal(str_trim(said), str_trim(expected)))
        return;
    g->failures++;
    if (!getenv("WEND_UPDATE"))
        print_error("%.*s\nexpected\n%.*s\nsaid\n%.*s\n", STR_ARG(title), STR_ARG(expected),
                    STR_ARG(said));
}

/* Runs the case that begins at `at`; returns where the next begins. */
static size_t case_next(struct golden *g, size_t at)
{
    struct str text = {g->text, g->bytes};
    struct str title = line_of(text, at);
    struct trial t;
    trial_begin(&t);
    buf_add_str(&g->written, title);
    at += title.len;
    while (at < text.len) {
        struct str head = line_of(text, at);
        assert_true(str_starts(head, STR("--- ")));
        struct str path = str_trim(str_part(head, 4, head.len));
        size_t begin = at + head.len;
        size_t end = begin;
        while (end < text.len && !str_starts(str_part(text, end, text.len), STR("--- ")) &&
               !str_starts(str_part(text, end, text.len), STR("=== ")))
            end += line_of(text, end).len;
        struct str content = str_part(text, begin, end - begin);
        buf_add_str(&g->written, head);
        at = end;
        if (str_is(path, "says")) {
            case_run(g, &t, title, content);
            break;
        }
        buf_add_str(&g->written, content);
        if (path.at[0] == '!')
            trial_drop(&t, str_part(path, 1, path.len));
        else
            trial_put(&t, path, content);
    }
    trial_end(&t);
    return at;
}

static void every_finding(void **state)
{
    (void)state;
    struct golden *g = calloc(1, sizeof(*g));
    golden_read(g);
    struct str text = {g->text, g->bytes};
    size_t at = 0;
    while (at < g->bytes && !str_starts(str_part(text, at, text.len), STR("=== ")))
        at += line_of(text, at).len;
    buf_add_str(&g->written, str_part(text, 0, at));
    while (at < g->bytes)
        at = case_next(g, at);
    assert_true(g->cases > 90);
    if (getenv("WEND_UPDATE") && g->failures) {
        FILE *file = fopen(GOLDEN_PATH, "wb");
        assert_non_null(file);
        fwrite(g->written.at, 1, g->written.len, file);
        fclose(file);
    } else if (g->failures) {
        fail_msg("%u of %u cases say something else", g->failures, g->cases);
    }
    for (int code = 0; code < FINDING_CODE_END; code++) {
        bool is_elsewhere = code == FINDING_EVENT_UNSEEN; /* check_test.c */
        if (!g->is_said[code] && !is_elsewhere)
            fail_msg("no case says %s", finding_code_name((enum finding_code)code));
    }
    buf_fini(&g->written);
    free(g->text);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every finding is said as golden.txt has it", every_finding),
    };
    return cmocka_run_group_tests_name("programme/golden", tests, NULL, NULL);
}
