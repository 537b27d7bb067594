/* Blocks: which encoding, and the header in front of it.
 *
 *   header (32 bytes) | bitmap of rows that are not NULL | body, by encoding | (a multiple of 8)
 *
 * Encoding a block measures every encoding that its class may have, exactly where that is cheap and
 * from a sample before the expensive ones, and takes the smallest; one that costs more to read must
 * win by its handicap. Measuring and packing 65,536 values take 1 to 3 ms together, in steps with
 * pauses between them. In the place of NULLs stand copies of the value before, which no encoding
 * has to pay for.
 *
 * An encoding is a row of the table below; it knows rows and values and nothing of NULLs, headers
 * or predicates it does not gain by. What it leaves out is done here by reading a vector.
 */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

/* In the order they are measured: cheap ones first, their sizes bound the others. */
static const struct encoding *const encodings[] = {
    &encoding_constant, &encoding_frame, &encoding_text_plain, &encoding_alphabet,
    &encoding_plain,    &encoding_rle,   &encoding_delta,      &encoding_dictionary,
    &encoding_alp,      &encoding_lz4,   &encoding_words,      &encoding_text_lz4};

/* --- names and orders --- */

enum block_class block_class_of(enum type_id id)
{
    if (id == TYPE_UUID)
        return BLOCK_WIDE;
    if (id == TYPE_NUMERIC)
        return BLOCK_INTEGER;
    switch (type_physical(id)) {
    case PHYSICAL_BOOL:
    case PHYSICAL_INT:
        return BLOCK_INTEGER;
    case PHYSICAL_FLOAT:
        return BLOCK_FLOAT;
    default:
        return BLOCK_TEXT;
    }
}

const struct encoding *encoding_of(uint8_t tag, enum block_class class)
{
    for (size_t index = 0; index < array_count(encodings); index++) {
        if (encodings[index]->tag == tag && encodings[index]->classes & CLASS_BIT(class))
            return encodings[index];
    }
    return NULL;
}

const char *encoding_name(uint8_t encoding)
{
    for (size_t index = 0; index < array_count(encodings); index++) {
        if (encodings[index]->tag == encoding)
            return encodings[index]->name;
    }
    return "unknown";
}

int64_t float_order(double value)
{
    int64_t bits;
    if (isnan(value))
        return INT64_MAX;
    if (value == 0)
        return 0; /* -0 and 0 are equal */
    memcpy(&bits, &value, sizeof(bits));
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

double float_unorder(int64_t ordered)
{
    int64_t bits = ordered < 0 ? ordered ^ INT64_MAX : ordered;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

int64_t text_order(struct slice text)
{
    return text_order_of(text);
}

enum err error_block(struct error *error, const char *what)
{
    return error_set(error, ERR_CORRUPT, NULL, "a block is damaged: %s", what);
}

uint32_t select_rows_between(uint32_t begin, uint32_t end, uint32_t *selection, uint32_t selected)
{
    for (uint32_t row = begin; row < end; row++)
        selection[selected++] = row;
    return selected;
}

/* --- preparing a block --- */

/* NULL rows take the value before them, or the first one after. */
static void fill_nulls(struct encode_job *job, uint8_t *filled)
{
    uint32_t width = job->width, last = job->first_valid;
    for (uint32_t row = 0; row < job->row_count; row++) {
        if (job->validity[row])
            last = row;
        else
            memcpy(filled + (size_t)row * width, filled + (size_t)last * width, width);
    }
}

static struct slice *texts_without_nulls(const struct block_values *values)
{
    struct slice *texts = memory_alloc(values->row_count * sizeof(*texts));
    for (uint32_t row = 0; row < values->row_count; row++)
        texts[row] = values->validity[row] ? values->text[row] : SLICE("");
    return texts;
}

static bool is_constant(const struct encode_job *job)
{
    if (job->width != 0) { /* each like the one before: NULLs are copies already */
        size_t rest = (size_t)(job->row_count - 1) * job->width;
        return memcmp(job->bytes, job->bytes + job->width, rest) == 0;
    }
    for (uint32_t row = job->first_valid; row < job->row_count; row++) {
        if ((job->validity == NULL || job->validity[row]) &&
            !slice_equal(job->text[row], job->text[job->first_valid]))
            return false;
    }
    return true;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

uint64_t integers_scale(const int64_t *values, uint32_t row_count, int64_t low)
{
    struct divisor divisor = {0};
    for (uint32_t row = 0; row < row_count && divisor.value != 1; row++) {
        uint64_t distance = (uint64_t)values[row] - (uint64_t)low;
        if (distance == 0 || (divisor.value != 0 && is_divisible(distance, &divisor)))
            continue;
        divisor = divisor_of(common_divisor(distance, divisor.value));
    }
    return divisor.value == 0 ? 1 : divisor.value;
}

/* How long texts are, which all encodings of them want to know. */
static void measure_texts(struct encode_job *job)
{
    job->lengths = memory_alloc(job->row_count * sizeof(*job->lengths));
    for (uint32_t row = 0; row < job->row_count; row++) {
        uint64_t size = job->text[row].size;
        job->lengths[row] = (int64_t)size;
        job->vector_size[row / BLOCK_VECTOR_ROWS] += size;
        job->text_size += size;
    }
    packed_plan_make(job->lengths, job->row_count, 1, &job->sizes);
}

/* What is NULL, and where values that can be encoded are: the caller's, or a filled copy. */
static void *prepare(const struct block_values *values, struct encode_job *job,
                     uint32_t *null_count)
{
    void *copy = NULL;
    job->class = values->class;
    job->row_count = values->row_count;
    job->width = block_width(values->class);
    job->validity = values->validity;
    job->bytes = values->values;
    job->text = values->text;
    *null_count = 0;
    for (uint32_t row = 0; values->validity != NULL && row < values->row_count; row++)
        *null_count += values->validity[row] == 0;
    if (*null_count == 0)
        job->validity = NULL;
    while (job->validity != NULL && job->first_valid < job->row_count &&
           !job->validity[job->first_valid])
        job->first_valid++;
    if (*null_count > 0 && values->class == BLOCK_TEXT) {
        job->text = copy = texts_without_nulls(values);
    } else if (*null_count > 0) {
        size_t size = (size_t)job->row_count * job->width;
        uint8_t *filled = memory_alloc(size);
        memcpy(filled, values->values, size);
        if (*null_count < job->row_count)
            fill_nulls(job, filled);
        else
            memset(filled, 0, size);
        job->bytes = copy = filled;
    }
    job->integers = (const int64_t *)(const void *)job->bytes;
    job->is_constant = *null_count == job->row_count || is_constant(job);
    if (job->width == 0)
        measure_texts(job);
    return copy;
}

/* NULLs of doubles are left out, those of integers are copies. */
static void widen_zone(struct block_zone *zone, int64_t value)
{
    zone->min = value < zone->min ? value : zone->min;
    zone->max = value > zone->max ? value : zone->max;
}

#define TEXTS_AHEAD 16

/* A pass of its own, where the encoder made none over all texts. */
static void note_texts(struct encode_job *job)
{
    for (uint32_t row = 0; row < job->row_count; row++) {
        if (row % 8192 == 8191) /* texts lie anywhere in memory */
            job_pause(job);
        if (row + TEXTS_AHEAD < job->row_count)
            __builtin_prefetch(job->text[row + TEXTS_AHEAD].data);
        job_note_text(job, row);
    }
}

static void begin_noting(struct encode_job *job)
{
    job->low = INT64_MAX;
    job->high = INT64_MIN;
    job->noted_rows = 0;
}

static void take_noted(struct encode_job *job, struct block_zone *zone)
{
    if (job->noted_rows != job->row_count) {
        begin_noting(job);
        note_texts(job);
    }
    zone->min = zone->has_range ? job->low : 0;
    zone->max = zone->has_range ? job->high : 0;
}

static void find_float_range(const struct encode_job *job, struct block_zone *zone)
{
    for (uint32_t row = 0; row < job->row_count; row++) {
        double value;
        memcpy(&value, &job->integers[row], sizeof(value));
        if (job->validity == NULL || job->validity[row])
            widen_zone(zone, float_order(value));
    }
}

static struct block_zone zone_of(const struct encode_job *job, uint32_t null_count)
{
    struct block_zone zone = {.null_count = null_count,
                              .has_range = null_count < job->row_count && job->class != BLOCK_WIDE,
                              .min = INT64_MAX,
                              .max = INT64_MIN};
    if (!zone.has_range)
        zone.min = zone.max = 0;
    else if (job->class == BLOCK_INTEGER)
        integers_range(job->integers, job->row_count, &zone.min, &zone.max);
    else if (job->class == BLOCK_FLOAT)
        find_float_range(job, &zone);
    return zone; /* of TEXT when it is written */
}

/* --- encoding --- */

static const struct encoding *choose(struct encode_job *job, uint32_t forbidden)
{
    const struct encoding *chosen = NULL;
    job->best = UINT64_MAX;
    for (size_t index = 0; index < array_count(encodings); index++) {
        const struct encoding *encoding = encodings[index];
        if (!(encoding->classes & CLASS_BIT(job->class)) || forbidden >> encoding->tag & 1)
            continue;
        uint64_t whole = job->best;
        if (chosen != NULL) /* what it has to be smaller than */
            job->best = whole / 100 * (100 - encoding->handicap) +
                        whole % 100 * (100 - encoding->handicap) / 100;
        uint64_t size = encoding->measure(job);
        job_pause(job);
        if (size < job->best)
            chosen = encoding;
        job->best = size < job->best ? size : whole;
        if (chosen == &encoding_constant && job->width != 0)
            break; /* nothing is smaller */
    }
    return chosen;
}

static void write_header(const struct encode_job *job, const struct encoding *encoding,
                         const struct block_zone *zone, struct writer *out)
{
    enum validity_kind kind = zone->null_count == 0                ? VALIDITY_ALL
                              : zone->null_count == job->row_count ? VALIDITY_NONE
                                                                   : VALIDITY_BITMAP;
    bool has_range = job->class == BLOCK_INTEGER && zone->has_range;
    writer_u8(out, encoding->tag);
    writer_u8(out, (uint8_t)job->class);
    writer_u8(out, (uint8_t)kind);
    writer_u8(out, 0);
    writer_u32(out, job->row_count);
    writer_u32(out, zone->null_count);
    writer_u32(out, 0);
    writer_i64(out, has_range ? zone->min : 0);
    writer_i64(out, has_range ? zone->max : 0);
    if (kind == VALIDITY_BITMAP)
        validity_write(job->validity, job->row_count, out);
}

#define LOST_MAX 4 /* 15 blocks without it */
#define WORSE 1.1  /* times the rate there was: then all are measured after all */

/* Those that lost, for now. */
static uint32_t take_put_off(struct encode_memory *memory)
{
    uint32_t put_off = 0;
    for (uint32_t tag = 0; tag < ENCODING_COUNT_MAX; tag++) {
        if (memory->trials[tag].left == 0)
            continue;
        memory->trials[tag].left--;
        put_off |= 1u << tag;
    }
    return put_off;
}

/* What was measured, which is all that is dear and not in `passed_over`, and lost, or did not. */
static void note_trials(struct encode_memory *memory, const struct encode_job *job,
                        const struct encoding *chosen, uint32_t passed_over)
{
    for (size_t index = 0; index < array_count(encodings); index++) {
        const struct encoding *encoding = encodings[index];
        if (!encoding->is_dear || !(encoding->classes & CLASS_BIT(job->class)) ||
            passed_over >> encoding->tag & 1)
            continue;
        uint32_t lost = encoding == chosen ? 0 : memory->trials[encoding->tag].lost + 1u;
        lost = lost < LOST_MAX ? lost : LOST_MAX;
        memory->trials[encoding->tag].lost = (uint8_t)lost;
        memory->trials[encoding->tag].left = (uint8_t)((1u << lost) - 1);
    }
}

static double rate_of(const struct encode_job *job)
{
    uint64_t units = job->width == 0 ? job->text_size : job->row_count;
    return (double)job->best / (double)(units + 1);
}

/* The same with what the block before said. */
static const struct encoding *choose_again(struct encode_job *job, uint32_t forbidden)
{
    struct encode_memory *memory = job->options == NULL ? NULL : job->options->memory;
    if (memory == NULL || job->is_strict || job->is_constant)
        return choose(job, forbidden);
    uint32_t put_off = take_put_off(memory) & ~forbidden;
    const struct encoding *chosen = choose(job, forbidden | put_off);
    bool is_worse = chosen == NULL || rate_of(job) > memory->rate * WORSE;
    if (put_off != 0 && is_worse && !fault_is("encoding.put_off_for_good")) {
        put_off = 0;
        chosen = choose(job, forbidden);
    }
    if (chosen != NULL) {
        note_trials(memory, job, chosen, forbidden | put_off);
        memory->rate = rate_of(job);
    }
    return chosen;
}

static const struct encoding *write_smallest(struct encode_job *job, uint32_t forbidden,
                                             const struct block_zone *zone, struct writer *out)
{
    const struct encoding *encoding = choose_again(job, forbidden);
    if (encoding == NULL) /* all that fit are forbidden */
        encoding = choose(job, forbidden & ~(1u << encoding_plain.tag));
    write_header(job, encoding, zone, out);
    encoding->encode(job, out);
    return encoding;
}

static uint64_t raw_bytes_of(const struct encode_job *job, uint32_t null_count)
{
    return job->width == 0 ? job->text_size : (uint64_t)(job->row_count - null_count) * job->width;
}

void encode_memory_deinit(struct encode_memory *memory)
{
    words_destroy(memory->words);
    *memory = (struct encode_memory){0};
}

void encode_memory_trim(struct encode_memory *memory, uint32_t words_max)
{
    if (memory->words == NULL || (words_max != 0 && memory->words->count <= words_max))
        return;
    words_destroy(memory->words);
    memory->words = NULL;
}

/* For the next block of the column, whether this one was written with them or not. */
static void remember_words(const struct encode_job *job)
{
    if (job->options == NULL || job->options->memory == NULL) {
        words_destroy(job->words);
        return;
    }
    if (job->words == NULL)
        return;
    words_destroy(job->options->memory->words);
    job->options->memory->words = job->words;
}

void block_encode(const struct block_values *values, const struct encode_options *options,
                  struct writer *out, struct block_encoded *encoded)
{
    struct encode_job *job = memory_alloc_zero(sizeof(*job));
    uint32_t forbidden = options == NULL ? 0 : options->forbidden, null_count;
    assert(values->row_count > 0 && values->row_count <= BLOCK_ROWS_MAX);
    job->options = options;
    writer_init(&job->pieces);
    void *copy = prepare(values, job, &null_count);
    job_pause(job);
    struct block_zone zone = zone_of(job, null_count);
    job->low = zone.has_range ? zone.min : 0;
    job->high = zone.has_range ? zone.max : 0;
    if (job->class == BLOCK_TEXT)
        begin_noting(job);
    job->scale = job->class == BLOCK_INTEGER && zone.has_range
                     ? integers_scale(job->integers, job->row_count, job->low)
                     : 1;
    job_pause(job);
    size_t begin = out->size;
    const struct encoding *encoding = write_smallest(job, forbidden, &zone, out);
    if (job->is_misjudged) {
        if (options != NULL && options->restart != NULL)
            options->restart(options->context);
        else
            out->size = begin;
        job->is_strict = true;
        job->is_misjudged = false;
        begin_noting(job);
        encoding = write_smallest(job, forbidden, &zone, out);
    }
    assert(!job->is_misjudged);
    if (job->class == BLOCK_TEXT)
        take_noted(job, &zone);
    assert(out->failed || (out->size - begin) % 8 == 0);
    *encoded = (struct block_encoded){
        .encoding = encoding->tag, .raw_bytes = raw_bytes_of(job, null_count), .zone = zone};
    dictionary_plan_destroy(job->dictionary);
    memory_free(job->alp);
    remember_words(job);
    writer_deinit(&job->pieces);
    memory_free(job->lengths);
    memory_free(copy);
    memory_free(job);
}

/* --- opening --- */

static uint64_t next_serial(void)
{
    /* Relaxed: only that no two are the same. */
    static _Atomic uint64_t serial = 1;
    return atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed);
}

enum err block_open(struct slice bytes, enum block_class class, uint32_t row_count,
                    struct block *out, struct error *error)
{
    const uint8_t *data = (const uint8_t *)bytes.data;
    assert(row_count > 0 && row_count <= BLOCK_ROWS_MAX);
    if (bytes.size < BLOCK_HEADER_SIZE || bytes.size % 8 != 0)
        return error_block(error, "it has no header");
    if (data[1] != class || load_u32(data + 4) != row_count)
        return error_block(error, "its class or rows are not what the footer says");
    const struct encoding *encoding = encoding_of(data[0], class);
    if (encoding == NULL)
        return error_block(error, "an encoding that this class does not have");
    *out = (struct block){.class = class,
                          .encoding = data[0],
                          .row_count = row_count,
                          .null_count = load_u32(data + 8),
                          .data = data,
                          .size = bytes.size};
    enum validity_kind kind = (enum validity_kind)data[2];
    if (data[2] >= VALIDITY_COUNT ||
        validity_size(kind, row_count) > bytes.size - BLOCK_HEADER_SIZE ||
        !validity_check(data + BLOCK_HEADER_SIZE, kind, row_count, out->null_count))
        return error_block(error, "its NULLs");
    size_t body = BLOCK_HEADER_SIZE + validity_size(kind, row_count);
    out->state[STATE_BODY] = body;
    out->state[STATE_VALIDITY] = kind;
    out->state[STATE_SERIAL] = next_serial();
    out->state[STATE_LOW] = load_u64(data + 16);
    out->state[STATE_HIGH] = load_u64(data + 24);
    if ((int64_t)out->state[STATE_LOW] > (int64_t)out->state[STATE_HIGH])
        return error_block(error, "its range");
    if (!encoding->open(out, slice_of(data + body, bytes.size - body)))
        return error_block(error, encoding->name);
    return OK;
}

bool block_bounds(const struct block *block, int64_t *low, int64_t *high)
{
    *low = (int64_t)block->state[STATE_LOW];
    *high = (int64_t)block->state[STATE_HIGH];
    return block->class == BLOCK_INTEGER && block->null_count < block->row_count;
}

/* --- reading --- */

void block_scratch_init(struct block_scratch *scratch)
{
    *scratch = (struct block_scratch){0};
}

void block_scratch_deinit(struct block_scratch *scratch)
{
    free(scratch->data);
    *scratch = (struct block_scratch){0};
}

bool scratch_reserve(struct block_scratch *scratch, size_t size)
{
    scratch->tag = 0;
    if (size <= scratch->capacity && scratch->data != NULL)
        return true;
    free(scratch->data); /* nothing in it is worth copying */
    scratch->capacity = size < 4096 ? 4096 : size;
    scratch->data = malloc(scratch->capacity);
    if (scratch->data == NULL)
        scratch->capacity = 0;
    return scratch->data != NULL;
}

static const struct encoding *encoding_of_block(const struct block *block)
{
    return encoding_of(block->encoding, block->class);
}

static void check_range(const struct block *block, uint32_t begin, uint32_t count)
{
    assert(begin % BLOCK_VECTOR_ROWS == 0);
    assert(count <= BLOCK_VECTOR_ROWS);
    assert(begin <= block->row_count && count <= block->row_count - begin);
}

enum err block_read(const struct block *block, uint32_t begin, uint32_t count,
                    struct block_scratch *scratch, void *out, struct error *error)
{
    check_range(block, begin, count);
    if (count == 0)
        return OK;
    return encoding_of_block(block)->read(block, begin, count, scratch, out, error);
}

enum err block_read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                       struct block_scratch *scratch, void *out, struct error *error)
{
    const struct encoding *encoding = encoding_of_block(block);
    size_t width = block_width(block->class);
    enum err err = OK;
    if (count == 0)
        return OK;
    assert(rows[count - 1] < block->row_count);
    if (encoding->is_at_anywhere)
        return encoding->read_at(block, rows, count, scratch, out, error);
    for (uint32_t i = 0, end; err == OK && i < count; i = end) {
        uint32_t vector = rows[i] / BLOCK_VECTOR_ROWS;
        for (end = i + 1; end < count && rows[end] / BLOCK_VECTOR_ROWS == vector;)
            end++;
        assert(width != 0 || end - i == count);
        err = encoding->read_at(block, rows + i, end - i, scratch, (char *)out + i * width, error);
    }
    return err;
}

/* An INTEGER block's vector: its reads cannot fail. */
static void read_integers(const struct block *block, uint32_t begin, uint32_t count, int64_t *out)
{
    enum err result = encoding_of_block(block)->read(block, begin, count, NULL, out, NULL);
    assert(result == OK);
}

static uint32_t code_limit(const struct block *block)
{
    int64_t high = (int64_t)block->state[STATE_HIGH];
    return high < 0 ? 0 : high > UINT32_MAX ? UINT32_MAX : (uint32_t)high;
}

void block_read_codes(const struct block *block, uint32_t begin, uint32_t count, uint32_t *out)
{
    const struct encoding *encoding = encoding_of_block(block);
    uint32_t limit = code_limit(block);
    assert(block->class == BLOCK_INTEGER);
    check_range(block, begin, count);
    if (count == 0)
        return;
    if (encoding->codes != NULL) {
        encoding->codes(block, begin, count, limit, out);
        return;
    }
    int64_t values[BLOCK_VECTOR_ROWS];
    read_integers(block, begin, count, values);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = (uint32_t)values[i];
        out[i] = code < limit ? code : limit;
    }
}

__int128 block_sum(const struct block *block, uint32_t begin, uint32_t count)
{
    const struct encoding *encoding = encoding_of_block(block);
    int64_t values[BLOCK_VECTOR_ROWS];
    assert(block->class == BLOCK_INTEGER);
    check_range(block, begin, count);
    if (count == 0)
        return 0;
    uint8_t validity[BLOCK_VECTOR_ROWS];
    bool has_null = block_validity(block, begin, count, validity);
    if (encoding->sum != NULL && !has_null)
        return encoding->sum(block, begin, count);
    read_integers(block, begin, count, values);
    for (uint32_t i = 0; has_null && i < count; i++)
        values[i] = validity[i] != 0 ? values[i] : 0;
    return kernels_chosen()->sum64(values, count);
}

bool block_validity(const struct block *block, uint32_t begin, uint32_t count, uint8_t *out)
{
    check_range(block, begin, count);
    return validity_read(block->data + BLOCK_HEADER_SIZE,
                         (enum validity_kind)block->state[STATE_VALIDITY], begin, count, out);
}

static uint32_t without_nulls(const struct block *block, uint32_t begin, uint32_t *selection,
                              uint32_t selected)
{
    return validity_filter(block->data + BLOCK_HEADER_SIZE,
                           (enum validity_kind)block->state[STATE_VALIDITY], begin, selection,
                           selected);
}

uint32_t block_select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                            int64_t high, uint32_t *selection)
{
    const struct encoding *encoding = encoding_of_block(block);
    uint32_t selected;
    assert(block->class == BLOCK_INTEGER);
    check_range(block, begin, count);
    if (count == 0 || low > high || high < (int64_t)block->state[STATE_LOW] ||
        low > (int64_t)block->state[STATE_HIGH])
        return 0;
    if (encoding->select_range != NULL) {
        selected = encoding->select_range(block, begin, count, low, high, selection);
    } else {
        int64_t values[BLOCK_VECTOR_ROWS];
        read_integers(block, begin, count, values);
        selected = kernels_chosen()->select64((const uint64_t *)values, count, (uint64_t)low,
                                              (uint64_t)high - (uint64_t)low, selection);
    }
    return without_nulls(block, begin, selection, selected);
}

uint32_t block_select_set(const struct block *block, uint32_t begin, uint32_t count,
                          const uint64_t *set, uint32_t *selection)
{
    const struct encoding *encoding = encoding_of_block(block);
    uint32_t limit = code_limit(block), selected;
    assert(block->class == BLOCK_INTEGER);
    check_range(block, begin, count);
    if (count == 0)
        return 0;
    if (encoding->select_set != NULL) {
        selected = encoding->select_set(block, begin, count, set, limit, selection);
    } else {
        uint32_t codes[BLOCK_VECTOR_ROWS];
        block_read_codes(block, begin, count, codes);
        selected = kernels_chosen()->select_set(codes, count, set, limit, selection);
    }
    return without_nulls(block, begin, selection, selected);
}
