/* SPDX-License-Identifier: Apache-2.0 */
#include "base/value.h"

const char *value_type_name(enum value_type type)
{
    switch (type) {
    case VALUE_NONE: return "nothing";
    case VALUE_NULL: return "null";
    case VALUE_BOOL: return "bool";
    case VALUE_INT: return "int";
    case VALUE_UINT: return "uint";
    case VALUE_DOUBLE: return "double";
    case VALUE_TEXT: return "string";
    case VALUE_BYTES: return "bytes";
    case VALUE_TIME: return "timestamp";
    case VALUE_DURATION: return "duration";
    case VALUE_LIST: return "list";
    case VALUE_MAP: return "map";
    case VALUE_TYPE: return "type";
    case VALUE_ERROR: return "error";
    }
    return "?";
}
