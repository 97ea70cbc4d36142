/* search.c - of somebody who was erased nothing is left: not in a file as it lies on the disk, nor in what a
 * snapshot or the log gives to who can read them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "disk/snapshot.h"
#include "evlog/evlog.h"
#include "os/file.h"
#include "simulator/load.h"
#include "simulator/oracle.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

struct search {
    const struct sim *sim;
    const struct directory *directory;
    const char *path; /* where it looks at the moment */
};

static void look(const struct search *x, struct str text, const char *what)
{
    const struct load *l = x->sim->load;
    for (uint32_t i = 0; i < l->gone_count; i++)
        if (memmem(text.at, text.len, l->gone[i].text, strlen(l->gone[i].text)) != NULL)
            sim_fail(x->sim, "\"%s\" of somebody who was erased is in %s (%s)", l->gone[i].text,
                     x->path, what);
}

static void look_into_snapshot(const struct search *x)
{
    struct snapshot_reader *r;
    struct fault f = {0};
    struct buf b;
    if (snapshot_open(x->directory->disk, x->path, &r, &f) != OK)
        return; /* a damaged one */
    buf_init(&b);
    for (uint32_t i = 0; i < snapshot_section_count(r); i++) {
        b.len = 0;
        if (snapshot_get(r, i, &b, &f) != OK)
            sim_fail(x->sim, "a snapshot cannot be read: %s", f.text);
        look(x, buf_str(&b), "unpacked");
    }
    buf_fini(&b);
    snapshot_close(r);
}

static void look_into_file(struct search *x)
{
    struct fault f = {0};
    struct buf b;
    buf_init(&b);
    if (os_read_whole(x->directory->disk, x->path, FILE_BYTES_MAX, &b, &f) != OK)
        sim_fail(x->sim, "a file cannot be read: %s", f.text);
    look(x, buf_str(&b), "as it lies there");
    buf_fini(&b);
    if (str_ends(str_of(x->path), STR(".snap")))
        look_into_snapshot(x);
}

static void look_into_folder(struct search *x, const char *dir)
{
    struct arena arena;
    struct os_entry *entries;
    struct fault f = {0};
    uint32_t count = 0;
    arena_init(&arena, 4096);
    if (os_list(x->directory->disk, dir, &arena, &entries, &count, &f) != OK)
        sim_fail(x->sim, "a folder cannot be read: %s", f.text);
    for (uint32_t i = 0; i < count; i++) {
        char path[OS_PATH_BYTES];
        must(os_path_join(path, sizeof(path), dir, entries[i].name.at));
        x->path = path;
        if (entries[i].kind == OS_REGULAR)
            look_into_file(x);
        else
            look_into_folder(x, path);
    }
    arena_fini(&arena);
}

static void look_into_log(struct search *x)
{
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    struct fault f = {0};
    char where[80];
    x->path = where;
    if (evlog_reader_open(x->directory->disk, x->directory->log, 0, &reader, &f) != OK)
        sim_fail(x->sim, "the log cannot be read: %s", f.text);
    while (item.kind != EVLOG_END) {
        if (evlog_reader_next(reader, &item, &f) != OK)
            sim_fail(x->sim, "the log cannot be read: %s", f.text);
        for (uint32_t i = 0; item.kind == EVLOG_BATCH && i < item.batch.count; i++) {
            const struct record *r = &item.batch.records[i];
            struct body personal = record_personal(r);
            snprintf(where, sizeof(where), "record %u of batch %lu, %s", i, item.batch.number,
                     id128_is_set(r->user)        ? "of a user"
                     : id128_is_set(r->anonymous) ? "of somebody anonymous"
                                                  : "of an address");
            look(x, (struct str){(const char *)r->clear.at, r->clear.bytes},
                 "a record's clear part");
            look(x, (struct str){(const char *)personal.at, personal.bytes}, "unsealed");
        }
    }
    evlog_reader_close(reader);
}

void oracle_search(const struct sim *s, const struct directory *d)
{
    struct search x = {.sim = s, .directory = d};
    if (s->load->gone_count == 0)
        return;
    look_into_folder(&x, d->path);
    look_into_log(&x);
}
