package cassandra

import (
	"errors"
	"strings"
	"testing"

	"github.com/gocql/gocql"
)

// TestTooOld: a real node that says it is an older one is not worked with, nothing is made there, and the survey says what to do.
func TestTooOld(t *testing.T) {
	hosts := one(t)
	says := func(version string) {
		t.Helper()
		must(t, shared.store.query(t.Context(), gocql.One, "UPDATE system.local SET release_version = ? WHERE key = 'local'", version).Exec())
	}
	var real string
	must(t, shared.store.query(t.Context(), gocql.One, "SELECT release_version FROM system.local").Scan(&real))
	says("4.0.11")
	defer says(real)
	o := Options{Hosts: hosts, Ledger: "ledger_old", Soft: "soft_old", Migrate: true, Patient: true, Log: quiet()}
	s, err := Open(t.Context(), o)
	if !errors.Is(err, ErrOldServer) || !strings.Contains(err.Error(), "4.0.11; 4.1 is the first that will do") {
		t.Errorf("opened: %v", err)
	}
	if s != nil {
		shut(t, s)
	}
	shows(t, o, "version", Wrong, "4.0.11", "4.1 or later")
	var name string
	err = shared.store.query(t.Context(), gocql.One, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = 'ledger_old'").Scan(&name)
	if !errors.Is(err, gocql.ErrNotFound) {
		t.Errorf("it made %q there: %v", name, err)
	}
}
