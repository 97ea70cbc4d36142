/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/smtp_reply.h"

#include "base/hash.h"
#include "test.h"

static struct smtp_reply read_reply(const char *lines)
{
    struct smtp_reply r = {0};
    struct str rest = str_of(lines);
    while (rest.len > 0) {
        size_t end = str_find(rest, STR("\n"), 0);
        smtp_reply_line(&r, str_part(rest, 0, end));
        rest = end == SIZE_MAX ? STR("") : str_part(rest, end + 1, SIZE_MAX);
    }
    return r;
}

static void reads(void **state)
{
    (void)state;
    struct smtp_reply r =
        read_reply("250-mail.example.com\r\n250-SIZE 35882577\r\n250 8BITMIME\r\n");
    assert_int_equal(r.code, 250);
    assert_true(r.is_complete);
    assert_string_equal(r.text, "mail.example.com SIZE 35882577 8BITMIME");
    assert_int_equal(r.enhanced[0], 0);

    r = read_reply("550-5.1.1 The email account that you tried to reach does not exist.\r\n"
                   "550 5.1.1 Learn more at https://support.example.com\r\n");
    assert_int_equal(r.code, 550);
    assert_int_equal(r.enhanced[0], 5);
    assert_int_equal(r.enhanced[1], 1);
    assert_int_equal(r.enhanced[2], 1);
    assert_string_equal(r.text,
                        "The email account that you tried to reach does not exist. Learn more "
                        "at https://support.example.com");

    r = read_reply("250 OK\r\n421 4.7.0 bye\r\n");
    assert_int_equal(r.code, 421);
    assert_string_equal(r.text, "bye");

    r = read_reply("550-going on\r\n");
    assert_false(r.is_complete);

    r = read_reply("550 5.7.509 policy");
    assert_int_equal(r.enhanced[1], 7);
    assert_int_equal(r.enhanced[2], 255);

    /* An enhanced code of another class is not one; nor is an IP address or a version. */
    assert_int_equal(read_reply("550 4.1.1 x").enhanced[0], 0);
    assert_int_equal(read_reply("550 5.1.1.7 x").enhanced[0], 0);
    assert_int_equal(read_reply("550 5.1 x").enhanced[0], 0);
    assert_int_equal(read_reply("550 #5.1.0 Address rejected").enhanced[1], 1);

    const char *const strange[] = {"", "x", "25", "2500 x", "250x", "999 x", "100 x", "abc def"};
    for (size_t i = 0; i < array_count(strange); i++)
        assert_int_equal(read_reply(strange[i]).code, 0);
    r = read_reply("550 a\x01"
                   "b\x7f\xff\xc3\xa9z");
    assert_string_equal(r.text, "a b  \xc3\xa9z");
}

static void long_words(void **state)
{
    (void)state;
    struct smtp_reply r = {0};
    char line[1200] = "550-";
    memset(line + 4, 'x', sizeof(line) - 5);
    for (size_t i = 4; i + 2 < sizeof(line); i += 9)
        memcpy(&line[i], "\xc3\xa9", 2);
    for (int i = 0; i < 20; i++)
        smtp_reply_line(&r, str_of(line));
    assert_true(r.text_bytes < sizeof(r.text));
    assert_true(str_is_utf8((struct str){r.text, r.text_bytes}));
    assert_int_equal(strlen(r.text), r.text_bytes);
}

static void means(void **state)
{
    (void)state;
    const struct {
        const char *reply;
        enum smtp_stage stage;
        enum transmission_outcome outcome;
    } rows[] = {
        {"250 2.0.0 Ok: queued as 4F2A", SMTP_DOT, TRANSMISSION_ACCEPTED},
        {"250 Ok", SMTP_RCPT, TRANSMISSION_UNREACHABLE},
        {"354 go on", SMTP_DOT, TRANSMISSION_UNREACHABLE},

        {"550 5.1.1 <x@y.z>: Recipient address rejected", SMTP_RCPT, TRANSMISSION_BAD_ADDRESS},
        {"550 5.1.2 unrouteable domain", SMTP_RCPT, TRANSMISSION_BAD_ADDRESS},
        {"501 5.1.3 Bad recipient address syntax", SMTP_RCPT, TRANSMISSION_BAD_ADDRESS},
        {"556 5.1.10 Recipient address has null MX", SMTP_RCPT, TRANSMISSION_BAD_ADDRESS},
        {"550 5.2.1 mailbox disabled", SMTP_DOT, TRANSMISSION_BAD_ADDRESS},
        {"550 <x@y.z>: User unknown", SMTP_RCPT, TRANSMISSION_BAD_ADDRESS},
        {"550 no", SMTP_RCPT, TRANSMISSION_BAD_MESSAGE},
        {"550 <user unknown@y.z> no", SMTP_RCPT, TRANSMISSION_BAD_MESSAGE},
        {"550 5.1.0 no", SMTP_RCPT, TRANSMISSION_BAD_MESSAGE},

        {"552 5.3.4 Message size exceeds limit", SMTP_MAIL, TRANSMISSION_BAD_MESSAGE},
        {"554 5.6.0 Message content rejected", SMTP_DOT, TRANSMISSION_BAD_MESSAGE},
        {"554 5.6.9 conversion", SMTP_DOT, TRANSMISSION_BAD_MESSAGE},
        {"552 too big", SMTP_DOT, TRANSMISSION_BAD_MESSAGE},

        {"550 5.7.1 policy", SMTP_DOT, TRANSMISSION_POLICY},
        {"550-5.7.26 This mail is unauthenticated\n550 5.7.26 x", SMTP_DOT, TRANSMISSION_POLICY},
        {"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
         SMTP_RCPT, TRANSMISSION_POLICY},
        {"554 rejected, IP in blacklist", SMTP_RCPT, TRANSMISSION_POLICY},
        {"550 5.1.1 listed by RBL", SMTP_RCPT, TRANSMISSION_POLICY},
        {"550 5.1.1 marble", SMTP_RCPT, TRANSMISSION_BAD_ADDRESS},
        {"553 5.1.8 sender domain", SMTP_RCPT, TRANSMISSION_POLICY},

        {"421-4.7.28 Gmail has detected an unusual rate\n421 4.7.28 x", SMTP_DOT,
         TRANSMISSION_SLOW_DOWN},
        {"421 4.7.0 Try again later", SMTP_MAIL, TRANSMISSION_SLOW_DOWN},
        {"421 busy", SMTP_CONNECT, TRANSMISSION_SLOW_DOWN},
        {"450 4.7.1 greylisted", SMTP_RCPT, TRANSMISSION_SLOW_DOWN},

        {"452 4.2.2 over quota", SMTP_RCPT, TRANSMISSION_SOFT},
        {"552 5.2.2 mailbox full", SMTP_RCPT, TRANSMISSION_SOFT},
        {"552 5.1.1 Mailbox full", SMTP_RCPT, TRANSMISSION_SOFT},
        {"450 4.2.1 The user you are trying to contact is receiving mail too quickly", SMTP_RCPT,
         TRANSMISSION_SOFT},
        {"550-5.2.1 The user you are trying to contact is receiving mail at a rate that\n"
         "550 5.2.1 prevents additional messages",
         SMTP_RCPT, TRANSMISSION_SOFT},
        {"451 try again", SMTP_RCPT, TRANSMISSION_SOFT},
        {"452 4.3.2 too many connections", SMTP_RCPT, TRANSMISSION_UNREACHABLE},

        {"535 5.7.8 Authentication credentials invalid", SMTP_AUTH, TRANSMISSION_NO_ACCESS},
        {"530 5.7.0 Must issue a STARTTLS command first", SMTP_MAIL, TRANSMISSION_NO_ACCESS},
        {"530 Authentication required", SMTP_MAIL, TRANSMISSION_NO_ACCESS},
        {"454 4.7.0 Temporary authentication failure", SMTP_AUTH, TRANSMISSION_UNREACHABLE},
        {"554 No SMTP service here", SMTP_CONNECT, TRANSMISSION_NO_ACCESS},
        {"550 5.1.1 go away", SMTP_CONNECT, TRANSMISSION_NO_ACCESS},
        {"450 not yet", SMTP_CONNECT, TRANSMISSION_UNREACHABLE},
        {"550 5.1.1 sender unknown", SMTP_MAIL, TRANSMISSION_POLICY},
        {"550 5.7.1 sender refused", SMTP_MAIL, TRANSMISSION_POLICY},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct smtp_reply r = read_reply(rows[i].reply);
        assert_true(r.is_complete);
        enum transmission_outcome outcome = smtp_classify(&r, rows[i].stage);
        if (outcome != rows[i].outcome)
            fail_msg("\"%s\" means %s, not %s", rows[i].reply, transmission_name(outcome),
                     transmission_name(rows[i].outcome));
    }
}

/* Every code with every enhanced code at every stage: nobody is suppressed but by the five statuses
 * and the one code that say so, and no 4xx ends a message. */
static void whole_space(void **state)
{
    (void)state;
    for (int code = 400; code < 600; code++) {
        for (int subject = -1; subject < 10; subject++) {
            for (int detail = 0; detail < (subject < 0 ? 1 : 60); detail++) {
                for (int stage = SMTP_CONNECT; stage <= SMTP_DOT; stage++) {
                    struct smtp_reply r = {.code = code, .is_complete = true};
                    if (subject >= 0) {
                        r.enhanced[0] = (uint8_t)(code / 100);
                        r.enhanced[1] = (uint8_t)subject;
                        r.enhanced[2] = (uint8_t)detail;
                    }
                    enum transmission_outcome outcome = smtp_classify(&r, (enum smtp_stage)stage);
                    if (code < 500)
                        assert_true(transmission_is_retriable(outcome));
                    if (stage <= SMTP_AUTH)
                        assert_true(transmission_is_retriable(outcome));
                    if (outcome != TRANSMISSION_BAD_ADDRESS)
                        continue;
                    bool says_so = code == 556 ||
                                   (subject == 1 && (detail <= 3 || detail == 10) && detail > 0) ||
                                   (subject == 2 && detail == 1);
                    assert_true(code >= 500);
                    assert_true(says_so);
                    assert_true(stage >= SMTP_RCPT);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("replies are read line by line, with their enhanced codes", reads),
        TEST("a server that talks without end fills no more than its place", long_words),
        TEST("replies of real servers mean what the delivery page says", means),
        TEST("only the statuses that say so suppress an address", whole_space),
    };
    return cmocka_run_group_tests_name("channel/smtp_reply", tests, NULL, NULL);
}
