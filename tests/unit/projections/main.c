// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/projections/fixture.h"

int main(void)
{
    int failed = 0;

    failed += _cmocka_run_group_tests("ddl", ddl_tests, n_ddl_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("history", history_tests, n_history_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("jobfile", jobfile_tests, n_jobfile_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("query", query_tests, n_query_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("retention", retention_tests, n_retention_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("rows", rows_tests, n_rows_tests, NULL, NULL);
    failed += _cmocka_run_group_tests("state", state_tests, n_state_tests, NULL, NULL);
    return failed != 0;
}
