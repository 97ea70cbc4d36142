/* slip.c - names that are probably others, misspelt.
 *
 * Events and their properties are declared nowhere: what a source sends is what there is. So a name
 * that nobody sends is no error. But one that stands in the programme once, and is nearly another that
 * stands there too, is hardly meant:
 *
 *     Order Completed, order_completed    the same but for case and what separates words
 *     Order Completed, Order Completd     one letter more, less or different
 *
 * Names that differ by a digit or a letter on its own ("Step 1", "Plan B") are no slips.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#define WORDS_MAX   4096 /* names that are compared with one another */
#define LETTERS_MIN 5    /* of names that one letter may tell apart by mistake */

static bool is_separator(char c)
{
    return c == ' ' || c == '_' || c == '-' || c == '.';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The same but for case and separators? */
static bool is_same_but_written(struct str a, struct str b)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a.len && is_separator(a.at[i]))
            i++;
        while (k < b.len && is_separator(b.at[k]))
            k++;
        if (i == a.len || k == b.len)
            return i == a.len && k == b.len;
        if (lower(a.at[i++]) != lower(b.at[k++]))
            return false;
    }
}

static bool is_letter(char c)
{
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (uint8_t)c >= 0x80;
}

/* Is the byte at `i` a letter inside a word? */
static bool is_inside_word(struct str s, size_t i)
{
    return i < s.len && is_letter(s.at[i]) &&
           ((i > 0 && is_letter(s.at[i - 1])) || (i + 1 < s.len && is_letter(s.at[i + 1])));
}

bool slip_is_near(struct str a, struct str b)
{
    if (str_equal(a, b))
        return false;
    if (is_same_but_written(a, b))
        return true;
    if (max_of(a.len, b.len) < LETTERS_MIN || str_distance(a, b, 1) > 1)
        return false;
    size_t i = 0;
    while (i < a.len && i < b.len && a.at[i] == b.at[i])
        i++;
    struct str longer = a.len >= b.len ? a : b;
    bool is_plural = a.len != b.len && i + 1 == longer.len && lower(longer.at[i]) == 's';
    return !is_plural && is_inside_word(longer, i) && (a.len != b.len || is_inside_word(b, i));
}

void slip_note(struct compile *c, uint32_t name, struct place place)
{
    for (uint32_t i = 0; i < c->property_count; i++) {
        if (c->properties[i].name == name) {
            c->properties[i].uses++;
            return;
        }
    }
    if (c->property_count == WORDS_MAX)
        return;
    if (c->property_count == c->property_room) {
        uint32_t room = c->property_room ? c->property_room * 2 : 64;
        struct compile_word *grown = arena_array(&c->scratch, struct compile_word, room);
        if (c->property_count)
            memcpy(grown, c->properties, c->property_count * sizeof(*grown));
        c->properties = grown;
        c->property_room = room;
    }
    c->properties[c->property_count++] = (struct compile_word){name, 1, place};
}

/* Each word that stands there once and is near to another that is used as often or more. */
static void words_look(struct compile *c, const struct compile_word *words, uint32_t count,
                       const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        struct str name = names_text(c->names, words[i].name);
        for (uint32_t k = 0; k < count && words[i].uses == 1; k++) {
            struct str other = names_text(c->names, words[k].name);
            if (k == i || (words[k].uses == 1 && k > i) || !slip_is_near(name, other))
                continue;
            findings_add(c->findings, FINDING_NAME_SLIP, words[i].place,
                         "the %s \"%.*s\" stands here alone, and \"%.*s\" elsewhere", what,
                         STR_ARG(name), STR_ARG(other));
            finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(other));
            break;
        }
    }
}

void slips_look(struct compile *c)
{
    struct compile_word *words = arena_array(&c->scratch, struct compile_word, c->event_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->event_count && count < WORDS_MAX; i++)
        if (!c->events[i].is_ours && c->events[i].place.line != 0)
            words[count++] =
                (struct compile_word){c->events[i].name, c->events[i].uses, c->events[i].place};
    words_look(c, words, count, "event");
    words_look(c, c->properties, c->property_count, "property");
}
