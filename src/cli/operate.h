/* operate.h - commands of operators from the command line: to the server that has the directory, or into
 * the log of one that nobody serves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "cli/cli.h"
#include "model/control.h"
#include "replay/directory.h"
#include "json/json.h"

struct engine;
struct http_call;
struct names;
struct record;

/* A server key: that of --key, else the first of DIR/keys.json. */
enum status server_key(struct cli *c, const struct directory *d, struct str *key,
                       struct fault *f) mustuse;

/* Asks a server; what it refuses with is a fault. *out lives until the parser is used again. */
enum status server_ask(const struct http_call *call, struct json_parser *parser, struct buf *body,
                       struct json_node *out, struct fault *f) mustuse;

/* Posts the request to the server of --url; its answer goes to `out` (NULL: it is printed if --json is
 * given). */
enum status tell_server(struct cli *c, const struct directory *d, const char *request,
                        struct buf *out, struct fault *f) mustuse;

/* What is done to a directory that nobody serves: makes the record, its bodies in `clear` and `personal`. */
typedef enum status operate_make(struct engine *e, struct names *names, const void *what,
                                 struct buf *clear, struct buf *personal, struct record *out,
                                 struct fault *f);

/* A command, and how a server is asked for it: "/v1/kill?all=yes", and what else is said ("": nothing). */
struct operation {
    struct command_word word;
    const char *request;
    const char *body;
    operate_make *make; /* instead of the word: any other record; NULL = the word */
    const void *what;   /* for `make` */
};

/* Gives the commands, one after the other, to whoever has the directory `path`. CLI_OK or an exit code; what
 * came before the one that failed is done. */
int operate_all(struct cli *c, const char *path, const struct operation *list, uint32_t count);

/* Gives the command to whoever has the directory `path`; `request` is how a server is asked for it
 * ("/v1/kill?all=yes"). CLI_OK or an exit code. */
int operate(struct cli *c, const char *path, const struct command_word *word, const char *request);

/* Appends "&name=text" with what a query cannot have escaped. */
void query_add(struct buf *out, const char *name, struct str text);

/* --pace as a command has it; false: it is none, and that has been said. */
bool read_pace(struct cli *c, struct command_word *out, int *code);

/* Erases whoever is known by one of the ids in a directory that nobody serves, as `wend erase` does, and destroys the
 * keys of all the ids; *people were erased. */
struct engine_ids;
enum status erase_listed(const struct directory *d, const struct engine_ids *ids, uint32_t *people,
                         struct fault *f) mustuse;
