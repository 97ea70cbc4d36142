/* channel.h - a granted attempt becomes bytes and is handed to a provider.
 *
 *     a message's folder              a provider's file
 *          │ channel_compile()             │ channel_provider_new()
 *          ▼                               ▼
 *     struct channel_template         struct channel_provider ── channel_connection_new() per slot
 *          │                               │                          │
 *          └──── channel_render() ─────────┘                          │
 *                     │ struct channel_payload                        │
 *                     └──────────────── channel_send() ───────────────┘
 *                                             │ struct transmission
 *                                             ▼
 *                                          the outbox
 *
 * Two things that one easily takes for one. A *channel* is how a person is reached (model/terms.h:
 * e-mail, sms, ...): it fixes what a message consists of, its *parts*. A *kind of provider* is how
 * bytes travel (channels.def: smtp, webhook); each kind is one `const struct channel_kind`: a table of
 * settings, which gives the checker, the reference and the forms, and a few functions. SMTP carries
 * e-mail; a webhook carries any channel.
 *
 * Nothing here retries or decides: it says what came of one try.
 *
 * Templates and providers are read-only after they are made and may be used by many threads at once;
 * a connection is used by one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"
#include "base/value.h"
#include "model/terms.h"
#include "model/transmission.h"

#define CHANNEL_PARTS_MAX      8
#define CHANNEL_SETTINGS_MAX   32
#define CHANNEL_SLOTS_MAX      256
#define CHANNEL_ID_BYTES_MAX   64
#define CHANNEL_JSON_BYTES_MAX (256 * 1024) /* a webhook's body */

/* --- kinds of providers ----------------------------------------------------------------------- */

enum channel_setting_kind {
    CHANNEL_SETTING_TEXT,
    CHANNEL_SETTING_URL,
    CHANNEL_SETTING_MAILBOX,  /* an e-mail address, perhaps with a name before it */
    CHANNEL_SETTING_SECRET,   /* ${ENV:NAME} or ${FILE:path}, never the secret itself */
    CHANNEL_SETTING_INTEGER,  /* least .. most */
    CHANNEL_SETTING_DURATION, /* "500ms", "15s", "2m", "1h"; least .. most in ms */
    CHANNEL_SETTING_CHOICE,   /* one of `choices`, which are separated by | */
    CHANNEL_SETTING_FLAG,     /* true or false */
    CHANNEL_SETTING_NETWORKS, /* addresses or CIDR blocks, separated by commas or spaces */
    CHANNEL_SETTING_PORTS,    /* ports, separated by commas or spaces */
};

/* A line of a provider's file. Any value may be given as ${ENV:NAME}, ${ENV:NAME:-otherwise} (not a
 * secret) or ${FILE:path}. */
struct channel_setting {
    const char *name;
    enum channel_setting_kind kind;
    bool is_required;
    const char *standard; /* what holds where it is not given; NULL = absent */
    const char *choices;
    int64_t least;
    int64_t most;
    const char *doc;
};

struct liquid_source;
struct zone;
struct channel_message;    /* one granted attempt */
struct channel_payload;    /* what goes over the wire */
struct channel_stop;       /* has somebody asked a send to end? channel_int.h */
struct channel_template;   /* one message on one channel, compiled */
struct channel_provider;   /* one provider's settings, checked */
struct channel_connection; /* one slot: a connection that is kept between messages */

struct channel_kind {
    const char *name;
    const char *doc;
    uint32_t channels; /* bit per enum channel that it can carry */
    /* The receiver tells a repetition by the attempt's id: what is in doubt may be sent again whatever
     * the lane says. */
    bool is_idempotent;
    const struct channel_setting
        *settings;                  /* ends with a NULL name; channel.c adds the common ones */
    const int64_t *retry_delays_ms; /* a fixed plan of retries; NULL = exponential back-off */
    uint32_t retry_delays_count;

    /* Do these settings go together? What was given as a reference may still be empty (wend check
     * does not read secrets). FIX_INPUT with a fault. */
    enum status (*provider_check)(const struct channel_provider *p, struct fault *f);
    /* Puts the rendered parts together: out->bytes and the envelope. */
    enum status (*assemble)(const struct channel_provider *p, const struct channel_message *m,
                            const struct str *parts, struct channel_payload *out, struct fault *f);
    void *(*connection_new)(const struct channel_provider *p, const struct channel_stop *stop);
    void (*connection_free)(void *connection);
    void (*connection_rest)(void *connection);
    void (*send)(void *connection, const struct channel_payload *payload, int64_t now_ms,
                 struct transmission *out);
};

/* The kind of that name, or NULL. */
const struct channel_kind *channel_kind_find(struct str name);

/* All of them, in the order of channels.def. */
const struct channel_kind *const *channel_kinds(size_t *count);

/* The settings that every kind has besides its own: slots. Ends with a NULL name. */
const struct channel_setting *channel_settings_common(void);

/* Appends the reference of channels' parts and of providers' settings as Markdown:
 * docs/reference/providers.md. */
void channel_reference(struct buf *out);

/* Once per process, before any connection is made, while there is one thread; and at the end. */
void channel_global_init(void);
void channel_global_fini(void);

/* --- messages --------------------------------------------------------------------------------- */

enum channel_escape {
    CHANNEL_ESCAPE_NONE = 0, /* plain text */
    CHANNEL_ESCAPE_HTML,
    CHANNEL_ESCAPE_JSON,
    CHANNEL_ESCAPE_HEADER, /* one line of text: a line break in it is refused when it is rendered */
};

/* A part of a message: a key of message.yaml, or a file beside it. */
struct channel_part {
    const char *name; /* "subject", "html" */
    const char *file; /* "email.html.liquid"; NULL = a key of message.yaml */
    enum channel_escape escape;
    bool is_required;
    const char *doc;
};

/* What a message on this channel may consist of; at most CHANNEL_PARTS_MAX. */
const struct channel_part *channel_parts(enum channel channel, size_t *count);

/* A part as it was found: its text, and where, for error messages. */
struct channel_source {
    struct str name; /* a name of channel_parts() */
    struct str text;
    struct str file;
    uint32_t line; /* where `text` begins in `file`; 0 = 1 */
};

/* Compiles the parts of one message for one channel, with the partials they may use; everything lives
 * in `plan`, into which the sources are copied. FIX_INPUT with file, line and column: an unknown part,
 * a part given twice, a template that does not compile or reads what cannot be named beforehand, or a
 * message that lacks what the channel needs. */
enum status channel_compile(enum channel channel, const struct channel_source *sources,
                            size_t count, const struct liquid_source *partials,
                            size_t partials_count, struct arena *plan,
                            struct channel_template **out, struct fault *f) mustuse;

enum channel channel_template_channel(const struct channel_template *t);

/* Is this part of the message there? */
bool channel_template_has(const struct channel_template *t, const char *part);

/* Something that the templates of a message read: what a grant freezes. */
struct channel_field {
    struct str path;         /* "person.first_name" */
    const struct str *parts; /* {"person", "first_name"} */
    uint32_t part_count;
    bool
        is_maybe_local; /* the template may define this name itself: that it is unknown is no mistake */
    struct str file; /* where it is read first */
    uint32_t line;
    uint32_t column;
};

/* All of them, each path once, in the order of first reading; as good as the template. */
const struct channel_field *channel_template_fields(const struct channel_template *t,
                                                    size_t *count);

/* While the plan is built: field number `field` of this template is found at `at` in the array that
 * struct channel_message hands in (a message's channels share one array). Until it is said, field i is
 * at i. CHANNEL_FIELD_ABSENT: nowhere; it is VALUE_NONE, or what the channel knows itself
 * (unsubscribe_url). */
#define CHANNEL_FIELD_ABSENT UINT32_MAX
void channel_template_bind(struct channel_template *t, size_t field, uint32_t at);

/* --- providers -------------------------------------------------------------------------------- */

struct channel_option {
    struct str name;
    struct str value;
    uint32_t line; /* in the provider's file; 0 = unknown */
};

/* Checks a provider's options without looking at secrets: for `wend check`. */
enum status channel_options_check(const struct channel_kind *kind,
                                  const struct channel_option *options, size_t count,
                                  struct fault *f) mustuse;

/* Makes a provider from its options, reading its secrets. The caller owns *out; `name` and the
 * options are copied. FIX_INPUT: the fault names the option; GIVE_UP: a secret cannot be read. */
enum status channel_provider_new(const struct channel_kind *kind, enum channel channel,
                                 struct str name, const struct channel_option *options,
                                 size_t count, struct channel_provider **out,
                                 struct fault *f) mustuse;
void channel_provider_free(struct channel_provider *p);

const struct channel_kind *channel_provider_kind(const struct channel_provider *p);
enum channel channel_provider_channel(const struct channel_provider *p);
struct str channel_provider_name(const struct channel_provider *p);
uint32_t channel_provider_slots(const struct channel_provider *p);

/* A setting as text, integer (durations in ms, flags 0 or 1). Requires the channel to have it; text is
 * empty and integer 0 where it is absent. */
struct str channel_provider_text(const struct channel_provider *p, const char *setting);
int64_t channel_provider_integer(const struct channel_provider *p, const char *setting);

/* --- sending ---------------------------------------------------------------------------------- */

/* One granted attempt, as the server hands it in. */
struct channel_message {
    const struct channel_template *message;
    struct str id;      /* the attempt's id: letters, digits, - and _; the same in each retry */
    struct str to;      /* the person's address on this channel; empty for a webhook */
    struct str to_name; /* may be empty */
    const struct value
        *fields; /* what templates read, frozen at the grant: channel_template_bind() */
    size_t field_count;
    const struct zone *zone;    /* whose clock dates show: the person's; NULL = UTC */
    struct str unsubscribe_url; /* one-click URL, https; empty = none */
    struct str unsubscribe_mailto;
    int64_t at_ms; /* the grant's time: `Date`, and the templates' now */
};

/* What goes over the wire. channel_payload_init() before first use. */
struct channel_payload {
    struct buf bytes;     /* the message as the provider gets it */
    struct buf text;      /* rendering's working memory */
    struct arena scratch; /* what the rest points into */
    struct str from;      /* envelope sender */
    struct str to;        /* envelope recipient */
    struct str subject;   /* as rendered, for logs and previews */
    struct str id;        /* the attempt's id */
    const void *more;     /* the kind's own, in scratch */
};

void channel_payload_init(struct channel_payload *out);
void channel_payload_fini(struct channel_payload *out);

/* Renders `m` for the provider into `out`, which may be used again and again. FIX_INPUT with a fault:
 * the template aborted (the fault is its reason), a budget or limit is used up, or what came out is no
 * valid message. */
enum status channel_render(const struct channel_provider *p, const struct channel_message *m,
                           struct channel_payload *out, struct fault *f) mustuse;

/* One slot of the provider, not connected yet. The caller owns it. */
struct channel_connection *channel_connection_new(const struct channel_provider *p);

/* Says goodbye to the provider and closes; NULL is fine. */
void channel_connection_free(struct channel_connection *c);

/* Nothing has been sent for a while: closes the connection, which is made anew when needed. */
void channel_connection_rest(struct channel_connection *c);

/* Asks a send that is running in another thread to end soon: it then answers UNREACHABLE or IN_DOUBT.
 * The only call that another thread may make. Stays in force. */
void channel_connection_abort(struct channel_connection *c);

/* Hands the payload to the provider and says what came of it; blocks until then, at most for the
 * provider's timeouts. `now_ms` is the time that a signature names. */
void channel_send(struct channel_connection *c, const struct channel_payload *payload,
                  int64_t now_ms, struct transmission *out);
