/* SPDX-License-Identifier: Apache-2.0 */
#include "server/monitors.h"

#include "api/audience_json.h"
#include "api/monitor_json.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/thread.h"

struct monitor_board {
    struct os_mutex lock;
    struct buf text; /* under the lock */
    struct buf next; /* of the engine's thread, as the rest */
    int64_t posted_ns;
    bool is_stale;  /* something has happened since that was too early */
    uint64_t flips; /* how often any was raised or cleared, and which programme they are of */
};

struct monitor_board *monitor_board_new(void)
{
    struct monitor_board *b = mem_new(sizeof(*b));
    os_mutex_init(&b->lock);
    buf_init(&b->text);
    buf_init(&b->next);
    return b;
}

void monitor_board_free(struct monitor_board *b)
{
    if (b == NULL)
        return;
    os_mutex_fini(&b->lock);
    buf_fini(&b->text);
    buf_fini(&b->next);
    mem_free(b);
}

static uint64_t flips_of(const struct engine *e)
{
    const struct monitors *m = engine_monitors(e);
    uint64_t flips = (uint64_t)engine_plans(e)->newest << 32;
    for (uint32_t i = 0; i < m->count; i++)
        flips += 2 * m->at[i].raised_times - m->at[i].is_raised;
    return flips;
}

void monitor_board_post(struct monitor_board *b, const struct engine *e)
{
    int64_t now_ns = os_clock_monotonic_ns();
    uint64_t flips = flips_of(e);
    b->is_stale = flips == b->flips && b->posted_ns != 0 &&
                  now_ns - b->posted_ns < BOARD_PAUSE_MS * INT64_C(1000000);
    if (b->is_stale)
        return;
    b->posted_ns = now_ns;
    b->flips = flips;
    b->next.len = 0;
    monitors_metrics(e, &b->next);
    audiences_metrics(e, &b->next);
    os_mutex_lock(&b->lock);
    struct buf old = b->text;
    b->text = b->next;
    b->next = old;
    os_mutex_unlock(&b->lock);
}

bool monitor_board_is_stale(const struct monitor_board *b)
{
    return b->is_stale;
}

void monitor_board_read(struct monitor_board *b, struct buf *out)
{
    os_mutex_lock(&b->lock);
    buf_add_str(out, buf_str(&b->text));
    os_mutex_unlock(&b->lock);
}
