/* Patterns over events in time, without backtracking.
 *
 * A pattern is a row of steps; before each may stand a gap (.*) and bounds on the time since the
 * step before. While the events pass by, each step keeps the times at which it was reached by some
 * way. A step without a gap needs the step before to have been reached at the event just before;
 * one with a gap needs a time within its bounds among those of the step before, which are in order,
 * so one binary search tells. Both ask only about the step before, so nothing has to be tried
 * again: steps * events * log(events), whatever the pattern. */
#include "query/func/sequence.h"

#include <assert.h>

struct pattern {
    struct slice text;
    size_t at;
};

static enum err fail(const struct pattern *p, struct error *error, const char *what)
{
    return error_set(error, ERR_INPUT, "22023", "sequence pattern: %s at character %zu", what,
                     p->at + 1);
}

static char peek(const struct pattern *p, size_t ahead)
{
    return p->at + ahead < p->text.size ? p->text.data[p->at + ahead] : 0;
}

static bool read_number(struct pattern *p, int64_t most, int64_t *out)
{
    size_t first = p->at;
    for (*out = 0; peek(p, 0) >= '0' && peek(p, 0) <= '9'; p->at++) {
        *out = *out * 10 + (peek(p, 0) - '0');
        if (*out > most)
            return false;
    }
    return p->at > first;
}

/* Behind (?t: operator and seconds, which narrow the bounds of the step that comes next. */
static enum err read_bound(struct pattern *p, struct sequence_step *next, struct error *error)
{
    char first = peek(p, 0);
    bool with_equal = peek(p, 1) == '=';
    if (first != '<' && first != '>' && !(first == '=' && with_equal))
        return fail(p, error, "one of < <= > >= == is missing");
    p->at += with_equal ? 2 : 1;
    int64_t seconds;
    if (!read_number(p, 1000000000000, &seconds))
        return fail(p, error, "a number of seconds is missing");
    int64_t us = seconds * 1000000, least = INT64_MIN, most = INT64_MAX;
    if (first != '<')
        least = with_equal ? us : us + 1;
    if (first != '>')
        most = with_equal ? us : us - 1;
    next->least_us = least > next->least_us ? least : next->least_us;
    next->most_us = most < next->most_us ? most : next->most_us;
    return OK;
}

static void step_begin(struct sequence_step *step)
{
    *step = (struct sequence_step){.least_us = INT64_MIN, .most_us = INT64_MAX};
}

/* (?n) or (?t…); *is_step: the step in `next` is whole. */
static enum err read_group(struct pattern *p, size_t condition_count, struct sequence_step *next,
                           bool is_first, bool *is_step, struct error *error)
{
    p->at += 2;
    *is_step = peek(p, 0) != 't';
    if (!*is_step) {
        if (is_first)
            return fail(p, error, "there is no step before this bound");
        p->at++;
        enum err err = read_bound(p, next, error);
        if (err != OK)
            return err;
    } else {
        int64_t number;
        if (!read_number(p, 1000, &number))
            return fail(p, error, "the number of a condition is missing");
        if (number < 1 || (size_t)number > condition_count)
            return fail(p, error, "there is no condition of that number");
        next->conditions = (uint32_t)1 << (number - 1);
    }
    if (peek(p, 0) != ')')
        return fail(p, error, "a closing bracket is missing");
    p->at++;
    return OK;
}

enum err sequence_parse(struct slice text, size_t condition_count, struct sequence *out,
                        struct error *error)
{
    struct pattern p = {.text = text};
    struct sequence_step next;
    out->step_count = 0;
    step_begin(&next);
    if (text.size > SEQUENCE_PATTERN_SIZE_MAX)
        return error_set(error, ERR_INPUT, "22023", "a sequence pattern has at most %d characters",
                         SEQUENCE_PATTERN_SIZE_MAX);
    while (p.at < text.size) {
        bool is_step = false;
        if (peek(&p, 0) == ' ') {
            p.at++;
        } else if (peek(&p, 0) == '.' && peek(&p, 1) == '*') {
            next.has_gap = true;
            p.at += 2;
        } else if (peek(&p, 0) == '.') {
            next.conditions = UINT32_MAX;
            is_step = true;
            p.at++;
        } else if (peek(&p, 0) == '(' && peek(&p, 1) == '?') {
            enum err err =
                read_group(&p, condition_count, &next, out->step_count == 0, &is_step, error);
            if (err != OK)
                return err;
        } else {
            return fail(&p, error, "(?n), (?t…), . or .* is expected");
        }
        if (!is_step)
            continue;
        if (out->step_count == SEQUENCE_STEPS_MAX)
            return fail(&p, error, "there are more than 32 steps");
        out->steps[out->step_count++] = next;
        step_begin(&next);
    }
    if (out->step_count == 0)
        return fail(&p, error, "there is no step");
    if (next.least_us != INT64_MIN || next.most_us != INT64_MAX)
        return fail(&p, error, "there is no step behind the last bound");
    return OK;
}

/* Is there a time in the ascending list from which `now` is within the step's bounds? */
static bool has_start(const struct sequence_step *step, const int64_t *times, size_t count,
                      int64_t now)
{
    size_t low = 0, high = count; /* the first time that is too late to be least_us ago */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((__int128)now - times[middle] >= step->least_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && (__int128)now - times[low - 1] <= step->most_us;
}

size_t sequence_count(const struct sequence *sequence, const struct event *events, size_t count,
                      int64_t *times, size_t most)
{
    size_t reached[SEQUENCE_STEPS_MAX] = {0}, found = 0;
    bool was_here[SEQUENCE_STEPS_MAX] = {false}; /* at the event before */
    size_t last = sequence->step_count - 1;
    assert(sequence->step_count <= SEQUENCE_STEPS_MAX);
    for (size_t i = 0; i < count && found < most; i++) {
        int64_t now = events[i].time_us;
        bool is_here[SEQUENCE_STEPS_MAX] = {false};
        for (size_t s = 0; s <= last; s++) {
            const struct sequence_step *step = &sequence->steps[s];
            if ((events[i].conditions & step->conditions) == 0)
                continue;
            if (s == 0)
                is_here[s] = true;
            else if (step->has_gap)
                is_here[s] = has_start(step, times + (s - 1) * count, reached[s - 1], now);
            else
                is_here[s] = was_here[s - 1] && has_start(step, &events[i - 1].time_us, 1, now);
        }
        bool is_match = is_here[last];
        found += is_match;
        for (size_t s = 0; s <= last; s++) {
            was_here[s] = is_here[s] && !is_match;
            if (was_here[s])
                times[s * count + reached[s]++] = now;
            if (is_match)
                reached[s] = 0;
        }
    }
    return found;
}
