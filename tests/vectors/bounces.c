/* bounces.c - what real mail servers answered, as 104 real bounces report it, against what people who
 * collect them say it means.
 *
 * The collection's judgement is by many hands and finer than ours, so two claims are tested: an answer
 * that is not about the address suppresses nobody; and of those that say the mailbox is not there, most
 * are understood.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/smtp_reply.h"

#include <stdio.h>

#include "test.h"

/* Reasons that have nothing to do with the recipient's address. */
static bool is_about_us(struct str reason)
{
    static const char *const reasons[] = {
        "authfailure", "badreputation",   "blocked",      "contenterror",  "exceedlimit",
        "expired",     "mesgtoobig",      "networkerror", "norelaying",    "notcompliantrfc",
        "onhold",      "policyviolation", "requireptr",   "securityerror", "spamdetected",
        "speeding",    "syntaxerror",     "systemerror",  "toomanyconn",   "virusdetected",
    };
    for (size_t i = 0; i < array_count(reasons); i++)
        if (str_is(reason, reasons[i]))
            return true;
    return false;
}

static void bounces(void **state)
{
    (void)state;
    char command[1200], line[4096];
    snprintf(command, sizeof(command), "/usr/bin/python3 tests/vectors/bounces.py '%s'",
             test_data("bounce-mail"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    uint32_t count = 0, unknown = 0, understood = 0, wrong = 0;
    while (fgets(line, sizeof(line), pipe) != NULL) {
        struct str rest = str_of(line);
        size_t tab = str_find(rest, STR("\t"), 0);
        struct str reason = str_part(rest, 0, tab);
        rest = str_part(rest, tab + 1, SIZE_MAX);
        struct str reply = str_part(rest, str_find(rest, STR("\t"), 0) + 1, SIZE_MAX);
        struct smtp_reply r = {0};
        smtp_reply_line(&r, reply);
        assert_true(r.is_complete);
        enum transmission_outcome outcome = smtp_classify(&r, SMTP_RCPT);
        bool suppresses = outcome == TRANSMISSION_BAD_ADDRESS;
        count++;
        if (str_is(reason, "userunknown")) {
            unknown++;
            understood += suppresses;
            if (!suppresses)
                printf("  %s: %.*s\n", transmission_name(outcome), STR_ARG(str_trim(reply)));
        }
        if (suppresses && is_about_us(reason)) {
            wrong++;
            printf("%.*s suppresses: %.*s\n", STR_ARG(reason), STR_ARG(reply));
        }
        if (r.code < 500)
            assert_true(transmission_is_retriable(outcome));
    }
    assert_int_equal(pclose(pipe), 0);
    printf("%u replies, %u of %u unknown mailboxes understood\n", count, understood, unknown);
    assert_true(count > 100);
    assert_int_equal(wrong, 0);
    assert_true(understood * 100 >= unknown * 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("answers of real servers suppress nobody but who is not there", bounces),
    };
    return cmocka_run_group_tests_name("vectors/bounces", tests, NULL, NULL);
}
