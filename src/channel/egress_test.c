/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "test.h"

static const char *refusal(const struct egress *e, const char *text, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return egress_refusal(e, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return egress_refusal(e, (struct sockaddr *)&v6);
}

static void inside(void **state)
{
    (void)state;
    const struct egress e = {0};
    const char *const texts[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "::7f00:1",
        "2001::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    };
    for (size_t i = 0; i < array_count(texts); i++)
        if (refusal(&e, texts[i], 443) == NULL)
            fail_msg("%s is let through", texts[i]);
}

static void outside(void **state)
{
    (void)state;
    const struct egress e = {0};
    const char *const texts[] = {
        "1.1.1.1",          "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",      "126.255.255.255", "128.0.0.1",       "169.253.255.255",
        "172.15.255.255",   "172.32.0.0",      "192.167.255.255", "192.169.0.0",
        "198.17.255.255",   "198.20.0.0",      "223.255.255.255", "2606:4700::1111",
        "64:ff9b::101:101", "2002:101:101::1", "::ffff:1.1.1.1",  "2a00::1",
    };
    for (size_t i = 0; i < array_count(texts); i++) {
        const char *why = refusal(&e, texts[i], 443);
        if (why != NULL)
            fail_msg("%s is refused as %s", texts[i], why);
        assert_null(refusal(&e, texts[i], 80));
        assert_non_null(refusal(&e, texts[i], 25));
        assert_non_null(refusal(&e, texts[i], 8080));
    }
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    assert_non_null(egress_refusal(&e, (struct sockaddr *)&un));
}

static void allowed(void **state)
{
    (void)state;
    struct egress e = {0};
    struct fault f = {0};
    assert_int_equal(egress_parse_blocks(STR("127.0.0.1, 10.1.0.0/16 fd00::/8"), &e, &f), OK);
    assert_int_equal(egress_parse_ports(STR("8080,9000"), &e, &f), OK);
    assert_null(refusal(&e, "127.0.0.1", 8080));
    assert_null(refusal(&e, "127.0.0.1", 443));
    assert_null(refusal(&e, "::ffff:127.0.0.1", 443));
    assert_non_null(refusal(&e, "127.0.0.2", 8080));
    assert_null(refusal(&e, "10.1.255.1", 9000));
    assert_non_null(refusal(&e, "10.2.0.0", 9000));
    assert_null(refusal(&e, "fd12::1", 80));
    assert_non_null(refusal(&e, "fc12::1", 80));
    assert_non_null(refusal(&e, "127.0.0.1", 8081));

    assert_int_equal(egress_parse_blocks(STR(""), &e, &f), OK);
    assert_int_equal(e.block_count, 0);
    const char *const wrong[] = {"localhost", "10.0.0.0/33", "10.0.0.1/8",  "10.0.0.0/",
                                 "10.0.0",    "::/129",      "10.0.0.0/-1", "x"};
    for (size_t i = 0; i < array_count(wrong); i++)
        assert_int_equal(egress_parse_blocks(str_of(wrong[i]), &e, NULL), FIX_INPUT);
    const char *const no_ports[] = {"0", "65536", "http", "80-90", "-1"};
    for (size_t i = 0; i < array_count(no_ports); i++)
        assert_int_equal(egress_parse_ports(str_of(no_ports[i]), &e, NULL), FIX_INPUT);
    assert_int_equal(egress_parse_ports(STR("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), &e, NULL),
                     OK);
    assert_int_equal(egress_parse_ports(STR("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"), &e, NULL),
                     FIX_INPUT);
}

static void hosts(void **state)
{
    (void)state;
    struct egress e = {0};
    const char *const refused[] = {
        "127.0.0.1",
        "localhost",
        "::1",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "127.1",
        "017700000001",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "metadata.google.internal",
        "db",
        "a.localhost",
        "LOCALHOST.",
        "printer.local",
        "",
    };
    for (size_t i = 0; i < array_count(refused); i++)
        if (egress_host_refusal(&e, str_of(refused[i]), 443) == NULL)
            fail_msg("%s is let through", refused[i]);
    assert_null(egress_host_refusal(&e, STR("hooks.example.com"), 443));
    assert_null(egress_host_refusal(&e, STR("1.1.1.1"), 443));
    assert_non_null(egress_host_refusal(&e, STR("hooks.example.com"), 8080));
    assert_int_equal(egress_parse_blocks(STR("127.0.0.1"), &e, NULL), OK);
    assert_null(egress_host_refusal(&e, STR("localhost"), 443));
    assert_null(egress_host_refusal(&e, STR("127.0.0.1"), 443));
    assert_non_null(egress_host_refusal(&e, STR("10.0.0.1"), 443));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("no address inside a network is connected to, however it is written", inside),
        TEST("the public internet is reached on 80 and 443, to the edge of each block", outside),
        TEST("an operator allows blocks and ports, and no more than those", allowed),
        TEST("a URL that names an inner host is refused before it is used", hosts),
    };
    return cmocka_run_group_tests_name("channel/egress", tests, NULL, NULL);
}
