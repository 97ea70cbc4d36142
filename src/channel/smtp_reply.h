/* smtp_reply.h - an SMTP server's reply, read line by line, and what it means for the message.
 *
 *     250-mail.example.com greets you        a line with "-" behind the code: more follow
 *     250 SIZE 35882577                      the last one
 *     550 5.1.1 <a@b.org>: no such user      code, RFC 3463 enhanced status, words
 *
 * What a reply means is one table, smtp_codes.def, read from the top: the first row that matches
 * answers. Enhanced codes say more than the code of 1982, and where neither is enough, the words do:
 * block lists and full mailboxes are announced under every code there is. Nothing suppresses a person
 * but a row that says so, and only where the server spoke of the recipient: an answer to our greeting,
 * our name or our sender is about us.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"
#include "model/transmission.h"

#define SMTP_REPLY_TEXT_BYTES TRANSMISSION_DETAIL_BYTES

/* How far the conversation was when the reply came. */
enum smtp_stage {
    SMTP_CONNECT = 0, /* greeting, EHLO, STARTTLS */
    SMTP_AUTH,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA, /* DATA was asked for, or the message is being sent */
    SMTP_DOT,  /* the message was sent whole */
};

struct smtp_reply {
    int32_t code;        /* 0 = no reply yet, or not one */
    uint8_t enhanced[3]; /* all 0 = none was given */
    bool is_complete;    /* its last line has come */
    size_t text_bytes;
    char text[SMTP_REPLY_TEXT_BYTES]; /* the words of all lines, one space between; a NUL ends it */
};

/* Takes one more line, with or without its CRLF. A line behind a complete reply begins a new one; a
 * line with another code, too. What is not a reply line is left out. Control characters in the words
 * become spaces, and so does what is not UTF-8. */
void smtp_reply_line(struct smtp_reply *r, struct str line);

/* What the reply means. Requires r->is_complete; a reply of 2xx or 3xx at SMTP_DOT is acceptance, and
 * elsewhere one that came where it does not belong. Never TRANSMISSION_IN_DOUBT or _ABORTED. */
enum transmission_outcome smtp_classify(const struct smtp_reply *r, enum smtp_stage stage);
