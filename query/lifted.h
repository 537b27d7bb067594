/* Values of the literals that a plan takes as values. */
#ifndef FRESHET_QUERY_LIFTED_H
#define FRESHET_QUERY_LIFTED_H

#include "query/plan/plan.h"

/* Can the plan with these lifted literals serve the text of this shape, if its literals can be
 * read? */
bool lifted_fits(const struct lifted_list *lifted, const struct text_shape *shape);
/* One value each into out[], payloads in the arena or in the text. False: this text has to be
 * planned itself, which says what is the matter with it. */
bool lifted_read(const struct lifted_list *lifted, const struct text_shape *shape,
                 const struct timezone *zone, struct arena *arena, struct value *out);

#endif
