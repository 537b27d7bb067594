/* Four small charts under one another: rate, acknowledgement, freshness and the server's CPU over
 * time. Plain SVG 1.1, no script, readable in any browser. */
#include "bench/loadgen/loadgen.h"

#define CHART_WIDTH 860
#define CHART_HEIGHT 150
#define CHART_LEFT 80
#define CHART_GAP 50

struct line {
    const char *label, *colour;
    double (*value)(const struct second_row *row);
};

static double sent(const struct second_row *row)
{
    return row->sent_per_s;
}

static double stored(const struct second_row *row)
{
    return row->stored_per_s;
}

static double ack_p50(const struct second_row *row)
{
    return row->ack_p50_ms;
}

static double ack_p99(const struct second_row *row)
{
    return row->ack_p99_ms;
}

static double fresh_p50(const struct second_row *row)
{
    return row->freshness_p50_ms;
}

static double fresh_p99(const struct second_row *row)
{
    return row->freshness_p99_ms;
}

static double cpu(const struct second_row *row)
{
    return row->server_cpu * 100;
}

static const struct {
    const char *title;
    struct line lines[2];
} charts[] = {
    {"events per second", {{"sent", "#1f77b4", sent}, {"acknowledged", "#2ca02c", stored}}},
    {"acknowledgement, ms", {{"p50", "#1f77b4", ack_p50}, {"p99", "#d62728", ack_p99}}},
    {"freshness, ms", {{"p50", "#1f77b4", fresh_p50}, {"p99", "#d62728", fresh_p99}}},
    {"server CPU, % of a core", {{"cpu", "#9467bd", cpu}, {NULL, NULL, NULL}}},
};

static double greatest(const struct report *report, const struct line *lines)
{
    double high = 0;
    for (size_t index = 0; index < report->row_count; index++)
        for (size_t line = 0; line < 2 && lines[line].value != NULL; line++)
            if (lines[line].value(&report->rows[index]) > high)
                high = lines[line].value(&report->rows[index]);
    return high > 0 ? high : 1;
}

static void write_line(const struct report *report, FILE *file, const struct line *line, double top,
                       double high)
{
    double step = report->row_count > 1
                      ? (double)(CHART_WIDTH - CHART_LEFT) / (double)(report->row_count - 1)
                      : 0;
    fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
            line->colour);
    for (size_t index = 0; index < report->row_count; index++)
        fprintf(file, "%.1f,%.1f ", CHART_LEFT + (double)index * step,
                top + CHART_HEIGHT * (1 - line->value(&report->rows[index]) / high));
    fprintf(file, "\"/>\n");
}

void report_write_svg(const struct report *report, FILE *file)
{
    const size_t count = sizeof(charts) / sizeof(charts[0]);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            CHART_WIDTH + 40, count * (CHART_HEIGHT + CHART_GAP) + CHART_GAP);
    for (size_t chart = 0; chart < count; chart++) {
        double top = CHART_GAP + (double)chart * (CHART_HEIGHT + CHART_GAP),
               high = greatest(report, charts[chart].lines);
        fprintf(file, "<text x=\"%d\" y=\"%.0f\" font-weight=\"bold\">%s</text>\n", CHART_LEFT,
                top - 8, charts[chart].title);
        fprintf(file,
                "<rect x=\"%d\" y=\"%.0f\" width=\"%d\" height=\"%d\" fill=\"none\" "
                "stroke=\"#ccc\"/>\n",
                CHART_LEFT, top, CHART_WIDTH - CHART_LEFT, CHART_HEIGHT);
        fprintf(file, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">%.4g</text>\n", CHART_LEFT - 6,
                top + 10, high);
        fprintf(file, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">0</text>\n", CHART_LEFT - 6,
                top + CHART_HEIGHT);
        for (size_t line = 0; line < 2 && charts[chart].lines[line].value != NULL; line++) {
            write_line(report, file, &charts[chart].lines[line], top, high);
            fprintf(file, "<text x=\"%zu\" y=\"%.0f\" fill=\"%s\">%s</text>\n",
                    CHART_WIDTH - 180 + line * 90, top - 8, charts[chart].lines[line].colour,
                    charts[chart].lines[line].label);
        }
    }
    fprintf(file, "<text x=\"%d\" y=\"%zu\">seconds: 1 to %zu</text>\n</svg>\n", CHART_LEFT,
            count * (CHART_HEIGHT + CHART_GAP) + CHART_GAP - 14, report->row_count);
}
