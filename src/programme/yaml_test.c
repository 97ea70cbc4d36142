/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/yaml.h"

#include "test.h"

struct fixture {
    struct arena arena;
    struct findings findings;
    struct yaml_file file;
    struct buf out;
};

static bool given(struct fixture *x, const char *text)
{
    arena_init(&x->arena, 4096);
    findings_init(&x->findings);
    buf_init(&x->out);
    return yaml_read(STR("a.yaml"), str_of(text), &x->arena, &x->file, &x->findings);
}

static void done(struct fixture *x)
{
    arena_fini(&x->arena);
    findings_fini(&x->findings);
    buf_fini(&x->out);
}

static const char *normal(struct fixture *x)
{
    x->out.len = 0;
    if (x->file.root)
        yaml_normal(x->file.root, NULL, &x->out);
    buf_add_byte(&x->out, 0);
    return (const char *)x->out.at;
}

static const char *said(struct fixture *x)
{
    x->out.len = 0;
    for (uint32_t i = 0; i < x->findings.count; i++)
        finding_print(&x->findings.list[i], &x->out);
    buf_add_byte(&x->out, 0);
    return (const char *)x->out.at;
}

/* Reads `text`, expects exactly `findings` and the tree `tree`. */
static void reads(const char *text, const char *findings, const char *tree)
{
    struct fixture x;
    bool is_fine = given(&x, text);
    assert_string_equal(said(&x), findings);
    assert_int_equal(is_fine, findings[0] == 0);
    assert_string_equal(normal(&x), tree);
    done(&x);
}

static void core_schema(void **state)
{
    (void)state;
    reads("a: 1\nb: -2\nc: 0x1f\nd: 0o17\ne: 1.5\nf: 1e3\ng: +7\n", "",
          "{\"a\":1,\"b\":-2,\"c\":31,\"d\":15,\"e\":1.5,\"f\":1000,\"g\":7}");
    reads("[true, False, ~, null, '', yes, on, 21:00, 2026-03-02T12:00, 1.2.3, .5, 0x, '1']\n", "",
          "[true,false,null,null,\"\",\"yes\",\"on\",\"21:00\",\"2026-03-02T12:00\",\"1.2.3\",0.5,"
          "\"0x\",\"1\"]");
    reads("a:\nb: !!str 12\n", "", "{\"a\":null,\"b\":\"12\"}");
    reads("99999999999999999999\n", "", "1e+20");
    reads("", "", "");
    reads("# nothing but a comment\n", "", "");
}

static void places(void **state)
{
    (void)state;
    struct fixture x;
    assert_true(given(&x, "a: \xc3\xa9 b\nlist:\n  - one: 'it''s x'\n    two: |\n      first\n"
                          "        second line\n    three: \"a\\tb\"\nlast:\n"));
    const struct yaml_node *list = yaml_find(x.file.root, "list");
    const struct yaml_node *one = yaml_find(list->items[0], "one");
    assert_int_equal(one->line, 3);
    assert_int_equal(one->column, 10);
    assert_string_equal(one->text.at, "it's x");
    assert_int_equal(yaml_place_in(&x.file, one, 5).column, 10 + 1 + 6); /* the x */
    const struct yaml_node *two = yaml_find(list->items[0], "two");
    assert_string_equal(two->text.at, "first\n  second line\n");
    struct place place = yaml_place_in(&x.file, two, 8 + 7); /* "line" */
    assert_int_equal(place.line, 6);
    assert_int_equal(place.column, 16);
    const struct yaml_node *three = yaml_find(list->items[0], "three");
    assert_int_equal(yaml_place_in(&x.file, three, 2).column, three->column);
    assert_int_equal(yaml_find(x.file.root, "last")->line, 8);
    assert_int_equal(yaml_place_in(&x.file, yaml_find(x.file.root, "a"), 3).column, 4 + 3);
    assert_null(yaml_find(x.file.root, "absent"));
    assert_null(yaml_find(one, "absent"));
    done(&x);
}

static void tags(void **state)
{
    (void)state;
    reads("a: 1\nwhen: !in_segment(\"employees\")\nb: 2\n",
          "a.yaml:2:7: error: a word that begins with ! is a tag to YAML [yaml-tag]\n"
          "    put the value in quotes\n"
          "    write: when: '!in_segment(\"employees\")'\n",
          "{\"a\":1,\"b\":2,\"when\":\"!in_segment(\\\"employees\\\")\"}");
    reads("when: !did\nb: 2\n",
          "a.yaml:1:7: error: a word that begins with ! is a tag to YAML [yaml-tag]\n"
          "    put the value in quotes\n"
          "    write: when: '!did'\n",
          "{\"b\":2,\"when\":\"!did\"}");
    reads("- {if: !consent(\"sms\"), do: [{send: x}]}\n",
          "a.yaml:1:8: error: a word that begins with ! is a tag to YAML [yaml-tag]\n"
          "    put the value in quotes\n"
          "    write: - {if: '!consent(\"sms\")', do: [{send: x}]}\n",
          "[{\"do\":[{\"send\":\"x\"}],\"if\":\"!consent(\\\"sms\\\")\"}]");
}

static void colons(void **state)
{
    (void)state;
    reads("subject: Your order: it is on its way\n",
          "a.yaml:1:10: error: \": \" makes a map of what should be one text [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: subject: 'Your order: it is on its way'\n",
          "{\"subject\":\"Your order: it is on its way\"}");
    reads("  when: event.kind == \"a: b\"\n  other: it's\n",
          "a.yaml:1:9: error: \": \" makes a map of what should be one text [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: when: 'event.kind == \"a: b\"'\n",
          "{\"other\":\"it's\",\"when\":\"event.kind == \\\"a: b\\\"\"}");
    reads("- {if: event.a ? x : y, do: []}\n",
          "a.yaml:1:8: error: \": \" makes a map of what should be one text [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: - {if: 'event.a ? x : y', do: []}\n",
          "[{\"do\":[],\"if\":\"event.a ? x : y\"}]");
}

static void quotes(void **state)
{
    (void)state;
    reads("when: \"vip\" in traits.tags || traits.plan == \"pro\"\n",
          "a.yaml:1:7: error: a value that begins with a quote ends with it [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: when: '\"vip\" in traits.tags || traits.plan == \"pro\"'\n",
          "{\"when\":\"\\\"vip\\\" in traits.tags || traits.plan == \\\"pro\\\"\"}");
    reads("subject: 'We've missed you'\n",
          "a.yaml:1:10: error: a value that begins with a quote ends with it [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: subject: 'We''ve missed you'\n",
          "{\"subject\":\"We've missed you\"}");
    reads("owner: @growth\n",
          "a.yaml:1:8: error: a value cannot begin with this sign [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: owner: '@growth'\n",
          "{\"owner\":\"@growth\"}");
    reads("steps: [{wait: {until: {if: count(\"A\", \"3d\") >= 2}}}]\n",
          "a.yaml:1:29: error: commas and brackets end a value inside { } [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: steps: [{wait: {until: {if: 'count(\"A\", \"3d\") >= 2'}}}]\n",
          "{\"steps\":[{\"wait\":{\"until\":{\"if\":\"count(\\\"A\\\", \\\"3d\\\") >= 2\"}}}]}");
}

static void braces(void **state)
{
    (void)state;
    const char *finding =
        "a.yaml:1:10: error: a value that begins with { is a map to YAML [yaml-quotes]\n"
        "    put the value in quotes\n"
        "    write: subject: '{{ entry.name }} is waiting'\n";
    reads("subject: {{ entry.name }} is waiting\n", finding,
          "{\"subject\":\"{{ entry.name }} is waiting\"}");
    reads("subject: {{ entry.name }}\n",
          "a.yaml:1:10: error: a value that begins with { is a map to YAML [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: subject: '{{ entry.name }}'\n",
          "{\"subject\":\"{{ entry.name }}\"}");
    reads("subject: {% if a %}b{% endif %}\n",
          "a.yaml:1:10: error: a value that begins with { is a map to YAML [yaml-quotes]\n"
          "    put the value in quotes\n"
          "    write: subject: '{% if a %}b{% endif %}'\n",
          "{\"subject\":\"{% if a %}b{% endif %}\"}");
}

static void one_does_not_hide_the_next(void **state)
{
    (void)state;
    struct fixture x;
    assert_false(given(&x, "when: !a\nsubject: b: c\nfrom: \"x\" y\na: 1\na: 2\n"));
    assert_int_equal(x.findings.error_count, 4);
    assert_int_equal(x.findings.list[0].code, FINDING_YAML_QUOTES);
    assert_int_equal(x.findings.list[3].code, FINDING_YAML_KEY_TWICE);
    assert_string_equal(normal(&x),
                        "{\"a\":1,\"from\":\"\\\"x\\\" y\",\"subject\":\"b: c\",\"when\":\"!a\"}");
    done(&x);
}

static void refuses(void **state)
{
    (void)state;
    reads("a:\n\tb: c\n",
          "a.yaml:2:1: error: this is not YAML: tab character may not be used as indentation "
          "[not-yaml]\n    YAML is indented with spaces\n",
          "");
    reads("a: [1, 2\n",
          "a.yaml:2:1: error: this is not YAML: flow sequence without a closing bracket "
          "[not-yaml]\n",
          "");
    reads("a: 1\n---\nb: 2\n",
          "a.yaml:2:1: error: a second document begins here; a file has one [not-yaml]\n"
          "    put it into a file of its own\n",
          "");
    reads("? [a, b]\n: c\n",
          "a.yaml:1:3: error: a key must be a word, and tags (!word) have no meaning here "
          "[not-yaml]\n    put it in quotes\n",
          "{}");
    reads("a: *nobody\n",
          "a.yaml:1:4: error: the alias *nobody has no anchor before it [not-yaml]\n",
          "{\"a\":null}");
    reads("a: \x01\n", "a.yaml:1:4: error: a control character (byte 01) stands here [not-yaml]\n",
          "");
    reads("a: \xff\n", "a.yaml: error: the file is not UTF-8 text [not-yaml]\n", "");
}

static void bounded(void **state)
{
    (void)state;
    struct fixture x;
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < YAML_DEPTH_MAX; i++)
        buf_add_byte(&text, '[');
    for (int i = 0; i < YAML_DEPTH_MAX; i++)
        buf_add_byte(&text, ']');
    buf_add_byte(&text, 0);
    assert_true(given(&x, (const char *)text.at));
    done(&x);

    text.len = 0;
    for (int i = 0; i <= YAML_DEPTH_MAX; i++)
        buf_add_byte(&text, '[');
    for (int i = 0; i <= YAML_DEPTH_MAX; i++)
        buf_add_byte(&text, ']');
    buf_add_byte(&text, 0);
    assert_false(given(&x, (const char *)text.at));
    assert_int_equal(x.findings.list[0].code, FINDING_YAML_LIMIT);
    done(&x);

    /* A billion laughs: 10 levels of 10 aliases. */
    text.len = 0;
    buf_printf(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k ? ", " : "", i - 1);
        buf_printf(&text, "]\n");
    }
    buf_add_byte(&text, 0);
    assert_false(given(&x, (const char *)text.at));
    assert_int_equal(x.findings.list[0].code, FINDING_YAML_LIMIT);
    assert_null(x.file.root);
    done(&x);
    buf_fini(&text);
}

static void aliases(void **state)
{
    (void)state;
    reads("a: &x {b: 1}\nc: *x\nd: [&y 2, *y]\n", "",
          "{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[2,2]}");
}

static void replaces_a_word(void **state)
{
    (void)state;
    struct fixture x;
    assert_true(given(&x, "a: {from: 21:00, to: yes}\n"));
    const struct yaml_node *from = yaml_find(yaml_find(x.file.root, "a"), "from");
    struct str line = yaml_line_with(&x.file, from, yaml_quote(from->text, &x.arena), &x.arena);
    assert_string_equal(line.at, "a: {from: '21:00', to: yes}");
    done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("scalars are read by the core schema of YAML 1.2", core_schema),
        TEST("every node knows its place, and every byte of a text", places),
        TEST("an expression that begins with ! gets its quotes", tags),
        TEST("a colon in a text gets its quotes", colons),
        TEST("text behind a quoted text gets its quotes", quotes),
        TEST("a template that begins with braces gets its quotes", braces),
        TEST("one slip does not hide the next", one_does_not_hide_the_next),
        TEST("what is not YAML is refused with its place", refuses),
        TEST("depth and repetition are bounded", bounded),
        TEST("aliases repeat what they name", aliases),
        TEST("a word is replaced in its line", replaces_a_word),
    };
    return cmocka_run_group_tests_name("programme/yaml", tests, NULL, NULL);
}
