/* Texts as words of a dictionary: log lines, messages, addresses, names of programs.
 *
 *   width, entries by length | codes of each vector | per vector: offset, codes, bytes (8 each)
 *   codes of each text (packed.c) | where the vectors end
 *
 * An entry is 1 to 64 bytes, most often a word and the blank before it; a code is its number in 8
 * to 16 bits, one behind the other without gaps, so any text can be read alone: its first code is
 * found from the counts of those before it. Code 0 is the escape: the code behind it is a byte.
 * How a text is cut into entries is the writer's affair: this one takes whole words
 * (words_split.c) that its dictionary has (words_learn.c) and spells the others by pieces.
 *
 * Entries stand in the order of their length, which makes the place of one a multiplication away
 * from its code and keeps the whole dictionary in the cache that it is read from all the time; they
 * are copied by 16 bytes. Cost of a word, beside other work: 9 ns to write with
 * AVX-512, half of it to find its code; 1.5 to read.
 *
 * Where it is not a tenth smaller than another encoding, and a byte and a half a text, it is not
 * taken: reading costs more, and so does writing. */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"
#include "storage/base/fault.h"

#define FRONT_SIZE (8u + 2 * WORDS_LENGTH_MAX)
#define HEAD_SIZE 24u
#define TAIL_SIZE 8u
#define CODES_AT_ONCE 32u
/* What reading writes behind the end of what it is to give. */
#define READ_ROOM (CODES_AT_ONCE * WORDS_LENGTH_MAX + 16)
#define OFFSETS_SIZE ((BLOCK_VECTOR_ROWS + 1) * sizeof(uint64_t)) /* at a scratch's beginning */
#define PAUSE_BYTES ((uint64_t)256 << 10)
#define TOGETHER_MAX 1024u /* bytes of a text that is looked up with others */

struct words_own {
    struct packed counts;
    const uint8_t *body;
    const uint8_t *heads;
    uint32_t width, entry_count;
};

/* Codes go by eights, each `width` bytes. */
static uint64_t stored_size_of(uint64_t codes, uint32_t width)
{
    return (codes + 7) / 8 * width;
}

/* --- coding --- */

/* A word without an entry: what its beginning has in common with one, the longest first. */
static uint16_t *spell(const struct words *words, const uint8_t *bytes, uint32_t size,
                       uint16_t *codes)
{
    for (uint32_t at = 0; at < size;) {
        uint32_t code = 0, length = 1, left = size - at;
        /* Lengths that there can be; two bytes can be read, and what is past the word is not asked
         * for. */
        uint32_t lengths = words->beginnings[words_beginning(bytes + at)] & ~3u;
        lengths &= left > WORDS_KEY_MAX ? UINT32_MAX : (2u << left) - 1;
        for (; code == 0 && lengths != 0; lengths &= ~(1u << length)) {
            length = bits_of(lengths) - 1;
            if (bytes[at + length - 1] != 0)
                code = words_find(&words->table, words_key_of(bytes + at, length));
        }
        if (code == 0) {
            length = 1;
            code = words->single[bytes[at]];
        }
        *codes++ = (uint16_t)code;
        if (code == 0)
            *codes++ = bytes[at];
        at += length;
    }
    return codes;
}

/* The first of them from `at` on that is 0; `count`: none. */
static uint32_t next_missing(const uint16_t *codes, uint32_t at, uint32_t count)
{
    for (; at + 4 <= count; at += 4) {
        uint64_t four;
        memcpy(&four, codes + at, sizeof(four));
        if (((four - UINT64_C(0x0001000100010001)) & ~four & UINT64_C(0x8000800080008000)) != 0)
            break;
    }
    while (at < count && codes[at] != 0)
        at++;
    return at;
}

/* Codes of words of which some have none of their own: what was found of them is in `codes`, and
 * gives way to all, whose number is returned. `lengths` (NULL: nobody asks) has of each text how
 * many words are its own, and then how many codes. */
static uint32_t spell_missing(const struct words *words, const uint8_t *bytes,
                              const uint16_t *starts, uint32_t count, uint16_t *codes,
                              int64_t *lengths)
{
    uint16_t found[WORDS_PIECE], *end = codes;
    uint32_t from = 0;
    int64_t text_end = lengths == NULL ? INT64_MAX : *lengths;
    memcpy(found, codes, count * sizeof(*codes));
    for (uint32_t at = 0;; from = ++at) {
        at = next_missing(found, at, count);
        memcpy(end, found + from, (at - from) * sizeof(*end));
        end += at - from;
        if (at == count)
            return (uint32_t)(end - codes);
        uint16_t *after = spell(words, bytes + starts[at], starts[at + 1] - starts[at], end);
        while (at >= text_end && !fault_is("words.spelled_elsewhere"))
            text_end += *++lengths;
        if (lengths != NULL)
            *lengths += after - end - 1;
        end = after;
    }
}

uint32_t words_encode(const struct words *words, const uint8_t *bytes, uint32_t size,
                      uint16_t *codes)
{
    uint16_t starts[WORDS_STARTS_MAX];
    uint32_t count = words_split(bytes, 0, size, starts);
    bool is_zero = bytes[size - 1] == 0; /* the only word that can end with one */
    words_split_end(starts + count, size);
    if (words_find_all(&words->table, bytes, starts, count - is_zero, codes) && !is_zero)
        return count;
    if (is_zero)
        codes[count - 1] = 0;
    return spell_missing(words, bytes, starts, count, codes, NULL);
}

/* A text costs time besides that of its words: as much as so many bytes are worth. An address of 13
 * bytes is 5.6 in words and 7.1 in an alphabet, which takes a fifth of the time. */
#define HALF_BYTES_A_TEXT 3

static uint64_t judge(struct encode_job *job)
{
    uint64_t size = job->words->estimate;
    bool is_forced = job->best == UINT64_MAX;
    return is_forced || size + (uint64_t)job->row_count * HALF_BYTES_A_TEXT / 2 < job->best
               ? size
               : BODY_IMPOSSIBLE;
}

/* The dictionary of the block before, if it does for this one, or a new one. */
static uint64_t measure(struct encode_job *job)
{
    struct encode_memory *memory = job->options == NULL ? NULL : job->options->memory;
    if (job->text_size == 0 && job->best != UINT64_MAX)
        return BODY_IMPOSSIBLE;
    words_destroy(job->words);
    job->words = NULL;
    if (memory != NULL && memory->words != NULL) {
        job->words = memory->words;
        memory->words = NULL;
        if (words_is_good(job->words, job))
            return judge(job);
        words_destroy(job->words);
    }
    job->words = words_learn(job);
    return job->words == NULL ? BODY_IMPOSSIBLE : judge(job);
}

static void write_dictionary(const struct words *words, struct writer *out)
{
    static const uint8_t zeros[8];
    uint64_t size = 0;
    writer_u8(out, (uint8_t)words->width);
    writer_bytes(out, zeros, 3);
    writer_u32(out, words->count);
    for (uint32_t length = 1; length <= WORDS_LENGTH_MAX; length++)
        writer_u16(out, (uint16_t)words->lengths[length]);
    writer_u8(out, 0);
    for (uint32_t i = 0; i < words->count; i++)
        writer_u8(out, (uint8_t)words_key_size(words->keys[i]));
    writer_bytes(out, zeros, align8(words->count + 1) - (words->count + 1));
    for (uint32_t i = 0; i < words->count; i++) {
        uint64_t key[2] = {words->keys[i].low, words->keys[i].high};
        writer_bytes(out, key, words_key_size(words->keys[i]));
        size += words_key_size(words->keys[i]);
    }
    writer_bytes(out, zeros, align8(size) - size);
}

/* Codes of a vector under way. Texts stand one behind the other until a piece is full, and then
 * are looked up together: what a call costs would be most of what a short text does. */
struct coder {
    const struct words *words;
    struct writer *out;
    uint32_t waiting; /* codes at the front of `codes` that are not written */
    uint32_t first_row, row_count, size, word_count; /* of the texts of the piece */
    uint16_t codes[2 * WORDS_CODES_MAX];
    uint16_t starts[WORDS_STARTS_MAX];
    uint8_t piece[WORDS_PIECE + WORDS_PIECE_ROOM];
};

/* All whole eights; what is left comes to the front. */
static void flush_codes(struct coder *coder)
{
    uint32_t width = coder->words->width, eights = coder->waiting / 8;
    uint8_t *stored = writer_reserve(coder->out, (size_t)eights * width + 16);
    if (stored == NULL) { /* the writer has failed, and nobody wants the block */
        coder->waiting = 0;
        return;
    }
    words_pack(coder->codes, eights, width, stored);
    coder->out->size += (size_t)eights * width;
    coder->waiting %= 8;
    memmove(coder->codes, coder->codes + (size_t)eights * 8, coder->waiting * sizeof(uint16_t));
}

/* Codes of the texts of the piece; how many they are of each goes to `lengths`, where each has the
 * number of its words. */
static void code_texts(struct coder *coder, int64_t *lengths)
{
    uint32_t count = coder->word_count;
    uint16_t *codes = coder->codes + coder->waiting;
    words_split_end(coder->starts + count, coder->size);
    if (!words_find_all(&coder->words->table, coder->piece, coder->starts, count, codes))
        count = spell_missing(coder->words, coder->piece, coder->starts, count, codes,
                              lengths + coder->first_row);
    coder->waiting += count;
    coder->row_count = coder->size = coder->word_count = 0;
    if (coder->waiting >= WORDS_CODES_MAX - 8)
        flush_codes(coder);
}

/* A text that does not fit, or ends with a zero. */
static uint64_t code_alone(struct coder *coder, struct slice text)
{
    uint64_t count = 0;
    while (text.size > 0) {
        uint32_t part = text.size < WORDS_PIECE ? (uint32_t)text.size : WORDS_PIECE;
        memcpy(coder->piece, text.data, part);
        memset(coder->piece + part, 0, WORDS_PIECE_ROOM);
        uint32_t codes =
            words_encode(coder->words, coder->piece, part, coder->codes + coder->waiting);
        coder->waiting += codes;
        count += codes;
        text = slice_of(text.data + part, text.size - part);
        if (coder->waiting >= WORDS_CODES_MAX - 8)
            flush_codes(coder);
    }
    return count;
}

/* The text of a row, to the others or alone. */
static void code_row(struct coder *coder, const struct encode_job *job, uint32_t row)
{
    struct slice text = job->text[row];
    bool is_alone = text.size > TOGETHER_MAX || (text.size > 0 && text.data[text.size - 1] == 0);
    if (is_alone || coder->size + text.size > WORDS_PIECE)
        code_texts(coder, job->lengths);
    if (is_alone) {
        job->lengths[row] = (int64_t)code_alone(coder, text);
        return;
    }
    if (coder->row_count++ == 0)
        coder->first_row = row;
    uint32_t count = 0;
    if (text.size > 0)
        count = words_take(text, coder->size, coder->piece, coder->starts + coder->word_count);
    job->lengths[row] = count;
    coder->word_count += count;
    coder->size += (uint32_t)text.size;
}

#define FETCH_MAX 1024
#define FETCH_ROWS 3 /* ahead: copying one takes less than waiting for the next */

static void fetch_ahead(struct slice text)
{
    size_t size = text.size < FETCH_MAX ? text.size : FETCH_MAX;
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch(text.data + at);
}

/* The codes of a vector; how many they are of each text is noted in the place of its length, which
 * nothing needs any more. */
static uint64_t write_vector(struct encode_job *job, uint32_t vector, struct coder *coder)
{
    uint32_t first = vector * BLOCK_VECTOR_ROWS, count = vector_rows_of(job->row_count, vector);
    uint64_t codes = 0, paused = 0;
    for (uint32_t row = first; row < first + count; row++) {
        if (row + FETCH_ROWS < first + count) /* further than the processor looks ahead */
            fetch_ahead(job->text[row + FETCH_ROWS]);
        code_row(coder, job, row);
        job_note_text(job, row);
        paused += job->text[row].size + 32;
        if (paused >= PAUSE_BYTES) {
            paused = 0;
            flush_codes(coder);
            job_pause(job);
            job_drain(job);
        }
    }
    code_texts(coder, job->lengths);
    for (uint32_t row = first; row < first + count; row++)
        codes += (uint64_t)job->lengths[row];
    while (coder->waiting % 8 != 0)
        coder->codes[coder->waiting++] = 0;
    flush_codes(coder);
    return codes;
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    uint32_t vectors = vector_count_of(job->row_count), width = job->words->width;
    uint64_t codes[BLOCK_VECTORS_MAX], size = 0, offset = 0;
    struct coder *coder = memory_alloc(sizeof(*coder));
    coder->words = job->words;
    coder->out = out;
    coder->waiting = coder->row_count = coder->size = coder->word_count = 0;
    write_dictionary(job->words, out);
    for (uint32_t vector = 0; vector < vectors; vector++) {
        codes[vector] = write_vector(job, vector, coder);
        size += stored_size_of(codes[vector], width);
        job_pause(job);
        job_drain(job);
    }
    memory_free(coder);
    writer_bytes(out, zeros, align8(size) - size);
    for (uint32_t vector = 0; vector < vectors; vector++) {
        writer_u64(out, offset);
        writer_u64(out, codes[vector]);
        writer_u64(out, job->vector_size[vector]);
        offset += stored_size_of(codes[vector], width);
    }
    packed_plan_make(job->lengths, job->row_count, 1, &job->sizes);
    packed_write(&job->sizes, job->lengths, out);
    writer_u64(out, align8(size));
}

/* --- opening --- */

/* The dictionary: lengths as many as the front says, and room for their bytes. *size: of all. */
static bool check_dictionary(struct slice body, uint32_t *entry_count, uint64_t *size)
{
    const uint8_t *data = (const uint8_t *)body.data, *lengths = data + FRONT_SIZE;
    uint32_t count = load_u32(data + 4);
    uint64_t bytes = 0, code = 1;
    if (count > UINT16_MAX || body.size < FRONT_SIZE + align8(count + 1))
        return false;
    for (uint32_t length = 1; length <= WORDS_LENGTH_MAX; length++) {
        uint32_t of_length = load_u16(data + 6 + 2 * (size_t)length), wrong = 0;
        if (of_length > count + 1 - code)
            return false;
        for (uint32_t i = 0; i < of_length; i++)
            wrong |= lengths[code + i] ^ length;
        if (wrong != 0)
            return false;
        code += of_length;
        bytes += (uint64_t)of_length * length;
    }
    *entry_count = count;
    *size = FRONT_SIZE + align8(count + 1) + align8(bytes);
    return code == count + 1 && *size <= body.size;
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    struct words_own own = {.body = data};
    size_t heads_size = (size_t)vector_count_of(block->row_count) * HEAD_SIZE, size;
    uint64_t dictionary_size, offset = 0;
    if (body.size < FRONT_SIZE || data[0] < WORDS_WIDTH_MIN || data[0] > WORDS_WIDTH_MAX ||
        !check_dictionary(body, &own.entry_count, &dictionary_size))
        return false;
    own.width = data[0];
    if (body.size - dictionary_size < heads_size + TAIL_SIZE)
        return false;
    uint64_t left = body.size - dictionary_size - heads_size - TAIL_SIZE;
    uint64_t stored = load_u64(data + body.size - TAIL_SIZE);
    if (stored > left)
        return false;
    own.heads = data + dictionary_size + stored;
    struct slice rest = slice_of(own.heads + heads_size, left - stored);
    if (!packed_open(rest, block->row_count, &own.counts, &size) || size != rest.size)
        return false;
    for (uint32_t vector = 0; vector < vector_count_of(block->row_count); vector++) {
        const uint8_t *head = own.heads + (size_t)vector * HEAD_SIZE;
        uint64_t codes = load_u64(head + 8), raw = load_u64(head + 16);
        if (load_u64(head) != offset || codes > stored ||
            stored_size_of(codes, own.width) > stored - offset || raw > codes * WORDS_LENGTH_MAX)
            return false;
        offset += stored_size_of(codes, own.width);
    }
    block_set_own(block, &own);
    return align8(offset) == stored;
}

/* --- reading --- */

/* A vector's codes and what they mean. */
struct reading {
    const uint8_t *lengths; /* by code */
    const uint8_t *entries;
    const uint8_t *codes;
    uint32_t width, mask, entry_count;
    uint32_t adjust[WORDS_LENGTH_MAX + 1]; /* where code 0 would be, were all of this length */
    uint64_t code_count, raw;
};

static void begin_reading(const struct words_own *own, uint32_t vector, struct reading *out)
{
    const uint8_t *head = own->heads + (size_t)vector * HEAD_SIZE;
    uint32_t code = 1, offset = 0;
    *out = (struct reading){.lengths = own->body + FRONT_SIZE,
                            .width = own->width,
                            .mask = (1u << own->width) - 1,
                            .entry_count = own->entry_count,
                            .code_count = load_u64(head + 8),
                            .raw = load_u64(head + 16)};
    out->entries = out->lengths + align8(own->entry_count + 1);
    for (uint32_t length = 1; length <= WORDS_LENGTH_MAX; length++) {
        uint32_t of_length = load_u16(own->body + 6 + 2 * (size_t)length);
        out->adjust[length] = offset - code * length;
        code += of_length;
        offset += of_length * length;
    }
    out->codes = out->entries + align8(offset) + load_u64(head);
}

static inline uint32_t code_at(const struct reading *reading, uint64_t index)
{
    uint64_t bit = index * reading->width;
    return load_u32(reading->codes + (bit >> 3)) >> (bit & 7) & reading->mask;
}

/* Codes [at, last) behind `out`, which has READ_ROOM more than up to `end`. NULL: they are more, or
 * not codes. */
static uint8_t *read_codes(const struct reading *reading, uint64_t at, uint64_t last, uint8_t *out,
                           const uint8_t *end)
{
    while (at < last) {
        uint64_t some = last - at < CODES_AT_ONCE ? last : at + CODES_AT_ONCE;
        if (out > end)
            return NULL;
        for (; at < some; at++) {
            uint32_t code = code_at(reading, at);
            if (code - 1 >= reading->entry_count) {
                if (code != 0 || ++at >= last)
                    return NULL;
                *out++ = (uint8_t)code_at(reading, at);
                continue;
            }
            uint32_t length = reading->lengths[code];
            const uint8_t *entry =
                reading->entries + (uint32_t)(reading->adjust[length] + code * length);
            memcpy(out, entry, 16);
            for (uint32_t done = 16; done < length; done += 16)
                memcpy(out + done, entry + done, 16);
            out += length;
        }
    }
    return out > end ? NULL : out;
}

/* Where the codes of the first `count` texts of a vector begin, and their end: count + 1 numbers.
 * False: they are not as many as the vector has. */
static bool read_counts(const struct words_own *own, uint32_t vector, uint32_t count,
                        uint64_t code_count, uint64_t *firsts)
{
    return text_read_offsets(&own->counts, vector, count, code_count, firsts);
}

static enum err reserve(struct block_scratch *scratch, uint64_t raw, struct error *error)
{
    if (!scratch_reserve(scratch, OFFSETS_SIZE + raw + READ_ROOM))
        return error_set(error, ERR_MEMORY, NULL, "no memory for the texts of a block");
    return OK;
}

/* All of a vector into the scratch: the offsets of its texts, their bytes. */
static enum err read_vector(const struct block *block, const struct words_own *own, uint32_t vector,
                            struct block_scratch *scratch, struct error *error)
{
    struct reading reading;
    uint64_t firsts[BLOCK_VECTOR_ROWS + 1];
    uint32_t count = vector_rows_of(block->row_count, vector);
    begin_reading(own, vector, &reading);
    if (!read_counts(own, vector, count, reading.code_count, firsts))
        return error_block(error, "codes of texts do not add up");
    enum err err = reserve(scratch, reading.raw, error);
    if (err != OK)
        return err;
    uint64_t *offsets = (uint64_t *)(void *)scratch->data;
    uint8_t *begin = (uint8_t *)scratch->data + OFFSETS_SIZE, *out = begin;
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = (uint64_t)(out - begin);
        out = read_codes(&reading, firsts[i], firsts[i + 1], out, begin + reading.raw);
        if (out == NULL)
            return error_block(error, "codes are not of the dictionary, or too many");
    }
    offsets[count] = (uint64_t)(out - begin);
    if (offsets[count] != reading.raw)
        return error_block(error, "texts do not add up");
    scratch->tag = block_tag(block, vector);
    return OK;
}

static void take_slice(const struct block_scratch *scratch, uint32_t row, struct slice *out)
{
    const uint64_t *offsets = (const uint64_t *)(const void *)scratch->data;
    *out = slice_of(scratch->data + OFFSETS_SIZE + offsets[row], offsets[row + 1] - offsets[row]);
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct words_own own;
    uint32_t vector = begin / BLOCK_VECTOR_ROWS;
    enum err err = OK;
    block_own(block, &own);
    if (scratch->tag != block_tag(block, vector))
        err = read_vector(block, &own, vector, scratch, error);
    for (uint32_t i = 0; err == OK && i < count; i++)
        take_slice(scratch, i, (struct slice *)out + i);
    return err;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct words_own own;
    struct reading reading;
    uint64_t firsts[BLOCK_VECTOR_ROWS + 1];
    if (count == 0)
        return OK;
    uint32_t vector = rows[0] / BLOCK_VECTOR_ROWS, last = rows[count - 1] % BLOCK_VECTOR_ROWS;
    if (scratch->tag == block_tag(block, vector)) {
        for (uint32_t i = 0; i < count; i++)
            take_slice(scratch, rows[i] % BLOCK_VECTOR_ROWS, (struct slice *)out + i);
        return OK;
    }
    block_own(block, &own);
    begin_reading(&own, vector, &reading);
    if (!read_counts(&own, vector, last + 1, reading.code_count, firsts))
        return error_block(error, "codes of texts do not add up");
    enum err err = reserve(scratch, reading.raw, error);
    if (err != OK)
        return err;
    uint8_t *at = (uint8_t *)scratch->data + OFFSETS_SIZE, *end = at + reading.raw;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i] % BLOCK_VECTOR_ROWS;
        uint64_t first = firsts[row] + (fault_is("words.first_code") && row > 0);
        uint8_t *behind = read_codes(&reading, first, firsts[row + 1], at, end);
        if (behind == NULL)
            return error_block(error, "codes are not of the dictionary, or too many");
        ((struct slice *)out)[i] = slice_of(at, (size_t)(behind - at));
        at = behind;
    }
    return OK;
}

const struct encoding encoding_words = {
    .name = "words",
    .doc = "texts as numbers of words in a dictionary",
    .tag = 8,
    .handicap = 10,
    .classes = CLASS_BIT(BLOCK_TEXT),
    .is_dear = true,
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
};
