/* Calls of which one at the end does for several: to wake a thread costs 10 us and more, whether it
 * finds one piece of work or five.
 *
 * A thread that is about to do several things of one kind (to answer all requests of a group, to
 * decode a few bodies) says so; whoever has to tell another thread of each of them tells it once,
 * behind the last. */
#ifndef FRESHET_STORAGE_BASE_DEFER_H
#define FRESHET_STORAGE_BASE_DEFER_H

/* From here to defer_end() this thread's defer_call()s wait. It must not wait itself for what they
 * would begin. They may nest: the outermost ones count. */
void defer_begin(void);
/* Makes the calls, each once, in the order in which they were first asked for. */
void defer_end(void);
/* call(context) at once, or at the end of what this thread has begun. */
void defer_call(void (*call)(void *context), void *context);

#endif
