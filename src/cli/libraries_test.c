/* What libraries take comes through base/mem.h. */
#include "cli/libraries.h"
#include "test.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static void openssl_takes_what_mem_gives(void **state)
{
    (void)state;
    CRYPTO_malloc_fn take;
    CRYPTO_realloc_fn take_more;
    CRYPTO_free_fn give_back;
    libraries_claim_memory();
    CRYPTO_get_mem_functions(&take, &take_more, &give_back);
    assert_true(take != CRYPTO_malloc);
    assert_true(take_more != CRYPTO_realloc);
    assert_true(give_back != CRYPTO_free);

    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    assert_int_equal(EVP_Digest("abc", 3, digest, &bytes, EVP_sha256(), NULL), 1);
    assert_int_equal(bytes, 32);
    assert_int_equal(digest[0], 0xba);
    char *text = OPENSSL_strdup("twelve bytes");
    text = OPENSSL_realloc(text, 100000);
    assert_string_equal(text, "twelve bytes");
    OPENSSL_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("OpenSSL takes the memory that base/mem.h gives", openssl_takes_what_mem_gives),
    };
    return cmocka_run_group_tests_name("libraries", tests, NULL, NULL);
}
