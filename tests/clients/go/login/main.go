// Logging in with pgx and lib/pq, plain and by TLS. One line for each check: its name, a tab, "ok" or what is wrong. Arguments: the
// certificate to trust, HOST:PORT.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

func check(name string, err error) {
	if err != nil {
		fmt.Printf("%s\t%s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
	} else {
		fmt.Printf("%s\tok\n", name)
	}
}

func byPgx(url string) error {
	connection, err := pgx.Connect(context.Background(), url)
	if err != nil {
		return err
	}
	defer connection.Close(context.Background())
	var n int
	return connection.QueryRow(context.Background(), "SELECT 1").Scan(&n)
}

func byPq(url string) error {
	database, err := sql.Open("postgres", url)
	if err != nil {
		return err
	}
	defer database.Close()
	var n int
	return database.QueryRow("SELECT 1").Scan(&n)
}

func refused(err error) error {
	var ofPgx *pgconn.PgError
	var ofPq *pq.Error
	if errors.As(err, &ofPgx) && ofPgx.Code == "28P01" || errors.As(err, &ofPq) && ofPq.Code == "28P01" {
		return nil
	}
	return fmt.Errorf("wanted 28P01, got %v", err)
}

func main() {
	certificate, address := os.Args[1], os.Args[2]
	url := func(name, password, settings string) string {
		return "postgres://" + name + ":" + password + "@" + address + "/d?" + settings
	}
	verified := "sslmode=verify-full&sslrootcert=" + certificate
	check("pgx plain", byPgx(url("ann", "right", "sslmode=disable")))
	check("pgx verified", byPgx(url("ann", "right", verified)))
	check("pgx prefer", byPgx(url("ann", "right", "sslmode=prefer")))
	check("pgx wrong password", refused(byPgx(url("ann", "wrong", verified))))
	check("pgx unknown name", refused(byPgx(url("eve", "right", verified))))
	check("pq plain", byPq(url("ann", "right", "sslmode=disable")))
	check("pq verified", byPq(url("ann", "right", verified)))
	check("pq wrong password", refused(byPq(url("ann", "wrong", verified))))
	check("pq unknown name", refused(byPq(url("eve", "right", "sslmode=require"))))
}
