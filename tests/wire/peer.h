/* peer.h - starting a peer that is a script, and a folder to work in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "test.h"

struct peer {
    pid_t pid;
    int in;    /* its standard input: closing it ends it */
    FILE *out; /* its standard output */
};

/* Starts a program whose arguments end with NULL. */
static inline void peer_start(struct peer *p, const char *const *arguments)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        char *copy[32] = {0};
        for (size_t i = 0; arguments[i] != NULL && i + 1 < array_count(copy); i++)
            copy[i] = strdup(arguments[i]);
        execvp(copy[0], copy);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = fdopen(out[0], "r");
    assert_non_null(p->out);
}

/* The next line that it prints; empty when it ended. */
static inline struct str peer_line(struct peer *p, char *line, size_t bytes)
{
    if (fgets(line, (int)bytes, p->out) == NULL)
        line[0] = '\0';
    return str_trim(str_of(line));
}

/* Ends it and returns its exit code. */
static inline int peer_stop(struct peer *p)
{
    int status = 0;
    close(p->in);
    fclose(p->out);
    waitpid(p->pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs a program to its end, its output copied to ours if it fails. Its exit code. */
static inline int peer_run(const char *const *arguments)
{
    struct peer p;
    char text[4096], line[1024];
    size_t len = 0;
    peer_start(&p, arguments);
    while (fgets(line, sizeof(line), p.out) != NULL)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                strlen(line) < sizeof(text) - len ? line : "");
    int code = peer_stop(&p);
    if (code != 0)
        printf("%s", text);
    return code;
}

/* A new folder under $TMPDIR or /tmp. */
static inline void peer_folder(char *path, size_t bytes)
{
    assert_non_null(mkdtemp(test_path(path, bytes, "wire")));
}

static inline void peer_folder_drop(const char *path)
{
    const char *const arguments[] = {"rm", "-rf", path, NULL};
    assert_int_equal(peer_run(arguments), 0);
}
