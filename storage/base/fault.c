/* The one planted fault. See fault.h. */
#include "storage/base/fault.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

atomic_bool fault_is_planted;
static char planted[64];

void fault_plant(const char *name)
{
    assert(strlen(name) < sizeof(planted));
    snprintf(planted, sizeof(planted), "%s", name);
    atomic_store(&fault_is_planted, true);
}

void fault_clear(void)
{
    atomic_store(&fault_is_planted, false);
}

bool fault_matches(const char *name)
{
    return strcmp(planted, name) == 0;
}
