/* A room: what is taken lies apart and stays as it was written, within what is kept and past it;
 * marks give all back that came after them. */
#include "storage/base/room.h"

#include "storage/base/arena.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define TAKEN_MAX 40

struct taken {
    unsigned char *bytes;
    size_t size, mark; /* from before it */
    unsigned char fill;
};

static void check(const struct taken *taken, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal((uintptr_t)taken[i].bytes % 64, 0);
        for (size_t at = 0; at < taken[i].size; at += taken[i].size < 5000 ? 1 : 997)
            assert_int_equal(taken[i].bytes[at], taken[i].fill);
    }
}

/* Random takes and returns; everything that is held is looked at after each. */
static void run(struct room *room, uint64_t seed, size_t size_max)
{
    struct random_stream chance;
    struct taken taken[TAKEN_MAX];
    size_t count = 0;
    random_stream_init(&chance, seed);
    for (int step = 0; step < 300; step++) {
        if (count == TAKEN_MAX || (count > 0 && random_below(&chance, 3) == 0)) {
            count = random_below(&chance, count);
            room_give_back(room, taken[count].mark);
            assert_int_equal(room_mark(room), taken[count].mark);
        } else {
            struct taken *one = &taken[count++];
            one->size = random_below(&chance, 4) == 0 ? 0 : random_below(&chance, size_max);
            one->mark = room_mark(room);
            one->fill = (unsigned char)step;
            one->bytes = room_take(room, one->size);
            memset(one->bytes, one->fill, one->size);
        }
        check(taken, count);
    }
    room_give_back(room, 0);
}

static void test_what_is_taken_lies_apart(void **state)
{
    (void)state;
    struct room room;
    room_init(&room);
    run(&room, 1, 300); /* nothing is kept */
    room_expect(&room, 5000);
    run(&room, 2, 300);
    run(&room, 3, 1 << 20); /* some of it fits */
    room_expect(&room, 3 << 20);
    run(&room, 4, 1 << 18);
    size_t kept;
    char *bytes = room_fix(&room, 0, &kept);
    room_expect(&room, 100);
    room_expect(&room, SIZE_MAX); /* it is fixed */
    run(&room, 5, 4 << 20);
    assert_ptr_equal(room_fix(&room, SIZE_MAX, &kept), bytes);
    room_deinit(&room);
    room_expect(&room, SIZE_MAX); /* no more than ROOM_MAX */
    (void)room_take(&room, 2 * ROOM_MAX);
    (void)room_take(&room, 1);
    room_deinit(&room);
}

static void test_memory_is_used_again(void **state)
{
    (void)state;
    struct room room;
    room_init(&room);
    room_expect(&room, 1 << 20);
    void *first = room_take(&room, 1000);
    size_t mark = room_mark(&room);
    void *second = room_take(&room, 1000);
    assert_ptr_not_equal(first, second);
    room_give_back(&room, mark);
    void *again = room_take(&room, 10);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_ptr_equal(again, second);
#else
    (void)again;
#endif
    room_deinit(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken_lies_apart),
        cmocka_unit_test(test_memory_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
