/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/channel_int.h"

#include <curl/curl.h>

#include "base/mem.h"

static const struct channel_kind *const kinds[] = {
#define CHANNEL(name) &channel_##name,
#include "channel/channels.def"
#undef CHANNEL
};

const struct channel_kind *channel_kind_find(struct str name)
{
    for (size_t i = 0; i < array_count(kinds); i++)
        if (str_is(name, kinds[i]->name))
            return kinds[i];
    return NULL;
}

const struct channel_kind *const *channel_kinds(size_t *count)
{
    *count = array_count(kinds);
    return kinds;
}

void channel_global_init(void)
{
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

void channel_global_fini(void)
{
    curl_global_cleanup();
}

struct channel_connection {
    const struct channel_provider *provider;
    struct channel_stop stop;
    void *inner; /* the kind's own */
};

struct channel_connection *channel_connection_new(const struct channel_provider *p)
{
    struct channel_connection *c = mem_new(sizeof(*c));
    c->provider = p;
    atomic_init(&c->stop.is_asked, false);
    c->inner = p->kind->connection_new(p, &c->stop);
    return c;
}

void channel_connection_free(struct channel_connection *c)
{
    if (c == NULL)
        return;
    c->provider->kind->connection_free(c->inner);
    mem_free(c);
}

void channel_connection_rest(struct channel_connection *c)
{
    c->provider->kind->connection_rest(c->inner);
}

void channel_connection_abort(struct channel_connection *c)
{
    atomic_store_explicit(&c->stop.is_asked, true, memory_order_relaxed);
}

void channel_send(struct channel_connection *c, const struct channel_payload *payload,
                  int64_t now_ms, struct transmission *out)
{
    *out = (struct transmission){0};
    c->provider->kind->send(c->inner, payload, now_ms, out);
    must(out->outcome > 0);
    must(out->outcome < TRANSMISSION_OUTCOME_END);
}
