/* Aligned tables.
 *
 *    country | count
 *   ---------+-------
 *    DE      |    12
 *
 * Numbers stand to the right, everything else to the left; NULL is empty; line breaks and control
 * characters in values are shown escaped, so that a value cannot move the cursor of the terminal.
 * Widths are counted in characters. */
#include "server/cli/table.h"

#include <assert.h>

#define COLUMNS_MAX 1024

struct cell {
    struct slice text;
    bool is_number;
};

static struct cell cell_of(const struct json_value *value, struct arena *arena)
{
    if (value->kind == JSON_NULL) {
        return (struct cell){{"", 0}, false};
    }
    if (value->kind == JSON_TRUE || value->kind == JSON_FALSE) {
        return (struct cell){value->kind == JSON_TRUE ? SLICE("t") : SLICE("f"), false};
    }
    struct slice text = value->text;
    size_t bad = 0;
    for (size_t i = 0; i < text.size; i++) {
        bad += (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F;
    }
    if (bad > 0) {
        struct writer clean;
        writer_init(&clean);
        for (size_t i = 0; i < text.size; i++) {
            unsigned char c = (unsigned char)text.data[i];
            if (c == '\n') {
                writer_cstr(&clean, "\\n");
            } else if (c < 0x20 || c == 0x7F) {
                writer_printf(&clean, "\\x%02x", c);
            } else {
                writer_u8(&clean, c);
            }
        }
        text = arena_copy(arena, writer_as_slice(&clean));
        writer_deinit(&clean);
    }
    return (struct cell){text, value->kind == JSON_NUMBER};
}

static void pad(struct writer *out, char c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        writer_u8(out, (uint8_t)c);
    }
}

static void print_cell(struct writer *out, struct cell cell, size_t width, bool is_last)
{
    size_t gap = width - utf8_count(cell.text);
    writer_u8(out, ' ');
    pad(out, ' ', cell.is_number ? gap : 0);
    writer_slice(out, cell.text);
    pad(out, ' ', cell.is_number || is_last ? 0 : gap);
    writer_cstr(out, is_last ? "\n" : " |");
}

static void print_grid(const struct cell *cells, const size_t *widths, size_t columns, size_t rows,
                       struct writer *out)
{
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < columns; i++) {
            print_cell(out, cells[row * columns + i], widths[i], i + 1 == columns);
        }
        for (size_t i = 0; row == 0 && i < columns; i++) {
            pad(out, '-', widths[i] + 2);
            writer_cstr(out, i + 1 == columns ? "\n" : "+");
        }
    }
}

bool table_print_answer(const struct json_value *answer, struct writer *out)
{
    const struct json_value *columns = json_get(answer, "columns"),
                            *rows = json_get(answer, "rows");
    const struct json_value *command = json_get(answer, "command");
    if (columns == NULL || rows == NULL || columns->count == 0) {
        if (command != NULL) {
            writer_slice(out, command->text);
            writer_u8(out, '\n');
        }
        return command != NULL;
    }
    size_t count = columns->count;
    if (columns->kind != JSON_ARRAY_BEGIN || rows->kind != JSON_ARRAY_BEGIN ||
        count > COLUMNS_MAX) {
        return false;
    }
    struct arena arena;
    arena_init(&arena);
    struct cell *cells = arena_alloc_array(&arena, count * (rows->count + 1), sizeof(*cells));
    size_t *widths = arena_alloc_zero(&arena, count * sizeof(*widths)), at = 0;
    for (const struct json_value *column = columns->child; column != NULL; column = column->next) {
        const struct json_value *name = json_get(column, "name");
        cells[at++] = name == NULL ? (struct cell){{"", 0}, false} : cell_of(name, &arena);
    }
    bool is_even = true;
    for (const struct json_value *row = rows->child; row != NULL && is_even; row = row->next) {
        is_even = row->kind == JSON_ARRAY_BEGIN && row->count == count;
        for (const struct json_value *value = row->child; value != NULL && is_even;
             value = value->next) {
            cells[at++] = cell_of(value, &arena);
        }
    }
    for (size_t i = 0; is_even && i < at; i++) {
        size_t width = utf8_count(cells[i].text);
        widths[i % count] = width > widths[i % count] ? width : widths[i % count];
    }
    if (is_even) {
        assert(at == count * (rows->count + 1));
        print_grid(cells, widths, count, rows->count + 1, out);
        writer_printf(out, "(%zu row%s)\n", rows->count, rows->count == 1 ? "" : "s");
    }
    arena_deinit(&arena);
    return is_even;
}
