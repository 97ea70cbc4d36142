/* common.h - what several commands do: load a programme and say what is wrong with it, find a person,
 * print a moment, sum up a run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "cli/cli.h"
#include "cli/mapping.h"
#include "measure/tally.h"
#include "programme/programme.h"
#include "replay/recover.h"

/* Prints findings to standard error (to standard output as JSON where json_list is given). Errors
 * first say how many there are of each. */
void print_findings(struct cli *c, struct findings *findings, bool with_advice);

/* Loads the programme in `folder` with the shelf's names, printing what is wrong. *folder_out (may be
 * NULL) gets the folder's bytes and is the caller's; *plan belongs to the shelf. CLI_OK or an exit
 * code. */
int load_programme(struct cli *c, const char *folder, struct shelf *shelf,
                   struct programme_folder *folder_out, const struct plan **plan) mustuse;

/* The same with `text` as the file `path` of the folder, beside its others or in the place of its own. */
int load_programme_with(struct cli *c, const char *folder, struct str path, struct str text,
                        struct shelf *shelf, struct programme_folder *folder_out,
                        const struct plan **plan) mustuse;

/* Rebuilds the state of the data directory arguments[1] and shows it: what `json` writes, where JSON is
 * wanted, else what `text` prints. CLI_OK or an exit code. */
int show_state(struct cli *c, void (*text)(struct cli *c, struct engine *e),
               void (*json)(struct cli *c, struct engine *e, struct buf *out)) mustuse;

/* Reads the file of --mapping, printing what is wrong; true also where there is none. The caller ends
 * *out (zeroed before) with mapping_fini(). */
bool read_mapping(struct cli *c, struct mapping *out) mustuse;

/* "2026-03-02 12:00:00" in the zone; good until the arena is reset. */
struct str print_moment(struct arena *arena, const struct zone *zone, int64_t at_ms);

/* Reads "2026-03-02T12:00" (an offset, or UTC) or fails with a usage error. */
bool read_moment(struct cli *c, const char *text, int64_t *at_ms) mustuse;

/* The tables of a run: entries and ends by journey, messages by outcome, reasons of waiting. */
void print_tally(struct cli *c, const struct tally *t, const struct names *names);
