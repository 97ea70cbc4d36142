/* SPDX-License-Identifier: Apache-2.0 */
#include "model/instance.h"

const struct instance_more instance_no_more = {.ask_ms = FOREVER_MS};

static bool is_nothing(const struct instance_more *m)
{
    return m->key == 0 && m->caller == 0 && m->splits == 0 && m->decision == 0 && m->wait_ms == 0 &&
           m->ask_ms == FOREVER_MS && m->entry.bytes == 0;
}

void instance_set_more(struct space *s, struct instance *in, const struct instance_more *more)
{
    space_put(s, &in->more, is_nothing(more) ? NULL : more, sizeof(*more));
}

void instance_set_decision(struct space *s, struct instance *in, uint64_t decision)
{
    struct instance_more more = *instance_more(s, in);
    if (more.decision == decision)
        return;
    more.decision = decision;
    instance_set_more(s, in, &more);
}

void instance_set_entry(struct space *s, struct instance *in, struct blob entry)
{
    struct instance_more more = *instance_more(s, in);
    more.entry = entry;
    instance_set_more(s, in, &more);
}

void instance_set_splits(struct space *s, struct instance *in, uint64_t splits)
{
    struct instance_more more = *instance_more(s, in);
    if (more.splits == splits)
        return;
    more.splits = splits;
    instance_set_more(s, in, &more);
}

void instance_set_ask_slow(struct space *s, struct instance *in, int64_t ask_ms)
{
    struct instance_more more = *instance_more(s, in);
    more.ask_ms = ask_ms;
    instance_set_more(s, in, &more);
}

void instance_begin_step(struct space *s, struct instance *in, int64_t at_ms)
{
    in->step_ms = at_ms;
    if (in->more == 0)
        return;
    struct instance_more more = *instance_more(s, in);
    more.wait_ms = 0;
    more.ask_ms = FOREVER_MS;
    instance_set_more(s, in, &more);
}

void instance_reset_wait(struct space *s, struct instance *in, int64_t step_ms)
{
    struct instance_more more = *instance_more(s, in);
    int64_t wait_ms = instance_wait_ms(s, in);
    in->step_ms = step_ms;
    more.wait_ms = wait_ms == step_ms ? 0 : wait_ms;
    instance_set_more(s, in, &more);
}

void instance_forget(struct space *s, struct instance *in)
{
    struct blob entry = instance_more(s, in)->entry;
    blob_set(s, &entry, NULL, 0);
    space_put(s, &in->more, NULL, sizeof(struct instance_more));
}
