/* Builds events by copying prepared pieces: key and value together ("\"country\":\"DE\",") where
 * the value comes from a list, digits by hand where it is a number. Under a microsecond an event,
 * so that the generator costs a fraction of what the server does. Users and pages are Zipf(1.07) by
 * the alias method (Walker 1977, Vose 1991): one look-up a draw, where rejection-inversion paid
 * five pow() calls and half of the generator's time. */
#include "bench/loadgen/event.h"

#include "storage/base/arena.h"
#include "storage/base/datetime.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define WORD_COUNT 4096
#define LATENCY_TABLE_SIZE 4096

enum list_id {
    LIST_EVENT,
    LIST_COUNTRY,
    LIST_CITY,
    LIST_DEVICE,
    LIST_OS,
    LIST_BROWSER,
    LIST_PAGE,
    LIST_REFERRER,
    LIST_CAMPAIGN,
    LIST_STATUS,
    LIST_AGENT,
    LIST_COUNT
};

static const struct {
    const char *key;
    uint32_t count;
} lists[LIST_COUNT] = {
    [LIST_EVENT] = {"event", 12},
    [LIST_COUNTRY] = {"country", 200},
    [LIST_CITY] = {"city", 4096},
    [LIST_DEVICE] = {"device", 5},
    [LIST_OS] = {"os", 12},
    [LIST_BROWSER] = {"browser", 20},
    [LIST_PAGE] = {"page", 50000},
    [LIST_REFERRER] = {"referrer", 2000},
    [LIST_CAMPAIGN] = {"campaign", 300},
    [LIST_STATUS] = {"status", 8},
    [LIST_AGENT] = {"agent", 5000},
};

static const char *const event_names[12] = {
    "view",     "click",    "search", "add_to_cart", "remove_from_cart",
    "checkout", "purchase", "login",  "logout",      "signup",
    "share",    "error"};
static const char *const device_names[5] = {"desktop", "mobile", "tablet", "tv", "bot"};
static const char *const os_names[12] = {"windows", "macos",   "linux",    "android",
                                         "ios",     "ipados",  "chromeos", "tizen",
                                         "webos",   "freebsd", "harmony",  "other"};
static const int status_codes[8] = {200, 201, 204, 301, 304, 404, 429, 500};
/* Shares of 256 by status. */
static const uint8_t status_shares[8] = {200, 12, 6, 8, 14, 10, 2, 4};

struct alias {
    uint32_t share, other;
};

struct zipf {
    uint32_t count;
    struct alias *slots;
};

/* With a blank in front; always copied as 16 bytes, of which `size` count. */
struct padded_word {
    char text[16];
    size_t size;
};

struct event_generator {
    struct random_stream random;
    size_t line_size;
    struct arena arena;
    struct padded_word words[WORD_COUNT];
    struct slice *pieces[LIST_COUNT]; /* "\"key\":\"value\"," */
    struct zipf users, pages;
    uint32_t latency_us[LATENCY_TABLE_SIZE]; /* quantiles of the log-normal */
    uint8_t status_of[256];
};

/* Vose's construction: every slot holds its own value and one alias, with the share of its own. */
static void zipf_init(struct zipf *z, double exponent, uint32_t count)
{
    double *weight = memory_alloc(count * sizeof(double)), sum = 0;
    uint32_t *small = memory_alloc(count * sizeof(uint32_t)),
             *large = memory_alloc(count * sizeof(uint32_t));
    uint32_t small_count = 0, large_count = 0;
    z->count = count;
    z->slots = memory_alloc(count * sizeof(struct alias));
    for (uint32_t index = 0; index < count; index++)
        sum += weight[index] = pow(index + 1.0, -exponent);
    for (uint32_t index = 0; index < count; index++) {
        weight[index] *= count / sum;
        z->slots[index] = (struct alias){.share = UINT32_MAX, .other = index};
        if (weight[index] < 1)
            small[small_count++] = index;
        else
            large[large_count++] = index;
    }
    while (small_count > 0 && large_count > 0) {
        uint32_t low = small[--small_count], high = large[large_count - 1];
        z->slots[low] =
            (struct alias){.share = (uint32_t)(weight[low] * UINT32_MAX), .other = high};
        weight[high] -= 1 - weight[low];
        if (weight[high] < 1) {
            large_count--;
            small[small_count++] = high;
        }
    }
    memory_free(weight);
    memory_free(small);
    memory_free(large);
}

/* 0 … count - 1, 0 the most frequent. */
static uint32_t zipf_next(const struct zipf *z, struct random_stream *random)
{
    uint64_t bits = random_next(random);
    uint32_t slot = (uint32_t)(((bits >> 32) * z->count) >> 32);
    return (uint32_t)bits <= z->slots[slot].share ? slot : z->slots[slot].other;
}

/* A pronounceable word of `length` letters. */
static const char *word(struct random_stream *random, char *out, size_t length)
{
    static const char consonants[] = "bcdfghjklmnprstvwz";
    static const char vowels[] = "aeiou";
    for (size_t index = 0; index < length; index++)
        out[index] = index % 2 == 0 ? consonants[random_below(random, sizeof(consonants) - 1)]
                                    : vowels[random_below(random, sizeof(vowels) - 1)];
    out[length] = '\0';
    return out;
}

static const char *list_value(enum list_id list, uint32_t index, struct random_stream *random,
                              struct arena *arena)
{
    char a[16], b[16];
    word(random, a, 4 + random_below(random, 5));
    word(random, b, 4 + random_below(random, 6));
    switch (list) {
    case LIST_EVENT:
        return event_names[index];
    case LIST_DEVICE:
        return device_names[index];
    case LIST_OS:
        return os_names[index];
    case LIST_COUNTRY:
        return arena_printf(arena, "%c%c", 'A' + (int)(index / 20), 'A' + (int)(index % 20));
    case LIST_CITY:
        return arena_printf(arena, "%s %s %u", a, b, index);
    case LIST_BROWSER:
        return arena_printf(arena, "%s %u", a, 80 + index);
    case LIST_PAGE:
        return arena_printf(arena, "/%s/%s/%u", a, b, index);
    case LIST_REFERRER:
        return arena_printf(arena, "https://%s.example/%s/%u", a, b, index);
    case LIST_CAMPAIGN:
        return arena_printf(arena, "%s-%u", a, index);
    case LIST_AGENT:
        return arena_printf(arena, "Mozilla/5.0 (%s; %s; rv:%u.0) Engine/%u %s/%u.%u", a, b,
                            60 + index % 70, 500 + index % 100, b, index % 90, index);
    default:
        return "";
    }
}

static void make_lists(struct event_generator *generator)
{
    struct random_stream random; /* its own seed: the lists are the same in every run and thread */
    random_stream_init(&random, 20260501);
    for (int list = 0; list < LIST_COUNT; list++) {
        generator->pieces[list] =
            arena_alloc_array(&generator->arena, lists[list].count, sizeof(struct slice));
        for (uint32_t index = 0; index < lists[list].count; index++) {
            char *text =
                list == LIST_STATUS
                    ? arena_printf(&generator->arena, "\"status\":%d,", status_codes[index])
                    : arena_printf(&generator->arena, "\"%s\":\"%s\",", lists[list].key,
                                   list_value(list, index, &random, &generator->arena));
            generator->pieces[list][index] = slice_from_cstr(text);
        }
    }
    for (int index = 0; index < WORD_COUNT; index++) {
        char text[24];
        word(&random, text, 3 + random_below(&random, 6));
        generator->words[index].size = strlen(text) + 1;
        assert(generator->words[index].size <= 16);
        generator->words[index].text[0] = ' ';
        memcpy(generator->words[index].text + 1, text, strlen(text));
    }
    int filled = 0;
    for (int status = 0; status < 8; status++)
        for (int share = 0; share < status_shares[status]; share++)
            generator->status_of[filled++] = (uint8_t)status;
    assert(filled == 256);
}

/* Log-normal quantiles: median 35 ms, sigma 0.9; the normal quantile by bisection of erfc, once. */
static void make_latencies(struct event_generator *generator)
{
    for (int index = 0; index < LATENCY_TABLE_SIZE; index++) {
        double p = (index + 0.5) / LATENCY_TABLE_SIZE, low = -6, high = 6;
        for (int step = 0; step < 60; step++) {
            double middle = (low + high) / 2;
            if (0.5 * erfc(-middle / sqrt(2.0)) < p)
                low = middle;
            else
                high = middle;
        }
        generator->latency_us[index] = (uint32_t)(35000.0 * exp(0.9 * low));
    }
}

struct event_generator *event_generator_create(uint64_t seed, size_t line_size)
{
    struct event_generator *generator = memory_alloc_zero(sizeof(*generator));
    assert(line_size >= 640 && line_size <= EVENT_LINE_MAX);
    generator->line_size = line_size;
    arena_init(&generator->arena);
    random_stream_init(&generator->random, seed);
    zipf_init(&generator->users, 1.07, 1000000);
    zipf_init(&generator->pages, 1.07, lists[LIST_PAGE].count);
    make_lists(generator);
    make_latencies(generator);
    return generator;
}

void event_generator_destroy(struct event_generator *generator)
{
    memory_free(generator->users.slots);
    memory_free(generator->pages.slots);
    arena_deinit(&generator->arena);
    memory_free(generator);
}

struct random_stream *event_generator_random(struct event_generator *generator)
{
    return &generator->random;
}

static char *put(char *p, struct slice s)
{
    memcpy(p, s.data, s.size);
    return p + s.size;
}

static char *put_literal(char *p, const char *text)
{
    return put(p, slice_from_cstr(text));
}

static char *put_uint(char *p, uint64_t value)
{
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        *p++ = digits[--count];
    return p;
}

static char *put_fixed(char *p, uint64_t value, int digits)
{
    for (int index = digits - 1; index >= 0; index--) {
        p[index] = (char)('0' + value % 10);
        value /= 10;
    }
    return p + digits;
}

static char *put_hex(char *p, uint64_t value, int digits)
{
    static const char hex[] = "0123456789abcdef";
    for (int index = 0; index < digits; index++)
        p[index] = hex[(value >> (4 * index)) & 15];
    return p + digits;
}

static char *put_time(char *p, int64_t ts_us)
{
    struct civil c;
    civil_from_time(ts_us, &c);
    p = put_fixed(p, (uint64_t)c.year, 4);
    *p++ = '-';
    p = put_fixed(p, (uint64_t)c.month, 2);
    *p++ = '-';
    p = put_fixed(p, (uint64_t)c.day, 2);
    *p++ = 'T';
    p = put_fixed(p, (uint64_t)c.hour, 2);
    *p++ = ':';
    p = put_fixed(p, (uint64_t)c.minute, 2);
    *p++ = ':';
    p = put_fixed(p, (uint64_t)c.second, 2);
    *p++ = '.';
    p = put_fixed(p, (uint64_t)c.microsecond, 6);
    *p++ = 'Z';
    return p;
}

static char *put_piece(struct event_generator *generator, char *p, enum list_id list,
                       uint64_t index)
{
    return put(p, generator->pieces[list][index]);
}

static char *put_uuid(char *p, struct random_stream *random)
{
    uint64_t high = random_next(random), low = random_next(random);
    p = put_hex(p, high, 8);
    *p++ = '-';
    p = put_hex(p, high >> 32, 4);
    *p++ = '-';
    *p++ = '4';
    p = put_hex(p, high >> 48, 3);
    *p++ = '-';
    *p++ = 'a';
    p = put_hex(p, low, 3);
    *p++ = '-';
    return put_hex(p, low >> 12, 12);
}

static char *put_identity(struct event_generator *generator, char *p, int64_t ts_us)
{
    struct random_stream *random = &generator->random;
    p = put_literal(p, "{\"ts\":\"");
    p = put_time(p, ts_us);
    p = put_literal(p, "\",\"event_id\":\"");
    p = put_uuid(p, random);
    p = put_literal(p, "\",");
    p = put_piece(generator, p, LIST_EVENT, random_below(random, 12));
    p = put_literal(p, "\"user_id\":");
    p = put_uint(p, 1 + zipf_next(&generator->users, random));
    p = put_literal(p, ",\"session_id\":\"");
    p = put_hex(p, random_next(random), 16);
    return put_literal(p, "\",");
}

static char *put_numbers(struct event_generator *generator, char *p)
{
    struct random_stream *random = &generator->random;
    uint64_t bits = random_next(random);
    uint32_t latency = generator->latency_us[bits & (LATENCY_TABLE_SIZE - 1)];
    p = put_literal(p, "\"latency_ms\":");
    p = put_uint(p, latency / 1000);
    *p++ = '.';
    p = put_fixed(p, latency % 1000, 3);
    p = put_literal(p, ",\"amount\":");
    uint64_t cents = (bits >> 12) % 5 != 0 ? 0 : (bits >> 16) % 50000;
    p = put_uint(p, cents / 100);
    *p++ = '.';
    p = put_fixed(p, cents % 100, 2);
    p = put_literal(p, ",\"bytes\":");
    p = put_uint(p, 200 + (bits >> 32) % 100000);
    p = put_literal(p, (bits >> 60) == 0 ? ",\"is_new\":true,\"ip\":\""
                                         : ",\"is_new\":false,\"ip\":\"");
    uint64_t ip = random_next(random);
    for (int part = 0; part < 4; part++) {
        p = put_uint(p, (ip >> (8 * part)) & 255);
        *p++ = part < 3 ? '.' : '"';
    }
    *p++ = ',';
    return p;
}

size_t event_write(struct event_generator *generator, int64_t ts_us, char *out)
{
    struct random_stream *random = &generator->random;
    char *p = put_identity(generator, out, ts_us);
    uint64_t bits = random_next(random);
    uint64_t country =
        (bits & 255) * ((bits >> 8) & 255) * 200 >> 16; /* skewed towards the first */
    p = put_piece(generator, p, LIST_COUNTRY, country);
    p = put_piece(generator, p, LIST_CITY, (bits >> 16) & 4095);
    p = put_piece(generator, p, LIST_DEVICE, (bits >> 28) % 5);
    p = put_piece(generator, p, LIST_OS, (bits >> 32) % 12);
    p = put_piece(generator, p, LIST_BROWSER, (bits >> 40) % 20);
    p = put_piece(generator, p, LIST_PAGE, zipf_next(&generator->pages, random));
    bits = random_next(random);
    p = put_piece(generator, p, LIST_REFERRER, (bits & 0xFFFFF) % 2000);
    p = put_piece(generator, p, LIST_CAMPAIGN, ((bits >> 20) & 0xFFFFF) % 300);
    p = put_piece(generator, p, LIST_STATUS, generator->status_of[(bits >> 40) & 255]);
    p = put_numbers(generator, p);
    p = put_piece(generator, p, LIST_AGENT, (bits >> 48) % 5000);
    p = put_literal(p, "\"message\":\"");
    char *end = out + generator->line_size - 3; /* quote, brace, newline */
    for (;;) {
        uint64_t draw = random_next(random);
        for (int pick = 0; pick < 5; pick++, draw >>= 12) {
            const struct padded_word *next = &generator->words[draw & (WORD_COUNT - 1)];
            if (p + sizeof(next->text) > end)
                goto out_full;
            memcpy(p, next->text, sizeof(next->text));
            p += next->size;
        }
    }
out_full:
    p = put_literal(p, "\"}\n");
    assert(p <= out + EVENT_LINE_MAX);
    return (size_t)(p - out);
}

size_t event_write_malformed(struct event_generator *generator, int64_t ts_us, char *out)
{
    size_t size = event_write(generator, ts_us, out);
    switch (random_below(&generator->random, 4)) {
    case 0: /* cut short */
        size = size / 2;
        out[size - 1] = '\n';
        return size;
    case 1: /* a time that is none */
        memcpy(out + 7, "not-a-time", 10);
        return size;
    case 2: /* not UTF-8 */
        out[size - 8] = (char)0xFF;
        return size;
    default: /* no JSON at all */
        return (size_t)(put_literal(out, "level=info msg=\"this is no JSON\"\n") - out);
    }
}

const char *event_table_columns(void)
{
    return "(ts timestamptz NOT NULL, event_id uuid, event text, user_id bigint, session_id text, "
           "country text, "
           "city text, device text, os text, browser text, page text, referrer text, campaign "
           "text, status smallint, "
           "latency_ms double precision, amount numeric(12,2), bytes integer, is_new boolean, ip "
           "text, agent text, "
           "message text)";
}
