/* The part of template.c that is made once for each set of instructions, with the names SLOTS(…):
 * literals compared, ends of strings found, the loop over the values. SLOTS_AVX2: with 32 bytes at
 * a time. Every form reads the same rows; tests run all. */

static inline SLOTS_TARGET bool SLOTS(literal_fits)(const struct decoder *d,
                                                    const struct shape_slot *slot, const char *p,
                                                    const char *end)
{
#if defined(SLOTS_AVX2)
    (void)d;
    if (end - p >= LITERAL_WIDE) {
        __m256i have = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i want = _mm256_loadu_si256((const __m256i *)(const void *)slot->literal);
        uint32_t same = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(have, want));
        return (~same & slot->mask) == 0 && (slot->literal_size <= LITERAL_WIDE ||
                                             literal_fits_narrow(slot, slot->literal_size, p, end));
    }
#elif defined(__x86_64__)
    if (d->is_inline && end - p >= LITERAL_WIDE) {
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

/* p: behind the opening quote. The closing quote, if the text before it is plain and in ASCII, as
 * nearly all are; else NULL. */
static inline SLOTS_TARGET const char *SLOTS(plain_end)(const struct decoder *d, const char *p,
                                                        const char *end)
{
#if defined(SLOTS_AVX2)
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'),
                  space = _mm256_set1_epi8(0x20);
    for (;; p += 32) {
        if (end - p < 32) {
            p = last_special(d, p, end);
            break;
        }
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i hit = _mm256_or_si256(
            _mm256_or_si256(_mm256_cmpeq_epi8(v, quote), _mm256_cmpeq_epi8(v, backslash)),
            _mm256_cmpgt_epi8(space, v));
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(hit);
        if (hits != 0) {
            p += __builtin_ctz(hits);
            break;
        }
    }
#elif defined(__x86_64__)
    if (d->is_inline && end - p >= 32) {
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

static inline SLOTS_TARGET const char *
SLOTS(take_text)(struct decoder *d, const struct shape_slot *slot, const char *p)
{
    const char *quote = SLOTS(plain_end)(d, p, d->end);
    if (__builtin_expect(quote == NULL || quote - p > (ptrdiff_t)ROW_STRING_SIZE_MAX, 0))
        return take_any_string(d, slot->column, p);
    rows_put_text(d->rows, &d->rows->columns[slot->column], slice_of(p, (size_t)(quote - p)),
                  (size_t)(d->end - p));
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
    const char *quote = SLOTS(plain_end)(d, p, d->end);
    if (quote == NULL ||
        !time_from_text(t, slice_of(p, (size_t)(quote - p)), &column->i[d->rows->count]))
        return take_any_string(d, slot->column, p);
    column->validity[d->rows->count] = 1;
    return quote + 1;
}

/* The cells of the row; NULL: not this shape. */
static SLOTS_TARGET const char *SLOTS(read_slots)(struct template_state *t, struct decoder *d,
                                                  const char *p)
{
    const struct shape *shape = t->shape;
    const struct shape_slot *slot = shape->slots, *end = slot + shape->slot_count;
    for (; slot < end; slot++) {
        if (__builtin_expect(!SLOTS(literal_fits)(d, slot, p, d->end), 0)) {
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
            p = take_uuid(d, slot, p);
            break;
        case TAKE_TEXT:
            p = SLOTS(take_text)(d, slot, p);
            break;
        case TAKE_STRING:
            p = take_any_string(d, slot->column, p);
            break;
        case TAKE_INT:
        case TAKE_FLOAT:
        case TAKE_NUMERIC:
        case TAKE_NUMBER:
            p = take_number(d, slot, p);
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
        }
        if (p == NULL)
            return NULL;
    }
    return SLOTS(literal_fits)(d, &shape->tail, p, d->end) ? p + shape->tail.literal_size : NULL;
}
