/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "os/file.h"
#include "replay/backup.h"
#include "json/json_write.h"

static void print(struct cli *c, const struct backup *b, bool has_written, bool is_verified,
                  uint64_t hash)
{
    struct json_writer w;
    struct buf out;
    char text[24];
    if (!c->is_json) {
        term_text(&c->out,
                  "backup up to batch %lu, with the snapshot of batch %lu: %u files, %lu bytes\n",
                  b->batch, b->snapshot, b->count, b->bytes);
        if (has_written)
            term_text(&c->out, "  %u of them, %lu bytes, were not there before\n", b->new_count,
                      b->new_bytes);
        if (is_verified)
            term_text(&c->out,
                      "  restored and opened: all that was decided comes out again, state %016lx\n",
                      hash);
        return;
    }
    buf_init(&out);
    json_write_init(&w, &out, JSON_PRETTY);
    json_write_map(&w);
    json_write_key_int(&w, "batch", (int64_t)b->batch);
    json_write_key_int(&w, "snapshot_batch", (int64_t)b->snapshot);
    json_write_key_int(&w, "files", b->count);
    json_write_key_int(&w, "bytes", (int64_t)b->bytes);
    json_write_key_int(&w, "new_files", b->new_count);
    json_write_key_int(&w, "new_bytes", (int64_t)b->new_bytes);
    json_write_key_bool(&w, "verified", is_verified);
    if (is_verified) {
        snprintf(text, sizeof(text), "%016lx", hash);
        json_write_key_text(&w, "state", str_of(text));
    }
    json_write_end(&w);
    term_text(&c->out, "%.*s\n", STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

int cmd_backup(struct cli *c)
{
    struct backup b = {0};
    struct directory d;
    struct fault f = {0};
    char scratch[OS_PATH_BYTES];
    bool writes = c->argument_count == 2, verifies = cli_flag(c, "verify");
    const char *dir = c->arguments[c->argument_count - 1], *given = cli_text(c, "scratch");
    uint64_t hash = 0;
    if (!writes && !verifies)
        return cli_usage(c, "wend backup wants DATA and DIR, or --verify and DIR");
    if (given != NULL && !verifies)
        return cli_usage(c, "--scratch goes with --verify");
    int length =
        snprintf(scratch, sizeof(scratch), "%s%s", given ? given : dir, given ? "" : ".verify");
    if (length < 0 || length >= (int)sizeof(scratch))
        return cli_usage(c, "the path of the scratch place is too long");
    enum status status = OK;
    if (writes) {
        status = directory_open(os_disk_real(), c->arguments[0], &d, &f);
        if (status == OK)
            status = backup_write(&d, dir, &b, &f);
    }
    if (status == OK && verifies) {
        struct backup read;
        status = backup_read(os_disk_real(), dir, &read, &f);
        if (status == OK && writes) {
            read.new_count = b.new_count;
            read.new_bytes = b.new_bytes;
        }
        backup_fini(&b);
        b = read;
        if (status == OK)
            status = backup_verify(os_disk_real(), dir, &b, scratch, &hash, &f);
    }
    if (status == OK)
        print(c, &b, writes, verifies, hash);
    backup_fini(&b);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
