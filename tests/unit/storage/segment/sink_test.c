/* A segment's file under construction: pages of any size, written in parts at any moment and begun
 * anew, stand in the file as in a plain model of it. */
#include "storage/segment/sink.h"

#include "storage/base/random.h"
#include "storage/io/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NUMBER 7

struct place {
    struct sim *sim;
    struct io *io;
    struct sink sink;
    void *memory;
    struct writer want; /* the whole file */
    struct random_stream chance;
};

static void must(enum err err, const struct error *error)
{
    if (err != OK)
        fail_msg("%s", error->text);
}

static void place_make(struct place *place, uint64_t seed)
{
    struct error error = {0};
    *place = (struct place){.sim = sim_create(&(struct sim_options){.seed = seed})};
    random_stream_init(&place->chance, seed);
    sim_open(place->sim, &place->io);
    must(place->io->ops->mkdir(place->io, SEALED_DIRECTORY, &error), &error);
    place->memory = io_buffer_alloc(place->io, SINK_MEMORY);
    must(sink_open(&place->sink, place->io, "", NUMBER, place->memory, &error), &error);
    writer_init(&place->want);
    (void)memset(writer_reserve(&place->want, SEALED_HEADER_SIZE), 0, SEALED_HEADER_SIZE);
    place->want.size = SEALED_HEADER_SIZE;
}

static void place_remove(struct place *place)
{
    writer_deinit(&place->want);
    io_buffer_free(place->io, place->memory);
    place->io->ops->destroy(place->io);
    sim_destroy(place->sim);
}

static void pad(struct writer *out, size_t alignment)
{
    while (out->size % alignment != 0)
        writer_u8(out, 0);
}

/* Appends to both; now and then what is there is taken to the file. */
static void add_bytes(struct place *place, size_t size)
{
    while (size > 0) {
        size_t part = 1 + random_below(&place->chance, size);
        for (size_t i = 0; i < part; i++) {
            uint8_t byte = (uint8_t)random_next(&place->chance);
            writer_u8(&place->sink.bytes, byte);
            writer_u8(&place->want, byte);
        }
        size -= part;
        while (random_below(&place->chance, 3) != 0 && sink_step(&place->sink)) {
            while (sink_step(&place->sink))
                continue;
        }
        assert_int_equal(sink_offset(&place->sink), place->want.size);
    }
}

static size_t size_of_page(struct place *place)
{
    static const size_t most[] = {100, 4096, 9000, 300000, 1 << 20, 3 << 20};
    return random_below(&place->chance, most[random_below(&place->chance, array_count(most))]);
}

static void add_page(struct place *place)
{
    sink_begin_page(&place->sink);
    pad(&place->want, SEALED_PAGE_ALIGNMENT);
    assert_int_equal(sink_offset(&place->sink), place->want.size);
    size_t begin = place->want.size;
    for (uint64_t again = random_below(&place->chance, 3); again > 0; again--) {
        add_bytes(place, size_of_page(place));
        sink_restart_page(&place->sink);
        place->want.size = begin;
        assert_int_equal(sink_offset(&place->sink), begin);
    }
    add_bytes(place, size_of_page(place));
}

static void check_file(struct place *place, uint64_t size)
{
    struct arena arena;
    struct slice got;
    struct error error = {0};
    arena_init(&arena);
    pad(&place->want, IO_ALIGNMENT);
    assert_int_equal(size, place->want.size);
    must(io_read_file(place->io, place->sink.path, &arena, &got, &error), &error);
    assert_int_equal(got.size, place->want.size);
    assert_memory_equal(got.data + SEALED_HEADER_SIZE, place->want.data + SEALED_HEADER_SIZE,
                        got.size - SEALED_HEADER_SIZE);
    struct sealed_header header;
    must(sealed_header_read(slice_of(got.data, SEALED_HEADER_SIZE), size, &header, &error), &error);
    assert_int_equal(header.number, NUMBER);
    arena_deinit(&arena);
}

static void test_pages_as_in_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct place place;
        struct error error = {0};
        uint64_t size;
        place_make(&place, seed);
        for (uint64_t pages = random_below(&place.chance, 9); pages > 0; pages--)
            add_page(&place);
        struct sealed_header header = {
            .number = NUMBER, .table_id = 1, .row_count = 1, .footer_offset = SEALED_HEADER_SIZE};
        must(sink_finish(&place.sink, "", &header, &size, &error), &error);
        check_file(&place, size);
        place_remove(&place);
    }
}

static void test_abandoned_is_gone(void **state)
{
    (void)state;
    struct place place;
    struct error error = {0};
    struct arena arena;
    struct slice got;
    arena_init(&arena);
    place_make(&place, 99);
    sink_begin_page(&place.sink);
    add_bytes(&place, 3 << 20);
    sink_abandon(&place.sink);
    assert_int_equal(io_read_file(place.io, place.sink.path, &arena, &got, &error), ERR_NOT_FOUND);
    arena_deinit(&arena);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_as_in_the_model),
        cmocka_unit_test(test_abandoned_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
