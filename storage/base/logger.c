/* The structured log: time=… level=… msg="…", one line an event.
 *
 * The text may hold bytes from strangers (table names, error texts, file contents), so everything
 * that could end the line or the quote is escaped, and bytes that are not UTF-8 are written as
 * \xNN. A line is one fwrite, so lines of several threads never mix. Longer texts are cut. */
#include "storage/base/logger.h"

#include "storage/base/clock.h"
#include "storage/base/datetime.h"
#include "storage/base/slice.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define TEXT_SIZE_MAX 2048
#define HEAD_SIZE_MAX 128

static _Atomic int level_min = LOG_INFO; /* relaxed: a switch, orders nothing */
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void logger_set_level(enum log_level level)
{
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
}

/* Appends the escaped form of one character of `size` bytes; at most 4 bytes an input byte. */
static size_t escape_character(char *out, const char *text, size_t size, bool is_valid)
{
    unsigned char c = (unsigned char)text[0];
    bool is_control =
        c < 0x20 || c == 0x7F || (size == 2 && c == 0xC2 && (unsigned char)text[1] < 0xA0);
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c == '\n') {
        memcpy(out, "\\n", 2);
        return 2;
    }
    if (is_valid && !is_control) {
        memcpy(out, text, size);
        return size;
    }
    for (size_t index = 0; index < size; index++)
        snprintf(out + 4 * index, 5, "\\x%02x", (unsigned char)text[index]);
    return 4 * size;
}

static size_t escape(char *out, struct slice text)
{
    size_t used = 0;
    while (text.size > 0) {
        unsigned char lead = (unsigned char)text.data[0];
        size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        bool is_valid = size <= text.size && utf8_validate(slice_of(text.data, size)) == size;
        if (!is_valid)
            size = 1;
        used += escape_character(out + used, text.data, size, is_valid);
        text = slice_of(text.data + size, text.size - size);
    }
    return used;
}

void logger_write(enum log_level level, const char *format, ...)
{
    assert(level >= LOG_DEBUG && level <= LOG_ERROR);
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed))
        return;
    char text[TEXT_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size < 0)
        size = 0;
    if ((size_t)size >= sizeof(text))
        size = sizeof(text) - 1;
    char line[HEAD_SIZE_MAX + 4 * TEXT_SIZE_MAX];
    struct civil now;
    civil_from_time(clock_wall_us(), &now);
    int head = snprintf(
        line, HEAD_SIZE_MAX, "time=%04d-%02d-%02dT%02d:%02d:%02d.%06dZ level=%s msg=\"", now.year,
        now.month, now.day, now.hour, now.minute, now.second, now.microsecond, level_names[level]);
    assert(head > 0 && head < HEAD_SIZE_MAX);
    size_t used = (size_t)head;
    used += escape(line + used, slice_of(text, (size_t)size));
    memcpy(line + used, "\"\n", 2);
    fwrite(line, 1, used + 2, stderr);
}

bool logger_limit_pass(struct logger_limit *limit, int burst, int64_t period_us, uint64_t *held)
{
    int64_t now_us = clock_monotonic_us(), next_us;
    int64_t full_us = atomic_load_explicit(&limit->full_us, memory_order_relaxed);
    assert(burst > 0 && period_us > 0);
    do {
        next_us = (full_us > now_us ? full_us : now_us) + period_us;
        if (next_us - now_us > burst * period_us) {
            atomic_fetch_add_explicit(&limit->held, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&limit->full_us, &full_us, next_us,
                                                    memory_order_relaxed, memory_order_relaxed));
    *held = atomic_exchange_explicit(&limit->held, 0, memory_order_relaxed);
    return true;
}
