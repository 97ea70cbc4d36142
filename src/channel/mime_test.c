/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/mime.h"

#include "base/hash.h"
#include "channel/base64.h"
#include "test.h"

static struct mime_message plain(void)
{
    return (struct mime_message){
        .from = {STR("Northwind Outdoor"), STR("hello@example.com")},
        .to = {STR("Ann Lee"), STR("ann@example.org")},
        .subject = STR("Your cart"),
        .text = STR("Hello Ann\n"),
        .id = STR("1f-9c0a1b2c3d4e5f60-1"),
        .date_ms = INT64_C(1772452800000), /* 2026-03-02T12:00:00Z */
    };
}

static struct str written(const struct mime_message *m, struct buf *out)
{
    struct fault f = {0};
    out->len = 0;
    enum status status = mime_write(m, out, &f);
    if (status != OK)
        printf("fault: %s\n", f.text);
    assert_int_equal(status, OK);
    return buf_str(out);
}

/* What holds for every message: CRLF line ends, ASCII, lines within their limits, no leading dot. */
static void check_wire(struct str message)
{
    bool is_body = false;
    size_t start = 0;
    assert_true(str_ends(message, STR("\r\n")));
    while (start < message.len) {
        size_t end = str_find(message, STR("\r\n"), start);
        assert_int_not_equal(end, SIZE_MAX);
        struct str line = str_part(message, start, end - start);
        for (size_t i = 0; i < line.len; i++)
            assert_true(line.at[i] == '\t' || (line.at[i] >= ' ' && line.at[i] <= '~'));
        assert_true(line.len == 0 || line.at[0] != '.');
        assert_true(line.len <= 998);
        if (is_body)
            assert_true(line.len <= 76);
        is_body = is_body || line.len == 0;
        start = end + 2;
    }
}

static void writes(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    struct mime_message m = plain();
    m.html = STR("<p>Hello <b>Ann</b></p>\n");
    m.reply_to = (struct mime_mailbox){STR(""), STR("help@example.com")};
    m.unsubscribe_url = STR("https://example.com/u/abc");
    const struct mime_header further[] = {{STR("Feedback-ID"), STR("cart:northwind")}};
    m.headers = further;
    m.headers_count = 1;
    struct str message = written(&m, &out);
    check_wire(message);
    struct str wanted = STR("Date: Mon, 02 Mar 2026 12:00:00 +0000\r\n"
                            "From: \"Northwind Outdoor\" <hello@example.com>\r\n"
                            "To: \"Ann Lee\" <ann@example.org>\r\n"
                            "Reply-To: help@example.com\r\n"
                            "Subject: Your cart\r\n"
                            "Message-ID: <1f-9c0a1b2c3d4e5f60-1@example.com>\r\n"
                            "List-Unsubscribe: <https://example.com/u/abc>\r\n"
                            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
                            "Feedback-ID: cart:northwind\r\n"
                            "MIME-Version: 1.0\r\n"
                            "Content-Type: multipart/alternative;\r\n");
    assert_true(str_starts(message, wanted));
    assert_int_not_equal(str_find(message, STR("\r\n\r\nHello Ann\r\n"), 0), SIZE_MAX);
    assert_int_not_equal(str_find(message, STR("\r\n\r\n<p>Hello <b>Ann</b></p>\r\n"), 0),
                         SIZE_MAX);
    buf_fini(&out);
}

/* --- refusals --- */

static void refuses(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    buf_add_str(&out, STR("before"));
    static char long_text[MIME_HEADER_BYTES_MAX + 1];
    memset(long_text, 'x', sizeof(long_text));
    const struct mime_header bcc[] = {{STR("Bcc"), STR("all@example.com")}};
    const struct mime_header colon[] = {{STR("X: Y"), STR("1")}};
    const struct mime_header dotted[] = {{STR(".X"), STR("1")}};
    const struct mime_header broken[] = {{STR("X-Y"), STR("1\nBcc: all@example.com")}};
    const struct mime_header content[] = {{STR("content-TYPE"), STR("text/html")}};
    for (int i = 0;; i++) {
        struct mime_message m = plain();
        const char *word = NULL;
        switch (i) {
        case 0: m.subject = STR("a\r\nBcc: all@example.com"), word = "line break"; break;
        case 1: m.subject = STR("a\nb"), word = "line break"; break;
        case 2:
            m.subject = STR("a\x7f"
                            "b"),
            word = "control";
            break;
        case 3: m.subject = STR("\xff"), word = "UTF-8"; break;
        case 4: m.subject = (struct str){long_text, sizeof(long_text)}, word = "longer"; break;
        case 5: m.to.name = STR("Ann\r\nX: 1"), word = "To"; break;
        case 6: m.to.address = STR("ann@example.org>\r\nX: 1"), word = "To"; break;
        case 7: m.from.address = STR("localhost"), word = "From"; break;
        case 8: m.id = STR("a b"), word = "message id"; break;
        case 9: m.id = STR("a@b"), word = "message id"; break;
        case 10: m.unsubscribe_url = STR("javascript:alert(1)"), word = "https"; break;
        case 11: m.unsubscribe_url = STR("https://a.example/\r\nX: 1"), word = "URL"; break;
        case 12: m.unsubscribe_url = STR("https://a.example/>,<mailto:b@c.de"), word = "URL"; break;
        case 13: m.headers = bcc, m.headers_count = 1, word = "Bcc"; break;
        case 14: m.headers = colon, m.headers_count = 1, word = "name"; break;
        case 15: m.headers = broken, m.headers_count = 1, word = "X-Y"; break;
        case 16: m.headers = content, m.headers_count = 1, word = "cannot be set"; break;
        case 17: m.text = STR("\xc3"), word = "UTF-8"; break;
        case 18: m.reply_to.address = STR("nobody"), word = "Reply-To"; break;
        case 20: m.headers = dotted, m.headers_count = 1, word = "name"; break;
        case 19: m.unsubscribe_mailto = STR("nobody"), word = "unsubscribe"; break;
        }
        if (word == NULL)
            break;
        struct fault f = {0};
        assert_int_equal(mime_write(&m, &out, &f), FIX_INPUT);
        if (strstr(f.text, word) == NULL)
            fail_msg("case %d: \"%s\" does not speak of %s", i, f.text, word);
        assert_true(str_is(buf_str(&out), "before"));
    }
    struct mime_message m = plain();
    m.subject = (struct str){long_text, MIME_HEADER_BYTES_MAX};
    out.len = 0;
    assert_int_equal(mime_write(&m, &out, NULL), OK);
    check_wire(buf_str(&out));
    buf_fini(&out);
}

static void body_limit(void **state)
{
    (void)state;
    struct buf text, out;
    buf_init(&text);
    buf_init(&out);
    memset(buf_reserve(&text, MIME_BODY_BYTES_MAX + 1), '.', MIME_BODY_BYTES_MAX + 1);
    struct mime_message m = plain();
    m.text = (struct str){(char *)text.at, MIME_BODY_BYTES_MAX};
    check_wire(written(&m, &out));
    m.text.len++;
    struct fault f = {0};
    assert_int_equal(mime_write(&m, &out, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "longer"));
    buf_fini(&text);
    buf_fini(&out);
}

/* --- reading back --- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void unescape_q(struct buf *out, struct str text, bool is_word)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '=' && i + 2 < text.len && hex(text.at[i + 1]) >= 0) {
            assert_true(hex(text.at[i + 2]) >= 0);
            buf_add_byte(out, (uint8_t)(hex(text.at[i + 1]) << 4 | hex(text.at[i + 2])));
            i += 2;
        } else if (text.at[i] == '=' && !is_word) {
            assert_true(str_starts(str_part(text, i, 3), STR("=\r\n")));
            i += 2;
        } else {
            assert_int_not_equal(text.at[i], '=');
            buf_add_byte(out, is_word && text.at[i] == '_' ? ' ' : (uint8_t)text.at[i]);
        }
    }
}

/* RFC 2047: white space between two encoded words is not there. Each word must be valid UTF-8 alone
 * and at most 75 bytes. */
static void read_unstructured(struct buf *out, struct str text)
{
    bool was_word = false;
    for (size_t i = 0; i < text.len;) {
        if (str_starts(str_part(text, i, 2), STR("\r\n"))) {
            assert_true(i + 2 < text.len && text.at[i + 2] == ' ');
            i += 2;
            if (was_word && str_starts(str_part(text, i, 3), STR(" =?")))
                i++;
            continue;
        }
        if (str_starts(str_part(text, i, 10), STR("=?UTF-8?Q?")) ||
            str_starts(str_part(text, i, 10), STR("=?UTF-8?B?"))) {
            size_t end = str_find(text, STR("?="), i + 10);
            assert_int_not_equal(end, SIZE_MAX);
            assert_true(end + 2 - i <= 75);
            size_t before = out->len;
            struct str word = str_part(text, i + 10, end - i - 10);
            if (text.at[i + 8] == 'Q')
                unescape_q(out, word, true);
            else
                assert_true(base64_read(out, word));
            assert_true(str_is_utf8(str_part(buf_str(out), before, SIZE_MAX)));
            i = end + 2;
            was_word = true;
            continue;
        }
        buf_add_byte(out, (uint8_t)text.at[i]);
        was_word = false;
        i++;
    }
}

/* Random text of `len` code points: `kind` chooses how exotic. */
static void random_text(struct buf *out, uint64_t *seed, uint32_t len, uint32_t kind)
{
    static const char *const wide[] = {"\xc3\xa9", "\xce\xa9", "\xe4\xb8\xad", "\xe2\x82\xac",
                                       "\xf0\x9f\x9b\x92"};
    for (uint32_t i = 0; i < len; i++) {
        *seed = hash_pair(*seed, i);
        uint32_t x = (uint32_t)(*seed >> 33);
        if (kind > 0 && x % (6 - kind) == 0) {
            const char *letter = wide[x / 7 % array_count(wide)];
            buf_add(out, letter, strlen(letter));
        } else if (x % 5 == 1) {
            buf_add_byte(out, ' ');
        } else if (x % 31 == 3) {
            buf_add_str(out, STR("=?"));
        } else {
            buf_add_byte(out, (uint8_t)(' ' + x / 11 % 95));
        }
    }
}

static void subjects(void **state)
{
    (void)state;
    uint64_t seed = 7;
    struct buf text, out, back;
    buf_init(&text);
    buf_init(&out);
    buf_init(&back);
    for (uint32_t i = 0; i < 4000; i++) {
        text.len = out.len = back.len = 0;
        random_text(&text, &seed, 1 + i % 240, i % 6);
        size_t column = 4 + i % 50;
        mime_write_unstructured(&out, buf_str(&text), column);
        for (size_t k = 0; k < out.len; k++) { /* every line within 76 */
            if (out.at[k] == '\r') {
                column = 0;
                k++;
                continue;
            }
            assert_true(++column <= 76);
            assert_true(out.at[k] >= ' ' && out.at[k] <= '~');
        }
        read_unstructured(&back, buf_str(&out));
        assert_true(str_equal(buf_str(&back), buf_str(&text)));
    }
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&back);
}

static void quoted_printable(void **state)
{
    (void)state;
    uint64_t seed = 11;
    struct buf text, out, back, wanted;
    buf_init(&text);
    buf_init(&out);
    buf_init(&back);
    buf_init(&wanted);
    static const char *const breaks[] = {"\n", "\r\n", "\r", " \n", "\t\r\n", "\n.", "\nFrom "};
    for (uint32_t i = 0; i < 4000; i++) {
        text.len = out.len = back.len = wanted.len = 0;
        for (uint32_t k = 0; k < 1 + i % 8; k++) {
            seed = hash_pair(seed, k);
            random_text(&text, &seed, (uint32_t)(seed % 120), i % 6);
            const char *eol = breaks[(seed >> 20) % array_count(breaks)];
            buf_add(&text, eol, strlen(eol));
        }
        mime_write_quoted_printable(&out, buf_str(&text));
        check_wire(buf_str(&out));
        size_t column = 0;
        for (size_t k = 0; k < out.len; k++) {
            column = out.at[k] == '\n' ? 0 : column + (out.at[k] != '\r');
            assert_true(column <= 76);
            if (out.at[k] == '\r' && k > 0) /* nothing that gets lost ends a line */
                assert_true(out.at[k - 1] != ' ' && out.at[k - 1] != '\t');
        }
        unescape_q(&back, buf_str(&out), false);
        for (size_t k = 0; k < text.len; k++) {
            if (text.at[k] == '\r' || text.at[k] == '\n') {
                k += text.at[k] == '\r' && k + 1 < text.len && text.at[k + 1] == '\n';
                buf_add_str(&wanted, STR("\r\n"));
            } else {
                buf_add_byte(&wanted, text.at[k]);
            }
        }
        if (wanted.len > 0 && wanted.at[wanted.len - 1] != '\n')
            buf_add_str(&wanted, STR("\r\n"));
        assert_true(str_equal(buf_str(&back), buf_str(&wanted)));
    }
    buf_fini(&text);
    buf_fini(&out);
    buf_fini(&back);
    buf_fini(&wanted);
}

static void names(void **state)
{
    (void)state;
    static char long_name[1900];
    for (size_t i = 0; i < sizeof(long_name); i++)
        long_name[i] = i % 9 == 8 ? ' ' : 'n';
    const struct {
        struct str name;
        const char *line;
    } rows[] = {
        {STR(""), "To: ann@example.org\r\n"},
        {STR("Ann"), "To: \"Ann\" <ann@example.org>\r\n"},
        {STR("Lee, \"Ann\" \\"), "To: \"Lee, \\\"Ann\\\" \\\\\" <ann@example.org>\r\n"},
        {STR("J\xc3\xbcrgen"), "To: =?UTF-8?Q?J=C3=BCrgen?= <ann@example.org>\r\n"},
        {STR("\xe4\xb8\xad\xe6\x96\x87"), "To: =?UTF-8?B?5Lit5paH?= <ann@example.org>\r\n"},
        {STR("=?UTF-8?Q?x?="), "To: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?= <ann@example.org>\r\n"},
        {STR("a\tb"), "To: \"a b\" <ann@example.org>\r\n"},
    };
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct mime_message m = plain();
        m.to.name = rows[i].name;
        if (str_find(written(&m, &out), str_of(rows[i].line), 0) == SIZE_MAX)
            fail_msg("no %s in %.*s", rows[i].line, (int)out.len, out.at);
    }
    struct mime_message m = plain();
    m.to.name = (struct str){long_name, sizeof(long_name)};
    check_wire(written(&m, &out));
    buf_fini(&out);
}

static void mailboxes(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *name; /* NULL = refused */
        const char *address;
    } rows[] = {
        {"ann@example.org", "", "ann@example.org"},
        {"  ann@example.org ", "", "ann@example.org"},
        {"<ann@example.org>", "", "ann@example.org"},
        {"Ann Lee <ann@example.org>", "Ann Lee", "ann@example.org"},
        {"\"Lee, \\\"A\\\"\" <ann@example.org>", "Lee, \"A\"", "ann@example.org"},
        {"J\xc3\xbcrgen <j@example.org>", "J\xc3\xbcrgen", "j@example.org"},
        {"", NULL, ""},
        {"Ann", NULL, ""},
        {"Ann ann@example.org>", NULL, ""},
        {"Ann <ann@example.org", NULL, ""},
        {"\"Ann\" Lee <ann@example.org>", NULL, ""},
        {"\"Ann <ann@example.org>", NULL, ""},
        {"Ann <ann>", NULL, ""},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        char scratch[100];
        struct mime_mailbox out;
        struct fault f = {0};
        enum status status = mime_mailbox_parse(str_of(rows[i].text), scratch, &out, &f);
        assert_int_equal(status, rows[i].name ? OK : FIX_INPUT);
        if (status != OK) {
            assert_int_not_equal(f.text[0], 0);
            continue;
        }
        assert_true(str_is(out.name, rows[i].name));
        assert_true(str_is(out.address, rows[i].address));
    }
}

static void text_of_html(void **state)
{
    (void)state;
    const struct {
        const char *html;
        const char *text;
    } rows[] = {
        {"", ""},
        {"   ", ""},
        {"<html><head><title>T</title><style>p{}</style></head><body>Hi</body></html>", "Hi\n"},
        {"<p>One</p>\n  <p>Two   words</p>", "One\n\nTwo words\n"},
        {"a<br>b<br/><br>c", "a\nb\n\nc\n"},
        {"<a href=\"https://e.org/x\">Shop</a>!", "Shop (https://e.org/x)!\n"},
        {"<a href='https://e.org'>https://e.org</a>", "https://e.org\n"},
        {"<a href=\"https://e.org\"><img alt=\"Sale\"></a>", "Sale (https://e.org)\n"},
        {"<ul><li>a</li><li>b</li></ul>", "- a\n- b\n"},
        {"&amp;&lt;&#8364;&#x20AC;&nbsp;x &bogus; & y",
         "&<\xe2\x82\xac\xe2\x82\xac x &bogus; & y\n"},
        {"<script>if (a < b) alert('</p>')</script>x", "x\n"},
        {"a<!-- <p> -->b", "ab\n"},
        {"<p title=\"a > b\">x", "x\n"},
        {"unclosed <b", "unclosed\n"},
        {"<div>a</div><div>b</div>", "a\nb\n"},
        {"<tr><td>a</td><td>b</td></tr>", "a b\n"},
        {"&#xD800;&#0;x", "x\n"},
    };
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < array_count(rows); i++) {
        out.len = 0;
        mime_write_text_of_html(&out, str_of(rows[i].html));
        if (!str_is(buf_str(&out), rows[i].text))
            fail_msg("%s became \"%.*s\"", rows[i].html, (int)out.len, out.at);
    }
    buf_fini(&out);
}

static void base64(void **state)
{
    (void)state;
    struct buf out, back;
    buf_init(&out);
    buf_init(&back);
    static const char *const vectors[][2] = {/* RFC 4648 section 10 */
                                             {"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < array_count(vectors); i++) {
        out.len = back.len = 0;
        base64_write(&out, str_of(vectors[i][0]));
        assert_true(str_is(buf_str(&out), vectors[i][1]));
        assert_true(base64_read(&back, buf_str(&out)));
        assert_true(str_is(buf_str(&back), vectors[i][0]));
    }
    assert_false(base64_read(&back, STR("Z")));
    assert_false(base64_read(&back, STR("Zh==")));
    assert_false(base64_read(&back, STR("Zg=")));
    assert_false(base64_read(&back, STR("Zm 9v")));
    assert_false(base64_read(&back, STR("Zm9v\n")));
    buf_fini(&out);
    buf_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a message is written header by header", writes),
        TEST("what would smuggle a header in is refused, and nothing is written", refuses),
        TEST("a body is taken at its limit and refused one past it", body_limit),
        TEST("any subject reads back as it was, in lines of 76", subjects),
        TEST("any body reads back as it was, in lines of 76 that no server changes",
             quoted_printable),
        TEST("names are quoted or encoded so that no reader misreads them", names),
        TEST("a sender is read from the form that people write", mailboxes),
        TEST("HTML becomes text that one can read", text_of_html),
        TEST("base64 reads back as it was", base64),
    };
    return cmocka_run_group_tests_name("channel/mime", tests, NULL, NULL);
}
