/* Faults planted one by one, each of which a test must see: a check that nothing fails proves
 * nothing. */
#ifndef FRESHET_TESTS_UNIT_PLANTED_H
#define FRESHET_TESTS_UNIT_PLANTED_H

#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* `is_seen` looks whether anything is wrong; it asserts nothing that a fault may break. */
static inline void planted_are_seen(const char *const *faults, size_t count,
                                    bool (*is_seen)(void *context), void *context)
{
    for (size_t i = 0; i < count; i++) {
        fault_plant(faults[i]);
        bool is = is_seen(context);
        fault_clear();
        if (!is)
            fail_msg("%s is not found", faults[i]);
    }
}

#endif
