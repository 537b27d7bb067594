/* Rows by their shape against the complete parser: bodies of like and unlike rows, whole, mutated
 * and with every oddity of JSON, by every instruction set and framing. Everything that comes of a
 * body is compared: the bytes of the record, rejections, unknown fields, counts. Planted mistakes
 * must be found by the same comparison. */
#include "tests/unit/ingest/decode/decode_harness.h"

#include "ingest/decode/scan.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/column/stored.h"

enum framing { FRAMING_LINES, FRAMING_DOCUMENT, FRAMING_MESSAGES, FRAMING_COUNT };

static enum err decode_messages(struct harness *h, struct slice body,
                                const struct decode_options *options)
{
    struct decoder *decoder = decode_messages_begin(&h->rows, options);
    while (body.size > 0) {
        const char *end = memchr(body.data, '\n', body.size);
        size_t size = end == NULL ? body.size : (size_t)(end - body.data);
        enum err err = decode_message(decoder, slice_of(body.data, size), &h->error);
        if (err != OK)
            return err;
        body = size == body.size ? (struct slice){0}
                                 : slice_of(body.data + size + 1, body.size - size - 1);
    }
    return OK;
}

/* All that comes of a body, as text. The harness keeps its mapping: shapes and hints go on. */
static void outcome_print(struct harness *h, enum framing framing, struct slice body,
                          const struct decode_options *decode, struct writer *out)
{
    struct rows_options options = {.mapping = h->mapping,
                                   .arena = &h->arena,
                                   .now_us = HARNESS_NOW_US,
                                   .rows_max = 1000000,
                                   .row_size_max = 4096};
    rows_deinit(&h->rows);
    arena_reset(&h->arena);
    rows_init(&h->rows, &options);
    enum err err = framing == FRAMING_LINES      ? decode_ndjson(&h->rows, body, decode, &h->error)
                   : framing == FRAMING_DOCUMENT ? decode_json(&h->rows, body, decode, &h->error)
                                                 : decode_messages(h, body, decode);
    const struct rows *rows = &h->rows;
    writer_reset(out);
    writer_printf(out, "%d %s ", err, err == OK ? "" : h->error.text);
    writer_printf(out, "received %zu good %zu duplicate keys %llu other %llu\n", rows->received,
                  rows->count, (unsigned long long)rows->duplicate_keys,
                  (unsigned long long)rows->unknown_other);
    for (size_t i = 0; i < rows->rejection_count; i++) {
        const struct rows_rejection *r = &rows->rejections[i];
        writer_printf(out, "rejected %llu '%.*s' %s '%.*s' '%.*s' %d\n", (unsigned long long)r->row,
                      SLICE_ARGS(r->column), r->sqlstate, SLICE_ARGS(r->reason), SLICE_ARGS(r->raw),
                      r->is_raw_cut);
    }
    for (size_t i = 0; i < rows->unknown_count; i++)
        writer_printf(out, "unknown '%.*s' '%.*s' %llu\n", SLICE_ARGS(rows->unknown[i].path),
                      SLICE_ARGS(rows->unknown[i].example),
                      (unsigned long long)rows->unknown[i].count);
    rows_finish(&h->rows, &h->batch, &h->column_ids);
    if (h->batch.row_count == 0)
        return;
    struct writer record;
    writer_init(&record);
    stored_write(h->schema, h->column_ids, &h->batch, &record);
    writer_slice(out, writer_as_slice(&record));
    writer_deinit(&record);
}

/* --- bodies --- */

static const char *const keys[] = {
    "ts", "u",    "t",  "s",     "i",
    "l",  "f",    "r",  "n",     "b",
    "j",  "v",    "d",  "a",     "req",
    "T",  "I",    "zz", "other", "x",
    "S",  "user", "w",  "w2",    "a key of forty characters, or even more"};

#define KEY_REQUIRED 14 /* of a column that may not be NULL */

static const char columns[] =
    "ts timestamptz, u uuid, t text, s text, i integer, l bigint, f float8, r real, n "
    "numeric(10;2), b boolean, j jsonb, v varchar(3), d date, a text[], req bigint!, w timestamp, "
    "w2 numeric(18;6), S text";

/* What a stream has at one place, mostly. */
static void usual_value(struct random_stream *random, size_t key, struct writer *out)
{
    const char *name = keys[key];
    uint64_t number = random_below(random, 100000);
    if (strcmp(name, "ts") == 0)
        writer_printf(out, "\"2026-05-01T10:0%u:%02u.%06uZ\"", (unsigned)(number % 2),
                      (unsigned)(number % 60), (unsigned)number * 7);
    else if (strcmp(name, "u") == 0)
        writer_printf(out, "\"a0eebc99-9c0b-4ef8-BB6D-6bb9b%07x\"", (unsigned)number);
    else if (strcmp(name, "i") == 0 || strcmp(name, "l") == 0 || strcmp(name, "req") == 0)
        writer_printf(out, "%s%u", number % 5 == 0 ? "-" : "", (unsigned)(number >> number % 17));
    else if (strcmp(name, "f") == 0 || strcmp(name, "r") == 0 || name[0] == 'n' || name[1] == '2')
        writer_printf(out, "%u.%02u", (unsigned)(number >> number % 17), (unsigned)number % 100);
    else if (strcmp(name, "b") == 0)
        writer_cstr(out, number % 2 == 0 ? "true" : "false");
    else if (strcmp(name, "v") == 0)
        writer_printf(out, "\"%u\"", (unsigned)number % 1000);
    else if (strcmp(name, "d") == 0 || strcmp(name, "w") == 0)
        writer_printf(out, "\"2026-05-%02u\"", 1 + (unsigned)number % 28);
    else if (strcmp(name, "j") == 0 || strcmp(name, "a") == 0)
        writer_printf(out, "[\"x\",\"%u\"]", (unsigned)number % 10);
    else
        writer_printf(out, "\"%.*s%u\"", (int)(number % 40),
                      "the quick brown fox jumps over the lazy dog", (unsigned)number % 7);
}

static void odd_value(struct random_stream *random, size_t key, struct writer *out)
{
    static const char *const times[] = {
        "\"2026-05-01T10:00:07Z\"",         "\"2026-05-01T10:00:07.123Z\"",
        "\"2026-05-01T10:00:59.9999999Z\"", "\"2026-05-01T10:00:07.123456Z\"",
        "\"2026-05-01 10:00:07.5+02\"",     "\"2026-05-01T10:00:60Z\"",
        "\"2026-05-01T10:00:07.12x456Z\"",  "\"2026-05-01T10:00:7aZ\"",
        "\"1969-12-31T23:59:59.123456Z\"",  "\"1969-12-31T23:59:01.5Z\"",
        "\"2026-02-30T10:00:07Z\"",         "\"2099-01-01T00:00:00Z\"",
        "\"2026-05-01T10:01:07+01:00\"",    "\"2026-05-01T10:00:07.123+01:00\"",
        "\"2026-05-01T10:01:07z\"",         "\"2026-05-01\""};
    static const char *const values[] = {
        "null",
        "null",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1",
        "1e3",
        "1.5E-2",
        "00",
        "01",
        "-",
        "1.",
        ".5",
        "1.0",
        "0.00",
        "12345678",
        "123456789",
        "1234567890123456789",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "99999999999999999999",
        "0.1234567890123456789",
        "0.00000000000000000000000001",
        "9007199254740993",
        "9007199254740992.5",
        "2147483648",
        "-2147483648",
        "99999999.99",
        "99999999.995",
        "100000000",
        "1.239",
        "123456789012.123456",
        "\"\"",
        "\"x\\u00e4\\n\"",
        "\"\\u0000\"",
        "\"\\x\"",
        "\"\xC3\xA4\"",
        "\"\xC3\"",
        "\"a long text of more than sixteen, and more than thirty-two bytes \xC3\xA4\"",
        "\"\\\"\"",
        "\"a\\\\\"",
        "\"tab\there\"",
        "\"12\"",
        "\"1.5\"",
        "\"yes\"",
        "\"abcd\"",
        "\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"",
        "\"g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
        "\"a0eebc999c0b4ef8bb6d6bb9bd380a11\"",
        "{}",
        "[]",
        "{\"a\": [1, {\"b\":null}]}",
        "[1,]",
        "[[\"x\"]]",
        "[\"a\",null]",
        "NaN",
        "nul",
        "tru",
        "falsey",
        "\"open",
        "{\"a\":"};
    bool is_time = random_below(random, key == 0 ? 2 : 8) == 0;
    if (key == KEY_REQUIRED && random_below(random, 2) == 0) {
        writer_cstr(out, "null");
        return;
    }
    writer_cstr(out, is_time ? times[random_below(random, array_count(times))]
                             : values[random_below(random, array_count(values))]);
}

struct stream {
    size_t key[array_count(keys)], count;
    const char *comma;
    unsigned odd_in, miss_in, swap_in; /* one value, member, pair in so many is not the usual one */
};

static void stream_choose(struct random_stream *random, struct stream *stream)
{
    static const char *const commas[] = {",", ",", ",", ",", ", ", ",\n", " ,\r"};
    *stream = (struct stream){.comma = commas[random_below(random, array_count(commas))],
                              .odd_in = 1 + (unsigned)random_below(random, 150),
                              .miss_in = 2 + (unsigned)random_below(random, 150),
                              .swap_in = 2 + (unsigned)random_below(random, 150)};
    if (random_below(random, 3) == 0)
        stream->odd_in = stream->miss_in = stream->swap_in = UINT32_MAX;
    size_t wanted = 1 + random_below(random, 18);
    if (random_below(random, 8) != 0)
        stream->key[stream->count++] = KEY_REQUIRED;
    for (size_t i = 0; i < wanted; i++) {
        size_t key = random_below(random, array_count(keys));
        bool is_there = random_below(random, 50) != 0; /* else: perhaps twice */
        for (size_t k = 0; k < stream->count && is_there; k++)
            is_there = stream->key[k] != key;
        if (is_there)
            stream->key[stream->count++] = key;
    }
}

static void write_row(struct random_stream *random, const struct stream *stream, struct writer *out)
{
    bool is_first = true;
    writer_u8(out, '{');
    for (size_t i = 0; i < stream->count; i++) {
        size_t key = stream->key[i];
        if (random_below(random, stream->miss_in) == 1)
            continue;
        if (random_below(random, stream->swap_in) == 1)
            key = stream->key[random_below(random, stream->count)];
        writer_cstr(out, is_first ? "" : stream->comma);
        writer_printf(out, "\"%s\":%s", keys[key], stream->comma[1] == 0 ? "" : " ");
        is_first = false;
        if (random_below(random, stream->odd_in) == 1)
            odd_value(random, key, out);
        else
            usual_value(random, key, out);
    }
    writer_u8(out, '}');
}

static void write_body(struct random_stream *random, struct writer *out)
{
    struct stream streams[2];
    stream_choose(random, &streams[0]);
    stream_choose(random, &streams[1]);
    size_t count = 1 + random_below(random, 40);
    uint64_t other_in = random_below(random, 3) == 0 ? 3 : UINT32_MAX;
    writer_reset(out);
    for (size_t i = 0; i < count; i++) {
        size_t begin = out->size;
        write_row(random, &streams[random_below(random, other_in) == 1], out);
        if (random_below(random, 30) == 0)
            out->data[begin + random_below(random, out->size - begin)] =
                (uint8_t) "\"\\{}[]:,0e.\xC3\x80\x1f x\n"[random_below(random, 17)];
        if (i + 1 < count || random_below(random, 2) == 0)
            writer_u8(out, '\n');
    }
}

/* --- the comparison --- */

struct pair {
    struct harness quick, complete;
    struct writer body, quick_out, complete_out;
};

static void pair_init(struct pair *pair, uint64_t seed)
{
    struct harness *both[] = {&pair->quick, &pair->complete};
    memset(pair, 0, sizeof(*pair));
    for (size_t i = 0; i < array_count(both); i++) {
        struct schema *schema = harness_schema(columns);
        schema->options.future_us = INT64_C(86400000000);
        if (seed % 4 == 1)
            schema->options.rest_column = 10; /* j */
        if (seed % 4 == 2)
            schema->options.whole_column = 10;
        if (seed % 4 == 3)
            schema->options.unknown = UNKNOWN_REJECT;
        harness_init(both[i], schema);
    }
    writer_init(&pair->body);
    writer_init(&pair->quick_out);
    writer_init(&pair->complete_out);
}

static void pair_deinit(struct pair *pair)
{
    harness_deinit(&pair->quick);
    harness_deinit(&pair->complete);
    writer_deinit(&pair->body);
    writer_deinit(&pair->quick_out);
    writer_deinit(&pair->complete_out);
}

static bool pair_is_same(struct pair *pair, enum framing framing, enum decode_isa isa)
{
    /* Exact memory, so that a read past the end shows under ASan. */
    char *exact = malloc(pair->body.size + 1);
    assert_non_null(exact);
    memcpy(exact + 1, pair->body.data, pair->body.size);
    struct slice body = slice_of(exact + 1, pair->body.size);
    struct decode_options options = {.depth_max = 8, .keys_max = 30, .isa = isa};
    outcome_print(&pair->quick, framing, body, &options, &pair->quick_out);
    options.is_complete = true;
    outcome_print(&pair->complete, framing, body, &options, &pair->complete_out);
    free(exact);
    return slice_equal(writer_as_slice(&pair->quick_out), writer_as_slice(&pair->complete_out));
}

/* Bodies until one comes out differently; their number, or `bodies`. */
static size_t first_difference(uint64_t seed, size_t bodies, struct pair *pair)
{
    static const enum decode_isa sets[] = {DECODE_ISA_BEST, DECODE_ISA_PLAIN, DECODE_ISA_SSE2,
                                           DECODE_ISA_AVX2, DECODE_ISA_AVX512};
    struct random_stream random;
    random_stream_init(&random, seed);
    pair_init(pair, seed);
    for (size_t i = 0; i < bodies; i++) {
        enum decode_isa isa = sets[random_below(&random, array_count(sets))];
        if (scan_text_of(isa) == NULL)
            isa = DECODE_ISA_PLAIN;
        write_body(&random, &pair->body);
        uint64_t framing = random_below(&random, FRAMING_COUNT);
        if (!pair_is_same(pair, (enum framing)framing, isa) ||
            !pair_is_same(pair, (enum framing)((framing + 2) % FRAMING_COUNT), isa))
            return i;
    }
    return bodies;
}

static void test_random(void **state)
{
    (void)state;
    static const uint64_t first_seed = 1;
    size_t bodies = 30;
    for (uint64_t seed = first_seed; seed < first_seed + 80; seed++) {
        struct pair pair;
        size_t at = first_difference(seed, bodies, &pair);
        if (at < bodies) {
            const struct writer *quick = &pair.quick_out, *complete = &pair.complete_out;
            size_t same = 0;
            while (same < quick->size && same < complete->size &&
                   quick->data[same] == complete->data[same])
                same++;
            size_t from = same < 100 ? 0 : same - 100;
            fail_msg("seed %llu body %zu differs at %zu\nby shape: %.*s\ncomplete: %.*s\n%.*s",
                     (unsigned long long)seed, at, same, (int)(same + 100 - from),
                     (char *)quick->data + from, (int)(same + 100 - from),
                     (char *)complete->data + from, (int)pair.body.size, (char *)pair.body.data);
        }
        pair_deinit(&pair);
    }
}

/* Each oddity at each place of a steady stream. */
static void test_every_cut(void **state)
{
    (void)state;
    struct pair pair;
    struct random_stream random;
    struct stream stream = {
        .comma = ",", .odd_in = UINT32_MAX, .miss_in = UINT32_MAX, .swap_in = UINT32_MAX};
    for (size_t key = 0; key < 16; key++)
        stream.key[stream.count++] = key;
    random_stream_init(&random, 5);
    pair_init(&pair, 4);
    struct writer row;
    writer_init(&row);
    write_row(&random, &stream, &row);
    for (size_t cut = 0; cut < row.size; cut++) {
        writer_reset(&pair.body);
        for (int i = 0; i < 2; i++) {
            writer_slice(&pair.body, writer_as_slice(&row));
            writer_u8(&pair.body, '\n');
        }
        writer_bytes(&pair.body, row.data, cut);
        for (int framing = 0; framing < FRAMING_COUNT; framing++) {
            if (!pair_is_same(&pair, (enum framing)framing, DECODE_ISA_BEST))
                fail_msg("cut at %zu", cut);
        }
    }
    writer_deinit(&row);
    pair_deinit(&pair);
}

/* The last text of a message is read with what stands before it: texts of many sizes, with each
 * oddity at each place; the first such message of a shape is the complete parser's. */
static bool last_texts_are_same(struct pair *pair, enum decode_isa isa)
{
    static const char *const odd[] = {"a", "\\n", "\\u00e9", "\xC3\xA9", "\"", "\x1f", "\xff", "}"};
    for (size_t size = 0; size < 40; size += 3) {
        for (size_t at = 0; at <= size; at++) {
            writer_reset(&pair->body);
            for (size_t i = 0; i < array_count(odd); i++)
                writer_printf(&pair->body, "{\"req\":1,\"t\":\"%.*s%s%.*s\"}\n", (int)at,
                              "0123456789012345678901234567890123456789", odd[i], (int)(size - at),
                              "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
            if (!pair_is_same(pair, FRAMING_MESSAGES, isa))
                return false;
        }
    }
    return true;
}

static void test_last_texts(void **state)
{
    (void)state;
    static const enum decode_isa sets[] = {DECODE_ISA_PLAIN, DECODE_ISA_SSE2, DECODE_ISA_AVX2,
                                           DECODE_ISA_AVX512};
    struct pair pair;
    pair_init(&pair, 4);
    for (size_t i = 0; i < array_count(sets); i++)
        if (scan_text_of(sets[i]) != NULL && !last_texts_are_same(&pair, sets[i]))
            fail_msg("set %d: %.*s", (int)sets[i], (int)pair.body.size, (char *)pair.body.data);
#if defined(__x86_64__)
    fault_plant("template.last_quote_taken");
    bool is_same = last_texts_are_same(&pair, DECODE_ISA_SSE2);
    fault_clear();
    assert_false(is_same);
#endif
    pair_deinit(&pair);
}

/* Longer ones, in steps of 64 bytes, with an oddity at each place; more values come behind them. */
static bool long_texts_are_same(struct pair *pair, enum decode_isa isa)
{
    static const char *const odd[] = {"a", "\\n", "\xC3\xA9", "\"", "\x1f"};
    static const size_t sizes[] = {31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 159, 161, 225};
    char letters[256];
    memset(letters, 'b', sizeof(letters));
    for (size_t s = 0; s < array_count(sizes); s++) {
        for (size_t at = 0; at <= sizes[s]; at += 1 + at % 3) {
            writer_reset(&pair->body);
            for (size_t i = 0; i < array_count(odd) + 1; i++)
                writer_printf(&pair->body, "{\"req\":1,\"t\":\"%.*s%s%.*s\",\"i\":%zu,\"l\":%zu}\n",
                              (int)at, letters, odd[i % array_count(odd)], (int)(sizes[s] - at),
                              letters, at, sizes[s]);
            if (!pair_is_same(pair, FRAMING_LINES, isa) ||
                !pair_is_same(pair, FRAMING_MESSAGES, isa))
                return false;
        }
    }
    return true;
}

static void test_long_texts(void **state)
{
    (void)state;
    static const enum decode_isa sets[] = {DECODE_ISA_PLAIN, DECODE_ISA_SSE2, DECODE_ISA_AVX2,
                                           DECODE_ISA_AVX512};
    struct pair pair;
    pair_init(&pair, 4);
    for (size_t i = 0; i < array_count(sets); i++)
        if (scan_text_of(sets[i]) != NULL && !long_texts_are_same(&pair, sets[i]))
            fail_msg("set %d: %.*s", (int)sets[i], (int)pair.body.size, (char *)pair.body.data);
    if (scan_text_of(DECODE_ISA_AVX2) != NULL) {
        fault_plant("template.half_a_step_passed");
        bool is_same = long_texts_are_same(&pair, DECODE_ISA_AVX2);
        fault_clear();
        assert_false(is_same);
    }
    pair_deinit(&pair);
}

/* Rows of one shape, each with another value, at every distance from the end of the body. */
static bool values_are_same(struct pair *pair, const char *key, const char *const *values,
                            size_t count, enum decode_isa isa)
{
    for (size_t behind = 0; behind < 40; behind += 3) {
        writer_reset(&pair->body);
        for (size_t i = 0; i < count + 1; i++) /* the first row is the complete parser's */
            writer_printf(&pair->body, "{\"req\":1,\"%s\":%s}%s", key, values[i % count],
                          i < count ? "\n" : "");
        writer_printf(&pair->body, "%*s", (int)behind, "");
        if (!pair_is_same(pair, FRAMING_LINES, isa) || !pair_is_same(pair, FRAMING_MESSAGES, isa))
            return false;
    }
    return true;
}

static const enum decode_isa all_sets[] = {DECODE_ISA_PLAIN, DECODE_ISA_SSE2, DECODE_ISA_AVX2,
                                           DECODE_ISA_AVX512};

static bool value_is_same(const char *key, const char *usual, const char *value)
{
    const char *const values[] = {usual, usual, value, usual};
    struct pair pair;
    bool is_same = true;
    pair_init(&pair, 4);
    for (size_t i = 0; i < array_count(all_sets) && is_same; i++)
        is_same = scan_text_of(all_sets[i]) == NULL ||
                  values_are_same(&pair, key, values, array_count(values), all_sets[i]);
    pair_deinit(&pair);
    return is_same;
}

/* Numbers of every number of digits before and behind the point, and what is none. */
static void test_numbers(void **state)
{
    (void)state;
    static const char *const columns_of_numbers[] = {"i", "l", "f", "n", "w2", "r"};
    static const char *const odd[] = {"-",     "-1",    "1.",    ".1",        "1e2",  "1.5e2",
                                      "1.5E2", "0",     "00",    "0.0",       "00.5", "01.5",
                                      "1..2",  "1.2.3", "1-2",   "+1",        "1x",   "1.x",
                                      "-0.25", "-01",   "1234e", "12345678e5"};
    static const char digits[] = "1234567890123456789012345";
    for (size_t column = 0; column < array_count(columns_of_numbers); column++) {
        const char *key = columns_of_numbers[column];
        for (int whole = 1; whole <= 20; whole++) {
            for (int places = 0; places <= 20; places += whole < 10 ? 1 : 4) {
                char text[64];
                snprintf(text, sizeof(text), "%.*s%s%.*s", whole, digits, places > 0 ? "." : "",
                         places, digits + 2);
                if (!value_is_same(key, "7", text))
                    fail_msg("%s %s", key, text);
            }
        }
        for (size_t i = 0; i < array_count(odd); i++)
            if (!value_is_same(key, "7", odd[i]))
                fail_msg("%s %s", key, odd[i]);
    }
}

/* Uuids with each character at each place, and texts with each byte at each place. */
static void test_every_byte(void **state)
{
    (void)state;
    static const char uuid[] = "\"a0eebc99-9C0b-4ef8-BB6D-6bb9bd380a11\"";
    static const char text[] = "\"0123456789012345678901234567890123456789\"";
    struct pair pair;
    pair_init(&pair, 4);
    for (size_t set = 0; set < array_count(all_sets); set++) {
        if (scan_text_of(all_sets[set]) == NULL)
            continue;
        for (int is_text = 0; is_text < 2; is_text++) {
            const char *usual = is_text ? text : uuid;
            for (size_t at = 1; at + 1 < strlen(usual); at++) {
                writer_reset(&pair.body);
                writer_printf(&pair.body, "{\"req\":1,\"%s\":%s}\n", is_text ? "t" : "u", usual);
                for (unsigned byte = 1; byte < 256; byte++) {
                    char value[64];
                    memcpy(value, usual, strlen(usual) + 1);
                    value[at] = (char)byte;
                    writer_printf(&pair.body, "{\"req\":1,\"%s\":", is_text ? "t" : "u");
                    writer_cstr(&pair.body, value);
                    writer_cstr(&pair.body, "}\n");
                    if (byte % 16 == 15) /* so that no stream of odd rows is given up */
                        for (int i = 0; i < 64; i++)
                            writer_printf(&pair.body, "{\"req\":1,\"%s\":%s}\n",
                                          is_text ? "t" : "u", usual);
                }
                if (!pair_is_same(&pair, FRAMING_LINES, all_sets[set]))
                    fail_msg("set %d at %zu of %s", (int)all_sets[set], at, usual);
            }
        }
    }
    pair_deinit(&pair);
}

/* Texts of which one in so many rows is new: dictionaries that grow, or are given up at some row.
 */
static bool new_texts_are_same(struct pair *pair, size_t rows, size_t new_in, enum decode_isa isa)
{
    writer_reset(&pair->body);
    for (size_t i = 0; i < rows; i++) {
        size_t number = i % new_in == 0 ? i : 0;
        writer_printf(&pair->body,
                      "{\"req\":1,\"t\":\"%zu\",\"s\":\"%0*zu\",\"S\":\"a page of %zu\"}\n", number,
                      (int)(i % 19), number, number);
    }
    return pair_is_same(pair, FRAMING_LINES, isa);
}

static bool all_new_texts_are_same(enum decode_isa isa)
{
    static const size_t new_in[] = {1, 2, 3, 8, 50};
    bool is_same = true;
    for (size_t i = 0; i < array_count(new_in) && is_same; i++) {
        struct pair pair;
        pair_init(&pair, 4);
        for (size_t rows = 28; rows < 300 && is_same; rows += rows < 36 || rows > 250 ? 1 : 31)
            is_same = new_texts_are_same(&pair, rows, new_in[i], isa);
        is_same = is_same && new_texts_are_same(&pair, 3000, new_in[i], isa);
        pair_deinit(&pair);
    }
    return is_same;
}

static void test_new_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(all_sets); i++)
        if (scan_text_of(all_sets[i]) != NULL && !all_new_texts_are_same(all_sets[i]))
            fail_msg("set %d", (int)all_sets[i]);
    fault_plant("rows.new_text_hopeful");
    bool is_same = all_new_texts_are_same(DECODE_ISA_BEST);
    fault_clear();
    assert_false(is_same);
}

/* The quick form does read the rows: without it a steady stream would look the same. */
static void test_shapes_are_kept(void **state)
{
    (void)state;
    struct harness h;
    harness_init(&h, harness_schema("a bigint, t text, b bigint"));
    harness_check(&h, INGEST_NDJSON, SLICE("{\"a\":1,\"t\":\"x\"}\n{\"a\":2,\"t\":\"y\"}\n"),
                  "1|x|~;2|y|~;");
    assert_non_null(mapping_shape(h.mapping, 0));
    assert_int_equal(mapping_shape(h.mapping, 0)->slot_count, 2);
    assert_null(mapping_shape(h.mapping, 1));
    harness_check(&h, INGEST_NDJSON, SLICE("{\"b\":1,\"t\":\"x\"}\n{\"a\":2,\"t\":null}\n"),
                  "~|x|1;2|~|~;");
    assert_non_null(mapping_shape(h.mapping, 1));
    /* No shape: names with escapes, columns below objects, the same column twice. */
    harness_check(&h, INGEST_NDJSON, SLICE("{\"\\u0061\":1,\"t\":\"x\"}\n{\"a\":1,\"a\":2}\n"),
                  "1|x|~;2|~|~;");
    assert_null(mapping_shape(h.mapping, 2));
    /* No more than there is room for. */
    for (int i = 0; i < 3 * SHAPES_MAX; i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"a\":1,\"unknown%d\":2}", i);
        assert_int_equal(harness_decode(&h, INGEST_NDJSON, slice_from_cstr(text), DECODE_ISA_BEST),
                         OK);
    }
    assert_non_null(mapping_shape(h.mapping, SHAPES_MAX - 1));
    assert_null(mapping_shape(h.mapping, SHAPES_MAX));
    harness_deinit(&h);
}

/* Is a body decoded differently, in one framing after the other? */
static bool is_difference(const char *body)
{
    static const enum framing framings[] = {FRAMING_DOCUMENT, FRAMING_LINES, FRAMING_LINES};
    struct pair pair;
    bool is_found = false;
    pair_init(&pair, 0);
    writer_cstr(&pair.body, body);
    for (size_t i = 0; i < array_count(framings); i++)
        is_found |= !pair_is_same(&pair, framings[i], DECODE_ISA_BEST);
    pair_deinit(&pair);
    return is_found;
}

static void test_planted(void **state)
{
    (void)state;
    static const struct {
        const char *fault, *body;
    } cases[] = {
        {"template.any_time_is_prefix", "{\"req\":1,\"ts\":\"2026-05-01T10:01:07Z\"}\n"
                                        "{\"req\":1,\"ts\":\"2026-05-01T10:01:07+01:00\"}\n"
                                        "{\"req\":1,\"ts\":\"2026-05-01T10:01:08.123456Z\"}\n"},
        {"template.unknown_uncounted", "{\"req\":1,\"zz\":1}\n{\"req\":2,\"zz\":2}\n"},
        {"template.cell_missed", "{\"req\":1}\n{\"req\":2}\n"},
        {"template.marks_left",
         "{\"req\":1,\"t\":\"x\"}\n{\"req\":1,\"t\":\"x\"}\n{\"req\":1,\"l\":2}\n"},
        {"template.newline_in_literal", "{\"req\":1,\n\"t\":\"x\"}\n"},
        {"template.two_of_a_column", "{\"req\":1,\"req\":2}\n{\"req\":1,\"req\":2}\n"},
        {"template.null_anywhere", "{\"req\":1}\n{\"req\":1}\n{\"req\":null}\n"},
        {"template.leading_zero",
         "{\"req\":1,\"l\":2}\n{\"req\":1,\"l\":02}\n{\"req\":1,\"l\":2}\n"},
        {"template.required_assumed", "{\"t\":\"x\"}\n"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        if (is_difference(cases[i].body))
            fail_msg("without %s there is a difference", cases[i].fault);
        fault_plant(cases[i].fault);
        bool is_found = is_difference(cases[i].body);
        fault_clear();
        if (!is_found)
            fail_msg("%s is not found", cases[i].fault);
    }
}

/* What only the form with wide registers does. */
static void test_planted_wide(void **state)
{
    (void)state;
    static const char body[] = "{\"req\":1,\"u\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"}\n"
                               "{\"req\":1,\"u\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12\"}\n"
                               "{\"req\":1,\"u\":\"a0eebc99-9c0b-4ef8xbb6d-6bb9bd380a12\"}\n"
                               "{\"req\":1,\"u\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12\"}\n";
    if (scan_text_of(DECODE_ISA_AVX2) == NULL)
        skip();
    assert_false(is_difference(body));
    fault_plant("template.no_dashes");
    bool is_found = is_difference(body);
    fault_clear();
    assert_true(is_found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),       cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_last_texts),   cmocka_unit_test(test_shapes_are_kept),
        cmocka_unit_test(test_planted),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_new_texts),    cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_planted_wide), cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
