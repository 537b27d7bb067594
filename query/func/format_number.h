/* Templates of numbers, read once for to_char and to_number. */
#ifndef FRESHET_QUERY_FUNC_FORMAT_NUMBER_H
#define FRESHET_QUERY_FUNC_FORMAT_NUMBER_H

#include "query/func/text.h"

enum part_kind {
    PART_TEXT,
    PART_NOTHING,
    PART_NINE,
    PART_ZERO,
    PART_POINT,
    PART_COMMA,
    PART_SIGN,
    PART_MINUS,
    PART_PLUS,
    PART_PLUS_MINUS,
    PART_BRACKET,
    PART_CURRENCY,
    PART_ORDINAL,
    PART_ROMAN,
    PART_SHIFT,
    PART_EXPONENT,
    PART_FILL,
    PART_BLANK
};

#define PARTS_MAX 1024

struct part {
    enum part_kind kind;
    bool is_lower;
    struct slice text;
};

enum sign_place { SIGN_NONE, SIGN_BEFORE, SIGN_BEHIND };

struct number_template {
    struct part *parts; /* in the call's arena */
    size_t part_count;
    int before, behind, shift; /* digits before and behind the point, and behind V */
    int zero_start, zero_end;  /* places from which and up to which zeros are written; 0: none */
    int sign_at;               /* digits before S */
    enum sign_place sign_place;
    bool has_zero, has_point, has_sign, has_minus, has_plus, has_bracket, has_roman, has_exponent,
        has_shift, is_filled, has_blank;
};

/* 42601 for parts that exclude each other, 54000 for a template of more than PARTS_MAX parts. */
MUST_CHECK enum err number_template_read(struct call *call, struct slice text,
                                         struct number_template *t);

/* Has it more digits before the point than that many places? */
bool number_is_too_long(struct numeric n, int places);

#endif
