/* POST /v1/ingest/{table}: headers and parameters to an ingest_request, its answer to a reply.
 *
 * Runs in a decode job, or on the reactor at the end of its round. The body is read where h2o left
 * it. ingest_post() may call back from the log thread, after this job is long over: only the
 * exchange is used there. */
#include "server/api/api.h"

#include "query/audit.h"
#include "server/app.h"
#include "server/http/target.h"
#include "storage/base/clock.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"
#include "storage/base/number.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#define KEY_SIZE_MAX 128
#define PRODUCER_SIZE_MAX 128

struct format_name {
    struct slice name;
    enum ingest_format format;
};

/* By media type (without parameters) and by ?format=. Types that say nothing are sniffed: curl's
 * default is one of them. */
static const struct format_name media_types[] = {
    {{"application/x-ndjson", 20}, INGEST_NDJSON},
    {{"application/ndjson", 18}, INGEST_NDJSON},
    {{"application/jsonl", 17}, INGEST_NDJSON},
    {{"application/json", 16}, INGEST_JSON},
    {{"text/csv", 8}, INGEST_CSV},
    {{"text/plain", 10}, INGEST_SNIFF},
    {{"application/x-www-form-urlencoded", 33}, INGEST_SNIFF},
    {{"application/octet-stream", 24}, INGEST_SNIFF},
    {{"", 0}, INGEST_SNIFF},
};
static const struct format_name format_names[] = {
    {{"ndjson", 6}, INGEST_NDJSON},
    {{"json", 4}, INGEST_JSON},
    {{"csv", 3}, INGEST_CSV},
};

static bool find_format(const struct format_name *names, size_t count, struct slice text,
                        enum ingest_format *out)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_ignore_case(names[i].name, text)) {
            *out = names[i].format;
            return true;
        }
    }
    return false;
}

/* What went wrong with a header or parameter. */
struct complaint {
    int status;
    struct error error;
};

static bool complain(struct complaint *complaint, int status, const char *sqlstate,
                     const char *text)
{
    complaint->status = status;
    (void)error_set(&complaint->error, status == 415 ? ERR_UNSUPPORTED : ERR_INPUT, sqlstate, "%s",
                    text);
    return false;
}

static bool read_content_headers(struct exchange *exchange, struct ingest_request *request,
                                 struct complaint *complaint)
{
    struct slice type = exchange_request_header(exchange, "content-type");
    const char *semicolon = type.size > 0 ? memchr(type.data, ';', type.size) : NULL;
    if (semicolon != NULL) {
        type.size = (size_t)(semicolon - type.data);
    }
    if (!find_format(media_types, array_count(media_types), slice_trim(type), &request->format)) {
        return complain(complaint, 415, "0A000",
                        "Content-Type must be application/x-ndjson, application/json or text/csv, "
                        "or say nothing");
    }
    struct slice coding = exchange_request_header(exchange, "content-encoding");
    if (coding.size == 0 || slice_equal_ignore_case(coding, SLICE("identity"))) {
        request->encoding = INGEST_PLAIN;
    } else if (slice_equal_ignore_case(coding, SLICE("gzip")) ||
               slice_equal_ignore_case(coding, SLICE("x-gzip"))) {
        request->encoding = INGEST_GZIP;
    } else if (slice_equal_ignore_case(coding, SLICE("zstd"))) {
        request->encoding = INGEST_ZSTD;
    } else {
        return complain(complaint, 415, "0A000", "Content-Encoding must be gzip, zstd or identity");
    }
    return true;
}

static bool read_parameters(struct exchange *exchange, struct ingest_request *request,
                            struct complaint *complaint)
{
    struct slice rest = exchange->query;
    struct target_parameter parameter;
    enum err result;
    while ((result = target_next_parameter(&rest, &exchange->arena, &parameter,
                                           &complaint->error)) == OK) {
        if (slice_equal(parameter.name, SLICE("format"))) {
            if (!find_format(format_names, array_count(format_names), parameter.value,
                             &request->format)) {
                return complain(complaint, 415, "0A000",
                                "the parameter format is ndjson, json or csv");
            }
        } else if (slice_equal(parameter.name, SLICE("create"))) {
            request->is_create = slice_equal(parameter.value, SLICE("true"));
            if (!request->is_create && !slice_equal(parameter.value, SLICE("false"))) {
                return complain(complaint, 400, "22023", "the parameter create is true or false");
            }
        } else {
            return complain(complaint, 400, "42704",
                            "the parameters of ingest are format and create");
        }
    }
    if (result != ERR_NOT_FOUND) {
        complaint->status = 400;
        return false;
    }
    return true;
}

/* A structured field string ("a\"b") or a bare token: printable ASCII, at most 128 bytes. */
static bool read_key(struct exchange *exchange, struct slice text, struct slice *out)
{
    bool is_quoted = text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    struct slice inner = is_quoted ? slice_of(text.data + 1, text.size - 2) : text;
    char *key = arena_alloc(&exchange->arena, inner.size);
    size_t size = 0;
    for (size_t i = 0; i < inner.size; i++) {
        unsigned char c = (unsigned char)inner.data[i];
        if (is_quoted && c == '\\') {
            c = ++i < inner.size ? (unsigned char)inner.data[i] : 0;
            if (c != '"' && c != '\\') {
                return false;
            }
        } else if (c == '"' || (!is_quoted && c == ' ')) {
            return false;
        }
        if (c < 0x20 || c > 0x7E) {
            return false;
        }
        key[size++] = (char)c;
    }
    *out = slice_of(key, size);
    return size > 0 && size <= KEY_SIZE_MAX;
}

static bool read_delivery_headers(struct exchange *exchange, struct ingest_request *request,
                                  struct complaint *complaint)
{
    static const char *const once[] = {"freshet-producer", "freshet-sequence", "idempotency-key",
                                       "content-encoding", "content-type"};
    for (size_t i = 0; i < array_count(once); i++) {
        if (exchange_request_header_count(exchange, once[i]) > 1) {
            return complain(complaint, 400, "08P01", "a header that may stand once stands twice");
        }
    }
    struct slice producer = exchange_request_header(exchange, "freshet-producer");
    struct slice sequence = exchange_request_header(exchange, "freshet-sequence");
    struct slice key = exchange_request_header(exchange, "idempotency-key");
    if (producer.size > PRODUCER_SIZE_MAX || utf8_validate(producer) != producer.size) {
        return complain(complaint, 400, "22023",
                        "Freshet-Producer must be UTF-8 of at most 128 bytes");
    }
    if ((sequence.data != NULL && producer.size == 0) ||
        (producer.data != NULL && producer.size == 0)) {
        return complain(complaint, 400, "22023",
                        "Freshet-Sequence needs a Freshet-Producer with a name");
    }
    request->producer = producer;
    if (sequence.data != NULL) {
        int64_t value;
        struct error error;
        if (int_parse(sequence, 0, INT64_MAX, "bigint", &value, &error) != OK) {
            return complain(complaint, 400, "22023",
                            "Freshet-Sequence must be a number of 0 or more");
        }
        request->has_sequence = true;
        request->sequence = (uint64_t)value;
    }
    if (key.data != NULL && !read_key(exchange, key, &request->idempotency_key)) {
        return complain(
            complaint, 400, "22023",
            "Idempotency-Key must be 1 to 128 printable ASCII characters, with or without quotes");
    }
    if (key.data != NULL && sequence.data != NULL) {
        return complain(complaint, 400, "22023",
                        "give Freshet-Sequence or Idempotency-Key, not both");
    }
    return true;
}

/* The stored rows are visible: `done` is called after they are. */
static void record_times(const struct exchange *exchange, const struct ingest_answer *answer)
{
    int64_t elapsed_us = clock_monotonic_us() - exchange->begin_us;
    latency_record(LATENCY_ACK, elapsed_us);
    if (answer->outcome == INGEST_STORED) {
        latency_record(LATENCY_FRESH_HTTP, elapsed_us);
    }
}

static void answer_refused(struct exchange *exchange, const struct ingest_answer *answer)
{
    if (answer->retry_after_s > 0) {
        exchange_add_header(exchange, "retry-after", "%lld", (long long)answer->retry_after_s);
    }
    if (answer->http_status == 409 && answer->expected_sequence > 0) {
        /* The problem with one more member. */
        exchange->status = 409;
        exchange->content_type = SLICE("application/problem+json");
        query_error_json(&answer->error, 409, NULL, &exchange->content);
        size_t size = slice_trim(writer_as_slice(&exchange->content)).size;
        assert(size > 0);
        exchange->content.size = size - 1;
        writer_printf(&exchange->content, ",\"expected\":%llu}",
                      (unsigned long long)answer->expected_sequence);
        exchange_answer(exchange);
        return;
    }
    exchange_answer_error(exchange, answer->http_status, &answer->error, NULL);
}

static void on_done(void *context, const struct ingest_answer *answer)
{
    struct exchange *exchange = context;
    if (answer->key_expires_us > 0) {
        char text[64];
        time_t seconds = (time_t)(answer->key_expires_us / 1000000);
        struct tm parts;
        gmtime_r(&seconds, &parts);
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        exchange_add_header(exchange, "idempotency-expires", "%s", text);
    }
    if (answer->http_status != 200) {
        answer_refused(exchange, answer);
        return;
    }
    record_times(exchange, answer);
    exchange_answer_text(exchange, 200, "application/json", answer->body);
}

/* What the asker may not see is answered as what is not there. The rows go to the table that was
 * looked at, whatever has its name by then. */
static bool check_rights(struct exchange *exchange, struct ingest_request *request)
{
    const struct asker *asker = exchange->asker;
    struct app *app = exchange->context;
    if (asker_is_admin(asker) && !request->is_create) {
        return true;
    }
    struct snapshot *snapshot = snapshot_open(app->store);
    const struct table_view *view = snapshot_find(snapshot, request->table);
    if (asker_is_admin(asker)) {
        if (view == NULL) {
            audit_creation(&app->creations, asker, exchange_client(exchange), request->table);
        }
        snapshot_close(snapshot);
        return true;
    }
    uint32_t table_id = view == NULL ? 0 : table_view_schema(view)->table_id;
    uint32_t rights = view == NULL ? asker->rights : asker_rights(asker, table_id);
    bool is_there = view != NULL && rights != 0;
    snapshot_close(snapshot);
    if (is_there && (rights & RIGHT_INSERT) != 0) {
        request->is_create = false; /* nor if it is dropped in this moment */
        request->table_id = table_id;
        return true;
    }
    if (is_there || request->is_create) {
        audit_refusal(&app->refusals, asker, exchange_client(exchange),
                      is_there ? "permission denied to write rows"
                               : "only an admin may create tables");
    }
    if (request->is_create && !is_there) {
        exchange_answer_problem(exchange, 403, "42501", "only an admin may create tables");
    } else if (is_there) {
        exchange_answer_problem(exchange, 403, "42501", "permission denied for table %.*s",
                                SLICE_ARGS(request->table));
    } else {
        exchange_answer_problem(exchange, 404, "42P01", "relation \"%.*s\" does not exist",
                                (int)(request->table.size < 63 ? request->table.size : 63),
                                request->table.data);
    }
    return false;
}

/* False only where it may not wait and would have to. */
static bool ingest(struct exchange *exchange, bool may_wait)
{
    struct app *app = exchange->context;
    struct ingest_request request = {.table = exchange->argument, .body = exchange->body};
    struct complaint complaint;
    if (!read_content_headers(exchange, &request, &complaint) ||
        !read_parameters(exchange, &request, &complaint) ||
        !read_delivery_headers(exchange, &request, &complaint)) {
        exchange_answer_error(exchange, complaint.status, &complaint.error, NULL);
        return true;
    }
    if (!may_wait && request.is_create) {
        return false;
    }
    if (!check_rights(exchange, &request)) {
        return true;
    }
    if (atomic_load_explicit(&app->is_disk_low, memory_order_relaxed)) {
        metric_add(&metrics.ingest_backpressure, 1);
        metric_mark(&metrics.backpressure_at);
        exchange_answer_problem(exchange, 507, "53100",
                                "the disk is nearly full: rows are taken again when there is room");
        return true;
    }
    if (!may_wait) {
        return ingest_post_at_once(app->ingest, &request, on_done, exchange);
    }
    ingest_post(app->ingest, &request, on_done, exchange);
    return true;
}

void api_ingest(struct exchange *exchange)
{
    (void)ingest(exchange, true);
}

bool api_ingest_at_once(struct exchange *exchange)
{
    return ingest(exchange, false);
}
