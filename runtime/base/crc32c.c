// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C three ways, chosen once before main by what the processor has.
//
//   portable      slicing-by-8: eight table look-ups per eight bytes
//   one stream    the crc32 instruction on eight bytes at a time; bound by its latency
//   three streams three lanes of LANE bytes side by side hide that latency. A CRC register is
//                 linear over GF(2): the register after A and then B is
//                 shift(register of A, |B|) ^ (register of B started at zero),
//                 and shift by LANE zero bytes is a table of 4 x 256 words.
//
// Joining pays from 4 KiB up, so shorter input takes one stream. The tables are filled by a
// constructor and only read afterwards. Registers below are raw; the public functions invert on the
// way in and out.
#include "runtime/base/crc32c.h"

#include "runtime/base/assert.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#define POLY_REFLECTED 0x82f63b78u

enum { LANE = 1360, JOIN_MIN = 3 * LANE }; // 4080: the first size at which three lanes fit

static uint32_t slices[8][256];
static uint32_t lane_shift[4][256];
static uint32_t (*crc_run)(uint32_t reg, const uint8_t *p, size_t n);

static uint32_t run_portable(uint32_t reg, const uint8_t *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        x ^= reg;
        reg = slices[7][x & 255] ^ slices[6][x >> 8 & 255] ^ slices[5][x >> 16 & 255] ^
              slices[4][x >> 24 & 255] ^ slices[3][x >> 32 & 255] ^ slices[2][x >> 40 & 255] ^
              slices[1][x >> 48 & 255] ^ slices[0][x >> 56];
    }
    for (; n > 0; n--, p++)
        reg = slices[0][(reg ^ *p) & 255] ^ (reg >> 8);
    return reg;
}

static void slices_fill(void)
{
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? POLY_REFLECTED ^ (c >> 1) : c >> 1;
        slices[0][n] = c;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t n = 0; n < 256; n++)
            slices[k][n] = slices[0][slices[k - 1][n] & 255] ^ (slices[k - 1][n] >> 8);
}

#if defined(__x86_64__)

// Shifting is linear: it is enough to shift the 32 single bits and to add up.
static void lane_shift_fill(void)
{
    static const uint8_t zeros[LANE];
    uint32_t bit[32];

    for (int i = 0; i < 32; i++)
        bit[i] = run_portable(UINT32_C(1) << i, zeros, sizeof zeros);
    for (int k = 0; k < 4; k++)
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t sum = 0;
            for (int i = 0; i < 8; i++)
                sum ^= n >> i & 1 ? bit[8 * k + i] : 0;
            lane_shift[k][n] = sum;
        }
}

static inline uint32_t shifted(uint32_t reg)
{
    return lane_shift[0][reg & 255] ^ lane_shift[1][reg >> 8 & 255] ^
           lane_shift[2][reg >> 16 & 255] ^ lane_shift[3][reg >> 24];
}

static inline uint64_t load_u64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, 8);
    return x;
}

__attribute__((target("sse4.2"))) static uint32_t run_sse(uint32_t reg, const uint8_t *p, size_t n)
{
    uint64_t a = reg;

    for (; n >= JOIN_MIN && n >= 4096; n -= JOIN_MIN, p += JOIN_MIN) {
        uint64_t b = 0, c = 0;
        for (int i = 0; i < LANE; i += 8) {
            a = _mm_crc32_u64(a, load_u64(p + i));
            b = _mm_crc32_u64(b, load_u64(p + LANE + i));
            c = _mm_crc32_u64(c, load_u64(p + 2 * LANE + i));
        }
        a = shifted(shifted((uint32_t)a)) ^ shifted((uint32_t)b) ^ (uint32_t)c;
    }
    for (; n >= 8; n -= 8, p += 8)
        a = _mm_crc32_u64(a, load_u64(p));
    for (; n > 0; n--, p++)
        a = _mm_crc32_u8((uint32_t)a, *p);
    return (uint32_t)a;
}

#endif

__attribute__((constructor)) static void crc32c_choose(void)
{
    slices_fill();
    crc_run = run_portable;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) {
        lane_shift_fill();
        crc_run = run_sse;
    }
#endif
}

uint32_t crc32c_more(uint32_t crc, struct bytes b)
{
    return ~crc_run(~crc, b.p, b.n);
}

uint32_t crc32c(struct bytes b)
{
    return crc32c_more(0, b);
}

uint32_t crc32c_portable(uint32_t crc, struct bytes b)
{
    return ~run_portable(~crc, b.p, b.n);
}
