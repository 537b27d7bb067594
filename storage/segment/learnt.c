/* What sealing learnt of columns, for the next segment of the table.
 *
 *   table, column, kind ─▶ encode_memory: a dictionary of words, which encodings lost
 *
 * A segment of some hundred thousand rows has a handful of blocks: learning words for each of them
 * was a tenth of what its texts cost. Whether what is remembered still does is asked for each block
 * by the encoder, from a sample. Every LEARN_PERIOD segments all is learnt anew, so that a
 * dictionary that is good enough does not keep a better one away for ever.
 *
 * Memory: at most DICTIONARIES_KEPT dictionaries, a third of a megabyte each with the 4,096 words
 * that messages have; one of more than WORDS_KEPT is not kept. What else there is of a column is
 * under 100 bytes. */
#include "storage/segment/sealed.h"

#include "storage/base/arena.h"
#include "storage/base/fault.h"
#include "storage/encoding/encoding.h"

#include <assert.h>

#define LEARNT_COLUMNS 256
#define DICTIONARIES_KEPT 32
#define LEARN_PERIOD 16
#define WORDS_KEPT 8192

struct learnt_column {
    struct learnt_key key;
    struct encode_memory memory;
    uint32_t uses;       /* 0: nobody has this place */
    uint64_t last_asked; /* by `asked` */
};

struct learnt {
    struct learnt_column columns[LEARNT_COLUMNS];
    uint64_t asked;
};

struct learnt *learnt_create(void)
{
    return memory_alloc_zero(sizeof(struct learnt));
}

void learnt_destroy(struct learnt *learnt)
{
    for (uint32_t i = 0; learnt != NULL && i < LEARNT_COLUMNS; i++)
        encode_memory_deinit(&learnt->columns[i].memory);
    memory_free(learnt);
}

static bool is_of(const struct learnt_column *column, const struct learnt_key *key)
{
    return column->uses != 0 && column->key.table_id == key->table_id &&
           column->key.column_id == key->column_id && column->key.kind == key->kind;
}

struct encode_memory *learnt_of(struct learnt *learnt, const struct learnt_key *key)
{
    struct learnt_column *found = &learnt->columns[0];
    for (uint32_t i = 0; i < LEARNT_COLUMNS; i++) {
        struct learnt_column *column = &learnt->columns[i];
        if (is_of(column, key)) {
            found = column;
            break;
        }
        if (column->last_asked < found->last_asked) /* places that nobody has first */
            found = column;
    }
    bool is_other = !is_of(found, key) && !fault_is("learnt.of_another");
    if (is_other || found->uses == LEARN_PERIOD) {
        encode_memory_deinit(&found->memory);
        found->uses = 0;
        found->key = *key;
    }
    found->uses++;
    found->last_asked = ++learnt->asked;
    return &found->memory;
}

void learnt_keep(struct learnt *learnt, struct encode_memory *memory)
{
    struct learnt_column *oldest = NULL;
    uint32_t count = 0;
    encode_memory_trim(memory, WORDS_KEPT);
    for (uint32_t i = 0; i < LEARNT_COLUMNS; i++) {
        struct learnt_column *column = &learnt->columns[i];
        if (column->memory.words == NULL)
            continue;
        count++;
        if (oldest == NULL || column->last_asked < oldest->last_asked)
            oldest = column;
    }
    if (count > DICTIONARIES_KEPT)
        encode_memory_trim(&oldest->memory, 0);
}
