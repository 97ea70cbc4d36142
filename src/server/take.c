/* SPDX-License-Identifier: Apache-2.0 */
#include "server/take.h"

#include "os/file.h"
#include "server/held.h"

static void hold(void *self, const struct engine *e, const struct action *action)
{
    struct held **list = self;
    struct held *held = held_new(action, engine_plans(e)->at[action->plan]);
    held->next = *list;
    *list = held;
}

enum status directory_take(const struct directory *d, const struct taking *taking, bool *is_changed,
                           struct fault *f)
{
    char path[OS_PATH_BYTES];
    struct held *held = NULL;
    const struct engine *e = taking->recovered->engine;
    struct takeover t = {.log = taking->log,
                         .recovered = taking->recovered,
                         .now_ms = taking->now_ms,
                         .is_forced = taking->adopts != NULL && trial_differs(taking->adopts),
                         .self = &held,
                         .act = hold};
    if (!os_path_join(path, sizeof(path), d->path, "held")) {
        fault_set(f, "the path of the data directory is too long");
        return FIX_INPUT;
    }
    enum status status = held_read(d->disk, path, engine_batch(e), engine_plans(e), &held, f);
    take_over_stop(1);
    if (status == OK && taking->adopts != NULL)
        status = trial_adopt(&t, taking->adopts, taking->words, f);
    if (status == OK)
        status = take_over(d, &t, is_changed, f);
    if (status == OK && *is_changed)
        status = held != NULL ? held_write(d->disk, path, engine_batch(e), held, f)
                              : held_remove(d->disk, path, f);
    held_free_list(held);
    return status;
}
