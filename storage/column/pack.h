/* Texts that lie scattered, one behind the other. */
#ifndef FRESHET_STORAGE_COLUMN_PACK_H
#define FRESHET_STORAGE_COLUMN_PACK_H

#include "storage/base/slice.h"

#include <stdint.h>

/* The first sizes[i] bytes of each text to `out`, which has `size` bytes, the sum of sizes[0 ..
 * count). Where sizes[i] is 0 the text is not looked at. `out` overlaps none of the texts. Any
 * thread. */
void pack_texts(const struct slice *texts, const uint32_t *sizes, size_t count, char *out,
                size_t size);

#endif
