/* Pages of large regions: beside memory_alloc_huge and memory_touch of arena.h. */
#ifndef FRESHET_STORAGE_BASE_PAGES_H
#define FRESHET_STORAGE_BASE_PAGES_H

#include <stddef.h>

/* Gives pages back to the system; they read as zeros then and cost a fault again when touched.
 * Address and size are multiples of 4,096. */
void pages_discard(void *p, size_t size);

#endif
