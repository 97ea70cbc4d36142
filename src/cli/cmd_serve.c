/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/common.h"
#include "os/file.h"
#include "server/server.h"

/* The keys of the command line, else those of the data directory. */
static enum status read_keys(struct cli *c, const char *data, struct keys *keys, struct fault *f)
{
    char path[OS_PATH_BYTES];
    enum status status = OK;
    for (uint32_t i = 0; i < cli_text_count(c, "write-key") && status == OK; i++)
        status = keys_add(keys, cli_text_at(c, "write-key", i), 0, f);
    for (uint32_t i = 0; i < cli_text_count(c, "server-key") && status == OK; i++)
        status = keys_add(keys, cli_text_at(c, "server-key", i), INGEST_KEY_SERVER, f);
    if (status != OK || keys->count > 0)
        return status;
    if (!os_path_join(path, sizeof(path), data, "keys.json")) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    return keys_load(keys, os_disk_real(), path, f);
}

/* Keys that were made just now are shown once, to whoever started the server, and not in the journal. */
static void show_keys(struct cli *c, const struct keys *keys, const char *data)
{
    for (uint32_t i = 0; keys->is_new && i < keys->count; i++)
        term_text(&c->err, "%s key: %.*s\n",
                  keys->list[i].flags & INGEST_KEY_SERVER ? "server" : "write",
                  STR_ARG(keys->list[i].key));
    if (keys->is_new)
        term_text(&c->err, "both are kept in %s/keys.json; the server key is secret\n", data);
}

static int serve(struct cli *c, struct server *server, struct os_signals *signals)
{
    struct programme_folder folder;
    const struct plan *plan = NULL;
    struct fault f = {0};
    int code = load_programme(c, c->arguments[0], server_shelf(server), &folder, &plan);
    if (code != CLI_OK)
        return code;
    enum status status = server_run(server, plan, &folder, signals, &f);
    programme_folder_fini(&folder);
    return status == OK ? CLI_OK : cli_fail(c, status, &f);
}

int cmd_serve(struct cli *c)
{
    const char *data = cli_text(c, "data");
    struct server *server = NULL;
    struct os_signals signals;
    struct keys keys;
    struct fault f = {0};
    if (server_check_listen(cli_text(c, "listen"), &f) != OK)
        return cli_usage(c, "%s", f.text);
    if (data == NULL)
        return cli_usage(c, "say where the data directory is: --data DIR (it is made if need be)");
    enum status status = os_signals_init(&signals, &f);
    if (status != OK)
        return cli_fail(c, status, &f);
    keys_init(&keys);
    struct server_options options = {
        .data = data,
        .programme = c->arguments[0],
        .listen = cli_text(c, "listen"),
        .keys = &keys,
        .public_url = cli_text(c, "public-url"),
        .snapshot_batches = (uint64_t)cli_int(c, "snapshot-every"),
        .journal = c->out.file,
        .is_json = c->is_json,
        .is_quiet = c->is_quiet && !c->is_json,
    };
    status = server_open(&options, &server, &f);
    if (status == OK)
        status = read_keys(c, data, &keys, &f);
    if (status == OK)
        show_keys(c, &keys, data);
    int code = status == OK ? serve(c, server, &signals) : cli_fail(c, status, &f);
    server_free(server);
    keys_fini(&keys);
    os_signals_fini(&signals);
    return code;
}
