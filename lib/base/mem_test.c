/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static void memory_is_zeroed(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 5000; bytes += 37) {
        uint8_t *at = mem_new(bytes);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(at[i], 0);
        memset(at, 0xff, bytes);
        at = mem_resize(at, bytes * 2 + 1);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(at[i], 0xff);
        mem_free(at);
    }
    mem_free(NULL);
}

static void aligned(void **state)
{
    (void)state;
    for (size_t align = 16; align <= 65536; align *= 2)
        for (size_t bytes = 0; bytes < 3 * align && bytes < 100000; bytes += align / 2 + 1) {
            uint8_t *at = mem_new_aligned(align, bytes);
            assert_int_equal((uintptr_t)at % align, 0);
            for (size_t i = 0; i < bytes; i++)
                assert_int_equal(at[i], 0);
            mem_free(at);
        }
}

/* What must() says of a broken claim, and how the process ends. */
static void broken_claim(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        int persons = 2;
        must(persons == 1);
        _exit(0);
    }
    close(ends[1]);
    char said[200] = "";
    ssize_t got = read(ends[0], said, sizeof(said) - 1);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(got > 0);
    assert_non_null(strstr(said, "must(persons == 1) does not hold at lib/base/mem_test.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("new memory is zero, and resizing keeps what is in it", memory_is_zeroed),
        TEST("aligned memory is aligned, and zero", aligned),
        TEST("a claim that does not hold ends the process and says where", broken_claim),
    };
    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
