/* fixture.h - for this room's tests: a small shop with made-up customers, written to a log.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/mem.h"
#include "os/fake_disk.h"
#include "replay/recover.h"
#include "replay/synth.h"
#include "replay/world.h"
#include "test.h"
#include "when/zone.h"

#define START_MS INT64_C(1772409600000)

static const struct programme_file files[] = {
    {{"programme.yaml", 14},
     {"name: Small\ntimezone: Europe/London\ntraits:\n  first_name: {type: string}\n"
      "categories:\n  lifecycle: {lane: marketing, valid_for: 3d, priority: 500}\n"
      "  order: {lane: service, purpose: contract}\n",
      0}},
    {{"providers/mail.yaml", 19},
     {"kind: smtp\nchannel: email\nslots: 4\n"
      "settings: {url: 'smtp://127.0.0.1:2525', from: 'Small <small@example.org>'}\n",
      0}},
    {{"messages/hello/message.yaml", 27},
     {"category: lifecycle\nemail:\n  subject: 'Hello {{ person.first_name }}'\n", 0}},
    {{"messages/hello/email.txt.liquid", 31}, {"Hello {{ entry.cart_id }}\n", 0}},
    {{"messages/thanks/message.yaml", 28}, {"category: order\nemail:\n  subject: 'Thanks'\n", 0}},
    {{"messages/thanks/email.txt.liquid", 32}, {"Thanks for {{ entry.order_id }}\n", 0}},
    {{"journeys/cart.yaml", 18},
     {"journey: cart\nowner: x\ngoal: {event: Order Completed, within: 7d}\n"
      "enter: {event: Cart Updated, key: event.cart_id, again: {after: 1d, of: end, per: person}}\n"
      "steps:\n  - wait: {for: 1h, reset_by: Cart Updated}\n  - send: hello\n",
      0}},
    {{"journeys/thanks.yaml", 20},
     {"journey: thanks\nowner: x\nenter: {event: Order Completed, again: always}\n"
      "steps:\n  - send: thanks\n",
      0}},
    {{"journeys/loyal.yaml", 19},
     {"journey: loyal\nowner: x\n"
      "enter: {if: 'count(\"Order Completed\", \"30d\") >= 2 && has_been(did(\"Cart Updated\"), \"1d\")'}\n"
      "steps:\n  - send: thanks\n",
      0}},
    {{"tests/wrong.yaml", 16},
     {"- it: expects what does not happen\n"
      "  given:\n    people: [{id: ann, traits: {email: ann@example.org}, consent: [email]}]\n"
      "  when:\n    - {at: 2026-03-02T12:00, person: ann, event: Cart Updated, properties: {cart_id: c1}}\n"
      "  expect:\n    - {person: ann, not_sent: hello}\n"
      "- it: expects what happens\n"
      "  given:\n    people: [{id: ann, traits: {email: ann@example.org}, consent: [email]}]\n"
      "  when:\n    - {at: 2026-03-02T12:00, person: ann, event: Cart Updated, properties: {cart_id: c1}}\n"
      "  expect:\n    - {person: ann, sent: hello, at: 2026-03-02T13:01}\n",
      0}},
};

/* The folder of the files, with one zone. */
static inline void folder_of(const struct programme_file *from, uint32_t count,
                             struct programme_folder *folder)
{
    struct programme_file *list = mem_new(count * sizeof(*list));
    struct zone_file zone = {STR("Europe/London"), STR("GMT0BST,M3.5.0/1,M10.5.0")};
    struct zoneset *zones;
    struct fault f = {0};
    struct buf bytes;
    buf_init(&bytes);
    assert_int_equal(zoneset_build(STR("test"), &zone, 1, &zones, &f), OK);
    zoneset_write(zones, &bytes);
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct programme_file){from[i].path, str_of(from[i].text.at)};
    if (programme_folder_of(list, count, buf_str(&bytes), folder, &f) != OK)
        fail_msg("%s", f.text);
    zoneset_free(zones);
    buf_fini(&bytes);
    mem_free(list);
}

static inline void small_folder(struct programme_folder *folder)
{
    folder_of(files, array_count(files), folder);
}

static inline struct plan *small_plan(const struct programme_folder *folder, struct shelf *shelf)
{
    struct findings findings;
    struct plan *plan = NULL;
    findings_init(&findings);
    if (programme_compile(folder, shelf->names, &plan, &findings) != OK)
        fail_msg("%.*s: %.*s", STR_ARG(findings.list[0].place.file),
                 STR_ARG(findings.list[0].text));
    findings_fini(&findings);
    shelf_add(shelf, plan);
    return plan;
}

struct shop {
    struct os_disk *disk;
    struct directory directory;
    struct programme_folder folder;
    struct shelf shelf;
    struct evlog *log;
    struct world *world;
    struct synth *synth;
    uint64_t committed; /* batch that is durable */
    uint64_t *hashes;   /* state hash by batch; NULL = not wanted */
};

static inline void note_hash(void *self, uint64_t batch, int64_t now_ms, const struct result *rows,
                             uint32_t count)
{
    struct shop *s = self;
    (void)now_ms;
    (void)rows;
    (void)count;
    if (s->hashes != NULL && batch < 20000)
        s->hashes[batch] = engine_hash(world_engine(s->world));
}

/* Opens a shop under the programme in `folder`, which is the shop's from here on. `act` is given the shop and each
 * attempt; NULL: all are accepted at once. */
static inline bool shop_open_served(struct shop *s, struct os_disk *disk,
                                    struct programme_folder folder, uint64_t seed, uint32_t people,
                                    int64_t days, uint64_t *hashes,
                                    void (*act)(void *self, const struct action *a, int64_t now_ms))
{
    struct fault f = {0};
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    *s = (struct shop){.disk = disk, .hashes = hashes, .folder = folder};
    directory_secret(3, secret);
    shelf_init(&s->shelf, NULL);
    struct plan *plan = small_plan(&s->folder, &s->shelf);
    struct evlog_options options = {.disk = disk, .segment_bytes = 1 << 20, .log_id = 11};
    if (directory_make(disk, "/shop", secret, &s->directory, &f) != OK ||
        programme_store(disk, s->directory.programmes, &s->folder, &f) != OK ||
        evlog_open(s->directory.log, &options, &s->log, &f) != OK)
        return false;
    struct world_options world = {.secret = s->directory.secret,
                                  .log = s->log,
                                  .host = {.self = s, .act = act, .results = note_hash}};
    s->world = world_new(&s->shelf, &world, START_MS);
    struct synth_options synth = {
        .seed = seed, .people = people, .start_ms = START_MS, .end_ms = START_MS + days * DAY_MS};
    s->synth = synth_new(&synth);
    return world_activate(s->world, plan, &f) == OK;
}

static inline bool shop_open_with(struct shop *s, struct os_disk *disk,
                                  struct programme_folder folder, uint64_t seed, uint32_t people,
                                  int64_t days, uint64_t *hashes)
{
    return shop_open_served(s, disk, folder, seed, people, days, hashes, NULL);
}

static inline bool shop_open(struct shop *s, struct os_disk *disk, uint64_t seed, uint32_t people,
                             int64_t days, uint64_t *hashes)
{
    struct programme_folder folder;
    small_folder(&folder);
    return shop_open_with(s, disk, folder, seed, people, days, hashes);
}

/* One event of the made-up people; false where the disk failed. */
static inline bool shop_step(struct shop *s)
{
    struct synth_event e;
    struct buf personal;
    struct fault f = {0};
    synth_next(s->synth, &e);
    buf_init(&personal);
    for (uint32_t i = 0; i < e.field_count; i++)
        body_put(&personal, names_add(s->shelf.names, e.fields[i].path), &e.fields[i].value);
    struct record r = {
        .type = RECORD_EVENT,
        .kind = e.kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = e.kind == EVENT_TRACK  ? names_add(s->shelf.names, e.name)
                : e.kind == EVENT_PAGE ? (uint32_t)NAME_PAGE
                                       : 0,
        .at_ms = e.at_ms,
        .event_ms = e.at_ms,
        .arrival_ms = e.at_ms,
        .message_hash = hash_str(e.message_id, 1) | 1,
        .anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, e.anonymous_id, s->directory.secret),
        .personal = body_of(&personal),
    };
    if (!e.is_anonymous)
        r.user = identifier_hash(IDENTIFIER_USER, e.user_id, s->directory.secret);
    bool is_fine = world_apply(s->world, &r, &f) == OK;
    buf_fini(&personal);
    return is_fine;
}

/* All that they do from here on, committed, with a snapshot behind the event `snapshot_at` (from 0; UINT32_MAX:
 * none). False where the disk failed. */
static inline bool shop_live(struct shop *s, uint32_t snapshot_at)
{
    struct fault f = {0};
    for (uint32_t i = 0; synth_next_ms(s->synth) != FOREVER_MS; i++) {
        if (!shop_step(s))
            return false;
        if (i == snapshot_at && snapshot_engine(&s->directory, world_engine(s->world), &f) != OK)
            return false;
    }
    return world_commit(s->world, &f) == OK;
}

static inline void shop_close(struct shop *s)
{
    evlog_free(s->log);
    world_free(s->world);
    synth_free(s->synth);
    shelf_fini(&s->shelf);
    programme_folder_fini(&s->folder);
}
