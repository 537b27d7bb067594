/* Shared pages of simulated files. A copy costs a pointer a page; a page is copied when it is
 * written while shared. A page of zeros is no page, so pre-written files cost nothing. */
#include "storage/io/image.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <string.h>

#define PAGE_SIZE ((size_t)4096)

struct image_page {
    uint32_t ref_count;
    char data[PAGE_SIZE];
};

static const char zeros[PAGE_SIZE];

static void page_unref(struct image_page *page)
{
    if (page != NULL && --page->ref_count == 0)
        memory_free(page);
}

void image_deinit(struct image *image)
{
    for (size_t index = 0; index < image->page_count; index++)
        page_unref(image->pages[index]);
    memory_free(image->pages);
    *image = (struct image){0};
}

void image_copy(struct image *target, const struct image *source)
{
    *target = *source;
    if (source->page_count == 0) {
        target->pages = NULL;
        return;
    }
    target->pages = memory_alloc(source->page_count * sizeof(*target->pages));
    memcpy(target->pages, source->pages, source->page_count * sizeof(*target->pages));
    for (size_t index = 0; index < source->page_count; index++)
        if (source->pages[index] != NULL)
            source->pages[index]->ref_count++;
}

static void grow(struct image *image, uint64_t size)
{
    size_t count = (size_t)((size + PAGE_SIZE - 1) / PAGE_SIZE);
    if (count > image->page_count) {
        image->pages = memory_realloc(image->pages, count * sizeof(*image->pages));
        memset(&image->pages[image->page_count], 0,
               (count - image->page_count) * sizeof(*image->pages));
        image->page_count = count;
    }
    if (size > image->size)
        image->size = size;
}

static struct image_page *own_page(struct image *image, size_t index)
{
    struct image_page *page = image->pages[index];
    if (page != NULL && page->ref_count == 1)
        return page;
    struct image_page *own = memory_alloc(sizeof(*own));
    own->ref_count = 1;
    memcpy(own->data, page == NULL ? zeros : page->data, PAGE_SIZE);
    page_unref(page);
    image->pages[index] = own;
    return own;
}

void image_write(struct image *image, const void *data, size_t size, uint64_t offset)
{
    const char *source = data;
    grow(image, offset + size);
    while (size > 0) {
        size_t index = (size_t)(offset / PAGE_SIZE);
        size_t skip = (size_t)(offset % PAGE_SIZE);
        size_t step = PAGE_SIZE - skip < size ? PAGE_SIZE - skip : size;
        if (step == PAGE_SIZE && memcmp(source, zeros, PAGE_SIZE) == 0) {
            page_unref(image->pages[index]);
            image->pages[index] = NULL;
        } else {
            memcpy(own_page(image, index)->data + skip, source, step);
        }
        source += step;
        offset += step;
        size -= step;
    }
}

size_t image_read(const struct image *image, void *data, size_t size, uint64_t offset)
{
    if (offset >= image->size)
        return 0;
    if (size > image->size - offset)
        size = (size_t)(image->size - offset);
    char *target = data;
    for (size_t left = size; left > 0;) {
        const struct image_page *page = image->pages[offset / PAGE_SIZE];
        size_t skip = (size_t)(offset % PAGE_SIZE);
        size_t step = PAGE_SIZE - skip < left ? PAGE_SIZE - skip : left;
        if (page == NULL)
            memset(target, 0, step);
        else
            memcpy(target, page->data + skip, step);
        target += step;
        offset += step;
        left -= step;
    }
    return size;
}

void image_resize(struct image *image, uint64_t size)
{
    if (size >= image->size) {
        grow(image, size);
        return;
    }
    size_t count = (size_t)((size + PAGE_SIZE - 1) / PAGE_SIZE);
    for (size_t index = count; index < image->page_count; index++) {
        page_unref(image->pages[index]);
        image->pages[index] = NULL;
    }
    size_t skip = (size_t)(size % PAGE_SIZE);
    if (skip != 0 && image->pages[count - 1] != NULL)
        memset(own_page(image, count - 1)->data + skip, 0, PAGE_SIZE - skip);
    image->size = size;
}
