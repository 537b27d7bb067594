/* What arena.c does not do with pages: giving some of a region back without giving up the region.
 *
 * A hint as memory_touch is: where the system refuses, the memory stays and nothing else changes.
 */
#include "storage/base/pages.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>

void pages_discard(void *p, size_t size)
{
    assert(((uintptr_t)p | size) % 4096 == 0);
    (void)madvise(p, size, MADV_DONTNEED);
}
