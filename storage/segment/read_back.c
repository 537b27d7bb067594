/* Reading a new segment back.
 *
 * What the disk has is what was written: a write that was lost, or went elsewhere, is found before
 * the inputs are let go. Pages are held against the checksums that were made while they were
 * written; what they mean is not looked at, check.c does that. The file is read once, in order,
 * past the page cache, into memory that sealing has had for what it wrote. */
#include "storage/segment/read_back.h"

struct checker {
    struct pauser *pauser;
    struct io *io;
    struct io_file *file;
    const char *path;
    uint64_t number, file_size;
    char *buffer; /* READ_BACK_SIZE: of them `held` of the file, from `begin` on */
    uint64_t begin;
    size_t held;
};

/* The file from the block on that has the byte. */
static enum err hold(struct checker *checker, uint64_t at, struct error *error)
{
    uint64_t begin = at / IO_ALIGNMENT * IO_ALIGNMENT;
    uint64_t end = checker->file_size < at ? at + 1 : checker->file_size;
    uint64_t whole = (end - begin + IO_ALIGNMENT - 1) / IO_ALIGNMENT * IO_ALIGNMENT;
    size_t size = whole < READ_BACK_SIZE ? (size_t)whole : READ_BACK_SIZE;
    checker->begin = begin;
    checker->held = 0;
    return checker->io->ops->read(checker->file, checker->buffer, size, begin, &checker->held,
                                  error);
}

/* A page, by what is held of the file: asked for in the order of the file, all of it is read once.
 */
static enum err check_page(struct checker *checker, const struct sealed_page *page,
                           struct error *error)
{
    uint64_t end = page->offset + page->size;
    struct hash_stream hash;
    sealed_checksum_begin(checker->number, page->ordinal, &hash);
    for (uint64_t at = page->offset; at < end;) {
        if (at < checker->begin || at >= checker->begin + checker->held) {
            enum err err = hold(checker, at, error);
            if (err != OK)
                return err;
        }
        uint64_t upto = checker->begin + checker->held;
        upto = upto < end ? upto : end;
        if (upto <= at)
            break;
        hash_stream_add(&hash, checker->buffer + (at - checker->begin), (size_t)(upto - at));
        at = upto;
        if (!pauser_go_on(checker->pauser))
            return error_set(error, ERR_CANCELLED, NULL, "sealing was given up");
    }
    if (hash_stream_end(&hash) != page->checksum)
        return error_set(error, ERR_CORRUPT, NULL,
                         "%s does not hold at offset %llu what was written there", checker->path,
                         (unsigned long long)page->offset);
    return OK;
}

/* The order in which they were written: columns, indexes, the footer. */
static enum err check_pages(struct checker *checker, const struct sealed_footer *contents,
                            const struct sealed_page *footer, struct error *error)
{
    enum err err = OK;
    for (uint32_t i = 0; err == OK && i < contents->column_count; i++) {
        const struct sealed_column *column = &contents->columns[i];
        if (column->dictionary.size != 0)
            err = check_page(checker, &column->dictionary, error);
        for (uint32_t b = 0; err == OK && b < contents->block_count; b++)
            err = check_page(checker, &column->blocks[b].page, error);
    }
    for (uint32_t i = 0; err == OK && i < contents->column_count; i++) {
        if (contents->columns[i].index.size != 0)
            err = check_page(checker, &contents->columns[i].index, error);
    }
    return err == OK ? check_page(checker, footer, error) : err;
}

enum err read_back(const struct read_back_options *options, struct error *error)
{
    struct io *io = options->io;
    const struct sealed_info *info = options->info;
    char path[SEALED_PATH_SIZE];
    sealed_path(options->directory, info->number, path, sizeof(path));
    struct checker checker = {.pauser = options->pauser,
                              .io = io,
                              .path = path,
                              .buffer = options->buffer,
                              .number = info->number,
                              .file_size = info->bytes};
    enum err err = io->ops->open(io, path, IO_DIRECT, &checker.file, error);
    if (err != OK)
        return err;
    const struct sealed_page footer = {.offset = info->footer_offset,
                                       .size = info->footer_size,
                                       .ordinal = FOOTER_ORDINAL,
                                       .checksum = info->footer_checksum};
    err = check_pages(&checker, options->footer, &footer, error);
    enum err closed = io->ops->close(checker.file, err == OK ? error : NULL);
    if (err == OK)
        err = closed;
    if (err != OK)
        (void)io->ops->unlink(io, path, NULL);
    return err;
}
