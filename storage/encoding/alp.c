/* Doubles that are decimals, as integers over a power of ten.
 *
 *   exponent (1), form (1), 0 (2), exceptions (4) | digits (packed.c) | values (8 each) that are
 * not such, their rows (2 each) | (a multiple of 8)
 *
 *   value = digits / 10^exponent        form 1: that, rounded to a float
 *
 * The idea is ALP's (Afroozeh, Kuffo, Boncz: "ALP: Adaptive Lossless floating-Point Compression",
 * SIGMOD 2024): prices, latencies and positions were decimals before they were doubles, and as
 * integers they need what a frame needs. It goes by division where ALP multiplies by an inverse:
 * digits below 2^51 and powers up to 10^18 are doubles themselves (the latter up to 10^22), and a
 * quotient of two such is rounded once, just as text is on its way in, so a decimal of 15 digits
 * comes back whatever it is. Trailing zeros are the scale's of the packed section. Each value is
 * decoded and compared bit by bit before it is taken; -0, NaN, infinities and what has more digits
 * are exceptions, and in their place stand the digits of the row before.
 *
 * The exponent is one for a block, by a sample of 64 rows, which random doubles do not get past.
 *
 * Quotients by multiplication, where there is a fused one: q = digits * inverse is wrong by at most
 * 1.5 of its last places; digits - q * power is exact, since 5^18 has 42 bits; with it times the
 * inverse added q is right to 2^-52 places before it is rounded, and no quotient is nearer than
 * 1 / (2 * 5^18) places to the middle between two doubles. So it is the division's, bit by bit.
 */
#include "storage/encoding/private.h"

#include "storage/base/arena.h"

#define EXPONENT_MAX 18u
#define SAMPLE_ROWS 64u
#define CHUNK 64u /* a fixed length, so that the compiler makes vector instructions of it */
#define EXCEPTION_SIZE 10u
#define BODY_HEAD_SIZE 8u
/* 1.5 * 2^52: a double of at most 2^51 added to it is rounded to an integer, which its lowest 52
 * bits less 2^51 are. No conversion, which there is no instruction for before AVX-512. */
#define ROUNDER 0x1.8p52
#define DIGITS_MASK ((UINT64_C(1) << 52) - 1)
#define DIGITS_HALF (UINT64_C(1) << 51)
#define ALP_BODY static inline __attribute__((always_inline))

static_assert(BLOCK_VECTOR_ROWS % CHUNK == 0, "whole chunks in a vector");

static const double powers[EXPONENT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                1e14, 1e15, 1e16, 1e17, 1e18};
static const double inverses[EXPONENT_MAX + 1] = {1e-0,  1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,
                                                  1e-7,  1e-8,  1e-9,  1e-10, 1e-11, 1e-12, 1e-13,
                                                  1e-14, 1e-15, 1e-16, 1e-17, 1e-18};

struct alp_plan {
    struct packed_plan packed;
    uint32_t exception_count;
    uint8_t exponent;
    bool is_single;
    uint16_t rows[BLOCK_ROWS_MAX]; /* of exceptions */
    int64_t digits[BLOCK_ROWS_MAX];
};

struct alp_own {
    struct packed digits;
    const uint8_t *exceptions; /* values, then rows */
    uint32_t exception_count;
    uint8_t exponent, is_single;
};

/* --- values and digits --- */

/* Digits are taken modulo 2^52, so that all variants agree on any bytes. */
ALP_BODY uint64_t decode_one(uint64_t digits, double power, double inverse, bool is_single,
                             bool has_fma)
{
    uint64_t bits = ((digits + DIGITS_HALF) & DIGITS_MASK) | UINT64_C(0x433) << 52;
    double whole, value;
    memcpy(&whole, &bits, sizeof(whole));
    whole -= ROUNDER;
    if (has_fma) {
        double near = whole * inverse;
        value = __builtin_fma(__builtin_fma(-near, power, whole), inverse, near);
    } else {
        value = whole / power;
    }
    if (is_single)
        value = (double)(float)value;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* The digits nearest to a value, and what they are decoded to: something else where there are no
 * such. Nothing here is fused, whatever the variant: all take the same digits. */
ALP_BODY int64_t encode_one(uint64_t bits, double power, bool is_single, uint64_t *back)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    value = value * power + ROUNDER;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t digits = (bits & DIGITS_MASK) - DIGITS_HALF;
    *back = decode_one(digits, power, 0, is_single, false);
    return (int64_t)digits;
}

ALP_BODY void decode_body(uint64_t *values, uint32_t count, double power, double inverse,
                          bool is_single, bool has_fma)
{
    for (const uint64_t *end = values + count; values < end; values += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++)
            values[i] = decode_one(values[i], power, inverse, is_single, has_fma);
    }
}

ALP_BODY void encode_body(const uint64_t *restrict values, uint32_t count, double power,
                          bool is_single, int64_t *restrict digits, uint64_t *restrict back)
{
    for (uint32_t done = 0; done < count; done += CHUNK) {
        for (size_t i = 0; i < CHUNK; i++)
            digits[i] = encode_one(values[i], power, is_single, &back[i]);
        values += CHUNK;
        digits += CHUNK;
        back += CHUNK;
    }
}

/* `count` is a multiple of CHUNK; decode: from digits to values, in their place. */
#define ALP_FUNCTIONS(isa, decode_attributes, encode_attributes, has_fma)                          \
    decode_attributes static void decode_##isa(uint64_t *values, uint32_t count, double power,     \
                                               double inverse, bool is_single)                     \
    {                                                                                              \
        if (is_single)                                                                             \
            decode_body(values, count, power, inverse, true, has_fma);                             \
        else                                                                                       \
            decode_body(values, count, power, inverse, false, has_fma);                            \
    }                                                                                              \
    encode_attributes static void encode_##isa(const uint64_t *values, uint32_t count,             \
                                               double power, bool is_single, int64_t *digits,      \
                                               uint64_t *back)                                     \
    {                                                                                              \
        if (is_single)                                                                             \
            encode_body(values, count, power, true, digits, back);                                 \
        else                                                                                       \
            encode_body(values, count, power, false, digits, back);                                \
    }
ALP_FUNCTIONS(base, , , false)
#if defined(__x86_64__)
ALP_FUNCTIONS(avx2, __attribute__((target("avx2,fma"))), __attribute__((target("avx2"))), true)
__attribute__((target("avx512f,avx512dq,avx512vl,fma"))) static void
decode_avx512(uint64_t *values, uint32_t count, double power, double inverse, bool is_single)
{
    if (is_single)
        decode_body(values, count, power, inverse, true, true);
    else
        decode_body(values, count, power, inverse, false, true);
}
static bool has_fma(void)
{
    return __builtin_cpu_supports("fma");
}
#else
#define decode_avx2 decode_base
#define decode_avx512 decode_base
#define encode_avx2 encode_base
static bool has_fma(void)
{
    return false;
}
#endif

static void decode_chunks(uint64_t *values, uint32_t count, const struct alp_own *own)
{
    double power = powers[own->exponent], inverse = inverses[own->exponent];
    enum kernel_isa isa = has_fma() ? kernels_chosen()->isa : KERNEL_BASE;
    (isa == KERNEL_BASE   ? decode_base
     : isa == KERNEL_AVX2 ? decode_avx2
                          : decode_avx512)(values, count, power, inverse, own->is_single);
}

static void decode(uint64_t *values, uint32_t count, const struct alp_own *own)
{
    uint64_t rest[CHUNK] = {0};
    uint32_t whole = count / CHUNK * CHUNK;
    decode_chunks(values, whole, own);
    if (whole == count)
        return;
    memcpy(rest, values + whole, (count - whole) * sizeof(*rest));
    decode_chunks(rest, CHUNK, own);
    memcpy(values + whole, rest, (count - whole) * sizeof(*rest));
}

/* --- writing --- */

/* Bits of the rows of a sample, heads left out. */
static uint64_t cost_of(const uint64_t *sample, uint32_t count, uint32_t exponent, bool is_single)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    uint32_t fitting = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t back;
        int64_t digits = encode_one(sample[i], powers[exponent], is_single, &back);
        if (back != sample[i])
            continue;
        low = digits < low ? digits : low;
        high = digits > high ? digits : high;
        fitting++;
    }
    uint64_t width = fitting == 0 ? 0 : bits_of((uint64_t)high - (uint64_t)low);
    return fitting * width + (uint64_t)(count - fitting) * (EXCEPTION_SIZE * 8);
}

static bool is_float(uint64_t bits)
{
    uint64_t back;
    double value;
    memcpy(&value, &bits, sizeof(value));
    if (!(value <= 0x1p100 && value >= -0x1p100)) /* no decimal; a float has an end, too */
        return false;
    value = (double)(float)value;
    memcpy(&back, &value, sizeof(back));
    return back == bits;
}

/* The exponent and the form that a few rows from all over the block are smallest with; what all
 * rows would be with it, in bytes. */
static uint64_t choose_exponent(const struct encode_job *job, struct alp_plan *plan)
{
    uint64_t sample[SAMPLE_ROWS], least = UINT64_MAX;
    uint32_t count = job->row_count < SAMPLE_ROWS ? job->row_count : SAMPLE_ROWS;
    bool is_single = true;
    for (uint32_t i = 0; i < count; i++) {
        sample[i] = (uint64_t)job->integers[(uint64_t)i * job->row_count / count];
        is_single = is_single && is_float(sample[i]);
    }
    for (uint32_t form = 0; form <= is_single; form++) {
        for (uint32_t exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
            uint64_t cost = cost_of(sample, count, exponent, form == 1);
            if (cost >= least)
                continue;
            least = cost;
            plan->exponent = (uint8_t)exponent;
            plan->is_single = form == 1;
        }
    }
    return least * job->row_count / count / 8;
}

/* Digits of a vector; rows that they are not the value of are noted. */
static void encode_vector(const struct encode_job *job, uint32_t vector, struct alp_plan *plan)
{
    uint64_t back[BLOCK_VECTOR_ROWS], rest[CHUNK] = {0};
    int64_t rest_digits[CHUNK];
    uint32_t first = vector * BLOCK_VECTOR_ROWS, count = vector_rows_of(job->row_count, vector);
    uint32_t whole = count / CHUNK * CHUNK, exceptions = plan->exception_count;
    const uint64_t *values = (const uint64_t *)job->integers + first;
    double power = powers[plan->exponent];
    void (*encode)(const uint64_t *, uint32_t, double, bool, int64_t *, uint64_t *) =
        kernels_chosen()->isa == KERNEL_BASE ? encode_base : encode_avx2;
    encode(values, whole, power, plan->is_single, plan->digits + first, back);
    if (whole < count) {
        memcpy(rest, values + whole, (count - whole) * sizeof(*rest));
        encode(rest, CHUNK, power, plan->is_single, rest_digits, back + whole);
        memcpy(plan->digits + first + whole, rest_digits, (count - whole) * sizeof(*rest_digits));
    }
    for (uint32_t i = 0; i < count; i++) {
        plan->rows[exceptions] = (uint16_t)(first + i);
        exceptions += back[i] != values[i];
    }
    plan->exception_count = exceptions;
}

/* Rows of exceptions take digits that cost nothing: those before them, or the first after. */
static void fill_exceptions(struct alp_plan *plan, uint32_t row_count)
{
    for (uint32_t i = 0; i < plan->exception_count; i++) {
        uint32_t row = plan->rows[i], run = 0;
        if (row % BLOCK_VECTOR_ROWS != 0) {
            plan->digits[row] = plan->digits[row - 1];
            continue;
        }
        while (i + run < plan->exception_count && plan->rows[i + run] == row + run)
            run++;
        plan->digits[row] = row + run < row_count ? plan->digits[row + run] : 0;
    }
}

static uint64_t measure(struct encode_job *job)
{
    struct alp_plan *plan = job->alp;
    int64_t low, high;
    if (plan == NULL)
        plan = job->alp = memory_alloc(sizeof(*plan));
    plan->exception_count = 0;
    if (choose_exponent(job, plan) >= job->best)
        return BODY_IMPOSSIBLE;
    for (uint32_t vector = 0; vector < vector_count_of(job->row_count); vector++) {
        encode_vector(job, vector, plan);
        if ((uint64_t)plan->exception_count * EXCEPTION_SIZE >= job->best)
            return BODY_IMPOSSIBLE;
    }
    job_pause(job);
    fill_exceptions(plan, job->row_count);
    integers_range(plan->digits, job->row_count, &low, &high);
    packed_plan_make(plan->digits, job->row_count,
                     integers_scale(plan->digits, job->row_count, low), &plan->packed);
    return BODY_HEAD_SIZE + plan->packed.size +
           align8((uint64_t)plan->exception_count * EXCEPTION_SIZE);
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    const struct alp_plan *plan = job->alp;
    uint64_t size = (uint64_t)plan->exception_count * EXCEPTION_SIZE;
    writer_u8(out, plan->exponent);
    writer_u8(out, plan->is_single);
    writer_u8(out, 0);
    writer_u8(out, 0);
    writer_u32(out, plan->exception_count);
    packed_write(&plan->packed, plan->digits, out);
    for (uint32_t i = 0; i < plan->exception_count; i++)
        writer_i64(out, job->integers[plan->rows[i]]);
    writer_bytes(out, plan->rows, plan->exception_count * sizeof(*plan->rows));
    writer_bytes(out, zeros, align8(size) - size);
}

/* --- reading --- */

static uint32_t exception_row(const struct alp_own *own, uint32_t index)
{
    return load_u16(own->exceptions + (size_t)own->exception_count * 8 + (size_t)index * 2);
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    struct alp_own own;
    size_t size;
    if (body.size < BODY_HEAD_SIZE || data[0] > EXPONENT_MAX || data[1] > 1 ||
        load_u32(data + 4) > block->row_count)
        return false;
    struct slice rest = slice_of(data + BODY_HEAD_SIZE, body.size - BODY_HEAD_SIZE);
    if (!packed_open(rest, block->row_count, &own.digits, &size))
        return false;
    own.exponent = data[0];
    own.is_single = data[1];
    own.exception_count = load_u32(data + 4);
    own.exceptions = data + BODY_HEAD_SIZE + size;
    if (align8((uint64_t)own.exception_count * EXCEPTION_SIZE) != rest.size - size)
        return false;
    for (uint32_t i = 0; i < own.exception_count; i++) {
        uint32_t row = exception_row(&own, i);
        if (row >= block->row_count || (i > 0 && row <= exception_row(&own, i - 1)))
            return false;
    }
    block_set_own(block, &own);
    return true;
}

/* The first exception from `index` on that is of `row` or one after it: in steps that double, then
 * by halving. */
static uint32_t exception_from(const struct alp_own *own, uint32_t index, uint32_t row)
{
    uint32_t low = index, end = own->exception_count, step = 1;
    while (low + step < end && exception_row(own, low + step) < row)
        step *= 2;
    uint32_t high = low + step < end ? low + step : end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (exception_row(own, middle) < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t exceptions_end(const struct alp_own *own)
{
    bool is_lost = own->exception_count > 0 && fault_is("alp.exception_lost");
    return own->exception_count - is_lost;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct alp_own own;
    uint64_t *values = out;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    packed_read(&own.digits, begin / BLOCK_VECTOR_ROWS, count, out);
    decode(values, count, &own);
    uint32_t end = exceptions_end(&own);
    for (uint32_t i = exception_from(&own, 0, begin); i < end; i++) {
        uint32_t row = exception_row(&own, i) - begin;
        if (row >= count)
            break;
        values[row] = load_u64(own.exceptions + (size_t)i * 8);
    }
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct alp_own own;
    uint64_t *values = out;
    block_own(block, &own);
    (void)scratch;
    (void)error;
    packed_pick(&own.digits, rows, count, out);
    decode(values, count, &own);
    uint32_t end = exceptions_end(&own), next = 0;
    for (uint32_t i = 0; i < count && next < end; i++) {
        next = exception_from(&own, next, rows[i]);
        if (next < end && exception_row(&own, next) == rows[i])
            values[i] = load_u64(own.exceptions + (size_t)next * 8);
    }
    return OK;
}

const struct encoding encoding_alp = {
    .name = "alp",
    .doc = "decimals as integers over a power of ten, bit-packed; others apart",
    .tag = 9,
    .handicap = 25,
    .classes = CLASS_BIT(BLOCK_FLOAT),
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
    .is_at_anywhere = true,
};
