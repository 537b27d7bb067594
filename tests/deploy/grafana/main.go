// Asks queries the way Grafana's PostgreSQL data source does, without Grafana: its driver (lib/pq: simple queries, text results),
// its macros, its frame conversion (grafana-plugin-sdk-go) and its rules for time columns and series.
//
//	echo '{"connection": "…", "queries": [{"name", "sql", "format": "table|time_series", "from", "to", "interval_ms"}]}' | grafana
//
// prints a JSON array of {"name", "fields": [{"name", "type", "labels"}], "rows", "error"}. All queries of one input run at once, as
// the panels of a dashboard do.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/data/sqlutil"
	_ "github.com/lib/pq"
)

type query struct {
	Name, SQL, Format string
	From, To          time.Time
	IntervalMs        int64 `json:"interval_ms"`
}

type field struct {
	Name   string      `json:"name"`
	Type   string      `json:"type"`
	Labels data.Labels `json:"labels,omitempty"`
}

type answer struct {
	Name   string  `json:"name"`
	SQL    string  `json:"sql"`
	Fields []field `json:"fields"`
	Rows   int     `json:"rows"`
	Error  string  `json:"error,omitempty"`
}

const rowLimit = 1000000 // dataproxy.row_limit

// What Grafana's converters do to NUMERIC and the floats: text to float64.
func number(name string) sqlutil.StringConverter {
	return sqlutil.StringConverter{Name: name, InputScanKind: reflect.Interface, InputTypeName: name,
		ConversionFunc: func(s *string) (*string, error) { return s, nil },
		Replacer: &sqlutil.StringFieldReplacer{OutputFieldType: data.FieldTypeNullableFloat64, ReplaceFunc: func(s *string) (any, error) {
			if s == nil {
				return nil, nil
			}
			v, err := strconv.ParseFloat(*s, 64)
			return &v, err
		}}}
}

var macro = regexp.MustCompile(`\$__(\w+)\(([^)]*)\)`)

// The macros that the dashboards use; their arguments are split at commas, as Grafana splits them.
func (q query) expand() (string, error) {
	text := strings.ReplaceAll(q.SQL, "$__interval_ms", strconv.FormatInt(q.IntervalMs, 10))
	text = strings.ReplaceAll(text, "$__interval", fmt.Sprintf("%dms", q.IntervalMs))
	var failed error
	text = macro.ReplaceAllStringFunc(text, func(call string) string {
		parts := macro.FindStringSubmatch(call)
		arguments := strings.Split(parts[2], ",")
		for i := range arguments {
			arguments[i] = strings.Trim(strings.TrimSpace(arguments[i]), "'")
		}
		from, to := q.From.UTC().Format(time.RFC3339Nano), q.To.UTC().Format(time.RFC3339Nano)
		switch parts[1] {
		case "timeFilter":
			return fmt.Sprintf("%s BETWEEN '%s' AND '%s'", arguments[0], from, to)
		case "timeGroup", "timeGroupAlias":
			interval, err := time.ParseDuration(arguments[1])
			if err != nil {
				failed = err
				return call
			}
			seconds := strconv.FormatFloat(interval.Seconds(), 'f', -1, 64)
			group := fmt.Sprintf("floor(extract(epoch from %s)/%s)*%s", arguments[0], seconds, seconds)
			if parts[1] == "timeGroupAlias" {
				group += ` AS "time"`
			}
			return group
		case "timeFrom":
			return "'" + from + "'"
		case "timeTo":
			return "'" + to + "'"
		}
		failed = fmt.Errorf("unknown macro %s", parts[1])
		return call
	})
	return text, failed
}

// Numbers in a column named time: 10 digits are seconds, 19 nanoseconds, all else milliseconds.
func toTime(from *data.Field) (*data.Field, error) {
	if from.Type() == data.FieldTypeTime || from.Type() == data.FieldTypeNullableTime {
		return from, nil
	}
	to := data.NewFieldFromFieldType(data.FieldTypeNullableTime, from.Len())
	to.Name = from.Name
	for i := 0; i < from.Len(); i++ {
		value, err := from.NullableFloatAt(i)
		if err != nil {
			return nil, fmt.Errorf("time column: %w", err)
		}
		if value != nil {
			ms := *value
			switch {
			case ms >= 1e9 && ms < 1e10:
				ms *= 1e3
			case ms >= 1e18 && ms < 1e19:
				ms /= 1e6
			}
			at := time.UnixMilli(int64(ms))
			to.Set(i, &at)
		}
	}
	return to, nil
}

func toSeries(frame *data.Frame, timeIndex, metricIndex int) (*data.Frame, error) {
	if timeIndex < 0 {
		return nil, errors.New("time column is missing; make sure your data includes a time column for time series format")
	}
	frame.Fields[timeIndex].Name = "Time"
	for i, column := range frame.Fields {
		kind := column.Type()
		if i == timeIndex || i == metricIndex || kind == data.FieldTypeNullableString || kind == data.FieldTypeString ||
			kind == data.FieldTypeNullableFloat64 {
			continue
		}
		values := data.NewFieldFromFieldType(data.FieldTypeNullableFloat64, column.Len())
		values.Name = column.Name
		for j := 0; j < column.Len(); j++ {
			value, err := column.NullableFloatAt(j)
			if err != nil {
				return nil, fmt.Errorf("value column %s: %w", column.Name, err)
			}
			values.Set(j, value)
		}
		frame.Fields[i] = values
	}
	if frame.TimeSeriesSchema().Type == data.TimeSeriesTypeLong {
		return data.LongToWide(frame, nil)
	}
	return frame, nil
}

func (q query) run(db *sql.DB) (*data.Frame, string, error) {
	text, err := q.expand()
	if err != nil {
		return nil, text, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return nil, text, fmt.Errorf("db query error: %w", err)
	}
	defer rows.Close()
	frame, err := sqlutil.FrameFromRows(rows, rowLimit, sqlutil.ToConverters(number("FLOAT4"), number("FLOAT8"), number("NUMERIC"))...)
	if err != nil {
		return nil, text, err
	}
	seen, timeIndex, metricIndex := map[string]bool{}, -1, -1
	for i, column := range frame.Fields {
		if seen[column.Name] {
			return nil, text, fmt.Errorf("duplicate column %q", column.Name)
		}
		seen[column.Name] = true
		switch column.Name {
		case "time":
			timeIndex = i
		case "metric":
			metricIndex = i
		}
	}
	if frame.Rows() == 0 {
		return frame, text, nil
	}
	if timeIndex >= 0 {
		if frame.Fields[timeIndex], err = toTime(frame.Fields[timeIndex]); err != nil {
			return nil, text, err
		}
	}
	if q.Format == "time_series" {
		frame, err = toSeries(frame, timeIndex, metricIndex)
	}
	return frame, text, err
}

func main() {
	var input struct {
		Connection string
		Queries    []query
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fmt.Fprintln(os.Stderr, "input:", err)
		os.Exit(1)
	}
	db, err := sql.Open("postgres", input.Connection)
	if err == nil {
		err = db.Ping() // the data source's health check
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
		os.Exit(1)
	}
	answers := make([]answer, len(input.Queries))
	var all sync.WaitGroup
	for i, q := range input.Queries {
		all.Add(1)
		go func() {
			defer all.Done()
			frame, text, err := q.run(db)
			answers[i] = answer{Name: q.Name, SQL: text, Fields: []field{}}
			if err != nil {
				answers[i].Error = err.Error()
				return
			}
			answers[i].Rows = frame.Rows()
			for _, column := range frame.Fields {
				answers[i].Fields = append(answers[i].Fields, field{column.Name, column.Type().ItemTypeString(), column.Labels})
			}
		}()
	}
	all.Wait()
	json.NewEncoder(os.Stdout).Encode(answers)
}
