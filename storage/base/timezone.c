/* Time zones: TZif files (RFC 8536, version 2 and later) and POSIX strings.
 *
 *   header 44 bytes | version 1 block (passed over) | header | version 2 block | \n POSIX string \n
 *
 * A zone is loaded once into two arrays, when an offset begins and what it is. The POSIX string
 * says how it goes on; it is written out to the year RULE_YEAR_LAST, so that nearly every look-up
 * is one binary search, and computed year by year past that. Zones are never freed: the cache is a
 * list that only grows, pushed by compare-and-swap, and its length is bounded because names come
 * from users. */
#include "storage/base/datetime.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define NAME_SIZE_MAX 63
#define CACHE_COUNT_MAX 2048
#define RULE_YEAR_LAST 2100
#define FILE_TIMES_MAX 2000
#define SECONDS_PER_DAY 86400

/* When summer time begins or ends in a year, local seconds of the day included. */
struct rule_date {
    enum { RULE_MONTH_WEEK, RULE_JULIAN, RULE_DAY } kind; /* Mm.w.d, Jn (no leap day), n (from 0) */
    int32_t month, week, day;
    int32_t seconds;
};

struct posix_rule {
    bool is_there, has_summer;
    int32_t standard, summer; /* seconds east */
    struct rule_date begin, end;
};

struct timezone {
    const struct timezone *next; /* in the cache; written before the push */
    char name[NAME_SIZE_MAX + 1];
    int32_t first_offset; /* before the first transition */
    uint32_t count;
    int64_t *times;   /* UTC seconds, ascending */
    int32_t *offsets; /* from times[i] on */
    struct posix_rule rule;
};

static const struct timezone utc = {.name = "UTC"};
const struct timezone *const timezone_utc = &utc;

static _Atomic(const struct timezone *) cache; /* release push, acquire look-up */
static _Atomic uint32_t cache_count;           /* relaxed: a bound, orders nothing */
static timezone_loader loader;                 /* set at start */

void timezone_set_loader(timezone_loader load)
{
    loader = load;
}

const char *timezone_name(const struct timezone *zone)
{
    return zone->name;
}

/* --- POSIX strings: CET-1CEST,M3.5.0,M10.5.0/3 --- */

struct cursor {
    const char *p, *end;
};

static bool take(struct cursor *cursor, char c)
{
    if (cursor->p == cursor->end || *cursor->p != c)
        return false;
    cursor->p++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z';
}

static bool take_number(struct cursor *cursor, int32_t max, int32_t *out)
{
    if (cursor->p == cursor->end || !is_digit(*cursor->p))
        return false;
    int32_t value = 0;
    for (; cursor->p < cursor->end && is_digit(*cursor->p); cursor->p++) {
        value = value * 10 + (*cursor->p - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_clock(struct cursor *cursor, int32_t hours_max, int32_t *seconds)
{
    bool is_negative = take(cursor, '-');
    if (!is_negative)
        take(cursor, '+');
    int32_t hours = 0, minutes = 0, rest = 0;
    if (!take_number(cursor, hours_max, &hours))
        return false;
    if (take(cursor, ':') && (!take_number(cursor, 59, &minutes) ||
                              (take(cursor, ':') && !take_number(cursor, 59, &rest))))
        return false;
    *seconds = hours * 3600 + minutes * 60 + rest;
    if (is_negative)
        *seconds = -*seconds;
    return true;
}

static bool take_abbreviation(struct cursor *cursor)
{
    const char *start = cursor->p;
    if (take(cursor, '<')) {
        while (cursor->p < cursor->end && *cursor->p != '>')
            cursor->p++;
        return take(cursor, '>');
    }
    while (cursor->p < cursor->end && is_letter(*cursor->p))
        cursor->p++;
    return cursor->p > start;
}

static bool take_date(struct cursor *cursor, struct rule_date *date)
{
    *date = (struct rule_date){.kind = RULE_DAY, .seconds = 2 * 3600};
    if (take(cursor, 'M')) {
        date->kind = RULE_MONTH_WEEK;
        if (!take_number(cursor, 12, &date->month) || date->month < 1 || !take(cursor, '.') ||
            !take_number(cursor, 5, &date->week) || date->week < 1 || !take(cursor, '.') ||
            !take_number(cursor, 6, &date->day))
            return false;
    } else {
        if (take(cursor, 'J'))
            date->kind = RULE_JULIAN;
        if (!take_number(cursor, 365, &date->day) || (date->kind == RULE_JULIAN && date->day < 1))
            return false;
    }
    return !take(cursor, '/') || take_clock(cursor, 167, &date->seconds);
}

/* The whole text; an empty abbreviation ('+02') is PostgreSQL's liberty. */
static bool posix_parse(struct slice text, struct posix_rule *rule)
{
    struct cursor cursor = {text.data, text.data + text.size};
    int32_t west;
    *rule = (struct posix_rule){.is_there = true};
    take_abbreviation(&cursor);
    if (!take_clock(&cursor, 24 * 7 - 1, &west))
        return false;
    rule->standard = -west;
    if (cursor.p == cursor.end)
        return true;
    rule->has_summer = true;
    rule->summer = rule->standard + 3600;
    if (!take_abbreviation(&cursor))
        return false;
    if (cursor.p < cursor.end && *cursor.p != ',') {
        if (!take_clock(&cursor, 24 * 7 - 1, &west))
            return false;
        rule->summer = -west;
    }
    if (cursor.p == cursor.end) { /* the United States' dates, as the zone library takes them */
        rule->begin = (struct rule_date){RULE_MONTH_WEEK, 3, 2, 0, 2 * 3600};
        rule->end = (struct rule_date){RULE_MONTH_WEEK, 11, 1, 0, 2 * 3600};
        return true;
    }
    return take(&cursor, ',') && take_date(&cursor, &rule->begin) && take(&cursor, ',') &&
           take_date(&cursor, &rule->end) && cursor.p == cursor.end;
}

/* Local seconds since 1970 of a rule date. */
static int64_t rule_local(const struct rule_date *date, int32_t year)
{
    int64_t days;
    if (date->kind == RULE_MONTH_WEEK) {
        int64_t first = days_from_civil(year, date->month, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 0 Sunday */
        int64_t day = (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
        if (day >= days_in_month(year, date->month))
            day -= 7;
        days = first + day;
    } else {
        days = days_from_civil(year, 1, 1) + date->day - (date->kind == RULE_JULIAN);
        if (date->kind == RULE_JULIAN && date->day >= 60 && days_in_month(year, 2) == 29)
            days++;
    }
    return days * SECONDS_PER_DAY + date->seconds;
}

struct transition {
    int64_t time;
    int32_t offset;
};

/* The two transitions of a year, in order of time. */
static void rule_year(const struct posix_rule *rule, int32_t year, struct transition out[2])
{
    struct transition begin = {rule_local(&rule->begin, year) - rule->standard, rule->summer};
    struct transition end = {rule_local(&rule->end, year) - rule->summer, rule->standard};
    bool is_north = begin.time < end.time;
    out[0] = is_north ? begin : end;
    out[1] = is_north ? end : begin;
}

static int64_t floor_seconds(int64_t us)
{
    int64_t seconds = us / MICROSECONDS_PER_SECOND;
    return us % MICROSECONDS_PER_SECOND < 0 ? seconds - 1 : seconds;
}

static int32_t year_of(int64_t seconds)
{
    int32_t year, month, day;
    civil_from_days(seconds / SECONDS_PER_DAY, &year, &month, &day);
    return year;
}

static int32_t rule_offset_at(const struct posix_rule *rule, int64_t seconds)
{
    if (!rule->has_summer)
        return rule->standard;
    int32_t offset = rule->standard;
    int32_t year = year_of(seconds);
    for (int32_t y = year - 1; y <= year + 1; y++) {
        struct transition pair[2];
        rule_year(rule, y, pair);
        for (int index = 0; index < 2; index++)
            if (pair[index].time <= seconds)
                offset = pair[index].offset;
    }
    return offset;
}

static bool rule_next(const struct posix_rule *rule, int64_t seconds, struct transition *out)
{
    if (!rule->has_summer)
        return false;
    int32_t year = year_of(seconds);
    for (int32_t y = year - 1; y <= year + 1; y++) {
        struct transition pair[2];
        rule_year(rule, y, pair);
        for (int index = 0; index < 2; index++) {
            if (pair[index].time > seconds) {
                *out = pair[index];
                return true;
            }
        }
    }
    return false;
}

/* --- TZif files --- */

struct tzif_head {
    uint32_t utc_count, standard_count, leap_count, time_count, type_count, char_count;
};

static uint32_t big_u32(struct reader *reader)
{
    return __builtin_bswap32(reader_u32(reader));
}

static bool read_head(struct reader *reader, struct tzif_head *head, uint8_t *version)
{
    struct slice magic = reader_bytes(reader, 4);
    *version = reader_u8(reader);
    reader_bytes(reader, 15);
    head->utc_count = big_u32(reader);
    head->standard_count = big_u32(reader);
    head->leap_count = big_u32(reader);
    head->time_count = big_u32(reader);
    head->type_count = big_u32(reader);
    head->char_count = big_u32(reader);
    return !reader->failed && slice_equal(magic, SLICE("TZif")) &&
           head->time_count <= FILE_TIMES_MAX && head->type_count >= 1 && head->type_count <= 256 &&
           head->char_count <= 4096 && head->utc_count <= 256 && head->standard_count <= 256 &&
           head->leap_count <= 1024;
}

/* Appends a transition that is later than those there are. */
static void add_transition(struct timezone *zone, int64_t time, int32_t offset)
{
    assert(zone->count == 0 || zone->times[zone->count - 1] < time);
    zone->times[zone->count] = time;
    zone->offsets[zone->count] = offset;
    zone->count++;
}

static bool read_transitions(struct reader *reader, const struct tzif_head *head,
                             struct timezone *zone)
{
    struct reader times = reader_of(reader_bytes(reader, head->time_count * 8));
    struct slice types = reader_bytes(reader, head->time_count);
    struct slice infos = reader_bytes(reader, head->type_count * 6);
    reader_bytes(reader,
                 head->char_count + head->leap_count * 12 + head->standard_count + head->utc_count);
    if (reader->failed)
        return false;
    int32_t offsets[256];
    for (uint32_t index = 0; index < head->type_count; index++) {
        struct reader info = reader_of(slice_of(infos.data + index * 6, 6));
        offsets[index] = (int32_t)big_u32(&info);
        if (offsets[index] < -SECONDS_PER_DAY * 7 || offsets[index] > SECONDS_PER_DAY * 7)
            return false;
    }
    zone->first_offset = offsets[0];
    for (uint32_t index = 0; index < head->time_count; index++) {
        int64_t time = (int64_t)__builtin_bswap64(reader_u64(&times));
        uint8_t type = (uint8_t)types.data[index];
        if (type >= head->type_count || (zone->count > 0 && time <= zone->times[zone->count - 1]))
            return false;
        add_transition(zone, time, offsets[type]);
    }
    return true;
}

/* Writes the rule out from the last transition on. */
static void extend_by_rule(struct timezone *zone)
{
    if (!zone->rule.has_summer)
        return;
    int64_t last = zone->count > 0 ? zone->times[zone->count - 1] : INT64_MIN / 4;
    int32_t year = zone->count > 0 ? year_of(last) : RULE_YEAR_LAST - 200;
    for (; year <= RULE_YEAR_LAST; year++) {
        struct transition pair[2];
        rule_year(&zone->rule, year, pair);
        for (int index = 0; index < 2; index++)
            if (pair[index].time > last)
                add_transition(zone, pair[index].time, pair[index].offset);
    }
}

static void allocate_transitions(struct timezone *zone, uint32_t capacity)
{
    capacity += 2 * 202;
    zone->times = memory_alloc(capacity * sizeof(zone->times[0]));
    zone->offsets = memory_alloc(capacity * sizeof(zone->offsets[0]));
}

static bool zone_read(struct slice file, struct timezone *zone)
{
    struct reader reader = reader_of(file);
    struct tzif_head head;
    uint8_t version;
    if (!read_head(&reader, &head, &version) || version < '2')
        return false;
    reader_bytes(&reader, head.time_count * 5 + head.type_count * 6 + head.char_count +
                              head.leap_count * 8 + head.standard_count + head.utc_count);
    if (!read_head(&reader, &head, &version) || head.leap_count != 0)
        return false;
    allocate_transitions(zone, head.time_count);
    if (!read_transitions(&reader, &head, zone))
        return false;
    struct slice footer = slice_trim(reader_bytes(&reader, reader_left(&reader)));
    if (footer.size > 0 && !posix_parse(footer, &zone->rule))
        return false;
    extend_by_rule(zone);
    return true;
}

/* --- looking up --- */

/* How many transitions are at or before a time. */
static uint32_t transitions_until(const struct timezone *zone, int64_t seconds)
{
    uint32_t low = 0, high = zone->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t timezone_offset_at(const struct timezone *zone, int64_t utc_us)
{
    if (zone == timezone_utc)
        return 0;
    int64_t seconds = floor_seconds(utc_us);
    uint32_t index = transitions_until(zone, seconds);
    if (index == zone->count && zone->rule.is_there)
        return rule_offset_at(&zone->rule, seconds);
    return index == 0 ? zone->first_offset : zone->offsets[index - 1];
}

static bool next_transition(const struct timezone *zone, int64_t seconds, struct transition *out)
{
    uint32_t index = transitions_until(zone, seconds);
    if (index < zone->count) {
        *out = (struct transition){zone->times[index], zone->offsets[index]};
        return true;
    }
    return zone->rule.is_there && rule_next(&zone->rule, seconds, out);
}

int64_t timezone_to_utc(const struct timezone *zone, int64_t local_us)
{
    if (zone == timezone_utc || local_us == TIME_INFINITY || local_us == TIME_MINUS_INFINITY)
        return local_us;
    int64_t local = floor_seconds(local_us);
    int64_t earlier = local - SECONDS_PER_DAY;
    int32_t before = timezone_offset_at(zone, earlier * MICROSECONDS_PER_SECOND);
    int32_t offset = before;
    struct transition boundary;
    if (next_transition(zone, earlier, &boundary)) {
        int64_t as_before = local - before;
        int64_t as_after = local - boundary.offset;
        if (as_before < boundary.time && as_after < boundary.time)
            offset = before;
        else if (as_before > boundary.time && as_after >= boundary.time)
            offset = boundary.offset;
        else /* a gap keeps the offset before it, an overlap takes the one after */
            offset = as_before > as_after ? before : boundary.offset;
    }
    return local_us - (int64_t)offset * MICROSECONDS_PER_SECOND;
}

/* --- finding by name --- */

static const struct timezone *cache_find(struct slice name)
{
    const struct timezone *zone = atomic_load_explicit(&cache, memory_order_acquire);
    while (zone != NULL && !slice_equal_ignore_case(slice_from_cstr(zone->name), name))
        zone = zone->next;
    return zone;
}

static void zone_free(struct timezone *zone)
{
    memory_free(zone->times);
    memory_free(zone->offsets);
    memory_free(zone);
}

/* Ours, or the one that another thread has pushed meanwhile. */
static const struct timezone *cache_push(struct timezone *zone)
{
    const struct timezone *head = atomic_load_explicit(&cache, memory_order_acquire);
    do {
        const struct timezone *other = cache_find(slice_from_cstr(zone->name));
        if (other != NULL) {
            zone_free(zone);
            return other;
        }
        zone->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&cache, &head, zone, memory_order_acq_rel,
                                                    memory_order_acquire));
    atomic_fetch_add_explicit(&cache_count, 1, memory_order_relaxed);
    return zone;
}

static struct timezone *zone_load_file(const char *name)
{
    uint8_t *data = NULL;
    size_t size = 0;
    if (loader == NULL || loader(name, &data, &size) != OK)
        return NULL;
    struct timezone *zone = memory_alloc_zero(sizeof(*zone));
    bool is_good = zone_read(slice_of(data, size), zone);
    free(data);
    if (!is_good) {
        zone_free(zone);
        return NULL;
    }
    return zone;
}

static struct timezone *zone_load_posix(struct slice name)
{
    struct posix_rule rule;
    if (!posix_parse(name, &rule))
        return NULL;
    struct timezone *zone = memory_alloc_zero(sizeof(*zone));
    zone->rule = rule;
    zone->first_offset = rule.standard;
    if (rule.has_summer)
        allocate_transitions(zone, 0);
    extend_by_rule(zone);
    return zone;
}

static bool is_plain_name(struct slice name)
{
    if (name.size == 0 || name.size > NAME_SIZE_MAX || !is_letter(name.data[0]))
        return false;
    for (size_t index = 0; index < name.size; index++) {
        char c = name.data[index];
        if (!is_letter(c) && !is_digit(c) && c != '/' && c != '_' && c != '-' && c != '+')
            return false;
    }
    return true;
}

/* As given, then europe/berlin as Europe/Berlin, then gmt as GMT. */
static struct timezone *zone_load(struct slice name)
{
    char variant[NAME_SIZE_MAX + 1] = {0};
    struct timezone *zone = NULL;
    for (int round = 0; round < 3 && zone == NULL && is_plain_name(name); round++) {
        memcpy(variant, name.data, name.size);
        bool is_first = true;
        for (size_t index = 0; round > 0 && index < name.size; index++) {
            bool is_upper = is_first || round == 2;
            if (is_letter(variant[index]))
                variant[index] = (char)(is_upper ? variant[index] & ~0x20 : variant[index] | 0x20);
            is_first = variant[index] == '/' || variant[index] == '_' || variant[index] == '-';
        }
        zone = zone_load_file(variant);
    }
    if (zone == NULL) {
        zone = zone_load_posix(name);
        memcpy(variant, name.data, name.size);
    }
    if (zone != NULL)
        memcpy(zone->name, variant, sizeof(zone->name));
    return zone;
}

enum err timezone_find(struct slice name, const struct timezone **out, struct error *error)
{
    static const char *const utc_names[] = {"UTC", "GMT", "Z", "Etc/UTC", "Zulu", "UCT"};
    for (size_t index = 0; index < array_count(utc_names); index++) {
        if (slice_equal_ignore_case(name, slice_from_cstr(utc_names[index]))) {
            *out = timezone_utc;
            return OK;
        }
    }
    const struct timezone *zone = cache_find(name);
    if (zone == NULL && name.size > 0 && name.size <= NAME_SIZE_MAX) {
        if (atomic_load_explicit(&cache_count, memory_order_relaxed) >= CACHE_COUNT_MAX)
            return error_set(error, ERR_LIMIT, "54000", "too many different time zones");
        struct timezone *loaded = zone_load(name);
        zone = loaded != NULL ? cache_push(loaded) : NULL;
    }
    if (zone == NULL)
        return error_set(error, ERR_INPUT, "22023", "time zone \"%.*s\" not recognized",
                         SLICE_ARGS(slice_cut(name, 200)));
    *out = zone;
    return OK;
}
