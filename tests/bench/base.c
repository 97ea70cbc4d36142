/* base.c - what the smallest pieces cost: finding a name, hashing, checking bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "os/clock.h"

#define NAMES 2000

static void names(void)
{
    struct arena keys;
    struct map_str m;
    struct str name[NAMES];
    arena_init(&keys, 64 * 1024);
    map_str_init(&m, &keys);
    for (int i = 0; i < NAMES; i++) {
        name[i] = arena_printf(&keys, "property_%d", i);
        map_str_intern(&m, name[i]);
    }
    uint64_t count = bench_count(20000000), sum = 0;
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count; i++)
        sum += map_str_find(&m, name[i * 7919 % NAMES]);
    bench_rate("map_str_find", count, os_clock_thread_ns() - start_ns);
    bench_keep(sum);
    map_str_fini(&m);
    arena_fini(&keys);
}

static void numbers(void)
{
    struct map_u64 m;
    map_u64_init(&m);
    for (uint64_t i = 0; i < NAMES; i++)
        map_u64_set(&m, hash_pair(i, 1), (uint32_t)i);
    uint64_t count = bench_count(20000000), sum = 0;
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count; i++)
        sum += map_u64_find(&m, m.entries[i * 7919 % NAMES].key);
    bench_rate("map_u64_find", count, os_clock_thread_ns() - start_ns);
    bench_keep(sum);
    map_u64_fini(&m);
}

static void bytes(void)
{
    enum { BYTES = 64 * 1024 };
    uint8_t *at = mem_new(BYTES);
    memset(at, 0x5a, BYTES);
    uint64_t count = bench_count(20000), sum = 0;
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count; i++)
        sum += hash_crc32c((uint32_t)i, at, BYTES);
    int64_t spent_ns = os_clock_thread_ns() - start_ns;
    bench_print("crc32c", (double)count * BYTES / (double)spent_ns, "GB_per_second");
    bench_keep(sum);
    mem_free(at);
}

int main(void)
{
    names();
    numbers();
    bytes();
    return 0;
}
