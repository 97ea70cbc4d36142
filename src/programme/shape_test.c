/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/shape.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file must have just these bytes; WEND_UPDATE=1 writes it instead. */
static void is_fresh(const char *path, const struct buf *wanted)
{
    if (getenv("WEND_UPDATE")) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(wanted->at, 1, wanted->len, out), wanted->len);
        fclose(out);
    }
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s: tests run at the repository's root", path);
    char *text = malloc(wanted->len + 2);
    size_t bytes = fread(text, 1, wanted->len + 2, file);
    fclose(file);
    bool is_same = bytes == wanted->len && memcmp(text, wanted->at, bytes) == 0;
    free(text);
    if (!is_same)
        fail_msg("%s is stale: run this test with WEND_UPDATE=1", path);
}

static void references(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text);
    shape_reference(&text);
    is_fresh("docs/reference/programme.md", &text);
    text.len = 0;
    findings_reference(&text);
    is_fresh("docs/reference/findings.md", &text);
    buf_fini(&text);
}

/* Every name in keys.def leads somewhere, and every row says what it means. */
static void the_table(void **state)
{
    (void)state;
    uint32_t shape_total, union_total;
    const struct shape *list = shapes(&shape_total);
    const struct shape_union *unions = shape_unions(&union_total);
    struct arena scratch;
    arena_init(&scratch, 1024);
    for (uint32_t i = 0; i < shape_total; i++) {
        bool has_short = list[i].short_key[0] == 0;
        for (uint32_t k = 0; k < list[i].key_count; k++) {
            const struct key *key = &list[i].keys[k];
            assert_true(strlen(key->doc) > 0);
            has_short |= strcmp(key->name, list[i].short_key) == 0;
            for (uint32_t m = 0; m < k; m++)
                assert_string_not_equal(key->name, list[i].keys[m].name);
            if (key->type == KEY_SHAPE)
                assert_non_null(shape_get(key->of));
            if (key->type == KEY_UNION)
                assert_non_null(shape_union_get(key->of));
            if (key->type == KEY_CHOICE)
                assert_true(shape_choices(key, &scratch).len > 0);
            if (!key->is_must && !key->is_later && key->type == KEY_CHOICE && key->standard[0] &&
                key->of[0] != '=')
                assert_true(strlen(key->standard) < 80);
        }
        assert_true(has_short);
    }
    for (uint32_t i = 0; i < union_total; i++)
        for (uint32_t k = 0; k < unions[i].member_count; k++)
            if (unions[i].members[k].shape)
                assert_non_null(shape_get(unions[i].members[k].shape));
    arena_fini(&scratch);
}

/* A sample value of the right kind for each type of key. */
static const char *sample_of(const struct key *key)
{
    switch (key->type) {
    case KEY_TEXT: return "some text";
    case KEY_NAME: return "a-name";
    case KEY_EVENT: return "Some Event";
    case KEY_PROPERTY: return "event.cart.id";
    case KEY_BOOL: return "true";
    case KEY_INT: return "1";
    case KEY_PERCENT: return "12.5";
    case KEY_MONEY: return "0.045";
    case KEY_SPAN: return "2h";
    case KEY_DAYS: return "2 days";
    case KEY_RANK: return "'entry.value'";
    case KEY_LENGTH: return "2 months";
    case KEY_PACE: return "5/h";
    case KEY_OFFSET: return "-30d";
    case KEY_DATE: return "2026-12-24";
    case KEY_PER: return "week";
    case KEY_AGAIN: return "never";
    case KEY_CLOCK: return "'21:00'";
    case KEY_WEEKDAYS: return "mon-fri";
    case KEY_EXPRESSION: return "1 == 1";
    case KEY_ZONE: return "Europe/London";
    case KEY_CHANNEL: return "email";
    case KEY_TIME: return "2026-03-02T12:00";
    case KEY_COUNT: return "3";
    case KEY_NOTHING: return "";
    case KEY_ANY: return "[1, {a: b}]";
    case KEY_CONSENT: return "{email: true}";
    case KEY_PARTS: return "{subject: a}";
    case KEY_SETTING: return "12";
    case KEY_CHOICE:
    case KEY_SHAPE:
    case KEY_UNION:
    case KEY_TYPE_END: break;
    }
    return NULL;
}

static uint32_t errors_of(const struct shape *shape, const char *yaml)
{
    struct arena arena;
    struct findings findings;
    struct yaml_file file;
    arena_init(&arena, 4096);
    findings_init(&findings);
    assert_true(yaml_read(STR("x.yaml"), str_of(yaml), &arena, &file, &findings));
    struct shape_check check = {&file, &findings, &arena};
    shape_check(&check, shape, file.root);
    uint32_t errors = findings.error_count;
    arena_fini(&arena);
    findings_fini(&findings);
    return errors;
}

/* Each key by itself: what is right for its type passes, a map in a map in its place does not. */
static void each_key(void **state)
{
    (void)state;
    uint32_t total, tried = 0;
    const struct shape *list = shapes(&total);
    for (uint32_t i = 0; i < total; i++) {
        for (uint32_t k = 0; k < list[i].key_count; k++) {
            struct key key = list[i].keys[k];
            const char *sample = sample_of(&key);
            if (key.is_later || !sample)
                continue;
            const struct shape one = {"ONE", "one", "", "one", &key, 1};
            char yaml[256];
            const char *begin = key.form == FORM_LIST ? "[" : key.form == FORM_MAP ? "{x: " : "";
            const char *end = key.form == FORM_LIST ? "]" : key.form == FORM_MAP ? "}" : "";
            snprintf(yaml, sizeof(yaml), "%s: %s%s%s\n", key.name, begin, sample, end);
            if (errors_of(&one, yaml) != 0)
                fail_msg("%s.%s refuses %s", list[i].symbol, key.name, yaml);
            tried++;
            if (key.type == KEY_ANY || key.type == KEY_PARTS) /* message.c looks into parts */
                continue;
            snprintf(yaml, sizeof(yaml), "%s: {x: {y: [z]}}\n", key.name);
            if (errors_of(&one, yaml) == 0)
                fail_msg("%s.%s takes %s", list[i].symbol, key.name, yaml);
        }
    }
    assert_true(tried > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the generated references are fresh", references),
        TEST("every row of keys.def leads somewhere", the_table),
        TEST("every key takes its kind of value and no other", each_key),
    };
    return cmocka_run_group_tests_name("programme/shape", tests, NULL, NULL);
}
