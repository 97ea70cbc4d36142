/* smtp.c - e-mail through an SMTP server.
 *
 * libcurl opens the connection: names and addresses, TLS, the greeting, EHLO, STARTTLS, AUTH. A mail is
 * then ours: MAIL, RCPT, DATA, the message with the final dot, over smtp_wire.h. A connection slot is one
 * easy handle, kept. (libcurl can send mails by itself, one command for each answer. Done here, a server
 * that says PIPELINING is told all three commands at once, RFC 2920, and the dot goes with the message: two
 * waits for a mail where there were five, and half of the system calls.)
 *
 * *How one tells that a mail is in doubt.* RFC 1047 names the gap: between the moment at which the
 * server may have seen the final "\r\n.\r\n" and the one at which its answer has been read, a lost
 * connection leaves both sides in good faith and the client ignorant. So
 *
 *     not all bytes taken by the socket, dot included   known not accepted
 *     all bytes taken, and an answer was read           the answer decides
 *     all bytes taken, and no answer                    in doubt
 *
 * The message is sent as it is: mime.h promises that no line begins with a dot, so there is nothing to
 * stuff, and the size announced is the size written. A server that answers early (421 in the middle of
 * the message) is read after the dot was written, as nothing is read while writing; a refusal is a refusal
 * then, too.
 *
 * The stage of a refusal is that of the command it answers. RCPT's 550 is about the person, MAIL's is
 * about us. While libcurl connects, its debug callback shows which command it wrote last. Where commands
 * went together, the first refusal counts and the answers behind it are not waited for.
 *
 * *A kept connection that has died* is no answer of the provider. Where a send on a kept connection
 * fails before any byte of the message was written, with no answer or with 421 (the server's good-bye
 * to an idle client), it is made once more on a new connection. Nothing can have been accepted yet.
 *
 * After any failure the connection is closed: what an unread answer would answer next is unknown.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <curl/curl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "channel/address.h"
#include "channel/channel_int.h"
#include "channel/mime.h"
#include "channel/smtp_reply.h"
#include "channel/smtp_wire.h"
#include "os/clock.h"

#define URL_BYTES   600
#define AT_ONCE_MAX 65536 /* a message up to this goes in one piece with its dot */
#define SOCKETS_MAX 4

// clang-format off
static const struct channel_setting settings[] = {
    {.name = "url", .kind = CHANNEL_SETTING_URL, .is_required = true,
     .doc = "smtp://host:port (port 587 if not given), or smtps://host:port for TLS from the start"},
    {.name = "from", .kind = CHANNEL_SETTING_MAILBOX, .is_required = true,
     .doc = "sender of messages that name none"},
    {.name = "reply_to", .kind = CHANNEL_SETTING_MAILBOX,
     .doc = "where answers go, if a message does not say"},
    {.name = "return_path", .kind = CHANNEL_SETTING_MAILBOX,
     .doc = "address that bounces go to; the sender's if not given"},
    {.name = "security", .kind = CHANNEL_SETTING_CHOICE, .choices = "required|optional|none",
     .standard = "required", .doc = "STARTTLS on smtp:// URLs"},
    {.name = "username", .kind = CHANNEL_SETTING_TEXT, .doc = "user name, with password"},
    {.name = "password", .kind = CHANNEL_SETTING_SECRET, .doc = "password"},
    {.name = "auth", .kind = CHANNEL_SETTING_CHOICE, .choices = "any|plain|login",
     .standard = "any", .doc = "how to authenticate; any = the best that the server offers"},
    {.name = "ca_file", .kind = CHANNEL_SETTING_TEXT,
     .doc = "certificates to trust (PEM), instead of the system's"},
    {.name = "helo", .kind = CHANNEL_SETTING_TEXT,
     .doc = "name that this machine introduces itself with; its host name if not given"},
    {.name = "connect_timeout", .kind = CHANNEL_SETTING_DURATION, .standard = "10s", .least = 100,
     .most = 2 * MINUTE_MS, .doc = "longest wait for a connection"},
    {.name = "timeout", .kind = CHANNEL_SETTING_DURATION, .standard = "1m", .least = 100,
     .most = 10 * MINUTE_MS, .doc = "longest time for one message, after which it is in doubt or lost"},
    {0},
};
// clang-format on

/* --- checks ----------------------------------------------------------------------------------- */

struct url_parts {
    char scheme[16];
    char host[256];
    bool has_path;
};

static bool url_read(struct str text, struct url_parts *out)
{
    char z[URL_BYTES];
    CURLU *url = curl_url();
    must(url != NULL);
    char *scheme = NULL, *host = NULL, *path = NULL;
    bool is_fine = str_to_z(text, z, sizeof(z)) &&
                   curl_url_set(url, CURLUPART_URL, z, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
                   str_to_z(str_of(scheme), out->scheme, sizeof(out->scheme)) &&
                   str_to_z(str_of(host), out->host, sizeof(out->host));
    if (is_fine)
        out->has_path = strcmp(path, "/") != 0 || str_find(text, STR("?"), 0) != SIZE_MAX ||
                        str_find(text, STR("#"), 0) != SIZE_MAX;
    curl_free(scheme);
    curl_free(host);
    curl_free(path);
    curl_url_cleanup(url);
    return is_fine;
}

static bool is_host_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.'))
            return false;
    }
    return name.len <= 253;
}

static bool is_this_machine(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

static enum status provider_check(const struct channel_provider *p, struct fault *f)
{
    const struct channel_value *url = channel_provider_get(p, "url");
    bool has_user = channel_provider_text(p, "username").len > 0;
    bool has_password = channel_provider_text(p, "password").len > 0;
    if (!is_host_name(channel_provider_text(p, "helo"))) {
        fault_set(f, "helo: not a host name");
        return FIX_INPUT;
    }
    if (url->text.len == 0)
        return OK; /* a reference that is not read yet */
    struct url_parts parts;
    if (!url_read(url->text, &parts)) {
        fault_set(f, "url: not a URL with a host");
        return FIX_INPUT;
    }
    bool is_smtps = strcmp(parts.scheme, "smtps") == 0;
    if (!is_smtps && strcmp(parts.scheme, "smtp") != 0) {
        fault_set(f, "url: expected smtp:// or smtps://, found %s://", parts.scheme);
        return FIX_INPUT;
    }
    if (parts.has_path) {
        fault_set(f, "url: ends behind the port; the name for EHLO is the setting helo");
        return FIX_INPUT;
    }
    if (has_password && !has_user) {
        fault_set(f, "username is missing beside password");
        return FIX_INPUT;
    }
    bool is_open = !is_smtps && str_is(channel_provider_text(p, "security"), "none");
    if (has_password && is_open && !is_this_machine(parts.host)) {
        fault_set(f, "security: none would send the password to %s unencrypted", parts.host);
        return FIX_INPUT;
    }
    return OK;
}

/* --- the message ------------------------------------------------------------------------------ */

static enum status mailbox_of(const struct channel_provider *p, struct str text, const char *part,
                              const char *setting, struct arena *scratch, struct mime_mailbox *out,
                              struct fault *f)
{
    text = str_trim(text);
    if (text.len == 0) {
        *out = channel_provider_get(p, setting)->mailbox;
        return OK;
    }
    enum status status = mime_mailbox_parse(text, arena_alloc(scratch, text.len + 1), out, f);
    if (status != OK)
        fault_prefix(f, "%s: ", part);
    return status;
}

static enum status assemble(const struct channel_provider *p, const struct channel_message *m,
                            const struct str *parts, struct channel_payload *out, struct fault *f)
{
    struct mime_message mail = {
        .to = {.name = m->to_name, .address = m->to},
        .subject = str_trim(parts[channel_part_index(CHANNEL_EMAIL, "subject")]),
        .html = parts[channel_part_index(CHANNEL_EMAIL, "html")],
        .text = parts[channel_part_index(CHANNEL_EMAIL, "text")],
        .id = m->id,
        .unsubscribe_url = m->unsubscribe_url,
        .unsubscribe_mailto = m->unsubscribe_mailto,
        .date_ms = m->at_ms,
    };
    struct str from = parts[channel_part_index(CHANNEL_EMAIL, "from")];
    struct str reply_to = parts[channel_part_index(CHANNEL_EMAIL, "reply_to")];
    enum status status = mailbox_of(p, from, "from", "from", &out->scratch, &mail.from, f);
    if (status == OK)
        status = mailbox_of(p, reply_to, "reply_to", "reply_to", &out->scratch, &mail.reply_to, f);
    if (status != OK)
        return status;
    if (str_trim(mail.text).len == 0) {
        out->text.len = 0;
        mime_write_text_of_html(&out->text, mail.html);
        mail.text = buf_str(&out->text);
    }
    if (mail.text.len == 0 && mail.html.len == 0) {
        fault_set(f, "the message is empty");
        return FIX_INPUT;
    }
    status = mime_write(&mail, &out->bytes, f);
    if (status != OK)
        return status;
    struct mime_mailbox bounces = channel_provider_get(p, "return_path")->mailbox;
    out->from =
        arena_copy(&out->scratch, bounces.address.len ? bounces.address : mail.from.address);
    out->to = arena_copy(&out->scratch, m->to);
    out->subject = arena_copy(&out->scratch, mail.subject);
    return OK;
}

/* --- the connection --------------------------------------------------------------------------- */

struct smtp_connection {
    const struct channel_provider *provider;
    const struct channel_stop *stop;
    CURL *easy;               /* NULL until needed */
    int sockets[SOCKETS_MAX]; /* that are open now: one, or a few while IPv4 and IPv6 race */
    char url[URL_BYTES + 260];
    char error[CURL_ERROR_SIZE];

    struct smtp_wire wire; /* while `easy` is there */
    struct buf out;        /* what is to be written at once */
    bool can_pipeline;     /* what the server has said after EHLO */
    bool has_size;

    /* The send that is running. */
    size_t taken_bytes; /* of the message and its dot: by the socket */
    enum smtp_stage stage;
    struct smtp_reply reply; /* to the last command, or to the dot */
    bool is_fresh;           /* a socket was opened for it */
    bool is_leaving;         /* QUIT was said: what is answered now is about nothing */
};

/* One line of what a server says while libcurl connects: an extension it has, perhaps. */
static void note_extension(struct smtp_connection *c, struct str line)
{
    line = str_trim(line);
    if (!str_starts(line, STR("250")) || line.len < 5)
        return;
    char word[16] = "";
    struct str rest = str_part(line, 4, SIZE_MAX);
    for (size_t i = 0; i < rest.len && i < sizeof(word) - 1 && rest.at[i] != ' '; i++)
        word[i] = (char)(rest.at[i] >= 'a' && rest.at[i] <= 'z' ? rest.at[i] - 32 : rest.at[i]);
    c->can_pipeline = c->can_pipeline || strcmp(word, "PIPELINING") == 0;
    c->has_size = c->has_size || strcmp(word, "SIZE") == 0;
}

static size_t on_line(char *line, size_t size, size_t count, void *context)
{
    struct smtp_connection *c = context;
    struct str text = {line, size * count};
    if (c->is_leaving)
        return text.len;
    if (c->stage == SMTP_CONNECT)
        note_extension(c, text);
    smtp_reply_line(&c->reply, text);
    return text.len;
}

static int on_socket(void *context, curl_socket_t socket, curlsocktype purpose)
{
    struct smtp_connection *c = context;
    (void)purpose;
    c->is_fresh = true;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (c->sockets[i] < 0) {
            c->sockets[i] = socket;
            return CURL_SOCKOPT_OK;
        }
    }
    return CURL_SOCKOPT_ERROR;
}

static int on_close(void *context, curl_socket_t socket)
{
    struct smtp_connection *c = context;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (c->sockets[i] == socket)
            c->sockets[i] = -1;
    return close(socket);
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    const struct smtp_connection *c = context;
    (void)down_total, (void)down, (void)up_total, (void)up;
    return channel_stop_is_asked(c->stop);
}

static void on_command(struct smtp_connection *c, struct str line)
{
    static const struct {
        const char *word;
        enum smtp_stage stage;
    } commands[] = {
        {"EHLO ", SMTP_CONNECT},
        {"HELO ", SMTP_CONNECT},
        {"STARTTLS\r\n", SMTP_CONNECT},
        {"AUTH ", SMTP_AUTH},
    };
    c->is_leaving = c->is_leaving || str_starts(line, STR("QUIT\r\n"));
    if (c->is_leaving)
        return;
    for (size_t i = 0; i < array_count(commands); i++)
        if (str_starts(line, str_of(commands[i].word)))
            c->stage = commands[i].stage;
    if (str_starts(line, STR("EHLO "))) /* what was said before STARTTLS does not count */
        c->can_pipeline = c->has_size = false;
    c->reply = (struct smtp_reply){0}; /* what comes next answers this command */
}

static int on_debug(CURL *easy, curl_infotype type, char *at, size_t bytes, void *context)
{
    struct smtp_connection *c = context;
    (void)easy;
    if (type == CURLINFO_HEADER_OUT)
        on_command(c, (struct str){at, bytes});
    return 0;
}

static void set_security(CURL *easy, const struct channel_provider *p)
{
    struct str security = channel_provider_text(p, "security");
    long use = str_is(security, "required")   ? CURLUSESSL_ALL
               : str_is(security, "optional") ? CURLUSESSL_TRY
                                              : CURLUSESSL_NONE;
    curl_easy_setopt(easy, CURLOPT_USE_SSL, use);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    if (channel_provider_text(p, "ca_file").len > 0)
        curl_easy_setopt(easy, CURLOPT_CAINFO, channel_provider_text(p, "ca_file").at);
    if (channel_provider_text(p, "username").len == 0)
        return;
    curl_easy_setopt(easy, CURLOPT_USERNAME, channel_provider_text(p, "username").at);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, channel_provider_text(p, "password").at);
    struct str auth = channel_provider_text(p, "auth");
    curl_easy_setopt(easy, CURLOPT_LOGIN_OPTIONS,
                     str_is(auth, "plain")   ? "AUTH=PLAIN"
                     : str_is(auth, "login") ? "AUTH=LOGIN"
                                             : "AUTH=*");
}

static bool is_plain(const struct channel_provider *p)
{
    return str_is(channel_provider_text(p, "security"), "none") &&
           !str_starts(channel_provider_text(p, "url"), STR("smtps"));
}

static void open_handle(struct smtp_connection *c)
{
    CURL *easy = curl_easy_init();
    must(easy != NULL);
    int64_t connect_ms = channel_provider_integer(c->provider, "connect_timeout");
    int64_t timeout_ms = channel_provider_integer(c->provider, "timeout");
    curl_easy_setopt(easy, CURLOPT_URL, c->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor what the environment says */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(timeout_ms / SECOND_MS + 1));
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, c);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, c);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, c);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    set_security(easy, c->provider);
    c->easy = easy;
}

static void *connection_new(const struct channel_provider *p, const struct channel_stop *stop)
{
    struct smtp_connection *c = mem_new(sizeof(*c));
    c->provider = p;
    c->stop = stop;
    buf_init(&c->out);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        c->sockets[i] = -1;
    struct str url = channel_provider_text(p, "url"), helo = channel_provider_text(p, "helo");
    while (url.len > 0 && url.at[url.len - 1] == '/')
        url.len--;
    struct str authority = str_part(url, str_find(url, STR("://"), 0) + 3, SIZE_MAX);
    bool is_smtps = str_starts(url, STR("smtps"));
    size_t bracket = str_find(authority, STR("]"), 0);
    size_t colon = str_find(authority, STR(":"), bracket == SIZE_MAX ? 0 : bracket);
    const char *port = colon != SIZE_MAX || is_smtps ? "" : ":587";
    snprintf(c->url, sizeof(c->url), "%.*s%s/%.*s", STR_ARG(url), port, STR_ARG(helo));
    return c;
}

/* Closes the connection. `how` is SHUT_RD for a good-bye, SHUT_RDWR without one: libcurl says QUIT and
 * waits for the answer, up to two minutes and with no way to say less; a socket that is shut for
 * reading has its answer at once. */
static void close_handle(struct smtp_connection *c, int how)
{
    if (c->easy == NULL)
        return;
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        if (c->sockets[i] >= 0)
            shutdown(c->sockets[i], how);
    curl_easy_cleanup(c->easy);
    c->easy = NULL;
}

static void connection_rest(void *connection)
{
    close_handle(connection, SHUT_RD);
}

static void connection_free(void *connection)
{
    struct smtp_connection *c = connection;
    connection_rest(c);
    buf_fini(&c->out);
    mem_free(c);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* It failed and the server said nothing that explains it. */
static enum transmission_outcome outcome_without_reply(const struct smtp_connection *c,
                                                       CURLcode code)
{
    if (c->stage == SMTP_DOT)
        return TRANSMISSION_IN_DOUBT;
    switch ((int)code) {
    case CURLE_LOGIN_DENIED:
    case CURLE_USE_SSL_FAILED:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return TRANSMISSION_NO_ACCESS;
    }
    return TRANSMISSION_UNREACHABLE;
}

static void describe(const struct smtp_connection *c, CURLcode code, struct transmission *out)
{
    const char *error = c->error[0] ? c->error : curl_easy_strerror(code);
    const char *when = c->stage == SMTP_DOT ? "sent whole, but no answer came: " : "";
    if (code == CURLE_ABORTED_BY_CALLBACK)
        error = "stopped";
    snprintf(out->detail, sizeof(out->detail), "%s%.200s", when, error);
}

static void judge(const struct smtp_connection *c, CURLcode code, struct transmission *out)
{
    const struct smtp_reply *r = &c->reply;
    bool is_refusal = code != CURLE_OK && r->is_complete && r->code >= 400;
    bool is_acceptance =
        code == CURLE_OK || (c->stage == SMTP_DOT && r->is_complete && r->code < 300);
    out->is_fresh = c->is_fresh;
    if (is_refusal || is_acceptance) {
        out->outcome = is_acceptance ? TRANSMISSION_ACCEPTED : smtp_classify(r, c->stage);
        out->code = r->code;
        memcpy(out->enhanced, r->enhanced, sizeof(out->enhanced));
        memcpy(out->detail, r->text, sizeof(out->detail));
        return;
    }
    out->outcome = outcome_without_reply(c, code);
    describe(c, code, out);
}

_Static_assert(sizeof(((struct transmission *)0)->detail) == SMTP_REPLY_TEXT_BYTES, "one size");

/* Writes one command and reads its answer; with NULL the command is written already. */
static CURLcode command(struct smtp_connection *c, enum smtp_stage stage, const struct str *text)
{
    size_t taken;
    CURLcode code = CURLE_OK;
    c->stage = stage;
    c->reply = (struct smtp_reply){0};
    if (text != NULL)
        code = smtp_wire_write(&c->wire, *text, &taken);
    if (code == CURLE_OK)
        code = smtp_wire_reply(&c->wire, &c->reply);
    if (code != CURLE_OK)
        return code;
    bool is_fine = stage == SMTP_DATA ? c->reply.code == 354 : c->reply.code / 100 == 2;
    return is_fine ? CURLE_OK : CURLE_WEIRD_SERVER_REPLY;
}

/* MAIL, RCPT and DATA, as far as nothing is refused. */
static CURLcode envelope(struct smtp_connection *c, const struct channel_payload *payload)
{
    struct buf *out = &c->out;
    size_t ends[3], taken;
    CURLcode code = CURLE_OK;
    out->len = 0;
    buf_add_str(out, STR("MAIL FROM:<"));
    buf_add_str(out, payload->from);
    buf_add_byte(out, '>');
    if (c->has_size)
        buf_printf(out, " SIZE=%zu", payload->bytes.len);
    buf_add_str(out, STR("\r\nRCPT TO:<"));
    ends[0] = out->len - strlen("RCPT TO:<");
    buf_add_str(out, payload->to);
    buf_add_str(out, STR(">\r\n"));
    ends[1] = out->len;
    buf_add_str(out, STR("DATA\r\n"));
    ends[2] = out->len;
    c->stage = SMTP_MAIL;
    if (c->can_pipeline)
        code = smtp_wire_write(&c->wire, buf_str(out), &taken);
    for (uint32_t i = 0; i < 3 && code == CURLE_OK; i++) {
        size_t from = i == 0 ? 0 : ends[i - 1];
        struct str line = str_part(buf_str(out), from, ends[i] - from);
        code = command(c, (enum smtp_stage)(SMTP_MAIL + i), c->can_pipeline ? NULL : &line);
    }
    return code;
}

_Static_assert(SMTP_RCPT == SMTP_MAIL + 1 && SMTP_DATA == SMTP_MAIL + 2, "in their order");

/* The message and its dot. */
static CURLcode message(struct smtp_connection *c, const struct channel_payload *payload)
{
    struct str text = buf_str(&payload->bytes), end = STR("\r\n.\r\n");
    size_t taken = 0;
    CURLcode code = CURLE_OK;
    if (str_ends(text, STR("\r\n")))
        end = str_part(end, 2, SIZE_MAX);
    c->reply = (struct smtp_reply){0};
    c->out.len = 0;
    if (text.len <= AT_ONCE_MAX)
        buf_add_str(&c->out, text);
    else
        code = smtp_wire_write(&c->wire, text, &c->taken_bytes);
    buf_add_str(&c->out, end);
    if (code == CURLE_OK) {
        code = smtp_wire_write(&c->wire, buf_str(&c->out), &taken);
        c->taken_bytes += taken;
    }
    return code == CURLE_OK ? command(c, SMTP_DOT, NULL) : code;
}

static CURLcode perform(struct smtp_connection *c, const struct channel_payload *payload)
{
    CURLcode code = CURLE_OK;
    c->taken_bytes = 0;
    c->stage = SMTP_CONNECT;
    c->reply = (struct smtp_reply){0};
    c->is_fresh = c->is_leaving = false;
    c->error[0] = '\0';
    c->wire.until_ns = os_clock_monotonic_ns() +
                       channel_provider_integer(c->provider, "timeout") * INT64_C(1000000);
    if (c->easy != NULL && smtp_wire_has_rest(&c->wire))
        close_handle(c, SHUT_RDWR);
    if (c->easy == NULL) {
        open_handle(c);
        code = curl_easy_perform(c->easy);
        if (code == CURLE_OK)
            code = smtp_wire_open(&c->wire, c->easy, is_plain(c->provider), c->stop);
    }
    if (code == CURLE_OK && channel_stop_is_asked(c->stop))
        code = CURLE_ABORTED_BY_CALLBACK;
    if (code == CURLE_OK)
        code = envelope(c, payload);
    return code == CURLE_OK ? message(c, payload) : code;
}

/* Did a kept connection turn out to be dead, before anything was risked? */
static bool was_stale(const struct smtp_connection *c, CURLcode code)
{
    if (code == CURLE_OK || code == CURLE_ABORTED_BY_CALLBACK || c->is_fresh)
        return false;
    return c->taken_bytes == 0 && (!c->reply.is_complete || c->reply.code == 421);
}

static void send_mail(void *connection, const struct channel_payload *payload, int64_t now_ms,
                      struct transmission *out)
{
    struct smtp_connection *c = connection;
    (void)now_ms;
    must(payload->bytes.len > 0);
    must(address_check(payload->to) == ADDRESS_FINE);
    must(address_check(payload->from) == ADDRESS_FINE);
    CURLcode code = perform(c, payload);
    if (was_stale(c, code)) {
        close_handle(c, SHUT_RDWR);
        code = perform(c, payload);
    }
    judge(c, code, out);
    /* An answer that was not waited for would be taken for one to the next mail's MAIL. */
    if (code != CURLE_OK)
        close_handle(c, out->code >= 400 ? SHUT_RD : SHUT_RDWR);
}

const struct channel_kind channel_smtp = {
    .name = "smtp",
    .doc = "e-mail through an SMTP server",
    .channels = 1u << CHANNEL_EMAIL,
    .settings = settings,
    .provider_check = provider_check,
    .assemble = assemble,
    .connection_new = connection_new,
    .connection_free = connection_free,
    .connection_rest = connection_rest,
    .send = send_mail,
};
