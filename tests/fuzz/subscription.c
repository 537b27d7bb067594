/* Fuzz target: everything of subscriptions that reads bytes. The first byte chooses: a connection,
 * positions and partitions, a message's value, sections, a checkpoint's part; those of views. */
#include "ingest/decode/decode.h"
#include "ingest/kafka/connection.h"
#include "ingest/kafka/settings.h"
#include "ingest/state/subscriptions.h"
#include "ingest/state/views.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static void read_connection(struct slice text, struct arena *arena)
{
    struct error error;
    static struct connection connection;
    enum err err = connection_parse(text, arena, &connection, &error);
    assert(err == OK || err == ERR_INPUT);
    if (err != OK)
        return;
    assert(connection.brokers.size > 0);
    for (size_t i = 0; i < connection.property_count; i++) {
        const struct connection_property *property = &connection.properties[i];
        assert(property->value.size > 0);
        assert(memchr(property->value.data, 0, property->value.size) == NULL);
        assert(property->is_file || memmem(property->name.data, property->name.size, "password",
                                           8) == NULL); /* secrets come from files */
    }
}

static void read_lists(struct slice text, struct arena *arena)
{
    struct error error;
    struct subscription_start start;
    int32_t *partitions;
    size_t count;
    if (settings_parse_start(text, arena, &start, &error) == OK)
        for (size_t i = 0; i < start.count; i++) {
            assert(start.positions[i].next >= 0);
            assert(i == 0 || start.positions[i].partition > start.positions[i - 1].partition);
        }
    if (settings_parse_partitions(text, arena, &partitions, &count, &error) == OK)
        for (size_t i = 1; i < count; i++)
            assert(partitions[i] > partitions[i - 1]);
}

static struct mapping *make_mapping(void)
{
    static const enum type_id ids[] = {TYPE_TIMESTAMPTZ, TYPE_INT8, TYPE_TEXT, TYPE_JSONB};
    static const char *const names[] = {"ts", "i", "t", "j"};
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->name = SLICE("t");
    schema->columns = arena_alloc_zero(&schema->arena, array_count(ids) * sizeof(*schema->columns));
    for (uint32_t i = 0; i < array_count(ids); i++)
        schema->columns[i] = (struct column_definition){
            .id = i + 1, .name = slice_from_cstr(names[i]), .type = type_of(ids[i])};
    schema->column_count = array_count(ids);
    struct mapping *mapping;
    enum err err = mapping_create(schema, &mapping, NULL);
    assert(err == OK);
    schema_unref(schema);
    return mapping;
}

/* Messages of one batch, cut at NUL bytes. */
static void read_messages(struct slice text, struct arena *arena)
{
    static struct mapping *mapping;
    if (mapping == NULL)
        mapping = make_mapping();
    struct rows rows;
    struct error error;
    struct rows_options options = {
        .mapping = mapping, .arena = arena, .rows_max = 1000000, .row_size_max = 4 << 20};
    struct decode_options decode = {.depth_max = 64, .keys_max = 4096};
    rows_init(&rows, &options);
    struct decoder *decoder = decode_messages_begin(&rows, &decode);
    for (;;) {
        const char *end = text.size == 0 ? NULL : memchr(text.data, 0, text.size);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        /* A copy of its own, so that reading past a message's end is seen. */
        char *copy = arena_alloc(arena, size == 0 ? 1 : size);
        if (size > 0)
            memcpy(copy, text.data, size);
        enum err err = decode_message(decoder, slice_of(copy, size), &error);
        assert(err == OK);
        if (end == NULL)
            break;
        text = slice_of(end + 1, text.size - size - 1);
    }
    assert(rows.received == rows.count + rows.rejection_count);
    rows_deinit(&rows);
}

static void read_state(struct slice bytes)
{
    struct error error;
    uint64_t moved;
    struct subscriptions subscriptions = {0};
    enum err err = subscriptions_apply_change(&subscriptions, bytes, &error);
    assert(err == OK || err == ERR_CORRUPT);
    err = subscriptions_apply_offsets(&subscriptions, bytes, 0, &moved, &error);
    assert(err == OK || err == ERR_CORRUPT);
    subscriptions_deinit(&subscriptions);
    struct reader reader = reader_of(bytes);
    if (subscriptions_read(&subscriptions, &reader)) {
        struct writer first, second;
        struct subscriptions again = {0};
        writer_init(&first);
        writer_init(&second);
        subscriptions_write(&subscriptions, &first);
        reader = reader_of(writer_as_slice(&first));
        bool is_read = subscriptions_read(&again, &reader);
        assert(is_read);
        subscriptions_write(&again, &second);
        assert(slice_equal(writer_as_slice(&first), writer_as_slice(&second)));
        subscriptions_deinit(&again);
        writer_deinit(&first);
        writer_deinit(&second);
    }
    subscriptions_deinit(&subscriptions);
}

static void read_views(struct slice bytes)
{
    struct error error;
    struct views views = {0};
    enum err err = views_apply_change(&views, bytes, &error);
    assert(err == OK || err == ERR_CORRUPT);
    views_deinit(&views);
    struct reader reader = reader_of(bytes);
    (void)views_read(&views, (uint8_t)(1 + bytes.size % VIEWS_FORMAT), &reader);
    views_deinit(&views);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *copy = malloc(size);
    memcpy(copy, data, size);
    struct slice rest = slice_of(copy + 1, size - 1);
    struct arena arena;
    arena_init(&arena);
    switch ((uint8_t)copy[0] % 5) {
    case 0:
        read_connection(rest, &arena);
        break;
    case 1:
        read_lists(rest, &arena);
        break;
    case 2:
        read_messages(rest, &arena);
        break;
    case 3:
        read_state(rest);
        break;
    default:
        read_views(rest);
    }
    arena_deinit(&arena);
    free(copy);
    return 0;
}

/* Sections and a checkpoint's part as they are written. */
static struct slice state_seed(size_t index)
{
    static struct writer out;
    static const struct subscription_position positions[] = {{0, 5, 9}, {7, NO_OFFSET, 1}};
    writer_deinit(&out);
    writer_init(&out);
    writer_u8(&out, 3);
    struct subscription_change change = {.kind = SUBSCRIPTION_PUT,
                                         .id = 1,
                                         .is_reset = true,
                                         .definition = {.table_id = 1,
                                                        .is_enabled = true,
                                                        .name = SLICE("s"),
                                                        .table = SLICE("t"),
                                                        .connection = SLICE("kafka://h")},
                                         .positions = positions,
                                         .position_count = 2};
    struct subscription_offsets offsets = {.id = 1, .positions = positions, .count = 2};
    struct subscriptions subscriptions = {0};
    struct error error;
    struct writer section;
    switch (index) {
    case 0:
        subscription_write_change(&out, &change);
        break;
    case 1:
        subscription_write_offsets(&out, &offsets);
        break;
    default:
        writer_init(&section);
        subscription_write_change(&section, &change);
        enum err err =
            subscriptions_apply_change(&subscriptions, writer_as_slice(&section), &error);
        assert(err == OK);
        subscriptions_write(&subscriptions, &out);
        subscriptions_deinit(&subscriptions);
        writer_deinit(&section);
    }
    return writer_as_slice(&out);
}

static struct slice view_seed(void)
{
    static struct writer out;
    struct view_column columns[] = {{SLICE("a"), SLICE("b"), {.id = TYPE_INT4}}};
    uint32_t ids[] = {1, 2};
    struct view_definition view = {.id = 3,
                                   .name = SLICE("v"),
                                   .text = SLICE("SELECT b FROM t"),
                                   .column_count = 1,
                                   .columns = columns,
                                   .table_count = 2,
                                   .table_ids = ids};
    writer_deinit(&out);
    writer_init(&out);
    writer_u8(&out, 4);
    view_write_put(&out, &view);
    return writer_as_slice(&out);
}

struct slice fuzz_seed(size_t index)
{
    static const struct slice seeds[] = {
        SLICE("\x00kafka://h1:9092,[::1]:1?security.protocol=ssl&sasl.password.file=/run/s%20x"),
        SLICE("\x00kafka://h/?client.id=%41&sasl.password=secret"),
        SLICE("\x01"
              "0:1500,3:1490"),
        SLICE("\x01"
              "0-5,7, 9-12"),
        SLICE("\x02{\"ts\":1,\"i\":2,\"t\":\"x\",\"zz\":{}}\0[{\"i\":1},{\"i\":[]},5]\0\0nonsense"),
        SLICE("\x02[{\"i\":1}\0{\"i\":1} {}\0 [] \0[[[[]]]]\0\"\\ud800\""),
    };
    if (index < array_count(seeds))
        return seeds[index];
    index -= array_count(seeds);
    if (index == 3)
        return view_seed();
    return index < 3 ? state_seed(index) : (struct slice){0};
}
