/* Calendar time. Times are int64 microseconds since 1970-01-01 00:00 UTC (timestamptz) or of a
 * local clock face (timestamp); dates are days since 1970-01-01. Proleptic Gregorian. The range is
 * 4713 BC … 294246 AD (PostgreSQL goes 30 years further, which int64 from 1970 cannot),
 * INT64_MAX / INT64_MIN are infinity and -infinity. */
#ifndef FRESHET_STORAGE_BASE_DATETIME_H
#define FRESHET_STORAGE_BASE_DATETIME_H

#include "storage/base/bytes.h"
#include "storage/base/error.h"
#include "storage/base/slice.h"

#define MICROSECONDS_PER_SECOND INT64_C(1000000)
#define MICROSECONDS_PER_MINUTE (60 * MICROSECONDS_PER_SECOND)
#define MICROSECONDS_PER_HOUR (60 * MICROSECONDS_PER_MINUTE)
#define MICROSECONDS_PER_DAY (24 * MICROSECONDS_PER_HOUR)
#define TIME_INFINITY INT64_MAX
#define TIME_MINUS_INFINITY INT64_MIN
#define DATE_INFINITY INT64_C(2147483647)
#define DATE_MINUS_INFINITY (-INT64_C(2147483648))
#define TIME_MIN INT64_C(-210866803200000000) /* 4713-11-24 BC, PostgreSQL's least */
#define TIME_MAX                                                                                   \
    INT64_C(9223371244799999999) /* end of 294246 AD: what int64 reaches from 1970 (PostgreSQL:    \
                                    294276) */

struct civil {
    int32_t year; /* astronomical: 0 is 1 BC */
    int32_t month, day, hour, minute, second, microsecond;
};

struct interval {
    int32_t months, days;
    int64_t microseconds;
};

struct timezone; /* immutable, shared, lives as long as the process */

int64_t days_from_civil(int32_t year, int32_t month, int32_t day);
void civil_from_days(int64_t days, int32_t *year, int32_t *month, int32_t *day);
void civil_from_time(int64_t local_us, struct civil *out);
int64_t time_from_civil(const struct civil *civil);
int days_in_month(int32_t year, int32_t month);

/* --- zones (RFC 8536 TZif files, and POSIX-style fixed offsets as PostgreSQL reads them) --- */
extern const struct timezone *const timezone_utc;
/* How zone files are read: set once at start by storage/io (base opens no file). The loader gives
 * the bytes of a zone name that has been checked to be a plain relative path, malloc'ed. */
typedef enum err (*timezone_loader)(const char *name, uint8_t **data, size_t *size);
void timezone_set_loader(timezone_loader loader);
/* 'UTC', 'Europe/Berlin', '+02', '-05:30' (ISO sign for SET/AT TIME ZONE with an interval is the
 * caller's matter; POSIX sign for names as PostgreSQL). 22023 if unknown. Cached, any thread. */
MUST_CHECK enum err timezone_find(struct slice name, const struct timezone **out,
                                  struct error *error);
const char *timezone_name(const struct timezone *zone);
/* Seconds east of UTC in force at a UTC time. */
int32_t timezone_offset_at(const struct timezone *zone, int64_t utc_us);
/* Local clock face to UTC by PostgreSQL's rule: in a gap the offset before it, in an overlap the
 * standard-time (later) one. */
int64_t timezone_to_utc(const struct timezone *zone, int64_t local_us);
static inline int64_t timezone_to_local(const struct timezone *zone, int64_t utc_us)
{
    return utc_us + (int64_t)timezone_offset_at(zone, utc_us) * MICROSECONDS_PER_SECOND;
}

/* --- text --- */
/* PostgreSQL's ISO, MDY input as far as machines write it: 2026-05-01[
 * T]10:00[:00[.5]][Z|+02|+02:00| +0200|zone name], dates alone, BC,
 * 'now'/'today'/'epoch'/'infinity' (now_us given), also RFC 3339 and 20260501T100000Z. 22007 for
 * the form, 22008 for the range. `zone` is taken where the text has none. */
MUST_CHECK enum err timestamptz_parse(struct slice text, const struct timezone *zone,
                                      int64_t now_us, int64_t *out, struct error *error);
MUST_CHECK enum err timestamp_parse(struct slice text, int64_t now_us, int64_t *out,
                                    struct error *error);
MUST_CHECK enum err date_parse(struct slice text, int64_t now_us, int64_t *days,
                               struct error *error);
/* The fast path for machines: exactly YYYY-MM-DD[T ]HH:MM:SS[.f…](Z|±hh[:mm]|nothing = UTC); false
 * if it is anything else. */
bool timestamptz_parse_rfc3339(struct slice text, int64_t *out);
/* '1 day 2 hours', '1 minute', '30 s', 'P1DT2H', '01:02:03', '1-2', 'ago'. 22007 for the form,
 * 22015 and 22008 for the range. */
MUST_CHECK enum err interval_parse(struct slice text, struct interval *out, struct error *error);

/* PostgreSQL's ISO output: 2026-05-01 10:00:00.5+00, and with 'T' and full offset as to_json writes
 * it: 2026-05-01T10:00:00.5+00:00. */
enum time_style { TIME_STYLE_SQL, TIME_STYLE_JSON };
void timestamptz_print(int64_t us, const struct timezone *zone, enum time_style style,
                       struct writer *out);
void timestamp_print(int64_t us, enum time_style style, struct writer *out);
void date_print(int64_t days, struct writer *out);
/* intervalstyle postgres: 1 year 2 mons 3 days 04:05:06.5 */
void interval_print(struct interval value, struct writer *out);

/* --- arithmetic, PostgreSQL's --- */
/* Months first (day clamped), then days, then microseconds, on the clock face of the zone. 22008.
 */
MUST_CHECK enum err time_add_interval(int64_t us, struct interval interval,
                                      const struct timezone *zone, int64_t *out,
                                      struct error *error);
/* date_trunc: 'minute' … 'millennium'; 'week' is ISO. zone = timezone_utc for timestamp. 22023. */
enum time_unit {
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    /* extract only */
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_EPOCH,
    UNIT_ISOYEAR,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
    UNIT_JULIAN
};
/* Names as PostgreSQL reads them, any case, plurals and abbreviations: 'hours', 'min', 'us'. */
bool time_unit_find(struct slice name, enum time_unit *out);
int64_t time_truncate(int64_t us, enum time_unit unit, const struct timezone *zone);
/* date_bin: stride in microseconds > 0. */
int64_t time_bin(int64_t us, int64_t stride_us, int64_t origin_us);
/* Sums of 30-day months, for comparing intervals as PostgreSQL does. */
__int128 interval_span(struct interval value);

#endif
