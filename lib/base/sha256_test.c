/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include "base/mem.h"
#include "test.h"

static void expect(struct str text, const char *hex)
{
    uint8_t hash[SHA256_BYTES];
    char said[SHA256_HEX_BYTES];
    sha256(text, hash);
    sha256_print(hash, said);
    assert_string_equal(said, hex);
}

/* FIPS 180-4's examples, as NIST publishes them. */
static void vectors(void **state)
{
    (void)state;
    expect(STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = mem_new(1000000);
    memset(million, 'a', 1000000);
    expect((struct str){million, 1000000},
           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    mem_free(million);
}

/* Lengths around a block's end, where padding changes. */
static void lengths(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *hex;
    } known[] = {
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
    };
    char text[65];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < array_count(known); i++)
        expect((struct str){text, known[i].len}, known[i].hex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("SHA-256 gives the results of FIPS 180-4", vectors),
        TEST("SHA-256 pads lengths around a block's end as others do", lengths),
    };
    return cmocka_run_group_tests_name("base/sha256", tests, NULL, NULL);
}
