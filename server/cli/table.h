/* Results as aligned text for a terminal. */
#ifndef FRESHET_SERVER_CLI_TABLE_H
#define FRESHET_SERVER_CLI_TABLE_H

#include "storage/base/bytes.h"
#include "storage/base/json.h"

/* The answer of POST /v1/sql in format json, as a table with a line of counts; DDL as its command.
 * False if the answer does not have that shape. */
bool table_print_answer(const struct json_value *answer, struct writer *out);

#endif
