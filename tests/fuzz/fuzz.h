/* What a fuzz target gives: the entry point of libFuzzer, and seeds in code.
 *
 * Under the preset `fuzz` a target is linked with libFuzzer; everywhere with smoke_main.c too,
 * which runs the seeds and a fixed number of their mutations. A target aborts (assert) when what it
 * finds is wrong. */
#ifndef FRESHET_TESTS_FUZZ_FUZZ_H
#define FRESHET_TESTS_FUZZ_FUZZ_H

#include "storage/base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The seeds, one after another; size 0 ends them. Valid until the next call. */
struct slice fuzz_seed(size_t index);

#endif
