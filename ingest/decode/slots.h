/* The part of template.c that is made once for each set of instructions, with the names SLOTS(…):
 * literals compared, ends of strings found, the loop over the values. SLOTS_AVX2: with 32 bytes at
 * a time. Every form reads the same rows; tests run all. */

/* Does the step's literal stand at p? False too where less than LITERAL_WIDE bytes are left. */
static ALWAYS_INLINE SLOTS_TARGET bool SLOTS(literal_fits)(const struct decoder *d,
                                                           const struct step *step, const char *p,
                                                           struct bounds bounds)
{
    if (__builtin_expect((uintptr_t)p > bounds.wide, 0))
        return false;
#if defined(SLOTS_AVX2)
    (void)d;
    __m256i have = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i want = _mm256_loadu_si256((const __m256i *)(const void *)step->literal);
    uint32_t same = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(have, want));
    return (~same & step->mask) == 0;
#elif defined(__x86_64__)
    if (d->is_inline) {
        const __m128i *have = (const __m128i *)(const void *)p;
        const __m128i *want = (const __m128i *)(const void *)step->literal;
        uint32_t low = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(have), _mm_loadu_si128(want)));
        uint32_t high = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(have + 1), _mm_loadu_si128(want + 1)));
        return (~(low | high << 16) & step->mask) == 0;
    }
#endif
    (void)d;
    return memcmp(p, step->literal, step->size) == 0;
}

#if defined(SLOTS_AVX2)
/* The sign bit of each of 32 bytes that plain text does not have, or that is not ASCII. */
static ALWAYS_INLINE SLOTS_TARGET __m256i SLOTS(special_bytes)(const char *p)
{
    const struct wide_constants *c = &wide_constants;
    __asm__("" : "+r"(c));
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i by_low_half = _mm256_load_si256((const __m256i *)(const void *)c->by_low_half);
    __m256i is_one = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(by_low_half, v), v);
    /* Below 0: such a byte. */
    __m256i less = _mm256_subs_epi8(v, _mm256_load_si256((const __m256i *)(const void *)c->blanks));
    return _mm256_or_si256(is_one, less);
}
#endif

/* p: behind the opening quote. The closing quote, if the text before it is plain and in ASCII, as
 * nearly all are; else NULL. */
static ALWAYS_INLINE SLOTS_TARGET const char *SLOTS(plain_end)(const struct decoder *d,
                                                               const char *p, struct bounds bounds)
{
    const char *end = bounds.end;
#if defined(SLOTS_AVX2)
    if (__builtin_expect((uintptr_t)p <= bounds.wide, 1)) {
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(SLOTS(special_bytes)(p));
        if (hits != 0) {
            p += __builtin_ctz(hits);
            return __builtin_expect(*p == '"', 1) ? p : NULL;
        }
        for (p += LITERAL_WIDE; (uintptr_t)p + LITERAL_WIDE <= bounds.wide; p += 2 * LITERAL_WIDE) {
            __m256i low = SLOTS(special_bytes)(p), high = SLOTS(special_bytes)(p + LITERAL_WIDE);
            if (_mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0)
                continue;
            uint64_t both = (uint32_t)_mm256_movemask_epi8(low) |
                            (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << LITERAL_WIDE;
            if (fault_is("template.half_a_step_passed") && both >> LITERAL_WIDE != 0)
                both = both >> LITERAL_WIDE << LITERAL_WIDE;
            p += __builtin_ctzll(both);
            return __builtin_expect(*p == '"', 1) ? p : NULL;
        }
    }
    p = far_end(d, p, end);
#elif defined(__x86_64__)
    if (d->is_inline && (uintptr_t)p <= bounds.wide) {
        uint32_t hits = special_bytes(p) | special_bytes(p + 16) << 16;
        p = hits != 0 ? p + __builtin_ctz(hits) : d->scan(p + 32, end);
    } else {
        p = d->is_inline ? last_special(d, p, end) : d->scan(p, end);
    }
#else
    p = d->scan(p, end);
#endif
    return __builtin_expect(p < end && *p == '"', 1) ? p : NULL;
}

static ALWAYS_INLINE SLOTS_TARGET bool SLOTS(take_text)(struct decoder *d,
                                                        struct rows_column *column, const char **at,
                                                        struct bounds bounds)
{
    const char *p = *at, *quote = SLOTS(plain_end)(d, p, bounds);
    /* No quote is a long way off too. */
    if (__builtin_expect((uintptr_t)quote - (uintptr_t)p > ROW_STRING_SIZE_MAX, 0))
        return false;
    rows_put_text(d->rows, column, slice_of(p, (size_t)(quote - p)), (size_t)(bounds.end - p));
    *at = quote + 1;
    return true;
}

/* Forms of a fixed size need no look for their end: what is right is all digits and signs. */
static ALWAYS_INLINE SLOTS_TARGET bool SLOTS(take_time)(const struct template_state *t,
                                                        struct rows_column *column, size_t row,
                                                        const char **at, const char *end)
{
    const char *p = *at;
    int64_t value;
    if (end - p <= 27)
        return false;
    size_t size = p[27] == '"' ? 27 : p[24] == '"' ? 24 : 20;
    if (p[size] != '"' || !time_from_minute(t, p, size, &value))
        return false;
    column->i[row] = value;
    column->validity[row] = 1;
    *at = p + size + 1;
    return true;
}

#if defined(SLOTS_AVX2)
/* The uuid whose 36 characters are at p. */
static inline SLOTS_TARGET bool SLOTS(read_uuid)(const char *p, uint8_t *out)
{
    /* Digits 0 to 15 are in the lower half: at 0 to 7, 9 to 12, and 14 to 17, the last two of which
     * are beyond the first sixteen characters. The others lie so from 19 on. */
    const __m256i first = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, -1, -1, 0,
                                           1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1);
    const __m256i rest =
        _mm256_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 14, 15, -1, -1, -1,
                         -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 15);
    __m256i a = _mm256_loadu2_m128i((const __m128i *)(const void *)(p + 19),
                                    (const __m128i *)(const void *)p);
    __m256i b = _mm256_loadu2_m128i((const __m128i *)(const void *)(p + 20),
                                    (const __m128i *)(const void *)(p + 2));
    __m256i c = _mm256_or_si256(_mm256_shuffle_epi8(a, first), _mm256_shuffle_epi8(b, rest));
    __m256i number = _mm256_sub_epi8(c, _mm256_set1_epi8('0'));
    __m256i letter =
        _mm256_sub_epi8(_mm256_or_si256(c, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('a'));
    __m256i is_number = _mm256_cmpeq_epi8(_mm256_min_epu8(number, _mm256_set1_epi8(9)), number);
    __m256i is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letter, _mm256_set1_epi8(5)), letter);
    __m256i value =
        _mm256_blendv_epi8(_mm256_add_epi8(letter, _mm256_set1_epi8(10)), number, is_number);
    __m256i pairs = _mm256_maddubs_epi16(value, _mm256_set1_epi16(0x0110));
    __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_storeu_si128((__m128i *)(void *)out, bytes);
    bool has_dashes = p[8] == '-' && p[13] == '-' && p[18] == '-' && p[23] == '-';
    return _mm256_movemask_epi8(_mm256_or_si256(is_number, is_letter)) == -1 &&
           (has_dashes || fault_is("template.no_dashes"));
}
#else
static inline bool SLOTS(read_uuid)(const char *p, uint8_t *out)
{
    return coerce_uuid(slice_of(p, 36), out);
}
#endif

static ALWAYS_INLINE SLOTS_TARGET bool SLOTS(take_uuid)(struct template_state *t, struct decoder *d,
                                                        struct rows_column *column, size_t row,
                                                        const char **at)
{
    const char *p = *at;
    if (__builtin_expect(t->uuid_count == 0, 0)) {
        t->uuids = arena_alloc_array(d->arena, UUIDS_AT_ONCE, UUID_SIZE);
        t->uuid_count = UUIDS_AT_ONCE;
    }
    if (__builtin_expect(d->end - p <= 36 || p[36] != '"' || !SLOTS(read_uuid)(p, t->uuids), 0))
        return false;
    column->validity[row] = 1;
    column->text[row] = slice_of(t->uuids, UUID_SIZE);
    t->uuids += UUID_SIZE;
    t->uuid_count--;
    *at = p + 37;
    return true;
}

/* The value of a step at *at. False: it is not plain, and *at is where it was. */
static ALWAYS_INLINE SLOTS_TARGET bool SLOTS(take)(struct template_state *t, struct decoder *d,
                                                   const struct step *step, size_t row,
                                                   const char **at, struct bounds bounds)
{
    switch (step->take) {
    case TAKE_TIME:
        return SLOTS(take_time)(t, step->column, row, at, bounds.end);
    case TAKE_UUID:
        return SLOTS(take_uuid)(t, d, step->column, row, at);
    case TAKE_TEXT:
        return SLOTS(take_text)(d, step->column, at, bounds);
    case TAKE_INT:
        return take_number(step->column, row, at, bounds.end, TAKE_INT);
    case TAKE_FLOAT:
        return take_number(step->column, row, at, bounds.end, TAKE_FLOAT);
    case TAKE_NUMERIC:
        return take_number(step->column, row, at, bounds.end, TAKE_NUMERIC);
    case TAKE_BOOL:
        return take_bool(step->column, row, at, bounds.end);
    default:
        return false;
    }
}

/* The cells of the row; NULL: not this shape. */
static SLOTS_TARGET const char *SLOTS(read_slots)(struct template_state *t, struct decoder *d,
                                                  const char *p)
{
    const struct bounds bounds = bounds_of(d);
    const size_t row = d->rows->count;
    for (const struct step *step = t->steps;; step++) {
        if (__builtin_expect(SLOTS(literal_fits)(d, step, p, bounds), 1)) {
            p += step->size;
            if (step->take == STEP_END)
                return p;
            if (__builtin_expect(SLOTS(take)(t, d, step, row, &p, bounds), 1))
                continue;
            p -= step->size;
        }
        if (step->slot == &t->shape->tail)
            return read_tail(step->slot, p, d->end);
        p = take_any_slot(t, d, step->slot, p);
        if (p == NULL)
            return NULL;
    }
}
