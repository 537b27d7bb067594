/* The words of a window frame, as written and as run: ROWS | RANGE | GROUPS, two bounds, EXCLUDE.
 */
#ifndef FRESHET_QUERY_PLAN_FRAME_H
#define FRESHET_QUERY_PLAN_FRAME_H

enum frame_mode { FRAME_RANGE, FRAME_ROWS, FRAME_GROUPS };

enum frame_bound {
    BOUND_UNBOUNDED_PRECEDING,
    BOUND_PRECEDING, /* offset PRECEDING */
    BOUND_CURRENT,
    BOUND_FOLLOWING,
    BOUND_UNBOUNDED_FOLLOWING
};

enum frame_exclusion { EXCLUDE_NONE, EXCLUDE_CURRENT, EXCLUDE_GROUP, EXCLUDE_TIES };

#endif
