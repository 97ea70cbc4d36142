/* SPDX-License-Identifier: Apache-2.0 */
#include "model/answer.h"

#include "model/body.h"
#include "json/json.h"

#define STATUS_PATH "$status"

/* The next part of the path: a member's name, or a place in a list (name empty). False: it is no path. */
static bool next_part(struct str *rest, bool is_first, struct str *name, int64_t *place)
{
    size_t i = 0;
    if (rest->at[0] == '[') {
        size_t end = str_find(*rest, STR("]"), 0);
        *name = STR("");
        if (end == SIZE_MAX || !str_to_int(str_part(*rest, 1, end - 1), place) || *place < 0)
            return false;
        *rest = str_part(*rest, end + 1, SIZE_MAX);
        return true;
    }
    if (!is_first) {
        if (rest->at[0] != '.')
            return false;
        *rest = str_part(*rest, 1, SIZE_MAX);
    }
    while (i < rest->len && rest->at[i] != '.' && rest->at[i] != '[' && rest->at[i] != ']')
        i++;
    *name = str_part(*rest, 0, i);
    *rest = str_part(*rest, i, SIZE_MAX);
    return i > 0;
}

bool answer_path_check(struct str path, struct fault *f)
{
    struct str rest = path, name;
    int64_t place;
    bool is_fine = path.len > 0 && path.len <= ANSWER_PATH_MAX;
    for (bool is_first = true; is_fine && rest.len > 0; is_first = false)
        is_fine = next_part(&rest, is_first, &name, &place);
    if (is_fine && path.at[0] == '$' && !str_is(path, STATUS_PATH)) {
        fault_set(f, "no path: beside the answer's body there is $status alone");
        return false;
    }
    if (!is_fine)
        fault_set(f, "not a path into a JSON answer, such as customer.tier or items[0].sku");
    return is_fine;
}

static struct json_node node_of(struct json_node root, struct str path)
{
    struct str name;
    int64_t place;
    for (bool is_first = true; path.len > 0; is_first = false) {
        if (!next_part(&path, is_first, &name, &place))
            return (struct json_node){0};
        root = name.len > 0 ? json_find(root, name) : json_at(root, (size_t)place);
    }
    return root;
}

/* False: it is nothing that is saved. */
static bool save(struct buf *out, uint32_t name, struct json_node node)
{
    int64_t integer;
    double number;
    if (json_is(node, JSON_BOOL))
        body_put_bool(out, name, json_is_true(node));
    else if (json_is(node, JSON_INT) && json_int(node, &integer))
        body_put_int(out, name, integer);
    else if (json_is(node, JSON_DOUBLE) && json_double(node, &number))
        body_put_double(out, name, number);
    else if (json_is(node, JSON_TEXT) && json_text(node).len <= ANSWER_TEXT_MAX)
        body_put_text(out, name, json_text(node));
    else
        return false;
    return true;
}

enum status answer_pick(const struct plan_errand *errand, int32_t status, struct str json,
                        struct buf *out, struct fault *f)
{
    struct json_parser *parser = NULL;
    struct json_node root = {0};
    enum status result = OK;
    bool reads_body = false;
    for (uint32_t i = 0; i < errand->save_count; i++)
        reads_body |= !str_is(errand->saves[i].path, STATUS_PATH);
    if (reads_body) {
        parser = json_parser_new(ANSWER_BYTES_MAX);
        result = json_parse(parser, json, JSON_DEPTH, &root, NULL);
        if (result != OK)
            fault_set(f, "the answer is not JSON, and something of it is to be saved");
    }
    for (uint32_t i = 0; i < errand->save_count && result == OK; i++) {
        const struct plan_save *x = &errand->saves[i];
        if (str_is(x->path, STATUS_PATH))
            body_put_int(out, x->name, status);
        else
            (void)save(out, x->name, node_of(root, x->path));
    }
    json_parser_free(parser);
    return result;
}

/* What of the errand saves the property; NULL: nothing. */
static const struct plan_save *save_of(const struct plan_errand *errand, struct str property,
                                       const struct plan_save *from)
{
    for (uint32_t i = from == NULL ? 0 : (uint32_t)(from - errand->saves) + 1;
         i < errand->save_count; i++)
        if (str_equal(errand->saves[i].path, property))
            return &errand->saves[i];
    return NULL;
}

static enum status said(const struct plan_errand *errand, struct json_node root, struct buf *out,
                        struct fault *f)
{
    struct json_each each = json_each(root);
    while (json_next(&each)) {
        struct str property = str_part(each.key, 0, ANSWER_PATH_MAX);
        const struct plan_save *x = save_of(errand, each.key, NULL);
        if (x == NULL) {
            fault_set(f, "the task saves no \"%.*s\" (`save` of its step)", STR_ARG(property));
            return FIX_INPUT;
        }
        for (; x != NULL; x = save_of(errand, each.key, x))
            if (!save(out, x->name, each.node)) {
                fault_set(f, "\"%.*s\" is no text of at most %d bytes, number or boolean",
                          STR_ARG(property), ANSWER_TEXT_MAX);
                return FIX_INPUT;
            }
    }
    return OK;
}

enum status answer_said(const struct plan_errand *errand, struct str json, struct buf *out,
                        struct fault *f)
{
    if (str_trim(json).len == 0)
        return OK;
    struct json_parser *parser = json_parser_new(ANSWER_BYTES_MAX);
    struct json_node root = {0};
    enum status status = json_parse(parser, json, JSON_DEPTH, &root, NULL);
    if (status != OK || !json_is(root, JSON_MAP)) {
        fault_set(f, "what is said of the task is no JSON object, such as {\"mood\": \"good\"}");
        status = FIX_INPUT;
    } else {
        status = said(errand, root, out, f);
    }
    json_parser_free(parser);
    return status;
}
