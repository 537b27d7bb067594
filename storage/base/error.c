/* The code tables behind error.h: one row a code, one row an SQLSTATE class. */
#include "storage/base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sqlstate;
    bool is_retryable;
} codes[ERR_COUNT] = {
    [OK] = {"ok", "00000", false},
    [ERR_MEMORY] = {"memory", "53200", true},
    [ERR_LIMIT] = {"limit", "54000", false},
    [ERR_IO] = {"io", "58030", true},
    [ERR_CORRUPT] = {"corrupt", "XX001", false},
    [ERR_INPUT] = {"input", "22000", false},
    [ERR_NOT_FOUND] = {"not_found", "42704", false},
    [ERR_EXISTS] = {"exists", "42710", false},
    [ERR_BUSY] = {"busy", "57P03", true},
    [ERR_TIMEOUT] = {"timeout", "57014", false},
    [ERR_CANCELLED] = {"cancelled", "57014", false},
    [ERR_UNSUPPORTED] = {"unsupported", "0A000", false},
    [ERR_SPACE] = {"space", "53100", true},
};

static const struct {
    const char *prefix;
    int status;
} statuses[] = {
    {"53100", 507}, {"53200", 422}, {"53300", 503}, {"54", 422},  {"57014", 504}, {"57P", 503},
    {"28", 401},    {"42501", 403}, {"08", 400},    {"0A", 400},  {"21", 400},    {"22", 400},
    {"23", 400},    {"25", 400},    {"26", 400},    {"2BP", 400}, {"34", 400},    {"3D", 400},
    {"3F", 400},    {"42", 400},    {"58030", 503},
};

/* Cuts a half-written UTF-8 character off the end of a full buffer. */
static void cut_partial_character(char *text, size_t capacity)
{
    size_t size = strlen(text);
    if (size + 1 < capacity)
        return;
    while (size > 0 && ((unsigned char)text[size - 1] & 0xC0) == 0x80)
        size--;
    if (size > 0 && (unsigned char)text[size - 1] >= 0xC0)
        size--;
    text[size] = '\0';
}

enum err error_set(struct error *error, enum err code, const char *sqlstate, const char *format,
                   ...)
{
    assert(code > OK && code < ERR_COUNT);
    if (error == NULL)
        return code;
    va_list arguments;
    *error = (struct error){.code = code};
    snprintf(error->sqlstate, sizeof(error->sqlstate), "%s",
             sqlstate != NULL ? sqlstate : codes[code].sqlstate);
    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    cut_partial_character(error->text, sizeof(error->text));
    return code;
}

void error_hint(struct error *error, const char *format, ...)
{
    va_list arguments;
    if (error == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(error->hint, sizeof(error->hint), format, arguments);
    va_end(arguments);
    cut_partial_character(error->hint, sizeof(error->hint));
}

const char *err_name(enum err code)
{
    assert(code >= OK && code < ERR_COUNT);
    return codes[code].name;
}

const char *err_sqlstate(enum err code)
{
    assert(code >= OK && code < ERR_COUNT);
    return codes[code].sqlstate;
}

bool err_is_retryable(enum err code)
{
    assert(code >= OK && code < ERR_COUNT);
    return codes[code].is_retryable;
}

int sqlstate_http_status(const char *sqlstate)
{
    for (size_t index = 0; index < sizeof(statuses) / sizeof(statuses[0]); index++)
        if (strncmp(sqlstate, statuses[index].prefix, strlen(statuses[index].prefix)) == 0)
            return statuses[index].status;
    return 500;
}

const char *http_status_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    };
    for (size_t index = 0; index < sizeof(titles) / sizeof(titles[0]); index++)
        if (titles[index].status == status)
            return titles[index].title;
    return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
}
