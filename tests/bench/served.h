/* served.h - a server within a bench, as `wend serve` runs it: on a port of its own, its data directory
 * under BENCH_DIR, with a programme of one journey that the posts of posts.h do not start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "os/thread.h"
#include "server/server.h"

static const struct programme_file served_files[] = {
    {STR("programme.yaml"),
     STR("name: Bench\ncategories:\n  service: {lane: service, settle: 0s, purpose: contract}\n"
         "traits:\n  first_name: {type: string}\n")},
    {STR("journeys/order.yaml"),
     STR("journey: order\nowner: bench\nenter: {event: Ordered, key: event.order, again: always}\n"
         "steps:\n  - send: thanks\n")},
    {STR("messages/thanks/message.yaml"),
     STR("category: service\nemail: {subject: 'Thanks, {{ person.first_name }}'}\n")},
    {STR("messages/thanks/email.txt.liquid"),
     STR("Dear {{ person.first_name }}, your order {{ entry.order }} is on its way.\n")},
    {STR("providers/mail.yaml"),
     STR("kind: smtp\nchannel: email\nslots: 8\nsettings:\n  url: 'smtp://127.0.0.1:2525'\n"
         "  from: 'Shop <shop@example.com>'\n  security: none\n")},
    {STR("messages/thanks/email.html.liquid"),
     STR("<p>Dear {{ person.first_name }}, your order {{ entry.order }} is on its way.</p>\n")},
};

struct served {
    uint16_t port;
    char data[OS_PATH_BYTES];
    const struct programme_file *files;
    uint32_t file_count;
    struct server *server;
    struct os_signals signals;
    const struct plan *plan;
    struct programme_folder folder;
    struct keys keys;
    struct os_thread thread;
    FILE *journal_in, *journal_out;
};

static inline void served_need(enum status status, const struct fault *f)
{
    if (status == OK)
        return;
    fprintf(stderr, "bench: %s\n", f->text);
    exit(1);
}

static inline void served_run(void *context)
{
    struct served *s = context;
    struct fault f = {0};
    served_need(server_run(s->server, s->plan, &s->folder, &s->signals, &f), &f);
}

/* The port is what the journal says. */
static inline uint16_t served_port(FILE *journal)
{
    char line[1024];
    while (fgets(line, sizeof(line), journal) != NULL) {
        const char *at = strstr(line, "listening on http://127.0.0.1:");
        if (at != NULL)
            return (uint16_t)strtoul(at + strlen("listening on http://127.0.0.1:"), NULL, 10);
    }
    fprintf(stderr, "bench: the server did not start\n");
    exit(1);
}

static inline void served_compile(struct served *s)
{
    struct findings findings;
    struct plan *plan;
    struct buf zones;
    struct fault f = {0};
    buf_init(&zones);
    findings_init(&findings);
    served_need(programme_zones(os_disk_real(), NULL, &zones, &f), &f);
    served_need(programme_folder_of(s->files, s->file_count, buf_str(&zones), &s->folder, &f), &f);
    if (programme_compile(&s->folder, server_shelf(s->server)->names, &plan, &findings) != OK) {
        fprintf(stderr, "bench: %.*s\n", STR_ARG(findings.list[0].text));
        exit(1);
    }
    shelf_add(server_shelf(s->server), plan);
    s->plan = plan;
    findings_fini(&findings);
    buf_fini(&zones);
}

/* Starts it with s->files on s->data, whatever is there, and waits until it listens. Its threads stay on the
 * processors that the caller may use now. */
static inline void served_begin(struct served *s)
{
    struct fault f = {0};
    int pipes[2];
    must(pipe(pipes) == 0);
    s->journal_out = fdopen(pipes[1], "w");
    s->journal_in = fdopen(pipes[0], "r");
    served_need(os_signals_init(&s->signals, &f), &f);
    keys_init(&s->keys);
    served_need(keys_add(&s->keys, "sk=bench", INGEST_KEY_SERVER, &f), &f);
    struct server_options options = {.data = s->data,
                                     .listen = "127.0.0.1:0",
                                     .keys = &s->keys,
                                     .snapshot_batches = SERVER_SNAPSHOT_BATCHES,
                                     .journal = s->journal_out};
    served_need(server_open(&options, &s->server, &f), &f);
    served_compile(s);
    served_need(os_thread_start(&s->thread, "server", served_run, s, &f), &f);
    s->port = served_port(s->journal_in);
}

/* Starts it in an empty directory BENCH_DIR/`name`. */
static inline void served_start(struct served *s, const char *name)
{
    const char *dir = getenv("BENCH_DIR");
    struct fault f = {0};
    *s = (struct served){.files = served_files, .file_count = array_count(served_files)};
    must(os_path_join(s->data, sizeof(s->data), dir ? dir : "build", name));
    served_need(os_remove_tree(os_disk_real(), s->data, &f), &f);
    served_begin(s);
}

static inline void served_stop(struct served *s)
{
    struct fault f = {0};
    kill(getpid(), SIGTERM);
    os_thread_join(&s->thread);
    server_free(s->server);
    programme_folder_fini(&s->folder);
    keys_fini(&s->keys);
    os_signals_fini(&s->signals);
    served_need(os_remove_tree(os_disk_real(), s->data, &f), &f);
    fclose(s->journal_in);
    fclose(s->journal_out);
}

/* How long the disk under `data` takes to make 4 KB durable, `count` times. */
static inline void served_probe_disk(const char *data, int64_t *times_ns, uint64_t count)
{
    static uint8_t piece[4096];
    char path[OS_PATH_BYTES];
    struct os_file *file;
    struct fault f = {0};
    must(os_path_join(path, sizeof(path), data, "probe"));
    served_need(os_file_open(os_disk_real(), path, OS_CREATE, &file, &f), &f);
    served_need(os_file_preallocate(file, count * sizeof(piece), &f), &f);
    served_need(os_file_sync(file, &f), &f);
    for (uint64_t i = 0; i < count; i++) {
        int64_t began_ns = os_clock_monotonic_ns();
        memset(piece, (int)i + 1, sizeof(piece));
        served_need(os_file_write(file, i * sizeof(piece), piece, sizeof(piece), &f), &f);
        served_need(os_file_sync(file, &f), &f);
        times_ns[i] = os_clock_monotonic_ns() - began_ns;
    }
    os_file_close(file);
    served_need(os_remove(os_disk_real(), path, &f), &f);
}
