/* What tests over tables of texts share: every case that differs is said, so that one run shows
 * them all. Included behind cmocka.h, once a program. */
#ifndef FRESHET_TESTS_UNIT_STORAGE_CASES_H
#define FRESHET_TESTS_UNIT_STORAGE_CASES_H

#include "storage/base/bytes.h"
#include "storage/base/error.h"

#include <string.h>

static int wrong_count;

/* Compares what was printed to `out` (emptied), or the error's SQLSTATE, with `want`, which begins
 * with '!' where it is an SQLSTATE. */
static void check(const char *what, const char *input, enum err err, const struct error *error,
                  struct writer *out, const char *want)
{
    writer_u8(out, 0);
    const char *got = err == OK ? (const char *)out->data : error->sqlstate;
    if ((err == OK) != (want[0] != '!') || strcmp(got, want[0] == '!' ? want + 1 : want) != 0) {
        print_error("%s '%s': got %s%s, want %s\n", what, input, err == OK ? "" : "!", got, want);
        wrong_count++;
    }
    writer_reset(out);
}

#endif
