/* A program of tests that prepare statements over one catalogue: open before its first, closed
 * after its last. */
#ifndef FRESHET_TESTS_GROUP_H
#define FRESHET_TESTS_GROUP_H

#include "tests/unit/query/sql/prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct catalogue catalogue;

static int setup(void **state)
{
    (void)state;
    catalogue_open(&catalogue);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    catalogue_close(&catalogue);
    return 0;
}

#endif
