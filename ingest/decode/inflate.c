/* Content encodings: gzip (RFC 1952, several members in sequence) and zstd (RFC 8878, several
 * frames, windows of at most 8 MiB).
 *
 * Output grows with what the input really gives, doubling, and stops at the limit: a bomb costs its
 * limit and no more. Input that ends early, has a wrong checksum or rubbish behind its last member
 * is refused whole; members without content are free to make, so their number is bounded. */
#include "ingest/decode/decode.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zlib.h>
#include <zstd.h>

#include <assert.h>

#define ZSTD_WINDOW_LOG_MAX 23 /* 8 MiB */
#define MEMBERS_MAX 65536
#define STEP_FIRST ((size_t)64 << 10)

static enum err too_large(size_t limit, struct error *error)
{
    return error_set(error, ERR_LIMIT, "54000",
                     "the body is larger than %zu bytes when inflated; freshet load splits files",
                     limit);
}

static enum err damaged(const char *what, struct error *error)
{
    return error_set(error, ERR_INPUT, "22P04", "the body is not valid %s", what);
}

/* Room at the end of `out`, at most up to one byte past the limit so that crossing it shows. */
static void *reserve(struct writer *out, size_t limit, size_t *room)
{
    size_t step = out->size < STEP_FIRST ? STEP_FIRST : out->size;
    *room = step < limit + 1 - out->size ? step : limit + 1 - out->size;
    return writer_reserve(out, *room);
}

static enum err inflate_gzip(struct slice in, size_t limit, struct writer *out, struct error *error)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)in.data, .avail_in = (uInt)in.size};
    if (inflateInit2(&stream, 15 + 16) != Z_OK)
        return error_set(error, ERR_MEMORY, NULL, "no memory to inflate");
    enum err err = OK;
    for (size_t members = 1;;) {
        size_t room;
        stream.next_out = reserve(out, limit, &room);
        stream.avail_out = (uInt)room;
        int result = inflate(&stream, Z_NO_FLUSH);
        out->size += room - stream.avail_out;
        if (out->size > limit) {
            err = too_large(limit, error);
            break;
        }
        if (result == Z_STREAM_END) {
            if (stream.avail_in == 0)
                break;
            if (++members > MEMBERS_MAX || inflateReset(&stream) != Z_OK) {
                err = damaged("gzip: too many members", error);
                break;
            }
        } else if (result != Z_OK || (stream.avail_in == 0 && stream.avail_out != 0)) {
            err = damaged("gzip", error);
            break;
        }
    }
    inflateEnd(&stream);
    return err;
}

static enum err inflate_zstd(struct slice in, size_t limit, struct writer *out, struct error *error)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        return error_set(error, ERR_MEMORY, NULL, "no memory to inflate");
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    ZSTD_inBuffer source = {.src = in.data, .size = in.size};
    enum err err = OK;
    size_t left = 1;
    while (source.pos < source.size || left != 0) {
        size_t room;
        void *data = reserve(out, limit, &room);
        ZSTD_outBuffer target = {.dst = data, .size = room};
        size_t consumed = source.pos;
        left = ZSTD_decompressStream(context, &target, &source);
        out->size += target.pos;
        if (ZSTD_isError(left)) {
            err = damaged("zstd", error);
            break;
        }
        if (out->size > limit) {
            err = too_large(limit, error);
            break;
        }
        if (left != 0 && source.pos == source.size && source.pos == consumed && target.pos == 0) {
            err = damaged("zstd: it ends early", error);
            break;
        }
    }
    ZSTD_freeDCtx(context);
    return err;
}

enum err decode_inflate(struct slice in, enum ingest_encoding encoding, size_t limit,
                        struct writer *out, struct error *error)
{
    assert(out->size == 0);
    assert(limit < SIZE_MAX / 2);
    if (in.size > UINT32_MAX)
        return too_large(limit, error);
    switch (encoding) {
    case INGEST_PLAIN:
        break;
    case INGEST_GZIP:
        return inflate_gzip(in, limit, out, error);
    case INGEST_ZSTD:
        return inflate_zstd(in, limit, out, error);
    }
    if (in.size > limit)
        return too_large(limit, error);
    writer_slice(out, in);
    return OK;
}
