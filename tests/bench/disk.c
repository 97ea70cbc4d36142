/* disk.c - what the disk itself can do, in the way the log asks for it: writes into room that was
 * reserved before, each made durable by fdatasync. No figure of the log can be better than these.
 *
 *     disk_commit_ms   the median of 300 writes of 4 KB, one after the other; _p99 beside it
 *     disk_write_mb    256 writes of 1 MB, each made durable: MB per second
 *
 * BENCH_DIR says where (build/ unless given).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include <string.h>

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"

#define SMALL_BYTES (4u << 10)
#define LARGE_BYTES (1u << 20)

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Writes `count` pieces into fresh room; the times of each, ascending, and their sum. */
static int64_t write_pieces(const char *path, uint64_t count, size_t bytes, int64_t *times_ns)
{
    struct fault f = {0};
    struct os_file *file = NULL;
    uint8_t *piece = mem_new(bytes);
    int64_t sum_ns = 0;
    enum status status = os_file_open(os_disk_real(), path, OS_CREATE, &file, &f);
    if (status == OK)
        status = os_file_preallocate(file, count * bytes, &f);
    if (status == OK)
        status = os_file_sync(file, &f);
    for (uint64_t i = 0; i < count && status == OK; i++) {
        memset(piece, (int)(i % 255) + 1, bytes);
        int64_t start_ns = os_clock_monotonic_ns();
        status = os_file_write(file, i * bytes, piece, bytes, &f);
        if (status == OK)
            status = os_file_sync(file, &f);
        sum_ns += times_ns[i] = os_clock_monotonic_ns() - start_ns;
    }
    os_file_close(file);
    if (status == OK)
        status = os_remove(os_disk_real(), path, &f);
    if (status != OK) {
        fprintf(stderr, "bench: %s\n", f.text);
        exit(1);
    }
    qsort(times_ns, count, sizeof(*times_ns), ascending);
    mem_free(piece);
    return sum_ns;
}

int main(void)
{
    const char *dir = getenv("BENCH_DIR") ? getenv("BENCH_DIR") : "build";
    uint64_t commits = bench_count(300), pieces = bench_count(256);
    int64_t *times_ns = mem_new(max_of(commits, pieces) * sizeof(*times_ns));
    char path[OS_PATH_BYTES];
    must(os_path_join(path, sizeof(path), dir, "bench-disk"));
    (void)write_pieces(path, commits, SMALL_BYTES, times_ns);
    bench_print("disk_commit_ms", (double)times_ns[commits / 2] * 1e-6, "ms");
    bench_print("disk_commit_p99", (double)times_ns[commits * 99 / 100] * 1e-6, "ms");
    int64_t spent_ns = write_pieces(path, pieces, LARGE_BYTES, times_ns);
    bench_print("disk_write_mb", (double)(pieces * LARGE_BYTES) * 1e3 / (double)spent_ns,
                "MB_per_second");
    mem_free(times_ns);
    return 0;
}
