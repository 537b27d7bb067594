/* freshet load: files of any size into a table, exactly once.
 *
 * A file is cut into parts of whole records of at most 4 MiB. Its producer name is made of its
 * bytes, the sequence of a part is its number: a second run of the same file asks how far the first
 * one came and goes on behind that, and a part that was sent before its answer was lost is stored
 * once. A file with other bytes is another producer. Standard input can be read only once, so its
 * producer is random: retries within the run are safe, a second run loads again.
 *
 * 429, 503 and 507 are waited out as Retry-After says; a broken connection is tried again for a
 * minute. */
#include "server/cli/cli.h"
#include "server/cli/split.h"
#include "server/client/http_client.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/hash.h"
#include "storage/base/json.h"
#include "storage/base/number.h"
#include "storage/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define PART_SIZE_MAX ((size_t)4 << 20)
#define WHOLE_SIZE_MAX ((size_t)1 << 30)
#define TRY_FOR_US 60000000
#define PROGRESS_PERIOD_US 500000

struct totals {
    int64_t rows, duplicates, rejected;
};

struct load {
    struct http_client *client;
    struct slice table;
    const char *format; /* NULL: guessed */
    bool is_create;
    /* the file under way */
    const char *name;
    FILE *file;
    enum split_format split;
    char producer[128];
    uint64_t next_part, stored_parts; /* parts up to stored_parts are there already */
    struct writer text;               /* read, not yet sent */
    bool is_last;
    struct slice header; /* CSV: goes before every part but the first; in `header_bytes` */
    struct writer header_bytes, body;
    uint64_t bytes;
    int64_t begin_us, progress_us;
    struct totals totals;
};

static int64_t member_count(const struct json_value *answer, const char *name)
{
    const struct json_value *value = json_get(answer, name);
    int64_t count = 0;
    struct error error;
    return value != NULL && int_parse(value->text, 0, INT64_MAX, "bigint", &count, &error) == OK
               ? count
               : 0;
}

static void print_text_of(const struct json_value *answer, const char *name)
{
    const struct json_value *value = json_get(answer, name);
    if (value != NULL && value->kind == JSON_STRING && value->text.size > 0) {
        fprintf(stderr, " %.*s", SLICE_ARGS(value->text));
    }
}

static void complain_of_reply(const struct load *load, const struct http_reply *reply)
{
    struct arena arena;
    struct json_value *root;
    struct error error;
    arena_init(&arena);
    fprintf(stderr, "freshet: %s: part %llu: status %d:", load->name,
            (unsigned long long)load->next_part, reply->status);
    if (json_parse(writer_as_slice(&reply->body), &arena, 64, &root, &error) == OK) {
        print_text_of(root, "sqlstate");
        print_text_of(root, "detail");
        print_text_of(root, "hint");
    }
    fputc('\n', stderr);
    arena_deinit(&arena);
}

static void add_answer(struct load *load, struct slice body)
{
    struct arena arena;
    struct json_value *root;
    struct error error;
    arena_init(&arena);
    if (json_parse(body, &arena, 64, &root, &error) == OK) {
        int64_t rejected = member_count(root, "rejected_rows");
        if (load->totals.rejected == 0 && rejected > 0) {
            const struct json_value *list = json_get(root, "rejected");
            const struct json_value *first = list == NULL ? NULL : list->child;
            fprintf(stderr, "freshet: %s: part %llu: first rejected row %lld:", load->name,
                    (unsigned long long)load->next_part,
                    (long long)(first == NULL ? 0 : member_count(first, "row")));
            if (first != NULL) {
                print_text_of(first, "column");
                print_text_of(first, "error");
            }
            fputc('\n', stderr);
        }
        load->totals.rows += member_count(root, "rows");
        load->totals.duplicates += member_count(root, "duplicates");
        load->totals.rejected += rejected;
    }
    arena_deinit(&arena);
}

static void print_progress(struct load *load, bool is_end)
{
    int64_t now_us = clock_monotonic_us();
    if (!is_end && (!isatty(STDERR_FILENO) || now_us - load->progress_us < PROGRESS_PERIOD_US)) {
        return;
    }
    load->progress_us = now_us;
    double seconds = (double)(now_us - load->begin_us + 1) / 1e6;
    fprintf(stderr, "%s%s: %lld rows, %lld duplicates, %lld rejected, %.1f MB in %.1f s%s",
            isatty(STDERR_FILENO) ? "\r" : "", load->name, (long long)load->totals.rows,
            (long long)load->totals.duplicates, (long long)load->totals.rejected,
            (double)load->bytes / 1e6, seconds, is_end ? "\n" : "  ");
}

static bool is_worth_waiting(int status)
{
    return status == 429 || status == 503 || status == 507;
}

static int64_t retry_after_us(const struct http_reply *reply)
{
    int64_t seconds;
    struct error error;
    struct slice text = http_reply_header(reply, "retry-after");
    bool is_there = text.data != NULL && int_parse(text, 0, 3600, "bigint", &seconds, &error) == OK;
    return is_there && seconds > 0 ? seconds * 1000000 : 200000;
}

/* Sends until it is stored or cannot be. */
static bool post(struct load *load, const struct http_call *call)
{
    int64_t broken_since_us = 0;
    for (;;) {
        const struct http_reply *reply;
        struct error error;
        if (http_client_call(load->client, call, &reply, &error) != OK) {
            int64_t now_us = clock_monotonic_us();
            broken_since_us = broken_since_us == 0 ? now_us : broken_since_us;
            if (now_us - broken_since_us > TRY_FOR_US) {
                cli_complain("%s: %s", load->name, error.text);
                return false;
            }
            clock_sleep_us(200000);
            continue;
        }
        broken_since_us = 0;
        if (reply->status == 200) {
            add_answer(load, writer_as_slice(&reply->body));
            return true;
        }
        if (!is_worth_waiting(reply->status)) {
            complain_of_reply(load, reply);
            return false;
        }
        clock_sleep_us(retry_after_us(reply));
    }
}

static bool send_part(struct load *load, struct slice part)
{
    static const char *const types[] = {
        [SPLIT_LINES] = "application/x-ndjson",
        [SPLIT_CSV] = "text/csv",
        [SPLIT_WHOLE] = "application/json",
    };
    bool needs_header = load->split == SPLIT_CSV && load->next_part > 1;
    if (needs_header) {
        writer_reset(&load->body);
        writer_slice(&load->body, load->header);
        writer_slice(&load->body, part);
        part = writer_as_slice(&load->body);
    }
    struct writer target, headers;
    writer_init(&target);
    writer_init(&headers);
    writer_cstr(&target, "/v1/ingest/");
    http_encode(load->table, &target);
    writer_cstr(&target, load->is_create ? "?create=true" : "");
    writer_printf(&headers,
                  "Content-Type: %s\r\nFreshet-Producer: %s\r\nFreshet-Sequence: %llu\r\n",
                  types[load->split], load->producer, (unsigned long long)load->next_part);
    struct http_call call = {
        .method = "POST",
        .target = writer_as_slice(&target),
        .headers = writer_as_slice(&headers),
        .body = part,
        .is_repeatable = true,
    };
    bool is_fine = post(load, &call);
    writer_deinit(&target);
    writer_deinit(&headers);
    return is_fine;
}

static bool read_more(struct load *load, size_t wanted)
{
    while (!load->is_last && load->text.size < wanted) {
        void *room = writer_reserve(&load->text, 1 << 20);
        size_t got = fread(room, 1, 1 << 20, load->file);
        load->text.size += got;
        if (got == 0) {
            if (ferror(load->file)) {
                cli_complain("%s: cannot read: %s", load->name, strerror(errno));
                return false;
            }
            load->is_last = true;
        }
    }
    return true;
}

/* How far an earlier run came: freshet.producers says. 0 if it does not know the producer. */
static uint64_t ask_stored_parts(struct load *load)
{
    struct writer text, body;
    struct arena arena;
    struct json_value *root;
    struct error error;
    const struct http_reply *reply;
    int64_t sequence = 0;
    writer_init(&text);
    writer_init(&body);
    arena_init(&arena);
    writer_cstr(&text, "SELECT last_sequence FROM freshet.producers WHERE table_name = '");
    for (size_t i = 0; i < load->table.size; i++) {
        writer_printf(&text, load->table.data[i] == '\'' ? "''" : "%c", load->table.data[i]);
    }
    writer_printf(&text, "' AND producer = '%s'", load->producer);
    writer_cstr(&body, "{\"query\":");
    json_write_string(&body, writer_as_slice(&text));
    writer_cstr(&body, "}");
    struct http_call call = {.method = "POST",
                             .target = SLICE("/v1/sql"),
                             .body = writer_as_slice(&body),
                             .headers = SLICE("Content-Type: application/json\r\n"),
                             .is_repeatable = true};
    if (http_client_call(load->client, &call, &reply, &error) == OK && reply->status == 200 &&
        json_parse(writer_as_slice(&reply->body), &arena, 64, &root, &error) == OK) {
        const struct json_value *rows = json_get(root, "rows");
        if (rows != NULL && rows->child != NULL && rows->child->child != NULL) {
            (void)!int_parse(rows->child->child->text, 0, INT64_MAX, "bigint", &sequence, &error);
        }
    }
    writer_deinit(&text);
    writer_deinit(&body);
    arena_deinit(&arena);
    return (uint64_t)sequence;
}

/* Two chained hashes of the whole content; the file is then read from its start again. */
static bool name_producer(struct load *load)
{
    uint64_t low = 1, high = 2;
    if (load->file == stdin) {
        low = random_u64();
        high = random_u64();
    } else {
        char *buffer = memory_alloc(1 << 20);
        for (size_t got; (got = fread(buffer, 1, 1 << 20, load->file)) > 0;) {
            low = hash64_seed(buffer, got, low);
            high = hash64_seed(buffer, got, high);
        }
        memory_free(buffer);
        if (ferror(load->file) || fseek(load->file, 0, SEEK_SET) != 0) {
            cli_complain("%s: cannot read: %s", load->name, strerror(errno));
            return false;
        }
    }
    snprintf(load->producer, sizeof(load->producer), "load:%016llx%016llx",
             (unsigned long long)high, (unsigned long long)low);
    return true;
}

static enum split_format choose_split(const struct load *load)
{
    if (load->format == NULL) {
        return split_guess(slice_from_cstr(load->name), writer_as_slice(&load->text));
    }
    return strcmp(load->format, "csv") == 0    ? SPLIT_CSV
           : strcmp(load->format, "json") == 0 ? SPLIT_WHOLE
                                               : SPLIT_LINES;
}

static bool send_parts(struct load *load)
{
    size_t wanted = load->split == SPLIT_WHOLE ? WHOLE_SIZE_MAX : PART_SIZE_MAX;
    for (;;) {
        if (!read_more(load, wanted)) {
            return false;
        }
        size_t size =
            split_part(load->split, writer_as_slice(&load->text), load->is_last, PART_SIZE_MAX);
        if (size == 0) {
            if (load->is_last) {
                return true;
            }
            wanted = load->text.size + PART_SIZE_MAX; /* one record larger than a part */
            continue;
        }
        if (load->split == SPLIT_CSV && load->next_part == 1) {
            size_t header = split_header(writer_as_slice(&load->text), true);
            writer_bytes(&load->header_bytes, load->text.data, header);
            load->header = writer_as_slice(&load->header_bytes);
        }
        if (load->next_part > load->stored_parts &&
            !send_part(load, slice_of(load->text.data, size))) {
            return false;
        }
        load->next_part++;
        load->bytes += size;
        memmove(load->text.data, load->text.data + size, load->text.size - size);
        load->text.size -= size;
        wanted = load->split == SPLIT_WHOLE ? WHOLE_SIZE_MAX : PART_SIZE_MAX;
        print_progress(load, false);
    }
}

static bool load_file(struct load *load, const char *name)
{
    load->name = name;
    load->file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    if (load->file == NULL) {
        cli_complain("%s: %s", name, strerror(errno));
        return false;
    }
    load->next_part = 1;
    load->stored_parts = 0;
    load->bytes = 0;
    load->is_last = false;
    load->totals = (struct totals){0};
    load->begin_us = clock_monotonic_us();
    writer_reset(&load->text);
    writer_reset(&load->header_bytes);
    bool is_fine = name_producer(load) && read_more(load, 1 << 16);
    if (is_fine) {
        load->split = choose_split(load);
        load->stored_parts = load->file == stdin ? 0 : ask_stored_parts(load);
        if (load->stored_parts > 0) {
            fprintf(stderr, "%s: %llu parts are there already\n", name,
                    (unsigned long long)load->stored_parts);
        }
        is_fine = send_parts(load);
        print_progress(load, true);
    }
    if (load->file != stdin) {
        fclose(load->file);
    }
    return is_fine;
}

static bool format_is_known(const char *format)
{
    return strcmp(format, "ndjson") == 0 || strcmp(format, "json") == 0 ||
           strcmp(format, "csv") == 0;
}

int cli_load(int argc, char **argv)
{
    const char *address = "127.0.0.1:8080", *value;
    struct load load = {0};
    int file_count = 0;
    for (int i = 1; i < argc; i++) {
        if ((value = cli_option("http", argc, argv, &i)) != NULL) {
            address = value;
        } else if ((value = cli_option("format", argc, argv, &i)) != NULL &&
                   format_is_known(value)) {
            load.format = value;
        } else if (strcmp(argv[i], "--create") == 0) {
            load.is_create = true;
        } else if (value != NULL || strncmp(argv[i], "--", 2) == 0) {
            cli_complain("load: unknown flag or format %s", argv[i]);
            return EXIT_USAGE;
        } else if (load.table.data == NULL) {
            load.table = slice_from_cstr(argv[i]);
        } else {
            argv[1 + file_count++] = argv[i]; /* files move to the front; never past i */
        }
    }
    if (load.table.data == NULL || file_count == 0) {
        cli_complain(
            "load: freshet load TABLE FILE…|- [--http [https://]HOST:PORT] [--create] [--format "
            "ndjson|json|csv]");
        return EXIT_USAGE;
    }
    load.client = http_client_create(address, 120000000);
    writer_init(&load.text);
    writer_init(&load.body);
    writer_init(&load.header_bytes);
    bool is_fine = true;
    for (int i = 0; i < file_count && is_fine; i++) {
        is_fine = load_file(&load, argv[1 + i]);
    }
    http_client_destroy(load.client);
    writer_deinit(&load.text);
    writer_deinit(&load.body);
    writer_deinit(&load.header_bytes);
    return is_fine ? 0 : 1;
}
