/* Fuzz target: two messages of a client to SCRAM, parted by a zero byte; the first byte chooses TLS
 * (1) and the mechanism (2). Nobody who does not know the password is right. */
#include "server/access/scram.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct verifier verifier = {.iterations = 4096, .salt_size = 16};
    struct scram scram;
    struct writer out;
    bool is_right = false;
    if (size < 1)
        return 0;
    char *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    struct slice first = slice_of(copy, size - 1), final = slice_of(copy, 0);
    const char *zero = memchr(first.data, 0, first.size);
    if (zero != NULL) {
        first.size = (size_t)(zero - copy);
        final = slice_of(zero + 1, size - 2 - first.size);
    }
    writer_init(&out);
    scram_init(&scram, &verifier,
               (data[0] & 1) != 0 ? SLICE("a hash of 32 bytes, of something") : SLICE(""),
               "server");
    struct slice mechanism =
        (data[0] & 2) != 0 ? SLICE("SCRAM-SHA-256-PLUS") : SLICE("SCRAM-SHA-256");
    if (scram_first(&scram, mechanism, first, &out, NULL) == OK) {
        enum err result = scram_final(&scram, final, &is_right, &out, NULL);
        (void)result;
        assert(!is_right);
    }
    scram_deinit(&scram);
    writer_deinit(&out);
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
#define PROOF "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    static const struct slice seeds[] = {
        SLICE("\0n,,n=,r=client\0c=biws,r=clientserver," PROOF),
        SLICE("\1n,,n=,r=client\0c=biws,r=clientserver,x=y," PROOF),
        SLICE("\3p=tls-server-end-point,,n=,r=client\0c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws,r="
              "clientserver," PROOF),
        SLICE("\0y,,n=a,r=client,x=1\0c=eSws,r=clientserver," PROOF),
        SLICE("\0n,a=b,n=,r=client"),
    };
    return index < array_count(seeds) ? seeds[index] : slice_of("", 0);
}
