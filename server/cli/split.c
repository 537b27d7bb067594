/* Splitting files.
 *
 * The cut depends on nothing but the bytes and size_max: part n of a file is the same in every run,
 * which is what makes a sequence number out of n. For that the caller must offer at least size_max
 * bytes unless the input ends. */
#include "server/cli/split.h"

static bool ends_with(struct slice name, struct slice suffix)
{
    return name.size >= suffix.size &&
           slice_equal_ignore_case(slice_of(name.data + name.size - suffix.size, suffix.size),
                                   suffix);
}

enum split_format split_guess(struct slice name, struct slice start)
{
    if (ends_with(name, SLICE(".csv"))) {
        return SPLIT_CSV;
    }
    struct slice text = slice_trim(start);
    if (text.size > 0 && text.data[0] == '[') {
        return SPLIT_WHOLE;
    }
    if (text.size > 0 && text.data[0] == '{') {
        const char *newline = memchr(text.data, '\n', text.size);
        size_t size = newline == NULL ? text.size : (size_t)(newline - text.data);
        struct slice line = slice_trim(slice_of(text.data, size));
        return newline == NULL || line.data[line.size - 1] == '}' ? SPLIT_LINES : SPLIT_WHOLE;
    }
    bool is_json = ends_with(name, SLICE(".ndjson")) || ends_with(name, SLICE(".jsonl")) ||
                   ends_with(name, SLICE(".json"));
    return is_json ? SPLIT_LINES : SPLIT_CSV;
}

/* The offset behind the record that starts at `at`; 0 if it does not end. */
static size_t record_end(enum split_format format, struct slice text, size_t at)
{
    bool is_quoted = false;
    for (size_t i = at; i < text.size; i++) {
        if (format == SPLIT_CSV && text.data[i] == '"') {
            is_quoted = !is_quoted;
        } else if (text.data[i] == '\n' && !is_quoted) {
            return i + 1;
        }
    }
    return 0;
}

size_t split_part(enum split_format format, struct slice text, bool is_last, size_t size_max)
{
    if (format == SPLIT_WHOLE) {
        return is_last ? text.size : 0;
    }
    size_t part = 0;
    while (part < text.size) {
        size_t end = record_end(format, text, part);
        if (end == 0) {
            bool fits = is_last && (text.size <= size_max || part == 0);
            return fits ? text.size : is_last || text.size >= size_max ? part : 0;
        }
        if (end > size_max) {
            return part > 0 ? part : end;
        }
        part = end;
    }
    return is_last || text.size >= size_max ? part : 0;
}

size_t split_header(struct slice text, bool is_last)
{
    size_t end = record_end(SPLIT_CSV, text, 0);
    return end > 0 ? end : is_last ? text.size : 0;
}
