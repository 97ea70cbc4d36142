/* A segment's dictionary: what many people's personal parts have in common, so that a part of 400 bytes
 * need not say again which browser it was.
 *
 * The dictionary stands in the clear, and outlives every key. So nothing may get into it that is one
 * person's: zstd's own trainer, which takes what is frequent, would take an e-mail address that somebody
 * says with each event. Therefore a text is a word only if at least DICTIONARY_OWNERS different people said
 * it, all of it:
 *
 *     1. every run of eight bytes is counted with the people it is of
 *     2. in each sample, the longest stretches all of whose runs are common are candidates, and
 *        their beginnings; they are counted with the people they are of, as a whole
 *     3. those of enough people are taken, the most useful first
 *
 * Counting takes tables of a fixed size; what does not fit is not counted, so it is no word. What zstd adds
 * (ZDICT_finalizeDictionary) are statistics of bytes and lengths over all samples.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/mem.h"
#include "evlog/sealed_int.h"

#define GRAM_BYTES     8
#define GRAM_BITS      18
#define WORD_BITS      16
#define WORD_BYTES_MAX 512
#define WORDS_TAKEN    4096

/* Who said something, as far as DICTIONARY_OWNERS of them. */
struct said {
    uint64_t what;   /* hash; 0 = free */
    uint32_t count;  /* how often */
    uint32_t owners; /* how many are in `who` */
    uint32_t who[DICTIONARY_OWNERS];
    const uint8_t *at; /* of a word: where it stands in a sample */
    uint32_t bytes;
};

static struct said *count_it(struct said *table, uint32_t bits, uint64_t what, uint32_t who)
{
    uint32_t mask = (1u << bits) - 1;
    what = what != 0 ? what : 1;
    for (uint32_t probe = 0; probe < 8; probe++) {
        struct said *s = &table[((uint32_t)(what >> 32) + probe) & mask];
        if (s->what != 0 && s->what != what)
            continue;
        s->what = what;
        s->count++;
        uint32_t i = 0;
        while (i < s->owners && s->who[i] != who)
            i++;
        if (i == s->owners && s->owners < DICTIONARY_OWNERS)
            s->who[s->owners++] = who;
        return s;
    }
    return NULL;
}

static bool is_common(const struct said *table, uint32_t bits, uint64_t what)
{
    uint32_t mask = (1u << bits) - 1;
    what = what != 0 ? what : 1;
    for (uint32_t probe = 0; probe < 8; probe++) {
        const struct said *s = &table[((uint32_t)(what >> 32) + probe) & mask];
        if (s->what == what)
            return s->owners == DICTIONARY_OWNERS;
        if (s->what == 0)
            return false;
    }
    return false;
}

static uint64_t gram_hash(const uint8_t *at)
{
    uint64_t x;
    memcpy(&x, at, sizeof(x));
    return hash_pair(x, 0);
}

static uint32_t name_of(struct id128 owner)
{
    return (uint32_t)hash_pair(owner.high, owner.low);
}

static void count_grams(const struct sample *s, struct said *grams)
{
    for (uint32_t i = 0; i + GRAM_BYTES <= s->bytes; i++)
        (void)count_it(grams, GRAM_BITS, gram_hash(s->at + i), name_of(s->owner));
}

static void count_word(const struct sample *s, uint32_t from, uint32_t bytes, struct said *words)
{
    struct said *w =
        count_it(words, WORD_BITS, hash_bytes(s->at + from, bytes, 1), name_of(s->owner));
    if (w != NULL && w->at == NULL) {
        w->at = s->at + from;
        w->bytes = bytes;
    }
}

/* The stretches of the sample that may be words. */
static void count_words(const struct sample *s, const struct said *grams, struct said *words)
{
    static const uint32_t beginnings[] = {12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384};
    for (uint32_t i = 0; i + GRAM_BYTES <= s->bytes;) {
        uint32_t end = i;
        while (end + GRAM_BYTES <= s->bytes && is_common(grams, GRAM_BITS, gram_hash(s->at + end)))
            end++;
        if (end == i) {
            i++;
            continue;
        }
        uint32_t bytes = min_of(end - i + GRAM_BYTES - 1, WORD_BYTES_MAX);
        for (uint32_t k = 0; k < array_count(beginnings) && beginnings[k] < bytes; k++)
            count_word(s, i, beginnings[k], words);
        count_word(s, i, bytes, words);
        i = end + 1;
    }
}

static int by_use(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    uint64_t use_x = (uint64_t)x->count * x->bytes, use_y = (uint64_t)y->count * y->bytes;
    if (use_x != use_y)
        return use_x < use_y ? 1 : -1;
    return x->what < y->what ? -1 : x->what > y->what;
}

/* The words, the most useful last, as zstd wants them; `out` has room for DICTIONARY_BYTES. Returns where they
 * begin. */
static uint32_t choose(struct said *words, uint8_t *out)
{
    uint32_t count = 0, free_bytes = DICTIONARY_BYTES;
    for (uint32_t i = 0; i < 1u << WORD_BITS; i++)
        if (words[i].at != NULL && words[i].owners == DICTIONARY_OWNERS)
            words[count++] = words[i];
    qsort(words, count, sizeof(*words), by_use);
    for (uint32_t i = 0; i < min_of(count, (uint32_t)WORDS_TAKEN); i++) {
        const struct said *w = &words[i];
        if (w->bytes > free_bytes ||
            memmem(out + free_bytes, DICTIONARY_BYTES - free_bytes, w->at, w->bytes) != NULL)
            continue;
        free_bytes -= w->bytes;
        memcpy(out + free_bytes, w->at, w->bytes);
    }
    return free_bytes;
}

/* With statistics, if zstd finds any; else the words alone. */
static void finish(const uint8_t *words, size_t bytes, const struct sample *samples, uint32_t count,
                   struct buf *out)
{
    struct buf all;
    size_t *sizes = mem_new((count + 1) * sizeof(*sizes));
    buf_init(&all);
    for (uint32_t i = 0; i < count; i++) {
        buf_add(&all, samples[i].at, samples[i].bytes);
        sizes[i] = samples[i].bytes;
    }
    ZDICT_params_t how = {.compressionLevel = 3, .dictID = 0x57454e44};
    uint8_t *at = buf_reserve(out, DICTIONARY_BYTES * 2);
    size_t got =
        ZDICT_finalizeDictionary(at, DICTIONARY_BYTES * 2, words, bytes, all.at, sizes, count, how);
    if (ZDICT_isError(got)) {
        memcpy(at, words, bytes);
        got = bytes;
    }
    out->len += got;
    buf_fini(&all);
    mem_free(sizes);
}

void dictionary_make(const struct sample *samples, uint32_t count, struct buf *out)
{
    struct said *grams = mem_new(sizeof(*grams) << GRAM_BITS);
    struct said *words = mem_new(sizeof(*words) << WORD_BITS);
    uint8_t *content = mem_new(DICTIONARY_BYTES);
    for (uint32_t i = 0; i < count; i++)
        count_grams(&samples[i], grams);
    for (uint32_t i = 0; i < count; i++)
        count_words(&samples[i], grams, words);
    uint32_t from = choose(words, content);
    if (DICTIONARY_BYTES - from >= 128)
        finish(content + from, DICTIONARY_BYTES - from, samples, count, out);
    mem_free(content);
    mem_free(words);
    mem_free(grams);
}
