/* The origin of a dead letter: topic, partition, offset, time, key and headers of the message whose
 * value could not become a row. Keys and headers are bytes of anybody's making; what is text is
 * kept as text, the rest in hexadecimal, so that nothing is lost and the whole is JSON. */
#include "ingest/kafka/origin.h"

#include "storage/base/datetime.h"
#include "storage/base/json.h"

static void write_bytes(struct writer *out, struct slice bytes, bool is_there)
{
    static const char digits[] = "0123456789abcdef";
    if (!is_there) {
        writer_cstr(out, "null");
        return;
    }
    bool is_text = utf8_validate(bytes) == bytes.size &&
                   (bytes.size == 0 || memchr(bytes.data, 0, bytes.size) == NULL);
    if (is_text) {
        json_write_string(out, bytes);
        return;
    }
    writer_cstr(out, "{\"hex\":\"");
    for (size_t i = 0; i < bytes.size; i++) {
        writer_u8(out, (uint8_t)digits[(uint8_t)bytes.data[i] >> 4]);
        writer_u8(out, (uint8_t)digits[(uint8_t)bytes.data[i] & 15]);
    }
    writer_cstr(out, "\"}");
}

struct header_list {
    struct writer *out;
    size_t count;
};

static void write_header(void *context, struct slice name, struct slice value, bool has_value)
{
    struct header_list *list = context;
    writer_cstr(list->out, list->count++ == 0 ? "{\"name\":" : ",{\"name\":");
    write_bytes(list->out, name, true);
    writer_cstr(list->out, ",\"value\":");
    write_bytes(list->out, value, has_value);
    writer_u8(list->out, '}');
}

void origin_write(struct writer *out, struct slice topic, const struct kafka_message *message,
                  void (*headers)(const void *origin, kafka_header_each each, void *context),
                  bool has_details)
{
    writer_cstr(out, "{\"topic\":");
    json_write_string(out, topic);
    writer_printf(out, ",\"partition\":%d,\"offset\":%lld", (int)message->partition,
                  (long long)message->offset);
    if (has_details) {
        writer_cstr(out, ",\"timestamp\":");
        if (message->timestamp_us == INT64_MIN) {
            writer_cstr(out, "null");
        } else {
            writer_u8(out, '"');
            timestamptz_print(message->timestamp_us, timezone_utc, TIME_STYLE_JSON, out);
            writer_u8(out, '"');
        }
        writer_cstr(out, ",\"key\":");
        write_bytes(out, message->key, message->has_key);
        writer_cstr(out, ",\"headers\":[");
        struct header_list list = {.out = out};
        if (headers != NULL)
            headers(message->origin, write_header, &list);
        writer_u8(out, ']');
    }
    writer_u8(out, '}');
}
