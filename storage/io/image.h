/* The content of a simulated file: pages that copies share until one of them is written. Private to
 * storage/io. */
#ifndef FRESHET_STORAGE_IO_IMAGE_H
#define FRESHET_STORAGE_IO_IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct image_page;

struct image {
    struct image_page **pages; /* NULL: zeros */
    size_t page_count;
    uint64_t size;
};

void image_deinit(struct image *image);
void image_copy(struct image *target,
                const struct image *source); /* `target` is overwritten, not freed */
void image_write(struct image *image, const void *data, size_t size, uint64_t offset);
/* Bytes read: less than `size` at the end. */
size_t image_read(const struct image *image, void *data, size_t size, uint64_t offset);
void image_resize(struct image *image, uint64_t size); /* what is new is zeros */

#endif
