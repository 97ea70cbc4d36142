/* SPDX-License-Identifier: Apache-2.0 */
#include "support/house.h"

#include <string.h>

#include "profile/identity.h"
#include "support/words.h"

int64_t at(const char *text)
{
    int day = 0, hour = 0, minute = 0;
    if (sscanf(text, "%d %d:%d", &day, &hour, &minute) != 3) {
        day = 0;
        int read = sscanf(text, "%d:%d", &hour, &minute);
        assert_int_equal(read, 2);
    }
    return HOUSE_START_MS + day * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;
}

static struct engine *engine_fresh(const struct house *h)
{
    struct engine_options options = {.secret = h->secret, .messages_remembered = 1 << 17};
    return engine_new(&options);
}

struct house *house_new(void)
{
    struct house *h = mem_new(sizeof(*h));
    for (uint32_t i = 0; i < sizeof(h->secret); i++)
        h->secret[i] = (uint8_t)(i * 7 + 1);
    h->names = names_new();
    h->engine = engine_fresh(h);
    h->now_ms = HOUSE_START_MS;
    h->names_told = NAME_FIXED_END;
    h->audits_every = 1;
    h->flags = RECORD_IS_SERVER;
    arena_init(&h->bodies, 16384);
    buf_init(&h->log);
    return h;
}

static void drop_saving(struct house *h);

void house_free(struct house *h)
{
    drop_saving(h);
    invariants_free(h->invariants);
    engine_free(h->engine);
    for (uint32_t i = 0; i < h->plan_count; i++)
        programme_plan_free(h->plans[i]);
    names_free(h->names);
    arena_fini(&h->bodies);
    buf_fini(&h->log);
    mem_free(h->receipts);
    mem_free(h->attempts);
    mem_free(h->rows);
    mem_free(h->recalls);
    mem_free(h);
}

/* ---- programmes --------------------------------------------------------------------------------- */

static struct plan *compile(struct house *h, const char *programme)
{
    struct programme_file files[1024];
    struct programme_folder folder;
    struct findings findings;
    struct plan *plan = NULL;
    struct fault f = {0};
    struct buf b;
    uint32_t count = words_files(programme, files, array_count(files));
    buf_init(&b);
    words_zones(&b);
    findings_init(&findings);
    if (programme_folder_of(files, count, buf_str(&b), &folder, &f) != OK)
        fail_msg("%s", f.text);
    if (programme_compile(&folder, h->names, &plan, &findings) != OK) {
        struct buf said;
        buf_init(&said);
        for (uint32_t i = 0; i < findings.count; i++)
            finding_print(&findings.list[i], &said);
        buf_add_byte(&said, 0);
        fail_msg("%s", (const char *)said.at);
    }
    programme_folder_fini(&folder);
    findings_fini(&findings);
    buf_fini(&b);
    return plan;
}

/* ---- records ------------------------------------------------------------------------------------ */

static struct body keep(struct house *h, struct buf *b)
{
    struct str kept = arena_copy(&h->bodies, buf_str(b));
    buf_fini(b);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

static struct record *add(struct house *h)
{
    assert_true(h->record_count < HOUSE_RECORDS);
    struct record *r = &h->records[h->record_count++];
    *r = (struct record){.schema = RECORD_SCHEMA};
    return r;
}

static struct record *record_of(struct house *h, enum event_kind kind, const char *who,
                                uint32_t event, const char *fields)
{
    struct buf b;
    struct str user, anonymous;
    struct record *r = add(h);
    r->type = RECORD_EVENT;
    r->kind = (uint8_t)kind;
    r->flags = h->flags;
    r->name = event;
    r->message_hash = hash_pair(17, ++h->messages) | 1;
    words_ids(h->secret, who, &r->user, &r->anonymous, &user, &anonymous);
    buf_init(&b);
    if (user.len)
        body_put_text(&b, NAME_USER_ID, user);
    if (anonymous.len)
        body_put_text(&b, NAME_ANONYMOUS_ID, anonymous);
    if (who[0] == '@' || who[0] == '#')
        body_put_text(&b, who[0] == '@' ? NAME_FIND_EMAIL : NAME_FIND_PHONE, str_of(who + 1));
    words_fields(h->names, fields, &b);
    r->personal = keep(h, &b);
    return r;
}

struct record *house_event(struct house *h, const char *who, const char *event, const char *fields)
{
    return record_of(h, EVENT_TRACK, who, names_add(h->names, str_of(event)), fields);
}

struct record *house_identify(struct house *h, const char *who, const char *fields)
{
    return record_of(h, EVENT_IDENTIFY, who, NAME_NONE, fields);
}

struct record *house_consent(struct house *h, const char *who, const char *channel, bool agrees)
{
    char fields[64];
    snprintf(fields, sizeof(fields), "channel=%s status=%s", channel,
             agrees ? "granted" : "denied");
    return record_of(h, EVENT_TRACK, who, NAME_CONSENT_CHANGED, fields);
}

struct record *house_alias(struct house *h, const char *who, const char *previous)
{
    struct record *r = record_of(h, EVENT_ALIAS, who, NAME_NONE, "");
    r->previous = identifier_hash(IDENTIFIER_USER, str_of(previous), h->secret);
    return r;
}

void house_meet(struct house *h, const char *who, const char *channels)
{
    char fields[200], copy[64], *rest = NULL;
    const char *id = strchr(who, '~') ? strchr(who, '~') + 1 : who;
    snprintf(fields, sizeof(fields), "email=%s@example.org phone=+44%u", id,
             (unsigned)(hash_str(str_of(id), 1) % 1000000));
    house_identify(h, who, fields);
    snprintf(copy, sizeof(copy), "%s", channels);
    for (char *channel = strtok_r(copy, " ", &rest); channel; channel = strtok_r(NULL, " ", &rest))
        house_consent(h, who, channel, true);
    house_apply(h, h->now_ms);
}

/* ---- batches ------------------------------------------------------------------------------------ */

static void keep_attempt(struct house *h, const struct action *a, int64_t now_ms)
{
    const struct plan *plan = engine_plans(h->engine)->at[a->plan];
    if (h->attempt_count == h->attempt_room) {
        h->attempt_room = h->attempt_room ? h->attempt_room * 2 : 64;
        h->attempts = mem_resize(h->attempts, h->attempt_room * sizeof(h->attempts[0]));
    }
    struct house_attempt *x = &h->attempts[h->attempt_count++];
    *x = (struct house_attempt){.profile = a->profile,
                                .decision = a->decision,
                                .message = a->message_name,
                                .journey = a->journey_name,
                                .attempt = a->attempt,
                                .provider = plan->providers[a->provider].name,
                                .channel = a->channel,
                                .lane = a->lane,
                                .at_ms = now_ms,
                                .deadline_ms = a->deadline_ms};
    assert_true(a->address.len < sizeof(x->address));
    snprintf(x->address, sizeof(x->address), "%.*s", STR_ARG(a->address));
    snprintf(x->zone, sizeof(x->zone), "%.*s", STR_ARG(a->zone));
    for (uint32_t i = 0; i < a->field_count; i++) {
        size_t used = strlen(x->fields);
        if (a->fields[i].type == VALUE_TEXT)
            snprintf(x->fields + used, sizeof(x->fields) - used, "%s%.*s", used ? "|" : "",
                     STR_ARG(a->fields[i].text));
    }
    int64_t delay_ms = 0;
    enum receipt_kind kind = h->answer ? h->answer(h, x, &delay_ms) : RECEIPT_ACCEPTED;
    if (kind == HOUSE_LATER)
        return;
    if (h->receipt_count == h->receipt_room) {
        h->receipt_room = h->receipt_room ? h->receipt_room * 2 : 64;
        h->receipts = mem_resize(h->receipts, h->receipt_room * sizeof(h->receipts[0]));
    }
    h->receipts[h->receipt_count++] =
        (struct house_receipt){.receipt = {.kind = kind,
                                           .profile = x->profile,
                                           .decision = x->decision,
                                           .attempt = x->attempt,
                                           .provider = x->provider,
                                           .code = kind == RECEIPT_REJECTED_ADDRESS ? 550 : 0},
                               .at_ms = now_ms + delay_ms};
}

/* The names that the records of the batch need stand before them. */
static void tell_names(struct house *h)
{
    uint32_t fresh = names_count(h->names) - h->names_told;
    assert_true(h->record_count + fresh <= HOUSE_RECORDS);
    memmove(&h->records[fresh], h->records, h->record_count * sizeof(h->records[0]));
    for (uint32_t i = 0; i < fresh; i++) {
        struct buf b;
        buf_init(&b);
        body_put_text(&b, NAME_TEXT, names_text(h->names, h->names_told + i));
        h->records[i] = (struct record){.type = RECORD_NAME,
                                        .schema = RECORD_SCHEMA,
                                        .name = h->names_told + i,
                                        .clear = keep(h, &b)};
    }
    h->record_count += fresh;
    h->names_told += fresh;
}

static void note_fault(void *self, struct str line)
{
    (void)self;
    printf("audit: %.*s\n", STR_ARG(line));
}

/* ---- snapshots ---------------------------------------------------------------------------------- */

/* One snapshot after the other is taken while batches go on, in pieces of all sizes; each must be what the
 * state was when it was begun. */
#define SAVES_EVERY 7 /* batches */

struct house_section {
    char name[32];
    uint32_t partition;
    struct buf bytes;
};

struct house_saving {
    uint64_t hash, next; /* of the state then; to be asked by engine_next() */
    uint64_t steps;
    struct house_section *sections;
    uint32_t count;
};

static void drop_saving(struct house *h)
{
    struct house_saving *s = h->saving;
    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        buf_fini(&s->sections[i].bytes);
    mem_free(s->sections);
    mem_free(s);
    h->saving = NULL;
}

static void keep_piece(void *self, struct str name, uint32_t partition, struct str bytes)
{
    struct house_saving *s = self;
    struct house_section *x = s->count ? &s->sections[s->count - 1] : NULL;
    assert_true(bytes.len > 0);
    if (x == NULL || !str_is(name, x->name) || x->partition != partition) {
        for (uint32_t i = 0; i < s->count; i++)
            assert_false(str_is(name, s->sections[i].name) &&
                         s->sections[i].partition == partition);
        s->sections = mem_resize(s->sections, (s->count + 1) * sizeof(s->sections[0]));
        x = &s->sections[s->count++];
        *x = (struct house_section){.partition = partition};
        assert_true(str_to_z(name, x->name, sizeof(x->name)));
        buf_init(&x->bytes);
    }
    buf_add_str(&x->bytes, bytes);
}

static void check_saved(struct house *h)
{
    const struct house_saving *s = h->saving;
    struct engine *copy = engine_fresh(h);
    struct fault f = {0};
    for (uint32_t i = 0; i < h->plan_count; i++)
        engine_prepare(copy, h->plans[i]);
    for (uint32_t i = 0; i < s->count; i++)
        if (engine_load(copy, str_of(s->sections[i].name), s->sections[i].partition,
                        buf_str(&s->sections[i].bytes), &f) != OK)
            fail_msg("%s", f.text);
    assert_int_equal(engine_save_hash(h->engine), s->hash);
    assert_int_equal(engine_hash(copy), s->hash);
    assert_int_equal(engine_next(copy), s->next);
    engine_free(copy);
    h->saves++;
}

static void go_on_saving(struct house *h)
{
    struct house_saving *s = h->saving;
    if (s == NULL && h->batch % SAVES_EVERY == 0 && h->names_told == names_count(h->names)) {
        h->saving = s = mem_new(sizeof(*s));
        s->hash = engine_hash(h->engine);
        s->next = (uint64_t)engine_next(h->engine);
        engine_save_begin(h->engine);
        return;
    }
    if (s == NULL)
        return;
    uint64_t work = UINT64_C(1) << hash_pair(h->batch, s->steps++) % 17;
    enum save_state state = engine_save_step(h->engine, work, s, keep_piece);
    if (state == SAVE_GOES_ON)
        return;
    if (state == SAVE_IS_WHOLE)
        check_saved(h);
    engine_save_end(h->engine);
    drop_saving(h);
}

void house_apply(struct house *h, int64_t now_ms)
{
    struct engine_output out;
    assert_true(now_ms >= h->now_ms);
    h->now_ms = now_ms;
    tell_names(h);
    for (uint32_t i = 0; i < h->record_count; i++) {
        struct record *r = &h->records[i];
        r->at_ms = r->at_ms ? r->at_ms : now_ms;
        r->arrival_ms = r->arrival_ms ? r->arrival_ms : r->at_ms;
        r->event_ms = r->event_ms ? r->event_ms : r->at_ms;
    }
    struct batch batch = {++h->batch, now_ms, h->record_count, h->records};
    if (h->invariants == NULL)
        h->invariants = invariants_new(h->engine, NULL, note_fault);
    engine_apply(h->engine, &batch, &out);
    if (invariants_batch(h->invariants, &batch) != 0)
        fail_msg("an invariant is broken in batch %lu", h->batch);
    h->record_count = 0;
    results_write(out.results, out.result_count, now_ms, &h->log);
    for (uint32_t i = 0; i < out.result_count; i++) {
        if (h->row_count == h->row_room) {
            h->row_room = h->row_room ? h->row_room * 2 : 256;
            h->rows = mem_resize(h->rows, h->row_room * sizeof(h->rows[0]));
        }
        h->rows[h->row_count++] = (struct house_row){out.results[i], h->batch, now_ms};
    }
    for (uint32_t i = 0; i < out.action_count; i++)
        keep_attempt(h, &out.actions[i], now_ms);
    for (uint32_t i = 0; i < out.recall_count; i++) {
        if (h->recall_count == h->recall_room) {
            h->recall_room = h->recall_room ? h->recall_room * 2 : 16;
            h->recalls = mem_resize(h->recalls, h->recall_room * sizeof(h->recalls[0]));
        }
        h->recalls[h->recall_count++] = out.recalls[i];
    }
    arena_reset(&h->bodies);
    if (h->batch % h->audits_every == 0)
        house_check(h);
    go_on_saving(h);
}

static void put_receipt(struct house *h, const struct receipt *receipt)
{
    struct buf clear, personal;
    struct record *r = add(h);
    buf_init(&clear);
    buf_init(&personal);
    receipt_write(receipt, h->now_ms, &clear, &personal, r);
    r->clear = keep(h, &clear);
    r->personal = keep(h, &personal);
}

/* The receipt that is due first; UINT32_MAX if none. */
static uint32_t first_receipt(const struct house *h)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < h->receipt_count; i++)
        if (first == UINT32_MAX || h->receipts[i].at_ms < h->receipts[first].at_ms)
            first = i;
    return first;
}

void house_run(struct house *h, int64_t until_ms)
{
    for (int guard = 0; guard < 200000; guard++) {
        uint32_t first = first_receipt(h);
        int64_t receipt_ms =
            first == UINT32_MAX ? FOREVER_MS : max_of(h->receipts[first].at_ms, h->now_ms);
        int64_t next_ms = min_of(receipt_ms, max_of(engine_next(h->engine), h->now_ms));
        if (engine_has_inbox(h->engine))
            next_ms = h->now_ms;
        if (next_ms > until_ms) {
            h->now_ms = max_of(h->now_ms, until_ms);
            return;
        }
        if (receipt_ms <= next_ms) {
            put_receipt(h, &h->receipts[first].receipt);
            memmove(&h->receipts[first], &h->receipts[first + 1],
                    (--h->receipt_count - first) * sizeof(h->receipts[0]));
        }
        house_apply(h, next_ms);
    }
    fail_msg("the house never rests");
}

void house_receipt(struct house *h, uint32_t attempt, enum receipt_kind kind, int32_t code)
{
    assert_true(attempt < h->attempt_count);
    const struct house_attempt *a = &h->attempts[attempt];
    struct receipt receipt = {.kind = kind,
                              .profile = a->profile,
                              .decision = a->decision,
                              .attempt = a->attempt,
                              .provider = a->provider,
                              .code = code};
    put_receipt(h, &receipt);
    house_apply(h, h->now_ms);
}

void house_activate(struct house *h, const char *programme)
{
    struct buf b;
    assert_true(h->plan_count < HOUSE_VERSIONS);
    struct plan *plan = compile(h, programme);
    h->plans[h->plan_count++] = plan;
    engine_prepare(h->engine, plan);
    buf_init(&b);
    body_put_text(&b, NAME_PROGRAMME, str_of(plan->hash));
    struct record *r = add(h);
    r->type = RECORD_PROGRAMME;
    r->kind = PROGRAMME_ACTIVATE;
    r->clear = keep(h, &b);
    house_apply(h, h->now_ms);
}

static void load_section(void *self, struct str section, uint32_t partition, struct str bytes)
{
    struct fault f = {0};
    if (engine_load(self, section, partition, bytes, &f) != OK)
        fail_msg("%s", f.text);
}

void house_hop(struct house *h)
{
    struct engine *copy = engine_fresh(h);
    for (uint32_t i = 0; i < h->plan_count; i++)
        engine_prepare(copy, h->plans[i]);
    engine_save_end(h->engine);
    drop_saving(h);
    engine_save(h->engine, copy, load_section);
    assert_int_equal(engine_hash(copy), engine_hash(h->engine));
    assert_int_equal(engine_next(copy), engine_next(h->engine));
    assert_int_equal(engine_has_inbox(copy), engine_has_inbox(h->engine));
    invariants_free(h->invariants);
    h->invariants = NULL; /* those of the copy know nothing of the time before */
    engine_free(h->engine);
    h->engine = copy;
}

/* ---- looking ------------------------------------------------------------------------------------ */

void house_check(struct house *h)
{
    if (engine_audit(h->engine, NULL, note_fault) != 0)
        fail_msg("the audit finds faults after batch %lu", h->batch);
}

uint32_t house_name(const struct house *h, const char *text)
{
    uint32_t name = names_find(h->names, str_of(text));
    if (name == NAME_NONE)
        fail_msg("no name \"%s\"", text);
    return name;
}

uint64_t house_person(const struct house *h, const char *who)
{
    struct id128 user, anonymous;
    struct str user_text, anonymous_text;
    words_ids(h->secret, who, &user, &anonymous, &user_text, &anonymous_text);
    return engine_find(h->engine, user_text.len ? user : anonymous);
}

void house_look(struct house *h, const char *who, struct person *out)
{
    uint64_t number = house_person(h, who);
    assert_true(number != 0);
    engine_look(h->engine, number, out);
}

/* Is the attempt's profile part of the person by now? */
static bool is_to(const struct house *h, const struct house_attempt *a, const char *who)
{
    struct person person;
    if (who == NULL)
        return true;
    engine_look(h->engine, a->profile, &person);
    return person.id == house_person(h, who);
}

uint32_t house_sent(const struct house *h, const char *who, const char *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->attempt_count; i++)
        count += h->attempts[i].message == house_name(h, message) && is_to(h, &h->attempts[i], who);
    return count;
}

int64_t house_when(const struct house *h, const char *who, const char *message)
{
    for (uint32_t i = 0; i < h->attempt_count; i++)
        if (h->attempts[i].message == house_name(h, message) && is_to(h, &h->attempts[i], who))
            return h->attempts[i].at_ms;
    return -1;
}

static bool is_about(const struct house *h, const struct result *row, const char *about)
{
    return about == NULL || row->journey == house_name(h, about) ||
           row->message == house_name(h, about);
}

uint32_t house_count(const struct house *h, enum result_kind kind, const char *about)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < h->row_count; i++)
        count += h->rows[i].result.kind == kind && is_about(h, &h->rows[i].result, about);
    return count;
}

int house_last(const struct house *h, enum result_kind kind, const char *about)
{
    for (uint32_t i = h->row_count; i-- > 0;)
        if (h->rows[i].result.kind == kind && is_about(h, &h->rows[i].result, about))
            return h->rows[i].result.how;
    return -1;
}
