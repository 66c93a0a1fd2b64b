// SPDX-License-Identifier: Apache-2.0
//
// Paths of named queries: which are legal, which match, which collide.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime/http/route.h"

// A path must be made of plain segments and must not take a name that the server uses itself.
static void legal_paths(void **state)
{
    static const char *const good[] = {"/a", "/customers/:id/orders", "/a.b/c-d/:x/:y"};
    static const char *const bad[] = {"",   "a",       "/",    "/a//b",  "/a/",      "/a b",
                                      "/:", "/status", "/q/x", "/a/%2e", "/a/../b?", "/metrics/:x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(route_check(good[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        assert_int_equal(route_check(bad[i], &e), LEAT_EINVAL);
        assert_true(e.text[0] != 0);
    }
}

// Parameters are what stands in their segment; everything else is compared letter by letter.
static void matching(void **state)
{
    struct route_match m;

    (void)state;
    assert_true(route_matches("/customers/:id/orders/:no", "/customers/c-1/orders/7", &m));
    assert_int_equal(m.n, 2);
    assert_true(bytes_eq_str(m.params[0].name, "id") && bytes_eq_str(m.params[0].text, "c-1"));
    assert_true(bytes_eq_str(m.params[1].name, "no") && bytes_eq_str(m.params[1].text, "7"));
    assert_false(route_matches("/customers/:id", "/customers", &m));
    assert_false(route_matches("/customers/:id", "/customers/", &m));
    assert_false(route_matches("/customers/:id", "/customers/a/b", &m));
    assert_false(route_matches("/customers", "/Customers", &m));
}

// Two patterns collide when one path could mean both.
static void colliding(void **state)
{
    (void)state;
    assert_true(route_collides("/a/:x", "/a/b"));
    assert_true(route_collides("/:x/b", "/a/:y"));
    assert_false(route_collides("/a/:x", "/b/:x"));
    assert_false(route_collides("/a/:x", "/a/:x/c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_paths),
        cmocka_unit_test(matching),
        cmocka_unit_test(colliding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
