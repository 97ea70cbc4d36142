/* SPDX-License-Identifier: Apache-2.0 */
#include "http/call.h"

#include <curl/curl.h>
#include <stdio.h>

#include "os/file.h"

#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define CONNECT_MS       5000L
#define ANSWER_MS        120000L

static size_t take(char *at, size_t one, size_t bytes, void *context)
{
    struct buf *out = context;
    if (out->len + one * bytes > ANSWER_BYTES_MAX)
        return 0;
    buf_add(out, at, one * bytes);
    return one * bytes;
}

enum status http_call(const struct http_call *call, struct buf *out, long *http_status,
                      struct fault *f)
{
    char url[OS_PATH_BYTES], why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *easy = curl_easy_init();
    must(easy != NULL);
    snprintf(url, sizeof(url), "%s%s", call->url, call->path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(easy, CURLOPT_USERNAME, call->key);
    curl_easy_setopt(easy, CURLOPT_PASSWORD, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "wend");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ANSWER_MS);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, out);
    if (call->body != NULL)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
    CURLcode code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, http_status);
    else
        fault_set(f, "no answer from %s: %s", url, why[0] ? why : curl_easy_strerror(code));
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return code == CURLE_OK ? OK : GIVE_UP;
}
