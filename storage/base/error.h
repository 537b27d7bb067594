/* Errors: what every fallible function returns, and what a caller is told.
 *
 * `enum err` is the machine's word for it; `struct error` is the person's: SQLSTATE, text, hint and
 * the place in the input. Fixed size, no allocation, written only on failure. */
#ifndef FRESHET_STORAGE_BASE_ERROR_H
#define FRESHET_STORAGE_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))

enum err {
    OK = 0,
    ERR_MEMORY,  /* the allocator or a hard limit of the machine */
    ERR_LIMIT,   /* a configured limit: memory budget, depth, size */
    ERR_IO,      /* the disk or the peer failed */
    ERR_CORRUPT, /* stored bytes are not what was written */
    ERR_INPUT,   /* the caller's input is wrong; `text_position` names the place */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_BUSY, /* try again: in progress, starting, stopping */
    ERR_TIMEOUT,
    ERR_CANCELLED,
    ERR_UNSUPPORTED, /* a feature that is not there yet: SQLSTATE 0A000 */
    ERR_SPACE,       /* disk full */
    ERR_COUNT
};

struct error {
    enum err code;
    char sqlstate[6];
    int os_error;          /* errno, 0 if none */
    int64_t text_position; /* 1-based character in the SQL text or input, 0 if none */
    char text[512];
    char hint[256];
};

/* Fills *error (which may be NULL) and returns `code`. `sqlstate` NULL takes the code's default.
 * The hint is cleared; set it with error_hint(). The text is cut at a character boundary. */
enum err error_set(struct error *error, enum err code, const char *sqlstate, const char *format,
                   ...) PRINTF_LIKE(4, 5);
void error_hint(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* "input", "not_found" …; and the default SQLSTATE of a code. Never NULL. */
const char *err_name(enum err code);
const char *err_sqlstate(enum err code);
bool err_is_retryable(enum err code);

/* HTTP status of an SQLSTATE by one table: 400 for classes 08 0A 21 …, 422 for 53200
 * and 54xxx, 504 for 57014, 507 for 53100, 500 for XX and whatever is unknown. */
int sqlstate_http_status(const char *sqlstate);
/* The reason phrase of a status (RFC 9110, 4918 for 507): of the status line and a problem's title.
 */
const char *http_status_title(int status);

#endif
