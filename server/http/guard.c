/* Authorization (RFC 7617, RFC 6750): one header, `Basic` with name and password or `Bearer` with a
 * token. Tokens, and passwords that were right lately, are looked up on the reactor; any other
 * password costs milliseconds of key derivation and is checked in its turn (entrance.c), unless no
 * attempt is left. */
#include "server/http/guard.h"

#include "server/access/access.h"
#include "server/access/crypto.h"

#define BASIC_SIZE_MAX (ROLE_NAME_MAX + 1 + PASSWORD_SIZE_MAX)

/* The word behind the scheme. False: it is another scheme. */
static bool is_scheme(struct slice header, struct slice scheme, struct slice *rest)
{
    if (header.size <= scheme.size || header.data[scheme.size] != ' ' ||
        !slice_equal_ignore_case(slice_of(header.data, scheme.size), scheme))
        return false;
    *rest = slice_trim(slice_of(header.data + scheme.size, header.size - scheme.size));
    return true;
}

static enum login check_basic(struct exchange *exchange, struct access *access, struct slice text,
                              bool is_quick, struct asker *out)
{
    char bytes[BASIC_SIZE_MAX];
    size_t size;
    struct slice name = slice_of("", 0), password = name;
    bool is_basic = base64_parse(text, bytes, sizeof(bytes), &size);
    const char *colon = is_basic ? memchr(bytes, ':', size) : NULL;
    if (colon != NULL) {
        name = slice_of(bytes, (size_t)(colon - bytes));
        password = slice_of(colon + 1, size - name.size - 1);
    }
    enum login login = access_login_password(access, name, password, exchange_client(exchange),
                                             is_quick, &exchange->arena, out);
    crypto_wipe(bytes, sizeof(bytes));
    return login;
}

enum guard guard_check(struct exchange *exchange, const struct guard_options *options)
{
    struct access *access = options->access;
    if (!access_has_users(access))
        return GUARD_PASS;
    if (options->is_tls_required && !exchange_is_private(exchange)) {
        exchange_answer_problem(exchange, 403, "28000",
                                "this server logs in by TLS only: ask https");
        return GUARD_ANSWERED;
    }
    struct slice header = exchange_request_header(exchange, "authorization"), rest;
    struct asker *asker = arena_alloc(&exchange->arena, sizeof(*asker));
    enum login login = LOGIN_WRONG;
    bool is_one = exchange_request_header_count(exchange, "authorization") == 1;
    if (is_one && is_scheme(header, SLICE("bearer"), &rest))
        login =
            access_login_token(access, rest, exchange_client(exchange), &exchange->arena, asker);
    else if (is_one && is_scheme(header, SLICE("basic"), &rest))
        login = check_basic(exchange, access, rest, options->is_quick, asker);
    switch (login) {
    case LOGIN_OK:
        exchange->asker = asker;
        return GUARD_PASS;
    case LOGIN_LATER:
        return GUARD_LATER;
    case LOGIN_LIMITED:
        exchange_add_header(exchange, "retry-after", "3");
        exchange_answer_problem(exchange, 429, "28000", "too many attempts to log in");
        return GUARD_ANSWERED;
    case LOGIN_WRONG:
        break;
    }
    exchange_add_header(exchange, "www-authenticate", "Basic realm=\"freshet\", charset=\"UTF-8\"");
    exchange_add_header(exchange, "www-authenticate", "Bearer realm=\"freshet\"");
    exchange_answer_problem(exchange, 401, header.data == NULL ? "28000" : "28P01",
                            header.data == NULL ? "this server wants a user: send Basic or Bearer"
                                                : "user and password, or the token, are not right");
    return GUARD_ANSWERED;
}
