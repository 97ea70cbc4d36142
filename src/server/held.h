/* held.h - a granted attempt as the sender keeps it, and the file that keeps it over a restart.
 *
 * What is transmitted is frozen at the grant: the action's address and fields are copied, the template
 * is the one of the plan under which the grant was made.
 *
 * When the server stops in order, attempts that are known not to be with a provider (they wait for a
 * retry, or came too late to be started) go into the file `held` of the data directory, with the number
 * of the last batch. A start that finds the log at that very batch goes on with them. It removes the
 * file before anything is sent: after a crash the file would lie, so there is none, and what was granted
 * and not reported is in doubt, as always after a crash.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/fault.h"
#include "channel/channel.h"
#include "model/action.h"
#include "os/disk.h"
#include "profile/person.h"

#define HELD_FORMAT 2 /* of the file; the digit at the end of its first eight bytes */

struct held {
    struct held *next; /* for whoever keeps a list */
    struct arena arena;
    uint8_t channel;
    uint8_t lane;
    bool is_at_least_once;
    bool was_in_doubt; /* some transmission of it was */
    uint32_t attempt;
    uint64_t profile;
    uint64_t decision;
    uint32_t plan; /* number */
    uint32_t message_index;
    uint32_t provider_name;
    int64_t granted_ms;
    int64_t deadline_ms;
    struct str zone; /* name of the person's; empty = the programme's */
    struct str address;
    struct str fields; /* as a body: the field of number i has the name i + 1 */
    char id[ATTEMPT_ID_BYTES];
    struct channel_message message;   /* points in here and into the plan */
    const struct plan_errand *errand; /* NULL: it is a message, or an audience's */
    struct str saved;                 /* of a call's answer, as fields of a body: for its receipt */
};

/* A copy of the action, which was granted under `plan`. Ends with held_free(). */
struct held *held_new(const struct action *action, const struct plan *plan) mustuse;
void held_free(struct held *h);
void held_free_list(struct held *list);

/* Writes the list as the file, durably. */
enum status held_write(struct os_disk *disk, const char *path, uint64_t batch,
                       const struct held *list, struct fault *f) mustuse;

/* Reads the file if it is there and says `batch`. *out is the caller's list; empty if there is none. A
 * damaged file counts as none: its attempts are in doubt. */
enum status held_read(struct os_disk *disk, const char *path, uint64_t batch,
                      const struct plans *plans, struct held **out, struct fault *f) mustuse;

/* Removes the file durably; OK if it is not there. */
enum status held_remove(struct os_disk *disk, const char *path, struct fault *f) mustuse;
