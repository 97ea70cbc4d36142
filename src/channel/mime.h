/* mime.h - one e-mail message as bytes: RFC 5322 headers, RFC 2045-2047 bodies and encoded words.
 *
 *     Date: Mon, 02 Mar 2026 12:00:00 +0000
 *     From: "Northwind Outdoor" <hello@example.com>
 *     To: =?UTF-8?Q?J=C3=BCrgen?= <j@example.org>
 *     Subject: ...                                  folded at 76, split between code points
 *     Message-ID: <attempt@domain of From>
 *     List-Unsubscribe: <https://...>               when there is one
 *     List-Unsubscribe-Post: List-Unsubscribe=One-Click
 *     MIME-Version: 1.0
 *     Content-Type: multipart/alternative; boundary="..."
 *
 *     --...  text/plain; charset=utf-8, quoted-printable (base64 where that is much shorter)
 *     --...  text/html;  the same
 *
 * What holds for every message that mime_write() makes: all bytes are ASCII, every line ends in CRLF
 * and has at most 76 bytes of body or 998 of header, and no line begins with a dot (quoted-printable
 * writes it =2E), so SMTP's dot-stuffing never changes a byte: the size announced is the size sent.
 * The same input gives the same bytes; the boundary is made from the message id.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"

#define MIME_HEADER_BYTES_MAX 2000          /* one header's value, before encoding */
#define MIME_BODY_BYTES_MAX   (1024 * 1024) /* one body part, before encoding */
#define MIME_HEADERS_MAX      16            /* further headers */

/* A person or a sender: `name` may be empty, `address` is a fine address (channel/address.h). */
struct mime_mailbox {
    struct str name;
    struct str address;
};

struct mime_header {
    struct str name; /* a letter, then letters, digits, - and _ */
    struct str value;
};

struct mime_message {
    struct mime_mailbox from;
    struct mime_mailbox to;
    struct mime_mailbox reply_to; /* no address: no Reply-To */
    struct str subject;           /* UTF-8 */
    struct str text;              /* UTF-8, any line endings; at least one of text and html */
    struct str html;
    struct str id;                     /* letters, digits, - _ . only; Message-ID's part before @ */
    struct str id_domain;              /* empty: the domain of `from` */
    struct str unsubscribe_url;        /* https; empty: no List-Unsubscribe headers */
    struct str unsubscribe_mailto;     /* an address besides; empty: none */
    const struct mime_header *headers; /* further ones, in this order */
    size_t headers_count;
    int64_t date_ms; /* becomes Date, in UTC */
};

/* Appends the message to `out`. FIX_INPUT with a fault, and `out` as it was, where a header value
 * holds a line break or another control character, an address is not fine, text is not UTF-8, or
 * something is too long. Borrows. */
enum status mime_write(const struct mime_message *m, struct buf *out, struct fault *f) mustuse;

/* Reads "Name <address>", "\"Name, quoted\" <address>" or a bare address; nothing else (no groups, no
 * comments). Parts are borrowed from `text`; a quoted name keeps its backslashes and is unfolded into
 * `scratch`, which must hold text.len bytes. FIX_INPUT with a fault. */
enum status mime_mailbox_parse(struct str text, char *scratch, struct mime_mailbox *out,
                               struct fault *f) mustuse;

/* The pieces, for tests and fuzzers. */

/* Appends `text` as the value of a header whose name took `column` bytes of the line so far: as it is
 * where it is printable ASCII and not mistakable for an encoded word, as RFC 2047 encoded words
 * otherwise; folded so that no line passes 76 bytes where a place to fold exists. */
void mime_write_unstructured(struct buf *out, struct str text, size_t column);

/* Appends `text` as quoted-printable lines (RFC 2045 6.7), every line break as CRLF, ending in CRLF
 * unless it is empty. */
void mime_write_quoted_printable(struct buf *out, struct str text);

/* Appends `text` as base64 lines of 76, every line break in it as CRLF first. */
void mime_write_base64(struct buf *out, struct str text);

/* Appends a readable text/plain rendering of `html`, for messages that come without one: tags
 * dropped, block elements and <br> as line breaks, links as "text (url)", entities decoded; what is in
 * <head>, <style> and <script> left out. Never fails: what it cannot read it leaves out. */
void mime_write_text_of_html(struct buf *out, struct str html);
