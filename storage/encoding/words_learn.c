/* A dictionary of words from a sample of a block's texts.
 *
 *   sample ─▶ words, counted ─▶ early end: few are there twice
 *        └──▶ pieces of 2, 3, 4 and 6 bytes of words that were there once, if those are many
 *   candidates by what each saves ─▶ the width at which it all is smallest ─▶ the best so many
 *   ─▶ the sample coded with them: what is not used goes, and what it takes is the estimate
 *
 * The sample is a sixteenth of the texts, between 32 and 224 KiB, of rows evenly apart: about 1 %
 * of the time of coding a block of long texts. A word that turns up in the block only is spelled
 * with pieces, a byte that does is escaped, so nothing has to be done again. */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"

#include <stdlib.h>

#define SAMPLE_MIN ((uint64_t)32 << 10)
#define SAMPLE_MAX ((uint64_t)224 << 10)
#define ROW_MAX ((uint32_t)16 << 10) /* of one text */
#define RESIDUE_MAX ((uint64_t)16 << 10)
#define SAMPLE_SHARE 4      /* a smaller share of the sample says nothing */
#define PIECES_MIN 3        /* of a kind, for one to be more than chance */
#define REPEATED_PERCENT 25 /* of the first SAMPLE_MIN bytes */
#define TABLE_BITS 15u
#define TABLE_SIZE (1u << TABLE_BITS)

struct counted {
    struct words_key key; /* zeros: an empty slot */
    uint32_t words, pieces;
};

struct learner {
    const struct encode_job *job;
    uint32_t row_step;
    uint32_t row, offset; /* where the next piece begins */
    uint64_t sample_bytes, repeated_bytes, residue_bytes;
    uint32_t used;
    struct counted *table;
    uint32_t singles[256]; /* bytes of the residue */
    uint16_t starts[WORDS_STARTS_MAX];
    uint8_t piece[WORDS_PIECE + WORDS_PIECE_ROOM];
};

/* --- the sample --- */

static void begin_sample(struct learner *learner)
{
    learner->row = learner->offset = 0;
}

/* The next piece of the sample in `piece`, its size; 0: that was all. */
static uint32_t next_piece(struct learner *learner)
{
    const struct encode_job *job = learner->job;
    while (learner->row < job->row_count) {
        struct slice text = job->text[learner->row];
        size_t size = text.size < ROW_MAX ? text.size : ROW_MAX;
        if (learner->offset < size) {
            size_t left = size - learner->offset;
            uint32_t part = left < WORDS_PIECE ? (uint32_t)left : WORDS_PIECE;
            memcpy(learner->piece, text.data + learner->offset, part);
            memset(learner->piece + part, 0, WORDS_PIECE_ROOM);
            learner->offset += part;
            return part;
        }
        learner->row += learner->row_step;
        learner->offset = 0;
    }
    return 0;
}

/* --- counting --- */

static bool is_empty(const struct counted *counted)
{
    return (counted->key.low | counted->key.high) == 0;
}

/* NULL: it is not there, and there is no room. */
static struct counted *find_counted(struct learner *learner, struct words_key key, bool is_new)
{
    uint32_t slot =
        (uint32_t)((words_mix(key) * UINT64_C(0xd6e8feb86659fd93)) >> (64 - TABLE_BITS));
    while (!is_empty(&learner->table[slot])) {
        if (words_key_equal(learner->table[slot].key, key))
            return &learner->table[slot];
        slot = (slot + 1) % TABLE_SIZE;
    }
    if (!is_new || learner->used >= TABLE_SIZE / 4 * 3)
        return NULL;
    learner->used++;
    learner->table[slot].key = key;
    return &learner->table[slot];
}

/* Did rows evenly apart give what was wanted? Where few long texts stand among many short ones they
 * may all have been passed over. */
static bool is_sampled(const struct learner *learner, uint64_t wanted)
{
    uint64_t size = learner->job->text_size;
    return learner->sample_bytes >= (size < wanted ? size : wanted) / SAMPLE_SHARE;
}

/* False: there are too few words that are there again. */
static bool count_words(struct learner *learner)
{
    bool is_forced = learner->job->best == UINT64_MAX, is_judged = is_forced;
    uint32_t size;
    begin_sample(learner);
    while ((size = next_piece(learner)) != 0) {
        uint32_t count = words_split(learner->piece, 0, size, learner->starts);
        words_split_end(learner->starts + count, size);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t length = learner->starts[i + 1] - learner->starts[i];
            if (length > WORDS_KEY_MAX || learner->piece[learner->starts[i + 1] - 1] == 0)
                continue;
            struct counted *counted = find_counted(
                learner, words_key_of(learner->piece + learner->starts[i], length), true);
            if (counted == NULL)
                continue;
            learner->repeated_bytes += counted->words == 0 ? 0 : length;
            counted->words++;
        }
        learner->sample_bytes += size;
        if (!is_judged && learner->sample_bytes >= SAMPLE_MIN) {
            is_judged = true;
            if (learner->repeated_bytes * 100 < learner->sample_bytes * REPEATED_PERCENT)
                return false;
        }
    }
    return is_forced || learner->repeated_bytes * 100 >= learner->sample_bytes * REPEATED_PERCENT;
}

static const uint8_t piece_sizes[] = {6, 4, 3, 2};

static void count_pieces_of(struct learner *learner, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t at = 0; at < size; at++) {
        learner->singles[bytes[at]]++;
        for (size_t i = 0; i < array_count(piece_sizes); i++) {
            if (piece_sizes[i] > size - at || bytes[at + piece_sizes[i] - 1] == 0)
                continue;
            struct counted *counted =
                find_counted(learner, words_key_of(bytes + at, piece_sizes[i]), true);
            if (counted != NULL)
                counted->pieces++;
        }
    }
}

/* Of words that would have no entry. */
static void count_pieces(struct learner *learner)
{
    uint32_t size;
    begin_sample(learner);
    while (learner->residue_bytes < RESIDUE_MAX && (size = next_piece(learner)) != 0) {
        uint32_t count = words_split(learner->piece, 0, size, learner->starts);
        words_split_end(learner->starts + count, size);
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *word = learner->piece + learner->starts[i];
            uint32_t length = learner->starts[i + 1] - learner->starts[i];
            const struct counted *counted =
                length > WORDS_KEY_MAX || word[length - 1] == 0
                    ? NULL
                    : find_counted(learner, words_key_of(word, length), false);
            if (counted != NULL && counted->words > 1)
                continue;
            learner->residue_bytes += length;
            count_pieces_of(learner, word, length);
        }
    }
}

/* --- choosing --- */

struct candidate {
    struct words_key key;
    double saves;   /* bytes of the block, its own taken off */
    uint32_t codes; /* of the sample, more if it has no entry */
};

#define GUESSED_WIDTH 12 /* bits, until the width is known */

/* `scale`: bytes of the block for one of the sample. What has no entry is written by pieces of two
 * bytes, more or less; a piece that is everywhere in what is spelled is used at one place in as
 * many as it is long. */
static bool make_candidate(const struct counted *counted, double scale, double once,
                           struct candidate *out)
{
    uint32_t size = words_key_size(counted->key);
    double words = counted->words == 1 ? once : counted->words;
    double used = words * (size == 1 ? 1 : (size + 1) / 2 - 1);
    used += counted->pieces < PIECES_MIN ? 0 : (double)counted->pieces / size;
    *out = (struct candidate){.key = counted->key,
                              .saves = used * scale * GUESSED_WIDTH / 8 - size - 1,
                              .codes = (uint32_t)used};
    return out->saves > 0;
}

static int compare_saves(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;
    if (left->saves != right->saves)
        return left->saves < right->saves ? 1 : -1;
    if (left->key.high != right->key.high) /* any order, but always the same */
        return left->key.high < right->key.high ? -1 : 1;
    return left->key.low < right->key.low ? -1 : left->key.low > right->key.low;
}

/* How often a word that a sample has once is in another one like it (Good and Turing): twice the
 * words that are there twice, by those that are there once. */
static double expected_once(const struct learner *learner)
{
    double once = 1, twice = 0;
    for (uint32_t slot = 0; slot < TABLE_SIZE; slot++) {
        once += learner->table[slot].words == 1;
        twice += learner->table[slot].words == 2;
    }
    return 2 * twice < once ? 2 * twice / once : 1;
}

static uint32_t find_candidates(struct learner *learner, double scale, struct candidate *out)
{
    uint32_t count = 0;
    double once = expected_once(learner);
    for (uint32_t byte = 1; byte < 256; byte++) {
        if (learner->singles[byte] == 0)
            continue;
        uint8_t bytes[16] = {(uint8_t)byte};
        struct counted *counted = find_counted(learner, words_key_of(bytes, 1), true);
        if (counted != NULL)
            counted->pieces += learner->singles[byte];
    }
    for (uint32_t slot = 0; slot < TABLE_SIZE; slot++) {
        if (!is_empty(&learner->table[slot]))
            count += make_candidate(&learner->table[slot], scale, once, &out[count]);
    }
    qsort(out, count, sizeof(*out), compare_saves);
    return count;
}

/* How many of the candidates: so that codes times their width are fewest. */
static uint32_t best_count(const struct candidate *candidates, uint32_t count,
                           uint64_t sample_codes, double scale)
{
    double least = 0, bytes = 0;
    uint64_t saved = 0, all = sample_codes;
    uint32_t best = 0, at = 0;
    for (uint32_t i = 0; i < count; i++)
        all += candidates[i].codes;
    for (uint32_t width = WORDS_WIDTH_MIN; width <= WORDS_WIDTH_MAX; width++) {
        uint32_t most = (1u << width) - 1;
        for (; at < count && at < most; at++) {
            saved += candidates[at].codes;
            bytes += words_key_size(candidates[at].key) + 1;
        }
        double size = bytes + (double)(all - saved) * scale * width / 8;
        if (best == 0 || size < least) {
            least = size;
            best = at;
        }
        if (at == count)
            break;
    }
    return best;
}

/* --- the dictionary --- */

static int compare_lengths(const void *a, const void *b)
{
    uint32_t left = words_key_size(((const struct candidate *)a)->key);
    uint32_t right = words_key_size(((const struct candidate *)b)->key);
    return left != right ? (left < right ? -1 : 1) : compare_saves(a, b);
}

/* Of candidates by length. */
static struct words *make_words(const struct candidate *candidates, uint32_t count)
{
    struct words *words = memory_alloc_zero(sizeof(*words));
    uint32_t bits = bits_of(count);
    words->count = count;
    words->width = bits < WORDS_WIDTH_MIN ? WORDS_WIDTH_MIN : bits;
    words->keys = memory_alloc(((size_t)count + 1) * sizeof(*words->keys));
    assert(words->width <= WORDS_WIDTH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        words->keys[i] = candidates[i].key;
        words->lengths[words_key_size(candidates[i].key)]++;
        words->beginnings[words_beginning((const uint8_t *)&candidates[i].key)] |=
            (uint16_t)(1u << words_key_size(candidates[i].key));
        if (words_key_size(candidates[i].key) == 1)
            words->single[candidates[i].key.low & 255] = (uint16_t)(i + 1);
    }
    words_table_init(&words->table, words->keys, count);
    return words;
}

void words_destroy(struct words *words)
{
    if (words == NULL)
        return;
    words_table_deinit(&words->table);
    memory_free(words->keys);
    memory_free(words);
}

/* Codes of the sample, and how often each is used; the most of a row. */
static uint64_t code_sample(struct learner *learner, const struct words *words, uint32_t *uses,
                            uint32_t *row_most)
{
    uint16_t *codes = memory_alloc(WORDS_CODES_MAX * sizeof(*codes));
    uint64_t total = 0;
    uint32_t size, of_row = 0, row = 0;
    learner->sample_bytes = 0;
    begin_sample(learner);
    while ((size = next_piece(learner)) != 0) {
        uint32_t count = words_encode(words, learner->piece, size, codes);
        for (uint32_t i = 0; i < count; i++) {
            uses[codes[i]]++;
            i += codes[i] == 0; /* a byte is behind it */
        }
        total += count;
        learner->sample_bytes += size;
        of_row = learner->row == row ? of_row + count : count;
        row = learner->row;
        *row_most = of_row > *row_most ? of_row : *row_most;
    }
    memory_free(codes);
    return total;
}

static uint64_t estimate_of(const struct encode_job *job, const struct words *words,
                            uint32_t row_most)
{
    double bytes = 64; /* beginning, end, what is rounded up */
    for (uint32_t length = 1; length <= WORDS_KEY_MAX; length++)
        bytes += (double)words->lengths[length] * (length + 1);
    bytes += 2 * WORDS_LENGTH_MAX + (double)vector_count_of(job->row_count) * 40;
    bytes += (double)job->row_count * bits_of(row_most) / 8; /* at most, in most cases */
    bytes += (double)job->text_size * words->sample_ratio;
    return (uint64_t)bytes;
}

static struct words *learn_from(struct learner *learner, struct candidate *candidates)
{
    const struct encode_job *job = learner->job;
    double scale =
        learner->sample_bytes == 0 ? 1 : (double)job->text_size / (double)learner->sample_bytes;
    uint32_t row_most = 0, kept = 0;
    uint32_t count = find_candidates(learner, scale, candidates);
    count = best_count(candidates, count, learner->sample_bytes / 6, scale);
    qsort(candidates, count, sizeof(*candidates), compare_lengths);
    job_pause(job);
    struct words *tried = make_words(candidates, count);
    job_pause(job);
    uint32_t *uses = memory_alloc_zero(((size_t)count + 1) * sizeof(*uses));
    uint64_t codes = code_sample(learner, tried, uses, &row_most);
    for (uint32_t i = 0; i < count; i++) {
        if (uses[i + 1] != 0)
            candidates[kept++] = candidates[i];
    }
    memory_free(uses);
    words_destroy(tried);
    job_pause(job);
    struct words *words = make_words(candidates, kept);
    job_pause(job);
    words->sample_ratio = learner->sample_bytes == 0
                              ? 0
                              : (double)codes * words->width / 8 / (double)learner->sample_bytes;
    words->estimate = estimate_of(job, words, row_most);
    return words;
}

static struct learner *learner_create(const struct encode_job *job, uint64_t wanted)
{
    struct learner *learner = memory_alloc(sizeof(*learner));
    *learner = (struct learner){.job = job, .row_step = 1};
    if (job->text_size > wanted)
        learner->row_step = (uint32_t)(job->text_size / wanted);
    if (learner->row_step > job->row_count)
        learner->row_step = job->row_count;
    return learner;
}

struct words *words_learn(const struct encode_job *job)
{
    struct words *words = NULL;
    uint64_t wanted = job->text_size / 16;
    wanted = wanted < SAMPLE_MIN ? SAMPLE_MIN : wanted > SAMPLE_MAX ? SAMPLE_MAX : wanted;
    struct learner *learner = learner_create(job, wanted);
    learner->table = memory_alloc_zero(TABLE_SIZE * sizeof(*learner->table));
    bool is_forced = job->best == UINT64_MAX;
    if (count_words(learner) && (is_forced || is_sampled(learner, wanted))) {
        job_pause(job);
        if (learner->repeated_bytes < learner->sample_bytes / 32 * 31)
            count_pieces(learner);
        job_pause(job);
        struct candidate *candidates = memory_alloc(TABLE_SIZE * sizeof(*candidates));
        words = learn_from(learner, candidates);
        memory_free(candidates);
    }
    memory_free(learner->table);
    memory_free(learner);
    return words;
}

bool words_is_good(struct words *words, const struct encode_job *job)
{
    struct learner *learner = learner_create(job, SAMPLE_MIN / 2);
    uint32_t *uses = memory_alloc_zero(((size_t)words->count + 1) * sizeof(*uses)), row_most = 0;
    uint64_t codes = code_sample(learner, words, uses, &row_most), bytes = learner->sample_bytes;
    double ratio = (double)codes * words->width / 8;
    bool is_good =
        is_sampled(learner, SAMPLE_MIN / 2) && ratio <= (double)bytes * words->sample_ratio * 1.03;
    if (is_good)
        words->estimate = estimate_of(job, words, row_most);
    memory_free(uses);
    memory_free(learner);
    return is_good;
}
