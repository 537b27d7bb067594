/* Numbers of texts that are the same in all dictionaries of the process.
 *
 *   dictionary of segment 1   code ──▶ number ─┐
 *   dictionary of segment 2   code ──▶ number ─┴─ of the same text the same
 *
 * A table's sealed segments have a dictionary each, and a query that groups by such a column has to
 * know which of their texts are equal: for 40 segments of 50,000 pages that is two million hashes,
 * probes and comparisons, as much as all the rest of it. They are the same every time. So the texts
 * are numbered once and each dictionary keeps its codes' numbers beside it, in the block cache and
 * counted there; later queries read an array (key_codes.c). Nothing of any answer is kept here, and
 * nothing becomes stale: dictionaries of sealed segments do not change, and a text's number is a
 * matter of the text alone.
 *
 * Texts are copied, up to a limit of their number and bytes. At the limit no more dictionaries are
 * numbered, and once as many were turned away as it took to fill it, all is forgotten and a new
 * generation begins: what was filled with texts that are long gone does not stay so. Each time it
 * takes twice as many. One thread numbers at a time; another one does without meanwhile. */
#include "query/exec/lexicon.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <string.h>

#define TEXTS_MAX ((size_t)1 << 19)
#define BYTES_MAX ((size_t)24 << 20)
#define SLOTS_MIN ((size_t)1 << 12)
#define REFUSALS_MIN 64 /* dictionaries turned away until all is forgotten; at first */
#define REFUSALS_MAX ((size_t)1 << 20)

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

const struct lexicon_numbers *lexicon_find(const struct column *column)
{
    if (column->notes == NULL)
        return NULL;
    const struct lexicon_numbers *numbers =
        (const struct lexicon_numbers *)(const void *)atomic_load_explicit(&column->notes->newest,
                                                                           memory_order_acquire);
    bool is_of = numbers != NULL && numbers->dictionary == column->dictionary &&
                 numbers->count >= column->dictionary_count;
    return is_of ? numbers : NULL;
}

void lexicon_learn(const struct column *column)
{
    const struct lexicon_numbers *known = lexicon_find(column);
    uint32_t count = column->dictionary_count;
    if (column->notes == NULL || (known != NULL && known->generation == generation_now()) ||
        atomic_flag_test_and_set_explicit(&lexicon.is_busy, memory_order_acquire))
        return;
    if (has_room(column->dictionary, count)) {
        struct lexicon_numbers *numbers =
            memory_alloc(sizeof(*numbers) + count * sizeof(*numbers->numbers));
        make_room(count);
        *numbers = (struct lexicon_numbers){
            .dictionary = column->dictionary, .generation = generation_now(), .count = count};
        for (uint32_t code = 0; code < count; code++) {
            uint32_t number = number_text(column->dictionary[code]);
            numbers->numbers[code] = number;
            numbers->end = number >= numbers->end ? number + 1 : numbers->end;
        }
        measure();
        numbers->note.older = atomic_load_explicit(&column->notes->newest, memory_order_relaxed);
        atomic_store_explicit(&column->notes->newest, &numbers->note, memory_order_release);
    }
    atomic_flag_clear_explicit(&lexicon.is_busy, memory_order_release);
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
