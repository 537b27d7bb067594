/* Fuzz target: bytes as a value in the binary form of an oid. What is received is a value that
 * prints, that is sent again, and whose bytes are received as the same value; all else is an error
 * with an SQLSTATE. */
#include "tests/fuzz/fuzz.h"

#include "storage/column/binary_form.h"

#include <assert.h>

static void receive(uint32_t oid, struct slice bytes)
{
    struct arena arena;
    struct value value, again;
    struct error error = {0};
    struct writer sent, text;
    arena_init(&arena);
    writer_init(&sent);
    writer_init(&text);
    enum err err = oid_receive(oid, bytes, &arena, &value, &error);
    if (err == OK) {
        value_print(&value, NULL, &text);
        value_send(&value, &sent);
        err = type_receive(value.type, writer_as_slice(&sent), &arena, &again, &error);
        assert(err == OK);
        assert(value_compare(&value, &again) == 0);
    } else {
        assert(error.sqlstate[0] != 0 && error.text[0] != 0);
    }
    writer_deinit(&text);
    writer_deinit(&sent);
    arena_deinit(&arena);
}

/* Two bytes of oid, then the value. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice bytes = slice_of(data + 2, size - 2);
    receive((uint32_t)data[0] << 8 | data[1], bytes);
    for (enum type_id id = TYPE_UNKNOWN; id < TYPE_COUNT; id++)
        receive(type_oid(id), bytes);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const struct slice seeds[] = {
        SLICE("\x06\xa4\0\3\0\1\0\0\0\4\0\1\x09\x29\x1a\x85"),
        SLICE("\x06\xa4\0\2\xff\xff\x40\0\0\5\0\1\x07\xd0"),
        SLICE("\x03\xf1\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1\0\0\0\1a\xff\xff\xff\xff"),
        SLICE("\x03\xef\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\5"),
        SLICE("\x04\xcf\0\0\0\1\0\0\0\0\0\0\6\xa4\0\0\0\1\0\0\0\1\0\0\0\x0a\0\1\0\0\0\0\0\0\0\1"),
        SLICE("\x04\xa0\0\2\xb0\xec\x85\x20\x4f\x35"),
        SLICE("\x04\x3a\0\0\x22\x3f"),
        SLICE("\x0e\xda\1{\"a\": [1, 2, {\"b\": null}]}"),
        SLICE("\x04\xa2\0\0\0\0\0\x2d\xc6\xc0\0\0\0\2\0\0\0\1"),
    };
    return index < array_count(seeds) ? seeds[index] : (struct slice){0};
}
