/* format(), quoting, SHA-2, width_bucket, angles in degrees, times from their parts, OVERLAPS. */
#include "query/func/text.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* --- quoting --- */

static void write_literal(struct writer *out, struct slice text)
{
    bool has_backslash = text.size > 0 && memchr(text.data, '\\', text.size) != NULL;
    writer_cstr(out, has_backslash ? "E'" : "'");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            writer_u8(out, (uint8_t)text.data[i]);
        writer_u8(out, (uint8_t)text.data[i]);
    }
    writer_u8(out, '\'');
}

/* Words that are not names without quotes. */
/* clang-format off */
static const char *const reserved_words[] = {
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric",
    "authorization", "between", "bigint", "binary", "bit", "boolean", "both", "case", "cast",
    "char", "character", "check", "coalesce", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "current_catalog", "current_date", "current_role",
    "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal",
    "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists",
    "extract", "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant",
    "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout",
    "int", "integer", "intersect", "interval", "into", "is", "isnull", "join", "lateral",
    "leading", "least", "left", "like", "limit", "localtime", "localtimestamp", "national",
    "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif", "numeric",
    "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing",
    "position", "precision", "primary", "real", "references", "returning", "right", "row",
    "select", "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric",
    "table", "tablesample", "then", "time", "timestamp", "to", "trailing", "treat", "trim",
    "true", "union", "unique", "user", "using", "values", "varchar", "variadic", "verbose",
    "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement",
};
/* clang-format on */

static bool is_reserved(struct slice text)
{
    for (size_t i = 0; i < array_count(reserved_words); i++)
        if (slice_equal(text, slice_from_cstr(reserved_words[i])))
            return true;
    return false;
}

void text_write_identifier(struct writer *out, struct slice text)
{
    bool is_plain = text.size > 0 && !(text.data[0] >= '0' && text.data[0] <= '9');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        is_plain = is_plain && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    }
    if (is_plain && !is_reserved(text)) {
        writer_slice(out, text);
        return;
    }
    writer_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            writer_u8(out, '"');
        writer_u8(out, (uint8_t)text.data[i]);
    }
    writer_u8(out, '"');
}

static enum err give(struct call *call, struct writer *writer, struct value *out)
{
    bool failed = writer->failed;
    if (!failed)
        out->text = arena_copy(call->arena, writer_as_slice(writer));
    writer_deinit(writer);
    return failed ? error_set(call->error, ERR_INPUT, "54000", "requested length too large") : OK;
}

enum { IDENTIFIER, LITERAL, NULLABLE };

static enum err quote_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    int operation = call->function->operation;
    if (a[0].is_null) {
        out->is_null = operation != NULLABLE;
        out->text = SLICE("NULL");
        return OK;
    }
    struct slice text = value_to_text(&a[0], call->context, call->arena);
    if (a[0].type.id == TYPE_BOOL)
        text = a[0].b ? SLICE("true") : SLICE("false");
    struct writer writer;
    writer_init(&writer);
    writer.limit = TEXT_RESULT_SIZE_MAX;
    if (operation == IDENTIFIER)
        text_write_identifier(&writer, text);
    else
        write_literal(&writer, text);
    return give(call, &writer, out);
}

/* --- format --- */

struct format {
    struct call *call;
    struct slice text;
    size_t at;
    const struct value *arguments;
    size_t count, next; /* next: the argument that comes */
};

static bool format_number(struct format *f, int64_t *out)
{
    size_t first = f->at;
    for (*out = 0; f->at < f->text.size && f->text.data[f->at] >= '0' && f->text.data[f->at] <= '9';
         f->at++)
        if (*out < INT_MAX)
            *out = *out * 10 + (f->text.data[f->at] - '0');
    return f->at > first;
}

static enum err format_take(struct format *f, int64_t number, const struct value **out)
{
    size_t index = number > 0 ? (size_t)number : f->next;
    f->next = index + 1;
    if (index > f->count)
        return error_set(f->call->error, ERR_INPUT, "22023", "too few arguments for format()");
    *out = &f->arguments[index];
    return OK;
}

/* n$ or nothing. */
static enum err format_place(struct format *f, int64_t *number)
{
    size_t first = f->at;
    *number = 0;
    if (!format_number(f, number) || f->at >= f->text.size || f->text.data[f->at] != '$') {
        f->at = first;
        *number = 0;
        return OK;
    }
    f->at++;
    return *number > 0
               ? OK
               : error_set(f->call->error, ERR_INPUT, "22023",
                           "format specifies argument 0, but arguments are numbered from 1");
}

/* *width: how many characters at least, below 0: to the left. */
static enum err format_width(struct format *f, int64_t *width)
{
    bool is_left = false;
    *width = 0;
    while (f->at < f->text.size && f->text.data[f->at] == '-') {
        is_left = true;
        f->at++;
    }
    if (f->at < f->text.size && f->text.data[f->at] == '*') {
        const struct value *argument = NULL;
        int64_t number;
        f->at++;
        enum err err = format_place(f, &number);
        if (err == OK)
            err = format_take(f, number, &argument);
        if (err != OK)
            return err;
        bool is_int = argument->type.id >= TYPE_INT2 && argument->type.id <= TYPE_INT8;
        if (!is_int)
            return error_set(f->call->error, ERR_INPUT, "22023",
                             "the width of format() must be an integer");
        *width = argument->is_null ? 0 : argument->i;
    } else {
        format_number(f, width);
    }
    if (*width > (int64_t)TEXT_RESULT_SIZE_MAX || *width < -(int64_t)TEXT_RESULT_SIZE_MAX)
        return error_set(f->call->error, ERR_INPUT, "54000", "requested length too large");
    if (is_left && *width > 0)
        *width = -*width;
    return OK;
}

static enum err format_one(struct format *f, struct writer *out)
{
    const struct value *argument = NULL;
    int64_t number, width;
    enum err err = format_place(f, &number);
    if (err == OK)
        err = format_width(f, &width);
    if (err != OK)
        return err;
    char kind = f->at < f->text.size ? f->text.data[f->at++] : 0;
    if (kind != 's' && kind != 'I' && kind != 'L')
        return error_set(f->call->error, ERR_INPUT, "22023",
                         kind == 0 ? "unterminated format() type specifier"
                                   : "unrecognized format() type specifier \"%c\"",
                         kind);
    err = format_take(f, number, &argument);
    if (err != OK)
        return err;
    if (argument->is_null && kind == 'I')
        return error_set(f->call->error, ERR_INPUT, "22004",
                         "null values cannot be formatted as an SQL identifier");
    struct writer one;
    writer_init(&one);
    struct slice text = {0};
    if (!argument->is_null && argument->type.id == TYPE_BOOL)
        text = argument->b ? SLICE("t") : SLICE("f");
    else if (!argument->is_null)
        text = value_to_text(argument, f->call->context, f->call->arena);
    if (kind == 'I')
        text_write_identifier(&one, text);
    else if (kind == 'L' && argument->is_null)
        writer_cstr(&one, "NULL");
    else if (kind == 'L')
        write_literal(&one, text);
    else
        writer_slice(&one, text);
    int64_t blanks = (width < 0 ? -width : width) - (int64_t)utf8_count(writer_as_slice(&one));
    for (int64_t i = 0; width > 0 && i < blanks && !out->failed; i++)
        writer_u8(out, ' ');
    writer_slice(out, writer_as_slice(&one));
    for (int64_t i = 0; width < 0 && i < blanks && !out->failed; i++)
        writer_u8(out, ' ');
    writer_deinit(&one);
    return OK;
}

static enum err format_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct format f = {
        .call = call, .text = a[0].text, .arguments = a, .count = count - 1, .next = 1};
    out->is_null = a[0].is_null;
    if (out->is_null)
        return OK;
    struct writer writer;
    enum err err = OK;
    writer_init(&writer);
    writer.limit = TEXT_RESULT_SIZE_MAX;
    while (f.at < f.text.size && err == OK) {
        char c = f.text.data[f.at++];
        if (c != '%') {
            writer_u8(&writer, (uint8_t)c);
        } else if (f.at < f.text.size && f.text.data[f.at] == '%') {
            writer_u8(&writer, '%');
            f.at++;
        } else {
            err = format_one(&f, &writer);
        }
    }
    if (err == OK)
        return give(call, &writer, out);
    writer_deinit(&writer);
    return err;
}

static enum err nulls_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    out->i = 0;
    for (size_t i = 0; i < count; i++)
        out->i += a[i].is_null == (call->function->operation == 0);
    return OK;
}

/* --- SHA-2 (FIPS 180-4): words of 32 bits for 224 and 256, of 64 for 384 and 512 --- */

static const uint64_t round_words[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

struct sha {
    bool is_wide;
    uint64_t state[8];
};

static uint64_t rotate(const struct sha *sha, uint64_t x, unsigned by)
{
    if (sha->is_wide)
        return x >> by | x << (64 - by);
    uint32_t y = (uint32_t)x;
    return (uint32_t)(y >> by | y << (32 - by));
}

static uint64_t three(const struct sha *sha, uint64_t x, const uint8_t by[3], bool has_shift)
{
    uint64_t last = has_shift ? x >> by[2] : rotate(sha, x, by[2]);
    return rotate(sha, x, by[0]) ^ rotate(sha, x, by[1]) ^ last;
}

static void sha_block(struct sha *sha, const uint8_t *block)
{
    static const uint8_t by[2][4][3] = {{{7, 18, 3}, {17, 19, 10}, {6, 11, 25}, {2, 13, 22}},
                                        {{1, 8, 7}, {19, 61, 6}, {14, 18, 41}, {28, 34, 39}}};
    const uint8_t(*turn)[3] = by[sha->is_wide];
    size_t width = sha->is_wide ? 8 : 4, rounds = sha->is_wide ? 80 : 64;
    uint64_t mask = sha->is_wide ? UINT64_MAX : UINT32_MAX, w[80], s[8];
    for (size_t i = 0; i < 16; i++) {
        w[i] = 0;
        for (size_t k = 0; k < width; k++)
            w[i] = w[i] << 8 | block[i * width + k];
    }
    for (size_t i = 16; i < rounds; i++)
        w[i] = (w[i - 16] + three(sha, w[i - 15], turn[0], true) + w[i - 7] +
                three(sha, w[i - 2], turn[1], true)) &
               mask;
    memcpy(s, sha->state, sizeof(s));
    for (size_t i = 0; i < rounds; i++) {
        uint64_t word = sha->is_wide ? round_words[i] : round_words[i] >> 32;
        uint64_t first = s[7] + three(sha, s[4], turn[2], false) +
                         ((s[4] & s[5]) ^ (~s[4] & s[6])) + word + w[i];
        uint64_t second =
            three(sha, s[0], turn[3], false) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] = (s[4] + first) & mask;
        s[0] = (first + second) & mask;
    }
    for (size_t i = 0; i < 8; i++)
        sha->state[i] = (sha->state[i] + s[i]) & mask;
}

static void sha_run(struct sha *sha, struct slice text, size_t result_size, uint8_t *out)
{
    size_t block = sha->is_wide ? 128 : 64, at = 0;
    uint8_t last[256] = {0};
    for (; text.size - at >= block; at += block)
        sha_block(sha, (const uint8_t *)text.data + at);
    size_t rest = text.size - at, size = rest + (sha->is_wide ? 17 : 9) > block ? 2 * block : block;
    if (rest > 0)
        memcpy(last, text.data + at, rest);
    last[rest] = 0x80;
    uint64_t bits = (uint64_t)text.size * 8;
    for (size_t i = 0; i < 8; i++)
        last[size - 1 - i] = (uint8_t)(bits >> 8 * i);
    for (size_t i = 0; i < size; i += block)
        sha_block(sha, last + i);
    size_t width = sha->is_wide ? 8 : 4;
    for (size_t i = 0; i < result_size; i++)
        out[i] = (uint8_t)(sha->state[i / width] >> 8 * (width - 1 - i % width));
}

enum { SHA224, SHA256, SHA384, SHA512 };

static enum err sha_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    static const uint64_t starts[4][8] = {
        {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7,
         0xbefa4fa4},
        {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
         0x5be0cd19},
        {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
         0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4},
        {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
         0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179}};
    static const size_t sizes[] = {28, 32, 48, 64};
    int operation = call->function->operation;
    struct sha sha = {.is_wide = operation >= SHA384};
    memcpy(sha.state, starts[operation], sizeof(sha.state));
    uint8_t *bytes = arena_alloc(call->arena, 64);
    sha_run(&sha, a[0].text, sizes[operation], bytes);
    out->text = slice_of(bytes, sizes[operation]);
    return OK;
}

/* --- numbers --- */

static enum err width_bucket_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    double value = a[0].f, low = a[1].f, high = a[2].f;
    int64_t buckets = a[3].i;
    const char *wrong = NULL;
    if (buckets <= 0)
        wrong = "count must be greater than zero";
    else if (isnan(value) || isnan(low) || isnan(high))
        wrong = "operand, lower bound, and upper bound cannot be NaN";
    else if (isinf(low) || isinf(high))
        wrong = "lower and upper bounds must be finite";
    else if (low == high)
        wrong = "lower bound cannot equal upper bound";
    if (wrong != NULL)
        return error_set(call->error, ERR_INPUT, "2201G", "%s", wrong);
    bool is_down = low > high;
    bool is_below = is_down ? value > low : value < low;
    bool is_above = is_down ? value <= high : value >= high;
    if (is_below || is_above) {
        out->i = is_below ? 0 : buckets + 1;
        return out->i <= INT_MAX ? OK : error_out_of_range(call->error, "integer");
    }
    double share = is_down ? (low - value) / (low - high) : (value - low) / (high - low);
    out->i = (int64_t)((double)buckets * share) + 1;
    if (out->i > buckets)
        out->i = buckets;
    return OK;
}

static enum err factorial_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    if (a[0].i < 0)
        return error_set(call->error, ERR_INPUT, "22003",
                         "factorial of a negative number is undefined");
    if (a[0].i > 33)
        return error_out_of_range(call->error, "numeric");
    __int128 product = 1;
    for (int64_t i = 2; i <= a[0].i; i++)
        product *= i;
    out->n = numeric_from_int128(product, 0);
    return OK;
}

enum { SCALE, MIN_SCALE };

/* The scale without zeros at the end. */
static int32_t least_scale(struct numeric n)
{
    __int128 digits = n.digits;
    int32_t scale = n.scale;
    while (scale > 0 && digits % 10 == 0) {
        digits /= 10;
        scale--;
    }
    return scale;
}

static enum err scale_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    out->is_null = a[0].n.kind != NUMERIC_FINITE;
    out->i = call->function->operation == SCALE ? a[0].n.scale : least_scale(a[0].n);
    return OK;
}

static enum err trim_scale_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    out->n = a[0].n;
    return a[0].n.kind != NUMERIC_FINITE
               ? OK
               : numeric_round(a[0].n, least_scale(a[0].n), &out->n, call->error);
}

/* --- times --- */

static enum err make_time_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    int64_t year = a[0].i;
    double seconds = a[5].f;
    const struct timezone *zone = call->context->zone;
    bool is_good =
        year != 0 && year > -4713 && year < 294277 && a[1].i >= 1 && a[1].i <= 12 && a[2].i >= 1;
    if (year < 0)
        year++;
    is_good = is_good && a[2].i <= days_in_month((int32_t)year, (int32_t)a[1].i);
    if (!is_good)
        return error_set(call->error, ERR_INPUT, "22008",
                         "date field value out of range: %lld-%02lld-%02lld", (long long)a[0].i,
                         (long long)a[1].i, (long long)a[2].i);
    if (a[3].i < 0 || a[3].i > 24 || a[4].i < 0 || a[4].i > 59 ||
        !(seconds >= 0 && seconds <= 60) || (a[3].i == 24 && (a[4].i > 0 || seconds > 0)))
        return error_set(call->error, ERR_INPUT, "22008",
                         "time field value out of range: %lld:%02lld:%g", (long long)a[3].i,
                         (long long)a[4].i, seconds);
    out->i =
        days_from_civil((int32_t)year, (int32_t)a[1].i, (int32_t)a[2].i) * MICROSECONDS_PER_DAY +
        (a[3].i * 60 + a[4].i) * MICROSECONDS_PER_MINUTE + (int64_t)rint(seconds * 1000000);
    if (call->function->result != TYPE_TIMESTAMPTZ)
        return OK;
    enum err err = count > 6 ? timezone_find(a[6].text, &zone, call->error) : OK;
    if (err == OK)
        out->i = timezone_to_utc(zone != NULL ? zone : timezone_utc, out->i);
    return err;
}

/* make_interval(years, months, weeks, days, hours, mins, secs): those that are given. */
static enum err make_interval_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    int64_t parts[6] = {0};
    double seconds = count > 6 ? a[6].f : 0;
    for (size_t i = 0; i < count && i < 6; i++)
        parts[i] = a[i].i;
    int64_t months = parts[0] * 12 + parts[1], days = parts[2] * 7 + parts[3];
    double us = rint(seconds * 1000000);
    if (months > INT_MAX || months < INT_MIN || days > INT_MAX || days < INT_MIN ||
        !(fabs(us) < 9e18 - 1e16))
        return error_set(call->error, ERR_INPUT, "22008", "interval out of range");
    out->interval = (struct interval){(int32_t)months, (int32_t)days,
                                      parts[4] * MICROSECONDS_PER_HOUR +
                                          parts[5] * MICROSECONDS_PER_MINUTE + (int64_t)us};
    return OK;
}

/* (start, end) OVERLAPS (start, end): ends may come in either order and may be NULL. */
static void order_period(struct value *start, struct value *end)
{
    if (start->is_null || (!end->is_null && end->i < start->i)) {
        struct value other = *start;
        *start = *end;
        *end = other;
    }
}

static enum err overlaps_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)call, (void)count;
    struct value s1 = a[0], e1 = a[1], s2 = a[2], e2 = a[3];
    order_period(&s1, &e1);
    order_period(&s2, &e2);
    out->is_null = s1.is_null || s2.is_null;
    if (out->is_null)
        return OK;
    if (s1.i == s2.i) { /* both ends known: they share this moment */
        out->b = true;
        out->is_null = e1.is_null || e2.is_null;
        return OK;
    }
    const struct value *first_end = s1.i < s2.i ? &e1 : &e2;
    const struct value *second_end = s1.i < s2.i ? &e2 : &e1;
    int64_t second = s1.i < s2.i ? s2.i : s1.i;
    out->b = !first_end->is_null && second < first_end->i;
    out->is_null = first_end->is_null || (out->b && second_end->is_null);
    return OK;
}

#define T TYPE_TEXT
#define I TYPE_INT4
#define D TYPE_FLOAT8
#define N TYPE_NUMERIC
#define F TEXT_FUNCTION
#define ANY(name_text, count, first, variadic, to, kind, row_form, doc_text, example_text)         \
    {.name = name_text,                                                                            \
     .argument_count = count,                                                                      \
     .arguments = {first},                                                                         \
     .is_variadic = variadic,                                                                      \
     .is_null_tolerant = true,                                                                     \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .volatility = STABLE,                                                                         \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define MAKE_TIME(name_text, count, to, last, example_text)                                        \
    {.name = name_text,                                                                            \
     .argument_count = count,                                                                      \
     .arguments = {I, I, I, I, I, D, last},                                                        \
     .result = to,                                                                                 \
     .volatility = STABLE,                                                                         \
     .row = make_time_row,                                                                         \
     .doc = "a time from its parts",                                                               \
     .example = example_text},
#define OVERLAPS(of, word)                                                                         \
    {.name = "overlaps",                                                                           \
     .argument_count = 4,                                                                          \
     .arguments = {of, of, of, of},                                                                \
     .is_null_tolerant = true,                                                                     \
     .result = TYPE_BOOL,                                                                          \
     .row = overlaps_row,                                                                          \
     .doc = "have two periods a moment in common",                                                 \
     .example = "(" word " '2026-05-01', " word " '2026-05-03') OVERLAPS (" word                   \
                " '2026-05-02', " word " '2026-05-04')"},

/* clang-format off */
static const struct function functions[] = {
    ANY("format", 1, T, true, T, 0, format_row, "text with arguments put in: %s, %I, %L",
        "format('%s and %I', 1, 'a b')")
    ANY("format", 1, T, false, T, 0, format_row, "text with arguments put in", "format('100%%')")
    ANY("quote_ident", 1, T, false, T, IDENTIFIER, quote_row, "as a name in SQL",
        "quote_ident('a b')")
    ANY("quote_literal", 1, TYPE_ANY_NONARRAY, false, T, LITERAL, quote_row,
        "as a text constant in SQL", "quote_literal('it''s')")
    ANY("quote_nullable", 1, TYPE_ANY_NONARRAY, false, T, NULLABLE, quote_row,
        "as a text constant in SQL, or NULL", "quote_nullable(NULL)")
    ANY("num_nulls", 0, 0, true, I, 0, nulls_row, "how many arguments are NULL",
        "num_nulls(1, NULL, 'a')")
    ANY("num_nonnulls", 0, 0, true, I, 1, nulls_row, "how many arguments are not NULL",
        "num_nonnulls(1, NULL, 'a')")
    F("sha224", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA224, sha_row, "the SHA-224 digest",
      "sha224('abc'::bytea)")
    F("sha256", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA256, sha_row, "the SHA-256 digest",
      "sha256('abc'::bytea)")
    F("sha384", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA384, sha_row, "the SHA-384 digest",
      "sha384('abc'::bytea)")
    F("sha512", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA512, sha_row, "the SHA-512 digest",
      "sha512('abc'::bytea)")
    F("width_bucket", 4, LIST(D, D, D, I), I, 0, width_bucket_row,
      "the bucket of a value, 0 below the first", "width_bucket(5.3::float8, 0, 10, 5)")
    F("factorial", 1, LIST(TYPE_INT8), N, 0, factorial_row, "the product of 1 … n", "factorial(5)")
    F("scale", 1, LIST(N), I, SCALE, scale_row, "digits behind the point", "scale(8.410)")
    F("min_scale", 1, LIST(N), I, MIN_SCALE, scale_row, "digits behind the point that are needed",
      "min_scale(8.410)")
    F("trim_scale", 1, LIST(N), N, 0, trim_scale_row, "without zeros at the end",
      "trim_scale(8.410)")
    MAKE_TIME("make_timestamp", 6, TYPE_TIMESTAMP, 0, "make_timestamp(2026, 5, 1, 10, 17, 3.5)")
    MAKE_TIME("make_timestamptz", 6, TYPE_TIMESTAMPTZ, 0,
              "make_timestamptz(2026, 5, 1, 10, 17, 3.5)")
    MAKE_TIME("make_timestamptz", 7, TYPE_TIMESTAMPTZ, T,
              "make_timestamptz(2026, 5, 1, 10, 17, 3.5, 'Europe/Berlin')")
    F("make_interval", 0, LIST(0), TYPE_INTERVAL, 0, make_interval_row, "an interval of nothing",
      "make_interval()")
    F("make_interval", 1, LIST(I), TYPE_INTERVAL, 0, make_interval_row, "an interval of years",
      "make_interval(1)")
    F("make_interval", 4, LIST(I, I, I, I), TYPE_INTERVAL, 0, make_interval_row,
      "an interval from years, months, weeks, days", "make_interval(1, 2, 3, 4)")
    F("make_interval", 7, LIST(I, I, I, I, I, I, D), TYPE_INTERVAL, 0, make_interval_row,
      "an interval from its parts", "make_interval(1, 2, 3, 4, 5, 6, 7.5)")
    OVERLAPS(TYPE_TIMESTAMPTZ, "timestamptz")
    OVERLAPS(TYPE_TIMESTAMP, "timestamp")
};
/* clang-format on */

const struct function_group functions_more = {functions, array_count(functions)};
