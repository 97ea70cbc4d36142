/* address.h - is this text an e-mail address that a message can be sent to, and what is its one form?
 *
 * The subset of RFC 5321 that mail on the open internet uses: `local@domain`, a dot-atom or a quoted
 * string on the left, a host name of at least two labels on the right, ASCII throughout, 254 bytes at
 * most. Refused with a word for it: comments, folding white space and obsolete forms (which RFC 5322
 * allows in headers and no mailbox uses), address literals (`@[192.0.2.1]`), a domain without a dot
 * (it names a machine on our own network) and letters outside ASCII (a domain of that kind is written
 * in its xn-- form; a local part of that kind needs SMTPUTF8, which too few servers offer).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"
#include "base/str.h"

#define ADDRESS_BYTES_MAX        254 /* RFC 5321 4.5.3.1.3: a path of 256 less the angle brackets */
#define ADDRESS_LOCAL_BYTES_MAX  64
#define ADDRESS_DOMAIN_BYTES_MAX 253
#define ADDRESS_LABEL_BYTES_MAX  63

/* What is wrong with an address. The words are for logs and the console. */
enum address_flaw {
    ADDRESS_FINE = 0,
    ADDRESS_EMPTY,
    ADDRESS_TOO_LONG,
    ADDRESS_NO_AT,
    ADDRESS_BAD_LOCAL,
    ADDRESS_BAD_DOMAIN,
    ADDRESS_NOT_PUBLIC, /* one label, or an address literal */
    ADDRESS_NOT_ASCII,
};

/* "the part after @ is not a domain name", ...: a sentence's end, never NULL. */
const char *address_flaw_text(enum address_flaw flaw);

/* Reads `text` as it is: white space around it is a flaw. Borrows. */
enum address_flaw address_check(struct str text);

/* The form in which an address is stored and written into an envelope: trimmed, the domain in lower
 * case, the local part untouched (RFC 5321 2.4). `out` is NUL-terminated. ADDRESS_FINE, or the flaw
 * and an empty `out`. */
enum address_flaw address_normal(struct str text, char out[ADDRESS_BYTES_MAX + 1]);

/* The form over which suppression is keyed: as address_normal(), all in lower case, because no
 * mailbox provider tells Ann@ from ann@ and a person who unsubscribed as one must not be written to as
 * the other. */
enum address_flaw address_fold(struct str text, char out[ADDRESS_BYTES_MAX + 1]);

/* The domain of an address that address_check() found fine. Borrowed from `text`. */
struct str address_domain(struct str text);
