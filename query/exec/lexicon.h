/* Numbers of texts that are the same in all dictionaries of the process: equal numbers are equal
 * texts. Any thread. */
#ifndef FRESHET_QUERY_EXEC_LEXICON_H
#define FRESHET_QUERY_EXEC_LEXICON_H

#include "storage/column/column.h"

#define LEXICON_NONE UINT32_MAX

/* Of one dictionary, or of what there was of one that grows; holds as long as the dictionary does.
 */
struct lexicon_numbers {
    struct dictionary_note note;
    const struct slice *dictionary; /* which */
    uint64_t dictionary_id;         /* or 0 */
    uint64_t generation; /* numbers of different ones have nothing to do with each other */
    uint32_t capacity;
    _Atomic uint32_t count; /* of texts; release: their numbers are there */
    _Atomic uint32_t end;   /* above all their numbers; relaxed: stored before the count */
    uint32_t numbers[];     /* by code */
};

/* What is known of a DICTIONARY column's dictionary, of all its texts; NULL: not of all. */
const struct lexicon_numbers *lexicon_find(const struct column *column);
/* Does it know some of them? So it is with a dictionary that has grown. */
bool lexicon_is_begun(const struct column *column);
/* One more query does without its numbers, as it needs few of them and would have to make all:
 * false. True: so many have that now they are worth it. It has notes. */
bool lexicon_is_wanted(const struct column *column);
/* Numbers its texts, unless they are known, another thread is at it for long, or there is no more
 * room. */
void lexicon_learn(const struct column *column);

/* Leaves with it what is known of all of its texts already, by code, before others see the column;
 * LEXICON_NONE: nothing, and no row has that code. */
void lexicon_leave(const struct column *column, const uint32_t *numbers, uint64_t generation);

/* Bytes that texts and the table of their numbers take; not those of dictionaries' notes. */
size_t lexicon_size(void);

/* For tests: at most so many texts (0: as many as always), none of them known yet. */
void lexicon_reset(size_t texts_max);

#endif
