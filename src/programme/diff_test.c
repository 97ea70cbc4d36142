/* What is different about the next version is told once, by what it means. */
#include "programme/diff.h"

#include "programme/test_programme.h"

struct versions {
    struct trial trial;
    struct programme_folder folders[2];
    struct plan *plans[2];
    struct arena arena;
    const struct diff_row *rows;
    uint32_t count;
};

static void compile_version(struct versions *v, uint32_t i)
{
    struct fault f = {0};
    struct buf zones;
    buf_init(&zones);
    trial_zones(&zones);
    assert_int_equal(
        programme_folder_of(v->trial.files, v->trial.count, buf_str(&zones), &v->folders[i], &f),
        OK);
    buf_fini(&zones);
    if (programme_compile(&v->folders[i], v->trial.names, &v->plans[i], &v->trial.findings) != OK)
        fail_msg("%.*s", STR_ARG(v->trial.findings.list[0].text));
}

static void compare(struct versions *v, bool has_old)
{
    struct programme_version from = {0}, to = {v->plans[1], &v->folders[1]};
    if (has_old)
        from = (struct programme_version){v->plans[0], &v->folders[0]};
    v->rows = programme_diff(&from, &to, v->trial.names, &v->arena, &v->count);
}

static void versions_begin(struct versions *v)
{
    *v = (struct versions){0};
    trial_begin(&v->trial);
    arena_init(&v->arena, 4096);
    compile_version(v, 0);
}

static void versions_end(struct versions *v)
{
    for (uint32_t i = 0; i < 2; i++) {
        programme_plan_free(v->plans[i]);
        programme_folder_fini(&v->folders[i]);
    }
    arena_fini(&v->arena);
    names_free(v->trial.names);
    findings_fini(&v->trial.findings);
    buf_fini(&v->trial.said);
}

static bool has_row(const struct versions *v, enum diff_kind kind, enum diff_how how,
                    const char *name)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (v->rows[i].kind == kind && v->rows[i].how == how && str_is(v->rows[i].name, name))
            return true;
    return false;
}

static uint32_t count_of(const struct versions *v, enum diff_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < v->count; i++)
        count += v->rows[i].kind == kind;
    return count;
}

static void what_is_the_same_is_not_told(void **state)
{
    (void)state;
    struct versions v;
    versions_begin(&v);
    trial_put(&v.trial, STR("journeys/j.yaml"),
              STR("# said otherwise\njourney: j\nowner: us\ngoal: {event: Done}\n"
                  "enter: {event: Begun}\nsteps: [{send: m}]\n"));
    compile_version(&v, 1);
    compare(&v, true);
    for (uint32_t i = 0; i < v.count; i++)
        assert_int_equal(v.rows[i].kind, DIFF_JOURNEY); /* at most that its text has changed */
    versions_end(&v);
}

static void what_is_new_changed_and_removed_is_told(void **state)
{
    (void)state;
    struct versions v;
    versions_begin(&v);
    trial_drop(&v.trial, STR("journeys/j.yaml"));
    trial_put(&v.trial, STR("journeys/k.yaml"),
              STR("journey: k\nowner: us\ngoal: {event: Done}\n"
                  "enter: {event: Begun, when: 'count(\"Begun\", \"7d\") > 2'}\n"
                  "steps: [{send: m}]\n"));
    trial_put(&v.trial, STR("messages/m/email.txt.liquid"), STR("Good day\n"));
    compile_version(&v, 1);
    compare(&v, true);
    assert_true(has_row(&v, DIFF_JOURNEY, DIFF_NEW, "k"));
    assert_true(has_row(&v, DIFF_JOURNEY, DIFF_REMOVED, "j"));
    assert_int_equal(count_of(&v, DIFF_JOURNEY), 2);
    uint32_t features = 0;
    for (uint32_t i = 0; i < v.count; i++) {
        if (v.rows[i].kind != DIFF_KEPT)
            continue;
        assert_true(v.rows[i].bytes > 0);
        features +=
            v.rows[i].how == DIFF_NEW && str_find(v.rows[i].name, STR("\"Begun\""), 0) != SIZE_MAX;
    }
    assert_int_equal(features, 1);
    assert_true(has_row(&v, DIFF_FILE, DIFF_CHANGED, "messages/m/email.txt.liquid"));
    assert_int_equal(count_of(&v, DIFF_FILE), 1);
    versions_end(&v);
}

static void a_first_programme_is_all_new(void **state)
{
    (void)state;
    struct versions v;
    versions_begin(&v);
    compile_version(&v, 1);
    compare(&v, false);
    assert_true(has_row(&v, DIFF_JOURNEY, DIFF_NEW, "j"));
    assert_true(has_row(&v, DIFF_FILE, DIFF_NEW, "programme.yaml"));
    for (uint32_t i = 0; i < v.count; i++)
        assert_int_equal(v.rows[i].how, DIFF_NEW);
    versions_end(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is the same is not told", what_is_the_same_is_not_told),
        TEST("what is new, changed and removed is told, with what it costs",
             what_is_new_changed_and_removed_is_told),
        TEST("a first programme is all new", a_first_programme_is_all_new),
    };
    return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
