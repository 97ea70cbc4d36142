/* client_test.h - a client for tests: sends exactly the bytes it is given, reads one answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "test.h"

/* A connection to the port on this machine, or -1. Reads give up after half a minute. */
static inline int client_dial(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {30, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline bool client_say(int fd, const void *at, size_t bytes)
{
    const char *from = (const char *)at;
    while (bytes > 0) {
        ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        from += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

/* Reads one answer with its body (by its Content-Length) into `out`; its status, or 0 where the
 * connection ended or nothing came. */
static inline int client_hear(int fd, struct buf *out)
{
    size_t whole = SIZE_MAX;
    out->len = 0;
    while (out->len < whole) {
        uint8_t byte;
        if (recv(fd, &byte, 1, 0) != 1)
            break;
        buf_add_byte(out, byte);
        if (whole != SIZE_MAX || !str_ends(buf_str(out), STR("\r\n\r\n")))
            continue;
        whole = out->len;
        size_t field = str_find(buf_str(out), STR("Content-Length: "), 0);
        if (field != SIZE_MAX)
            whole += strtoul((const char *)out->at + field + 16, NULL, 10);
    }
    return out->len < 12 ? 0 : (int)strtol((const char *)out->at + 9, NULL, 10);
}

/* One exchange on a connection of its own. */
static inline int client_ask(uint16_t port, struct str request, struct buf *out)
{
    int fd = client_dial(port);
    if (fd < 0)
        return 0;
    client_say(fd, request.at, request.len);
    int status = client_hear(fd, out);
    close(fd);
    return status;
}

/* A POST of `body`; `fields` are header lines, each with its CRLF. */
static inline int client_post(uint16_t port, const char *path, const char *fields, struct str body,
                              struct buf *out)
{
    struct buf request;
    buf_init(&request);
    buf_printf(&request, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%sContent-Length: %zu\r\n\r\n",
               path, port, fields, body.len);
    buf_add_str(&request, body);
    int status = client_ask(port, buf_str(&request), out);
    buf_fini(&request);
    return status;
}

static inline bool client_heard(const struct buf *out, const char *text)
{
    return str_find(buf_str(out), str_of(text), 0) != SIZE_MAX;
}
