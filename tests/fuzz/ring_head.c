/* Fuzz target: bytes as the beginning of a connection. What the ring takes is a sound head to the
 * strict check too, with the same Host; it is taken at the same place however the bytes are cut;
 * what is left is left whatever comes behind it. */
#include "server/http/head.h"
#include "server/ring/head.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define BODY_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t cut = data[0] | (size_t)data[1] << 8;
    size -= 2;
    char *copy = malloc(size == 0 ? 1 : size);
    memcpy(copy, data + 2, size);
    cut = size == 0 ? 0 : cut % size;
    struct ring_head head, part;
    enum ring_verdict whole = ring_head_parse(slice_of(copy, size), BODY_MAX, &head);
    enum ring_verdict before = ring_head_parse(slice_of(copy, cut), BODY_MAX, &part);
    if (before == RING_LEAVE)
        assert(whole == RING_LEAVE);
    if (whole == RING_TAKE) {
        assert(head.size <= size && head.size <= RING_HEAD_SIZE_MAX);
        assert(head.body_size > 0 && head.body_size <= BODY_MAX);
        assert(memcmp(copy + head.size - 4, "\r\n\r\n", 4) == 0);
        assert(before == (cut < head.size ? RING_MORE : RING_TAKE));
        struct http_head check = http_head_check(slice_of(copy, size));
        assert(check.complaint == NULL);
        assert(slice_equal(check.host, head.values[RING_HOST]));
        for (size_t i = 0; i < RING_HEADER_COUNT; i++)
            assert(head.values[i].data == NULL ||
                   (head.values[i].data > copy && head.values[i].size > 0 &&
                    head.values[i].data + head.values[i].size < copy + head.size));
    }
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const struct slice seeds[] = {
        SLICE("\20\0POST /v1/ingest/t HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        SLICE("\60\0POST /v1/ingest/t?create=true HTTP/1.1\r\nhost: a\r\nContent-Type: text/csv\r\n"
              "Authorization: Bearer x\r\ncontent-length: 1048576\r\nUser-Agent: b/1\r\n"
              "Connection: keep-alive\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"),
        SLICE("\60\0POST /v1/ingest/t HTTP/1.1\r\nHost: a\r\nFreshet-Producer: p\r\n"
              "Freshet-Sequence: 1\r\nContent-Encoding: zstd\r\nContent-Length: 9\r\n\r\n"),
        SLICE("\5\0POST /v1/ingest/t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
        SLICE("\5\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    };
    return index < array_count(seeds) ? seeds[index] : (struct slice){0};
}
