/* Reads a time zone file of the system's database. Plain stdio: it happens a few times in a
 * process's life, off the data path, so it does not go through the ring. */
#include "storage/io/io.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY "/usr/share/zoneinfo/"
#define PATH_SIZE_MAX 256
#define FILE_SIZE_MAX ((size_t)256 << 10)

enum err io_load_timezone(const char *name, uint8_t **data, size_t *size)
{
    char path[PATH_SIZE_MAX];
    assert(name[0] != '/');
    assert(strstr(name, "..") == NULL);
    int length = snprintf(path, sizeof(path), "%s%s", DIRECTORY, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return ERR_NOT_FOUND;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    uint8_t *content = malloc(FILE_SIZE_MAX);
    if (content == NULL)
        abort();
    size_t got = fread(content, 1, FILE_SIZE_MAX, file);
    /* A directory opens but does not read; a file that fills the room is no zone. */
    bool failed = ferror(file) != 0 || got == FILE_SIZE_MAX;
    fclose(file);
    if (failed) {
        free(content);
        return ERR_NOT_FOUND;
    }
    *data = content;
    *size = got;
    return OK;
}
