/* channel_int.h - what the files of this room share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdatomic.h>

#include "channel/channel.h"
#include "channel/mime.h"

#define CHANNEL(name) extern const struct channel_kind channel_##name;
#include "channel/channels.def"
#undef CHANNEL

/* Set by another thread, read by a running send. */
struct channel_stop {
    atomic_bool is_asked;
};

static inline bool channel_stop_is_asked(const struct channel_stop *s)
{
    return atomic_load_explicit(&s->is_asked, memory_order_relaxed);
}

struct channel_value {
    struct str text; /* NUL-terminated beyond its length; empty = absent */
    int64_t integer; /* integers, durations in ms, flags */
    bool is_given;   /* also where it is a reference that was not read */
    struct mime_mailbox mailbox;
};

struct channel_provider {
    const struct channel_kind *kind;
    enum channel channel;
    struct str name;
    struct arena arena; /* of all texts here */
    size_t settings_count;
    const struct channel_setting *settings[CHANNEL_SETTINGS_MAX];
    struct channel_value values[CHANNEL_SETTINGS_MAX];
};

/* Requires the provider's kind to have that setting. */
const struct channel_value *channel_provider_get(const struct channel_provider *p,
                                                 const char *setting);

/* The part's place in channel_parts(): how render and assemble number them. Must exist. */
size_t channel_part_index(enum channel channel, const char *part);
