/* Passwords that may be one, verifiers and their text form. */
#include "server/access/verifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void test_passwords(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_taken;
    } cases[] = {
        {"pencil", true},
        {" two words ", true},
        {"p\xc3\xa9ncil", true},            /* composed */
        {"\xe5\xaf\x86\xe7\xa0\x81", true}, /* Han */
        {"\xf0\x9f\x94\x91", true},         /* a picture */
        {"", false},
        {"pe\xcc\x81ncil", false}, /* decomposed */
        {"\xef\xac\x81", false},   /* the ligature fi */
        {"a\xc2\xa0"
         "b",
         false}, /* a space that does not break */
        {"a\xc2\xad"
         "b",
         false},                 /* a soft hyphen */
        {"\xe1\x85\xa1", false}, /* a vowel that composes */
        {"\xc3", false},         /* not UTF-8 */
        {"\xc2\xaa", false},
    };
    struct error error;
    for (size_t i = 0; i < array_count(cases); i++)
        if ((password_check(slice_from_cstr(cases[i].text), &error) == OK) != cases[i].is_taken)
            fail_msg("case %zu", i);
    assert_int_equal(password_check(slice_of("a\0b", 3), &error), ERR_INPUT);
    char large[PASSWORD_SIZE_MAX + 1];
    memset(large, 'x', sizeof(large));
    assert_int_equal(password_check(slice_of(large, PASSWORD_SIZE_MAX), &error), OK);
    assert_int_equal(password_check(slice_of(large, sizeof(large)), &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "22023");
}

/* What PostgreSQL 15 wrote for CREATE ROLE … PASSWORD 'pencil' with the salt of RFC 7677. */
static const char rfc_text[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                               "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                               "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

static void test_known_answer(void **state)
{
    (void)state;
    static const uint8_t salt[16] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                     0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    struct verifier made, parsed;
    char text[VERIFIER_TEXT_MAX];
    verifier_derive(SLICE("pencil"), salt, sizeof(salt), 4096, &made);
    verifier_print(&made, text);
    assert_string_equal(text, rfc_text);
    assert_true(verifier_parse(slice_from_cstr(text), &parsed));
    assert_memory_equal(&made, &parsed, sizeof(made));
    assert_true(verifier_matches(&parsed, SLICE("pencil")));
    assert_false(verifier_matches(&parsed, SLICE("Pencil")));
    assert_false(verifier_matches(&parsed, SLICE("")));
}

static void test_salts_differ(void **state)
{
    (void)state;
    struct verifier a, b;
    verifier_make(SLICE("x"), &a);
    verifier_make(SLICE("x"), &b);
    assert_int_equal(a.iterations, VERIFIER_ITERATIONS);
    assert_int_equal(a.salt_size, SALT_SIZE);
    assert_memory_not_equal(a.salt, b.salt, SALT_SIZE);
    assert_memory_not_equal(a.stored_key, b.stored_key, KEY_SIZE);
    assert_true(verifier_matches(&a, SLICE("x")));
}

/* Every cut, and every byte changed, is refused or is another verifier. */
static void test_damaged_texts(void **state)
{
    (void)state;
    struct verifier right, other;
    size_t size = sizeof(rfc_text) - 1;
    assert_true(verifier_parse(slice_of(rfc_text, size), &right));
    for (size_t i = 0; i < size; i++)
        assert_false(verifier_parse(slice_of(rfc_text, i), &other));
    for (size_t i = 0; i < size; i++) {
        char text[sizeof(rfc_text)];
        memcpy(text, rfc_text, sizeof(text));
        text[i] = text[i] == '5' ? '6' : '5';
        if (verifier_parse(slice_of(text, size), &other))
            assert_memory_not_equal(&right, &other, sizeof(right));
    }
    static const char *const wrong[] = {
        "4095:", "0:", "-4096:", " 4096:", "100001:", "10000000:", "+4096:"};
    for (size_t i = 0; i < array_count(wrong); i++) {
        char text[256];
        snprintf(text, sizeof(text), "SCRAM-SHA-256$%s%s", wrong[i], rfc_text + 19);
        assert_false(verifier_parse(slice_from_cstr(text), &other));
    }
}

/* A password, a verifier, or neither: what looks like a verifier never becomes a password. */
static void test_taking(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sqlstate; /* NULL: taken */
        bool is_verifier;
    } cases[] = {
        {"pencil", NULL, false},
        {rfc_text, NULL, true},
        {"SCRAM-SHA-256", NULL, false},
        {"scram-sha-256$4096:x", NULL, false},
        {"SCRAM-SHA-256$", "22023", false},
        {"SCRAM-SHA-256$1000:W22ZaJ0SNY7soEsUEjb6gQ==$"
         "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
         "22023", false},
        {"SCRAM-SHA-256$100001:W22ZaJ0SNY7soEsUEjb6gQ==$"
         "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
         "22023", false},
        {"md50123456789abcdef0123456789abcdef", "0A000", false},
        {"", "22023", false},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct verifier taken;
        struct error error;
        enum err result = verifier_take(slice_from_cstr(cases[i].text), &taken, &error);
        bool is_right =
            cases[i].sqlstate == NULL
                ? result == OK && verifier_matches(&taken, slice_from_cstr(cases[i].text)) ==
                                      !cases[i].is_verifier
                : result != OK && strcmp(error.sqlstate, cases[i].sqlstate) == 0;
        if (!is_right)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwords),    cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_salts_differ), cmocka_unit_test(test_damaged_texts),
        cmocka_unit_test(test_taking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
