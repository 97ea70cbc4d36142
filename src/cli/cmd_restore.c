/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "cli/common.h"
#include "cli/operate.h"
#include "os/file.h"
#include "replay/backup.h"
#include "replay/erase.h"

/* Reads the list of those who were erased, a file `erased` of a data directory. */
static enum status read_erased(const char *file, struct engine_ids *ids, struct fault *f)
{
    struct directory list = {.disk = os_disk_real()};
    struct str path = str_of(file);
    struct os_stat at;
    if (!str_is(path, "erased") && !str_ends(path, STR("/erased"))) {
        fault_set(f, "--erased wants a file that is called `erased`, not %s", file);
        return FIX_INPUT;
    }
    enum status status = os_stat(list.disk, file, &at, f);
    if (status == OK && at.kind != OS_REGULAR) {
        fault_set(f, "%s is not there", file);
        status = FIX_INPUT;
    }
    if (status == OK && !os_path_dir(list.path, sizeof(list.path), file))
        status = FIX_INPUT;
    return status == OK ? erased_ids(&list, ids, f) : status;
}

/* What is erased is erased before the directory can be served. */
static enum status restore(const struct cli *c, struct backup *b, const struct engine_ids *ids,
                           uint32_t *people, struct fault *f)
{
    struct directory d;
    struct os_disk *disk = os_disk_real();
    enum status status = backup_restore(disk, c->arguments[0], b, c->arguments[1], f);
    if (status != OK || ids->count == 0 || b->batch == 0)
        return status;
    status = directory_open(disk, c->arguments[1], &d, f);
    if (status == OK)
        status = erase_listed(&d, ids, people, f);
    if (status != OK)
        fault_prefix(f,
                     "%s is restored, but not everybody in the list is erased in it; remove it: ",
                     c->arguments[1]);
    return status;
}

int cmd_restore(struct cli *c)
{
    struct backup b = {0};
    struct fault f = {0};
    struct engine_ids ids = {0};
    uint32_t people = 0;
    const char *erased = cli_text(c, "erased");
    enum status status = OK;
    if (erased != NULL)
        status = read_erased(erased, &ids, &f);
    if (status == OK)
        status = backup_read(os_disk_real(), c->arguments[0], &b, &f);
    if (status == OK)
        status = restore(c, &b, &ids, &people, &f);
    if (status == OK && c->is_json)
        term_text(&c->out, "{\"batch\": %lu, \"files\": %u, \"bytes\": %lu, \"erased\": %u}\n",
                  b.batch, b.count, b.bytes, people);
    else if (status == OK)
        term_text(&c->out, "%s is as it was after batch %lu%s; `wend serve` goes on from there\n",
                  c->arguments[1], b.batch, people ? ", but for those who are erased again" : "");
    mem_free(ids.at);
    backup_fini(&b);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}
