// SPDX-License-Identifier: Apache-2.0
//
// The bit tricks are those of Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019),
// own code:
//
//   quotes that are not escaped   odd-length runs of backslashes, found by one addition with carry
//   inside of strings             prefix xor of the quotes: a carry-less multiplication by all ones
//   where there is one starts of runs                a byte that is no space and no structural,
//   behind one that is
//
// Three kernels produce the same masks: AVX2 with PCLMUL, SSE2, and plain C. They differ in
// classify only; the rest is written once and inlined into each. Tests run them against each other.
#include "runtime/record/json_index.h"

#include "runtime/base/assert.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 64 };

struct masks {
    uint64_t quote, backslash, structural, space;
    uint64_t control, high; // < 0x20, >= 0x80
};

#define INLINE static inline __attribute__((always_inline))

INLINE struct masks classify_portable(const uint8_t *p)
{
    struct masks m = {0};

    for (unsigned i = 0; i < BLOCK; i++) {
        uint8_t c = p[i], folded = c | 0x20;
        uint64_t bit = UINT64_C(1) << i;

        m.quote |= c == '"' ? bit : 0;
        m.backslash |= c == '\\' ? bit : 0;
        m.structural |= c == ',' || c == ':' || folded == '{' || folded == '}' ? bit : 0;
        m.space |= c == ' ' || c == '\n' || c == '\r' || c == '\t' ? bit : 0;
        m.control |= c < 0x20 ? bit : 0;
        m.high |= c >= 0x80 ? bit : 0;
    }
    return m;
}

INLINE uint64_t prefix_xor_portable(uint64_t x)
{
    for (unsigned shift = 1; shift < BLOCK; shift *= 2)
        x ^= x << shift;
    return x;
}

// The bytes that are escaped. `carry` goes from block to block.
INLINE uint64_t escaped_bytes(uint64_t backslash, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555u;
    uint64_t follows, odd_starts, sum, escaped;

    if (backslash == 0) {
        escaped = *carry;
        *carry = 0;
        return escaped;
    }
    backslash &= ~*carry;
    follows = backslash << 1 | *carry;
    odd_starts = backslash & ~even & ~follows;
    *carry = __builtin_add_overflow(odd_starts, backslash, &sum);
    return (even ^ sum << 1) & follows;
}

typedef uint64_t prefix_xor_fn(uint64_t x);

// The positions of the bits, eight at a time: the loop's end is guessed right more often than bit
// by bit. What is written behind the last one is overwritten by the next block; the array has a
// block's room to spare.
INLINE void put_positions(uint32_t *at, uint64_t found, uint32_t base)
{
    for (; found != 0; at += 8) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            at[i] = base + (uint32_t)__builtin_ctzll(found | UINT64_C(1) << 63);
            found &= found - 1;
        }
    }
}

// One block's masks to positions behind x->n_at.
INLINE void index_block(struct json_index *x, struct masks m, prefix_xor_fn *prefix_xor)
{
    uint64_t quote = m.quote & ~escaped_bytes(m.backslash, &x->escaped);
    uint64_t string = prefix_xor(quote) ^ x->in_string; // opening quote in, closing quote out
    uint64_t run = ~(m.structural | m.space | quote);
    uint64_t first = run & ~(run << 1 | x->in_run);
    uint64_t found = ((m.structural | first) & ~string) | quote;
    uint32_t n = x->n_at, base = (uint32_t)x->done;

    x->in_string = (uint64_t)((int64_t)string >> 63);
    x->in_run = run >> 63;
    x->backslash |= m.backslash != 0;
    x->high |= m.high != 0;
    x->control |= (m.control & string) != 0;
    put_positions(&x->at[n], found, base);
    x->n_at = n + (uint32_t)__builtin_popcountll(found);
    x->done += BLOCK;
}

typedef struct masks classify_fn(const uint8_t *p);

INLINE void refill(struct json_index *x, classify_fn *classify, prefix_xor_fn *prefix_xor)
{
    uint8_t tail[BLOCK];

    while (x->n_at < JSON_INDEX_CHUNK && x->done + BLOCK <= x->n)
        index_block(x, classify(x->p + x->done), prefix_xor);
    if (x->n_at >= JSON_INDEX_CHUNK || x->done >= x->n)
        return;
    memset(tail, ' ', BLOCK); // reading past the end of the record is not ours to do
    memcpy(tail, x->p + x->done, x->n - x->done);
    index_block(x, classify(tail), prefix_xor);
}

#if defined(__x86_64__)
INLINE uint64_t sse2_join(const __m128i v[4])
{
    return (uint64_t)(uint16_t)_mm_movemask_epi8(v[0]) |
           (uint64_t)(uint16_t)_mm_movemask_epi8(v[1]) << 16 |
           (uint64_t)(uint16_t)_mm_movemask_epi8(v[2]) << 32 |
           (uint64_t)(uint16_t)_mm_movemask_epi8(v[3]) << 48;
}

INLINE uint64_t sse2_eq(const __m128i v[4], uint8_t c)
{
    const __m128i want = _mm_set1_epi8((char)c);
    __m128i r[4];

    for (int i = 0; i < 4; i++)
        r[i] = _mm_cmpeq_epi8(v[i], want);
    return sse2_join(r);
}

INLINE struct masks classify_sse2(const uint8_t *p)
{
    __m128i v[4], folded[4], low[4];

    for (int i = 0; i < 4; i++) {
        v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        folded[i] = _mm_or_si128(v[i], _mm_set1_epi8(0x20));
        low[i] = _mm_cmpeq_epi8(_mm_min_epu8(v[i], _mm_set1_epi8(0x1f)), v[i]);
    }
    return (struct masks){
        .quote = sse2_eq(v, '"'),
        .backslash = sse2_eq(v, '\\'),
        .structural =
            sse2_eq(v, ',') | sse2_eq(v, ':') | sse2_eq(folded, '{') | sse2_eq(folded, '}'),
        .space = sse2_eq(v, ' ') | sse2_eq(v, '\n') | sse2_eq(v, '\r') | sse2_eq(v, '\t'),
        .control = sse2_join(low),
        .high = sse2_join(v),
    };
}

#define AVX2 __attribute__((target("avx2,pclmul,bmi,popcnt")))
#define AVX2_INLINE AVX2 static inline __attribute__((always_inline))

AVX2_INLINE uint64_t avx2_join(__m256i low, __m256i high)
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

AVX2_INLINE uint64_t avx2_eq(__m256i low, __m256i high, uint8_t c)
{
    const __m256i want = _mm256_set1_epi8((char)c);

    return avx2_join(_mm256_cmpeq_epi8(low, want), _mm256_cmpeq_epi8(high, want));
}

// , : { } [ ]: the brackets fall on the braces once 0x20 is or-ed in.
AVX2_INLINE __m256i avx2_structural(__m256i v)
{
    const __m256i folded = _mm256_or_si256(v, _mm256_set1_epi8(0x20));

    return _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(',')),
                                           _mm256_cmpeq_epi8(v, _mm256_set1_epi8(':'))),
                           _mm256_or_si256(_mm256_cmpeq_epi8(folded, _mm256_set1_epi8('{')),
                                           _mm256_cmpeq_epi8(folded, _mm256_set1_epi8('}'))));
}

// A table by the low four bits holds the one space character that has them; -1 equals nothing
// that is looked up, as bytes with the high bit give 0.
AVX2_INLINE __m256i avx2_space(__m256i v)
{
    const __m128i half =
        _mm_setr_epi8(' ', -1, -1, -1, -1, -1, -1, -1, -1, '\t', '\n', -1, -1, '\r', -1, -1);
    const __m256i table = _mm256_broadcastsi128_si256(half);

    return _mm256_cmpeq_epi8(v, _mm256_shuffle_epi8(table, v));
}

AVX2_INLINE __m256i avx2_control(__m256i v)
{
    return _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
}

AVX2_INLINE struct masks classify_avx2(const uint8_t *p)
{
    const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));

    return (struct masks){
        .quote = avx2_eq(a, b, '"'),
        .backslash = avx2_eq(a, b, '\\'),
        .structural = avx2_join(avx2_structural(a), avx2_structural(b)),
        .space = avx2_join(avx2_space(a), avx2_space(b)),
        .control = avx2_join(avx2_control(a), avx2_control(b)),
        .high = avx2_join(a, b),
    };
}

AVX2_INLINE uint64_t prefix_xor_clmul(uint64_t x)
{
    const __m128i ones = _mm_set1_epi8((char)0xff);

    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)x), ones, 0));
}

AVX2 static void refill_avx2(struct json_index *x)
{
    refill(x, classify_avx2, prefix_xor_clmul);
}

static void refill_sse2(struct json_index *x)
{
    refill(x, classify_sse2, prefix_xor_portable);
}
#endif

static void refill_portable(struct json_index *x)
{
    refill(x, classify_portable, prefix_xor_portable);
}

enum json_kernel json_kernel_best(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul") &&
                   __builtin_cpu_supports("bmi")
               ? JSON_AVX2
               : JSON_SSE2;
#else
    return JSON_PORTABLE;
#endif
}

void json_index_init(struct json_index *x, struct bytes text, enum json_kernel kernel)
{
    ASSERT(text.n <= UINT32_MAX - BLOCK);
    x->p = text.p;
    x->n = text.n;
    x->done = 0;
    x->in_string = x->escaped = x->in_run = 0;
    x->backslash = x->high = x->control = false;
    x->kernel = kernel;
    x->n_at = x->i_at = 0;
}

bool json_index_refill(struct json_index *x)
{
    ASSERT(x->i_at == x->n_at);
    x->n_at = x->i_at = 0;
    while (x->n_at == 0 && x->done < x->n) {
        switch (x->kernel) {
#if defined(__x86_64__)
        case JSON_AVX2:
            refill_avx2(x);
            break;
        case JSON_SSE2:
            refill_sse2(x);
            break;
#endif
        default:
            refill_portable(x);
        }
    }
    return x->n_at > 0;
}
