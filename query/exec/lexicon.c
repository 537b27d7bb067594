/* Numbers of texts that are the same in all dictionaries of the process.
 *
 *   dictionary of segment 1   code ──▶ number ─┐
 *   dictionary of segment 2   code ──▶ number ─┴─ of the same text the same
 *
 * A table's sealed segments have a dictionary each, and a query that groups by such a column has to
 * know which of their texts are equal: for 40 segments of 50,000 pages that is two million hashes,
 * probes and comparisons, as much as all the rest of it. They are the same every time. So the texts
 * are numbered once and each dictionary keeps its codes' numbers beside it, in the block cache and
 * counted there; later queries read an array (key_codes.c). Dictionaries of rows in memory grow:
 * their arrays are extended by what is new when a query asks. Nothing of any answer is kept here,
 * and nothing becomes stale: a code's text does not change, and a text's number is a matter of the
 * text alone.
 *
 * Texts are copied, up to a limit of their number and bytes. At the limit no more dictionaries are
 * numbered, and once as many were turned away as it took to fill it, all is forgotten and a new
 * generation begins: what was filled with texts that are long gone does not stay so. Each time it
 * takes twice as many. One thread numbers at a time; another one waits for it where it needs few
 * texts, or does without. */
#include "query/exec/lexicon.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <string.h>

#define TEXTS_MAX ((size_t)1 << 19)
#define BYTES_MAX ((size_t)24 << 20)
#define SLOTS_MIN ((size_t)1 << 12)
#define REFUSALS_MIN 64 /* dictionaries turned away until all is forgotten; at first */
#define REFUSALS_MAX ((size_t)1 << 20)
#define MISSED_MAX 3        /* queries that do without a dictionary's numbers */
#define WAIT_TEXTS_MAX 8192 /* more are left to the next query while another thread is at it */
#define WAIT_US 50
#define WAITS_MAX 100

struct slot {
    uint32_t hash, number; /* LEXICON_NONE: free */
};

static struct {
    atomic_flag is_busy;         /* whoever sets it owns the rest */
    _Atomic uint64_t generation; /* relaxed: numbers say which one they are of */
    struct arena arena;          /* bytes of texts */
    struct slice *texts;         /* by number */
    size_t count, capacity, texts_max;
    struct slot *slots;
    size_t slot_count; /* a power of two, at most half of them taken; or 0 */
    size_t refusals, refusals_max;
    _Atomic size_t size; /* in bytes, of all of it; relaxed: a figure */
} lexicon = {.is_busy = ATOMIC_FLAG_INIT, .generation = 1};

/* --- texts, by the owner --- */

static void measure(void)
{
    size_t texts = lexicon.slot_count != 0 ? lexicon.arena.total : 0;
    atomic_store_explicit(&lexicon.size,
                          texts + lexicon.capacity * sizeof(*lexicon.texts) +
                              lexicon.slot_count * sizeof(*lexicon.slots),
                          memory_order_relaxed);
}

static void forget(void)
{
    if (lexicon.slot_count != 0)
        arena_deinit(&lexicon.arena);
    memory_free(lexicon.texts);
    memory_free(lexicon.slots);
    lexicon.texts = NULL;
    lexicon.slots = NULL;
    lexicon.count = lexicon.capacity = lexicon.slot_count = lexicon.refusals = 0;
    measure();
    atomic_fetch_add_explicit(&lexicon.generation, 1, memory_order_relaxed);
}

static void make_room(size_t extra)
{
    size_t needed = lexicon.count + extra, slot_count = SLOTS_MIN;
    if (lexicon.slot_count == 0)
        arena_init(&lexicon.arena);
    if (needed > lexicon.capacity) {
        lexicon.capacity = needed + needed / 4;
        lexicon.texts = memory_realloc(lexicon.texts, lexicon.capacity * sizeof(*lexicon.texts));
    }
    while (slot_count < needed * 2)
        slot_count *= 2;
    if (slot_count <= lexicon.slot_count)
        return;
    struct slot *slots = memory_alloc(slot_count * sizeof(*slots));
    memset(slots, 0xFF, slot_count * sizeof(*slots));
    for (size_t i = 0; i < lexicon.slot_count; i++) {
        size_t place = lexicon.slots[i].hash & (slot_count - 1);
        if (lexicon.slots[i].number == LEXICON_NONE)
            continue;
        while (slots[place].number != LEXICON_NONE)
            place = (place + 1) & (slot_count - 1);
        slots[place] = lexicon.slots[i];
    }
    memory_free(lexicon.slots);
    lexicon.slots = slots;
    lexicon.slot_count = slot_count;
}

/* There is room for it. */
static uint32_t number_text(struct slice text)
{
    uint32_t hash = (uint32_t)hash64(text.data, text.size);
    size_t place = hash & (lexicon.slot_count - 1);
    for (; lexicon.slots[place].number != LEXICON_NONE;
         place = (place + 1) & (lexicon.slot_count - 1)) {
        uint32_t number = lexicon.slots[place].number;
        if (lexicon.slots[place].hash == hash &&
            (slice_equal(lexicon.texts[number], text) || fault_is("lexicon.hash_only")))
            return number;
    }
    uint32_t number = (uint32_t)lexicon.count++;
    lexicon.texts[number] = arena_copy(&lexicon.arena, text);
    lexicon.slots[place] = (struct slot){.hash = hash, .number = number};
    return number;
}

/* Is there room for these texts, be they all new? */
static bool has_room(const struct slice *texts, size_t count)
{
    size_t texts_max = lexicon.texts_max != 0 ? lexicon.texts_max : TEXTS_MAX;
    size_t size = lexicon.slot_count != 0 ? lexicon.arena.total : 0;
    for (size_t i = 0; i < count && size <= BYTES_MAX; i++)
        size += texts[i].size;
    if (lexicon.count + count <= texts_max && size <= BYTES_MAX)
        return true;
    if (lexicon.refusals_max < REFUSALS_MIN)
        lexicon.refusals_max = REFUSALS_MIN;
    if (++lexicon.refusals >= lexicon.refusals_max) {
        lexicon.refusals_max *= lexicon.refusals_max < REFUSALS_MAX ? 2 : 1;
        forget();
    }
    return false;
}

/* --- dictionaries --- */

static uint64_t generation_now(void)
{
    return atomic_load_explicit(&lexicon.generation, memory_order_relaxed);
}

static struct lexicon_numbers *newest_of(const struct column *column)
{
    struct lexicon_numbers *numbers = (struct lexicon_numbers *)(void *)atomic_load_explicit(
        &column->notes->newest, memory_order_acquire);
    bool is_of = numbers != NULL &&
                 (numbers->dictionary == column->dictionary ||
                  (numbers->dictionary_id != 0 && numbers->dictionary_id == column->dictionary_id));
    return is_of ? numbers : NULL;
}

static uint32_t count_of(const struct lexicon_numbers *numbers)
{
    return atomic_load_explicit(&numbers->count, memory_order_acquire);
}

const struct lexicon_numbers *lexicon_find(const struct column *column)
{
    const struct lexicon_numbers *numbers = column->notes != NULL ? newest_of(column) : NULL;
    return numbers != NULL && count_of(numbers) >= column->dictionary_count ? numbers : NULL;
}

/* How many of the texts have numbers that are of this generation. */
static uint32_t known_count(const struct lexicon_numbers *known)
{
    return known != NULL && known->generation == generation_now() ? count_of(known) : 0;
}

bool lexicon_is_begun(const struct column *column)
{
    return column->notes != NULL && known_count(newest_of(column)) != 0;
}

bool lexicon_is_wanted(const struct column *column)
{
    _Atomic uint32_t *missed = &column->notes->missed;
    if (fault_is("lexicon.never_wanted") ||
        atomic_fetch_add_explicit(missed, 1, memory_order_relaxed) < MISSED_MAX)
        return false;
    atomic_store_explicit(missed, 0, memory_order_relaxed); /* there may be no room for them now */
    return true;
}

/* The array for all texts that the column has: the one there is, or a larger one with what is known
 * in it, to be left as a note once it is complete. */
static struct lexicon_numbers *prepare_numbers(const struct column *column,
                                               struct lexicon_numbers *known)
{
    uint32_t count = column->dictionary_count, begun = known_count(known);
    if (begun != 0 && known->capacity >= count)
        return known;
    uint32_t capacity = begun != 0 ? count * 2 : count; /* it grows, and not once for each text */
    size_t size = capacity * sizeof(known->numbers[0]);
    struct lexicon_numbers *numbers = memory_alloc(sizeof(*numbers) + size);
    *numbers = (struct lexicon_numbers){.dictionary = column->dictionary,
                                        .dictionary_id = column->dictionary_id,
                                        .generation = generation_now(),
                                        .capacity = capacity};
    if (begun == 0)
        return numbers;
    memcpy(numbers->numbers, known->numbers, begun * sizeof(known->numbers[0]));
    atomic_init(&numbers->end, atomic_load_explicit(&known->end, memory_order_relaxed));
    atomic_init(&numbers->count, begun);
    return numbers;
}

static void number_dictionary(const struct column *column, struct lexicon_numbers *known)
{
    struct lexicon_numbers *numbers = prepare_numbers(column, known);
    uint32_t first = count_of(numbers), count = column->dictionary_count;
    uint32_t end = atomic_load_explicit(&numbers->end, memory_order_relaxed);
    make_room(count - first);
    for (uint32_t code = first; code < count; code++) {
        bool is_wrong = first != 0 && code == count - 1 && fault_is("lexicon.extended");
        uint32_t number = number_text(column->dictionary[is_wrong ? 0 : code]);
        numbers->numbers[code] = number;
        end = number >= end ? number + 1 : end;
    }
    measure();
    atomic_store_explicit(&numbers->end, end, memory_order_relaxed);
    atomic_store_explicit(&numbers->count, count, memory_order_release);
    if (numbers != known)
        dictionary_notes_add(column->notes, &numbers->note,
                             sizeof(*numbers) + numbers->capacity * sizeof(numbers->numbers[0]));
}

/* Few texts are worth a wait: without numbers the query has to hash all that it has. */
static bool begin_learning(uint32_t new_count)
{
    int waits = 0;
    while (atomic_flag_test_and_set_explicit(&lexicon.is_busy, memory_order_acquire)) {
        if (new_count > WAIT_TEXTS_MAX || waits++ == WAITS_MAX)
            return false;
        clock_sleep_us(WAIT_US);
    }
    return true;
}

void lexicon_learn(const struct column *column)
{
    uint32_t count = column->dictionary_count;
    uint32_t begun = column->notes != NULL ? known_count(newest_of(column)) : count;
    if (begun >= count || !begin_learning(count - begun))
        return;
    struct lexicon_numbers *known = newest_of(column); /* another may have been at it meanwhile */
    begun = known_count(known);
    if (begun < count && has_room(column->dictionary + begun, count - begun))
        number_dictionary(column, known);
    atomic_flag_clear_explicit(&lexicon.is_busy, memory_order_release);
}

void lexicon_leave(const struct column *column, const uint32_t *numbers, uint64_t generation)
{
    uint32_t count = column->dictionary_count, end = 0;
    size_t size = count * sizeof(numbers[0]);
    struct lexicon_numbers *note = memory_alloc(sizeof(*note) + size);
    *note = (struct lexicon_numbers){.dictionary = column->dictionary,
                                     .dictionary_id = column->dictionary_id,
                                     .generation = generation,
                                     .capacity = count};
    for (uint32_t code = 0; code < count; code++) {
        note->numbers[code] = numbers[code];
        end = numbers[code] != LEXICON_NONE && numbers[code] >= end ? numbers[code] + 1 : end;
    }
    atomic_init(&note->end, end);
    atomic_init(&note->count, count);
    dictionary_notes_add(column->notes, &note->note, sizeof(*note) + size);
}

size_t lexicon_size(void)
{
    return atomic_load_explicit(&lexicon.size, memory_order_relaxed);
}

void lexicon_reset(size_t texts_max)
{
    while (atomic_flag_test_and_set_explicit(&lexicon.is_busy, memory_order_acquire))
        continue;
    forget();
    lexicon.texts_max = texts_max;
    lexicon.refusals_max = 0;
    atomic_flag_clear_explicit(&lexicon.is_busy, memory_order_release);
}
