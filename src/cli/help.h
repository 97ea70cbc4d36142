/* help.h - what the table of commands says, as pages for people and scripts for shells.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "cli/option.h"
#include "cli/term.h"

/* The list of commands, with their summaries. */
void help_commands(struct term *t);

/* One command: usage, what it does, its options with bounds and fallbacks, exit codes. */
void help_command(struct term *t, const struct command *command);

/* All commands as one Markdown page: docs/reference/commands.md. */
void help_markdown(struct term *t);

/* A completion script: `shell` is one of the choices of `wend help --completion`. */
void help_completion(struct term *t, const char *shell);
