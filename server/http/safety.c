/* The two rules that keep pages of other origins out of a server on loopback.
 *
 * Host: a page of evil.example whose name is re-pointed at 127.0.0.1 (DNS rebinding) sends Host:
 * evil.example, which is not a loopback name, so it is refused. Origin: a browser names the page's
 * origin in every POST and in every cross-origin GET; where that is not our own Host the request is
 * refused before it has an effect. Tools send no Origin and are not touched. */
#include "server/http/safety.h"

#include <stddef.h>

/* Without the port: "localhost:80" → "localhost", "[::1]:80" → "::1". Empty if malformed. */
static struct slice host_name(struct slice host)
{
    if (host.size > 0 && host.data[0] == '[') {
        const char *close = memchr(host.data, ']', host.size);
        return close == NULL ? slice_of("", 0)
                             : slice_of(host.data + 1, (size_t)(close - host.data) - 1);
    }
    const char *colon = host.size > 0 ? memchr(host.data, ':', host.size) : NULL;
    return colon == NULL ? host : slice_of(host.data, (size_t)(colon - host.data));
}

/* 127.0.0.0/8 in dotted form, ::1, localhost and names below it (RFC 6761). */
static bool is_loopback_name(struct slice name)
{
    static const char suffix[] = ".localhost";
    size_t suffix_size = sizeof(suffix) - 1;
    if (slice_equal_ignore_case(name, SLICE("localhost")) || slice_equal(name, SLICE("::1"))) {
        return true;
    }
    if (name.size > suffix_size &&
        slice_equal_ignore_case(slice_of(name.data + name.size - suffix_size, suffix_size),
                                SLICE(".localhost"))) {
        return true;
    }
    if (!slice_starts_with(name, SLICE("127."))) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] != '.' && (name.data[i] < '0' || name.data[i] > '9')) {
            return false;
        }
    }
    return true;
}

bool safety_host_is_ours(const struct safety *safety, struct slice host)
{
    struct slice name = host_name(host), bound = slice_from_cstr(safety->bind_host);
    if (name.size == 0) {
        return false;
    }
    bool is_wildcard = slice_equal(bound, SLICE("0.0.0.0")) || slice_equal(bound, SLICE("::"));
    return is_wildcard || is_loopback_name(name) || slice_equal_ignore_case(name, bound);
}

enum origin_verdict safety_judge_origin(const struct safety *safety, struct slice origin,
                                        struct slice host)
{
    if (origin.data == NULL) {
        return ORIGIN_NONE;
    }
    struct slice schemes[] = {SLICE("http://"), SLICE("https://")};
    for (size_t i = 0; i < array_count(schemes); i++) {
        if (slice_starts_with(origin, schemes[i]) &&
            slice_equal_ignore_case(
                slice_of(origin.data + schemes[i].size, origin.size - schemes[i].size), host)) {
            return ORIGIN_OWN;
        }
    }
    const char *at = safety->allowed_origins;
    while (*at != 0) {
        size_t size = strcspn(at, ", ");
        struct slice allowed = slice_of(at, size);
        if (size > 0 &&
            (slice_equal(allowed, SLICE("*")) || slice_equal_ignore_case(allowed, origin))) {
            return ORIGIN_ALLOWED;
        }
        at += size;
        at += strspn(at, ", ");
    }
    return ORIGIN_REFUSED;
}
