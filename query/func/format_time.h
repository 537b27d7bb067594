/* Templates of to_char and to_timestamp. For query/func only. */
#ifndef FRESHET_QUERY_FUNC_FORMAT_TIME_H
#define FRESHET_QUERY_FUNC_FORMAT_TIME_H

#include "query/func/text.h"

/* Fields of a template; those of digits first. */
enum time_field {
    FIELD_HH12,
    FIELD_HH24,
    FIELD_MI,
    FIELD_SS,
    FIELD_MS,
    FIELD_US,
    FIELD_FF,
    FIELD_SSSS,
    FIELD_Y_YYY,
    FIELD_YEAR,
    FIELD_ISO_YEAR,
    FIELD_MM,
    FIELD_DDD,
    FIELD_IDDD,
    FIELD_DD,
    FIELD_D,
    FIELD_ID,
    FIELD_W,
    FIELD_WW,
    FIELD_IW,
    FIELD_CC,
    FIELD_J,
    FIELD_Q,
    FIELD_TZH,
    FIELD_TZM,
    FIELD_AM,
    FIELD_BC,
    FIELD_MONTH,
    FIELD_MON,
    FIELD_DAY,
    FIELD_DY,
    FIELD_RM,
    FIELD_TZ,
    FIELD_OF,
    FIELD_FX,
    FIELD_NONE /* text, as it is */
};
enum letter_case { LETTERS_UPPER, LETTERS_LOWER, LETTERS_FIRST };

struct time_part {
    enum time_field field;
    uint8_t width;      /* of years and fractions: digits */
    uint8_t letters;    /* enum letter_case */
    bool is_filled;     /* FM: no padding */
    bool is_translated; /* TM: no padding either */
    bool has_ordinal;   /* TH or th */
    bool is_quoted;     /* text in quotes */
    bool has_points;    /* a.m. */
    struct slice text;  /* the field as written, or one character of text */
};

/* Reads the part of the template at *at. */
struct time_part time_part_next(struct slice template, size_t *at, bool *is_in_quotes);
bool time_field_is_digits(const struct time_part *part);
extern const char *const month_names[12];
extern const char *const day_names[7]; /* Sunday first */
extern const char *const roman_months[12];

#endif
