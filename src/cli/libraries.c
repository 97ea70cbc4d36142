/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/libraries.h"

#include "base/mem.h"

#include <openssl/crypto.h>

/* Not zeroed: OpenSSL does that where it wants it. */
static void *take(size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_resize(NULL, bytes);
}

static void *take_more(void *old, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_resize(old, bytes);
}

static void give_back(void *at, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(at);
}

void libraries_claim_memory(void)
{
    must(CRYPTO_set_mem_functions(take, take_more, give_back) == 1);
}
