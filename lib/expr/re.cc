// re.cc - regular expressions by RE2, behind the C names of expr_int.h. RE2 takes linear time in the
// text whatever the pattern, which is why it is here and not another.
//
// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include <cstdio>
#include <cstring>
#include <new>

extern "C" {
struct regex {
    re2::RE2 pattern;
    regex(re2::StringPiece text, const re2::RE2::Options &options) : pattern(text, options)
    {
    }
};

struct regex *regex_new(const char *at, size_t len, char *why, size_t why_bytes);
void regex_free(void *regex);
bool regex_finds(const struct regex *regex, const char *at, size_t len);
}

static const int64_t MEMORY_MAX = 1 << 20; // of one compiled pattern and its state
static const size_t BYTES_MAX = 4096;      // REGEX_BYTES_MAX

struct regex *regex_new(const char *at, size_t len, char *why, size_t why_bytes)
{
    if (len > BYTES_MAX) {
        std::snprintf(why, why_bytes, "it has more than %zu bytes", BYTES_MAX);
        return nullptr;
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(MEMORY_MAX);
    re2::StringPiece text(at, len);
    auto *regex = new (std::nothrow)::regex(text, options);
    if (regex == nullptr || !regex->pattern.ok()) {
        std::snprintf(why, why_bytes, "%s", regex ? regex->pattern.error().c_str() : "no memory");
        delete regex;
        return nullptr;
    }
    return regex;
}

void regex_free(void *regex)
{
    delete static_cast<struct regex *>(regex);
}

bool regex_finds(const struct regex *regex, const char *at, size_t len)
{
    return re2::RE2::PartialMatch(re2::StringPiece(at, len), regex->pattern);
}
