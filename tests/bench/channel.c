/* channel.c - rendering, mails per second to a server on this machine, and how long one takes.
 *
 *     mail_render    messages rendered per second of one core
 *     smtp_mails     mails per second by the wall, rendered and sent over 8 connections, both sides here
 *     mail_handoff   the same per second of one core of our side alone: one second over the processor time
 *                    that a mail costs the slots' threads, kernel included. What they send on loopback is
 *                    received in their time too
 *
 * The server is sink.h, in this process, so that what is measured is our side: rendering, libcurl, the
 * slots' threads. Both sides share the machine's processors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdatomic.h>

#include "base/mem.h"
#include "bench.h"
#include "channel/transport.h"
#include "os/clock.h"
#include "os/thread.h"
#include "sink.h"

#define SLOTS 8

/* --- our side --- */

struct sender {
    struct transport *transport;
    struct transport_job job;
    atomic_long left;
    atomic_long accepted;
    struct os_queue *ended;
    /* Of each slot's thread: its processor time behind its first mail and its last, and those between. */
    struct {
        int64_t first_ns, last_ns;
        uint64_t count;
    } spent[SLOTS];
};

/* Keeps every slot busy: the next one starts as soon as one has ended. */
static void on_done(void *context, uint64_t ticket, uint32_t slot,
                    const struct transmission *result)
{
    struct sender *s = context;
    int64_t now_ns = os_clock_thread_ns();
    if (s->spent[slot].first_ns == 0)
        s->spent[slot].first_ns = now_ns;
    else
        s->spent[slot].count++;
    s->spent[slot].last_ns = now_ns;
    if (result->outcome == TRANSMISSION_ACCEPTED)
        atomic_fetch_add(&s->accepted, 1);
    if (atomic_fetch_sub(&s->left, 1) > 0)
        transport_start(s->transport, slot, &s->job);
    else
        must(os_queue_push(s->ended, &ticket) == OK);
}

static int order(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void latency(struct sender *s, struct sink *sink)
{
    uint64_t count = bench_count(2000);
    int64_t *spent_ns = mem_new(count * sizeof(spent_ns[0]));
    for (uint64_t i = 0; i < count + 10; i++) {
        uint64_t ticket;
        os_clock_sleep_ms(2); /* idle, so that every thread is asleep */
        atomic_store(&s->left, 0);
        int64_t start_ns = os_clock_monotonic_ns();
        transport_start(s->transport, 0, &s->job);
        must(os_queue_pop(s->ended, &ticket, 1, 10000) == 1);
        if (i >= 10)
            spent_ns[i - 10] = atomic_load(&sink->last_ns) - start_ns;
    }
    qsort(spent_ns, count, sizeof(spent_ns[0]), order);
    bench_print("handed_in_to_smtp_p50", (double)spent_ns[count / 2] / 1e6, "ms");
    bench_print("handed_in_to_smtp_p99", (double)spent_ns[count * 99 / 100] / 1e6, "ms");
    mem_free(spent_ns);
}

static void throughput(struct sender *s)
{
    uint64_t count = bench_count(40000);
    memset(s->spent, 0, sizeof(s->spent));
    atomic_store(&s->accepted, 0);
    atomic_store(&s->left, (long)count - SLOTS);
    int64_t start_ns = os_clock_monotonic_ns();
    for (uint32_t i = 0; i < SLOTS; i++)
        transport_start(s->transport, i, &s->job);
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint64_t ticket;
        must(os_queue_pop(s->ended, &ticket, 1, FOREVER_MS) == 1);
    }
    int64_t spent_ns = os_clock_monotonic_ns() - start_ns;
    must((uint64_t)atomic_load(&s->accepted) >= count);
    bench_rate("smtp_mails", (uint64_t)atomic_load(&s->accepted), spent_ns);
    uint64_t mails = 0;
    spent_ns = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        mails += s->spent[i].count;
        spent_ns += s->spent[i].last_ns - s->spent[i].first_ns;
    }
    bench_rate("mail_handoff", mails, spent_ns);
}

static void rendering(const struct channel_provider *p, const struct channel_message *m)
{
    struct channel_payload payload;
    channel_payload_init(&payload);
    uint64_t count = bench_count(50000);
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count; i++)
        must(channel_render(p, m, &payload, NULL) == OK);
    bench_rate("mail_render", count, os_clock_thread_ns() - start_ns);
    bench_print("mail_bytes", (double)payload.bytes.len, "bytes");
    channel_payload_fini(&payload);
}

int main(void)
{
    channel_global_init();
    struct sink *sink = mem_new(sizeof(*sink));
    sink_start(sink);

    char url[64];
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%u", sink->port);
    const struct channel_option options[] = {
        {STR("url"), str_of(url), 0},
        {STR("from"), STR("Northwind Outdoor <hello@example.com>"), 0},
        {STR("security"), STR("none"), 0},
        {STR("slots"), STR("8"), 0},
    };
    struct channel_provider *p;
    must(channel_provider_new(channel_kind_find(STR("smtp")), CHANNEL_EMAIL, STR("sink"), options,
                              array_count(options), &p, NULL) == OK);
    struct arena plan;
    arena_init(&plan, 4096);
    const struct channel_source sources[] = {
        {.name = STR("subject"), .text = STR("{{ person.name }}, your cart is waiting")},
        {.name = STR("html"),
         .text = STR("<html><body><p>Hello {{ person.name | default: \"there\" }},</p>\n"
                     "{% for item in event.items %}<p>{{ item }} for {{ event.value }} EUR</p>\n"
                     "{% endfor %}<p><a href=\"https://shop.example.com/cart\">To your cart</a>"
                     "</p></body></html>\n")},
    };
    struct channel_template *t;
    struct fault f = {0};
    if (channel_compile(CHANNEL_EMAIL, sources, 2, NULL, 0, &plan, &t, &f) != OK)
        must_fail(f.text, __FILE__, __LINE__);
    struct value_list *items = arena_zalloc(&plan, sizeof(*items) + 3 * sizeof(items->items[0]));
    items->count = 3;
    for (uint32_t i = 0; i < items->count; i++)
        items->items[i] = value_text(STR("Trekking boots \"Gr\xc3\xb6nland\""));
    size_t count;
    const struct channel_field *fields = channel_template_fields(t, &count);
    struct value values[8];
    must(count <= array_count(values));
    for (size_t i = 0; i < count; i++)
        values[i] = str_is(fields[i].path, "event.items")
                        ? (struct value){.type = VALUE_LIST, .list = items}
                    : str_is(fields[i].path, "event.value") ? value_double(129.5)
                                                            : value_text(STR("J\xc3\xbcrgen"));
    const struct channel_message message = {
        .message = t,
        .id = STR("1f-9c0a1b2c3d4e5f60-1"),
        .to = STR("juergen@example.org"),
        .to_name = STR("J\xc3\xbcrgen"),
        .fields = values,
        .field_count = count,
        .unsubscribe_url = STR("https://example.com/u/0123456789abcdef"),
        .at_ms = INT64_C(1772452800000),
    };
    rendering(p, &message);

    struct sender s = {.job = {.ticket = 1, .message = message},
                       .ended = os_queue_new(sizeof(uint64_t), SLOTS)};
    const struct transport_options transport = {.provider = p, .done = on_done, .context = &s};
    must(transport_new(&transport, &s.transport, NULL) == OK);
    latency(&s, sink);
    throughput(&s);
    transport_free(s.transport, 1000);
    sink_stop(sink);
    os_queue_free(s.ended);
    channel_provider_free(p);
    arena_fini(&plan);
    mem_free(sink);
    channel_global_fini();
    return 0;
}
