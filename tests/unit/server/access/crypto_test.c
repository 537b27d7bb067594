/* Known answers of the primitives, and Base64 both ways. */
#include "server/access/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void print_hex(const uint8_t *bytes, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    out[2 * size] = 0;
}

static void test_known_answers(void **state)
{
    (void)state;
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    crypto_sha256(SLICE("abc"), digest); /* FIPS 180-4 */
    print_hex(digest, DIGEST_SIZE, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_hmac(SLICE("Jefe"), SLICE("what do ya want for nothing?"), digest); /* RFC 4231, 4.3 */
    print_hex(digest, DIGEST_SIZE, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    crypto_pbkdf2(SLICE("passwd"), SLICE("salt"), 1, digest); /* RFC 7914, 11 */
    print_hex(digest, DIGEST_SIZE, hex);
    assert_string_equal(hex, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < array_count(cases); i++) {
        char text[32];
        uint8_t bytes[32];
        size_t size, plain_size = strlen(cases[i].plain);
        base64_print(cases[i].plain, plain_size, text);
        assert_string_equal(text, cases[i].text);
        assert_true(base64_parse(slice_from_cstr(text), bytes, sizeof(bytes), &size));
        assert_int_equal(size, plain_size);
        assert_memory_equal(bytes, cases[i].plain, size);
        assert_int_equal(base64_parse(slice_from_cstr(text), bytes, plain_size, &size), true);
        if (plain_size > 0)
            assert_false(base64_parse(slice_from_cstr(text), bytes, plain_size - 1, &size));
    }
    static const char *const wrong[] = {"Z",        "Zg",   "Zg=",   "Zh==",       "Zm9=",
                                        "Zg==Zg==", "=m8=", "Zm 8=", "Zm9\n",      "Zm9vYg=x",
                                        "====",     "Z===", "Zm-_",  "Zm9v\x80xxx"};
    for (size_t i = 0; i < array_count(wrong); i++) {
        uint8_t bytes[32];
        size_t size;
        if (base64_parse(slice_from_cstr(wrong[i]), bytes, sizeof(bytes), &size))
            fail_msg("%s", wrong[i]);
    }
}

static void test_equal_and_random(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    assert_false(crypto_equal(a, b, sizeof(a)));
    memcpy(b, a, sizeof(a));
    assert_true(crypto_equal(a, b, sizeof(a)));
    b[31] ^= 1;
    assert_false(crypto_equal(a, b, sizeof(a)));
    crypto_wipe(b, sizeof(b));
    assert_int_equal(b[0] | b[31], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_equal_and_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
