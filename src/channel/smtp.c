/* smtp.c - e-mail through an SMTP server, by libcurl.
 *
 * A connection slot is one easy handle, kept: libcurl keeps the connection in it, so a mail on a warm
 * connection is MAIL, RCPT, DATA, the message, and the final dot.
 *
 * *How one tells that a mail is in doubt.* RFC 1047 names the gap: between the moment at which the
 * server may have seen the final "\r\n.\r\n" and the one at which its answer has been read, a lost
 * connection leaves both sides in good faith and the client ignorant. The gap's beginning is the
 * question. libcurl writes the message in pieces and tells its debug callback how many bytes of it the
 * socket took (CURLINFO_DATA_OUT); it writes the dot when, and only when, all bytes of the size that
 * was announced have been taken. So
 *
 *     bytes taken < size                      the dot was not written: known not accepted
 *     bytes taken = size, an answer was read  the answer decides
 *     bytes taken = size, and no answer       in doubt
 *
 * This is exact but for one window: where the write of the dot itself fails, five bytes, it says in
 * doubt though the dot may not have left. It errs to the safe side. The count is exact because nothing
 * between us and the socket changes bytes: mime.h promises that no line begins with a dot, so libcurl
 * has nothing to stuff, and the size announced is the size written. A server that answers early (421
 * in the middle of the message) is read after the dot was written, as libcurl does not read while it
 * writes; a refusal is a refusal then, too.
 *
 * The stage of a refusal comes from the same callback: the commands that libcurl wrote last
 * (CURLINFO_HEADER_OUT). RCPT's 550 is about the person, MAIL's is about us.
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

#define URL_BYTES   600
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

    /* The send that is running. */
    const struct channel_payload *payload;
    size_t given_bytes; /* of the message: given to libcurl ... */
    size_t taken_bytes; /* ... and taken by the socket */
    enum smtp_stage stage;
    struct smtp_reply reply; /* to the last command, or to the dot */
    bool is_fresh;           /* a socket was opened for it */
    bool is_leaving;         /* QUIT was said: what is answered now is about nothing */
};

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
    struct smtp_connection *c = context;
    size_t bytes = min_of(size * count, c->payload->bytes.len - c->given_bytes);
    memcpy(to, c->payload->bytes.at + c->given_bytes, bytes);
    c->given_bytes += bytes;
    return bytes;
}

static size_t on_line(char *line, size_t size, size_t count, void *context)
{
    struct smtp_connection *c = context;
    if (!c->is_leaving)
        smtp_reply_line(&c->reply, (struct str){line, size * count});
    return size * count;
}

static size_t on_body(char *at, size_t size, size_t count, void *context)
{
    (void)at;
    (void)context;
    return size * count;
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
        {"EHLO ", SMTP_CONNECT}, {"HELO ", SMTP_CONNECT},   {"STARTTLS\r\n", SMTP_CONNECT},
        {"AUTH ", SMTP_AUTH},    {"MAIL FROM:", SMTP_MAIL}, {"RCPT TO:", SMTP_RCPT},
        {"DATA\r\n", SMTP_DATA},
    };
    c->is_leaving = c->is_leaving || str_starts(line, STR("QUIT\r\n"));
    if (c->is_leaving)
        return;
    for (size_t i = 0; i < array_count(commands); i++)
        if (str_starts(line, str_of(commands[i].word)))
            c->stage = commands[i].stage;
    c->reply = (struct smtp_reply){0}; /* what comes next answers this command */
}

static int on_debug(CURL *easy, curl_infotype type, char *at, size_t bytes, void *context)
{
    struct smtp_connection *c = context;
    (void)easy;
    if (type == CURLINFO_HEADER_OUT) {
        on_command(c, (struct str){at, bytes});
    } else if (type == CURLINFO_DATA_OUT) {
        c->taken_bytes += bytes;
        if (c->taken_bytes >= c->payload->bytes.len) {
            c->stage = SMTP_DOT;
            c->reply = (struct smtp_reply){0};
        }
    }
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
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(timeout_ms / SECOND_MS + 1));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, c);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
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
    connection_rest(connection);
    mem_free(connection);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* libcurl failed and the server said nothing that explains it. */
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

static CURLcode perform(struct smtp_connection *c, const struct channel_payload *payload)
{
    c->payload = payload;
    c->given_bytes = c->taken_bytes = 0;
    c->stage = SMTP_CONNECT;
    c->reply = (struct smtp_reply){0};
    c->is_fresh = c->is_leaving = false;
    c->error[0] = '\0';
    if (c->easy == NULL)
        open_handle(c);
    struct curl_slist *to = curl_slist_append(NULL, payload->to.at);
    must(to != NULL);
    curl_easy_setopt(c->easy, CURLOPT_MAIL_FROM, payload->from.at);
    curl_easy_setopt(c->easy, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)payload->bytes.len);
    CURLcode code = curl_easy_perform(c->easy);
    curl_easy_setopt(c->easy, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(to);
    return code;
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
    /* NOTE: libcurl keeps a connection on which it stopped waiting for the answer to the dot, and would
     * take that answer for one to the next mail's MAIL. */
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
