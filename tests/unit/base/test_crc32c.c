// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C: known vectors, and the three implementations against each other at every size around
// their seams.
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/base/crc32c.h"
#include "runtime/base/random.h"

static uint8_t noise[20000];

static int fill_noise(void **state)
{
    struct random r;

    (void)state;
    random_seed(&r, 7);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)random_next(&r);
    return 0;
}

static void test_vectors(void **state)
{
    // The checksum is Castagnoli's, as RFC 3720 B.4 lists it: Kafka's clients compare it.
    uint8_t b[32];

    (void)state;
    assert_int_equal(crc32c(BYTES_LIT("123456789")), 0xe3069283u);
    assert_int_equal(crc32c(bytes_of(b, 0)), 0);
    memset(b, 0, sizeof b);
    assert_int_equal(crc32c(bytes_of(b, sizeof b)), 0x8a9136aau);
    memset(b, 0xff, sizeof b);
    assert_int_equal(crc32c(bytes_of(b, sizeof b)), 0x62a8ab43u);
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)i;
    assert_int_equal(crc32c(bytes_of(b, sizeof b)), 0x46dd794eu);
    assert_int_equal(crc32c_portable(0, BYTES_LIT("123456789")), 0xe3069283u);
}

static void test_all_agree(void **state)
{
    // Whatever the size and alignment, the fast forms give what the table gives.
    (void)state;
    for (size_t n = 0; n < 300; n++)
        for (size_t at = 0; at < 9; at++)
            assert_int_equal(crc32c(bytes_of(noise + at, n)),
                             crc32c_portable(0, bytes_of(noise + at, n)));
    for (size_t n = 4000; n < 4200; n++)
        assert_int_equal(crc32c(bytes_of(noise + 1, n)),
                         crc32c_portable(0, bytes_of(noise + 1, n)));
    for (size_t n = 8000; n < sizeof noise; n += 37)
        assert_int_equal(crc32c(bytes_of(noise, n)), crc32c_portable(0, bytes_of(noise, n)));
}

static void test_continues(void **state)
{
    // A checksum may be taken piece by piece: cutting anywhere gives the same.
    uint32_t whole = crc32c(bytes_of(noise, sizeof noise));

    (void)state;
    for (size_t cut = 0; cut <= sizeof noise; cut += 61) {
        uint32_t front = crc32c(bytes_of(noise, cut));
        assert_int_equal(crc32c_more(front, bytes_of(noise + cut, sizeof noise - cut)), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_agree),
        cmocka_unit_test(test_continues),
    };

    return cmocka_run_group_tests(tests, fill_noise, NULL);
}
