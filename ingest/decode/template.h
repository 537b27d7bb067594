/* Rows of a shape that is known: literals compared, values parsed in place. */
#ifndef FRESHET_INGEST_DECODE_TEMPLATE_H
#define FRESHET_INGEST_DECODE_TEMPLATE_H

#include "ingest/decode/parser.h"

/* What one decoder knows of the stream it reads; in its arena. */
struct template *template_create(struct decoder *d);
/* The object at p if it has the shape that is expected and every value fits its column: its cells
 * are set, and the place behind it is given. NULL if anything is out of the ordinary: then nothing
 * has happened that the complete parser, which must read the row now, would not do again. */
const char *template_read(struct template *template, struct decoder *d, const char *p);
/* `row`: an object that the complete parser has read, whose cells are set. */
void template_learn(struct template *template, struct decoder *d, struct slice row);

#endif
