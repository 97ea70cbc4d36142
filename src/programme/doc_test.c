/* doc_test.c - the programme in docs/PROGRAMME.md is right: what stands there in blocks of YAML that
 * begin with a path compiles without any finding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/programme.h"
#include "programme/scenario.h"

#include "programme/test_programme.h"

#define DOC_PATH  "docs/PROGRAMME.md"
#define DOC_BYTES ((size_t)1 << 18)

static uint32_t blocks_put(struct trial *t, struct str doc)
{
    uint32_t count = 0;
    static const struct str begin = {"```yaml\n# ", 10};
    for (size_t at = str_find(doc, begin, 0); at != SIZE_MAX; at = str_find(doc, begin, at)) {
        at += begin.len;
        size_t line_end = str_find(doc, STR("\n"), at);
        size_t end = str_find(doc, STR("\n```"), line_end);
        assert_true(end != SIZE_MAX);
        trial_put(t, str_part(doc, at, line_end - at), str_part(doc, line_end + 1, end - line_end));
        at = end;
        count++;
    }
    return count;
}

static void the_page(void **state)
{
    (void)state;
    FILE *file = fopen(DOC_PATH, "rb");
    if (!file)
        fail_msg("cannot open %s: tests run at the repository's root", DOC_PATH);
    char *text = malloc(DOC_BYTES);
    size_t bytes = fread(text, 1, DOC_BYTES, file);
    fclose(file);
    assert_true(bytes < DOC_BYTES);

    struct trial t;
    trial_begin(&t);
    trial_drop(&t, STR("journeys/j.yaml"));
    trial_drop(&t, STR("messages/m/message.yaml"));
    trial_drop(&t, STR("messages/m/email.txt.liquid"));
    assert_true(blocks_put(&t, (struct str){text, bytes}) >= 8);
    trial_put(&t, STR("messages/cart-reminder/email.txt.liquid"), STR("{{ entry.value }}\n"));
    trial_put(&t, STR("messages/cart-voucher/email.txt.liquid"), STR("a voucher\n"));
    trial_put(&t, STR("messages/welcome/email.txt.liquid"), STR("hello\n"));
    trial_put(&t, STR("messages/renewal/email.txt.liquid"), STR("renew\n"));
    enum status status = trial_compile(&t);
    if (status == OK) {
        struct arena arena;
        const struct scenario *list;
        uint32_t count;
        arena_init(&arena, 4096);
        status = scenarios_read(&t.folder, t.plan, t.names, &arena, &list, &count, &t.findings);
        assert_int_equal(count, 2);
        arena_fini(&arena);
        trial_say(&t);
    }
    /* No message of the page is a service message; that is all that may be said. */
    assert_string_equal((const char *)t.said.at,
                        "programme.yaml:8:3: advice: no message is of the category "
                        "\"order-update\" [unused-category]\n");
    assert_int_equal(status, OK);
    trial_end(&t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the programme in docs/PROGRAMME.md compiles", the_page),
    };
    return cmocka_run_group_tests_name("programme/doc", tests, NULL, NULL);
}
