// pgx and lib/pq against a running server. One line for each check: its name, a tab, "ok" or what is wrong. The address is the only
// argument, HOST:PORT.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/lib/pq"
)

const long = "SELECT count(*) FROM generate_series(1, 100000000000) g"

var (
	background = context.Background()
	address    string
)

func check(name string, run func() error) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Printf("%s\t%v\n", name, problem)
		}
	}()
	if err := run(); err != nil {
		fmt.Printf("%s\t%s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		fmt.Printf("%s\tok\n", name)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same(wanted, got any) {
	if !reflect.DeepEqual(wanted, got) {
		panic(fmt.Sprintf("wanted %#v, got %#v", wanted, got))
	}
}

// --- pgx ---

func open(settings string) *pgx.Conn {
	connection, err := pgx.Connect(background, "postgres://me@"+address+"/freshet?sslmode=disable"+settings)
	must(err)
	return connection
}

func one[T any](c *pgx.Conn, text string, arguments ...any) T {
	var value T
	if err := c.QueryRow(background, text, arguments...).Scan(&value); err != nil {
		panic(fmt.Sprintf("%v: %s", err, text))
	}
	return value
}

func fails(state string, err error) {
	var problem *pgconn.PgError
	if !errors.As(err, &problem) || problem.Code != state {
		panic(fmt.Sprintf("wanted %s, got %v", state, err))
	}
}

func table(c *pgx.Conn, name, columns string) func() {
	_, err := c.Exec(background, "CREATE TABLE "+name+" ("+columns+")")
	must(err)
	return func() {
		_, err := c.Exec(background, "DROP TABLE "+name)
		must(err)
	}
}

type kinds struct {
	B  *bool
	S  *int16
	I  *int32
	L  *int64
	R  *float32
	D  *float64
	N  pgtype.Numeric
	T  *string
	Dt *time.Time
	Ts *time.Time
	Tz *time.Time
	U  pgtype.UUID
	Y  []byte
	J  map[string]any
	La []*int64
	Ta []*string
}

func pointer[T any](value T) *T { return &value }

// What pgx sends and reads in each of its ways of running a statement: with values and with NULLs.
func types(mode string) func() error {
	return func() error {
		c := open("&timezone=UTC&default_query_exec_mode=" + mode)
		defer c.Close(background)
		defer table(c, "kinds", "b boolean, s smallint, i integer, l bigint, r real, d double precision, n numeric(18,4), t text, dt date, "+
			"ts timestamp, tz timestamptz, u uuid, y bytea, j jsonb, la bigint[], ta text[]")()
		moment := time.Date(2026, 10, 25, 1, 30, 0, 250000000, time.UTC)
		full := kinds{pointer(true), pointer(int16(-7)), pointer(int32(1 << 30)), pointer(int64(-1 << 63)), pointer(float32(0.5)),
			pointer(1e-300), pgtype.Numeric{Int: big.NewInt(-12345678901250), Exp: -4, Valid: true}, pointer("é\t'\"€"),
			pointer(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)), pointer(time.Date(2026, 3, 29, 2, 30, 0, 123456000, time.UTC)), &moment,
			pgtype.UUID{Bytes: [16]byte{1, 0x23, 0x45}, Valid: true}, []byte{0, 1, 255}, map[string]any{"a": []any{1.0, nil}},
			[]*int64{pointer(int64(1)), nil, pointer(int64(-3))}, []*string{pointer("a"), nil, pointer("b\"c,{}")}}
		for _, row := range []kinds{full, {}} {
			var values []any
			places := []string{}
			for i := range reflect.ValueOf(row).NumField() {
				value := reflect.ValueOf(row).Field(i).Interface()
				if object, is := value.(map[string]any); is && object != nil {
					value = `{"a": [1, null]}` // its text: not all modes know what an object is to become
				} else if is {
					value = nil
				}
				values = append(values, value)
				places = append(places, fmt.Sprintf("$%d", i+1))
			}
			_, err := c.Exec(background, "INSERT INTO kinds VALUES ("+strings.Join(places, ", ")+")", values...)
			must(err)
		}
		for range 3 {
			rows, err := c.Query(background, "SELECT * FROM kinds WHERE l = $1 OR (l IS NULL AND $2) ORDER BY l", int64(-1<<63), true)
			must(err)
			got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[kinds])
			must(err)
			same(2, len(got))
			got[0].Tz = pointer(got[0].Tz.UTC())
			got[0].N, full.N = numeric(got[0].N), numeric(full.N)
			same(full, got[0])
			same((*int64)(nil), got[1].L)
		}
		fails("22012", c.QueryRow(background, "SELECT 1 / $1::int8", int64(0)).Scan(new(int64)))
		fails("42703", c.QueryRow(background, "SELECT nope").Scan(new(int64)))
		same(int64(42), one[int64](c, "SELECT $1::int8 + 1", 41))
		return nil
	}
}

// Of the same scale, whatever text or groups of digits it came from.
func numeric(n pgtype.Numeric) pgtype.Numeric {
	value, err := n.Float64Value()
	must(err)
	return pgtype.Numeric{Int: big.NewInt(int64(value.Float64 * 1e4)), Exp: -4, Valid: n.Valid}
}

func batches() error {
	c := open("")
	defer c.Close(background)
	defer table(c, "batch", "a bigint, b text")()
	batch := &pgx.Batch{}
	for i := range 500 {
		batch.Queue("INSERT INTO batch VALUES ($1, $2)", i, fmt.Sprint(i))
	}
	batch.Queue("SELECT count(*) FROM generate_series(1, $1)", 7).QueryRow(func(row pgx.Row) error {
		var count int64
		must(row.Scan(&count))
		same(int64(7), count)
		return nil
	})
	must(c.SendBatch(background, batch).Close())
	same(int64(124750), one[int64](c, "SELECT sum(a)::int8 FROM batch"))
	broken := &pgx.Batch{}
	broken.Queue("INSERT INTO batch VALUES (1, 'x')")
	broken.Queue("SELECT 1 / 0")
	fails("22012", c.SendBatch(background, broken).Close())
	same(int64(500), one[int64](c, "SELECT count(*) FROM batch WHERE b <> 'x'"))
	return nil
}

func copyFrom() error {
	c := open("")
	defer c.Close(background)
	defer table(c, "copied", "a bigint, b text, at timestamptz, n numeric(12,2), list text[]")()
	moment := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	count, err := c.CopyFrom(background, pgx.Identifier{"copied"}, []string{"a", "b", "at", "n", "list"}, pgx.CopyFromSlice(5000,
		func(i int) ([]any, error) {
			return []any{i, fmt.Sprintf("text %d", i), moment, pgtype.Numeric{Int: big.NewInt(int64(i)), Exp: -2, Valid: true}, []string{"x", "y"}}, nil
		}))
	must(err)
	same(int64(5000), count)
	same(int64(12497500), one[int64](c, "SELECT sum(a)::int8 FROM copied WHERE at = $1 AND list[2] = 'y'", moment))
	same("124975.00", one[string](c, "SELECT sum(n)::text FROM copied"))
	var out strings.Builder
	_, err = c.PgConn().CopyTo(background, &out, "COPY (SELECT a, b FROM copied WHERE a < 2 ORDER BY a) TO STDOUT WITH (FORMAT csv)")
	must(err)
	same("0,text 0\n1,text 1\n", out.String())
	return nil
}

func transactions() error {
	c := open("")
	defer c.Close(background)
	defer table(c, "txn", "a bigint")()
	must(pgx.BeginFunc(background, c, func(tx pgx.Tx) error {
		_, err := tx.Exec(background, "INSERT INTO txn VALUES ($1)", 1)
		return err
	}))
	gone := errors.New("gone")
	same(gone, pgx.BeginFunc(background, c, func(tx pgx.Tx) error {
		_, err := tx.Exec(background, "INSERT INTO txn VALUES ($1)", 2)
		must(err)
		return gone
	}))
	tx, err := c.BeginTx(background, pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead})
	must(err)
	_, err = tx.Exec(background, "INSERT INTO txn VALUES (3)")
	fails("25006", err)
	must(tx.Rollback(background))
	same(int64(1), one[int64](c, "SELECT count(*) FROM txn"))
	return nil
}

func pool() error {
	p, err := pgxpool.New(background, "postgres://me@"+address+"/freshet?sslmode=disable&pool_max_conns=5")
	must(err)
	defer p.Close()
	done := make(chan int64)
	for i := range 50 {
		go func() {
			var value int64
			must(p.QueryRow(background, "SELECT $1::int8", i).Scan(&value))
			done <- value
		}()
	}
	sum := int64(0)
	for range 50 {
		sum += <-done
	}
	same(int64(1225), sum)
	return p.Ping(background)
}

func cancel() error {
	c := open("")
	within, stop := context.WithTimeout(background, 200*time.Millisecond)
	defer stop()
	_, err := c.Exec(within, long)
	same(true, errors.Is(err, context.DeadlineExceeded))
	same(true, c.IsClosed()) // pgx closes it, unless told to cancel
	config, err := pgx.ParseConfig("postgres://me@" + address + "/freshet?sslmode=disable")
	must(err)
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: time.Minute}
	}
	c, err = pgx.ConnectConfig(background, config)
	must(err)
	defer c.Close(background)
	again, stopAgain := context.WithTimeout(background, 200*time.Millisecond)
	defer stopAgain()
	_, err = c.Exec(again, long)
	fails("57014", err)
	same(int64(1), one[int64](c, "SELECT 1::int8"))
	_, err = c.Exec(background, "SET statement_timeout = 100")
	must(err)
	_, err = c.Exec(background, long)
	fails("57014", err)
	return nil
}

// A statement described before a table was changed: pgx forgets it and the next time is right.
func changed() error {
	c := open("")
	defer c.Close(background)
	defer table(c, "changed", "a bigint")()
	_, err := c.Exec(background, "INSERT INTO changed VALUES (1)")
	must(err)
	read := func() error {
		rows, err := c.Query(background, "SELECT * FROM changed")
		must(err)
		_, err = pgx.CollectRows(rows, pgx.RowToMap)
		return err
	}
	must(read())
	_, err = c.Exec(background, "ALTER TABLE changed ADD COLUMN b text")
	must(err)
	fails("0A000", read())
	return read()
}

func catalogue() error {
	c := open("")
	defer c.Close(background)
	kind, err := c.LoadType(background, "_int8")
	must(err)
	same(uint32(pgtype.Int8ArrayOID), kind.OID)
	same(uint32(pgtype.TextOID), one[uint32](c, "SELECT oid FROM pg_type WHERE typname = $1", "text"))
	return nil
}

// --- lib/pq ---

func openPq(settings string) *sql.DB {
	host, port, _ := strings.Cut(address, ":")
	db, err := sql.Open("postgres", fmt.Sprintf("host=%s port=%s user=me dbname=freshet sslmode=disable %s", host, port, settings))
	must(err)
	return db
}

func pqOne[T any](db *sql.DB, text string, arguments ...any) T {
	var value T
	if err := db.QueryRow(text, arguments...).Scan(&value); err != nil {
		panic(fmt.Sprintf("%v: %s", err, text))
	}
	return value
}

func pqStatements(settings string) func() error {
	return func() error {
		db := openPq(settings)
		defer db.Close()
		must(db.Ping())
		statement, err := db.Prepare("SELECT $1::int8 + 1, $2::text, $3::timestamptz, $4::bytea, $5::float8")
		must(err)
		moment := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
		for i := range 10 {
			var n int64
			var text sql.NullString
			var at time.Time
			var bytes []byte
			var real float64
			must(statement.QueryRow(i, sql.NullString{String: "é", Valid: i%2 == 0}, moment, []byte{0, 255}, 0.5).Scan(&n, &text, &at, &bytes, &real))
			same(int64(i+1), n)
			same(i%2 == 0, text.Valid)
			same(true, moment.Equal(at))
			same([]byte{0, 255}, bytes)
			same(0.5, real)
		}
		must(statement.Close())
		same(int64(2), pqOne[int64](db, "SELECT count(*) FROM generate_series(1, 9) g WHERE g = ANY ($1)", pq.Array([]int64{2, 4, 11})))
		var list []string
		must(db.QueryRow("SELECT ARRAY['a', 'b c']").Scan(pq.Array(&list)))
		same([]string{"a", "b c"}, list)
		err = db.QueryRow("SELECT nope").Scan(&list)
		var problem *pq.Error
		same(true, errors.As(err, &problem) && problem.Code == "42703" && problem.Position == "8")
		return nil
	}
}

func pqCopy() error {
	db := openPq("")
	defer db.Close()
	_, err := db.Exec("CREATE TABLE pq_copied (a bigint, b text)")
	must(err)
	defer db.Exec("DROP TABLE pq_copied")
	tx, err := db.Begin()
	must(err)
	statement, err := tx.Prepare(pq.CopyIn("pq_copied", "a", "b"))
	must(err)
	for i := range 5000 {
		_, err := statement.Exec(i, "tab\tand \\ backslash")
		must(err)
	}
	_, err = statement.Exec()
	must(err)
	must(statement.Close())
	must(tx.Commit())
	same(int64(12497500), pqOne[int64](db, "SELECT sum(a)::int8 FROM pq_copied WHERE b = $1", "tab\tand \\ backslash"))
	return nil
}

func pqTransactions() error {
	db := openPq("")
	defer db.Close()
	_, err := db.Exec("CREATE TABLE pq_txn (a bigint)")
	must(err)
	defer db.Exec("DROP TABLE pq_txn")
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("INSERT INTO pq_txn VALUES ($1), ($2)", 1, 2)
	must(err)
	must(tx.Rollback())
	result, err := db.Exec("INSERT INTO pq_txn VALUES ($1), ($2)", 1, 2)
	must(err)
	count, err := result.RowsAffected()
	must(err)
	same(int64(2), count)
	same(int64(2), pqOne[int64](db, "SELECT count(*) FROM pq_txn"))
	reading, err := db.BeginTx(background, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	must(err)
	_, err = reading.Exec("INSERT INTO pq_txn VALUES (3)")
	var problem *pq.Error
	same(true, errors.As(err, &problem) && problem.Code == "25006")
	return reading.Rollback()
}

func pqCancel() error {
	db := openPq("application_name=checks")
	defer db.Close()
	within, stop := context.WithTimeout(background, 200*time.Millisecond)
	defer stop()
	_, err := db.ExecContext(within, long)
	same(true, err != nil && strings.Contains(err.Error(), "canceling statement"))
	same("checks", pqOne[string](db, "SHOW application_name"))
	return nil
}

func main() {
	address = os.Args[1]
	check("pgx, cache_statement", types("cache_statement"))
	check("pgx, cache_describe", types("cache_describe"))
	check("pgx, describe_exec", types("describe_exec"))
	check("pgx, exec", types("exec"))
	check("pgx, simple_protocol", types("simple_protocol"))
	check("pgx, batches", batches)
	check("pgx, CopyFrom", copyFrom)
	check("pgx, transactions", transactions)
	check("pgx, pool", pool)
	check("pgx, cancel and time-outs", cancel)
	check("pgx, a table changed under a statement", changed)
	check("pgx, types by name", catalogue)
	check("lib/pq, statements", pqStatements(""))
	check("lib/pq, binary parameters", pqStatements("binary_parameters=yes"))
	check("lib/pq, COPY", pqCopy)
	check("lib/pq, transactions", pqTransactions)
	check("lib/pq, cancel", pqCancel)
}
