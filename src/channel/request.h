/* request.h - for the kinds of providers that speak HTTP: one request at a time by libcurl, to an address
 * that the guard lets through.
 *
 * The URL is somebody's input. Where it leads is asked at the socket (egress.h), each time; names that give
 * themselves away are refused when the file is checked already. Nothing is followed: a redirect could lead
 * into a network. Of an answer, headers included, at most REQUEST_ANSWER_MAX bytes are read.
 *
 * Each kind has the settings `url`, `timeout`, `ca_file`, `allow_addresses` and `allow_ports`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <curl/curl.h>

#include "channel/channel_int.h"
#include "channel/egress.h"

#define REQUEST_ANSWER_MAX (64 * 1024)

struct request {
    const struct channel_provider *provider;
    const struct channel_stop *stop;
    struct egress egress;
    CURL *easy;         /* NULL until needed: request_begin() */
    struct buf *answer; /* what the answer's body is put into; NULL = nowhere. The kind sets it */
    char error[CURL_ERROR_SIZE];

    /* The one that is under way. */
    const char *refusal; /* the guard's, if it refused an address */
    size_t answer_bytes;
    bool is_fresh;
};

/* Do the common settings go together? */
enum status request_check(const struct channel_provider *p, struct fault *f);

void request_init(struct request *r, const struct channel_provider *p,
                  const struct channel_stop *stop);
void request_fini(struct request *r);

/* Nothing has been sent for a while: closes the connection. */
void request_rest(struct request *r);

/* The handle, made if need be, set up for a POST to the provider's `url`; nothing of the answer before is
 * left. */
CURL *request_begin(struct request *r);

/* Sends it with these headers, which it frees. What came of it is in *out; `body_bytes` are those that are
 * to be written before the service can have taken it. False: the answer did not come whole. */
bool request_send(struct request *r, struct curl_slist *headers, size_t body_bytes,
                  struct transmission *out);

/* What the status of an answer means, as webhook.c and http.c have it in their heads. */
enum transmission_outcome request_outcome(long status);

/* "NAME: VALUE" appended to the list. Requires a value without line breaks. */
struct curl_slist *request_header(struct curl_slist *list, const char *name, struct str value);
