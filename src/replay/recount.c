/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/recount.h"

#include "evlog/evlog.h"

enum status funnel_recount(const struct directory *d, int64_t since_ms, uint64_t batch_last,
                           struct funnel *out, struct recount *about, struct fault *f)
{
    struct evlog_reader *reader;
    struct evlog_item item;
    bool is_first = true;
    *about = (struct recount){.from_ms = INT64_MIN};
    enum status status = evlog_reader_open(d->disk, d->log, 0, &reader, f);
    if (status != OK)
        return status;
    for (;;) {
        status = evlog_reader_next(reader, &item, f);
        if (status != OK || item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_BATCH && is_first && item.number > 1) {
            about->from_ms = item.now_ms;
            since_ms = max_of(since_ms, item.now_ms);
        }
        is_first = false;
        if (item.kind != EVLOG_RESULTS)
            continue;
        if (batch_last != 0 && item.number > batch_last)
            break;
        about->newest = item.number;
        struct cursor c = cursor_of(item.results.at, item.results.len);
        struct result row;
        while (results_read(&c, item.now_ms, &row))
            funnel_add_since(out, &row, 1, since_ms);
        if (!c.is_bad)
            continue;
        fault_set(f, "the results of batch %lu are damaged", item.number);
        status = GIVE_UP;
        break;
    }
    evlog_reader_close(reader);
    return status;
}
