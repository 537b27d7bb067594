/* Fuzz target: bytes as the file of the users. It decodes or refuses; what decodes encodes to bytes
 * that decode to the same. Byte 0 chooses: 1 mend the checksum. */
#include "server/access/roles.h"
#include "storage/base/arena.h"
#include "storage/base/hash.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct role_set set, again;
    if (size < 1)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    size--;
    if ((data[0] & 1) != 0 && size >= 4) {
        uint32_t crc = crc32c(0, copy, size - 4);
        memcpy(copy + size - 4, &crc, sizeof(crc));
    }
    struct verifier verifier;
    (void)verifier_parse(slice_of(copy, size), &verifier);
    if (role_set_decode(slice_of(copy, size), &set, NULL) == OK) {
        struct writer first, second;
        writer_init(&first);
        writer_init(&second);
        role_set_encode(&set, &first);
        enum err result = role_set_decode(writer_as_slice(&first), &again, NULL);
        assert(result == OK);
        role_set_encode(&again, &second);
        assert(slice_equal(writer_as_slice(&first), writer_as_slice(&second)));
        writer_deinit(&first);
        writer_deinit(&second);
        role_set_deinit(&again);
    }
    role_set_deinit(&set);
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static struct writer bytes;
    struct role_set set;
    struct role *role;
    static const char *const names[] = {"ann", "bea", "carl"};
    if (index > array_count(names))
        return slice_of("", 0);
    role_set_init(&set);
    for (size_t i = 0; i < index; i++) {
        enum err result = role_set_add(&set, slice_from_cstr(names[i]), &role, NULL);
        assert(result == OK);
        role->kind = (enum role_kind)i;
        role->has_verifier = i != 1;
        if (role->has_verifier)
            role->verifier = (struct verifier){.iterations = 4096, .salt_size = 16};
        role->token_count = (uint32_t)i % 3;
        for (uint32_t table = 1; table <= i * 3; table++) {
            result = role_grant(role, table, RIGHT_SELECT, NULL);
            assert(result == OK);
        }
    }
    if (bytes.capacity == 0)
        writer_init(&bytes);
    writer_reset(&bytes);
    writer_u8(&bytes, 1);
    role_set_encode(&set, &bytes);
    role_set_deinit(&set);
    return writer_as_slice(&bytes);
}
