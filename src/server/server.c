/* server.c - a start, a life and an end, in order. README.md tells the order and why.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "server/server.h"

#include "base/mem.h"
#include "channel/channel.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "replay/backfill.h"
#include "replay/erase.h"
#include "replay/owner.h"
#include "server/change.h"
#include "server/erase.h"
#include "server/held.h"
#include "server/journeys.h"
#include "server/monitors.h"
#include "server/operate.h"
#include "server/server_int.h"
#include "server/story.h"
#include "server/take.h"

#define LOOK_MS       250   /* how often the main thread looks at the clocks and for a failure */
#define HTTP_GRACE_MS 5000  /* for requests in flight when the server stops */
#define SEND_GRACE_MS 10000 /* for transmissions */
#define RETRY_AFTER_S 2
#define HTTP_THREADS  4
#define START_MS_MAX  60000
#define MESSAGES_KEPT (64u << 20) /* what the engine remembers unless told otherwise */
#define RECEIPTS_A_GO 1024

int64_t server_now_ms(struct server *s)
{
    return pace_now_ms(&s->pace, os_clock_monotonic_ns());
}

/* ---- recovery ------------------------------------------------------------------------------------ */

static enum status recover_state(struct server *s, struct fault *f)
{
    int64_t began_ns = os_clock_monotonic_ns();
    enum status status = recover_to_write(&s->directory, s->log, NULL, &s->recovered, f);
    if (status != OK)
        return status;
    const struct engine *e = s->recovered.engine;
    int64_t took_ms = (os_clock_monotonic_ns() - began_ns) / 1000000;
    if (s->recovered.snapshots_refused > 0)
        journal_say(&s->journal, JOURNAL_WARNING, "recovery",
                    "a snapshot could not be used, the log was read from further back: %s",
                    s->recovered.snapshot_fault.text);
    if (s->recovered.results_lost > 0)
        journal_say(&s->journal, JOURNAL_WARNING, "recovery",
                    "%lu results before batch %lu are not in the log and cannot be made again: "
                    "nothing earlier that is whole is kept; the state has them, a verification "
                    "leaves them out",
                    s->recovered.results_lost, s->recovered.snapshot_batch + 1);
    if (s->recovered.snapshot_batch > 0)
        journal_say(&s->journal, JOURNAL_INFO, "recovery",
                    "recovered batch %lu in %ld ms: snapshot of batch %lu, %lu batches after it, "
                    "%lu result blocks agree",
                    engine_batch(e), took_ms, s->recovered.snapshot_batch, s->recovered.batches,
                    s->recovered.results_compared);
    else if (s->recovered.batches > 0)
        journal_say(
            &s->journal, JOURNAL_INFO, "recovery",
            "recovered batch %lu in %ld ms from the log alone: %lu batches, %lu result blocks "
            "agree",
            engine_batch(e), took_ms, s->recovered.batches, s->recovered.results_compared);
    return OK;
}

/* From here on this release writes. */
static enum status take_directory(struct server *s, struct fault *f)
{
    struct recovered *r = &s->recovered;
    char by[RELEASE_TEXT_BYTES];
    bool is_changed, has_past = engine_batch(r->engine) > 0;
    struct taking taking = {.log = s->log, .recovered = r, .now_ms = os_clock_utc_ms()};
    release_print(&r->release, by);
    enum status status = directory_take(&s->directory, &taking, &is_changed, f);
    if (status == OK && is_changed && has_past)
        journal_say(
            &s->journal, JOURNAL_INFO, "release",
            "the log was of release %s: what it decided last comes out the same, this release "
            "goes on behind a snapshot of batch %lu",
            by, engine_batch(r->engine) - 1);
    if (status == OK && names_count(engine_names(r->engine)) != names_count(evlog_names(s->log))) {
        fault_set(f, "the state has %u names, the log %u", names_count(engine_names(r->engine)),
                  names_count(evlog_names(s->log)));
        return GIVE_UP;
    }
    return status;
}

/* ---- sealing ------------------------------------------------------------------------------------- */

static void segment_closed(void *context, const char *path, uint64_t batch_first,
                           uint64_t batch_last)
{
    struct server *s = context;
    (void)path;
    (void)batch_first;
    (void)batch_last;
    if (s->sealer != NULL)
        sealer_wake(s->sealer);
}

static struct id128 record_owner(void *context, const struct record *r)
{
    struct server *s = context;
    return owner_by_address(&s->directory, r);
}

static void sealer_told(void *context, const struct seal_counts *counts, const struct fault *f)
{
    struct server *s = context;
    count_add(s, COUNTER_SEALED, counts->segments);
    if (f != NULL)
        journal_say(&s->journal, JOURNAL_ERROR, "log", "a closed segment could not be sealed: %s",
                    f->text);
    else
        journal_say(&s->journal, JOURNAL_INFO, "log",
                    "%u segments of the log were sealed: %lu records, %lu bytes became %lu",
                    counts->segments, counts->records, counts->bytes_before, counts->bytes_after);
}

static enum status start_sealer(struct server *s, struct fault *f)
{
    return sealer_start(&(struct sealer_options){.disk = s->directory.disk,
                                                 .dir = s->directory.log,
                                                 .owner = record_owner,
                                                 .context = s,
                                                 .told = sealer_told},
                        &s->sealer, f);
}

/* What was under way when the last run ended goes on first. */
static enum status go_on_in_turn(struct server *s, struct fault *f)
{
    struct erasure erasure = {0};
    bool is_changing = engine_change(s->recovered.engine).plan != NULL, is_erasing;
    atomic_store(&s->settled_batch, is_changing ? UINT64_MAX : engine_batch(s->recovered.engine));
    enum status status = erasing_read(&s->directory, &erasure, &is_erasing, f);
    erasure_fini(&erasure);
    if (status == OK && is_changing)
        must(turn_take(&s->turns, TURN_CHANGE));
    else if (status == OK && is_erasing)
        must(turn_take(&s->turns, TURN_ERASURE));
    return status;
}

enum status server_open(const struct server_options *options, struct server **out, struct fault *f)
{
    struct server *s = mem_new(sizeof(*s));
    s->journeys = journeys_new();
    s->monitors = monitor_board_new();
    s->options = *options;
    journal_init(&s->journal, options->journal, options->is_json, options->is_quiet);
    os_mutex_init(&s->names_lock);
    os_mutex_init(&s->past_lock);
    os_mutex_init(&s->failure_lock);
    enum status status = directory_make(os_disk_real(), options->data, NULL, &s->directory, f);
    struct evlog_options log = {.disk = os_disk_real(),
                                .spare = EVLOG_SPARE_BY_CALLER,
                                .closed = segment_closed,
                                .closed_context = s};
    if (status == OK &&
        !os_path_join(s->held_path, sizeof(s->held_path), s->directory.path, "held")) {
        fault_set(f, "the path of the data directory is too long");
        status = FIX_INPUT;
    }
    if (status == OK)
        status = evlog_open(s->directory.log, &log, &s->log, f);
    if (status == OK)
        status = recover_state(s, f);
    if (status == OK)
        status = take_directory(s, f);
    if (status == OK)
        status = go_on_in_turn(s, f);
    if (status != OK) {
        server_free(s);
        return status;
    }
    *out = s;
    return OK;
}

struct shelf *server_shelf(struct server *s)
{
    return &s->recovered.shelf;
}

/* ---- the committer's calls ----------------------------------------------------------------------- */

static int64_t host_now(void *context)
{
    return server_now_ms(context);
}

static void host_committed(void *context, struct committed *batch)
{
    struct server *s = context;
    atomic_store(&s->newest_batch, batch->batch.number);
    core_apply(s->core, batch);
}

static void host_failed(void *context, const struct fault *f)
{
    struct server *s = context;
    os_mutex_lock(&s->failure_lock);
    s->failure = *f;
    os_mutex_unlock(&s->failure_lock);
    atomic_store(&s->has_failed, true);
}

static void host_refused(void *context, void *token, enum status why, const struct fault *f)
{
    struct server *s = context;
    struct entry *e = token;
    switch (e->kind) {
    case ENTRY_EVENTS:
        ingest_batch_answer(e->events, why == TRY_AGAIN                     ? INGEST_FULL
                                       : atomic_load(&s->is_stopping) != 0u ? INGEST_IS_STOPPING
                                                                            : INGEST_FAILED);
        ingest_batch_release(e->events);
        break;
    case ENTRY_TICK: core_tick_refused(s->core); break;
    case ENTRY_RECEIPT:
        if (why == TRY_AGAIN) {
            sender_receipt_refused(s->sender, e);
            return;
        }
        break;
    case ENTRY_ERASE: atomic_fetch_add(&s->erasures_refused, 1); break; /* it is offered again */
    case ENTRY_NEXT: break;                                             /* likewise */
    case ENTRY_NAMES: break; /* the committer keeps the names */
    case ENTRY_START:        /* a disk that is full, say: the start ends, and says why */
        if (!atomic_load(&s->has_failed))
            host_failed(s, f);
        break;
    case ENTRY_COMMAND: operator_refused(e); break;
    case ENTRY_PROGRAMME: atomic_fetch_add(&s->programmes_refused, 1); break;
    }
    entry_free(e);
}

/* ---- start --------------------------------------------------------------------------------------- */

/* The vocabulary gets the names of the log, with their numbers, and behind them those that the programme
 * brought. */
static void learn_names(struct server *s)
{
    const struct names *names = s->recovered.shelf.names;
    s->vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX);
    for (uint32_t name = NAME_FIXED_END; name < names_count(names); name++)
        must(vocabulary_add(s->vocabulary, names_text(names, name), 0) == name);
    atomic_store(&s->names_in_log, names_count(engine_names(s->recovered.engine)));
}

/* The first batch of this run: an empty one, so that whatever is due happens. Waits until it has been
 * applied. */
static enum status begin(struct server *s, struct fault *f)
{
    struct entry *e = entry_new(ENTRY_START, 0);
    enum status status = feed_push(s, e);
    if (status != OK)
        entry_free(e);
    int64_t until_ns = os_clock_monotonic_ns() + START_MS_MAX * INT64_C(1000000);
    while (status == OK && !atomic_load(&s->is_started)) {
        if (atomic_load(&s->has_failed) || os_clock_monotonic_ns() > until_ns)
            status = GIVE_UP;
        else
            os_clock_sleep_ms(1);
    }
    if (status != OK)
        fault_set(f, "the log did not take a batch");
    return status;
}

/* Goes over to the plan. Where a programme is active already, a backfill does not keep the server from
 * starting under that one. *is_stopped: a signal came first. */
static enum status change(struct server *s, const struct plan *active, const struct plan *plan,
                          const struct programme_folder *folder, struct os_signals *signals,
                          bool *is_stopped, struct fault *f)
{
    enum status status = programme_store(s->directory.disk, s->directory.programmes, folder, f);
    if (status == OK)
        status = changes_start(s, active, plan, &s->changes, f);
    if (status != OK)
        return status;
    while (changes_is_busy(s->changes)) {
        if (active != NULL && changes_takes_long(s->changes))
            return OK;
        if (os_signals_wait(signals, 1) == OS_SIGNAL_STOP) {
            *is_stopped = true;
            return OK;
        }
    }
    return changes_outcome(s->changes, f);
}

/* What was granted and not reported when the last run ended. */
struct unreported {
    struct server *server;
    struct held *held; /* known not to be with a provider */
    struct pending *list;
    uint32_t count, room;
};

static void note_pending(void *self, struct pending p)
{
    struct unreported *u = self;
    if (u->count == u->room) {
        u->room = u->room ? u->room * 2 : 64;
        u->list = mem_resize(u->list, u->room * sizeof(u->list[0]));
    }
    u->list[u->count++] = p;
}

/* The person may be another profile's by now. */
static bool is_same(const struct pending *p, const struct held *h)
{
    return p->decision == h->decision && p->attempt == h->attempt;
}

/* Gives to the sender what the last run kept, if it is still pending; drops it from the list. */
static void go_on_with(struct unreported *u)
{
    while (u->held != NULL) {
        struct held *h = u->held;
        u->held = h->next;
        uint32_t i = 0;
        while (i < u->count && !is_same(&u->list[i], h))
            i++;
        if (i == u->count) {
            held_free(h);
            continue;
        }
        struct pending p = u->list[i];
        u->list[i] = u->list[--u->count];
        sender_take_held(u->server->sender, h);
        if (p.is_called_off) /* the last run may have ended before it was told */
            sender_recall(u->server->sender, &(struct recall){p.profile, p.decision, p.attempt});
    }
}

/* The rest may or may not have been transmitted: receipts in doubt. */
static enum status doubt(struct unreported *u)
{
    struct server *s = u->server;
    for (uint32_t first = 0; first < u->count; first += RECEIPTS_A_GO) {
        uint32_t count = min_of(u->count - first, RECEIPTS_A_GO);
        struct entry *e = entry_new(ENTRY_RECEIPT, count);
        for (uint32_t i = 0; i < count; i++) {
            const struct pending *p = &u->list[first + i];
            struct receipt receipt = {
                .kind = RECEIPT_IN_DOUBT,
                .profile = p->profile,
                .decision = p->decision,
                .attempt = p->attempt,
                .provider = p->provider,
                .detail = STR("the server ended before the provider answered"),
            };
            struct buf clear, personal;
            buf_init(&clear);
            buf_init(&personal);
            receipt_write(&receipt, server_now_ms(s), &clear, &personal, &e->records[i]);
            e->records[i].clear = entry_body(e, &clear);
            e->records[i].personal = entry_body(e, &personal);
            atomic_fetch_add(&s->receipts[RECEIPT_IN_DOUBT], 1);
        }
        enum status status;
        while ((status = feed_push(s, e)) == TRY_AGAIN)
            os_clock_sleep_ms(1);
        if (status != OK) {
            entry_free(e);
            return status;
        }
    }
    return OK;
}

static enum status read_unreported(struct server *s, struct unreported *u, struct fault *f)
{
    const struct engine *e = s->recovered.engine;
    u->server = s;
    engine_pending(s->recovered.engine, u, note_pending);
    return held_read(s->directory.disk, s->held_path, engine_batch(e), engine_plans(e), &u->held,
                     f);
}

static enum status settle_unreported(struct unreported *u, struct fault *f)
{
    uint32_t count = u->count;
    go_on_with(u);
    if (count > 0)
        journal_say(&u->server->journal, u->count ? JOURNAL_WARNING : JOURNAL_INFO, "recovery",
                    "%u attempts were under way when the last run ended: %u of them are in doubt, "
                    "%u go on",
                    count, u->count, count - u->count);
    enum status status = doubt(u);
    if (status != OK)
        fault_set(f, "the log did not take the receipts of attempts in doubt");
    return status;
}

/* "127.0.0.1:8080", "[::1]:8080" */
static enum status read_listen(const char *text, struct str *address, uint16_t *port,
                               struct fault *f)
{
    struct str whole = str_of(text);
    size_t mark = whole.len;
    while (mark > 0 && whole.at[mark - 1] != ':')
        mark--;
    int64_t number;
    if (mark < 2 || !str_to_int(str_part(whole, mark, whole.len), &number) || number < 0 ||
        number > 65535) {
        fault_set(f, "--listen wants an address and a port, as in 127.0.0.1:8080, not \"%.100s\"",
                  text);
        return FIX_INPUT;
    }
    *address = str_part(whole, 0, mark - 1);
    if (str_starts(*address, STR("[")) && str_ends(*address, STR("]")))
        *address = str_part(*address, 1, address->len - 2);
    if (str_is(*address, "localhost"))
        *address = STR("127.0.0.1");
    *port = (uint16_t)number;
    return OK;
}

enum status server_check_listen(const char *listen, struct fault *f)
{
    struct str address;
    uint16_t port;
    return read_listen(listen, &address, &port, f);
}

static enum status start_ingest(struct server *s, struct fault *f)
{
    const struct keys *keys = s->options.keys;
    s->ingest = ingest_new(
        &(struct ingest_options){.vocabulary = s->vocabulary, .secret = s->directory.secret});
    enum status status = ingest_set_keys(s->ingest, keys->list, keys->count, f);
    if (status != OK)
        return status;
    s->routes = ingest_routes_new(&(struct ingest_routes_options){
        .ingest = s->ingest,
        .sink = {feed_offer, s},
        .public_url = s->options.public_url ? str_of(s->options.public_url) : STR(""),
        .retry_after_s = RETRY_AFTER_S,
    });
    return OK;
}

static enum status start_http(struct server *s, struct fault *f)
{
    struct http_server_options http = {
        .threads = HTTP_THREADS,
        .limits = http_limits_default(),
        .handler = routes_handle,
        .context = s,
    };
    enum status status = read_listen(s->options.listen, &http.address, &http.port, f);
    struct http_server *server = NULL;
    if (status == OK)
        status = http_server_start(&http, &server, f);
    atomic_store(&s->http, server);
    return status;
}

static enum status start_all(struct server *s, const struct plan *plan,
                             const struct programme_folder *folder, struct os_signals *signals,
                             bool *is_stopped, struct fault *f)
{
    struct unreported unreported = {0};
    const struct plans *plans = engine_plans(s->recovered.engine);
    const struct plan *active = plans->newest ? plans->at[plans->newest] : NULL;
    struct committer_host host = {.context = s,
                                  .now_ms = host_now,
                                  .committed = host_committed,
                                  .refused = host_refused,
                                  .failed = host_failed};
    learn_names(s);
    count_set(s, COUNTER_DEDUPE_WINDOW, MESSAGES_KEPT);
    enum status status = start_ingest(s, f);
    if (status == OK)
        status = start_sealer(s, f);
    if (status == OK)
        status = read_unreported(s, &unreported, f);
    if (status == OK)
        status = sender_start(s, plan, active, &s->sender, f);
    if (status == OK && s->pace.has_jumped)
        sender_pause(s->sender, true);
    if (status == OK)
        status = core_start(s, &s->core, f);
    if (status == OK && s->recovered.snapshots_refused > 0) /* there is but one that is whole */
        core_want_snapshot(s->core, max_of(engine_batch(s->recovered.engine), UINT64_C(1)));
    if (status == OK)
        status = committer_start(s->log, &host, &s->committer, f);
    if (status == OK)
        status = held_remove(s->directory.disk, s->held_path, f);
    if (status == OK)
        status = begin(s, f);
    if (status == OK)
        status = settle_unreported(&unreported, f);
    if (status == OK)
        status = eraser_start(s, &s->eraser, f);
    if (status == OK)
        status = change(s, active, plan, folder, signals, is_stopped, f);
    if (status == OK && !*is_stopped)
        status = stories_start(&s->directory, &s->core, &s->stories, f);
    if (status == OK && !*is_stopped)
        status = start_http(s, f);
    held_free_list(unreported.held);
    mem_free(unreported.list);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void say_ready(struct server *s)
{
    struct str listen = str_of(s->options.listen);
    size_t mark = listen.len;
    while (mark > 0 && listen.at[mark - 1] != ':')
        mark--;
    journal_say(&s->journal, JOURNAL_INFO, "ready", "listening on http://%.*s:%u",
                (int)(mark > 0 ? mark - 1 : 0), listen.at, http_server_port(atomic_load(&s->http)));
}

static void look_at_clocks(struct server *s)
{
    int64_t utc_ms = os_clock_utc_ms();
    int64_t monotonic_ns = os_clock_monotonic_ns();
    bool had_jumped = s->pace.has_jumped;
    bool is_fine = pace_check(&s->pace, utc_ms, monotonic_ns);
    if (is_fine != had_jumped)
        return;
    sender_pause(s->sender, !is_fine);
    if (is_fine)
        journal_say(&s->journal, JOURNAL_WARNING, "clock",
                    "the clock agrees with the time that has passed again: sending goes on");
    else
        journal_say(&s->journal, JOURNAL_ERROR, "clock",
                    "the clock jumped by %ld s: nothing is sent until it is right again, or SIGHUP "
                    "says that it is",
                    pace_difference_ms(&s->pace, utc_ms, monotonic_ns) / 1000);
}

/* SIGHUP: the operator says that the clock is right, the providers are mended, and the programme's folder
 * may have changed. */
static void reload(struct server *s)
{
    pace_adopt(&s->pace, os_clock_utc_ms(), os_clock_monotonic_ns());
    sender_pause(s->sender, false);
    sender_try_again(s->sender);
    journal_say(&s->journal, JOURNAL_INFO, "reload",
                "the clock is taken for right, and providers "
                "that were left alone are tried again; the programme's folder is read again");
    if (!changes_ask(s->changes, CHANGE_DO, STR(""), NULL))
        journal_say(&s->journal, JOURNAL_WARNING, "reload",
                    "the programme's folder is not read: too much is asked already");
}

static void live(struct server *s, struct os_signals *signals)
{
    say_ready(s);
    while (!atomic_load(&s->has_failed)) {
        switch (os_signals_wait(signals, LOOK_MS)) {
        case OS_SIGNAL_NONE: look_at_clocks(s); break;
        case OS_SIGNAL_RELOAD: reload(s); break;
        case OS_SIGNAL_STOP: return;
        }
    }
}

/* ---- end ----------------------------------------------------------------------------------------- */

/* Everything that was acknowledged is applied, everything that was sent is reported; what is known not to
 * be sent is kept. */
static enum status stop_all(struct server *s, struct fault *f)
{
    struct held *left = NULL;
    struct http_server *http = atomic_load(&s->http);
    if (http != NULL)
        http_server_stop(http, HTTP_GRACE_MS);
    stories_free(s->stories);
    s->stories = NULL;
    eraser_stop(s->eraser);
    s->eraser = NULL;
    changes_stop(s->changes);
    atomic_store(&s->is_stopping, true);
    if (s->sender != NULL)
        sender_stop(s->sender, SEND_GRACE_MS);
    if (s->committer != NULL) {
        core_sync(s->core);
        committer_stop(s->committer);
    }
    s->committer = NULL;
    sealer_stop(s->sealer);
    s->sealer = NULL;
    if (s->core != NULL)
        core_join(s->core);
    if (s->sender != NULL)
        left = sender_end(s->sender);

    enum status status = OK;
    if (atomic_load(&s->has_failed) || !atomic_load(&s->is_started)) {
        held_free_list(left);
        return OK;
    }
    uint64_t batch = engine_batch(s->recovered.engine);
    if (left != NULL)
        status = held_write(s->directory.disk, s->held_path, batch, left, f);
    held_free_list(left);
    if (status == OK && batch > s->recovered.snapshot_batch)
        status = snapshot_engine(&s->directory, s->recovered.engine, f);
    if (status == OK) {
        status = evlog_close(s->log, f);
        s->log = NULL;
    }
    if (status == OK)
        journal_say(&s->journal, JOURNAL_INFO, "end", "stopped after batch %lu", batch);
    return status;
}

enum status server_run(struct server *s, const struct plan *plan,
                       const struct programme_folder *folder, struct os_signals *signals,
                       struct fault *f)
{
    struct fault at_end = {0};
    const struct engine *e = s->recovered.engine;
    int64_t least_ms = max_of(engine_now(e), evlog_now_ms(s->log));
    channel_global_init();
    pace_init(&s->pace, os_clock_utc_ms(), os_clock_monotonic_ns(), least_ms);
    if (s->pace.has_jumped)
        journal_say(&s->journal, JOURNAL_ERROR, "clock",
                    "the log ends %ld s after what the clock says: nothing is sent until the clock "
                    "has caught up, or SIGHUP says that it is right",
                    (least_ms - os_clock_utc_ms()) / 1000);
    bool is_stopped = false;
    enum status status = start_all(s, plan, folder, signals, &is_stopped, f);
    if (status == OK && !is_stopped)
        live(s, signals);
    enum status ended = stop_all(s, &at_end);
    if (status == OK && ended != OK) {
        status = ended;
        *f = at_end;
    }
    if (atomic_load(&s->has_failed)) {
        status = GIVE_UP;
        *f = s->failure;
    }
    channel_global_fini();
    return status;
}

void server_free(struct server *s)
{
    if (s == NULL)
        return;
    ingest_routes_free(s->routes);
    ingest_free(s->ingest);
    vocabulary_free(s->vocabulary);
    sender_free(s->sender);
    core_free(s->core);
    evlog_free(s->log);
    recovered_fini(&s->recovered);
    changes_free(s->changes);
    backfill_free(s->backfill);
    os_mutex_fini(&s->names_lock);
    os_mutex_fini(&s->past_lock);
    os_mutex_fini(&s->failure_lock);
    journal_fini(&s->journal);
    journeys_free(s->journeys);
    monitor_board_free(s->monitors);
    mem_free(s);
}
