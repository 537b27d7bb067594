/* Does lifting literals out of a plan change an answer? A statement and mutants of it, which differ
 * in literals only, are each planned for themselves (plan cache off) and then run with the cache
 * on, where one of them runs by the plan of the other wherever that is allowed. Bytes of the answer
 * (names, types, rows, figures of what was read) and errors with their places must be the same. */
#include "tests/sql/shapes.h"

#include "query/sql/shape.h"
#include "storage/base/hash.h"

#include <string.h>

#define MUTANTS 6

struct chance {
    uint64_t state;
};

static uint32_t draw(struct chance *chance, uint32_t below)
{
    chance->state = hash64(&chance->state, sizeof(chance->state));
    return (uint32_t)(chance->state >> 33) % below;
}

/* --- mutants --- */

/* Beside a comparison: elsewhere a large number may be how many rows there are to be. */
static bool is_compared(const struct writer *before)
{
    size_t size = before->size;
    while (size > 0 && before->data[size - 1] == ' ')
        size--;
    return size > 0 && strchr("<>=", (char)before->data[size - 1]) != NULL;
}

static void mutate_number(struct chance *chance, struct slice digits, struct writer *out)
{
    switch (draw(chance, 8)) {
    case 0:
        writer_cstr(out, is_compared(out) ? "3000000000" : "7");
        return;
    case 1:
        writer_printf(out, "%u.5", draw(chance, 12));
        return;
    case 2:
    case 3:
    case 4:
        writer_printf(out, "%u", draw(chance, 12));
        return;
    default:
        writer_slice(out, digits);
    }
}

static void mutate_string(struct chance *chance, struct slice quoted, struct writer *out)
{
    bool is_changed = draw(chance, 4) > 0;
    for (size_t i = 0; i < quoted.size; i++) {
        char c = quoted.data[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'z';
        if (is_changed && is_digit && i != 1 && i != 2 && i != 3 && draw(chance, 4) == 0)
            c = (char)('0' + draw(chance, 10));
        else if (is_changed && is_letter && draw(chance, 8) == 0)
            c = (char)('a' + draw(chance, 26));
        if (i + 1 == quoted.size && draw(chance, 8) == 0)
            writer_cstr(out, "''\xc3\xa9");
        writer_u8(out, (uint8_t)c);
    }
}

/* Other numbers may make a recursion endless. */
static bool is_recursive(struct slice text)
{
    return memmem(text.data, text.size, "RECURSIVE", 9) != NULL;
}

/* Where a word stands, in any case; the text's size: nowhere. */
static size_t find_word(struct slice text, struct slice word)
{
    for (size_t at = 0; at + word.size <= text.size; at++)
        if (slice_equal_ignore_case(slice_of(text.data + at, word.size), word))
            return at;
    return text.size;
}

/* Two runs differ by chance, and mostly do not: no number of further runs tells that surely. */
static bool is_of_chance(struct slice text)
{
    return find_word(text, SLICE("tablesample")) < text.size ||
           find_word(text, SLICE("random")) < text.size;
}

static void mutate(struct chance *chance, const struct text_shape *shape, size_t from,
                   struct writer *out)
{
    size_t at = 0;
    bool keeps_numbers = is_recursive(shape->text);
    for (size_t i = 0; i < shape->count; i++) {
        const struct literal *literal = &shape->literals[i];
        writer_bytes(out, shape->text.data + at, literal->offset - at);
        at = literal->offset + literal->size;
        bool is_kept = literal->offset < from || draw(chance, 3) == 0;
        if (!is_kept && literal->is_string)
            mutate_string(chance, shape_literal(shape, i), out);
        else if (!is_kept && literal->is_comment)
            writer_cstr(out, "/* another */");
        else if (is_kept || keeps_numbers)
            writer_slice(out, shape_literal(shape, i));
        else
            mutate_number(chance, shape_literal(shape, i), out);
    }
    writer_bytes(out, shape->text.data + at, shape->text.size - at);
}

/* --- answers --- */

static void run(struct query_engine *engine, struct slice sql, bool is_cached,
                struct query_answer *answer)
{
    const struct query_setting setting = {SLICE("freshet.plan_cache"),
                                          is_cached ? SLICE("on") : SLICE("off")};
    struct query_request request = {.text = sql,
                                    .query_id = SLICE("one"),
                                    .format = RESULT_NDJSON,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .setting_count = 1,
                                    .settings = &setting,
                                    .is_read_only = true,
                                    .user = SLICE("test")};
    if (query_run(engine, &request, answer) == OK)
        answer->error = (struct error){0};
}

static bool is_same(const struct query_answer *a, const struct query_answer *b)
{
    return a->result == b->result && strcmp(a->error.sqlstate, b->error.sqlstate) == 0 &&
           strcmp(a->error.text, b->error.text) == 0 && strcmp(a->error.hint, b->error.hint) == 0 &&
           a->error.text_position == b->error.text_position &&
           slice_equal(writer_as_slice(&a->body), writer_as_slice(&b->body));
}

static void tell(struct writer *out, const char *what, const struct query_answer *answer)
{
    struct slice body = writer_as_slice(&answer->body);
    writer_printf(out, "%s: %s %s at %lld %.*s\n", what, answer->error.sqlstate, answer->error.text,
                  (long long)answer->error.text_position, SLICE_ARGS(body));
}

static bool check_one(struct query_engine *engine, struct slice sql, struct writer *out)
{
    struct query_answer off, again, on;
    run(engine, sql, false, &off);
    run(engine, sql, true, &on);
    bool is_fine = is_same(&off, &on);
    if (!is_fine) { /* it may have asked for the time */
        run(engine, sql, false, &again);
        is_fine = !is_same(&off, &again);
        writer_deinit(&again.body);
    }
    if (!is_fine) {
        writer_printf(out, "by a plan of its shape: %.*s\n", SLICE_ARGS(sql));
        tell(out, "off", &off);
        tell(out, "on", &on);
    }
    writer_deinit(&off.body);
    writer_deinit(&on.body);
    return is_fine;
}

bool shapes_check(struct query_engine *engine, struct slice sql, struct writer *out)
{
    struct arena arena;
    struct text_shape shape;
    struct chance chance = {hash64(sql.data, sql.size)};
    arena_init(&arena);
    shape_make(sql, &arena, &shape);
    bool is_fine = true, is_asked = shape.count > 0 && !is_of_chance(sql);
    for (int i = 0; is_asked && is_fine && i < MUTANTS; i++) {
        struct writer text;
        writer_init(&text);
        /* Literals behind the first WHERE may be values of a plan. */
        mutate(&chance, &shape, i == 0 ? 0 : find_word(sql, SLICE("where")), &text);
        is_fine = check_one(engine, writer_as_slice(&text), out) && check_one(engine, sql, out);
        writer_deinit(&text);
    }
    arena_deinit(&arena);
    return is_fine;
}
