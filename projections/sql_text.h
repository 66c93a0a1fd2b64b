// SPDX-License-Identifier: Apache-2.0
//
// The tokeniser of SQL, which the engine needs too: it reads the columns of a table's declaration.
#ifndef LEAT_PROJECTIONS_SQL_TEXT_H
#define LEAT_PROJECTIONS_SQL_TEXT_H

#include "runtime/base/sql_text.h"

#endif
