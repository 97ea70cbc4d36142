/* banned.h - calls that this house does not make, as compile errors that say what to call instead.
 *
 * The Makefile puts this file before every C file (-include). It declares the functions itself and
 * marks them `unavailable`, so that it includes nothing: a file still has to include what it uses,
 * and a declaration in a system header does no harm, only a use. Two macros of the Makefile:
 *
 *     ROOM_IS_PURE      a room that ROOMS calls `pure`: no clock, no chance, no environment
 *     ROOM_MAY_MALLOC   lib/base and tests: everyone else has base/mem.h and arenas. free() stays
 *                       allowed everywhere, for what a library gives us to free
 *
 * NOTE: strncpy is banned too, although it is bounded: it does not terminate what it cuts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#ifndef __cplusplus
#    define banned(instead) __attribute__((unavailable(instead)))

struct tm;
struct timeval;
struct timespec;

/* No bound, or a bound that cuts silently. */
char *strcpy(char *restrict, const char *restrict) banned("memcpy, str_to_z or arena_copy");
char *stpcpy(char *restrict, const char *restrict) banned("memcpy, str_to_z or arena_copy");
char *strncpy(char *restrict, const char *restrict, __SIZE_TYPE__) banned("memcpy or str_to_z");
char *strcat(char *restrict, const char *restrict) banned("buf_add or arena_printf");
char *strncat(char *restrict, const char *restrict, __SIZE_TYPE__) banned("buf_add");
int sprintf(char *restrict, const char *restrict, ...) banned("snprintf, buf_printf");
int vsprintf(char *restrict, const char *restrict, __builtin_va_list) banned("vsnprintf");

/* Memory of their own between calls: not for threads, not for replays. */
char *strtok(char *restrict, const char *restrict) banned("str_find and str_part");
struct tm *gmtime(const long *) banned("when/");
struct tm *localtime(const long *) banned("when/");
char *ctime(const long *) banned("when/");
char *asctime(const struct tm *) banned("when/");

/* Cannot say that the input was wrong. */
int atoi(const char *) banned("str_to_int");
long atol(const char *) banned("str_to_int");
long long atoll(const char *) banned("str_to_int");
double atof(const char *) banned("str_to_double");

/* Chance that nobody can replay. */
int rand(void) banned("hash_chance, or the os room's random bytes");
void srand(unsigned) banned("hash_chance");
long random(void) banned("hash_chance, or the os room's random bytes");
double drand48(void) banned("hash_chance");

#    ifndef ROOM_MAY_MALLOC
void *malloc(__SIZE_TYPE__) banned("an arena, or mem_new");
void *calloc(__SIZE_TYPE__, __SIZE_TYPE__) banned("an arena, or mem_new");
void *realloc(void *, __SIZE_TYPE__) banned("mem_resize");
void *aligned_alloc(__SIZE_TYPE__, __SIZE_TYPE__) banned("mem_new_aligned");
char *strdup(const char *) banned("arena_copy");
char *strndup(const char *, __SIZE_TYPE__) banned("arena_copy");
int asprintf(char **restrict, const char *restrict, ...) banned("arena_printf, buf_printf");
#    endif

#    ifdef ROOM_IS_PURE
long time(long *) banned("the record's time: a pure room is handed it");
int gettimeofday(struct timeval *restrict, void *restrict) banned("the record's time");
int clock_gettime(int, struct timespec *) banned("the record's time");
char *getenv(const char *) banned("a parameter: a pure room is handed what it works on");
long getrandom(void *, __SIZE_TYPE__, unsigned) banned("hash_chance");
void arc4random_buf(void *, __SIZE_TYPE__) banned("hash_chance");
unsigned sleep(unsigned) banned("nothing: a pure room never waits");
int usleep(unsigned) banned("nothing: a pure room never waits");
#    endif

#    undef banned
#endif
