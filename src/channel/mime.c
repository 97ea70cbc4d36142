/* mime.c - headers. Bodies are in mime_body.c.
 *
 * A header's value is one of three things. *Structured* ones (addresses, dates, ids) are made here
 * from parts that were checked. *Unstructured* ones (Subject, further headers) are text: written as
 * it is where it is printable ASCII, else as RFC 2047 encoded words. A *phrase* (a display name) is
 * written between quotes where it is short printable ASCII, else as encoded words too.
 *
 * An encoded word is at most 75 bytes, a line that holds one at most 76, and a code point is never
 * split between two words (RFC 2047 section 5). Of the two encodings the shorter is taken: Q for text
 * with a few accents, B for Greek or Chinese. In Q only letters, digits and "!*+-/" stand for
 * themselves, which is what section 5 (3) allows in a phrase; it is enough for a subject too.
 *
 * Values with a line break or another control character are refused, not cleaned: whoever puts one
 * into a name wants a header of their own. A tab counts as a space.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "channel/mime.h"

#include <stdio.h>

#include "base/hash.h"
#include "channel/address.h"
#include "channel/base64.h"
#include "channel/mime_int.h"
#include "when/civil.h"

#define LINE_COLUMNS   76
#define WORD_BYTES_MAX 75 /* an encoded word, with its frame */
#define WORD_FRAME     12 /* =?UTF-8?Q??= */
#define QUOTED_MAX     50 /* a display name up to this long is written between quotes */
#define URL_BYTES_MAX  900

/* --- encoded words ---------------------------------------------------------------------------- */

static bool is_plain_in_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!*+-/", c) != NULL);
}

static size_t q_bytes(struct str text)
{
    size_t sum = 0;
    for (size_t i = 0; i < text.len; i++)
        sum += is_plain_in_word((uint8_t)text.at[i]) || text.at[i] == ' ' ? 1 : 3;
    return sum;
}

static void add_q(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (c == ' ')
            buf_add_byte(out, '_');
        else if (is_plain_in_word(c))
            buf_add_byte(out, c);
        else
            add_escaped(out, c);
    }
}

/* How much of `text` fits into `room` bytes of encoding: whole code points. */
static size_t fitting(struct str text, size_t room, bool is_q)
{
    size_t used = 0, len = 0;
    while (len < text.len) {
        size_t bytes = code_point_bytes(text, len);
        used = is_q ? used + q_bytes(str_part(text, len, bytes)) : (len + bytes + 2) / 3 * 4;
        if (used > room)
            break;
        len += bytes;
    }
    return len;
}

/* Writes `text` as encoded words, the first after `column` bytes of its line. Returns the column
 * behind the last. */
static size_t add_words(struct buf *out, struct str text, size_t column)
{
    bool is_q = q_bytes(text) <= (text.len + 2) / 3 * 4;
    while (text.len > 0) {
        size_t room = column < LINE_COLUMNS ? LINE_COLUMNS - column : 0;
        room = min_of(room, (size_t)WORD_BYTES_MAX);
        size_t len = room > WORD_FRAME ? fitting(text, room - WORD_FRAME, is_q) : 0;
        if (len > 0) {
            size_t before = out->len;
            buf_add_str(out, is_q ? STR("=?UTF-8?Q?") : STR("=?UTF-8?B?"));
            if (is_q)
                add_q(out, str_part(text, 0, len));
            else
                base64_write(out, str_part(text, 0, len));
            buf_add_str(out, STR("?="));
            column += out->len - before;
            text = str_part(text, len, SIZE_MAX);
        }
        if (text.len > 0) {
            must(column > 1);
            buf_add_str(out, STR("\r\n "));
            column = 1;
        }
    }
    return column;
}

/* --- text in headers -------------------------------------------------------------------------- */

static bool is_printable(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return true;
}

/* The longest stretch without a space. */
static size_t longest_stretch(struct str text)
{
    size_t longest = 0, stretch = 0;
    for (size_t i = 0; i < text.len; i++) {
        stretch = text.at[i] == ' ' ? 0 : stretch + 1;
        longest = max_of(longest, stretch);
    }
    return longest;
}

static bool needs_words(struct str text)
{
    return !is_printable(text) || str_find(text, STR("=?"), 0) != SIZE_MAX ||
           longest_stretch(text) > 60 ||
           (text.len > 0 && (text.at[0] == ' ' || text.at[text.len - 1] == ' '));
}

/* Writes printable ASCII, folding before a space where the next stretch would pass the line. */
static void add_folded(struct buf *out, struct str text, size_t column)
{
    for (size_t i = 0; i < text.len;) {
        size_t end = i;
        while (end < text.len && text.at[end] == ' ')
            end++;
        while (end < text.len && text.at[end] != ' ')
            end++;
        if (column + (end - i) > LINE_COLUMNS && text.at[i] == ' ') {
            buf_add_str(out, STR("\r\n"));
            column = 0;
        }
        buf_add(out, text.at + i, end - i);
        column += end - i;
        i = end;
    }
}

void mime_write_unstructured(struct buf *out, struct str text, size_t column)
{
    if (needs_words(text))
        add_words(out, text, column);
    else
        add_folded(out, text, column);
}

/* Copies a header's value with tabs as spaces. FIX_INPUT if it cannot be one. */
static enum status header_text(struct str in, const char *what, struct buf *out, struct fault *f)
{
    if (in.len > MIME_HEADER_BYTES_MAX) {
        fault_set(f, "%s is longer than %d bytes", what, MIME_HEADER_BYTES_MAX);
        return FIX_INPUT;
    }
    if (!str_is_utf8(in)) {
        fault_set(f, "%s is not valid UTF-8", what);
        return FIX_INPUT;
    }
    out->len = 0;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = (uint8_t)in.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            fault_set(f, "%s has a line break or another control character in it", what);
            return FIX_INPUT;
        }
        buf_add_byte(out, c == '\t' ? ' ' : c);
    }
    return OK;
}

/* --- the headers ------------------------------------------------------------------------------ */

static enum status write_text(struct buf *out, const char *name, struct str value,
                              struct buf *scratch, struct fault *f)
{
    enum status status = header_text(value, name, scratch, f);
    if (status != OK)
        return status;
    buf_printf(out, "%s: ", name);
    mime_write_unstructured(out, buf_str(scratch), strlen(name) + 2);
    buf_add_str(out, STR("\r\n"));
    return OK;
}

static enum status write_mailbox(struct buf *out, const char *name, struct mime_mailbox mailbox,
                                 struct buf *scratch, struct fault *f)
{
    enum address_flaw flaw = address_check(mailbox.address);
    if (flaw != ADDRESS_FINE) {
        fault_set(f, "%s: %s", name, address_flaw_text(flaw));
        return FIX_INPUT;
    }
    enum status status = header_text(mailbox.name, name, scratch, f);
    if (status != OK)
        return status;

    struct str text = str_trim(buf_str(scratch));
    size_t column = strlen(name) + 2;
    buf_printf(out, "%s: ", name);
    if (text.len > 0) {
        if (text.len > QUOTED_MAX || needs_words(text)) {
            column = add_words(out, text, column);
        } else {
            size_t before = out->len;
            buf_add_byte(out, '"');
            for (size_t i = 0; i < text.len; i++) {
                if (text.at[i] == '"' || text.at[i] == '\\')
                    buf_add_byte(out, '\\');
                buf_add_byte(out, (uint8_t)text.at[i]);
            }
            buf_add_byte(out, '"');
            column += out->len - before;
        }
        bool is_long = column + 3 + mailbox.address.len > LINE_COLUMNS;
        buf_add_str(out, is_long ? STR("\r\n <") : STR(" <"));
        buf_add_str(out, mailbox.address);
        buf_add_byte(out, '>');
    } else {
        buf_add_str(out, mailbox.address);
    }
    buf_add_str(out, STR("\r\n"));
    return OK;
}

static void write_date(struct buf *out, int64_t at_ms)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t day = floor_div(at_ms, DAY_MS);
    int64_t second = floor_mod(at_ms, DAY_MS) / SECOND_MS;
    struct date date = civil_date(day);
    buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[civil_weekday(day)],
               date.day, months[date.month - 1], date.year, (int)(second / 3600),
               (int)(second / 60 % 60), (int)(second % 60));
}

static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' ||
                       (c == '.' && i > 0 && i + 1 < id.len && id.at[i - 1] != '.');
        if (!is_fine)
            return false;
    }
    return id.len > 0 && id.len <= 128;
}

static enum status write_unsubscribe(struct buf *out, const struct mime_message *m, struct fault *f)
{
    struct str url = m->unsubscribe_url;
    if (url.len == 0 && m->unsubscribe_mailto.len == 0)
        return OK;
    bool is_https = str_starts(url, STR("https://"));
    if (url.len > 0 && !is_https && !str_starts(url, STR("http://"))) {
        fault_set(f, "the unsubscribe URL is not an https URL");
        return FIX_INPUT;
    }
    for (size_t i = 0; i < url.len; i++) {
        if (url.at[i] <= ' ' || url.at[i] > '~' || strchr("<>,\"\\", url.at[i]) != NULL) {
            fault_set(f, "the unsubscribe URL has a character that a URL cannot have");
            return FIX_INPUT;
        }
    }
    if (url.len > URL_BYTES_MAX) {
        fault_set(f, "the unsubscribe URL is longer than %d bytes", URL_BYTES_MAX);
        return FIX_INPUT;
    }
    if (m->unsubscribe_mailto.len > 0 && address_check(m->unsubscribe_mailto) != ADDRESS_FINE) {
        fault_set(f, "the unsubscribe address: %s",
                  address_flaw_text(address_check(m->unsubscribe_mailto)));
        return FIX_INPUT;
    }
    buf_add_str(out, STR("List-Unsubscribe:"));
    if (url.len > 0)
        buf_printf(out, "%s<%.*s>", url.len > 56 ? "\r\n " : " ", STR_ARG(url));
    if (m->unsubscribe_mailto.len > 0)
        buf_printf(out, "%s<mailto:%.*s>", url.len > 0 ? ",\r\n " : " ",
                   STR_ARG(m->unsubscribe_mailto));
    buf_add_str(out, STR("\r\n"));
    if (is_https)
        buf_add_str(out, STR("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    return OK;
}

/* Headers that mean something to a mail server, or that are written above: not for anyone else. */
static bool is_reserved(struct str name)
{
    static const char *const reserved[] = {
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "subject",
        "date",
        "message-id",
        "reply-to",
        "return-path",
        "received",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "mime-version",
        "dkim-signature",
        "authentication-results",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
    };
    for (size_t i = 0; i < array_count(reserved); i++)
        if (str_equal_nocase(name, str_of(reserved[i])))
            return true;
    struct str front = str_part(name, 0, 8);
    return str_equal_nocase(front, STR("content-")) ||
           str_equal_nocase(str_part(name, 0, 7), STR("resent-"));
}

static enum status write_further(struct buf *out, const struct mime_header *h, struct buf *scratch,
                                 struct fault *f)
{
    bool is_name = h->name.len > 0 && h->name.len <= 60;
    for (size_t i = 0; i < h->name.len && is_name; i++) {
        char c = h->name.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        is_name = is_letter || (i > 0 && (c == '-' || c == '_' || (c >= '0' && c <= '9')));
    }
    if (!is_name || is_reserved(h->name)) {
        fault_set(f, is_name ? "header \"%.*s\" cannot be set" : "\"%.*s\" is no header's name",
                  STR_ARG(h->name));
        return FIX_INPUT;
    }
    char name[64];
    must(str_to_z(h->name, name, sizeof(name)));
    return write_text(out, name, h->value, scratch, f);
}

static enum status body_fits(struct str body, const char *what, struct fault *f)
{
    if (body.len > MIME_BODY_BYTES_MAX) {
        fault_set(f, "the %s is longer than %d bytes", what, MIME_BODY_BYTES_MAX);
        return FIX_INPUT;
    }
    if (!str_is_utf8(body)) {
        fault_set(f, "the %s is not valid UTF-8", what);
        return FIX_INPUT;
    }
    return OK;
}

static enum status write_headers(const struct mime_message *m, struct buf *out, struct buf *scratch,
                                 struct fault *f)
{
    if (!is_id(m->id)) {
        fault_set(f, "\"%.*s\" cannot be a message id", (int)min_of(m->id.len, (size_t)100),
                  m->id.at);
        return FIX_INPUT;
    }
    enum status status = body_fits(m->text, "text body", f);
    if (status == OK)
        status = body_fits(m->html, "HTML body", f);
    if (status != OK)
        return status;

    write_date(out, m->date_ms);
    if ((status = write_mailbox(out, "From", m->from, scratch, f)) != OK ||
        (status = write_mailbox(out, "To", m->to, scratch, f)) != OK)
        return status;
    if (m->reply_to.address.len > 0) {
        status = write_mailbox(out, "Reply-To", m->reply_to, scratch, f);
        if (status != OK)
            return status;
    }
    status = write_text(out, "Subject", str_trim(m->subject), scratch, f);
    if (status != OK)
        return status;
    struct str id_domain = m->id_domain.len > 0 ? m->id_domain : address_domain(m->from.address);
    buf_printf(out, "Message-ID: <%.*s@%.*s>\r\n", STR_ARG(m->id), STR_ARG(id_domain));
    status = write_unsubscribe(out, m, f);
    for (size_t i = 0; i < m->headers_count && status == OK; i++)
        status = write_further(out, &m->headers[i], scratch, f);
    buf_add_str(out, STR("MIME-Version: 1.0\r\n"));
    return status;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* A body's own headers and the body. Quoted-printable keeps text readable; where it would be much
 * longer (scripts other than Latin take nine bytes a letter), base64. */
static void write_part(struct buf *out, const char *type, struct str body)
{
    size_t wide = 0;
    for (size_t i = 0; i < body.len; i++)
        wide += (uint8_t)body.at[i] >= 0x80;
    bool is_base64 = wide > body.len / 3;
    buf_printf(out,
               "Content-Type: text/%s; charset=utf-8\r\n"
               "Content-Transfer-Encoding: %s\r\n\r\n",
               type, is_base64 ? "base64" : "quoted-printable");
    if (is_base64)
        mime_write_base64(out, body);
    else
        mime_write_quoted_printable(out, body);
}

enum status mime_write(const struct mime_message *m, struct buf *out, struct fault *f)
{
    must(m->text.len > 0 || m->html.len > 0);
    must(m->headers_count <= MIME_HEADERS_MAX);

    size_t before = out->len;
    struct buf scratch;
    buf_init(&scratch);
    enum status status = write_headers(m, out, &scratch, f);
    buf_fini(&scratch);
    if (status != OK) {
        out->len = before;
        return status;
    }

    if (m->text.len == 0 || m->html.len == 0) {
        write_part(out, m->html.len > 0 ? "html" : "plain", m->html.len > 0 ? m->html : m->text);
        return OK;
    }
    /* "=_" occurs in neither encoding: in quoted-printable a "=" is followed by two hex digits or the
     * end of the line, in base64 by "=" or the end. */
    char boundary[40];
    snprintf(boundary, sizeof(boundary), "=_%016llx", (unsigned long long)hash_str(m->id, 1));
    buf_printf(out, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n", boundary);
    buf_printf(out, "--%s\r\n", boundary);
    write_part(out, "plain", m->text);
    buf_printf(out, "\r\n--%s\r\n", boundary);
    write_part(out, "html", m->html);
    buf_printf(out, "\r\n--%s--\r\n", boundary);
    return OK;
}

/* --- mailboxes -------------------------------------------------------------------------------- */

enum status mime_mailbox_parse(struct str text, char *scratch, struct mime_mailbox *out,
                               struct fault *f)
{
    struct mime_mailbox found = {.name = STR(""), .address = str_trim(text)};
    text = str_trim(text);
    if (text.len > 0 && text.at[text.len - 1] == '>') {
        size_t open = text.len;
        while (open > 0 && text.at[open - 1] != '<')
            open--;
        if (open == 0) {
            fault_set(f, "\"%.*s\" has a > without a <; write \"Name <address>\"",
                      (int)min_of(text.len, (size_t)100), text.at);
            return FIX_INPUT;
        }
        found.address = str_part(text, open, text.len - open - 1);
        found.name = str_trim(str_part(text, 0, open - 1));
    }
    if (found.name.len > 0 && found.name.at[0] == '"') {
        size_t len = 0, i = 1;
        for (; i < found.name.len && found.name.at[i] != '"'; i++) {
            if (found.name.at[i] == '\\' && i + 1 < found.name.len)
                i++;
            scratch[len++] = found.name.at[i];
        }
        if (i + 1 != found.name.len) {
            fault_set(f, "the quotes in the name before <%.*s> do not end where the name does",
                      (int)min_of(found.address.len, (size_t)100), found.address.at);
            return FIX_INPUT;
        }
        found.name = (struct str){scratch, len};
    }
    enum address_flaw flaw = address_check(found.address);
    if (flaw != ADDRESS_FINE) {
        fault_set(f, "\"%.*s\": %s", (int)min_of(found.address.len, (size_t)100), found.address.at,
                  address_flaw_text(flaw));
        return FIX_INPUT;
    }
    *out = found;
    return OK;
}
