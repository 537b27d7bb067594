/* Removes a directory that a test made under /tmp, with all that is in it. */
#ifndef FRESHET_TESTS_UNIT_SCRATCH_H
#define FRESHET_TESTS_UNIT_SCRATCH_H

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

static inline int scratch_remove_one(const char *path, const struct stat *status, int kind,
                                     struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static inline void scratch_remove(const char *path)
{
    assert(strncmp(path, "/tmp/freshet-", strlen("/tmp/freshet-")) == 0);
    int failed = nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert(failed == 0);
    (void)failed;
}

#endif
