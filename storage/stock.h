/* Memory for rows that is there before they come. Beside storage/store.h; a server with threads. */
#ifndef FRESHET_STORAGE_STOCK_H
#define FRESHET_STORAGE_STOCK_H

#include "storage/store.h"

/* Once, between store_open_begin and store_open_end: a thread begins to make `size` bytes present,
 * at most a quarter of rows_memory_limit. Less than 2 MiB: none. */
void store_stock(struct store *store, size_t size);

#endif
