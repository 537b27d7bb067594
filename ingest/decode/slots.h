/* The part of template.c that is made once for each set of instructions, with the names SLOTS(…):
 * literals compared, ends of strings found, the loop over the values. SLOTS_AVX2: with 32 bytes at
 * a time. Every form reads the same rows; tests run all. */

/* bounds: where the body ends. */
static inline SLOTS_TARGET bool SLOTS(literal_fits)(const struct decoder *d,
                                                    const struct shape_slot *slot, const char *p,
                                                    struct bounds bounds)
{
    const char *end = bounds.end;
#if defined(SLOTS_AVX2)
    (void)d;
    if ((uintptr_t)p <= bounds.wide) {
        __m256i have = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i want = _mm256_loadu_si256((const __m256i *)(const void *)slot->literal);
        uint32_t same = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(have, want));
        return (~same & slot->mask) == 0 && (slot->literal_size <= LITERAL_WIDE ||
                                             literal_fits_narrow(slot, slot->literal_size, p, end));
    }
#elif defined(__x86_64__)
    if (d->is_inline && (uintptr_t)p <= bounds.wide) {
        const __m128i *have = (const __m128i *)(const void *)p;
        const __m128i *want = (const __m128i *)(const void *)slot->literal;
        uint32_t low = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(have), _mm_loadu_si128(want)));
        uint32_t high = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(have + 1), _mm_loadu_si128(want + 1)));
        return (~(low | high << 16) & slot->mask) == 0 &&
               (slot->literal_size <= LITERAL_WIDE ||
                literal_fits_narrow(slot, slot->literal_size, p, end));
    }
#else
    (void)d;
#endif
    return literal_fits_narrow(slot, slot->literal_size, p, end);
}

#if defined(SLOTS_AVX2)
/* A bit for each of 32 bytes that plain text does not have, or that is not ASCII. A byte below 0x80
 * is a quote or a backslash if it is what its low half says; one comparison finds both. */
static inline SLOTS_TARGET uint32_t SLOTS(special_bytes)(const char *p)
{
    const __m256i by_low_half = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(1, 0, '"', 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\', 0, 0, 0));
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i is_one = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(by_low_half, v), v);
    __m256i less = _mm256_subs_epi8(v, _mm256_set1_epi8(0x20)); /* below 0: such a byte */
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(is_one, less));
}
#endif

/* p: behind the opening quote. The closing quote, if the text before it is plain and in ASCII, as
 * nearly all are; else NULL. */
static ALWAYS_INLINE SLOTS_TARGET const char *SLOTS(plain_end)(const struct decoder *d,
                                                               const char *p, struct bounds bounds)
{
    const char *end = bounds.end;
#if defined(SLOTS_AVX2)
    for (;; p += LITERAL_WIDE) {
        if (__builtin_expect((uintptr_t)p > bounds.wide, 0)) {
            p = last_special(d, p, end);
            break;
        }
        uint32_t hits = SLOTS(special_bytes)(p);
        if (hits != 0) {
            p += __builtin_ctz(hits);
            return __builtin_expect(*p == '"', 1) ? p : NULL;
        }
    }
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

static inline SLOTS_TARGET const char *SLOTS(take_text)(struct decoder *d,
                                                        const struct shape_slot *slot,
                                                        const char *p, struct bounds bounds)
{
    const char *quote = SLOTS(plain_end)(d, p, bounds);
    /* No quote is a long way off too. */
    if (__builtin_expect((uintptr_t)quote - (uintptr_t)p > ROW_STRING_SIZE_MAX, 0))
        return take_any_string(d, slot->column, p);
    rows_put_text(d->rows, &d->rows->columns[slot->column], slice_of(p, (size_t)(quote - p)),
                  (size_t)(bounds.end - p));
    return quote + 1;
}

static NOINLINE SLOTS_TARGET const char *SLOTS(take_any_time)(struct template_state *t,
                                                              struct decoder *d,
                                                              const struct shape_slot *slot,
                                                              const char *p)
{
    struct rows_column *column = &d->rows->columns[slot->column];
    const char *quote = SLOTS(plain_end)(d, p, bounds_of(d));
    if (quote == NULL ||
        !time_from_text(t, slice_of(p, (size_t)(quote - p)), &column->i[d->rows->count]))
        return take_any_string(d, slot->column, p);
    column->validity[d->rows->count] = 1;
    return quote + 1;
}

/* Forms of a fixed size need no look for their end: what is right is all digits and signs. */
static inline SLOTS_TARGET const char *SLOTS(take_time)(struct template_state *t, struct decoder *d,
                                                        const struct shape_slot *slot,
                                                        const char *p)
{
    struct rows_column *column = &d->rows->columns[slot->column];
    int64_t value;
    if (d->end - p > 27) {
        size_t size = p[27] == '"' ? 27 : p[24] == '"' ? 24 : 20;
        if (p[size] == '"' && time_from_minute(t, p, size, &value)) {
            column->i[d->rows->count] = value;
            column->validity[d->rows->count] = 1;
            return p + size + 1;
        }
    }
    return SLOTS(take_any_time)(t, d, slot, p);
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

static inline SLOTS_TARGET const char *SLOTS(take_uuid)(struct template_state *t, struct decoder *d,
                                                        const struct shape_slot *slot,
                                                        const char *p)
{
    struct rows_column *column = &d->rows->columns[slot->column];
    if (t->uuid_count == 0) {
        t->uuids = arena_alloc_array(d->arena, UUIDS_AT_ONCE, UUID_SIZE);
        t->uuid_count = UUIDS_AT_ONCE;
    }
    if (__builtin_expect(d->end - p <= 36 || p[36] != '"' || !SLOTS(read_uuid)(p, t->uuids), 0))
        return take_any_string(d, slot->column, p);
    column->validity[d->rows->count] = 1;
    column->text[d->rows->count] = slice_of(t->uuids, UUID_SIZE);
    t->uuids += UUID_SIZE;
    t->uuid_count--;
    return p + 37;
}

/* The cells of the row; NULL: not this shape. */
static SLOTS_TARGET const char *SLOTS(read_slots)(struct template_state *t, struct decoder *d,
                                                  const char *p)
{
    const struct shape *shape = t->shape;
    const struct shape_slot *slot = shape->slots, *end = slot + shape->slot_count;
    const struct bounds bounds = bounds_of(d);
    for (; slot < end; slot++) {
        if (__builtin_expect(!SLOTS(literal_fits)(d, slot, p, bounds), 0)) {
            size_t size = slot->literal_size - 1u;
            if (slot->take > TAKE_STRING || !literal_fits_narrow(slot, size, p, d->end))
                return NULL;
            p = take_any(d, slot->column, p + size); /* no string this time: a null, mostly */
            if (p == NULL)
                return NULL;
            continue;
        }
        p += slot->literal_size;
        switch ((enum shape_take)slot->take) {
        case TAKE_TIME:
            p = SLOTS(take_time)(t, d, slot, p);
            break;
        case TAKE_UUID:
            p = SLOTS(take_uuid)(t, d, slot, p);
            break;
        case TAKE_TEXT:
            p = SLOTS(take_text)(d, slot, p, bounds);
            break;
        case TAKE_STRING:
            p = take_any_string(d, slot->column, p);
            break;
        case TAKE_INT:
            p = take_number(d, slot, p, TAKE_INT);
            break;
        case TAKE_FLOAT:
            p = take_number(d, slot, p, TAKE_FLOAT);
            break;
        case TAKE_NUMERIC:
            p = take_number(d, slot, p, TAKE_NUMERIC);
            break;
        case TAKE_NUMBER:
            p = take_number(d, slot, p, TAKE_NUMBER);
            break;
        case TAKE_BOOL:
            p = take_bool(d, slot, p);
            break;
        case TAKE_ANY:
            p = take_any(d, slot->column, p);
            break;
        case TAKE_UNKNOWN:
            p = take_unknown(t, d, p);
            break;
        default:
            __builtin_unreachable();
        }
        if (p == NULL)
            return NULL;
    }
    return SLOTS(literal_fits)(d, &shape->tail, p, bounds) ? p + shape->tail.literal_size : NULL;
}
