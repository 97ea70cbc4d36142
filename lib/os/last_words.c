/* SPDX-License-Identifier: Apache-2.0 */
#include "os/last_words.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct words {
    const char *before;
    const char *after;
    uint64_t number;
};

static _Thread_local struct words words;
static pthread_once_t is_listening = PTHREAD_ONCE_INIT;

static void say(const char *text, size_t bytes)
{
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written; /* there is nobody left to tell */
}

/* In a signal handler: nothing but write(). abort() goes on when it is over. */
static void on_abort(int signal_number)
{
    char digits[24];
    size_t from = sizeof(digits);
    uint64_t number = words.number;
    (void)signal_number;
    if (words.before == NULL)
        return;
    do
        digits[--from] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    say(words.before, strlen(words.before));
    say(" ", 1);
    say(digits + from, sizeof(digits) - from);
    say(" ", 1);
    say(words.after, strlen(words.after));
    say("\n", 1);
}

static void listen_once(void)
{
    struct sigaction action = {.sa_handler = on_abort};
    sigemptyset(&action.sa_mask);
    sigaction(SIGABRT, &action, NULL);
}

void os_last_words(const char *before, uint64_t number, const char *after)
{
    words = (struct words){before, after, number};
    if (before != NULL)
        pthread_once(&is_listening, listen_once);
}
