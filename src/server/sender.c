/* sender.c - the thread that owns the outbox, and the providers' connections beside it.
 *
 *     core ──sender_take──► ┐                       ┌─► transport_start ─► slot thread ─┐
 *                           ├─[queue]─► thread ─────┤                                   │
 *     slot thread ──done──► ┘           outbox      └─► receipt ─► committer            │
 *          ▲                                                                            │
 *          └────────────────────────────────────────────────────────────────────────────┘
 *
 * The queue cannot fill: the engine grants no more attempts than the providers have slots, and each slot
 * reports one result. Receipts that the committer has no room for wait here, in their order.
 *
 * Providers are told apart by name, because a version of the programme in which somebody is still under
 * way may know other settings of the same provider: the newest count.
 *
 * While sending is paused (the clock jumped), orders to start are kept back, at most one a slot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "server/server_int.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "channel/transport.h"
#include "model/answer.h"
#include "os/clock.h"
#include "outbox/outbox.h"
#include "server/held.h"
#include "when/zone.h"

#define QUEUE_MAX   (2 * OUTBOX_HELD_MAX)
#define RETRY_MS    50 /* receipts that the committer had no room for */
#define WAIT_MS_MAX 1000
#define DRAIN_MS \
    INT64_C(5000)       /* receipts have this long to get into the log when the server stops */
#define DIGITS_IN_ROW 6 /* more of them in a provider's words may be a phone number */

enum item_kind {
    ITEM_TAKE = 1,
    ITEM_RESULT,
    ITEM_RECEIPT_BACK,
    ITEM_ADOPT,  /* a plan's providers */
    ITEM_RECALL, /* a recall: its attempt is not to be tried again */
    ITEM_WAKE,   /* something was set */
};

struct item {
    enum item_kind kind;
    void *what;
};

struct answer {
    uint64_t ticket;
    struct transmission result; /* `answer` points behind this */
    struct provider *provider;
    uint32_t slot;
    char text[];
};

struct provider {
    struct sender *sender;
    uint32_t name;
    const struct plan_provider *plan; /* that it was made of */
    struct channel_provider *settings;
    struct transport *transport;
    struct held **held; /* by slot: whose attempt it transmits */
};

struct parked {
    uint32_t provider;
    uint32_t slot;
    uint64_t ticket;
    struct held *held;
};

struct sender {
    struct server *server;
    struct os_queue *queue;
    struct os_thread thread;
    bool has_thread;
    struct outbox *outbox;
    struct provider providers[OUTBOX_PROVIDERS_MAX]; /* by the outbox's index */
    _Atomic uint32_t provider_count; /* written by the sender's thread once that runs */
    struct entry *receipts;          /* not taken by the committer yet, oldest first */
    struct entry **receipts_end;
    struct parked *parked;
    uint32_t parked_count, parked_room;
    struct held *left; /* handed back when stopped: kept for the next start */
    bool is_stopped;   /* the outbox is; no transport any more */
    int64_t drain_by_ns;
    atomic_bool is_paused;
    atomic_bool wants_again;
    atomic_bool wants_stop;
    atomic_bool wants_end;
    int64_t grace_ms; /* set before wants_stop */
    struct os_mutex lock;
    struct os_cond change;
    bool is_quiet; /* under the lock: nothing is pushed to the committer any more */
};

static void tell(struct sender *s, enum item_kind kind, void *what)
{
    struct item item = {kind, what};
    must(os_queue_push(s->queue, &item) == OK);
}

/* ---- receipts ------------------------------------------------------------------------------------ */

static void add_receipt(struct sender *s, struct entry *e)
{
    e->next = NULL;
    *s->receipts_end = e;
    s->receipts_end = &e->next;
}

static void drop_receipts(struct sender *s)
{
    uint32_t count = 0;
    while (s->receipts != NULL) {
        struct entry *e = s->receipts;
        s->receipts = e->next;
        entry_free(e);
        count++;
    }
    s->receipts_end = &s->receipts;
    if (count > 0)
        journal_say(&s->server->journal, JOURNAL_WARNING, "receipt",
                    "%u receipts could not be written: their attempts are in doubt", count);
}

/* Offers the receipts to the committer, oldest first. */
static void push_receipts(struct sender *s)
{
    if (s->is_quiet) {
        drop_receipts(s);
        return;
    }
    while (s->receipts != NULL) {
        struct entry *e = s->receipts;
        struct entry *next = e->next; /* once pushed, the entry may be gone at any moment */
        enum status status = feed_push(s->server, e);
        if (status == TRY_AGAIN)
            return;
        if (status != OK) /* the log is dead: after a restart the attempt is in doubt */
            entry_free(e);
        s->receipts = next;
        if (next == NULL)
            s->receipts_end = &s->receipts;
    }
}

static void write_receipt(struct sender *s, const struct receipt *receipt)
{
    struct buf clear, personal;
    struct entry *e = entry_new(ENTRY_RECEIPT, 1);
    buf_init(&clear);
    buf_init(&personal);
    receipt_write(receipt, server_now_ms(s->server), &clear, &personal, &e->records[0]);
    e->records[0].clear = entry_body(e, &clear);
    e->records[0].personal = entry_body(e, &personal);
    atomic_fetch_add(&s->server->receipts[receipt->kind], 1);
    add_receipt(s, e);
}

void sender_receipt_refused(struct sender *s, struct entry *e)
{
    tell(s, ITEM_RECEIPT_BACK, e);
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* The provider's words, where they cannot name a person. */
static const char *words(const char *detail)
{
    uint32_t digits = 0;
    for (const char *c = detail; *c != 0; c++) {
        digits = *c >= '0' && *c <= '9' ? digits + 1 : 0;
        if (*c == '@' || digits > DIGITS_IN_ROW)
            return "";
    }
    return detail;
}

static void transmit(struct sender *s, const struct parked *p)
{
    struct transport_job job = {.ticket = p->ticket, .message = p->held->message};
    count_add(s->server, COUNTER_TRANSMISSIONS, 1);
    s->providers[p->provider].held[p->slot] = p->held;
    transport_start(s->providers[p->provider].transport, p->slot, &job);
}

static void start(struct sender *s, const struct outbox_order *order)
{
    struct parked p = {order->provider, order->slot, order->ticket, order->attempt.context};
    if (order->tries > 1)
        count_add(s->server, COUNTER_RETRIES, 1);
    if (!atomic_load(&s->is_paused)) {
        transmit(s, &p);
        return;
    }
    if (s->parked_count == s->parked_room) {
        s->parked_room = s->parked_room ? s->parked_room * 2 : 64;
        s->parked = mem_resize(s->parked, s->parked_room * sizeof(s->parked[0]));
    }
    s->parked[s->parked_count++] = p;
}

static void report(struct sender *s, const struct outbox_order *order)
{
    struct held *held = order->attempt.context;
    struct receipt receipt = {
        .kind = order->receipt,
        .profile = order->attempt.profile,
        .decision = order->attempt.decision,
        .attempt = order->attempt.attempt,
        .provider = s->providers[order->provider].name,
        .code = order->code,
        .tries = order->tries,
        .again_ms = order->receipt == RECEIPT_TEMPORARY ? order->until_ms : 0,
        .detail = str_of(order->detail),
    };
    if (order->receipt == RECEIPT_ACCEPTED)
        receipt.saved = (struct body){(const uint8_t *)held->saved.at, (uint32_t)held->saved.len};
    write_receipt(s, &receipt);
    bool is_news = order->receipt != RECEIPT_ACCEPTED;
    if (is_news)
        journal_say(&s->server->journal,
                    order->receipt == RECEIPT_TEMPORARY ? JOURNAL_INFO : JOURNAL_WARNING, "receipt",
                    "attempt %s: %s after %u %s (%d) %s", held->id, receipt_name(order->receipt),
                    order->tries, order->tries == 1 ? "try" : "tries", order->code,
                    words(order->detail));
    if (order->is_final)
        held_free(held);
}

static void alarm_operator(struct sender *s, const struct outbox_order *order)
{
    struct str name = channel_provider_name(s->providers[order->provider].settings);
    int64_t wait_ms = order->until_ms - server_now_ms(s->server);
    bool is_fine = order->breaker == OUTBOX_CLOSED && wait_ms <= 0;
    count_add(s->server, COUNTER_ALARMS, 1);
    if (is_fine)
        journal_say(&s->server->journal, JOURNAL_INFO, "provider", "provider %.*s: works again",
                    STR_ARG(name));
    else if (order->until_ms == FOREVER_MS)
        journal_say(&s->server->journal, JOURNAL_ERROR, "provider",
                    "provider %.*s: nothing is sent until SIGHUP or a restart: (%d) %s",
                    STR_ARG(name), order->code, words(order->detail));
    else
        journal_say(&s->server->journal, JOURNAL_WARNING, "provider",
                    "provider %.*s: nothing is sent for %ld ms: (%d) %s", STR_ARG(name), wait_ms,
                    order->code, words(order->detail));
}

static void hand_back(struct sender *s, const struct outbox_order *order)
{
    struct held *held = order->attempt.context;
    held->was_in_doubt |= order->was_in_doubt;
    held->next = s->left;
    s->left = held;
}

static void carry_out(struct sender *s)
{
    struct outbox_order order;
    for (;;) {
        switch (outbox_next(s->outbox, server_now_ms(s->server), &order)) {
        case OUTBOX_IDLE: return;
        case OUTBOX_START: start(s, &order); break;
        case OUTBOX_REPORT: report(s, &order); break;
        case OUTBOX_RETURN: hand_back(s, &order); break;
        case OUTBOX_ALARM: alarm_operator(s, &order); break;
        }
    }
}

/* ---- what comes in ------------------------------------------------------------------------------- */

/* The newest of that name; UINT32_MAX if there is none. */
static uint32_t provider_find(const struct sender *s, uint32_t name)
{
    uint32_t i = s->provider_count;
    while (i-- > 0)
        if (s->providers[i].name == name)
            return i;
    return UINT32_MAX;
}

/* ---- providers ----------------------------------------------------------------------------------- */

static enum status read_settings(const struct sender *s, const struct plan_provider *p,
                                 struct channel_provider **out, struct fault *f)
{
    struct channel_option *options =
        mem_new((p->setting_count + 1) * sizeof(struct channel_option));
    for (uint32_t i = 0; i < p->setting_count; i++)
        options[i] =
            (struct channel_option){.name = p->settings[i].key, .value = p->settings[i].value};
    const struct channel_kind *kind = channel_kind_find(p->kind);
    must(kind != NULL);
    enum status status = channel_provider_new(kind, (enum channel)p->channel,
                                              vocabulary_text(s->server->vocabulary, p->name),
                                              options, p->setting_count, out, f);
    mem_free(options);
    return status;
}

static void done(void *context, uint64_t ticket, uint32_t slot, const struct transmission *result)
{
    struct provider *p = context;
    struct answer *outcome = mem_new(sizeof(*outcome) + result->answer.len);
    *outcome = (struct answer){.ticket = ticket, .result = *result, .provider = p, .slot = slot};
    if (result->answer.len > 0)
        memcpy(outcome->text, result->answer.at, result->answer.len);
    outcome->result.answer = (struct str){outcome->text, result->answer.len};
    tell(p->sender, ITEM_RESULT, outcome);
}

static int64_t provider_now(void *context)
{
    struct provider *p = context;
    return server_now_ms(p->sender->server);
}

static enum status add_provider(struct sender *s, const struct plan *plan, uint32_t index,
                                struct fault *f)
{
    const struct plan_provider *p = &plan->providers[index];
    struct provider *out = &s->providers[s->provider_count];
    struct str name = vocabulary_text(s->server->vocabulary, p->name);
    const struct channel_kind *kind = channel_kind_find(p->kind);
    *out = (struct provider){.sender = s, .name = p->name, .plan = p};
    enum status status = read_settings(s, p, &out->settings, f);
    if (status == OK) {
        struct transport_options transport = {
            .provider = out->settings, .done = done, .now = provider_now, .context = out};
        status = transport_new(&transport, &out->transport, f);
    }
    if (status != OK) {
        channel_provider_free(out->settings);
        fault_prefix(f, "provider %.*s: ", STR_ARG(name));
        return status;
    }
    struct outbox_retry retry;
    outbox_retry_standard(&retry);
    retry.delays_ms = kind->retry_delays_ms;
    retry.delays_count = kind->retry_delays_count;
    out->held = mem_new(transport_slots(out->transport) * sizeof(struct held *));
    must(outbox_add_provider(s->outbox, transport_slots(out->transport), &retry) ==
         s->provider_count);
    s->provider_count++;
    return OK;
}

static bool is_equal_provider(const struct plan_provider *a, const struct plan_provider *b)
{
    if (a->name != b->name || a->channel != b->channel || a->slots != b->slots ||
        !str_equal(a->kind, b->kind) || a->setting_count != b->setting_count)
        return false;
    for (uint32_t i = 0; i < a->setting_count; i++)
        if (!str_equal(a->settings[i].key, b->settings[i].key) ||
            !str_equal(a->settings[i].value, b->settings[i].value))
            return false;
    return true;
}

static bool has_provider(const struct sender *s, const struct plan_provider *p)
{
    uint32_t i = provider_find(s, p->name);
    return i != UINT32_MAX && is_equal_provider(s->providers[i].plan, p);
}

/* Settings of providers count from now on; those that cannot be made were checked before, and are said
 * now. */
static void adopt(struct sender *s, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->provider_count && !s->is_stopped; i++) {
        struct fault f = {0};
        if (has_provider(s, &plan->providers[i]))
            continue;
        if (s->provider_count == OUTBOX_PROVIDERS_MAX)
            fault_set(&f, "too many providers were changed since the start; start again");
        else if (add_provider(s, plan, i, &f) == OK)
            continue;
        journal_say(&s->server->journal, JOURNAL_ERROR, "provider", "%s", f.text);
    }
}

static void take(struct sender *s, struct held *held)
{
    uint32_t provider = provider_find(s, held->provider_name);
    if (s->is_stopped) {
        held->next = s->left;
        s->left = held;
        return;
    }
    if (provider == UINT32_MAX) {
        write_receipt(s, &(struct receipt){
                             .kind = RECEIPT_GAVE_UP,
                             .profile = held->profile,
                             .decision = held->decision,
                             .attempt = held->attempt,
                             .provider = held->provider_name,
                             .detail = STR("the programme has no such provider any more"),
                         });
        held_free(held);
        return;
    }
    const struct channel_kind *kind = channel_provider_kind(s->providers[provider].settings);
    bool is_again = held->is_at_least_once || kind->is_idempotent;
    struct outbox_attempt attempt = {
        .profile = held->profile,
        .decision = held->decision,
        .attempt = held->attempt,
        .provider = provider,
        .context = held,
        .lane = is_again ? OUTBOX_AT_LEAST_ONCE : OUTBOX_AT_MOST_ONCE,
        .priority = held->lane,
        .deadline_ms = held->deadline_ms,
    };
    if (held->was_in_doubt)
        outbox_take_in_doubt(s->outbox, &attempt, server_now_ms(s->server));
    else
        outbox_take(s->outbox, &attempt, server_now_ms(s->server));
}

/* An attempt that has ended meanwhile is not held any more, and has its receipt. */
static void take_back(struct sender *s, struct recall *recall)
{
    if (!s->is_stopped)
        (void)outbox_revoke(s->outbox, recall->decision, recall->attempt);
    mem_free(recall);
}

/* What is to be saved of a call's answer waits for its receipt; the rest is forgotten. An answer that cannot
 * be read was none. */
static void pick(struct answer *outcome)
{
    struct held *held = outcome->provider->held[outcome->slot];
    struct transmission *t = &outcome->result;
    struct fault f = {0};
    if (t->outcome != TRANSMISSION_ACCEPTED || held->errand == NULL ||
        held->errand->kind != ERRAND_CALL)
        return;
    struct buf saved;
    buf_init(&saved);
    if (answer_pick(held->errand, t->code, t->answer, &saved, &f) == OK) {
        held->saved = arena_copy(&held->arena, buf_str(&saved));
    } else {
        t->outcome = TRANSMISSION_BAD_MESSAGE;
        snprintf(t->detail, sizeof(t->detail), "%.200s", f.text);
    }
    buf_fini(&saved);
}

static void handle(struct sender *s, const struct item *item)
{
    struct answer *outcome;
    switch (item->kind) {
    case ITEM_TAKE: take(s, item->what); return;
    case ITEM_RESULT:
        outcome = item->what;
        pick(outcome);
        outbox_result(s->outbox, outcome->ticket, &outcome->result, server_now_ms(s->server));
        mem_free(outcome);
        return;
    case ITEM_RECEIPT_BACK: add_receipt(s, item->what); return;
    case ITEM_ADOPT: adopt(s, item->what); return;
    case ITEM_RECALL: take_back(s, item->what); return;
    case ITEM_WAKE: return;
    }
}

/* ---- the thread ---------------------------------------------------------------------------------- */

/* Those kept back go out, or end unsent if their time is over or the server stops. */
static void unpark(struct sender *s)
{
    bool is_over = s->is_stopped;
    if (!is_over && atomic_load(&s->is_paused))
        return;
    for (uint32_t i = 0; i < s->parked_count; i++) {
        const struct parked *p = &s->parked[i];
        if (!is_over && p->held->deadline_ms > server_now_ms(s->server)) {
            transmit(s, p);
            continue;
        }
        struct transmission unsent = {.outcome = TRANSMISSION_UNREACHABLE,
                                      .detail = "sending was paused"};
        outbox_result(s->outbox, p->ticket, &unsent, server_now_ms(s->server));
    }
    s->parked_count = 0;
}

/* Ends the transports; their results come by the queue. */
static void stop(struct sender *s)
{
    int64_t until_ns = os_clock_monotonic_ns() + s->grace_ms * 1000000;
    s->is_stopped = true;
    outbox_stop(s->outbox);
    for (uint32_t i = 0; i < s->provider_count; i++) {
        int64_t left_ms = (until_ns - os_clock_monotonic_ns()) / 1000000;
        transport_free(s->providers[i].transport, max_of(left_ms, 0));
        s->providers[i].transport = NULL;
    }
    s->drain_by_ns = os_clock_monotonic_ns() + DRAIN_MS * 1000000;
}

/* Everything is reported, or there is no more time for it: the committer is left alone from now on. */
static void become_quiet(struct sender *s)
{
    bool is_drained = outbox_held(s->outbox) == 0 && s->receipts == NULL;
    if (s->is_quiet || !s->is_stopped || (!is_drained && os_clock_monotonic_ns() < s->drain_by_ns))
        return;
    os_mutex_lock(&s->lock);
    s->is_quiet = true;
    os_cond_wake_all(&s->change);
    os_mutex_unlock(&s->lock);
    drop_receipts(s);
}

static void obey(struct sender *s)
{
    if (atomic_exchange(&s->wants_again, false))
        for (uint32_t i = 0; i < s->provider_count; i++)
            outbox_reset_breaker(s->outbox, i, server_now_ms(s->server));
    if (atomic_load(&s->wants_stop) && !s->is_stopped)
        stop(s);
    unpark(s);
}

static void publish(struct sender *s)
{
    uint64_t in_flight = 0;
    for (uint32_t i = 0; i < s->provider_count; i++)
        in_flight += outbox_in_flight(s->outbox, i);
    count_set(s->server, COUNTER_HELD, outbox_held(s->outbox));
    count_set(s->server, COUNTER_RETRYING, outbox_retrying(s->outbox));
    count_set(s->server, COUNTER_IN_FLIGHT, in_flight - s->parked_count);
}

static int64_t wait_ms(struct sender *s)
{
    if (atomic_load(&s->wants_end))
        return 0;
    if (s->receipts != NULL || (s->is_stopped && !s->is_quiet))
        return RETRY_MS;
    int64_t wake_ms = outbox_wake_ms(s->outbox);
    int64_t now_ms = server_now_ms(s->server);
    return wake_ms <= now_ms ? 0 : min_of(wake_ms - now_ms, WAIT_MS_MAX);
}

static void run(void *context)
{
    struct sender *s = context;
    struct item items[64];
    for (;;) {
        obey(s);
        carry_out(s);
        push_receipts(s);
        publish(s);
        uint32_t count = os_queue_pop(s->queue, items, array_count(items), wait_ms(s));
        for (uint32_t i = 0; i < count; i++)
            handle(s, &items[i]);
        if (count > 0)
            continue;
        if (atomic_load(&s->wants_end))
            return;
        become_quiet(s);
    }
}

/* ---- for other threads --------------------------------------------------------------------------- */

void sender_take(struct sender *s, const struct action *action)
{
    const struct plan *plan = engine_plans(s->server->recovered.engine)->at[action->plan];
    tell(s, ITEM_TAKE, held_new(action, plan));
}

void sender_recall(struct sender *s, const struct recall *recall)
{
    struct recall *copy = mem_new(sizeof(*copy));
    *copy = *recall;
    tell(s, ITEM_RECALL, copy);
}

void sender_take_held(struct sender *s, struct held *held)
{
    tell(s, ITEM_TAKE, held);
}

void sender_pause(struct sender *s, bool is_paused)
{
    atomic_store(&s->is_paused, is_paused);
    count_set(s->server, COUNTER_IS_PAUSED, is_paused);
    tell(s, ITEM_WAKE, NULL);
}

void sender_try_again(struct sender *s)
{
    atomic_store(&s->wants_again, true);
    tell(s, ITEM_WAKE, NULL);
}

uint32_t sender_waiting(struct sender *s)
{
    return os_queue_count(s->queue);
}

/* ---- start and end ------------------------------------------------------------------------------- */

enum status sender_check(struct sender *s, const struct plan *plan, struct fault *f)
{
    for (uint32_t i = 0; i < plan->provider_count; i++) {
        const struct plan_provider *p = &plan->providers[i];
        struct channel_provider *settings = NULL;
        enum status status = read_settings(s, p, &settings, f);
        channel_provider_free(settings);
        if (status != OK) {
            fault_prefix(
                f, "provider %.*s: ", STR_ARG(vocabulary_text(s->server->vocabulary, p->name)));
            return status;
        }
    }
    if (s->provider_count + plan->provider_count <= OUTBOX_PROVIDERS_MAX)
        return OK;
    fault_set(f, "providers were changed too often since the server was started; start it again");
    return FIX_INPUT;
}

void sender_adopt(struct sender *s, const struct plan *plan)
{
    struct plan *what = (struct plan *)(uintptr_t)plan; /* only read */
    tell(s, ITEM_ADOPT, what);
}

/* Those of the plan that people are still in flight under; who goes on without is told when it matters. */
static void add_older(struct sender *s, const struct plan *older)
{
    for (uint32_t i = 0; i < older->provider_count; i++) {
        struct fault f = {0};
        if (provider_find(s, older->providers[i].name) != UINT32_MAX ||
            s->provider_count == OUTBOX_PROVIDERS_MAX || add_provider(s, older, i, &f) == OK)
            continue;
        journal_say(&s->server->journal, JOURNAL_WARNING, "provider",
                    "%s; the programme before this one used it", f.text);
    }
}

enum status sender_start(struct server *server, const struct plan *plan, const struct plan *older,
                         struct sender **out, struct fault *f)
{
    struct sender *s = mem_new(sizeof(*s));
    s->server = server;
    s->outbox = outbox_new();
    s->queue = os_queue_new(sizeof(struct item), QUEUE_MAX);
    s->receipts_end = &s->receipts;
    os_mutex_init(&s->lock);
    os_cond_init(&s->change);
    enum status status = OK;
    for (uint32_t i = 0; i < plan->provider_count && status == OK; i++)
        status = add_provider(s, plan, i, f);
    if (status == OK && older != NULL)
        add_older(s, older);
    if (status == OK)
        status = os_thread_start(&s->thread, "sender", run, s, f);
    if (status != OK) {
        sender_free(s);
        return status;
    }
    s->has_thread = true;
    *out = s;
    return OK;
}

void sender_stop(struct sender *s, int64_t grace_ms)
{
    s->grace_ms = grace_ms;
    atomic_store(&s->wants_stop, true);
    tell(s, ITEM_WAKE, NULL);
    os_mutex_lock(&s->lock);
    while (!s->is_quiet)
        os_cond_wait(&s->change, &s->lock);
    os_mutex_unlock(&s->lock);
}

struct held *sender_end(struct sender *s)
{
    atomic_store(&s->wants_end, true);
    tell(s, ITEM_WAKE, NULL);
    os_thread_join(&s->thread);
    s->has_thread = false;
    struct held *left = s->left;
    s->left = NULL;
    return left;
}

void sender_free(struct sender *s)
{
    if (s == NULL)
        return;
    must(!s->has_thread);
    for (uint32_t i = 0; i < s->provider_count; i++) {
        transport_free(s->providers[i].transport, 0);
        mem_free(s->providers[i].held);
        channel_provider_free(s->providers[i].settings);
    }
    held_free_list(s->left);
    outbox_free(s->outbox);
    os_queue_free(s->queue);
    os_cond_fini(&s->change);
    os_mutex_fini(&s->lock);
    mem_free(s->parked);
    mem_free(s);
}
