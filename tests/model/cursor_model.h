/* Cursors in tests: no read fails there, and no filter leaves a morsel out. */
#ifndef FRESHET_TESTS_MODEL_CURSOR_MODEL_H
#define FRESHET_TESTS_MODEL_CURSOR_MODEL_H

#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>

static inline void test_must(enum err err, const struct error *error)
{
    if (err == OK)
        return;
    fprintf(stderr, "a cursor failed: %s\n", error->text);
    abort();
}

static inline void test_seek(struct cursor *cursor, size_t morsel)
{
    struct error error = {0};
    bool has;
    test_must(cursor_seek(cursor, morsel, &has, &error), &error);
}

static inline bool test_next(struct cursor *cursor, struct batch *batch)
{
    struct error error = {0};
    bool has;
    test_must(cursor_next(cursor, batch, &has, &error), &error);
    return has;
}

#endif
