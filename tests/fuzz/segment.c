/* Fuzz target: a sealed segment that somebody has changed, with all of its checksums made to hold
 * again. It is refused, or every way of reading it stays inside: whole, by filters, by what is
 * known of it without a look, written anew with others, checked.
 *
 * The input is a list of changes, 5 bytes each: where (byte 0: which area; bytes 1 to 3: a number
 * that becomes a place in it), and what to xor. */
#include "tests/model/sealed_model.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>

#define ROWS 2500
#define NUMBER 1
#define CHANGES_MAX 16
#define HEAD_SIZE 64 /* of a page, where its figures are */

enum area { AREA_ANY, AREA_FOOTER, AREA_PAGE_HEAD, AREA_COUNT };

static struct world {
    struct model_place place;
    struct sealed_info info;
    struct writer pristine, file;
    char path[SEALED_PATH_SIZE];
    struct sealed_page pages[64]; /* as they are written */
    size_t page_count;
} world;

static void note_pages(void)
{
    struct arena arena;
    struct sealed_footer footer;
    struct error error = {0};
    arena_init(&arena);
    model_must(footer_read(slice_of((const char *)world.pristine.data + world.info.footer_offset,
                                    world.info.footer_size),
                           world.info.bytes, &arena, &footer, &error),
               &error);
    for (uint32_t c = 0; c < footer.column_count; c++) {
        const struct sealed_column *column = &footer.columns[c];
        const struct sealed_page *of[] = {&column->dictionary, &column->blocks[0].page,
                                          &column->index};
        for (size_t i = 0; i < array_count(of); i++) {
            if (of[i]->size != 0)
                world.pages[world.page_count++] = *of[i];
        }
    }
    arena_deinit(&arena);
}

static void prepare(void)
{
    if (world.page_count != 0)
        return;
    struct error error = {0};
    struct io_file *file;
    size_t got;
    model_place_init(&world.place, 7, ROWS, 1 << 20);
    struct io *io = world.place.io;
    world.info = model_write_segment(&world.place.model, io, NUMBER, 0, ROWS);
    sealed_path("", NUMBER, world.path, sizeof(world.path));
    writer_init(&world.pristine);
    writer_init(&world.file);
    void *bytes = writer_reserve(&world.pristine, world.info.bytes);
    model_must(io->ops->open(io, world.path, 0, &file, &error), &error);
    model_must(io->ops->read(file, bytes, world.info.bytes, 0, &got, &error), &error);
    model_must(io->ops->close(file, &error), &error);
    world.pristine.size = got;
    note_pages();
}

/* --- changing it --- */

static size_t place_of(const uint8_t *change)
{
    size_t number = (size_t)change[1] | (size_t)change[2] << 8 | (size_t)change[3] << 16;
    const struct sealed_page *page;
    switch (change[0] % AREA_COUNT) {
    case AREA_FOOTER:
        return world.info.footer_offset + number % world.info.footer_size;
    case AREA_PAGE_HEAD:
        page = &world.pages[number % world.page_count];
        return page->offset +
               number / world.page_count % (page->size < HEAD_SIZE ? page->size : HEAD_SIZE);
    default:
        return SEALED_HEADER_SIZE + number % (world.file.size - SEALED_HEADER_SIZE);
    }
}

static void mend_page(struct sealed_page *page)
{
    if (page->size != 0)
        page->checksum =
            sealed_checksum(NUMBER, page->ordinal,
                            slice_of((const char *)world.file.data + page->offset, page->size));
}

/* The pages' checksums in the footer, the footer's in the header and in what the manifest says. */
static void mend(struct sealed_info *info)
{
    struct arena arena;
    struct sealed_footer footer;
    char *bytes = (char *)world.file.data + info->footer_offset;
    arena_init(&arena);
    if (footer_read(slice_of(bytes, info->footer_size), info->footer_offset, &arena, &footer,
                    NULL) == OK) {
        struct writer out;
        writer_init(&out);
        for (uint32_t c = 0; c < footer.column_count; c++) {
            mend_page(&footer.columns[c].dictionary);
            mend_page(&footer.columns[c].index);
            for (uint32_t b = 0; b < footer.block_count; b++)
                mend_page(&footer.columns[c].blocks[b].page);
        }
        footer_write(&footer, &out);
        assert(out.size == info->footer_size);
        memcpy(bytes, out.data, out.size);
        writer_deinit(&out);
    }
    info->footer_checksum =
        sealed_checksum(NUMBER, FOOTER_ORDINAL, slice_of(bytes, info->footer_size));
    const struct sealed_header header = {.number = NUMBER,
                                         .table_id = info->table_id,
                                         .row_count = info->row_count,
                                         .footer_offset = info->footer_offset,
                                         .footer_size = info->footer_size,
                                         .footer_checksum = info->footer_checksum};
    sealed_header_write(&header, world.file.data);
    arena_deinit(&arena);
}

static struct sealed_info change(const uint8_t *data, size_t size)
{
    struct sealed_info info = world.info;
    struct io *io = world.place.io;
    writer_reset(&world.file);
    writer_bytes(&world.file, world.pristine.data, world.pristine.size);
    for (size_t i = 0; i + 5 <= size && i < CHANGES_MAX * 5; i += 5)
        world.file.data[place_of(data + i)] ^= data[i + 4];
    mend(&info);
    model_must(io->ops->unlink(io, world.path, NULL), &(struct error){.text = "unlink"});
    model_put_file(io, world.path, writer_as_slice(&world.file));
    return info;
}

/* --- reading it --- */

static uint64_t touched;

static void touch(const struct batch *batch)
{
    for (size_t c = 0; c < batch->column_count; c++) {
        for (size_t row = 0; row < batch->row_count; row++) {
            struct value value = column_value(&batch->columns[c], row);
            if (!value.is_null && type_physical(value.type.id) == PHYSICAL_TEXT &&
                value.text.size != 0)
                touched ^= hash64(value.text.data, value.text.size);
        }
    }
}

static void read_extents(struct cursor *cursor, struct random_stream *random)
{
    struct error error;
    bool is_known;
    uint64_t count;
    if (random_below(random, 2) == 0 || cursor_rows(cursor, &is_known, &count, &error) != OK)
        return;
    for (size_t c = 0; c < M_COLUMNS; c++) {
        struct scan_extent extent;
        enum scan_want want = (enum scan_want)random_below(random, 3);
        if (cursor_extent(cursor, c, want, &is_known, &extent, &error) != OK)
            return;
    }
}

static void read_by(const struct table_view *view, const struct scan_filter *filter,
                    struct random_stream *random)
{
    uint32_t columns[M_COLUMNS];
    struct error error;
    struct batch batch;
    bool has = true;
    for (uint32_t c = 0; c < M_COLUMNS; c++)
        columns[c] = c;
    struct cursor *cursor = cursor_open(view, columns, M_COLUMNS, filter);
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        enum err err = cursor_seek(cursor, morsel, &has, &error);
        if (err == OK && has)
            read_extents(cursor, random);
        while (err == OK && has) {
            err = cursor_next(cursor, &batch, &has, &error);
            if (err == OK && has)
                touch(&batch);
        }
    }
    cursor_close(cursor);
}

static void read_filtered(const struct table_view *view, struct random_stream *random)
{
    struct arena arena;
    arena_init(&arena);
    struct scan_condition conditions[2];
    for (size_t i = 0; i < array_count(conditions); i++)
        conditions[i] = model_condition(&world.place.model, random, &arena);
    const struct scan_filter filter = {.condition_count = 1 + random_below(random, 2),
                                       .conditions = conditions,
                                       .is_whole = random_below(random, 2) == 0,
                                       .is_without_bitmaps = random_below(random, 3) == 0};
    read_by(view, &filter, random);
    arena_deinit(&arena);
}

static void write_anew(const struct table_view *view)
{
    struct budget budget = {.limit = SIZE_MAX, .name = "upkeep"};
    struct sealed_info info;
    struct error error;
    char path[SEALED_PATH_SIZE];
    const struct seal_options options = {.io = world.place.io,
                                         .directory = "",
                                         .number = NUMBER + 1,
                                         .view = view,
                                         .first_position = 1,
                                         .last_position = 2,
                                         .budget = &budget};
    if (sealed_write(&options, &info, &error) == OK) {
        sealed_path("", NUMBER + 1, path, sizeof(path));
        model_must(world.place.io->ops->unlink(world.place.io, path, NULL), &error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    struct sealed_info info = change(data, size);
    struct random_stream random;
    struct error error;
    uint64_t rows;
    random_stream_init(&random, hash64(data, size));
    struct segment_entry entry = {.sealed = sealed_create(world.place.source, &info)};
    struct view_pins pins;
    view_pins_init(&pins);
    struct table_view view = {.schema = world.place.model.schema,
                              .closed = segment_list_create(&entry, 1),
                              .pins = &pins};
    read_by(&view, NULL, &random);
    for (int i = 0; i < 4; i++)
        read_filtered(&view, &random);
    write_anew(&view);
    if (sealed_check(world.place.io, "", NUMBER, &info, &rows, &error) == OK)
        assert(rows == ROWS);
    view_pins_release(&pins);
    segment_list_unref(view.closed);
    sealed_unref(entry.sealed);
    return 0;
}

/* --- seeds: as it is, and a change of each area --- */

struct slice fuzz_seed(size_t index)
{
    static uint8_t seed[CHANGES_MAX * 5];
    if (index >= 64)
        return slice_of(NULL, 0);
    struct random_stream chance;
    random_stream_init(&chance, index);
    size_t size = index == 0 ? 1 : 5 * (1 + index % 2);
    for (size_t i = 0; i < size; i++)
        seed[i] = (uint8_t)random_next(&chance);
    for (size_t i = 0; i < size && index > 0; i += 5) {
        seed[i] = (uint8_t)(index % AREA_COUNT);
        seed[i + 4] = index % 4 == 0 ? 0xff : (uint8_t)(1 << index % 8);
    }
    return slice_of((const char *)seed, size);
}
