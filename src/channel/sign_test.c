/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/sign.h"

#include "test.h"

/* The example of the standard-webhooks reference libraries. */
static void known(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    sign_write(&out, STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
               STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330, STR("{\"test\": 2432232314}"));
    assert_true(str_is(buf_str(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));

    out.len = 0;
    sign_write(&out,
               STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
               STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330, STR("{\"test\": 2432232314}"));
    assert_true(str_starts(buf_str(&out), STR("v1,")));
    assert_true(str_ends(buf_str(&out), STR(" v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")));
    buf_fini(&out);
}

static void refused(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",
        "  ",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_AAAA",
        "whsec_not base64",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw x",
    };
    for (size_t i = 0; i < array_count(texts); i++) {
        struct fault f = {0};
        assert_int_equal(sign_secrets_check(str_of(texts[i]), &f), FIX_INPUT);
        assert_null(strstr(f.text, "MfKQ9"));
    }
    assert_int_equal(sign_secrets_check(STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a signature is that of the reference libraries, one for each secret", known),
        TEST("a secret that is none is refused without being shown", refused),
    };
    return cmocka_run_group_tests_name("channel/sign", tests, NULL, NULL);
}
