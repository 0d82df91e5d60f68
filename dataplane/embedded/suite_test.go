package embedded

import (
	"io"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
	"segue/dataplane/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options are a test's: the disk may not fail, and the machine's own space does not matter.
func options(t testing.TB) Options {
	return Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Reserve: 1,
		Fatal: func(err error) { t.Errorf("the store ended the process: %v", err) },
	}
}

// reopener returns a function that opens a directory, each time after it closed it.
func reopener(t *testing.T) func() *Store {
	var s *Store
	dir := t.TempDir()
	t.Cleanup(func() { shut(t, s) })
	return func() *Store {
		shut(t, s)
		var err error
		if s, err = Open(dir, options(t)); err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if s == nil {
		return
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) func() ledger.Store {
		open := reopener(t)
		return func() ledger.Store { return open().Ledger() }
	})
}

func TestParts(t *testing.T) {
	ledgertest.RunParts(t, func(t *testing.T) func() ledgertest.Parts {
		open := reopener(t)
		return func() ledgertest.Parts { return open() }
	})
}

func TestSessions(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) func() session.Store {
		open := reopener(t)
		return func() session.Store { return open().Sessions() }
	})
}
