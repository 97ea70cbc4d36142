/* journal.h - what the server says to its operator: one line at a time, for people or for machines.
 *
 *     2026-03-02 12:00:00 warning  provider mail: nothing is sent before 12:00:10 (421)
 *     {"at":"2026-03-02T12:00:00.000Z","level":"warning","event":"provider","text":"..."}
 *
 * No line carries personal data: people appear as profile numbers, attempts by their id. Control
 * characters are escaped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "os/thread.h"

enum journal_level {
    JOURNAL_INFO = 0,
    JOURNAL_WARNING,
    JOURNAL_ERROR,
};

struct journal {
    FILE *file; /* borrowed */
    bool is_json;
    bool is_quiet; /* no JOURNAL_INFO */
    struct os_mutex lock;
};

void journal_init(struct journal *j, FILE *file, bool is_json, bool is_quiet);
void journal_fini(struct journal *j);

/* Writes one line at once; any thread. `event` is a word that machines sort by. */
void journal_say(struct journal *j, enum journal_level level, const char *event, const char *format,
                 ...) printf_like(4, 5);
