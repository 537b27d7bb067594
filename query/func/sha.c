/* SHA-2 (FIPS 180-4): words of 32 bits for 224 and 256, of 64 for 384 and 512. */
#include "query/func/text.h"

#include <string.h>

static const uint64_t round_words[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
    0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
    0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
    0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
    0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
    0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
    0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
    0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};

struct sha {
    bool is_wide;
    uint64_t state[8];
};

static uint64_t rotate(const struct sha *sha, uint64_t x, unsigned by)
{
    if (sha->is_wide)
        return x >> by | x << (64 - by);
    uint32_t y = (uint32_t)x;
    return (uint32_t)(y >> by | y << (32 - by));
}

static uint64_t three(const struct sha *sha, uint64_t x, const uint8_t by[3], bool has_shift)
{
    uint64_t last = has_shift ? x >> by[2] : rotate(sha, x, by[2]);
    return rotate(sha, x, by[0]) ^ rotate(sha, x, by[1]) ^ last;
}

static void sha_block(struct sha *sha, const uint8_t *block)
{
    static const uint8_t by[2][4][3] = {{{7, 18, 3}, {17, 19, 10}, {6, 11, 25}, {2, 13, 22}},
                                        {{1, 8, 7}, {19, 61, 6}, {14, 18, 41}, {28, 34, 39}}};
    const uint8_t(*turn)[3] = by[sha->is_wide];
    size_t width = sha->is_wide ? 8 : 4, rounds = sha->is_wide ? 80 : 64;
    uint64_t mask = sha->is_wide ? UINT64_MAX : UINT32_MAX, w[80], s[8];
    for (size_t i = 0; i < 16; i++) {
        w[i] = 0;
        for (size_t k = 0; k < width; k++)
            w[i] = w[i] << 8 | block[i * width + k];
    }
    for (size_t i = 16; i < rounds; i++)
        w[i] = (w[i - 16] + three(sha, w[i - 15], turn[0], true) + w[i - 7] +
                three(sha, w[i - 2], turn[1], true)) &
               mask;
    memcpy(s, sha->state, sizeof(s));
    for (size_t i = 0; i < rounds; i++) {
        uint64_t word = sha->is_wide ? round_words[i] : round_words[i] >> 32;
        uint64_t first = s[7] + three(sha, s[4], turn[2], false) +
                         ((s[4] & s[5]) ^ (~s[4] & s[6])) + word + w[i];
        uint64_t second =
            three(sha, s[0], turn[3], false) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] = (s[4] + first) & mask;
        s[0] = (first + second) & mask;
    }
    for (size_t i = 0; i < 8; i++)
        sha->state[i] = (sha->state[i] + s[i]) & mask;
}

static enum err sha_run(struct sha *sha, struct slice text, struct call *call, size_t result_size,
                        uint8_t *out)
{
    size_t block = sha->is_wide ? 128 : 64, at = 0;
    uint8_t last[256] = {0};
    struct labour labour = {.call = call};
    for (; text.size - at >= block; at += block) {
        sha_block(sha, (const uint8_t *)text.data + at);
        enum err err = labour_step(&labour, 4 * block); /* slower than a copy */
        if (err != OK)
            return err;
    }
    size_t rest = text.size - at, size = rest + (sha->is_wide ? 17 : 9) > block ? 2 * block : block;
    if (rest > 0)
        memcpy(last, text.data + at, rest);
    last[rest] = 0x80;
    uint64_t bits = (uint64_t)text.size * 8;
    for (size_t i = 0; i < 8; i++)
        last[size - 1 - i] = (uint8_t)(bits >> 8 * i);
    for (size_t i = 0; i < size; i += block)
        sha_block(sha, last + i);
    size_t width = sha->is_wide ? 8 : 4;
    for (size_t i = 0; i < result_size; i++)
        out[i] = (uint8_t)(sha->state[i / width] >> 8 * (width - 1 - i % width));
    return OK;
}

enum { SHA224, SHA256, SHA384, SHA512 };

static enum err sha_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    static const uint64_t starts[4][8] = {
        {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7,
         0xbefa4fa4},
        {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
         0x5be0cd19},
        {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
         0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4},
        {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
         0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179}};
    static const size_t sizes[] = {28, 32, 48, 64};
    int operation = call->function->operation;
    struct sha sha = {.is_wide = operation >= SHA384};
    memcpy(sha.state, starts[operation], sizeof(sha.state));
    uint8_t *bytes = arena_alloc(call->arena, 64);
    enum err err = sha_run(&sha, a[0].text, call, sizes[operation], bytes);
    out->text = slice_of(bytes, sizes[operation]);
    return err;
}

#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("sha224", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA224, sha_row, "the SHA-224 digest",
      "sha224('abc'::bytea)")
    F("sha256", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA256, sha_row, "the SHA-256 digest",
      "sha256('abc'::bytea)")
    F("sha384", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA384, sha_row, "the SHA-384 digest",
      "sha384('abc'::bytea)")
    F("sha512", 1, LIST(TYPE_BYTEA), TYPE_BYTEA, SHA512, sha_row, "the SHA-512 digest",
      "sha512('abc'::bytea)")
};
/* clang-format on */

const struct function_group functions_sha = {functions, array_count(functions)};
