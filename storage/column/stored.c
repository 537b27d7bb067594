/* Rows at stored width, to bytes and back.
 *
 * Writing happens once per commit on the thread that built the batch; the log thread and replay
 * only point into the bytes. So this side does the work that makes the other one cheap: values are
 * narrowed, unused dictionary entries left out (a dictionary may be borrowed from a scan and mostly
 * unused), constants kept as one value, and every array starts at a multiple of 8.
 *
 * Reading trusts nothing: sizes are summed and compared with the bytes that are there, the greatest
 * code is compared with the entry count, and only then is anything pointed to. Both checks are one
 * vectorized pass over what the append reads anyway. */
#include "storage/column/stored.h"

#include "storage/base/fault.h"
#include "storage/column/pack.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* As it stands in the bytes. A request of few rows has as many as one of many: one copy each. */
struct column_head {
    uint32_t column_id;
    uint8_t type, precision, scale;
    uint8_t encoding;
    uint32_t length;
    uint8_t validity, code_width;
    uint16_t zero;
    uint64_t data_size; /* behind the head */
};
static_assert(sizeof(struct column_head) == 24, "nothing between its fields");
static_assert(offsetof(struct column_head, data_size) == 16, "nothing between its fields");

/* --- writing --- */

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* Room for `size` bytes and zeros up to a multiple of 8; NULL past the writer's limit. */
static void *put(struct writer *out, size_t size)
{
    size_t room = padded(size);
    uint8_t *p = writer_reserve(out, room);
    if (p == NULL)
        return NULL;
    memset(p + size, 0, room - size);
    out->size += room;
    return p;
}

static int64_t numeric_digits(const struct numeric *n, uint8_t scale)
{
    if (n->kind != NUMERIC_FINITE)
        return INT64_MIN;
    __int128 digits = n->digits;
    if (n->scale < scale)
        digits *= numeric_power10(scale - n->scale);
    assert(n->scale <= scale || digits == 0);
    return (int64_t)digits;
}

/* `count` physical values to stored width. */
static void narrow(struct type type, const struct column *column, size_t count, void *out)
{
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = column->b[i] != 0;
        break;
    case TYPE_INT2:
        for (size_t i = 0; i < count; i++)
            ((int16_t *)out)[i] = (int16_t)column->i[i];
        break;
    case TYPE_INT4:
    case TYPE_DATE:
        for (size_t i = 0; i < count; i++)
            ((int32_t *)out)[i] = (int32_t)column->i[i];
        break;
    case TYPE_FLOAT4:
        for (size_t i = 0; i < count; i++)
            ((float *)out)[i] = (float)column->f[i];
        break;
    case TYPE_NUMERIC:
        for (size_t i = 0; i < count; i++)
            ((int64_t *)out)[i] = numeric_digits(&column->n[i], type.scale);
        break;
    case TYPE_UUID:
        for (size_t i = 0; i < count; i++) {
            if (column->text[i].size == 16)
                memcpy((char *)out + 16 * i, column->text[i].data, 16);
            else /* a NULL row */
                memset((char *)out + 16 * i, 0, 16);
        }
        break;
    default:
        assert(type_stored_width(type.id) == 8);
        memcpy(out, column->values, count * 8);
    }
}

void stored_narrow_value(const struct value *value, struct type type, void *out)
{
    struct column column = {.type = type, .form = COLUMN_CONSTANT};
    uint8_t b = 0;
    switch (type_physical(type.id)) {
    case PHYSICAL_BOOL:
        b = value->b;
        column.b = &b;
        break;
    case PHYSICAL_INT:
        column.i = &value->i;
        break;
    case PHYSICAL_FLOAT:
        column.f = &value->f;
        break;
    case PHYSICAL_NUMERIC:
        column.n = &value->n;
        break;
    case PHYSICAL_TEXT:
        column.text = &value->text;
        break;
    case PHYSICAL_INTERVAL:
        column.interval = &value->interval;
        break;
    }
    narrow(type, &column, 1, out);
}

static bool has_null(const struct column *column, size_t row_count)
{
    return column->validity != NULL && memchr(column->validity, 0, row_count) != NULL;
}

static bool is_all_null(const struct column *column, size_t row_count)
{
    if (column->validity == NULL)
        return false;
    size_t count = column->form == COLUMN_CONSTANT ? 1 : row_count;
    for (size_t i = 0; i < count; i++) {
        if (column->validity[i] != 0)
            return false;
    }
    return true;
}

static void write_bitmap(const uint8_t *validity, size_t row_count, struct writer *out)
{
    uint8_t *bits = put(out, (row_count + 7) / 8);
    if (bits == NULL)
        return;
    size_t whole = row_count / 8;
    for (size_t i = 0; i < whole; i++) {
        uint64_t bytes;
        memcpy(&bytes, validity + 8 * i, 8);
        bits[i] = (uint8_t)(bytes * UINT64_C(0x0102040810204080) >> 56);
    }
    if (row_count % 8 != 0) {
        uint8_t last = 0;
        for (size_t i = 8 * whole; i < row_count; i++)
            last |= (uint8_t)((validity[i] != 0) << (i % 8));
        bits[whole] = last;
    }
}

/* The column's head; data_size is patched in by write_column. */
static void write_head(uint32_t column_id, struct type type, enum stored_encoding encoding,
                       enum stored_validity validity, uint32_t code_width, struct writer *out)
{
    struct column_head head = {.column_id = column_id,
                               .type = type.id,
                               .precision = type.precision,
                               .scale = type.scale,
                               .encoding = (uint8_t)encoding,
                               .length = type.length,
                               .validity = (uint8_t)validity,
                               .code_width = (uint8_t)code_width};
    writer_bytes(out, &head, sizeof(head));
}

static void write_text(const struct column *column, bool with_null, size_t row_count,
                       struct writer *out)
{
    const struct slice *text = column->text;
    uint32_t *sizes = put(out, row_count * sizeof(*sizes));
    if (sizes == NULL)
        return;
    size_t total = 0;
    for (size_t i = 0; i < row_count; i++) {
        size_t size = with_null && column->validity[i] == 0 ? 0 : text[i].size;
        assert(size <= UINT32_MAX);
        sizes[i] = (uint32_t)size;
        total += size;
    }
    size_t sizes_offset = (size_t)((uint8_t *)sizes - out->data);
    char *bytes = put(out, total); /* moves `sizes` */
    if (bytes == NULL)
        return;
    sizes = (uint32_t *)(void *)(out->data + sizes_offset);
    pack_texts(text, sizes, row_count, bytes, total);
}

/* map[code] becomes the code among the used ones, UINT32_MAX where no row uses it. Returns how many
 * are used. */
static uint32_t map_used(const struct column *column, bool with_null, size_t row_count,
                         uint32_t *map)
{
    memset(map, 0, column->dictionary_count * sizeof(*map));
    if (with_null) {
        for (size_t i = 0; i < row_count; i++) {
            if (column->validity[i] != 0)
                map[column->codes[i]] = 1;
        }
    } else {
        for (size_t i = 0; i < row_count; i++)
            map[column->codes[i]] = 1;
    }
    uint32_t used = 0;
    for (uint32_t code = 0; code < column->dictionary_count; code++)
        map[code] = map[code] != 0 ? used++ : UINT32_MAX;
    return used;
}

static uint32_t code_width_of(uint32_t entry_count)
{
    if (entry_count == 1)
        return 0;
    return entry_count <= 256 ? 1 : entry_count <= 65536 ? 2 : 4;
}

/* Every entry used and no NULL, as a batch's own dictionary mostly is: codes stay what they are. */
static void narrow_codes(const uint32_t *restrict from, uint32_t width, size_t count,
                         void *restrict out)
{
    if (width == 1) {
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = (uint8_t)from[i];
    } else if (width == 2) {
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)out)[i] = (uint16_t)from[i];
    } else {
        memcpy(out, from, count * sizeof(*from));
    }
}

static void write_codes(const struct column *column, bool with_null, const uint32_t *map,
                        uint32_t used, size_t row_count, struct writer *out)
{
    uint32_t width = code_width_of(used);
    void *codes = put(out, row_count * width);
    if (codes == NULL || width == 0)
        return;
    if (!with_null && (used == column->dictionary_count || fault_is("stored.codes_unmapped"))) {
        narrow_codes(column->codes, width, row_count, codes);
        return;
    }
    for (size_t i = 0; i < row_count; i++) {
        uint32_t code = with_null && column->validity[i] == 0 ? 0 : map[column->codes[i]];
        if (width == 1)
            ((uint8_t *)codes)[i] = (uint8_t)code;
        else if (width == 2)
            ((uint16_t *)codes)[i] = (uint16_t)code;
        else
            ((uint32_t *)codes)[i] = code;
    }
}

/* The used entries: count, sizes, codes, bytes. */
static void write_entries(const struct column *column, const uint32_t *map, uint32_t used,
                          struct writer *out)
{
    writer_u32(out, used);
    writer_u32(out, 0);
    uint32_t *sizes = put(out, used * sizeof(*sizes));
    for (uint32_t code = 0; sizes != NULL && code < column->dictionary_count; code++) {
        if (map[code] == UINT32_MAX)
            continue;
        assert(column->dictionary[code].size <= UINT32_MAX);
        *sizes++ = (uint32_t)column->dictionary[code].size;
    }
}

static void write_entry_bytes(const struct column *column, const uint32_t *map, struct writer *out)
{
    size_t total = 0;
    for (uint32_t code = 0; code < column->dictionary_count; code++)
        total += map[code] != UINT32_MAX ? column->dictionary[code].size : 0;
    char *bytes = put(out, total);
    for (uint32_t code = 0; bytes != NULL && code < column->dictionary_count; code++) {
        if (map[code] == UINT32_MAX || column->dictionary[code].size == 0)
            continue;
        memcpy(bytes, column->dictionary[code].data, column->dictionary[code].size);
        bytes += column->dictionary[code].size;
    }
}

static void write_dictionary(uint32_t column_id, struct type type, const struct column *column,
                             size_t row_count, struct writer *out)
{
    bool with_null = has_null(column, row_count);
    uint32_t *map = memory_alloc(((size_t)column->dictionary_count + 1) * sizeof(*map));
    uint32_t used = map_used(column, with_null, row_count, map);
    assert(used > 0);
    uint32_t width = code_width_of(used);
    write_head(column_id, type, STORED_DICTIONARY, with_null ? STORED_BITMAP : STORED_VALID, width,
               out);
    if (with_null)
        write_bitmap(column->validity, row_count, out);
    write_entries(column, map, used, out);
    write_codes(column, with_null, map, used, row_count, out);
    write_entry_bytes(column, map, out);
    memory_free(map);
}

static void write_column(uint32_t column_id, struct type type, const struct column *column,
                         size_t row_count, struct writer *out)
{
    static const uint32_t code_zero = 0;
    size_t width = type_stored_width(type.id);
    size_t head = out->size;
    if (is_all_null(column, row_count)) {
        write_head(column_id, type, STORED_CONSTANT, STORED_NULL, 0, out);
    } else if (width == 0 && column->form == COLUMN_CONSTANT) {
        /* One entry, code width 0: `codes` is looked at for one row only. */
        struct column constant = {.type = type,
                                  .form = COLUMN_DICTIONARY,
                                  .codes = &code_zero,
                                  .dictionary = column->text,
                                  .dictionary_count = 1};
        uint32_t map = 0;
        write_head(column_id, type, STORED_DICTIONARY, STORED_VALID, 0, out);
        write_entries(&constant, &map, 1, out);
        write_entry_bytes(&constant, &map, out);
    } else if (width == 0 && column->form == COLUMN_DICTIONARY) {
        write_dictionary(column_id, type, column, row_count, out);
    } else {
        struct arena arena;
        arena_init(&arena);
        struct column flat = *column;
        if (column->form == COLUMN_DICTIONARY) /* uuid: fixed width here */
            flat = column_flatten(column, row_count, &arena);
        bool is_constant = column->form == COLUMN_CONSTANT;
        bool with_null = !is_constant && has_null(&flat, row_count);
        enum stored_encoding encoding = width == 0    ? STORED_TEXT
                                        : is_constant ? STORED_CONSTANT
                                                      : STORED_FIXED;
        write_head(column_id, type, encoding, with_null ? STORED_BITMAP : STORED_VALID, 0, out);
        if (with_null)
            write_bitmap(flat.validity, row_count, out);
        size_t count = is_constant ? 1 : row_count;
        void *values = width == 0 ? NULL : put(out, count * width);
        if (width == 0)
            write_text(&flat, with_null, row_count, out);
        else if (values != NULL)
            narrow(type, &flat, count, values);
        arena_deinit(&arena);
    }
    if (out->failed)
        return;
    uint64_t data_size = out->size - head - sizeof(struct column_head);
    memcpy(out->data + head + offsetof(struct column_head, data_size), &data_size,
           sizeof(data_size));
}

void stored_write(const struct schema *schema, const uint32_t *column_ids,
                  const struct batch *batch, struct writer *out)
{
    assert(out->size % 8 == 0);
    assert(batch->row_count > 0 && batch->row_count <= STORED_ROWS_MAX);
    assert(batch->column_count <= SCHEMA_COLUMNS_MAX);
    writer_u32(out, schema->table_id);
    writer_u32(out, schema->version);
    writer_u32(out, (uint32_t)batch->row_count);
    writer_u32(out, (uint32_t)batch->column_count);
    for (size_t i = 0; i < batch->column_count; i++) {
        int32_t index = schema_find_id(schema, column_ids[i]);
        assert(index >= 0);
        struct type type = schema->columns[index].type;
        assert(type_physical(type.id) == type_physical(batch->columns[i].type.id));
        write_column(column_ids[i], type, &batch->columns[i], batch->row_count, out);
    }
}

/* --- reading --- */

/* An array of `count` elements, padded to 8. */
static const void *take(struct reader *reader, size_t count, size_t size)
{
    return reader_bytes(reader, padded(count * size)).data;
}

static bool read_bytes(struct reader *reader, struct stored_column *column, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += column->sizes[i];
    if (total > reader_left(reader))
        return false;
    column->bytes = reader_bytes(reader, padded((size_t)total));
    column->bytes.size = (size_t)total;
    return !reader->failed;
}

static bool are_codes_below(const struct stored_column *column, size_t row_count)
{
    uint32_t max = 0;
    if (column->code_width == 1) {
        const uint8_t *codes = column->codes;
        uint8_t most = 0;
        for (size_t i = 0; i < row_count; i++)
            most = codes[i] > most ? codes[i] : most;
        max = most;
    } else if (column->code_width == 2) {
        const uint16_t *codes = column->codes;
        uint16_t most = 0;
        for (size_t i = 0; i < row_count; i++)
            most = codes[i] > most ? codes[i] : most;
        max = most;
    } else if (column->code_width == 4) {
        const uint32_t *codes = column->codes;
        for (size_t i = 0; i < row_count; i++)
            max = codes[i] > max ? codes[i] : max;
    }
    return max < column->entry_count;
}

static bool read_dictionary(struct reader *reader, struct stored_column *column, size_t row_count)
{
    column->entry_count = reader_u32(reader);
    reader_u32(reader);
    if (column->entry_count == 0 || column->entry_count > reader_left(reader) / sizeof(uint32_t))
        return false;
    column->sizes = take(reader, column->entry_count, sizeof(*column->sizes));
    column->codes = take(reader, row_count, column->code_width);
    if (reader->failed || !read_bytes(reader, column, column->entry_count))
        return false;
    return are_codes_below(column, row_count);
}

static bool read_data(struct reader *reader, struct stored_column *column, size_t row_count)
{
    size_t width = type_stored_width(column->type.id);
    if (column->validity == STORED_NULL)
        return column->encoding == STORED_CONSTANT;
    if (column->validity == STORED_BITMAP)
        column->bitmap = take(reader, (row_count + 7) / 8, 1);
    switch (column->encoding) {
    case STORED_FIXED:
        column->values = take(reader, row_count, width);
        return width != 0 && !reader->failed;
    case STORED_CONSTANT:
        column->values = take(reader, 1, width);
        return width != 0 && column->validity == STORED_VALID && !reader->failed;
    case STORED_TEXT:
        column->sizes = take(reader, row_count, sizeof(*column->sizes));
        return width == 0 && !reader->failed && read_bytes(reader, column, row_count);
    case STORED_DICTIONARY:
        return width == 0 && !reader->failed && read_dictionary(reader, column, row_count);
    }
    return false;
}

static bool read_column(struct reader *reader, struct stored_column *column, size_t row_count)
{
    struct slice bytes = reader_bytes(reader, sizeof(struct column_head));
    if (reader->failed)
        return false;
    struct column_head head;
    memcpy(&head, bytes.data, sizeof(head));
    if (head.data_size % 8 != 0 || head.data_size > reader_left(reader))
        return false;
    column->column_id = head.column_id;
    column->type = (struct type){
        .id = head.type, .precision = head.precision, .scale = head.scale, .length = head.length};
    column->code_width = head.code_width;
    uint8_t encoding = head.encoding, validity = head.validity;
    if (encoding < STORED_FIXED || encoding > STORED_DICTIONARY || validity > STORED_NULL)
        return false;
    if (column->type.id >= TYPE_COUNT || !type_is_storable(column->type.id))
        return false;
    if (column->type.id == TYPE_NUMERIC && column->type.scale > 18)
        return false;
    if (column->code_width == 3 || column->code_width > 4)
        return false;
    column->encoding = encoding;
    column->validity = validity;
    size_t end = reader->offset + (size_t)head.data_size;
    return read_data(reader, column, row_count) && reader->offset == end;
}

enum err stored_read(struct reader *reader, struct arena *arena, struct stored_rows *out)
{
    assert((uintptr_t)(reader->data + reader->offset) % 8 == 0);
    out->table_id = reader_u32(reader);
    out->schema_version = reader_u32(reader);
    out->row_count = reader_u32(reader);
    out->column_count = reader_u32(reader);
    if (reader->failed || out->row_count == 0 || out->row_count > STORED_ROWS_MAX ||
        out->column_count > SCHEMA_COLUMNS_MAX)
        return ERR_CORRUPT;
    out->columns = arena_alloc_zero(arena, out->column_count * sizeof(*out->columns));
    for (uint32_t i = 0; i < out->column_count; i++) {
        if (!read_column(reader, &out->columns[i], out->row_count))
            return ERR_CORRUPT;
    }
    return OK;
}

/* --- to physical columns --- */

void stored_expand_bitmap(const uint8_t *bitmap, size_t begin, size_t count, uint8_t *out)
{
    size_t i = 0;
    while (i < count && (begin + i) % 8 != 0) {
        out[i] = bitmap[(begin + i) / 8] >> ((begin + i) % 8) & 1;
        i++;
    }
    for (; i + 8 <= count; i += 8) {
        /* Each byte keeps its own bit, then any bit becomes 1. */
        uint64_t x =
            bitmap[(begin + i) / 8] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
        x = (x + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
        memcpy(out + i, &x, 8);
    }
    for (; i < count; i++)
        out[i] = bitmap[(begin + i) / 8] >> ((begin + i) % 8) & 1;
}

void stored_widen(struct type type, const void *values, size_t count, void *out)
{
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)out)[i] = ((const uint8_t *)values)[i] != 0;
        break;
    case TYPE_INT2:
        for (size_t i = 0; i < count; i++)
            ((int64_t *)out)[i] = ((const int16_t *)values)[i];
        break;
    case TYPE_INT4:
    case TYPE_DATE:
        for (size_t i = 0; i < count; i++)
            ((int64_t *)out)[i] = ((const int32_t *)values)[i];
        break;
    case TYPE_FLOAT4:
        for (size_t i = 0; i < count; i++)
            ((double *)out)[i] = (double)((const float *)values)[i];
        break;
    case TYPE_NUMERIC:
        for (size_t i = 0; i < count; i++) {
            int64_t digits = ((const int64_t *)values)[i];
            bool is_nan = digits == INT64_MIN;
            ((struct numeric *)out)[i] =
                (struct numeric){.digits = is_nan ? 0 : digits,
                                 .scale = type.scale,
                                 .kind = is_nan ? NUMERIC_NAN : NUMERIC_FINITE};
        }
        break;
    case TYPE_UUID:
        for (size_t i = 0; i < count; i++)
            ((struct slice *)out)[i] = slice_of((const char *)values + 16 * i, 16);
        break;
    default:
        memcpy(out, values, count * 8);
    }
}

static const struct slice *slices_of(const struct stored_column *column, size_t count,
                                     struct arena *arena)
{
    struct slice *out = arena_alloc_array(arena, count, sizeof(*out));
    const char *bytes = column->bytes.data;
    for (size_t i = 0; i < count; i++) {
        out[i] = slice_of(bytes, column->sizes[i]);
        bytes += column->sizes[i];
    }
    return out;
}

struct column stored_to_column(const struct stored_column *stored, size_t row_count,
                               struct arena *arena)
{
    struct column column = {.type = stored->type, .form = COLUMN_FLAT};
    if (stored->validity == STORED_NULL)
        return column_from_value(&(struct value){.type = stored->type, .is_null = true}, arena);
    if (stored->validity == STORED_BITMAP) {
        uint8_t *validity = arena_alloc(arena, row_count);
        stored_expand_bitmap(stored->bitmap, 0, row_count, validity);
        column.validity = validity;
    }
    if (stored->encoding == STORED_TEXT) {
        column.text = slices_of(stored, row_count, arena);
    } else if (stored->encoding == STORED_DICTIONARY) {
        uint32_t *codes = arena_alloc_array(arena, row_count, sizeof(*codes));
        for (size_t i = 0; i < row_count; i++)
            codes[i] = stored_code(stored, i);
        column.form = COLUMN_DICTIONARY;
        column.codes = codes;
        column.dictionary = slices_of(stored, stored->entry_count, arena);
        column.dictionary_count = stored->entry_count;
    } else if (stored->encoding == STORED_FIXED && stored->type.id == TYPE_TIMESTAMPTZ) {
        column.values = stored->values; /* as wide there as here */
    } else {
        size_t count = stored->encoding == STORED_CONSTANT ? 1 : row_count;
        void *values =
            arena_alloc_array(arena, count, physical_size(type_physical(stored->type.id)));
        stored_widen(stored->type, stored->values, count, values);
        column.values = values;
        column.form = stored->encoding == STORED_CONSTANT ? COLUMN_CONSTANT : COLUMN_FLAT;
    }
    return column;
}

struct batch stored_to_batch(const struct stored_rows *rows, struct arena *arena)
{
    struct batch batch = {.row_count = rows->row_count, .column_count = rows->column_count};
    batch.columns = arena_alloc_array(arena, rows->column_count, sizeof(*batch.columns));
    for (uint32_t i = 0; i < rows->column_count; i++)
        batch.columns[i] = stored_to_column(&rows->columns[i], rows->row_count, arena);
    return batch;
}
