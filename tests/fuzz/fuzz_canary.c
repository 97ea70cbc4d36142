/* fuzz_canary.c - a planted fault, which the fuzzer has to find: tools/fuzz_smoke expects this target
 * to fail, so that fuzzers that find nothing because they do not work are found themselves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = {(const char *)data, size};
    must(!str_starts(input, STR("bird")));
    return 0;
}
