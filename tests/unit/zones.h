/* The machine's time zones, for timezone_set_loader(). */
#ifndef FRESHET_TESTS_UNIT_ZONES_H
#define FRESHET_TESTS_UNIT_ZONES_H

#include "storage/base/error.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline enum err zones_load(const char *name, uint8_t **data, size_t *size)
{
    char path[256];
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return ERR_NOT_FOUND;
    *data = malloc(1 << 20);
    *size = fread(*data, 1, 1 << 20, file);
    fclose(file);
    return OK;
}

#endif
