/* Request targets. Strict where a lenient reading could mean two things: a broken escape is an
 * error, not a literal '%'. */
#include "server/http/target.h"

struct slice target_origin_form(struct slice target)
{
    if (!slice_starts_with(target, SLICE("http://"))) {
        return target;
    }
    const char *slash = memchr(target.data + 7, '/', target.size - 7);
    return slash == NULL ? SLICE("/")
                         : slice_of(slash, target.size - (size_t)(slash - target.data));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

enum err target_decode(struct slice text, bool plus_is_blank, struct arena *arena,
                       struct slice *out, struct error *error)
{
    char *data = arena_alloc(arena, text.size);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return error_set(error, ERR_INPUT, "22023",
                                 "a %% in the target is not followed by two hexadecimal digits");
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == 0) {
            return error_set(error, ERR_INPUT, "22021", "the target has a zero byte");
        }
        data[size++] = c;
    }
    *out = slice_of(data, size);
    if (utf8_validate(*out) != size) {
        return error_set(error, ERR_INPUT, "22021", "the target is not UTF-8");
    }
    return OK;
}

enum err target_next_parameter(struct slice *rest, struct arena *arena,
                               struct target_parameter *out, struct error *error)
{
    while (rest->size > 0 && rest->data[0] == '&') {
        *rest = slice_of(rest->data + 1, rest->size - 1);
    }
    if (rest->size == 0) {
        return ERR_NOT_FOUND;
    }
    const char *ampersand = memchr(rest->data, '&', rest->size);
    struct slice part =
        slice_of(rest->data, ampersand == NULL ? rest->size : (size_t)(ampersand - rest->data));
    *rest = slice_of(rest->data + part.size, rest->size - part.size);
    const char *equals = memchr(part.data, '=', part.size);
    size_t name_size = equals == NULL ? part.size : (size_t)(equals - part.data);
    struct slice value =
        equals == NULL ? slice_of("", 0) : slice_of(equals + 1, part.size - name_size - 1);
    enum err result = target_decode(slice_of(part.data, name_size), true, arena, &out->name, error);
    return result != OK ? result : target_decode(value, true, arena, &out->value, error);
}
