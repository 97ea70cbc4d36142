/* house.h - an engine with a programme, people and a provider, for tests of the whole: programmes are
 * texts, people are named by texts, time is what the test says.
 *
 *     struct house *h = house_new();
 *     house_activate(h, "=== programme.yaml\nname: Test\n=== journeys/a.yaml\n...");
 *     house_meet(h, "ann", "email");                     known by e-mail, agrees to it
 *     house_event(h, "ann", "Signed Up", "plan=pro");    queued ...
 *     house_apply(h, at("12:00"));                       ... and applied as one batch
 *     house_run(h, at("20:00"));                         ticks, answers of the provider, inboxes
 *     assert_int_equal(house_sent(h, "ann", "hello"), 1);
 *     house_free(h);
 *
 * A person is written "ann" (a user id), "~tablet" (an anonymous id) or "ann~tablet" (both), or, for events
 * without an id, "@ann@example.org" or "#+447" (who has that address or phone). Everything
 * that comes out is kept: rows of results and actions. After each batch the engine's audit is asked,
 * unless house->audits_every is more than 1.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/mem.h"
#include "engine/invariants.h"
#include "model/identifier.h"
#include "model/receipt.h"

#include "test.h"

#define HOUSE_START_MS INT64_C(1772409600000) /* 2026-03-02T00:00Z, a Monday */
#define HOUSE_RECORDS  2048
#define HOUSE_VERSIONS 8

struct house_attempt {
    uint64_t profile, decision;
    uint32_t message, journey, attempt, provider; /* names */
    uint8_t channel, lane;
    int64_t at_ms, deadline_ms;
    char address[64];
    char zone[32];
    char fields[128]; /* of type text, joined by | */
};

struct house_row {
    struct result result;
    uint64_t batch;
    int64_t now_ms;
};

struct house_receipt {
    struct receipt receipt;
    int64_t at_ms;
};

struct house {
    struct names *names;
    struct plan *plans[HOUSE_VERSIONS];
    uint32_t plan_count;
    struct engine *engine;
    struct invariants *invariants; /* looked after in every batch; NULL = none was applied yet */
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    uint64_t batch;
    int64_t now_ms;
    uint32_t names_told;
    uint32_t audits_every;

    /* What the provider says, and how long it takes; NULL: accepted, at once. LATER is no answer at all:
     * the test sends it with house_receipt(). */
    enum receipt_kind (*answer)(struct house *h, const struct house_attempt *a, int64_t *delay_ms);
    void *self;

    struct arena bodies; /* of the batch being put together */
    struct record records[HOUSE_RECORDS];
    uint32_t record_count;
    uint64_t messages; /* makes message ids */
    uint8_t flags;     /* of records: RECORD_IS_SERVER */

    struct house_receipt *receipts;
    uint32_t receipt_count, receipt_room;
    struct house_attempt *attempts;
    uint32_t attempt_count, attempt_room;
    struct recall *recalls; /* attempts that are not to be tried again */
    uint32_t recall_count, recall_room;
    struct house_row *rows;
    uint32_t row_count, row_room;
    struct buf log; /* all result blocks, for comparison */

    struct house_saving *saving; /* the snapshot that is taken while batches go on */
    uint32_t saves;              /* that were whole, and found to be what the state was */
};

#define HOUSE_LATER ((enum receipt_kind)0)

/* A time of the first day, "12:30", or of another: "2 12:30" is two days later. */
int64_t at(const char *text);

struct house *house_new(void);
void house_free(struct house *h);

/* Compiles the programme (files headed by "=== path" lines) and activates it in a batch of its own. */
void house_activate(struct house *h, const char *programme);

/* Known, with an address and consent on each of `channels` ("email", "email sms", ""). */
void house_meet(struct house *h, const char *who, const char *channels);

/* Queue a record for the next batch. `fields`: "cart_id=1 value=80.0 name=Tent vip=true". */
struct record *house_event(struct house *h, const char *who, const char *event, const char *fields);
struct record *house_identify(struct house *h, const char *who, const char *fields);
struct record *house_consent(struct house *h, const char *who, const char *channel, bool agrees);
struct record *house_alias(struct house *h, const char *who, const char *previous);

/* Applies what is queued as one batch. */
void house_apply(struct house *h, int64_t now_ms);

/* Lets time pass: receipts, inboxes and ticks up to and including until_ms. */
void house_run(struct house *h, int64_t until_ms);

/* A provider's report about the n-th attempt, in a batch of its own. */
void house_receipt(struct house *h, uint32_t attempt, enum receipt_kind kind, int32_t code);

/* The state is saved, loaded into another engine, and must be equal; the test goes on with the copy. */
void house_hop(struct house *h);

void house_check(struct house *h);

uint32_t house_name(const struct house *h, const char *text);
uint64_t house_person(const struct house *h, const char *who);
void house_look(struct house *h, const char *who, struct person *out);

/* Attempts of the message (to anybody: who NULL), and when the first was, in ms since the start; -1. */
uint32_t house_sent(const struct house *h, const char *who, const char *message);
int64_t house_when(const struct house *h, const char *who, const char *message);

/* Rows of a kind about the journey or message (NULL = any); the last one's `how`. */
uint32_t house_count(const struct house *h, enum result_kind kind, const char *about);
int house_last(const struct house *h, enum result_kind kind, const char *about);
