package ledger_test

import (
	"cmp"
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
	means   map[string]ledger.Means
}

// play keeps comments and orders and writes anew what came of the orders.
func play(t *testing.T, text string) string {
	t.Helper()
	s := &story{t: ledger.New("tx_1", ledger.Key{App: "default", Service: "payments", Key: "order-7"}, "charge", [32]byte{1}, now), c: circumstances(), ignores: map[string]bool{}, means: map[string]ledger.Means{}}
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
	case "evidence", "lookup", "cancel", "webhook", "statement", "operator", "timer": // KIND N WHAT [begun AGO]
		return s.evidence(t, words)
	case "provider": // provider NAME MEANS…
		s.means[words[1]] = means(t, words[2:])
	case "policy", "clock", "mapping", "kept": // policy traced | twice | pinned, clock off | right, mapping changed | same, kept DURATION
		return s.fact(t, words)
	case "told":
		if err := s.t.Tell(); err != nil {
			return err.Error()
		}
	default:
		t.Fatalf("the order %v", words)
	}
	return s.where()
}

func means(t *testing.T, words []string) (m ledger.Means) {
	t.Helper()
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		d, err := time.ParseDuration(cmp.Or(value, "0s"))
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "lookup":
			m.Lookup, m.Horizon = true, d
		case "cancel":
			m.Cancel = true
		case "blocks":
			m.Blocks = true
		case "settle":
			m.Settle = d
		case "expires":
			m.Expires = true
		case "forgets":
			m.Forgets = true
		default:
			t.Fatalf("the means %s", word)
		}
	}
	return m
}

func (s *story) fact(t *testing.T, words []string) string {
	t.Helper()
	switch words[0] + " " + words[1] {
	case "policy traced":
		s.c.Traced = true
	case "policy twice":
		s.c.Twice = true
	case "policy pinned":
		s.c.AtPin = true
	case "clock off", "clock right":
		s.c.Skewed = words[1] == "off"
	case "mapping changed", "mapping same":
		s.c.Changed = words[1] == "changed"
	default:
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatalf("the fact %v", words)
		}
		s.t.Kept, s.t.ExecuteBy = true, s.c.Now.Add(d)
	}
	return strings.Join(words, " ")
}

// read makes evidence of an order's words.
func (s *story) read(t *testing.T, words []string) ledger.Evidence {
	t.Helper()
	n, err := strconv.Atoi(words[1])
	if err != nil {
		t.Fatal(err)
	}
	e := ledger.Evidence{Attempt: fmt.Sprint("at_", n), Kind: ledger.FromAnswer, Redrive: words[0] == "evidence" && s.t.Current().Sends > 1, Begun: s.c.Now}
	for k := ledger.FromAnswer; k <= ledger.FromTimer; k++ {
		if k.String() == words[0] {
			e.Kind = k
		}
	}
	if len(words) > 4 {
		ago, err := time.ParseDuration(words[4])
		if err != nil {
			t.Fatal(err)
		}
		e.Begun = e.Begun.Add(-ago)
	}
	for f := ledger.Absent; f <= ledger.InProgress; f++ {
		if f.String() == words[2] {
			e.Finding, e.Outcome = f, ledger.Unknown
			return e
		}
	}
	for e.Outcome = ledger.Open; e.Outcome.String() != words[2]; e.Outcome++ {
		if e.Outcome > ledger.Unknown {
			t.Fatalf("the outcome %s", words[2])
		}
	}
	return e
}

func (s *story) evidence(t *testing.T, words []string) string {
	t.Helper()
	e := s.read(t, words)
	s.c.Enforced, s.c.Means = !s.ignores[s.t.Current().Provider], s.means[s.t.Current().Provider]
	step := ledger.Next(s.t, e, s.c)
	said := s.t.Note(e, s.c)
	switch step.Kind {
	case ledger.Redrive:
		s.t.Again(s.c.Now)
	case ledger.Cancel:
		if err := s.t.Close(step.Kind); err != nil {
			t.Fatal(err)
		}
	case ledger.Finish, ledger.Hold, ledger.Refuse:
		if (said || e.Attempt == s.t.Current().ID && step.Kind == ledger.Hold && s.t.State != ledger.Held) && (step.Kind == ledger.Finish || s.c.Run == s.t.Run) {
			if err := s.t.Close(step.Kind); err != nil {
				t.Fatal(err)
			}
		}
	case ledger.Elsewhere:
		s.t.Accept()
	case ledger.LookUp, ledger.Wait, ledger.Compensate:
	default:
		t.Fatalf("the step %v", step)
	}
	why := step.Why
	if step.Kind == ledger.Wait {
		why += fmt.Sprintf(" (for %v)", step.Until.Sub(s.c.Now))
	}
	return step.Kind.String() + ": " + why + "\n    " + s.where()
}

func (s *story) where() string {
	if len(s.t.Attempts) == 0 {
		return "nothing yet"
	}
	a := s.t.Current()
	text := fmt.Sprintf("%s, driven by %s, epoch %d: %s at %s as %s, sent %d×, %s", s.t.State, s.t.Run, s.t.Epoch, a.ID, a.Provider, a.Reference, a.Sends, a.Outcome)
	if a.Cancel {
		text += ", a cancel may have left"
	}
	if a.How > ledger.ByAnswer {
		text += ", closed by " + a.How.String()
	}
	for i := range s.t.Attempts {
		if s.t.Attempts[i].Late {
			text += "; " + s.t.Attempts[i].ID + " was executed late"
		}
	}
	if s.t.Adopted > 0 {
		text += " and is the outcome"
	}
	if d := s.t.Duplicates(); len(d) > 0 {
		text += fmt.Sprintf("; to compensate: %s", s.t.CompensationKey(d[0]).Key)
	}
	if s.t.Told {
		text += "; told"
	}
	return text
}
