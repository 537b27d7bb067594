/* What the reading and the writing side of bitmap indexes share. Bytes: storage/segment/FORMAT.md.
 */
#ifndef FRESHET_STORAGE_INDEX_BITMAP_PRIVATE_H
#define FRESHET_STORAGE_INDEX_BITMAP_PRIVATE_H

#include "storage/index/bitmap.h"

#define BITMAP_MAGIC 0x31584d42u /* "BMX1" */
#define BITMAP_ROWS_MAX (UINT32_C(1) << 27)
#define BITMAP_GROUP_KEYS 64
#define BITMAP_PAUSE_ROWS 65536
#define ROARING_ARRAY_MAX 4096 /* values of an array container */

enum bitmap_form { BITMAP_DELTAS = 0, BITMAP_ROARING = 1 };

/* deltas.c: exactly `count` ascending rows below row_count into `rows`; false: the bytes say
 * something else, and `rows` has anything. */
bool deltas_read(struct slice list, uint32_t count, uint32_t row_count, uint32_t *rows);

#define DELTA_SIZE_MAX 5u /* bytes of a distance */
#define DELTAS_ROOM 32u   /* may be written behind the last one */
/* The list of ascending rows; returns its end. *neighbours: how many are right behind another, or
 * row 1 at the beginning. */
uint8_t *deltas_write(const uint32_t *rows, uint32_t count, uint8_t *to, uint32_t *neighbours);

/* Ascending rows in CRoaring's portable format, runs found; returns the size. */
size_t bitmap_roaring_write(const uint32_t *rows, uint32_t count, struct writer *out);

#endif
