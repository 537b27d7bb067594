/* Idempotency keys: the window to the key, age to the microsecond, bytes and back, and chance
 * against a list. */
#include "ingest/state/keys.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct hash128 key_of(uint64_t n)
{
    return (struct hash128){.low = hash_mix(n), .high = n};
}

static void add(struct keys *keys, uint64_t n, int64_t at_us, uint64_t window)
{
    struct section_request request = {.has_key = true, .key = key_of(n), .body = key_of(n + 1)};
    request.counts[FATE_STORED] = n % 1000;
    keys_apply(keys, &request, n + 1, at_us, window);
}

static void reload(struct keys *keys)
{
    struct writer bytes;
    writer_init(&bytes);
    keys_write(keys, &bytes);
    keys_deinit(keys);
    struct reader reader = reader_of(writer_as_slice(&bytes));
    assert_true(keys_read(keys, &reader));
    assert_int_equal(reader_left(&reader), 0);
    writer_deinit(&bytes);
}

/* The window as it is by default: a million. */
static void test_window_of_a_million(void **state)
{
    (void)state;
    struct keys keys = {0};
    for (uint64_t n = 0; n < 1000000; n++)
        add(&keys, n, 0, 1000000);
    reload(&keys);
    assert_non_null(keys_find(&keys, key_of(0), 1, 100)); /* 999,999 newer ones */
    assert_int_equal(keys_find(&keys, key_of(0), 1, 100)->answer.position, 1);
    add(&keys, 1000000, 0, 1000000);
    assert_null(keys_find(&keys, key_of(0), 1, 100));
    assert_non_null(keys_find(&keys, key_of(1), 1, 100));
    keys_deinit(&keys);
}

static void test_age(void **state)
{
    (void)state;
    struct keys keys = {0};
    add(&keys, 1, 1000, 10);
    assert_non_null(keys_find(&keys, key_of(1), 1099, 100));
    assert_null(keys_find(&keys, key_of(1), 1100, 100));
    /* The clock went back between the check and the record: the old one is still there beside the
     * new. */
    add(&keys, 1, 1090, 10);
    assert_non_null(keys_find(&keys, key_of(1), 1100, 100));
    assert_int_equal(keys_find(&keys, key_of(1), 1100, 100)->answer.at_us, 1090);
    keys_expire(&keys, 1189, 100);
    keys_deinit(&keys);
    add(&keys, 1, 1000, 10);
    keys_expire(&keys, 1099, 100);
    assert_int_equal(keys.count, 1);
    keys_expire(&keys, 1100, 100);
    assert_int_equal(keys.count, 0);
    keys_deinit(&keys);
}

static void check_window(uint64_t window, struct random_stream *random)
{
    struct keys keys = {0};
    uint64_t next = 0, oldest = 0;
    for (int step = 0; step < 1000; step++) {
        if (random_below(random, 50) == 0)
            reload(&keys);
        add(&keys, next++, step, window);
        oldest = next > window && next - window > oldest ? next - window : oldest;
        if (random_below(random, 20) == 0) {
            uint64_t age = random_below(random, window + 1);
            keys_expire(&keys, step, (int64_t)age);
            oldest = next > age && next - age > oldest ? next - age
                                                       : oldest; /* the last `age` ones stay */
        }
        assert_int_equal(keys.count, next - oldest);
        for (uint64_t n = oldest > 3 ? oldest - 3 : 0; n < next; n++) {
            const struct idempotency_key *found = keys_find(&keys, key_of(n), 0, 1000000);
            assert_int_equal(found != NULL, n >= oldest);
            assert_true(found == NULL || found->answer.position == n + 1);
        }
    }
    keys_deinit(&keys);
}

static void test_against_a_list(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 5);
    for (uint64_t window = 1; window < 40; window += 7)
        check_window(window, &random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_of_a_million),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_against_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
