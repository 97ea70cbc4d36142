/* ingest_server.c - ingest alone, for the wire tests: what comes in by the tracking API is appended to a
 * file, one record a line as JSON, and answered once that is durable.
 *
 *     ingest_server PORT FILE [KEY=SOURCE ...]
 *
 * PORT 0 lets the system pick one; the first line of output is `ready http://127.0.0.1:PORT`. Ends at
 * SIGTERM. It keeps no memory of message ids: a batch that is sent twice stands in the file twice, with
 * the same `message`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/server.h"
#include "ingest/describe.h"
#include "ingest/ingest_routes.h"
#include "os/file.h"
#include "os/signal.h"
#include "os/thread.h"

#define QUEUE_MAX   256
#define AT_ONCE_MAX 64

struct committer {
    struct vocabulary *vocabulary;
    struct os_queue *queue; /* of batches */
    struct os_file *file;
    uint64_t end; /* of the file */
};

static enum status offer(void *context, struct ingest_batch *batch)
{
    struct committer *c = context;
    return os_queue_push(c->queue, &batch);
}

static void describe(struct committer *c, const struct ingest_batch *batch, struct arena *scratch,
                     struct buf *out)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        struct json_writer w;
        json_write_init(&w, out, JSON_COMPACT);
        record_describe(&batch->records[i], c->vocabulary, scratch, &w);
        buf_add_byte(out, '\n');
    }
    arena_reset(scratch);
}

/* Group commit: what has come in during the last one. */
static void commit(void *context)
{
    struct committer *c = context;
    struct ingest_batch *batches[AT_ONCE_MAX];
    struct arena scratch;
    struct buf lines;
    struct fault f = {0};
    arena_init(&scratch, 65536);
    buf_init(&lines);
    for (;;) {
        uint32_t count = os_queue_pop(c->queue, batches, AT_ONCE_MAX, FOREVER_MS);
        if (count == 0)
            break;
        lines.len = 0;
        for (uint32_t i = 0; i < count; i++)
            describe(c, batches[i], &scratch, &lines);
        enum status status = os_file_write(c->file, c->end, lines.at, lines.len, &f);
        if (status == OK)
            status = os_file_sync(c->file, &f);
        if (status == OK)
            c->end += lines.len;
        else
            fprintf(stderr, "ingest_server: %s\n", f.text);
        for (uint32_t i = 0; i < count; i++) {
            ingest_batch_answer(batches[i], status == OK ? INGEST_DURABLE : INGEST_FAILED);
            ingest_batch_release(batches[i]);
        }
    }
    buf_fini(&lines);
    arena_fini(&scratch);
}

static void handle(void *context, struct http_request *request)
{
    if (!ingest_routes_handle(context, request))
        http_answer_error(request, 404, "not_found", STR("there is nothing at this path"));
}

/* Opens the file and cuts off a line that a crash left without an end. */
static enum status open_log(struct committer *c, const char *path, struct fault *f)
{
    uint64_t bytes;
    if (os_file_open(os_disk_real(), path, OS_KEEP, &c->file, f) != OK ||
        os_file_size(c->file, &bytes, f) != OK)
        return GIVE_UP;
    char *text = mem_new(bytes + 1);
    enum status status = os_file_read(c->file, 0, text, bytes, f);
    while (bytes > 0 && text[bytes - 1] != '\n')
        bytes--;
    mem_free(text);
    c->end = bytes;
    return status == OK ? os_file_truncate(c->file, bytes, f) : status;
}

static enum status set_keys(struct ingest *ingest, int count, char **arguments, struct fault *f)
{
    struct ingest_key *keys = mem_new((size_t)(count + 1) * sizeof(keys[0]));
    for (int i = 0; i < count; i++) {
        struct str both = str_of(arguments[i]);
        size_t equals = str_find(both, STR("="), 0);
        keys[i].key = equals == SIZE_MAX ? both : str_part(both, 0, equals);
        keys[i].source = equals == SIZE_MAX ? both : str_part(both, equals + 1, SIZE_MAX);
    }
    if (count == 0)
        keys[count++] = (struct ingest_key){STR("wk_test"), STR("web"), 0};
    enum status status = ingest_set_keys(ingest, keys, (size_t)count, f);
    mem_free(keys);
    return status;
}

int main(int argc, char **argv)
{
    static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = {42};
    struct fault f = {0};
    struct os_signals signals;
    struct committer c = {0};
    struct os_thread thread;
    struct http_server *server = NULL;
    if (argc < 3) {
        fprintf(stderr, "usage: ingest_server PORT FILE [KEY=SOURCE ...]\n");
        return 2;
    }
    if (os_signals_init(&signals, &f) != OK || open_log(&c, argv[2], &f) != OK)
        goto failed;
    c.vocabulary = vocabulary_new(VOCABULARY_PER_SOURCE_MAX);
    c.queue = os_queue_new(sizeof(struct ingest_batch *), QUEUE_MAX);
    struct ingest *ingest =
        ingest_new(&(struct ingest_options){.vocabulary = c.vocabulary, .secret = secret});
    if (set_keys(ingest, argc - 3, argv + 3, &f) != OK)
        goto failed;
    struct ingest_routes *routes = ingest_routes_new(
        &(struct ingest_routes_options){.ingest = ingest, .sink = {offer, &c}, .retry_after_s = 1});
    struct http_server_options options = {
        .address = STR("127.0.0.1"),
        .port = (uint16_t)strtoul(argv[1], NULL, 10),
        .threads = 2,
        .limits = http_limits_default(),
        .handler = handle,
        .context = routes,
    };
    if (os_thread_start(&thread, "commit", commit, &c, &f) != OK ||
        http_server_start(&options, &server, &f) != OK)
        goto failed;
    printf("ready http://127.0.0.1:%u\n", http_server_port(server));
    fflush(stdout);
    while (os_signals_wait(&signals, FOREVER_MS) != OS_SIGNAL_STOP)
        continue;

    http_server_stop(server, 5000);
    os_queue_close(c.queue);
    os_thread_join(&thread);
    os_queue_free(c.queue);
    ingest_routes_free(routes);
    ingest_free(ingest);
    vocabulary_free(c.vocabulary);
    os_file_close(c.file);
    os_signals_fini(&signals);
    return 0;

failed:
    fprintf(stderr, "ingest_server: %s\n", f.text);
    return 1;
}
