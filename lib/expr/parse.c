/* parse.c - tokens to a tree, by precedence climbing.
 *
 *     Expr    = Or ["?" Or ":" Expr]            Unary   = {"!"} Member | {"-"} Member
 *     Or      = And {"||" And}                  Member  = Primary {"." name ["(" args ")"]
 *     And     = Relation {"&&" Relation}                  | ".?" name | "[" ["?"] Expr "]"}
 *     Relation, Sum, Product: left to right     Primary = literal | ["."] name ["(" args ")"] | ...
 *
 * Macros are nodes of their own, so that nothing is copied and a nest of them stays as small as it
 * is written. The depth of a tree is bounded while it is built: all that walks it later may recurse.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>

#include "expr/expr_int.h"
#include "expr/lex.h"

struct parser {
    struct arena *plan;
    struct lexer lexer;
    struct token token; /* the next one */
    struct fault *fault;
    uint32_t depth; /* of calls of parse_expr and parse_unary */
    uint32_t node_count;
    uint32_t last_to; /* where the token before ended */
};

/* A list of nodes that grows. */
struct nodes {
    struct node **at;
    uint32_t count;
    uint32_t room;
};

static struct node *parse_expr(struct parser *p);

void expr_fault_at(struct fault *f, struct str text, uint32_t at, const char *format, ...)
{
    if (f == NULL || f->text[0] != '\0')
        return;
    char sentence[FAULT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    fault_set(f, "%s", sentence);
    uint32_t line = 1, column = 1;
    for (uint32_t i = 0; i < at && i < text.len; i++) {
        column++;
        if (text.at[i] == '\n') {
            line++;
            column = 1;
        }
    }
    fault_place(f, NULL, line, column);
}

/* Notes what is wrong at byte `at`. */
static struct node *refuse(struct parser *p, uint32_t at, const char *format, ...)
    printf_like(3, 4);
static struct node *refuse(struct parser *p, uint32_t at, const char *format, ...)
{
    char sentence[FAULT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    expr_fault_at(p->fault, p->lexer.text, at, "%s", sentence);
    return NULL;
}

static bool advance(struct parser *p)
{
    p->last_to = p->token.to;
    return lexer_next(&p->lexer, &p->token, p->fault) == OK;
}

static bool is_sign(const struct parser *p, uint16_t sign)
{
    return p->token.kind == TOKEN_SIGN && p->token.sign == sign;
}

static struct str token_text(const struct parser *p)
{
    return str_part(p->lexer.text, p->token.from, p->token.to - p->token.from);
}

/* Takes the sign or refuses; `what` says what it would close or part. */
static bool expect(struct parser *p, uint16_t sign, const char *what)
{
    if (is_sign(p, sign))
        return advance(p);
    struct str found = token_text(p);
    if (p->token.kind == TOKEN_END)
        refuse(p, p->token.from, "the text ends before the \"%c\" %s", sign, what);
    else
        refuse(p, p->token.from, "expected \"%c\" %s, found \"%.*s\"", sign, what,
               (int)min_of(found.len, (size_t)40), found.at);
    return false;
}

static bool nodes_add(struct parser *p, struct nodes *list, struct node *node)
{
    if (node == NULL)
        return false;
    if (list->count == list->room) {
        uint32_t room = list->room ? list->room * 2 : 4;
        struct node **at = arena_array(p->plan, struct node *, room);
        if (list->count)
            memcpy(at, list->at, list->count * sizeof(*at));
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = node;
    return true;
}

/* Finishes a node over its arguments: depth and limits. */
static struct node *node_close(struct parser *p, struct node *node)
{
    for (uint32_t i = 0; i < node->count; i++)
        node->depth = max_of(node->depth, (uint16_t)(node->arguments[i]->depth + 1));
    if (node->depth > EXPR_DEPTH_MAX)
        return refuse(p, node->at, "this is nested more than %d deep; name parts of it instead",
                      EXPR_DEPTH_MAX);
    return node;
}

static struct node *node_new(struct parser *p, enum node_kind kind, uint32_t from)
{
    if (++p->node_count > EXPR_NODES_MAX)
        return refuse(p, from, "this expression has more than %d parts", EXPR_NODES_MAX);
    struct node *node = arena_new(p->plan, struct node);
    node->kind = (uint8_t)kind;
    node->from = node->at = from;
    node->to = p->last_to;
    return node;
}

/* A node over up to three arguments, from the first's beginning to the last's end. */
static struct node *node_over(struct parser *p, enum node_kind kind, struct node *a, struct node *b,
                              struct node *c)
{
    if (a == NULL)
        return NULL;
    struct node *node = node_new(p, kind, a->from);
    if (node == NULL)
        return NULL;
    node->arguments = arena_array(p->plan, struct node *, 3);
    struct node *all[3] = {a, b, c};
    for (uint32_t i = 0; i < 3 && all[i] != NULL; i++) {
        node->arguments[node->count++] = all[i];
        node->to = max_of(node->to, all[i]->to);
    }
    return node_close(p, node);
}

static struct node *constant_node(struct parser *p, uint32_t from, uint32_t to, struct value value)
{
    struct node *node = node_new(p, NODE_CONST, from);
    if (node == NULL)
        return NULL;
    node->to = to;
    node->constant = value;
    return node;
}

/* Calls and macros ------------------------------------------------------------------------------- */

/* The name that a macro's variable argument gives, or an empty str. */
static struct str variable_name(const struct node *node)
{
    if (node->kind != NODE_NAME || node->is_absolute)
        return (struct str){0};
    return node->name;
}

static struct variable *variable_new(struct parser *p, struct str name)
{
    struct variable *v = arena_new(p->plan, struct variable);
    v->name = name;
    return v;
}

static const struct {
    const char *name;
    uint8_t variables;   /* given names */
    uint8_t least, most; /* arguments, names included */
    uint8_t loop;
} loop_macros[] = {
    {"all", 1, 2, 2, LOOP_ALL},
    {"all", 2, 3, 3, LOOP_ALL},
    {"exists", 1, 2, 2, LOOP_EXISTS},
    {"exists", 2, 3, 3, LOOP_EXISTS},
    {"exists_one", 1, 2, 2, LOOP_EXISTS_ONE},
    {"exists_one", 2, 3, 3, LOOP_EXISTS_ONE},
    {"existsOne", 1, 2, 2, LOOP_EXISTS_ONE},
    {"existsOne", 2, 3, 3, LOOP_EXISTS_ONE},
    {"map", 1, 2, 3, LOOP_MAP},
    {"filter", 1, 2, 2, LOOP_FILTER},
    {"transformList", 2, 3, 4, LOOP_MAP},
    {"transformMap", 2, 3, 4, LOOP_TRANSFORM_MAP},
    {"transformMapEntry", 2, 3, 4, LOOP_TRANSFORM_ENTRY},
    {"sortBy", 1, 2, 2, LOOP_SORT_BY},
};

/* Gives the node the variables that its first arguments name. */
static bool take_variables(struct parser *p, struct node *node, struct nodes *list, uint32_t count)
{
    node->variables = arena_array(p->plan, struct variable *, count);
    node->variable_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct str name = variable_name(list->at[i]);
        if (name.len == 0) {
            refuse(p, list->at[i]->from, "expected a simple name for the variable");
            return false;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (str_equal(node->variables[k]->name, name)) {
                refuse(p, list->at[i]->from, "the variables need two different names");
                return false;
            }
        }
        node->variables[i] = variable_new(p, name);
    }
    return true;
}

/* target.all(x, ...) and its like; *is_macro says whether it was one. */
static struct node *method_macro(struct parser *p, struct node *target, struct str name,
                                 uint32_t at, struct nodes *list, bool *is_macro)
{
    *is_macro = true;
    for (size_t i = 0; i < array_count(loop_macros); i++) {
        if (!str_is(name, loop_macros[i].name) || list->count < loop_macros[i].least ||
            list->count > loop_macros[i].most)
            continue;
        uint32_t named = loop_macros[i].variables;
        struct node *body = list->at[list->count - 1];
        struct node *filter = list->count > loop_macros[i].least ? list->at[named] : NULL;
        struct node *node = node_over(p, NODE_LOOP, target, body, filter);
        if (node == NULL || !take_variables(p, node, list, named))
            return NULL;
        node->sign = loop_macros[i].loop;
        node->at = at;
        node->to = p->last_to;
        return node;
    }
    bool is_flat = str_is(name, "optFlatMap");
    if ((is_flat || str_is(name, "optMap")) && list->count == 2) {
        struct node *node = node_over(p, NODE_OPT_MAP, target, list->at[1], NULL);
        if (node == NULL || !take_variables(p, node, list, 1))
            return NULL;
        node->sign = is_flat;
        node->at = at;
        return node;
    }
    if (target->kind == NODE_NAME && str_is(target->name, "cel") && !target->is_absolute) {
        if (str_is(name, "bind") && list->count == 3) {
            struct node *node = node_over(p, NODE_BIND, list->at[1], list->at[2], NULL);
            if (node == NULL || !take_variables(p, node, list, 1))
                return NULL;
            node->at = at;
            node->from = target->from;
            return node;
        }
        if (str_is(name, "block") && list->count == 2 && list->at[0]->kind == NODE_LIST) {
            struct node *head = list->at[0];
            for (uint32_t i = 0; i < head->count; i++)
                if (head->arguments[i]->kind == NODE_MAYBE)
                    return refuse(p, head->arguments[i]->from,
                                  "cel.block() wants values; leave the ? out");
            struct node *node = node_new(p, NODE_BLOCK, target->from);
            if (node == NULL)
                return NULL;
            struct nodes all = {0};
            node->variables = arena_array(p->plan, struct variable *, head->count + 1);
            for (uint32_t i = 0; i < head->count; i++) {
                nodes_add(p, &all, head->arguments[i]);
                node->variables[i] = variable_new(p, arena_printf(p->plan, "cel.index(%u)", i));
            }
            nodes_add(p, &all, list->at[1]);
            node->arguments = all.at;
            node->count = all.count;
            node->variable_count = head->count;
            return node_close(p, node);
        }
        bool is_index = str_is(name, "index") && list->count == 1;
        bool is_variable = (str_is(name, "iterVar") || str_is(name, "accuVar")) && list->count == 2;
        for (uint32_t i = 0; i < list->count; i++)
            if (list->at[i]->kind != NODE_CONST || list->at[i]->constant.type != VALUE_INT)
                is_index = is_variable = false;
        if (is_index || is_variable) {
            struct node *node = node_new(p, NODE_NAME, target->from);
            if (node == NULL)
                return NULL;
            int64_t a = list->at[0]->constant.integer;
            if (is_index)
                node->name = arena_printf(p->plan, "cel.index(%lld)", (long long)a);
            else
                node->name = arena_printf(p->plan, "cel.%.*s(%lld, %lld)", STR_ARG(name),
                                          (long long)a, (long long)list->at[1]->constant.integer);
            return node;
        }
    }
    *is_macro = false;
    return NULL;
}

static struct node *parse_maybe(struct parser *p)
{
    uint32_t from = p->token.from;
    if (!is_sign(p, '?'))
        return parse_expr(p);
    if (!advance(p))
        return NULL;
    struct node *held = parse_expr(p);
    struct node *node = node_over(p, NODE_MAYBE, held, NULL, NULL);
    if (node != NULL)
        node->from = from;
    return node;
}

/* Arguments up to the closing parenthesis, which is taken. */
static bool parse_arguments(struct parser *p, struct nodes *list)
{
    if (!expect(p, '(', "before the arguments"))
        return false;
    while (!is_sign(p, ')')) {
        if (list->count && !expect(p, ',', "between arguments"))
            return false;
        if (!nodes_add(p, list, parse_expr(p)))
            return false;
        if (list->count > EXPR_ARGUMENTS_MAX) {
            refuse(p, list->at[list->count - 1]->from, "a call has at most %d arguments",
                   EXPR_ARGUMENTS_MAX);
            return false;
        }
    }
    return expect(p, ')', "after the arguments");
}

/* name(...) or target.name(...), from the opening parenthesis on. */
static struct node *parse_call(struct parser *p, struct node *target, struct str name,
                               uint32_t from, uint32_t at)
{
    struct nodes list = {0};
    if (!parse_arguments(p, &list))
        return NULL;
    bool is_macro = false;
    struct node *node = NULL;
    if (target != NULL) {
        node = method_macro(p, target, name, at, &list, &is_macro);
    } else if (str_is(name, "has") && list.count == 1) {
        node = list.at[0];
        is_macro = true;
        if (node->kind != NODE_SELECT)
            return refuse(p, node->from, "has() takes a field, as in has(event.coupon)");
        node->is_test = true;
    }
    if (is_macro) {
        if (node != NULL) {
            node->from = from;
            node->to = p->last_to;
        }
        return node;
    }
    struct nodes all = {0};
    if (target != NULL)
        nodes_add(p, &all, target);
    for (uint32_t i = 0; i < list.count; i++)
        nodes_add(p, &all, list.at[i]);
    node = node_new(p, NODE_CALL, from);
    if (node == NULL)
        return NULL;
    node->at = at;
    node->name = name;
    node->is_method = target != NULL;
    node->arguments = all.at;
    node->count = all.count;
    return node_close(p, node);
}

/* Literals and what stands in brackets ------------------------------------------------------------ */

static struct node *parse_list(struct parser *p)
{
    uint32_t from = p->token.from;
    struct nodes items = {0};
    if (!advance(p))
        return NULL;
    while (!is_sign(p, ']')) {
        if (!nodes_add(p, &items, parse_maybe(p)))
            return NULL;
        if (!is_sign(p, ']') && !expect(p, ',', "between the items of the list"))
            return NULL;
    }
    if (!expect(p, ']', "after the list"))
        return NULL;
    struct node *node = node_new(p, NODE_LIST, from);
    if (node == NULL)
        return NULL;
    node->arguments = items.at;
    node->count = items.count;
    return node_close(p, node);
}

static struct node *parse_map(struct parser *p)
{
    uint32_t from = p->token.from;
    struct nodes pairs = {0};
    if (!advance(p))
        return NULL;
    while (!is_sign(p, '}')) {
        bool is_maybe = is_sign(p, '?');
        if (is_maybe && !advance(p))
            return NULL;
        if (!nodes_add(p, &pairs, parse_expr(p)) || !expect(p, ':', "between key and value"))
            return NULL;
        struct node *value = parse_expr(p);
        if (is_maybe)
            value = node_over(p, NODE_MAYBE, value, NULL, NULL);
        if (!nodes_add(p, &pairs, value))
            return NULL;
        if (!is_sign(p, '}') && !expect(p, ',', "between the entries of the map"))
            return NULL;
    }
    if (!expect(p, '}', "after the map"))
        return NULL;
    struct node *node = node_new(p, NODE_MAP, from);
    if (node == NULL)
        return NULL;
    node->arguments = pairs.at;
    node->count = pairs.count;
    return node_close(p, node);
}

static struct node *parse_name(struct parser *p, uint32_t from, bool is_absolute)
{
    struct token name = p->token;
    bool is_word = lexer_is_reserved(name.text);
    if (!is_absolute && is_word) {
        bool is_true = str_is(name.text, "true");
        if (is_true || str_is(name.text, "false"))
            return advance(p) ? constant_node(p, from, name.to, value_bool(is_true)) : NULL;
        if (str_is(name.text, "null"))
            return advance(p) ? constant_node(p, from, name.to, (struct value){.type = VALUE_NULL})
                              : NULL;
    }
    if (is_word)
        return refuse(p, name.from, "\"%.*s\" is a reserved word, not a name%s", STR_ARG(name.text),
                      str_is(name.text, "if") ? "; write condition ? one : other" : "");
    if (!advance(p))
        return NULL;
    if (is_sign(p, '('))
        return parse_call(p, NULL, name.text, from, name.from);
    struct node *node = node_new(p, NODE_NAME, from);
    if (node == NULL)
        return NULL;
    node->to = name.to;
    node->name = name.text;
    node->is_absolute = is_absolute;
    return node;
}

static struct node *parse_primary(struct parser *p)
{
    struct token token = p->token;
    switch ((enum token_kind)token.kind) {
    case TOKEN_INT:
        if (token.value.uinteger > INT64_MAX)
            return refuse(p, token.from, "this number is too large for an int; write %.*su",
                          (int)(token.to - token.from), p->lexer.text.at + token.from);
        if (!advance(p))
            return NULL;
        return constant_node(p, token.from, token.to, value_int((int64_t)token.value.uinteger));
    case TOKEN_UINT:
    case TOKEN_DOUBLE:
    case TOKEN_BYTES:
        if (!advance(p))
            return NULL;
        return constant_node(p, token.from, token.to, token.value);
    case TOKEN_TEXT:
        if (!str_is_utf8(token.value.text))
            return refuse(p, token.from, "this text is no valid UTF-8");
        if (!advance(p))
            return NULL;
        return constant_node(p, token.from, token.to, token.value);
    case TOKEN_NAME: return parse_name(p, token.from, false);
    case TOKEN_QUOTED:
        return refuse(p, token.from, "back quotes are for fields: event.`%.*s`",
                      STR_ARG(token.text));
    case TOKEN_END:
        return refuse(p, token.from,
                      p->lexer.text.len ? "the text ends where a value is missing"
                                        : "the expression is empty");
    case TOKEN_SIGN: break;
    }
    if (token.sign == '(') {
        if (!advance(p))
            return NULL;
        struct node *node = parse_expr(p);
        if (node == NULL || !expect(p, ')', "after the expression in parentheses"))
            return NULL;
        return node;
    }
    if (token.sign == '[')
        return parse_list(p);
    if (token.sign == '{')
        return parse_map(p);
    if (token.sign == '.') {
        if (!advance(p))
            return NULL;
        if (p->token.kind == TOKEN_NAME)
            return parse_name(p, token.from, true);
    }
    struct str found = token_text(p);
    bool is_twice = token.from > 0 && str_is(found, ">"); /* <>, >> */
    return refuse(
        p, token.from, "expected a value, found \"%.*s\"%s", STR_ARG(found),
        is_twice && p->lexer.text.at[token.from - 1] == '<' ? "; write != for \"not equal\"" : "");
}

/* .name, .?name, .name(...) */
static struct node *parse_select(struct parser *p, struct node *target)
{
    uint32_t at = p->token.from;
    if (!advance(p))
        return NULL;
    bool is_optional = is_sign(p, '?');
    if (is_optional && !advance(p))
        return NULL;
    struct token name = p->token;
    bool is_quoted = name.kind == TOKEN_QUOTED;
    if (name.kind != TOKEN_NAME && !is_quoted)
        return refuse(p, name.from, "expected a field name after the dot");
    if (!is_quoted && (str_is(name.text, "in") || str_is(name.text, "true") ||
                       str_is(name.text, "false") || str_is(name.text, "null")))
        return refuse(p, name.from, "\"%.*s\" is a reserved word; write .`%.*s`",
                      STR_ARG(name.text), STR_ARG(name.text));
    if (!advance(p))
        return NULL;
    if (is_sign(p, '(') && !is_optional && !is_quoted)
        return parse_call(p, target, name.text, target->from, name.from);
    struct node *node = node_over(p, NODE_SELECT, target, NULL, NULL);
    if (node == NULL)
        return NULL;
    node->at = is_optional ? at : name.from;
    node->to = name.to;
    node->name = name.text;
    node->is_optional = is_optional;
    node->is_quoted = is_quoted;
    return node;
}

static struct node *parse_index(struct parser *p, struct node *target)
{
    uint32_t at = p->token.from;
    if (!advance(p))
        return NULL;
    bool is_optional = is_sign(p, '?');
    if (is_optional && !advance(p))
        return NULL;
    struct node *key = parse_expr(p);
    if (key == NULL || !expect(p, ']', "after the index"))
        return NULL;
    struct node *node = node_over(p, NODE_INDEX, target, key, NULL);
    if (node == NULL)
        return NULL;
    node->at = at;
    node->to = p->last_to;
    node->is_optional = is_optional;
    return node;
}

static bool is_struct_name(const struct node *node)
{
    while (node->kind == NODE_SELECT && !node->is_optional && !node->is_test)
        node = node->arguments[0];
    return node->kind == NODE_NAME;
}

static struct node *parse_member(struct parser *p)
{
    struct node *node = parse_primary(p);
    while (node != NULL) {
        uint32_t end = p->token.from;
        if (is_sign(p, '.'))
            node = parse_select(p, node);
        else if (is_sign(p, '['))
            node = parse_index(p, node);
        else if (is_sign(p, '{') && is_struct_name(node))
            return refuse(p, end, "messages cannot be built here; write a map: {\"name\": value}");
        else
            break;
    }
    return node;
}

static struct node *parse_unary(struct parser *p)
{
    if (!is_sign(p, '!') && !is_sign(p, '-'))
        return parse_member(p);
    struct token sign = p->token;
    if (++p->depth > EXPR_DEPTH_MAX)
        return refuse(p, sign.from, "this is nested more than %d deep", EXPR_DEPTH_MAX);
    if (!advance(p))
        return NULL;
    struct node *node;
    if (sign.sign == '-' && (p->token.kind == TOKEN_INT || p->token.kind == TOKEN_DOUBLE)) {
        /* The sign belongs to the literal, so that the least int can be written. */
        struct token number = p->token;
        if (number.kind == TOKEN_DOUBLE) {
            p->token.value.number = -number.value.number;
        } else {
            if (number.value.uinteger > (uint64_t)INT64_MAX + 1)
                return refuse(p, sign.from, "this number is too small for an int");
            p->token.value = value_int((int64_t)(0 - number.value.uinteger));
            p->token.kind = TOKEN_UINT; /* a literal of which nothing is to be asked any more */
        }
        p->token.from = sign.from;
        node = parse_member(p);
    } else if (is_sign(p, sign.sign)) {
        node = node_over(p, sign.sign == '!' ? NODE_NOT : NODE_NEGATE, parse_unary(p), NULL, NULL);
    } else {
        node = node_over(p, sign.sign == '!' ? NODE_NOT : NODE_NEGATE, parse_member(p), NULL, NULL);
    }
    if (node != NULL)
        node->from = node->at = sign.from;
    p->depth--;
    return node;
}

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_RELATION, LEVEL_SUM, LEVEL_PRODUCT };

/* How tightly the token binds as an operator between two values; 0 = it is none. */
static int operator_level(const struct token *token)
{
    if (token->kind == TOKEN_NAME)
        return str_is(token->text, "in") ? LEVEL_RELATION : 0;
    if (token->kind != TOKEN_SIGN)
        return 0;
    switch (token->sign) {
    case SIGN_OR: return LEVEL_OR;
    case SIGN_AND: return LEVEL_AND;
    case SIGN_EQ:
    case SIGN_NE:
    case SIGN_LE:
    case SIGN_GE:
    case '<':
    case '>': return LEVEL_RELATION;
    case '+':
    case '-': return LEVEL_SUM;
    case '*':
    case '/':
    case '%': return LEVEL_PRODUCT;
    default: return 0;
    }
}

static uint8_t compare_mask(uint16_t sign)
{
    switch (sign) {
    case SIGN_EQ: return COMPARE_EQ;
    case SIGN_NE: return COMPARE_NE;
    case SIGN_LE: return COMPARE_LE;
    case SIGN_GE: return COMPARE_GE;
    case '<': return COMPARE_LT;
    default: return COMPARE_GT;
    }
}

static struct node *parse_binary(struct parser *p, int least);

/* a && b && c: one node, however long. */
static struct node *parse_chain(struct parser *p, struct node *first, uint32_t from, int level)
{
    struct nodes all = {0};
    uint32_t at = p->token.from;
    nodes_add(p, &all, first);
    while (operator_level(&p->token) == level) {
        if (!advance(p) || !nodes_add(p, &all, parse_binary(p, level + 1)))
            return NULL;
    }
    struct node *node = node_new(p, level == LEVEL_OR ? NODE_OR : NODE_AND, from);
    if (node == NULL)
        return NULL;
    node->at = at;
    node->to = p->last_to;
    node->arguments = all.at;
    node->count = all.count;
    return node_close(p, node);
}

static struct node *parse_binary(struct parser *p, int least)
{
    uint32_t from = p->token.from; /* with brackets around what stands first */
    struct node *left = parse_unary(p);
    while (left != NULL) {
        struct token sign = p->token;
        int level = operator_level(&sign);
        if (level < least || level == 0)
            return left;
        if (level <= LEVEL_AND) {
            left = parse_chain(p, left, from, level);
            continue;
        }
        if (!advance(p))
            return NULL;
        struct node *right = parse_binary(p, level + 1);
        if (right == NULL)
            return NULL;
        enum node_kind kind = sign.kind == TOKEN_NAME   ? NODE_IN
                              : level == LEVEL_RELATION ? NODE_COMPARE
                                                        : NODE_SUM;
        left = node_over(p, kind, left, right, NULL);
        if (left == NULL)
            return NULL;
        left->from = from;
        left->at = sign.from;
        left->to = p->last_to;
        left->sign = kind == NODE_COMPARE ? compare_mask(sign.sign)
                     : kind == NODE_SUM   ? (uint8_t)sign.sign
                                          : 0;
    }
    return NULL;
}

static struct node *parse_expr(struct parser *p)
{
    if (++p->depth > EXPR_DEPTH_MAX)
        return refuse(p, p->token.from, "this is nested more than %d deep", EXPR_DEPTH_MAX);
    struct node *node = parse_binary(p, LEVEL_OR);
    if (node != NULL && is_sign(p, '?')) {
        uint32_t at = p->token.from;
        if (!advance(p))
            return NULL;
        struct node *then = parse_binary(p, LEVEL_OR);
        if (then == NULL || !expect(p, ':', "of the choice"))
            return NULL;
        struct node *otherwise = parse_expr(p);
        if (otherwise == NULL)
            return NULL;
        node = node_over(p, NODE_CHOOSE, node, then, otherwise);
        if (node != NULL)
            node->at = at;
    }
    p->depth--;
    return node;
}

enum status expr_parse(struct arena *plan, struct str text, struct node **out, struct fault *f)
{
    if (text.len > EXPR_TEXT_BYTES_MAX) {
        fault_set(f, "this expression has %zu bytes; at most %d are allowed", text.len,
                  EXPR_TEXT_BYTES_MAX);
        return FIX_INPUT;
    }
    struct parser p = {.plan = plan, .lexer = {.plan = plan, .text = text}, .fault = f};
    if (!advance(&p))
        return FIX_INPUT;
    struct node *root = parse_expr(&p);
    if (root == NULL)
        return FIX_INPUT;
    if (p.token.kind != TOKEN_END) {
        struct str found = token_text(&p);
        const char *hint = slip_advice(SLIP_AFTER, found);
        if (root->kind == NODE_NAME && str_equal_nocase(root->name, STR("not")))
            hint = "write ! for \"not\"";
        else if (root->kind == NODE_NAME && p.token.kind == TOKEN_TEXT)
            hint = "a function is written name(...)";
        (void)refuse(&p, p.token.from, "unexpected \"%.*s\" after the expression%s%s",
                     (int)min_of(found.len, (size_t)40), found.at, hint ? "; " : "",
                     hint ? hint : "");
        return FIX_INPUT;
    }
    *out = root;
    return OK;
}
