/* Entries go on beyond the queue, after a while without any too; one that never comes is an end. */
#include "storage/io/uring_entry.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <liburing.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEPTH 4

static bool make_ring(struct io_uring *ring)
{
    return io_uring_queue_init(DEPTH, ring, 0) == 0;
}

static void take(struct io_uring *ring, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        io_uring_prep_nop(uring_entry(ring));
}

static unsigned completions(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned count = 0;
    while (io_uring_peek_cqe(ring, &cqe) == 0) {
        io_uring_cqe_seen(ring, cqe);
        count++;
    }
    return count;
}

static void test_a_full_queue_is_submitted(void **state)
{
    (void)state;
    struct io_uring ring;
    if (!make_ring(&ring))
        skip();
    take(&ring, DEPTH);
    assert_int_equal(completions(&ring), 0);
    take(&ring, DEPTH - 1);
    assert_int_equal(completions(&ring), DEPTH);
    io_uring_queue_exit(&ring);
}

static void clear_later(void *context)
{
    (void)context;
    clock_sleep_us(50000);
    fault_clear();
}

static void test_it_is_tried_again(void **state)
{
    (void)state;
    struct io_uring ring;
    if (!make_ring(&ring))
        skip();
    take(&ring, DEPTH);
    fault_plant("uring.takes_nothing");
    struct thread *thread =
        thread_start(&(struct thread_options){.name = "clear", .run = clear_later});
    take(&ring, 1);
    thread_join(thread);
    assert_int_equal(completions(&ring), DEPTH);
    io_uring_queue_exit(&ring);
}

/* In a process of its own, which has to end. */
static void test_a_ring_that_takes_nothing_ends_the_process(void **state)
{
    (void)state;
    struct io_uring ring;
    if (!make_ring(&ring))
        skip();
    io_uring_queue_exit(&ring);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!make_ring(&ring))
            _exit(1);
        fault_plant("uring.takes_nothing");
        take(&ring, DEPTH + 1);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_queue_is_submitted),
        cmocka_unit_test(test_it_is_tried_again),
        cmocka_unit_test(test_a_ring_that_takes_nothing_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
