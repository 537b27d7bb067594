/* Runs: each value once, with the row its run ends at.
 *
 *   run count (4), form (4) | values | last row of each run (2 each) | per vector: its first run
 * (2)
 *
 * Values are packed (form 1, packed.c) or as they are (form 0), whichever is smaller; WIDE always
 * as they are. Predicates are decided once a run.
 */
#include "storage/encoding/private.h"

#include "storage/base/fault.h"

#define SUM_REACH 32768u /* rows whose runs have lengths of 16 bits, and few enough of them */
#define PICK_RUNS 256u   /* runs of single rows that are found before their values are read */

#include "storage/base/arena.h"

#include <stdlib.h>

struct rle_own {
    struct packed packed;  /* form 1 */
    const uint8_t *values; /* form 0; else NULL */
    const uint8_t *ends;
    uint32_t run_count;
    uint32_t width;
};

/* --- writing --- */

static bool is_same(const struct encode_job *job, uint32_t row)
{
    if (job->width == 8)
        return job->integers[row] == job->integers[row - 1];
    return memcmp(job->bytes + (size_t)row * 16, job->bytes + (size_t)(row - 1) * 16, 16) == 0;
}

/* Rows of [begin, end) that are not like the one before. */
static uint32_t count_changes(const struct encode_job *job, uint32_t begin, uint32_t end)
{
    uint32_t changes = 0;
    begin = begin == 0 ? 1 : begin;
    for (uint32_t row = begin; job->width == 8 && row < end; row++)
        changes += job->integers[row] != job->integers[row - 1] ? 1 : 0;
    for (uint32_t row = begin; job->width != 8 && row < end; row++)
        changes += !is_same(job, row);
    return changes;
}

static uint32_t run_count_of(const struct encode_job *job)
{
    return 1 + count_changes(job, 0, job->row_count);
}

/* A run costs two bytes besides its value, of which there are at most eight. */
static bool is_hopeless(const struct encode_job *job, uint32_t runs, uint32_t row_count)
{
    return job->width == 8 && runs >= 16 && (uint64_t)runs * 5 > row_count * UINT64_C(4);
}

/* By a few vectors: most columns have no runs, and each costs a pass to say so. */
static bool is_sample_hopeless(const struct encode_job *job)
{
    uint32_t changes = 0, rows = 0;
    for (uint32_t vector = 0; vector < vector_count_of(job->row_count);
         vector += SAMPLE_VECTORS_STEP) {
        uint32_t begin = vector * BLOCK_VECTOR_ROWS, count = vector_rows_of(job->row_count, vector);
        changes += count_changes(job, begin, begin + count);
        rows += count;
    }
    return is_hopeless(job, changes, rows);
}

/* What does not depend on the form. */
static uint64_t rest_size(const struct encode_job *job, uint32_t runs)
{
    return 8 + align8((uint64_t)(runs + vector_count_of(job->row_count)) * 2);
}

/* The values of the runs, to be freed, where packing them may pay; NULL: it cannot. */
static int64_t *values_of_runs(const struct encode_job *job, uint32_t runs,
                               struct packed_plan *plan)
{
    if (job->width != 8 || runs < 16)
        return NULL;
    /* Without a branch, as chance has it where a run ends: written over until it does. */
    int64_t *values = memory_alloc(runs * sizeof(*values));
    const int64_t *integers = job->integers;
    uint32_t run = 0;
    for (uint32_t row = 1; row < job->row_count; row++) {
        values[run] = integers[row - 1];
        run += integers[row] != integers[row - 1];
    }
    values[run] = integers[job->row_count - 1];
    packed_plan_make(values, runs, job->scale, plan);
    if (plan->size < (uint64_t)runs * 8)
        return values;
    memory_free(values);
    return NULL;
}

static uint64_t measure(struct encode_job *job)
{
    struct packed_plan plan;
    if (is_sample_hopeless(job))
        return BODY_IMPOSSIBLE;
    uint32_t runs = run_count_of(job);
    if (is_hopeless(job, runs, job->row_count) || rest_size(job, runs) >= job->best)
        return BODY_IMPOSSIBLE;
    int64_t *values = values_of_runs(job, runs, &plan);
    uint64_t size = values == NULL ? (uint64_t)runs * job->width : plan.size;
    memory_free(values);
    return rest_size(job, runs) + size;
}

/* Last rows of the runs of rows [begin, end), but of one that goes on; one more is written. */
static uint32_t find_ends(const struct encode_job *job, uint32_t begin, uint32_t end,
                          uint16_t *ends)
{
    uint32_t count = 0;
    for (uint32_t row = begin; job->width == 8 && row < end; row++) {
        ends[count] = (uint16_t)(row - 1);
        count += job->integers[row] != job->integers[row - 1];
    }
    for (uint32_t row = begin; job->width != 8 && row < end; row++) {
        ends[count] = (uint16_t)(row - 1);
        count += !is_same(job, row);
    }
    return count;
}

static void write_ends(const struct encode_job *job, struct writer *out)
{
    uint16_t first_run[BLOCK_VECTORS_MAX], ends[BLOCK_VECTOR_ROWS + 1];
    uint32_t run = 0, vectors = vector_count_of(job->row_count);
    for (uint32_t vector = 0; vector < vectors; vector++) {
        uint32_t begin = vector * BLOCK_VECTOR_ROWS;
        uint32_t end = begin + vector_rows_of(job->row_count, vector);
        bool is_new = begin > 0 && !is_same(job, begin);
        uint32_t count = find_ends(job, begin == 0 ? 1 : begin, end, ends);
        first_run[vector] = (uint16_t)(run + is_new);
        writer_bytes(out, ends, count * sizeof(*ends));
        run += count;
    }
    writer_u16(out, (uint16_t)(job->row_count - 1));
    for (uint32_t vector = 0; vector < vectors; vector++)
        writer_u16(out, first_run[vector]);
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    struct packed_plan plan;
    uint32_t runs = run_count_of(job), vectors = vector_count_of(job->row_count);
    int64_t *values = values_of_runs(job, runs, &plan);
    writer_u32(out, runs);
    writer_u32(out, values != NULL);
    if (values != NULL)
        packed_write(&plan, values, out);
    for (uint32_t row = 0; values == NULL && row < job->row_count; row++) {
        if (row == 0 || !is_same(job, row))
            writer_bytes(out, job->bytes + (size_t)row * job->width, job->width);
    }
    write_ends(job, out);
    size_t size = (size_t)(runs + vectors) * 2;
    writer_bytes(out, zeros, align8(size) - size);
    memory_free(values);
}

/* --- reading --- */

static bool check_runs(const struct rle_own *own, uint32_t row_count)
{
    const uint8_t *first_run = own->ends + (size_t)own->run_count * 2;
    uint32_t next_vector = 0;
    int64_t previous = -1;
    for (uint32_t run = 0; run < own->run_count; run++) {
        uint32_t end = load_u16(own->ends + (size_t)run * 2);
        if ((int64_t)end <= previous || end >= row_count)
            return false;
        for (; next_vector * BLOCK_VECTOR_ROWS <= end; next_vector++) {
            if (load_u16(first_run + (size_t)next_vector * 2) != run)
                return false;
        }
        previous = end;
    }
    return previous == (int64_t)row_count - 1;
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    if (body.size < 8)
        return false;
    struct rle_own own = {.run_count = load_u32(data), .width = block_width(block->class)};
    uint32_t form = load_u32(data + 4);
    struct slice rest = slice_of(data + 8, body.size - 8);
    if (own.run_count == 0 || own.run_count > block->row_count || form > 1)
        return false;
    size_t size = (size_t)own.run_count * own.width;
    if (form == 0)
        own.values = data + 8;
    else if (own.width != 8 || !packed_open(rest, own.run_count, &own.packed, &size))
        return false;
    uint64_t ends_size = (uint64_t)(own.run_count + vector_count_of(block->row_count)) * 2;
    if (size > rest.size || rest.size - size != align8(ends_size))
        return false;
    own.ends = data + 8 + size;
    block_set_own(block, &own);
    return check_runs(&own, block->row_count);
}

/* Runs that have rows in [begin, end), cut to it. */
struct run_walk {
    struct rle_own own;
    uint32_t run, begin, end;
};

static struct run_walk walk_of(const struct block *block, uint32_t begin, uint32_t count)
{
    struct run_walk walk = {.begin = begin, .end = begin + count};
    block_own(block, &walk.own);
    const uint8_t *first_run = walk.own.ends + (size_t)walk.own.run_count * 2;
    walk.run = load_u16(first_run + (size_t)begin / BLOCK_VECTOR_ROWS * 2);
    return walk;
}

/* The current run's rows end here; 0: there is none any more. */
static uint32_t walk_end(const struct run_walk *walk)
{
    if (walk->begin >= walk->end)
        return 0;
    uint32_t end = load_u16(walk->own.ends + (size_t)walk->run * 2) + 1u;
    return end < walk->end ? end : walk->end;
}

static void walk_next(struct run_walk *walk, uint32_t end)
{
    walk->begin = end;
    walk->run++;
}

static uint64_t run_value(const struct rle_own *own, uint32_t run)
{
    return own->values == NULL ? (uint64_t)packed_at(&own->packed, run)
                               : load_u64(own->values + (size_t)run * 8);
}

/* Values of runs that are asked for one behind the other: unpacked a vector at a time. */
struct run_values {
    uint32_t vector; /* UINT32_MAX: none yet */
    int64_t values[BLOCK_VECTOR_ROWS];
};

static inline uint64_t next_value(const struct rle_own *own, uint32_t run,
                                  struct run_values *values)
{
    if (own->values != NULL)
        return load_u64(own->values + (size_t)run * 8);
    if (run / BLOCK_VECTOR_ROWS != values->vector) {
        values->vector = run / BLOCK_VECTOR_ROWS;
        packed_read(&own->packed, values->vector, vector_rows_of(own->run_count, values->vector),
                    values->values);
    }
    return (uint64_t)values->values[run % BLOCK_VECTOR_ROWS];
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct run_walk walk = walk_of(block, begin, count);
    struct run_values values = {.vector = UINT32_MAX};
    (void)scratch;
    (void)error;
    for (uint32_t end; (end = walk_end(&walk)) != 0; walk_next(&walk, end)) {
        if (walk.own.width == 8) {
            uint64_t value = next_value(&walk.own, walk.run, &values), *to = out;
            for (uint32_t row = walk.begin; row < end; row++)
                to[row - begin] = value;
            continue;
        }
        for (uint32_t row = walk.begin; row < end; row++)
            memcpy((uint8_t *)out + (size_t)(row - begin) * 16,
                   walk.own.values + (size_t)walk.run * 16, 16);
    }
    return OK;
}

/* The run of a row that is not before `run`: in strides that double, then by halving. */
static uint32_t run_of(const struct rle_own *own, uint32_t run, uint32_t row)
{
    uint32_t low = run, stride = 1, last = own->run_count - 1;
    while (low < last && load_u16(own->ends + (size_t)low * 2) < row) {
        run = low + 1;
        low = last - low > stride ? low + stride : last;
        stride *= 2;
    }
    uint32_t high = low;
    for (low = run; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (load_u16(own->ends + (size_t)middle * 2) < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void pick_values(const struct rle_own *own, const uint32_t *runs, uint32_t count,
                        uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (own->width == 8) /* a size the compiler knows: a load, not a call */
            memcpy(out + (size_t)i * 8, own->values + (size_t)runs[i] * 8, 8);
        else
            memcpy(out + (size_t)i * 16, own->values + (size_t)runs[i] * 16, 16);
    }
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    if (count == 0)
        return OK;
    uint32_t begin = rows[0] / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS;
    struct run_walk walk = walk_of(block, begin, rows[count - 1] - begin + 1);
    (void)scratch;
    (void)error;
    for (uint32_t done = 0, some; done < count; done += some) {
        uint32_t runs[PICK_RUNS];
        some = count - done < PICK_RUNS ? count - done : PICK_RUNS;
        for (uint32_t i = 0; i < some; i++)
            runs[i] = walk.run = run_of(&walk.own, walk.run, rows[done + i]);
        if (walk.own.values == NULL) /* all of them in rounds: one by one takes twice as long */
            packed_pick(&walk.own.packed, runs, some, (int64_t *)out + done);
        else
            pick_values(&walk.own, runs, some, (uint8_t *)out + (size_t)done * walk.own.width);
    }
    return OK;
}

static void read_codes(const struct block *block, uint32_t begin, uint32_t count, uint32_t limit,
                       uint32_t *out)
{
    struct run_walk walk = walk_of(block, begin, count);
    for (uint32_t end; (end = walk_end(&walk)) != 0; walk_next(&walk, end)) {
        uint32_t code = (uint32_t)run_value(&walk.own, walk.run);
        code = code < limit ? code : limit;
        for (uint32_t row = walk.begin; row < end; row++)
            out[row - begin] = code;
    }
}

/* The run of row end - 1, from `run` on. Where a vector ends it is that of the next one's first
 * row, or the one before it. */
static uint32_t last_run(const struct rle_own *own, uint32_t run, uint32_t end, uint32_t row_count)
{
    const uint8_t *first_run = own->ends + (size_t)own->run_count * 2;
    uint32_t next_vector = (end - 1) / BLOCK_VECTOR_ROWS + 1, high = own->run_count - 1;
    if (next_vector * BLOCK_VECTOR_ROWS < row_count)
        high = load_u16(first_run + (size_t)next_vector * 2);
    if (end == row_count)
        return high;
    if (end % BLOCK_VECTOR_ROWS == 0)
        return high > run && load_u16(own->ends + (size_t)high * 2 - 2) + 1u == end ? high - 1
                                                                                    : high;
    for (uint32_t low = run; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (load_u16(own->ends + (size_t)middle * 2) + 1u < end)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

typedef uint16_t eight_ends __attribute__((vector_size(16)));

/* Lengths of runs [first, first + count), the first cut at `begin`, the last at `end`. */
static void read_lengths(const struct run_walk *walk, uint32_t first, uint32_t count, uint32_t last,
                         uint16_t *out)
{
    uint16_t ends[BLOCK_VECTOR_ROWS];
    memcpy(ends, walk->own.ends + (size_t)first * 2, count * sizeof(*ends));
    if (first + count - 1 == last)
        ends[count - 1] = (uint16_t)(walk->end - 1);
    uint32_t before =
        first == walk->run ? walk->begin : load_u16(walk->own.ends + (size_t)first * 2 - 2) + 1u;
    out[0] = (uint16_t)(ends[0] + 1u - before);
    uint32_t i = 1;
    for (; i + 8 <= count; i += 8) { /* vectors by hand: what is behind `count` is not there */
        eight_ends these, others;
        memcpy(&these, ends + i, sizeof(these));
        memcpy(&others, ends + i - 1, sizeof(others));
        these -= others;
        memcpy(out + i, &these, sizeof(these));
    }
    for (; i < count; i++)
        out[i] = (uint16_t)(ends[i] - ends[i - 1]);
}

/* The sum of runs [run, next) of one vector of runs, each times its length. */
static __int128 sum_some(const struct run_walk *walk, uint32_t run, uint32_t next, uint32_t last)
{
    const struct rle_own *own = &walk->own;
    const struct kernels *kernels = kernels_chosen();
    uint32_t vector = run / BLOCK_VECTOR_ROWS, first = vector * BLOCK_VECTOR_ROWS;
    uint32_t narrow[BLOCK_VECTOR_ROWS], skipped = (run - first) / UNIT_VALUES * UNIT_VALUES;
    uint16_t lengths[BLOCK_VECTOR_ROWS];
    int64_t values[BLOCK_VECTOR_ROWS], base;
    for (uint32_t size = (next - run) * 2, line = 0; line < size; line += 64)
        __builtin_prefetch(own->ends + (size_t)next * 2 + line);
    read_lengths(walk, run, next - run, last, lengths);
    if (own->values != NULL) {
        memcpy(values, own->values + (size_t)run * 8, (next - run) * sizeof(*values));
        return kernels->sum_runs(values, lengths, next - run);
    }
    if (packed_read_narrow(&own->packed, vector, skipped, next - first - skipped, narrow, &base)) {
        uint64_t rows, sum;
        kernels->sum_lengths(narrow + (run - first - skipped), lengths, next - run, &rows, &sum);
        sum += fault_is("rle.sum_off_by_one");
        return (__int128)base * (int64_t)rows + (__int128)own->packed.scale * sum;
    }
    packed_read(&own->packed, vector, next - first, values);
    return kernels->sum_runs(values + (run - first), lengths, next - run);
}

/* Many runs: their values and lengths side by side, a vector of runs at a time. */
static __int128 sum_rows(const struct block *block, uint32_t begin, uint32_t count)
{
    struct run_walk walk = walk_of(block, begin, count);
    uint32_t last = last_run(&walk.own, walk.run, walk.end, block->row_count);
    __int128 sum = 0;
    assert(count <= SUM_REACH);
    for (uint32_t run = walk.run, next; run <= last; run = next) {
        uint32_t end = run / BLOCK_VECTOR_ROWS * BLOCK_VECTOR_ROWS + BLOCK_VECTOR_ROWS;
        next = end <= last ? end : last + 1;
        sum += sum_some(&walk, run, next, last);
    }
    return sum;
}

static uint32_t select_range(const struct block *block, uint32_t begin, uint32_t count, int64_t low,
                             int64_t high, uint32_t *selection)
{
    struct run_walk walk = walk_of(block, begin, count);
    uint32_t selected = 0;
    for (uint32_t end; (end = walk_end(&walk)) != 0; walk_next(&walk, end)) {
        int64_t value = (int64_t)run_value(&walk.own, walk.run);
        if (value >= low && value <= high)
            selected = select_rows_between(walk.begin - begin, end - begin, selection, selected);
    }
    return selected;
}

static uint32_t select_set(const struct block *block, uint32_t begin, uint32_t count,
                           const uint64_t *set, uint32_t limit, uint32_t *selection)
{
    struct run_walk walk = walk_of(block, begin, count);
    uint32_t selected = 0;
    for (uint32_t end; (end = walk_end(&walk)) != 0; walk_next(&walk, end)) {
        uint32_t code = (uint32_t)run_value(&walk.own, walk.run);
        code = code < limit ? code : limit;
        if (set[code / 64] >> code % 64 & 1)
            selected = select_rows_between(walk.begin - begin, end - begin, selection, selected);
    }
    return selected;
}

const struct encoding encoding_rle = {
    .name = "rle",
    .doc = "runs of equal values",
    .tag = 1,
    .classes = CLASS_BIT(BLOCK_INTEGER) | CLASS_BIT(BLOCK_FLOAT) | CLASS_BIT(BLOCK_WIDE),
    .is_dear = true,
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .codes = read_codes,
    .sum = sum_rows,
    .sum_reach = SUM_REACH,
    .select_range = select_range,
    .select_set = select_set,
};
