/* Linked into tests that say of themselves, in tests/CMakeLists.txt, that they start no thread:
 * one that does ends here, so that none which has threads is kept from ThreadSanitizer. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context)
{
    (void)thread, (void)attributes, (void)run, (void)context;
    fputs("a thread is started: say THREADS beside this test's name in tests/CMakeLists.txt\n",
          stderr);
    abort();
}
