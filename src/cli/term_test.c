/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "test.h"
#include "json/json_write.h"

/* A terminal in memory. */
struct page {
    struct term term;
    char *text;
    size_t bytes;
};

static void page_open(struct page *p)
{
    FILE *file = open_memstream(&p->text, &p->bytes);
    assert_non_null(file);
    term_init(&p->term, file, TERM_COLOR_NEVER);
}

static const char *page_text(struct page *p)
{
    fflush(p->term.file);
    return p->text;
}

static void page_close(struct page *p)
{
    fclose(p->term.file);
    free(p->text);
}

static void numbers(void **state)
{
    (void)state;
    char out[TERM_NUMBER_BYTES];
    assert_string_equal(term_number(0, out), "0");
    assert_string_equal(term_number(999, out), "999");
    assert_string_equal(term_number(1000, out), "1,000");
    assert_string_equal(term_number(-1234567, out), "-1,234,567");
    assert_string_equal(term_number(INT64_MAX, out), "9,223,372,036,854,775,807");
    assert_string_equal(term_number(INT64_MIN, out), "-9,223,372,036,854,775,808");
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(term_width(STR("")), 0);
    assert_int_equal(term_width(STR("abc")), 3);
    assert_int_equal(term_width(STR("Zoë")), 3);
    assert_int_equal(term_width(STR("e\xcc\x81")), 1); /* e and a combining accent */
    assert_int_equal(term_width(STR("日本")), 4);
    assert_int_equal(term_width(STR("📦")), 2);
    assert_int_equal(term_width(STR("\xff\xfe")), 2);
}

static void wrapping(void **state)
{
    (void)state;
    struct page p;
    page_open(&p);
    term_wrap(&p.term, STR("the fourth message waits for the first to leave the window"), 4, 26);
    assert_string_equal(page_text(&p), "the fourth message\n"
                                       "    waits for the first to\n"
                                       "    leave the window\n");
    page_close(&p);
}

static void tables(void **state)
{
    (void)state;
    struct arena arena;
    struct table t;
    struct page p;
    arena_init(&arena, 4096);
    table_init(&t, &arena);
    table_column(&t, "journey", TABLE_LEFT);
    table_column(&t, "entries", TABLE_RIGHT);
    table_column(&t, "share", TABLE_RIGHT);
    table_text(&t, STR("cart-recovery"));
    table_int(&t, 12345);
    table_decimal(&t, 92.5, 1);
    table_text(&t, STR("größe"));
    table_int(&t, 7);
    table_nothing(&t);
    table_rule(&t);
    table_text(&t, STR("all"));
    table_int(&t, 12352);
    table_nothing(&t);
    page_open(&p);
    table_print(&t, &p.term);
    assert_string_equal(page_text(&p), "  journey        entries  share\n"
                                       "  cart-recovery   12,345   92.5\n"
                                       "  größe                7\n"
                                       "  ─────────────────────────────\n"
                                       "  all             12,352\n");
    page_close(&p);

    struct buf json;
    struct json_writer w;
    buf_init(&json);
    json_write_init(&w, &json, JSON_COMPACT);
    table_json(&t, &w);
    assert_true(str_is(buf_str(&json),
                       "[{\"journey\":\"cart-recovery\",\"entries\":12345,\"share\":92.5},"
                       "{\"journey\":\"größe\",\"entries\":7,\"share\":null}]"));
    buf_fini(&json);
    arena_fini(&arena);
}

static void progress_on_terminals_only(void **state)
{
    (void)state;
    struct page p;
    struct progress progress;
    struct cli c = {0};
    page_open(&p);
    c.err = p.term;
    progress_begin(&progress, &c, "importing", "lines", 100, 0);
    progress_update(&progress, 50, 5000);
    progress_end(&progress);
    assert_string_equal(page_text(&p), "");

    c.err.is_terminal = true;
    c.is_quiet = true;
    progress_begin(&progress, &c, "importing", "lines", 100, 0);
    progress_update(&progress, 50, 5000);
    progress_end(&progress);
    assert_string_equal(page_text(&p), "");
    page_close(&p);
}

static void progress_is_a_line(void **state)
{
    (void)state;
    struct page p;
    struct progress progress;
    struct cli c = {0};
    page_open(&p);
    c.err = p.term;
    c.err.is_terminal = true;
    c.err.columns = 120;
    progress_begin(&progress, &c, "importing", "lines", 200000, 1000);
    progress_update(&progress, 50000, 3000);
    progress_update(&progress, 50001, 3099); /* too soon to draw again */
    const char *drawn = "\r\033[Kimporting  ██████                    25 %   "
                        "50,000 of 200,000 lines   25,000/s   6 s left";
    assert_string_equal(page_text(&p), drawn);
    progress_end(&progress);
    assert_string_equal(page_text(&p) + strlen(drawn), "\r\033[K");
    page_close(&p);
}

static void progress_fits(void **state)
{
    (void)state;
    for (uint32_t columns = 2; columns < 100; columns++) {
        struct page p;
        struct progress progress;
        struct cli c = {0};
        page_open(&p);
        c.err = p.term;
        c.err.is_terminal = true;
        c.err.columns = columns;
        progress_begin(&progress, &c, "größer", "lines", 200000, 1000);
        progress_update(&progress, 50000, 3000);
        struct str shown = str_part(str_of(page_text(&p)), 4, SIZE_MAX);
        assert_true(str_is_utf8(shown));
        assert_true(term_width(shown) < columns);
        page_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("numbers have a comma between their thousands", numbers),
        TEST("a text is as wide as it looks", widths),
        TEST("long sentences are broken between words, under their beginning", wrapping),
        TEST("a table aligns names left and numbers right, and is JSON too", tables),
        TEST("progress is drawn on a terminal only, and not when quiet",
             progress_on_terminals_only),
        TEST("progress says how far, how fast and how long", progress_is_a_line),
        TEST("progress never breaks the line of a narrow terminal", progress_fits),
    };
    return cmocka_run_group_tests_name("cli/term", tests, NULL, NULL);
}
