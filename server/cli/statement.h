/* Where one SQL statement ends and the next begins. */
#ifndef FRESHET_SERVER_CLI_STATEMENT_H
#define FRESHET_SERVER_CLI_STATEMENT_H

#include "storage/base/slice.h"

/* The first statement of `text`, without its semicolon and blanks around, empty if there is nothing
 * in it. Returns the bytes it takes with the semicolon; 0 if no statement ends here (or, with
 * is_last, if only blanks are left). */
size_t statement_next(struct slice text, bool is_last, struct slice *out);

#endif
