/* crowd.h - many people in an engine of their own, made quickly: by records, without HTTP and without parsing.
 *
 *     crowd_open(&c, path or NULL, files, count)   an engine whose programme is active; with a path, a data
 *                                                  directory whose log has all that follows
 *     add = crowd_add(&c, ...); crowd_apply(&c)    a batch at c.now_ms
 *     crowd_save(&c)                               a snapshot, from which a server can start
 *     crowd_close(&c)                              the directory stays
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/mem.h"
#include "engine/engine_int.h"
#include "evlog/evlog.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "os/file.h"
#include "programme/programme.h"
#include "replay/directory.h"
#include "replay/recover.h"
#include "replay/shelf.h"
#include "replay/snapping.h"

#define CROWD_RECORDS 4096 /* of a batch, at most */

struct crowd {
    struct directory directory;
    bool has_log;
    uint8_t secret[sizeof(((struct directory *)NULL)->secret)];
    struct shelf shelf;
    struct plan *plan;
    struct evlog *log;
    struct engine *engine;
    int64_t now_ms;
    struct record *records;
    struct buf *bodies;
    uint32_t count;
    uint64_t told; /* message ids */
    int64_t apply_ns;
    uint64_t events;
};

static inline void crowd_need(enum status status, const struct fault *f)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench: %s\n", f->text);
    exit(1);
}

/* A record of `person`; its body is c->bodies[c->count - 1], empty. */
static inline struct record *crowd_add(struct crowd *c, uint8_t kind, uint32_t name,
                                       uint64_t person)
{
    char id[32];
    must(c->count < CROWD_RECORDS);
    c->bodies[c->count].len = 0;
    snprintf(id, sizeof(id), "user-%lu", person);
    struct record *r = &c->records[c->count++];
    *r = (struct record){
        .type = RECORD_EVENT,
        .kind = kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .name = name,
        .event_ms = c->now_ms,
        .arrival_ms = c->now_ms,
        .message_hash = hash_pair(person, ++c->told) | 1,
        .user = identifier_hash(IDENTIFIER_USER, str_of(id), c->secret),
    };
    return r;
}

/* Applies what was added, at c->now_ms. */
static inline void crowd_apply(struct crowd *c)
{
    struct fault f = {0};
    struct engine_output out;
    struct buf results;
    for (uint32_t i = 0; i < c->count; i++)
        c->records[i].at_ms = c->now_ms;
    struct batch batch = {engine_batch(c->engine) + 1, c->now_ms, c->count, c->records};
    if (c->log != NULL)
        crowd_need(evlog_append(c->log, &batch, &f), &f);
    int64_t from_ns = os_clock_thread_ns();
    engine_apply(c->engine, &batch, &out);
    c->apply_ns += os_clock_thread_ns() - from_ns;
    c->events += c->count;
    c->count = 0;
    if (c->log == NULL)
        return;
    buf_init(&results);
    results_write(out.results, out.result_count, c->now_ms, &results);
    crowd_need(evlog_append_results(c->log, batch.number, buf_str(&results), &f), &f);
    if (evlog_buffered_bytes(c->log) > 1 << 20)
        crowd_need(evlog_commit(c->log, &f), &f);
    buf_fini(&results);
}

/* The first batch: the names that the programme has, and the programme. */
static inline void crowd_begin(struct crowd *c)
{
    struct buf hash;
    for (uint32_t i = NAME_FIXED_END; i < names_count(c->shelf.names); i++) {
        struct record *r = crowd_add(c, 0, i, 0);
        struct buf *body = &c->bodies[c->count - 1];
        body_put_text(body, NAME_TEXT, names_text(c->shelf.names, i));
        *r = (struct record){.type = RECORD_NAME,
                             .schema = RECORD_SCHEMA,
                             .name = i,
                             .event_ms = c->now_ms,
                             .arrival_ms = c->now_ms,
                             .clear = body_of(body)};
    }
    buf_init(&hash);
    body_put_text(&hash, NAME_PROGRAMME, str_of(c->plan->hash));
    struct record *r = crowd_add(c, 0, 0, 0);
    *r = (struct record){.type = RECORD_PROGRAMME,
                         .kind = PROGRAMME_ACTIVATE,
                         .schema = RECORD_SCHEMA,
                         .event_ms = c->now_ms,
                         .arrival_ms = c->now_ms,
                         .clear = body_of(&hash)};
    crowd_apply(c);
    buf_fini(&hash);
}

/* At c->now_ms, which the caller has set. `names` are added to the programme's own. */
static inline void crowd_open(struct crowd *c, const char *path, const struct programme_file *files,
                              uint32_t count, const char *const *names)
{
    struct fault f = {0};
    struct programme_folder folder;
    struct findings findings;
    struct buf zones;
    if (path != NULL) {
        crowd_need(os_remove_tree(os_disk_real(), path, &f), &f);
        crowd_need(directory_make(os_disk_real(), path, NULL, &c->directory, &f), &f);
        memcpy(c->secret, c->directory.secret, sizeof(c->secret));
    }
    shelf_init(&c->shelf, NULL);
    buf_init(&zones);
    findings_init(&findings);
    crowd_need(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    crowd_need(programme_folder_of(files, count, buf_str(&zones), &folder, &f), &f);
    if (programme_compile(&folder, c->shelf.names, &c->plan, &findings) != OK) {
        fprintf(stderr, "bench: %.*s\n", STR_ARG(findings.list[0].text));
        exit(1);
    }
    shelf_add(&c->shelf, c->plan);
    for (; *names != NULL; names++)
        (void)names_add(c->shelf.names, str_of(*names));
    c->records = mem_new(CROWD_RECORDS * sizeof(c->records[0]));
    c->bodies = mem_new(CROWD_RECORDS * sizeof(c->bodies[0]));
    struct engine_options options = {.secret = c->secret};
    c->engine = engine_new(&options);
    engine_prepare(c->engine, c->plan);
    if (path != NULL) {
        struct evlog_options log = {.disk = os_disk_real()};
        crowd_need(programme_store(os_disk_real(), c->directory.programmes, &folder, &f), &f);
        crowd_need(evlog_open(c->directory.log, &log, &c->log, &f), &f);
    }
    programme_folder_fini(&folder);
    findings_fini(&findings);
    buf_fini(&zones);
    crowd_begin(c);
}

static inline uint32_t crowd_name(struct crowd *c, const char *name)
{
    return names_add(c->shelf.names, str_of(name));
}

static inline void crowd_save(struct crowd *c)
{
    struct fault f = {0};
    crowd_need(evlog_commit(c->log, &f), &f);
    crowd_need(snapshot_engine(&c->directory, c->engine, &f), &f);
}

static inline void crowd_close(struct crowd *c)
{
    struct fault f = {0};
    if (c->log != NULL)
        crowd_need(evlog_close(c->log, &f), &f);
    engine_free(c->engine);
    shelf_fini(&c->shelf);
    for (uint32_t i = 0; i < CROWD_RECORDS; i++)
        buf_fini(&c->bodies[i]);
    mem_free(c->bodies);
    mem_free(c->records);
}
