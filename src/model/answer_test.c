/* What is saved of an answer: which paths there are, what they find, and what is too much. */
#include "model/answer.h"

#include "model/body.h"
#include "model/errand.h"
#include "test.h"

static void paths(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a.b", "a[0]", "a[12].b[0][1].c d", "[0]", "$status"};
    static const char *const bad[] = {"",    ".",     "a.",   ".a", "a..b",    "a[",
                                      "a[]", "a[-1]", "a[x]", "a]", "$header", "a[0]b"};
    struct fault f = {0};
    char text[ANSWER_PATH_MAX + 2];
    for (size_t i = 0; i < array_count(good); i++)
        assert_true(answer_path_check(str_of(good[i]), &f));
    for (size_t i = 0; i < array_count(bad); i++) {
        f.text[0] = 0;
        assert_false(answer_path_check(str_of(bad[i]), &f));
        assert_true(f.text[0] != 0);
    }
    memset(text, 'a', sizeof(text));
    assert_true(answer_path_check((struct str){text, ANSWER_PATH_MAX}, &f));
    assert_false(answer_path_check((struct str){text, ANSWER_PATH_MAX + 1}, &f));
}

static struct value picked(const char *path, struct str json, enum status expected)
{
    static uint8_t kept[ANSWER_TEXT_MAX + 64];
    struct plan_save save = {.name = 2000, .path = str_of(path)};
    struct plan_errand errand = {.kind = ERRAND_CALL, .save_count = 1, .saves = &save};
    struct buf b;
    struct fault f = {0};
    buf_init(&b);
    assert_int_equal(answer_pick(&errand, 201, json, &b, &f), expected);
    assert_true(b.len <= sizeof(kept));
    if (b.len > 0)
        memcpy(kept, b.at, b.len);
    struct value found = body_get((struct body){kept, (uint32_t)b.len}, 2000, NULL);
    buf_fini(&b);
    return found;
}

static void values(void **state)
{
    (void)state;
    struct str json = STR(
        "{\"a\": {\"b\": \"x\", \"n\": null, \"l\": [1, {\"c\": 2.5}], \"t\": true}, \"a.b\": 7}");
    assert_true(str_is(picked("a.b", json, OK).text, "x"));
    assert_int_equal(picked("a.l[0]", json, OK).integer, 1);
    assert_true(picked("a.l[1].c", json, OK).number == 2.5);
    assert_true(picked("a.t", json, OK).boolean);
    assert_int_equal(picked("$status", json, OK).integer, 201);
    static const char *const missing[] = {"a",      "a.l",    "a.n",      "a.x",       "x",
                                          "a.b.c",  "a.l[2]", "a.l.c",    "a[0]",      "[0]",
                                          "a.l[1]", "a.t[0]", "a.l[0].x", "a.l[99999]"};
    for (size_t i = 0; i < array_count(missing); i++)
        assert_int_equal(picked(missing[i], json, OK).type, VALUE_NONE);
}

static void limits(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    for (size_t len = ANSWER_TEXT_MAX; len <= ANSWER_TEXT_MAX + 1; len++) {
        b.len = 0;
        buf_add_str(&b, STR("{\"a\":\""));
        for (size_t i = 0; i < len; i++)
            buf_add_byte(&b, 'x');
        buf_add_str(&b, STR("\"}"));
        struct value found = picked("a", buf_str(&b), OK);
        assert_int_equal(found.type, len == ANSWER_TEXT_MAX ? VALUE_TEXT : VALUE_NONE);
    }
    assert_int_equal(picked("a", STR("<html>"), FIX_INPUT).type, VALUE_NONE);
    assert_int_equal(picked("a", STR(""), FIX_INPUT).type, VALUE_NONE);
    assert_int_equal(picked("$status", STR("<html>"), OK).integer,
                     201); /* nothing of it is wanted */
    buf_fini(&b);
}

static void keys(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {1, 0x2a00000001, UINT64_MAX};
    for (size_t i = 0; i < array_count(numbers); i++) {
        char key[ERRAND_KEY_BYTES];
        uint64_t profile = 0, decision = 0;
        errand_key_print(numbers[i], ~numbers[i] | 1, key);
        assert_true(errand_key_read(str_of(key), &profile, &decision));
        assert_true(profile == numbers[i] && decision == (~numbers[i] | 1));
        assert_false(errand_key_read(str_part(str_of(key), 0, 32), &profile, &decision));
        key[3] = 'G';
        assert_false(errand_key_read(str_of(key), &profile, &decision));
    }
}

static void endings(void **state)
{
    (void)state;
    struct plan_step step = {.next = 1, .errand = {.if_failed = 2, .if_late = 3}};
    for (int i = ERRAND_PENDING + 1; i < ERRAND_ENDINGS; i++) {
        enum errand_ending ending = (enum errand_ending)i;
        assert_true(errand_ending_text(ending).len > 0);
        assert_true(errand_can_end(ERRAND_CALL, ending) || errand_can_end(ERRAND_TASK, ending));
        bool goes_on =
            ending == ERRAND_ANSWERED || ending == ERRAND_DONE || ending == ERRAND_HELD_OUT;
        bool is_late = ending == ERRAND_TIMED_OUT || ending == ERRAND_OVERDUE;
        assert_int_equal(errand_way(&step, ending), goes_on ? 1 : is_late ? 3 : 2);
    }
    step.errand.if_failed = step.errand.if_late = PLAN_NO_INDEX;
    assert_int_equal(errand_way(&step, ERRAND_FAILED), 1);
    assert_int_equal(errand_way(&step, ERRAND_OVERDUE), 1);
}

static void what_is_said(void **state)
{
    (void)state;
    static const struct plan_save saves[] = {{.name = 1001, .path = {"mood", 4}},
                                             {.name = 1002, .path = {"mood", 4}},
                                             {.name = 1003, .path = {"a.b", 3}}};
    struct plan_errand errand = {.saves = saves, .save_count = array_count(saves)};
    static const char *const bad[] = {"[]",
                                      "{",
                                      "1",
                                      "{\"mod\":1}",
                                      "{\"mood\":null}",
                                      "{\"mood\":[1]}",
                                      "{\"mood\":\"x\",\"a\":{\"b\":1}}"};
    struct fault f = {0};
    struct buf out;
    buf_init(&out);
    assert_int_equal(answer_said(&errand, STR(" \n"), &out, &f), OK);
    assert_int_equal(answer_said(&errand, STR("{}"), &out, &f), OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(answer_said(&errand, STR("{\"a.b\": 7, \"mood\": \"good\"}"), &out, &f), OK);
    assert_true(str_is(body_get_text(body_of(&out), 1001), "good"));
    assert_true(str_is(body_get_text(body_of(&out), 1002), "good"));
    assert_int_equal(body_get(body_of(&out), 1003, NULL).integer, 7); /* a name, and no path */
    for (size_t i = 0; i < array_count(bad); i++) {
        f = (struct fault){0};
        assert_int_equal(answer_said(&errand, str_of(bad[i]), &out, &f), FIX_INPUT);
        assert_true(strlen(f.text) > 0);
    }
    errand.save_count = 0;
    assert_int_equal(answer_said(&errand, STR("{\"mood\": 1}"), &out, &f), FIX_INPUT);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("paths lead into members and lists, and nowhere else", paths),
        TEST("texts, numbers and booleans are picked, all else is missing", values),
        TEST("what is too long, or no JSON, is not saved", limits),
        TEST("what people say of a task is what it saves, or it is refused", what_is_said),
        TEST("a key names the person and the decision, and nothing else reads as one", keys),
        TEST("each ending has a name, a kind and a way that leads on", endings),
    };
    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
