/* Dropping the oldest segments of a log.
 *
 * A segment says of itself all that a reader needs to begin with it: the log's id, all names, the newest batch
 * and results before it. So nothing is rewritten, and what is left is a log like any other, only that it does
 * not begin with batch 1. Its head still names the segment before it, which nobody looks for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/evlog_int.h"

enum status evlog_first_batch(struct os_disk *disk, const char *dir, uint64_t *batch,
                              struct fault *f)
{
    struct arena a;
    uint64_t *firsts;
    uint32_t count = 0;
    *batch = 0;
    arena_init(&a, 4096);
    enum status status = segment_list(disk, dir, &a, &firsts, &count, f);
    if (status == OK && count > 0)
        *batch = firsts[0];
    arena_fini(&a);
    return status;
}

static uint32_t count_old(const uint64_t *firsts, uint32_t count, uint64_t batch_last)
{
    uint32_t old = 0;
    while (old + 1 < count && firsts[old + 1] - 1 <= batch_last)
        old++;
    return old;
}

enum status evlog_count_old(struct os_disk *disk, const char *dir, uint64_t batch_last,
                            uint32_t *count, struct fault *f)
{
    struct arena a;
    uint64_t *firsts;
    uint32_t segments = 0;
    arena_init(&a, 4096);
    enum status status = segment_list(disk, dir, &a, &firsts, &segments, f);
    *count = status == OK ? count_old(firsts, segments, batch_last) : 0;
    arena_fini(&a);
    return status;
}

/* The first batch of the segment that begins with it, if it holds any. */
static enum status look_into(struct os_disk *disk, const char *dir, uint64_t segment, bool *has_any,
                             int64_t *now_ms, struct fault *f)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_RESULTS};
    enum status status = evlog_reader_open(disk, dir, segment, &reader, f);
    if (status != OK)
        return status;
    while (status == OK && item.kind == EVLOG_RESULTS)
        status = evlog_reader_next(reader, &item, f);
    *has_any = status == OK && item.kind == EVLOG_BATCH && item.segment == segment;
    *now_ms = item.now_ms;
    evlog_reader_close(reader);
    return status;
}

enum status evlog_newest_segment(struct os_disk *disk, const char *dir, uint64_t *batch,
                                 int64_t *now_ms, struct fault *f)
{
    struct arena a;
    uint64_t *firsts;
    uint32_t count = 0;
    bool has_any = false;
    *batch = 0;
    arena_init(&a, 4096);
    enum status status = segment_list(disk, dir, &a, &firsts, &count, f);
    while (status == OK && !has_any && count > 0)
        status = look_into(disk, dir, firsts[--count], &has_any, now_ms, f);
    if (status == OK && has_any)
        *batch = firsts[count];
    arena_fini(&a);
    return status;
}

static enum status remove_segment(struct os_disk *disk, const char *dir, uint64_t segment,
                                  struct fault *f)
{
    char path[OS_PATH_BYTES];
    enum status status = segment_path(path, sizeof(path), dir, segment, f);
    if (status == OK)
        status = os_remove(disk, path, f);
    return status == OK ? os_sync_dir(disk, dir, f) : status;
}

enum status evlog_drop(struct os_disk *disk, const char *dir, uint64_t batch_last, uint32_t *count,
                       struct fault *f)
{
    struct arena a;
    uint64_t *firsts;
    uint32_t segments = 0, goes = 0;
    bool has_any = false;
    int64_t now_ms;
    *count = 0;
    arena_init(&a, 4096);
    enum status status = segment_list(disk, dir, &a, &firsts, &segments, f);
    if (status == OK)
        goes = count_old(firsts, segments, batch_last);
    /* What is to be the first one must say all of it. */
    while (status == OK && goes > 0 && !has_any) {
        status = look_into(disk, dir, firsts[goes], &has_any, &now_ms, f);
        goes -= !has_any;
    }
    for (uint32_t i = 0; i < goes && status == OK; i++) {
        status = remove_segment(disk, dir, firsts[i], f);
        *count += status == OK;
    }
    arena_fini(&a);
    return status;
}
