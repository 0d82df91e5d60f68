package ledger_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/dataplane/ledger"
)

var update = flag.Bool("update", false, "write what the scenarios say now into their files")

// TestScenarios plays the stories under testdata/scenarios: each line that begins with > is an order, what follows is what came of it.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(b))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(b) {
				t.Errorf("the story goes\n%s\nwant\n%s", got, b)
			}
		})
	}
}

type story struct {
	t *ledger.Transaction
	c ledger.Circumstances
	b strings.Builder

	ignores map[string]bool // providers
}

// play keeps comments and orders and writes anew what came of the orders.
func play(t *testing.T, text string) string {
	t.Helper()
	s := &story{t: ledger.New("tx_1", ledger.Key{App: "default", Service: "payments", Key: "order-7"}, "charge", [32]byte{1}, now), c: circumstances(), ignores: map[string]bool{}}
	s.c.Now = now
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			s.b.WriteString(line + "\n")
		case strings.HasPrefix(line, ">"):
			fmt.Fprintf(&s.b, "%s\n    %s\n", line, s.order(t, strings.Fields(line[1:])))
		}
	}
	return s.b.String()
}

func (s *story) order(t *testing.T, words []string) string {
	t.Helper()
	switch words[0] {
	case "begin": // begin PROVIDER [ignores-keys]
		s.ignores[words[1]] = len(words) > 2
		id := fmt.Sprint("at_", len(s.t.Attempts)+1)
		if err := s.t.Begin(ledger.Attempt{ID: id, Provider: words[1], IntentAt: s.c.Now, Reference: ledger.Reference(s.t, words[1], "")}, s.c.Run); err != nil {
			return err.Error()
		}
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.c.Now = s.c.Now.Add(d)
	case "caller": // caller leaves | comes
		s.c.Live = words[1] == "comes"
		s.c.Deadline, s.c.Before = s.c.Now.Add(10*time.Second), len(s.t.Attempts)
	case "run": // run NAME takes over | run NAME speaks
		if s.c.Run = words[1]; words[2] == "takes" {
			s.t.TakeOver(words[1], s.c.Now)
		}
	case "evidence": // evidence N OUTCOME
		return s.evidence(t, words[1], words[2])
	default:
		t.Fatalf("the order %v", words)
	}
	return s.where()
}

func (s *story) evidence(t *testing.T, attempt, outcome string) string {
	t.Helper()
	n, err := strconv.Atoi(attempt)
	if err != nil {
		t.Fatal(err)
	}
	e := ledger.Evidence{Attempt: fmt.Sprint("at_", n), Kind: ledger.FromAnswer, Redrive: s.t.Current().Sends > 1}
	for e.Outcome = ledger.Open; e.Outcome.String() != outcome; e.Outcome++ {
		if e.Outcome > ledger.Unknown {
			t.Fatalf("the outcome %s", outcome)
		}
	}
	s.c.Enforced = !s.ignores[s.t.Current().Provider]
	step := ledger.Next(s.t, e, s.c)
	said := s.t.Settle(e)
	switch step.Kind {
	case ledger.Redrive:
		s.t.Current().Sends++
	case ledger.Finish, ledger.Hold, ledger.Refuse:
		if said && (step.Kind == ledger.Finish || s.c.Run == s.t.Run) {
			if err := s.t.Close(step.Kind); err != nil {
				t.Fatal(err)
			}
		}
	case ledger.Elsewhere:
	default:
		t.Fatalf("the step %v", step)
	}
	return step.Kind.String() + ": " + step.Why + "\n    " + s.where()
}

func (s *story) where() string {
	if len(s.t.Attempts) == 0 {
		return "nothing yet"
	}
	a := s.t.Current()
	return fmt.Sprintf("%s, driven by %s, epoch %d: %s at %s as %s, sent %d×, %s", s.t.State, s.t.Run, s.t.Epoch, a.ID, a.Provider, a.Reference, a.Sends, a.Outcome)
}
