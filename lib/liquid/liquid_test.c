/* SPDX-License-Identifier: Apache-2.0 */
#include "liquid/liquid.h"

#include <inttypes.h>

#include "when/zone.h"
#include "json/json.h"

#include "test.h"

/* One template with its data, rendered. */
struct bench {
    struct arena arena;
    struct json_parser *parser;
    struct buf out;
    struct fault fault;
    struct value data;
    const struct liquid_template *t;
    struct liquid_source partials[8];
    size_t partial_count;
    enum liquid_kind kind;
    struct liquid_run run;
    uint32_t asked_count; /* how often the host was asked */
};

static int setup(void **state)
{
    struct bench *b = test_calloc(1, sizeof(*b));
    arena_init(&b->arena, 1 << 16);
    buf_init(&b->out);
    b->parser = json_parser_new(1 << 20);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    json_parser_free(b->parser);
    buf_fini(&b->out);
    arena_fini(&b->arena);
    test_free(b);
    return 0;
}

static struct value load(void *self, const struct liquid_read *read)
{
    struct bench *b = self;
    struct value x = b->data;
    b->asked_count++;
    for (uint32_t i = 0; i < read->part_count; i++) {
        struct value found = value_none();
        for (uint32_t j = 0; x.type == VALUE_MAP && j < x.map->count; j++)
            if (str_equal(x.map->pairs[j].key.text, read->parts[i]))
                found = x.map->pairs[j].value;
        x = found;
    }
    return x;
}

static void set_data(struct bench *b, const char *json)
{
    struct json_node root;
    assert_int_equal(json_parse(b->parser, str_of(json), JSON_DEPTH, &root, NULL), OK);
    b->data = json_to_value(root, &b->arena);
}

static enum status compile(struct bench *b, const char *template)
{
    struct liquid_source source = {STR("mail"), str_of(template)};
    b->fault = (struct fault){0};
    return liquid_compile(&b->arena, &source, b->partials, b->partial_count, b->kind, &b->t,
                          &b->fault);
}

static enum liquid_outcome render(struct bench *b, const char *template)
{
    if (compile(b, template))
        fail_msg("%s: %s", template, b->fault.text);
    b->run.host = (struct liquid_host){b, load};
    b->run.scratch = &b->arena;
    b->out.len = 0;
    return liquid_render(b->t, &b->run, &b->out, &b->fault);
}

static void says(struct bench *b, const char *template, const char *wanted)
{
    if (render(b, template) != LIQUID_DONE)
        fail_msg("%s: %s", template, b->fault.text);
    if (!str_is(buf_str(&b->out), wanted))
        fail_msg("%s says %.*s, not %s", template, STR_ARG(buf_str(&b->out)), wanted);
}

static void fails(struct bench *b, const char *template, const char *sentence)
{
    if (render(b, template) != LIQUID_FAILED)
        fail_msg("%s does not fail", template);
    if (!strstr(b->fault.text, sentence))
        fail_msg("%s: %s, not %s", template, b->fault.text, sentence);
    assert_int_equal(b->out.len, 0);
}

/* --- words ----------------------------------------------------------------------------------- */

static void examples(void **state)
{
    size_t count;
    const struct liquid_word *words = liquid_filters(&count);
    assert_true(count > 50);
    for (size_t i = 0; i < count; i++)
        says(*state, words[i].example, words[i].result);
    words = liquid_tags(&count);
    assert_true(count > 15);
    for (size_t i = 0; i < count; i++)
        says(*state, words[i].example, words[i].result);
}

/* --- kinds of output ------------------------------------------------------------------------- */

static void escapes(void **state)
{
    struct bench *b = *state;
    b->kind = LIQUID_HTML;
    set_data(
        b,
        "{\"x\": \"<a href=\\\"u\\\">Tom & 'Jo'</a>\", \"l\": [\"<\", 1], \"m\": {\"k\": \"<\"}}");
    says(b, "<p>{{ x }}</p>",
         "<p>&lt;a href=&quot;u&quot;&gt;Tom &amp; &#39;Jo&#39;&lt;/a&gt;</p>");
    says(b, "{{ l }}|{{ m }}", "&lt;1|{&quot;k&quot;:&quot;&lt;&quot;}");
    says(b, "{% echo x | slice: 0 %}", "&lt;");
    says(b, "{% for i in l %}{{ i }}{% endfor %}{% cycle x %}",
         "&lt;1&lt;a href=&quot;u&quot;&gt;Tom &amp; &#39;Jo&#39;&lt;/a&gt;");
    says(b, "{{ '<b>' | raw }}{{ '<' | escape }}{{ '&lt;<' | escape_once }}", "<b>&lt;&lt;&lt;");
    says(b, "{{ 'a<\nb' | newline_to_br }}", "a&lt;<br />\nb");
}

static void captured_html(void **state)
{
    struct bench *b = *state;
    b->kind = LIQUID_HTML;
    set_data(b, "{\"x\": \"<\"}");
    says(b, "{% capture c %}<b>{{ x }}</b>{% endcapture %}{{ c }}{% assign d = c %}{{ d }}",
         "<b>&lt;</b><b>&lt;</b>");
    says(b, "{% capture c %}<b>{% endcapture %}{{ c | append: x }}{{ x | append: c }}",
         "<b>&lt;&lt;<b>");
    says(b, "{% capture c %}<b>{% endcapture %}{{ c | upcase }}", "&lt;B&gt;");
    says(b, "{% capture c %}<b>{% endcapture %}{% assign l = c | split: ',' %}{{ l[0] }}",
         "&lt;b&gt;");
}

static void text_is_plain(void **state)
{
    struct bench *b = *state;
    set_data(b, "{\"x\": \"<&>\"}");
    says(b, "{{ x }}{{ x | raw }}{{ x | escape }}", "<&><&>&lt;&amp;&gt;");
}

static void header_lines(void **state)
{
    struct bench *b = *state;
    b->kind = LIQUID_HEADER;
    set_data(b, "{\"x\": \"a\\r\\nBcc: eve@example.org\", \"y\": \"a\\u0000\", \"z\": \"<ok>\"}");
    fails(b, "Hello {{ x }}", "line break");
    fails(b, "Hello {{ y }}", "line break");
    fails(b, "Hello\nthere", "line break");
    says(b, "Hello {{ z }} {{ x | strip_newlines }}", "Hello <ok> aBcc: eve@example.org");
}

static void json_strings(void **state)
{
    struct bench *b = *state;
    b->kind = LIQUID_JSON;
    set_data(
        b,
        "{\"x\": \"a\\\", \\\"admin\\\": true, \\\"b\\\": \\\"\", \"n\": 1.5, \"l\": [\"<\", 1]}");
    says(b, "{\"v\": \"{{ x }}\"}", "{\"v\": \"a\\\", \\\"admin\\\": true, \\\"b\\\": \\\"\"}");
    says(b, "{\"v\": {{ x | json }}, \"n\": {{ n }}, \"l\": {{ l | json }}}",
         "{\"v\": \"a\\\", \\\"admin\\\": true, \\\"b\\\": \\\"\", \"n\": 1.5, \"l\": [\"<\",1]}");
    says(b, "{% capture c %}[{{ x }}]{% endcapture %}\"{{ c }}\"",
         "\"[a\\\", \\\"admin\\\": true, \\\"b\\\": \\\"]\"");
    says(b, "\"{{ x | json | upcase }}\"",
         "\"\\\"A\\\\\\\", \\\\\\\"ADMIN\\\\\\\": TRUE, \\\\\\\"B\\\\\\\": \\\\\\\"\\\"\"");
    says(b, "\"{{ x | escape }}\"", "\"a&quot;, &quot;admin&quot;: true, &quot;b&quot;: &quot;\"");
    says(b, "{{ '[1]' | raw }}{{ \"\\n\" }}", "[1]\\\\n");
    says(b, "{% assign y = 'a' | append: '\"' %}{% cycle y %}", "a\\\"");
}

static void links(void **state)
{
    struct bench *b = *state;
    static const struct str schemes[] = {{"myapp", 5}};
    static const struct {
        const char *url;
        const char *shown;
    } rows[] = {
        {"https://example.org/?a=1&b=2", "https://example.org/?a=1&amp;b=2"},
        {"/path:1", "/path:1"},
        {"page?x=javascript:1", "page?x=javascript:1"},
        {"mailto:a@example.org", "mailto:a@example.org"},
        {"myapp://cart", "myapp://cart"},
        {"javascript:alert(1)", "#blocked"},
        {"JaVa\\tScript:alert(1)", "#blocked"},
        {" javascript:alert(1)", "#blocked"},
        {"data:text/html,x", "#blocked"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:x", "#blocked"},
    };
    b->kind = LIQUID_HTML;
    b->run.schemes = schemes;
    b->run.scheme_count = 1;
    for (size_t i = 0; i < array_count(rows); i++) {
        char json[200], wanted[300];
        snprintf(json, sizeof(json), "{\"u\": \"%s\"}", rows[i].url);
        snprintf(wanted, sizeof(wanted), "<a href=\"%s\"><img SRC = '%s'>", rows[i].shown,
                 rows[i].shown);
        set_data(b, json);
        says(b, "<a href=\"{{ u }}\"><img SRC = '{{- u }}'>", wanted);
    }
    set_data(b, "{\"u\": \"javascript:x\"}");
    says(b, "<p title=\"{{ u }}\">{{ u }}</p> xhref=\"{{ u }}\"",
         "<p title=\"javascript:x\">javascript:x</p> xhref=\"javascript:x\"");
}

static void never_evaluated(void **state)
{
    struct bench *b = *state;
    set_data(b, "{\"x\": \"{{ secret }}{% abort %}\", \"secret\": \"s\", \"name\": \"{{ x }}\"}");
    says(b, "{{ x }}|{{ name }}|{% capture c %}{{ x }}{% endcapture %}{{ c }}|{{ x | append: x }}",
         "{{ secret }}{% abort %}|{{ x }}|{{ secret }}{% abort %}|"
         "{{ secret }}{% abort %}{{ secret }}{% abort %}");
}

/* --- reads ----------------------------------------------------------------------------------- */

static void check_reads(struct bench *b, const char *template, const char *wanted)
{
    struct buf list;
    buf_init(&list);
    if (compile(b, template))
        fail_msg("%s: %s", template, b->fault.text);
    size_t count;
    const struct liquid_read *reads = liquid_reads(b->t, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(reads[i].index, i);
        buf_add_str(&list, i ? STR(" ") : STR(""));
        for (uint32_t j = 0; j < reads[i].part_count; j++) {
            buf_add_str(&list, j ? STR(".") : STR(""));
            buf_add_str(&list, reads[i].parts[j]);
        }
        if (reads[i].part_count == 0)
            buf_add_byte(&list, '*');
        if (reads[i].is_maybe_local)
            buf_add_byte(&list, '?');
    }
    if (!str_is(buf_str(&list), wanted))
        fail_msg("%s reads %.*s, not %s", template, STR_ARG(buf_str(&list)), wanted);
    buf_fini(&list);
}

static void reads(void **state)
{
    struct bench *b = *state;
    check_reads(b, "no names", "");
    check_reads(b, "{{ person.name }}{{ person.name | upcase }}{{ event.total }}",
                "person.name event.total");
    check_reads(b, "{{ a.b[0].c }}{{ a.b.size }}{{ a['b']['x y'].z }}{{ a.b.first.c }}",
                "a.b a.b.x y.z");
    check_reads(b, "{% if a == b and c contains d %}{{ e | append: f }}{% endif %}{{ (g..h) }}",
                "a b c d e f g h");
    check_reads(b, "{% for i in list limit: n %}{{ i.x }}{{ forloop.index }}{% endfor %}{{ i }}",
                "list n i");
    check_reads(b, "{{ x }}{% assign x = y %}{{ x }}", "x y");
    check_reads(b, "{% assign x = y %}{{ x }}", "y x?");
    check_reads(b, "{% if a %}{% capture x %}{% endcapture %}{% endif %}{{ x.z }}", "a x.z?");
    check_reads(b, "{{ a[b.c] }}", "b.c a");
    check_reads(b, "{{ [a] }}", "a *?");
    check_reads(b, "{% raw %}{{ a }}{% endraw %}{% comment %}{{ b }}{% endcomment %}", "");
    check_reads(b, "{% liquid\n if a\n echo b\n endif %}{% abort c %}{% cycle d: e, f %}",
                "a b c d e f");
    b->partials[0] =
        (struct liquid_source){STR("foot"), STR("{{ p.q }}{{ arg }}{{ w }}{{ foot }}")};
    b->partials[1] = (struct liquid_source){STR("never"), STR("{{ unused }}")};
    b->partial_count = 2;
    check_reads(b, "{% render 'foot', arg: z %}", "z p.q arg? w foot");
    check_reads(b, "{% assign w = 1 %}{% include 'foot' with v %}", "v p.q arg w? foot?");
    check_reads(b, "{% include name %}", "name p.q arg w foot unused");
}

static void read_places(void **state)
{
    struct bench *b = *state;
    b->partials[0] = (struct liquid_source){STR("foot"), STR("\n\n {{ deep }}")};
    b->partial_count = 1;
    assert_int_equal(compile(b, "a\n  {{ x | append: y }}{% render 'foot' %}"), OK);
    size_t count;
    const struct liquid_read *r = liquid_reads(b->t, &count);
    assert_int_equal(count, 3);
    assert_true(str_is(r[1].source, "mail") && r[1].line == 2 && r[1].column == 18);
    assert_true(str_is(r[2].source, "foot") && r[2].line == 3 && r[2].column == 5);
}

/* What is not asked for in reads is never asked for, and locals are not asked for at all. */
static void host_is_asked(void **state)
{
    struct bench *b = *state;
    set_data(b, "{\"a\": {\"b\": [1, 2, 3]}}");
    b->asked_count = 0;
    says(b, "{% assign x = a.b %}{% for i in x %}{{ i }}{{ x.size }}{% endfor %}", "132333");
    assert_int_equal(b->asked_count, 1);
    b->run.host.load = NULL;
    assert_int_equal(compile(b, "[{{ a }}]"), OK);
    b->run.host = (struct liquid_host){NULL, NULL};
    b->out.len = 0;
    assert_int_equal(liquid_render(b->t, &b->run, &b->out, NULL), LIQUID_DONE);
    assert_true(str_is(buf_str(&b->out), "[]"));
}

/* --- the end --------------------------------------------------------------------------------- */

static void aborts(void **state)
{
    struct bench *b = *state;
    set_data(b, "{\"stock\": 0, \"sku\": \"s1\"}");
    b->out.len = 0;
    buf_add_str(&b->out, STR("kept"));
    assert_int_equal(compile(b, "text\n{% if stock == 0 %}{% abort sku | append: ' is gone' %}"
                                "{% endif %}more"),
                     OK);
    b->run.host = (struct liquid_host){b, load};
    b->run.scratch = &b->arena;
    assert_int_equal(liquid_render(b->t, &b->run, &b->out, &b->fault), LIQUID_ABORTED);
    assert_string_equal(b->fault.text, "s1 is gone");
    assert_int_equal(b->fault.line, 2);
    assert_true(str_is(buf_str(&b->out), "kept"));
    assert_int_equal(render(b, "{% abort %}"), LIQUID_ABORTED);
    b->partials[0] = (struct liquid_source){STR("p"), STR("{% abort 'inside' %}")};
    b->partial_count = 1;
    assert_int_equal(render(b, "{% for i in (1..2) %}{% render 'p' %}{% endfor %}"),
                     LIQUID_ABORTED);
    assert_string_equal(b->fault.text, "inside");
    assert_string_equal(b->fault.file, "p");
}

/* --- mistakes -------------------------------------------------------------------------------- */

static void mistakes(void **state)
{
    static const struct {
        const char *template;
        uint32_t line;
        uint32_t column;
        const char *sentence;
    } rows[] = {
        {"a\nb {{ x | upcsae }}", 2, 10, "unknown filter \"upcsae\"; did you mean \"upcase\"?"},
        {"{% fro x in y %}", 1, 4, "unknown tag \"fro\"; did you mean \"for\"?"},
        {"{% zzzzzzzz %}", 1, 4, "unknown tag \"zzzzzzzz\""},
        {"{{ x", 1, 1, "this {{ is not closed"},
        {"a {% if x", 1, 3, "this {% is not closed"},
        {"\n{% if x %}a", 2, 4, "\"if\" is not ended; expected \"endif\""},
        {"{% if x %}{% endfor %}", 1, 14, "expected \"endif\", found \"endfor\""},
        {"{% endif %}", 1, 4, "\"endif\" without a block to end"},
        {"{% else %}", 1, 4, "\"else\" without an \"if\", \"case\" or \"for\" before it"},
        {"{{ x y }}", 1, 6, "expected the end of the tag, found \"y\""},
        {"{{ 'abc }}", 1, 4, "this text is not closed"},
        {"{{ a. }}", 1, 7, "expected a name, but the tag ends"},
        {"{% assign = 1 %}", 1, 11, "expected a name, found \"=\""},
        {"{% for x of y %}", 1, 10, "expected in, found \"of\""},
        {"{% for x in y limt: 3 %}", 1, 15, "expected reversed, limit or offset, found \"limt\""},
        {"{{ x | append }}", 1, 8, "filter \"append\" takes 1 argument, not 0"},
        {"{{ x | round: 1, 2 }}", 1, 8, "filter \"round\" takes at most 1 argument, not 2"},
        {"{{ x | default: 1, allow: 2 }}", 1, 20, "filter \"default\" has no argument \"allow\""},
        {"{% render 'futer' %}", 1, 11, "unknown partial \"futer\"; did you mean \"footer\"?"},
        {"{% render x %}", 1, 11, "expected the partial's name in quotes, found \"x\""},
        {"{% render 'footer' %}", 2, 4, "unknown filter \"nope\""},
        {"{% raw %}", 1, 4, "expected \"endraw\", but the template ends"},
        {"{{ a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q }}", 1, 35, "a path has at most 16 parts"},
        {"{% liquid\n if x\n echo y\n%}", 2, 2,
         "this block is not ended inside of its \"liquid\" tag"},
        {"{{ 99999999999999999999999999 | plus: 1 }}{{ \xff }}", 1, 1, "the template is not UTF-8"},
    };
    struct bench *b = *state;
    b->partials[0] = (struct liquid_source){STR("footer"), STR("x\n{{x | nope}}")};
    b->partial_count = 1;
    for (size_t i = 0; i < array_count(rows); i++) {
        if (compile(b, rows[i].template) != FIX_INPUT)
            fail_msg("%s compiles", rows[i].template);
        assert_string_equal(b->fault.text, rows[i].sentence);
        if (i == 20) { /* the mistake is in the partial */
            assert_string_equal(b->fault.file, "footer");
            assert_int_equal(b->fault.line, 2);
            assert_int_equal(b->fault.column, 7);
            continue;
        }
        assert_string_equal(b->fault.file, "mail");
        if (b->fault.line != rows[i].line || b->fault.column != rows[i].column)
            fail_msg("%s: at %u:%u", rows[i].template, b->fault.line, b->fault.column);
    }
}

static void running_mistakes(void **state)
{
    struct bench *b = *state;
    fails(b, "a\n{{ 1 | divided_by: 0 }}", "division by zero");
    assert_int_equal(b->fault.line, 2);
    assert_int_equal(b->fault.column, 8);
    fails(b, "{{ 1.5 | modulo: 0.0 }}", "division by zero");
    fails(b, "{% if 'a' < 1 %}{% endif %}", "cannot compare string with int");
    fails(b, "{% for i in (1..3) limit: 'x' %}{% endfor %}", "limit must be an integer");
    fails(b, "{{ 'x' | base64_decode }}", "not base64");
    fails(b, "{{ '/w==' | base64_decode }}", "not UTF-8");
    fails(b, "{{ '%ff' | url_decode }}", "not UTF-8");
}

static void missing_partial(void **state)
{
    struct bench *b = *state;
    b->partials[0] = (struct liquid_source){STR("a"), STR("A")};
    b->partial_count = 1;
    set_data(b, "{\"p\": \"a\", \"q\": \"b\"}");
    says(b, "{% include p %}", "A");
    fails(b, "{% include q %}", "unknown partial \"b\"");
}

/* --- budgets --------------------------------------------------------------------------------- */

static void budgets(void **state)
{
    struct bench *b = *state;
    const char *endless =
        "{% for a in (1..9999) %}{% for b in (1..9999) %}{{ b }}{% endfor %}{% endfor %}";
    fails(b, endless, "rounds");
    b->run.limits.iterations_max = UINT32_MAX;
    fails(b, endless, "steps");
    b->run.limits.steps_max = UINT32_MAX;
    fails(b, endless, "output is longer than 2097152 bytes");
    b->run.limits.output_bytes_max = 10;
    says(b, "{% for i in (1..10) %}{{ 0 }}{% endfor %}", "0000000000");
    fails(b, "{% for i in (1..11) %}{{ 0 }}{% endfor %}", "output is longer than 10 bytes");
    b->run.limits = (struct liquid_limits){0};
    fails(b,
          "{% assign s = 'ab' %}{% for i in (1..60) %}{% assign s = s | append: s %}{% endfor %}",
          "memory");
    fails(
        b,
        "{% assign s = 'ab' %}{% for i in (1..60) %}{% assign s = s | replace: '', s %}{% endfor %}",
        "memory");
    fails(b,
          "{% assign l = (1..9) %}{% for i in (1..60) %}{% assign l = l | concat: l %}{% endfor %}",
          "memory");
    fails(b, "{{ (1..9999999999) | size }}", "the range has more than");
    fails(b, "{{ (-9223372036854775807..9223372036854775807) }}", "the range has more than");
    b->run.limits.steps_max = 100;
    b->run.limits.iterations_max = 5;
    says(b, "{% for i in (1..5) %}{% endfor %}", "");
    fails(b, "{% for i in (1..5) %}{% endfor %}{% tablerow i in (1..1) %}{% endtablerow %}",
          "rounds");
}

static void depth(void **state)
{
    struct bench *b = *state;
    b->partials[0] = (struct liquid_source){STR("self"), STR("x{% include 'self' %}")};
    b->partials[1] = (struct liquid_source){STR("twin"), STR("{% render 'twin' %}")};
    b->partial_count = 2;
    fails(b, "{% include 'self' %}", "nested more than 64 deep");
    fails(b, "{% render 'twin' %}", "nested more than 64 deep");
    assert_string_equal(b->fault.file, "twin");

    struct buf template;
    buf_init(&template);
    for (int deep = LIQUID_BLOCKS_MAX; deep <= LIQUID_BLOCKS_MAX + 1; deep++) {
        template.len = 0;
        for (int i = 0; i < deep; i++)
            buf_add_str(&template, STR("{% if true %}"));
        buf_add_byte(&template, 'x');
        for (int i = 0; i < deep; i++)
            buf_add_str(&template, STR("{% endif %}"));
        buf_add_byte(&template, '\0');
        if (deep == LIQUID_BLOCKS_MAX)
            says(b, (const char *)template.at, "x");
        else
            assert_int_equal(compile(b, (const char *)template.at), FIX_INPUT);
    }
    for (int deep = 15; deep <= 16; deep++) {
        template.len = 0;
        buf_add_str(&template, STR("{{ "));
        for (int i = 0; i < deep; i++)
            buf_add_str(&template, STR("a["));
        buf_add_byte(&template, '1');
        for (int i = 0; i < deep; i++)
            buf_add_byte(&template, ']');
        buf_add(&template, " }}", 4);
        assert_int_equal(compile(b, (const char *)template.at), deep == 15 ? OK : FIX_INPUT);
    }
    buf_fini(&template);
}

static void many_names(void **state)
{
    struct bench *b = *state;
    struct buf template;
    buf_init(&template);
    for (int in_lines = 0; in_lines < 2; in_lines++)
        for (int count = 4096; count <= 4097; count++) {
            template.len = 0;
            buf_add_str(&template, in_lines ? STR("{% liquid\n") : STR(""));
            for (int i = 0; i < count; i++)
                buf_printf(&template, in_lines ? "echo n%d\n" : "{{ n%d }}", i);
            buf_add_str(&template, in_lines ? STR("%}") : STR(""));
            buf_add_byte(&template, '\0');
            enum status status = compile(b, (const char *)template.at);
            assert_int_equal(status, count == 4096 ? OK : FIX_INPUT);
            if (status)
                assert_non_null(strstr(b->fault.text, "names"));
        }
    buf_fini(&template);
}

/* --- the language, where the golden cases say little ------------------------------------------- */

static void partials(void **state)
{
    struct bench *b = *state;
    set_data(b, "{\"list\": [\"x\", \"y\"], \"who\": \"Ann\"}");
    b->partials[0] = (struct liquid_source){STR("blocks/line"),
                                            STR("{{ line }}{{ forloop.index }}{{ extra }}.")};
    b->partials[1] = (struct liquid_source){STR("hi"), STR("Hi {{ who }}{{ local }}")};
    b->partials[2] = (struct liquid_source){STR("stop"), STR("a{% break %}b")};
    b->partials[3] = (struct liquid_source){STR("count"), STR("{% increment n %}")};
    b->partial_count = 4;
    says(b, "{% render 'blocks/line' for list, extra: '!' %}", "x1!.y2!.");
    says(b, "{% render 'blocks/line' with list %}", "xy.");
    says(b, "{% include 'blocks/line' with list %}", "x.y.");
    says(b, "{% include 'blocks/line' for list as line %}", "x.y.");
    says(b, "{% assign local = 1 %}{% render 'hi' %} {% include 'hi' %}", "Hi Ann Hi Ann1");
    says(b, "{% for i in (1..2) %}{{ i }}{% render 'stop' %}{% endfor %}", "1a2a");
    says(b, "{% for i in (1..2) %}{{ i }}{% include 'stop' %}{% endfor %}", "1a");
    says(b, "{% increment n %}{% render 'count' %}{% include 'count' %}{% increment n %}", "0012");
    says(b, "{% render 'hi' for empty %}{% render 'hi' for nothing %}", "Hi AnnHi Ann");
}

static void interrupts(void **state)
{
    struct bench *b = *state;
    says(
        b,
        "{% for i in (1..3) %}{% capture c %}{{ i }}{% break %}x{% endcapture %}{% endfor %}{{ c }}",
        "1");
    says(
        b,
        "{% for i in (1..3) %}{% case i %}{% when 2 %}{% continue %}{% endcase %}{{ i }}{% endfor %}",
        "13");
    says(b, "{% for i in (1..3) %}{% ifchanged %}a{% continue %}{% endifchanged %}{% endfor %}",
         "a");
    says(b, "a{% break %}b", "a");
    says(b,
         "{% for i in (1..2) %}{% for j in (1..3) %}{% if j == 2 %}{% break %}{% endif %}{{ j }}"
         "{% endfor %}{{ i }}{% endfor %}",
         "1112");
    says(b, "{% for i in empty %}{% else %}none{% break %}x{% endfor %}", "none");
}

static void loop_words(void **state)
{
    struct bench *b = *state;
    set_data(b, "{\"f\": \"rindex\"}");
    says(b,
         "{% for i in (1..2) %}{% for j in (1..2) %}{{ forloop.parentloop.index }}{{ forloop[f] }} "
         "{% endfor %}{% endfor %}",
         "12 11 22 21 ");
    says(
        b,
        "{% for i in (7..8) %}{% assign kept = forloop %}{% endfor %}{{ kept.index }}{{ kept.length }}",
        "22");
    says(
        b,
        "{{ forloop.index }}{{ tablerowloop.row }}|{% for i in (1..1) %}{{ tablerowloop }}{% endfor %}",
        "|");
    says(
        b,
        "{% for i in (1..4) offset: 1 limit: 2 reversed %}{{ i }}{{ forloop.rindex0 }}{% endfor %}",
        "3120");
}

static void white_space(void **state)
{
    struct bench *b = *state;
    says(b, "a {%- if true %} b {% endif -%} c", "a b c");
    says(b, "a {{- 1 -}} b", "a1b");
    says(b, "a {% raw -%}  {{ x }}  {%- endraw %} b", "a {{ x }} b");
    says(b, "{% if true %} {% assign a = 1 %} {% endif %}|{% if true %} {{ '' }} {% endif %}",
         "|  ");
    says(b, "{% if true %} {% capture c %} x {% endcapture %} {% endif %}[{{ c }}]", "[ x ]");
}

static void numbers_shown(void **state)
{
    static const struct {
        const char *number;
        const char *shown;
    } rows[] = {
        {"1", "1"},
        {"-0.0", "-0.0"},
        {"1.50", "1.5"},
        {"100.0", "100.0"},
        {"0.0001", "0.0001"},
        {"0.00001", "1.0e-05"},
        {"1e15", "1000000000000000.0"},
        {"1e16", "1.0e+16"},
        {"123456789012345680000", "1.2345678901234568e+20"},
        {"9223372036854775807", "9223372036854775807"},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < array_count(rows); i++) {
        char json[64];
        snprintf(json, sizeof(json), "{\"n\": %s}", rows[i].number);
        set_data(b, json);
        says(b, "{{ n }}", rows[i].shown);
    }
}

static void letters(void **state)
{
    struct bench *b = *state;
    says(
        b,
        "{{ '\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f \xce\xb1\xcf\x82 \xd0\xb6\xd1\x91 \xc5\x82\xc5\xbe' | upcase }}",
        "\xc3\x84\xc3\x96\xc3\x9cSS \xce\x91\xce\xa3 \xd0\x96\xd0\x81 \xc5\x81\xc5\xbd");
    says(b, "{{ '\xc3\x84\xce\x91\xd0\x96\xd0\x81\xc5\x81\xc5\xbd\xc5\xb8' | downcase }}",
         "\xc3\xa4\xce\xb1\xd0\xb6\xd1\x91\xc5\x82\xc5\xbe\xc3\xbf");
    says(b, "{{ '\xe6\xb5\x8b\xe8\xaf\x95 \xc3\xb7\xc3\x97' | upcase | downcase }}",
         "\xe6\xb5\x8b\xe8\xaf\x95 \xc3\xb7\xc3\x97");
    says(
        b,
        "{{ '\xc3\xa9t\xc3\xa9' | capitalize }}|{{ '\xf0\x9f\x98\x80x' | size }}|{{ 'a\xc3\xa9z' | slice: 1 }}",
        "\xc3\x89t\xc3\xa9|2|\xc3\xa9");
}

static void dates(void **state)
{
    static const struct {
        const char *input;
        const char *format;
        const char *shown;
    } rows[] = {
        {"2026-03-02T21:05:09Z", "%Y-%m-%d %H:%M:%S", "2026-03-02 21:05:09"},
        {"2026-03-02", "%a %A %b %B %d %e %-d %j %u %w", "Mon Monday Mar March 02  2 2 061 1 1"},
        {"2026-03-02 21:05", "%I:%M %p %l%P %k", "09:05 PM  9pm 21"},
        {"2026-03-02 00:05", "%I %-I %H", "12 12 00"},
        {"2026-01-01", "%U %W %V %G %g", "00 00 01 2026 26"},
        {"2027-01-03", "%U %W %V %G", "01 00 53 2026"},
        {"2026-03-02 21:05:09.123", "%L %3N %6N %s", "123 123 123000 1772485509"},
        {"2026-03-02T21:05:09+02:00", "%H:%M %z %:z %Z", "19:05 +0000 +00:00 UTC"},
        {"2026-03-02", "%^a %^B %#b %#p %010Y %_m %-m %%", "MON MARCH MAR am 0000002026  3 3 %"},
        {"2026-03-02 21:05", "%c|%D|%F|%R|%T|%x|%X|%r|%v",
         "Mon Mar  2 21:05:00 2026|03/02/26|2026-03-02|21:05|21:05:00|03/02/26|21:05:00|09:05:00 PM"
         "| 2-MAR-2026"},
        {"2026-03-02", "%Q %", "%Q %"},
        {"March 14, 2016", "%F", "2016-03-14"},
        {"14 Mar 2016 5:30pm", "%F %R", "2016-03-14 17:30"},
        {"Mon, 14 Mar 2016 05:30:00 +0100", "%F %R", "2016-03-14 04:30"},
        {"2016/3/14 12:00", "%F %R", "2016-03-14 12:00"},
        {"14th of March 2016 at 12am", "%F %R", "2016-03-14 00:00"},
        {"31 February 2016", "%F", "31 February 2016"},
        {"hello", "%F", "hello"},
        {"03/04/2016", "%F", "03/04/2016"},
        {"1152098955", "%F", "2006-07-05"},
        {"1152098955000", "%F", "2006-07-05"},
        {"now", "%F %T", "2026-03-02 12:00:00"},
        {"today", "%F", "2026-03-02"},
        {"", "%F", ""},
    };
    struct bench *b = *state;
    b->run.now_ms = 1772452800000;
    for (size_t i = 0; i < array_count(rows); i++) {
        char json[200];
        snprintf(json, sizeof(json), "{\"d\": \"%s\", \"f\": \"%s\"}", rows[i].input,
                 rows[i].format);
        set_data(b, json);
        says(b, "{{ d | date: f }}", rows[i].shown);
    }
}

static void zones(void **state)
{
    struct bench *b = *state;
    struct zone_file file = {STR("Europe/London"), STR("GMT0BST,M3.5.0/1,M10.5.0")};
    struct zoneset *set = NULL;
    assert_int_equal(zoneset_build(STR("test"), &file, 1, &set, NULL), OK);
    b->run.zone = zoneset_zone(set, zoneset_find(set, STR("Europe/London")));
    says(b, "{{ '2026-07-01T12:00:00Z' | date: '%R %z %Z' }}", "13:00 +0100 +01:00");
    says(b, "{{ '2026-01-01T12:00:00Z' | date: '%R %z %Z' }}", "12:00 +0000 UTC");
    says(b, "{{ '2026-07-01 12:00' | date: '%R %s' }}", "12:00 1782903600");
    says(b, "{{ 'July 1, 2026 12:00' | date: '%R %s' }}", "12:00 1782903600");
    b->data = (struct value){.type = VALUE_TIME, .integer = 1782903600000};
    struct value_pair pair = {value_text(STR("t")), b->data};
    struct value_map *map = arena_alloc(&b->arena, sizeof(*map) + sizeof(pair));
    map->count = 1;
    map->pairs[0] = pair;
    b->data = (struct value){.type = VALUE_MAP, .map = map};
    says(b, "{{ t }} {{ t | date: '%-I %p' }}", "2026-07-01T12:00:00+01:00 12 PM");
    zoneset_free(set);
}

/* --- marks do not come in from outside --------------------------------------------------------- */

static struct value load_marked(void *self, const struct liquid_read *read)
{
    (void)self;
    (void)read;
    struct value x = value_text(STR("<b>"));
    x.pad[0] = 1;
    return x;
}

static void marks(void **state)
{
    struct bench *b = *state;
    b->kind = LIQUID_HTML;
    assert_int_equal(compile(b, "{{ x }}{% assign y = x %}{{ y }}{{ x | append: '' }}"), OK);
    b->run.host = (struct liquid_host){NULL, load_marked};
    b->run.scratch = &b->arena;
    assert_int_equal(liquid_render(b->t, &b->run, &b->out, NULL), LIQUID_DONE);
    assert_true(str_is(buf_str(&b->out), "&lt;b&gt;&lt;b&gt;&lt;b&gt;"));
}

#define BENCHED(sentence, function)               \
    {                                             \
        sentence, function, setup, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCHED("every filter and tag does what its example says", examples),
        BENCHED("HTML output escapes what it is given", escapes),
        BENCHED("what was captured is not escaped twice", captured_html),
        BENCHED("text output is written as it is", text_is_plain),
        BENCHED("a header never has a line break", header_lines),
        BENCHED("no value breaks out of a JSON string", json_strings),
        BENCHED("a link has an allowed scheme or none", links),
        BENCHED("a value is never taken for a template", never_evaluated),
        BENCHED("a template says which paths it reads", reads),
        BENCHED("a read knows where it stands", read_places),
        BENCHED("the host is asked only for what is read", host_is_asked),
        BENCHED("abort ends the rendering with its reason", aborts),
        BENCHED("a mistake is named with its place and the nearest word", mistakes),
        BENCHED("a mistake while rendering leaves no output", running_mistakes),
        BENCHED("a partial named by data must exist", missing_partial),
        BENCHED("every budget ends a rendering", budgets),
        BENCHED("nesting is bounded", depth),
        BENCHED("a template has a bounded number of names", many_names),
        BENCHED("partials see what they should", partials),
        BENCHED("break and continue leave what is open", interrupts),
        BENCHED("forloop knows its round", loop_words),
        BENCHED("white space goes where it is told to", white_space),
        BENCHED("numbers are shown as Ruby shows them", numbers_shown),
        BENCHED("letters change their case in several scripts", letters),
        BENCHED("dates are read and written", dates),
        BENCHED("dates are shown on the recipient's clock", zones),
        BENCHED("a host cannot mark a text as HTML", marks),
    };
    return cmocka_run_group_tests_name("liquid/liquid", tests, NULL, NULL);
}
