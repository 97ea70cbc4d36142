/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/function.h"

#include "programme/programme.h"
#include "programme/test_programme.h"

/* A condition that an example makes, by what it gives. */
static const char *ending(struct str result)
{
    static const struct {
        const char *type, *ending;
    } endings[] = {
        {"bool", ""},         {"int", " == 1"},
        {"dyn", " == 1"},     {"text", " == \"sent\""},
        {"double", " > 1.0"}, {"duration", " > duration(\"1s\")"},
    };
    for (size_t i = 0; i < array_count(endings); i++)
        if (str_is(result, endings[i].type))
            return endings[i].ending;
    fail_msg("no condition is known for %.*s", STR_ARG(result));
    return "";
}

/* Every example about the person compiles, and is of the type that the row says. */
static void examples(void **state)
{
    (void)state;
    struct function_row row;
    uint32_t count = 0;
    for (; function_row_at(count, &row) && row.is_about_person; count++) {
        struct trial t;
        struct buf text;
        trial_begin(&t);
        buf_init(&text);
        buf_printf(&text,
                   "journey: journey\nowner: me\ngoal: Bought\n"
                   "enter: Seen\nexits: [{if: '%.*s%s'}]\nsteps: [{send: message, id: send}]\n",
                   STR_ARG(row.example), ending(row.result));
        trial_drop(&t, STR("journeys/j.yaml"));
        trial_drop(&t, STR("messages/m/message.yaml"));
        trial_drop(&t, STR("messages/m/email.txt.liquid"));
        trial_put(&t, STR("programme.yaml"),
                  STR("name: Trial\nstages: [stage]\ncalendars: {calendar: 12-25}\n"));
        trial_put(&t, STR("journeys/journey.yaml"), buf_str(&text));
        trial_put(&t, STR("messages/message/message.yaml"),
                  STR("category: lifecycle\nemail: {subject: Hello}\n"));
        trial_put(&t, STR("messages/message/email.txt.liquid"), STR("Hello\n"));
        trial_put(&t, STR("segments/segment.yaml"),
                  STR("segment: segment\nwhen: 'traits.locale == \"de\"'\n"));
        enum status status = trial_compile(&t);
        if (status != OK)
            fail_msg("%.*s\n%s", STR_ARG(row.example), (const char *)t.said.at);
        buf_fini(&text);
        trial_end(&t);
        assert_true(row.doc.len > 0 && row.arguments.len > 0);
    }
    assert_true(count >= 20);
    while (function_row_at(count, &row))
        count++;
    assert_true(count > 190);
}

static void reference(void **state)
{
    (void)state;
    static const char path[] = "docs/reference/functions.md";
    struct buf wanted;
    buf_init(&wanted);
    functions_reference(&wanted);
    if (getenv("WEND_UPDATE")) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(wanted.at, 1, wanted.len, out), wanted.len);
        fclose(out);
    }
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s: tests run at the repository's root", path);
    char *text = malloc(wanted.len + 2);
    size_t bytes = fread(text, 1, wanted.len + 2, file);
    fclose(file);
    bool is_same = bytes == wanted.len && memcmp(text, wanted.at, bytes) == 0;
    free(text);
    if (!is_same)
        fail_msg("%s is stale: run this test with WEND_UPDATE=1", path);
    buf_fini(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every example about the person compiles to what its row says", examples),
        TEST("the reference of functions is fresh", reference),
    };
    return cmocka_run_group_tests_name("programme/function", tests, NULL, NULL);
}
