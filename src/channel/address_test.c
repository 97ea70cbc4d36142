/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/address.h"

#include <stdio.h>

#include "test.h"

static void fine(void **state)
{
    (void)state;
    const char *const texts[] = {
        "a@b.co",
        "ann.o'neil+tag@mail.example.org",
        "_______@example.com",
        "1234567890@example.com",
        "email@subdomain.example.co.uk",
        "email@xn--bcher-kva.example",
        "\"much more\"@example.com",
        "\"quote \\\" and \\\\ slash\"@example.com",
        "\"a@b\"@example.com",
        "a@9to5.example",
    };
    for (size_t i = 0; i < array_count(texts); i++)
        assert_int_equal(address_check(str_of(texts[i])), ADDRESS_FINE);
}

static void flawed(void **state)
{
    (void)state;
    const struct {
        const char *text;
        enum address_flaw flaw;
    } rows[] = {
        {"", ADDRESS_EMPTY},
        {"ann", ADDRESS_NO_AT},
        {"@example.com", ADDRESS_BAD_LOCAL},
        {"\"\"@example.com", ADDRESS_BAD_LOCAL},
        {".a@example.com", ADDRESS_BAD_LOCAL},
        {"a.@example.com", ADDRESS_BAD_LOCAL},
        {"a..b@example.com", ADDRESS_BAD_LOCAL},
        {"a b@example.com", ADDRESS_BAD_LOCAL},
        {"a@example.com\r\nBcc: all@example.com", ADDRESS_BAD_DOMAIN},
        {"a\r\n@example.com", ADDRESS_BAD_LOCAL},
        {"a(comment)@example.com", ADDRESS_BAD_LOCAL},
        {"<a@example.com>", ADDRESS_BAD_LOCAL},
        {"a@b@example.com", ADDRESS_BAD_DOMAIN},
        {"a@", ADDRESS_BAD_DOMAIN},
        {"a@.com", ADDRESS_BAD_DOMAIN},
        {"a@example.com.", ADDRESS_BAD_DOMAIN},
        {"a@-example.com", ADDRESS_BAD_DOMAIN},
        {"a@example-.com", ADDRESS_BAD_DOMAIN},
        {"a@exam_ple.com", ADDRESS_BAD_DOMAIN},
        {"a@localhost", ADDRESS_NOT_PUBLIC},
        {"a@127.0.0.1", ADDRESS_NOT_PUBLIC},
        {"a@[127.0.0.1]", ADDRESS_NOT_PUBLIC},
        {"j\xc3\xbcrgen@example.com", ADDRESS_NOT_ASCII},
        {"a@b\xc3\xbc"
         "cher.example",
         ADDRESS_NOT_ASCII},
        {" a@example.com", ADDRESS_BAD_LOCAL},
    };
    for (size_t i = 0; i < array_count(rows); i++)
        assert_int_equal(address_check(str_of(rows[i].text)), rows[i].flaw);
    assert_int_equal(address_check((struct str){"a\0@example.com", 14}), ADDRESS_BAD_LOCAL);
}

/* local x {63, 64, 65} bytes, label x {63, 64}, whole {254, 255}. */
static void limits(void **state)
{
    (void)state;
    char text[400];
    for (size_t local = 63; local <= 65; local++) {
        memset(text, 'l', local);
        snprintf(text + local, sizeof(text) - local, "@example.com");
        assert_int_equal(address_check(str_of(text)),
                         local <= ADDRESS_LOCAL_BYTES_MAX ? ADDRESS_FINE : ADDRESS_TOO_LONG);
    }
    for (size_t label = 63; label <= 64; label++) {
        memcpy(text, "a@", 2);
        memset(text + 2, 'd', label);
        memcpy(text + 2 + label, ".com", 5);
        assert_int_equal(address_check(str_of(text)),
                         label <= ADDRESS_LABEL_BYTES_MAX ? ADDRESS_FINE : ADDRESS_TOO_LONG);
    }
    for (size_t whole = 254; whole <= 255; whole++) {
        memset(text, 'd', whole);
        memcpy(text, "a@", 2);
        for (size_t i = 10; i < whole - 4; i += 50)
            text[i] = '.';
        memcpy(text + whole - 4, ".com", 5);
        assert_int_equal(address_check(str_of(text)),
                         whole <= ADDRESS_BYTES_MAX ? ADDRESS_FINE : ADDRESS_TOO_LONG);
    }
}

static void normalises(void **state)
{
    (void)state;
    char out[ADDRESS_BYTES_MAX + 1];
    assert_int_equal(address_normal(STR("  Ann.Lee@EXAMPLE.Com\n"), out), ADDRESS_FINE);
    assert_string_equal(out, "Ann.Lee@example.com");
    assert_int_equal(address_fold(STR("  Ann.Lee@EXAMPLE.Com\n"), out), ADDRESS_FINE);
    assert_string_equal(out, "ann.lee@example.com");
    assert_int_equal(address_normal(STR("\"A@B\"@Example.com"), out), ADDRESS_FINE);
    assert_string_equal(out, "\"A@B\"@example.com");
    assert_int_equal(address_normal(STR("Ann"), out), ADDRESS_NO_AT);
    assert_string_equal(out, "");
    assert_true(str_is(address_domain(STR("\"a@b\"@example.com")), "example.com"));
}

/* The is_email test set, read with a few string searches: its file is regular. Characters from U+2400
 * stand for controls, entities for the five XML characters. */
static size_t xml_text(struct str xml, size_t from, const char *tag, struct str *out)
{
    char open[64], close[64];
    snprintf(open, sizeof(open), "<%s>", tag);
    snprintf(close, sizeof(close), "</%s>", tag);
    size_t start = str_find(xml, str_of(open), from);
    if (start == SIZE_MAX)
        return SIZE_MAX;
    start += strlen(open);
    size_t end = str_find(xml, str_of(close), start);
    *out = str_part(xml, start, end - start);
    return end;
}

static size_t unescape(struct str in, char *out)
{
    static const struct {
        const char *entity;
        char letter;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    size_t len = 0;
    for (size_t i = 0; i < in.len;) {
        struct str rest = str_part(in, i, SIZE_MAX);
        bool is_done = false;
        for (size_t e = 0; e < array_count(entities) && !is_done; e++) {
            if (str_starts(rest, str_of(entities[e].entity))) {
                out[len++] = entities[e].letter;
                i += strlen(entities[e].entity);
                is_done = true;
            }
        }
        if (!is_done && str_starts(rest, STR("&#xA9;"))) {
            out[len++] = (char)0xc2;
            out[len++] = (char)0xa9;
            i += 6;
            is_done = true;
        }
        if (!is_done && str_starts(rest, STR("&#x24"))) {
            char hex[3] = {rest.at[5], rest.at[6], 0};
            out[len++] = (char)strtol(hex, NULL, 16);
            i += 8;
            is_done = true;
        }
        if (!is_done && str_starts(rest, STR("\xe2\x90"))) {
            out[len++] = (char)((unsigned char)rest.at[2] - 0x80);
            i += 3;
            is_done = true;
        }
        if (!is_done)
            out[len++] = in.at[i++];
    }
    return len;
}

static void is_email(void **state)
{
    (void)state;
    char command[1200];
    static char bytes[1 << 20];
    snprintf(command, sizeof(command), "gzip -dc '%s/tests.xml.gz'", test_data("isemail"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    struct str xml = {bytes, fread(bytes, 1, sizeof(bytes), pipe)};
    pclose(pipe);
    assert_true(xml.len > 1000);

    size_t at = str_find(xml, STR("<tests "), 0);
    uint32_t count = 0, wrong = 0;
    for (;;) {
        struct str address = STR(""), category, diagnosis;
        size_t test = str_find(xml, STR("<test id"), at);
        if (test == SIZE_MAX)
            break;
        size_t next = str_find(xml, STR("</test>"), test);
        struct str row = str_part(xml, test, next - test);
        xml_text(row, 0, "address", &address);
        assert_int_not_equal(xml_text(row, 0, "category", &category), SIZE_MAX);
        assert_int_not_equal(xml_text(row, 0, "diagnosis", &diagnosis), SIZE_MAX);
        at = next;
        char text[1024];
        assert_true(address.len < sizeof(text));
        struct str in = {text, unescape(address, text)};

        enum address_flaw flaw = address_check(in);
        bool is_fine = flaw == ADDRESS_FINE;
        /* Real syntax, of which we leave out what cannot be a mailbox on the open internet: domains of
         * one label ("test@io"), and an empty quoted name. */
        bool is_real = str_is(category, "ISEMAIL_VALID_CATEGORY") ||
                       str_is(category, "ISEMAIL_DNSWARN") ||
                       str_is(diagnosis, "ISEMAIL_RFC5321_QUOTEDSTRING");
        bool is_left_out = flaw == ADDRESS_NOT_PUBLIC || str_starts(in, STR("\"\"@"));
        bool should_be = is_real && !is_left_out;
        if (is_fine != should_be) {
            wrong++;
            printf("%.*s: %.*s, but %s\n", STR_ARG(in), STR_ARG(diagnosis),
                   address_flaw_text(flaw));
        }
        count++;
    }
    assert_int_equal(count, 164);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("addresses that people have are fine", fine),
        TEST("what is no address is refused for its own reason", flawed),
        TEST("lengths are accepted at the limit and refused one past it", limits),
        TEST("one person's spellings become one form", normalises),
        TEST("the is_email collection is judged by its categories", is_email),
    };
    return cmocka_run_group_tests_name("channel/address", tests, NULL, NULL);
}
