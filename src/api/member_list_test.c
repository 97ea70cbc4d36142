/* SPDX-License-Identifier: Apache-2.0 */
#include "api/member_list.h"

#include <stdio.h>

#include "test.h"

/* The rows and problems as one text: "2 u a; ! 3 the line names nobody". */
static void reads(const char *text, const char *wanted)
{
    struct arena arena;
    struct member_list list;
    char got[2000] = "";
    arena_init(&arena, 4096);
    member_list_read(str_of(text), &arena, &list);
    for (uint32_t i = 0; i < list.count; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof(got) - len, "%u %c %.*s; ", list.rows[i].line,
                 list.rows[i].kind == IDENTIFIER_USER ? 'u' : 'a', STR_ARG(list.rows[i].id));
    }
    for (uint32_t i = 0; i < list.problem_count; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof(got) - len, "! %u %.*s; ", list.problems[i].line,
                 STR_ARG(list.problems[i].text));
    }
    assert_string_equal(got, wanted);
    arena_fini(&arena);
}

static void one_column_needs_no_header(void **state)
{
    (void)state;
    reads("ann", "1 u ann; ");
    reads("ann\nbob\r\n\n carl \n", "1 u ann; 2 u bob; 4 u carl; ");
    reads("\xef\xbb\xbfuser_id\nann\n", "2 u ann; ");
}

static void a_header_says_where_ids_are(void **state)
{
    (void)state;
    reads("name,user_id\nAnn,a1\nBob,b1\n", "2 u a1; 3 u b1; ");
    reads("userId;anonymousId\na1;\n;x9\n", "2 u a1; 3 a x9; ");
    reads("name,mail\nAnn,a@x\n", "! 1 no column is called user_id or anonymous_id; ");
}

static void what_is_no_list_of_ids_is_refused_whole(void **state)
{
    (void)state;
    reads("", "! 1 the file is empty; a header alone, user_id, says that it names nobody; ");
    reads("\xef\xbb\xbf\n\n",
          "! 1 the file is empty; a header alone, user_id, says that it names nobody; ");
    reads("user_id\n", "");
    reads("email\na@x\n", "! 1 no column is called user_id or anonymous_id; ");
    reads("\"E-Mail\"\na@x\n", "! 1 no column is called user_id or anonymous_id; ");
    reads("customer_id\n17\n", "! 1 no column is called user_id or anonymous_id; ");
    reads("emil\n17\n", "1 u emil; 2 u 17; ");
}

static void quotes_are_those_of_rfc_4180(void **state)
{
    (void)state;
    reads("user_id,name\n\"a,1\",\"Ann \"\"the\nfirst\"\"\"\nb,Bob\n", "2 u a,1; 4 u b; ");
    reads("\"a\"\"b\"\n", "1 u a\"b; ");
    reads("a\n\"b\n",
          "1 u a; ! 2 a quote is opened and never closed: nothing behind it was read; ");
}

static void wrong_lines_are_named_and_left_out(void **state)
{
    (void)state;
    reads(
        "user_id,name\na,Ann\n,Bob\nc\nd,Dan\n",
        "2 u a; 5 u d; ! 3 the line names nobody; ! 4 the line has another number of columns than "
        "the first; ");
}

static void nobody_is_there_twice(void **state)
{
    (void)state;
    reads("user_id,anonymous_id\na,\na,\n,a\n", "2 u a; 4 a a; ");
}

static void an_id_has_256_bytes_at_most(void **state)
{
    (void)state;
    char text[300];
    char wanted[400];
    memset(text, 'x', sizeof(text));
    text[256] = 0;
    snprintf(wanted, sizeof(wanted), "1 u %s; ", text);
    reads(text, wanted);
    text[256] = 'x';
    text[257] = 0;
    reads(text, "! 1 the id is longer than 256 bytes; ");
}

static void problems_are_counted_beyond_what_is_described(void **state)
{
    (void)state;
    struct arena arena;
    struct buf text;
    struct member_list list;
    arena_init(&arena, 4096);
    buf_init(&text);
    buf_printf(&text, "user_id,name\n");
    for (uint32_t i = 0; i < MEMBER_PROBLEMS_MAX + 5; i++)
        buf_printf(&text, ",x\n");
    member_list_read(buf_str(&text), &arena, &list);
    assert_int_equal(list.problem_count, MEMBER_PROBLEMS_MAX);
    assert_int_equal(list.wrong_count, MEMBER_PROBLEMS_MAX + 5);
    buf_fini(&text);
    arena_fini(&arena);
}

static void what_is_sent_is_the_tracking_api(void **state)
{
    (void)state;
    struct buf out;
    bool has_any = false;
    const struct member_row rows[] = {{1, IDENTIFIER_USER, STR("a\"1")},
                                      {2, IDENTIFIER_ANONYMOUS, STR("b")}};
    buf_init(&out);
    member_list_events(rows, 1, STR("vips"), true, &out, &has_any);
    member_list_events(rows + 1, 1, STR("vips"), false, &out, &has_any);
    buf_add_byte(&out, 0);
    assert_string_equal(
        (const char *)out.at,
        "{\"type\":\"track\",\"event\":\"Segment Member Added\",\"userId\":\"a\\\"1\","
        "\"properties\":{\"segment\":\"vips\"}},{\"type\":\"track\",\"event\":"
        "\"Segment Member Removed\",\"anonymousId\":\"b\",\"properties\":"
        "{\"segment\":\"vips\"}}");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("one column needs no header", one_column_needs_no_header),
        TEST("a header says where ids are", a_header_says_where_ids_are),
        TEST("what is no list of ids is refused whole", what_is_no_list_of_ids_is_refused_whole),
        TEST("quotes are those of RFC 4180", quotes_are_those_of_rfc_4180),
        TEST("wrong lines are named and left out", wrong_lines_are_named_and_left_out),
        TEST("nobody is there twice", nobody_is_there_twice),
        TEST("an id has 256 bytes at most", an_id_has_256_bytes_at_most),
        TEST("problems are counted beyond what is described",
             problems_are_counted_beyond_what_is_described),
        TEST("what is sent is the tracking API", what_is_sent_is_the_tracking_api),
    };
    return cmocka_run_group_tests_name("api/member_list", tests, NULL, NULL);
}
