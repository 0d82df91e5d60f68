package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func effectNamed(name string) *OperationSpec { return &OperationSpec{Name: name, Match: "POST /x"} }

// What each set of facts would allow, were all classes built, and what is promised today.
func TestClassOf(t *testing.T) {
	enforced := Keys{Header: "K", Enforced: true, Life: time.Hour}
	final := Cancel{Match: "POST /cancel", State: CancelFinal}
	blocks := Cancel{Match: "POST /cancel", State: CancelFinal, Blocks: true}
	strong := Lookup{Match: "GET /found", Strong: true}
	for _, c := range []struct {
		name            string
		operation       string
		contract        Contract
		allowed, promis Class
		hint            string
	}{
		{"nothing is stated", "pay", Contract{}, Nothing, Nothing, ""},
		{"keys are ignored", "pay", Contract{Keys: Keys{Header: "K", Ignored: true}}, Nothing, Nothing, ""},
		{"keys are enforced", "pay", Contract{Keys: enforced}, Guarded, Guarded, ""},
		{"keys before all else", "pay", Contract{Keys: enforced, Recourse: Recourse{Cancel: blocks, Lookup: strong}}, Guarded, Guarded, ""},
		{"a cancel that blocks, and nothing that shows it", "pay", Contract{Recourse: Recourse{Cancel: blocks}}, Nothing, Nothing, ""},
		{"a cancel that blocks, and a lookup", "pay", Contract{Recourse: Recourse{Cancel: blocks, Lookup: strong}}, Fenced, Fenced, ""},
		{"a cancel that is queued", "pay", Contract{Recourse: Recourse{Cancel: Cancel{Match: "POST /c", State: CancelQueued}}}, Nothing, Nothing, ""},
		{"a cancel alone", "pay", Contract{Recourse: Recourse{Cancel: final}}, Nothing, Nothing, ""},
		{"a cancel and a lookup without a window", "pay", Contract{Recourse: Recourse{Cancel: final, Lookup: strong}}, Nothing, Nothing, ""},
		{"a cancel, a lookup and a window", "pay", Contract{Recourse: Recourse{Cancel: final, Lookup: strong, Settle: time.Second}}, Traced, Traced, ""},
		{"a lookup and a window", "pay", Contract{Recourse: Recourse{Lookup: strong, Settle: time.Second}}, Traced, Traced, ""},
		{"a lookup that comes late", "pay", Contract{Recourse: Recourse{Lookup: Lookup{Match: "GET /f"}, Settle: time.Second}}, Nothing, Nothing, ""},
		{"a lookup for others", "pay", Contract{Recourse: Recourse{Lookup: Lookup{Match: "GET /f", Strong: true, Of: []string{"send"}}, Settle: time.Second}}, Nothing, Nothing, ""},
		{"a lookup for this", "send", Contract{Recourse: Recourse{Lookup: Lookup{Match: "GET /f", Strong: true, Of: []string{"send"}}, Settle: time.Second}}, Traced, Traced, ""},
		{"a cancel for others", "pay", Contract{Recourse: Recourse{Cancel: Cancel{Match: "POST /c", State: CancelFinal, Blocks: true, Of: []string{"send"}}}}, Nothing, Nothing, ""},
	} {
		all := []Class{Guarded, Fenced, Traced, Nothing, Free}
		if got, _ := classOf(effectNamed(c.operation), &c.contract, all); got != c.allowed {
			t.Errorf("%s: the facts allow %s, want %s", c.name, got, c.allowed)
		}
		got, why := ClassOf(effectNamed(c.operation), &c.contract)
		if got != c.promis || why == "" {
			t.Errorf("%s: %s is promised (%s), want %s", c.name, got, why, c.promis)
		}
		if c.hint == "" && strings.Contains(why, "makes use of it yet") || !strings.Contains(why, c.hint) {
			t.Errorf("%s: %q does not say what is not made use of", c.name, why)
		}
	}
	twice := effectNamed("pay")
	twice.Leave.Duplicates = true
	if got, why := ClassOf(twice, &Contract{Keys: enforced}); got != Doubled || !strings.Contains(why, "happens twice") {
		t.Errorf("what may happen twice is %s: %s", got, why)
	}
	if got, _ := ClassOf(&OperationSpec{Read: true}, &Contract{Keys: enforced}); got != Free {
		t.Errorf("a read is %s", got)
	}
}

// No class is promised that agents do not act on.
func TestOnlyWhatIsBuiltIsPromised(t *testing.T) {
	if !slices.Equal(built(), []Class{Guarded, Fenced, Traced, Nothing, Doubled, Free}) {
		t.Error("another class is promised: the ledger's Next must act on it, and DESIGN.md and docs/contracts.md must say so")
	}
	p := good(t, "three-regions")
	for _, s := range p.Sheets() {
		for _, o := range s.Operations {
			if !slices.Contains(built(), o.Class) {
				t.Errorf("%s %s: class %s", s.Name, o.Operation, o.Class)
			}
		}
	}
}

func TestSheetsSayWhatIsStatedAndWhere(t *testing.T) {
	p := good(t, "three-regions")
	byName := map[string]Sheet{}
	for _, s := range p.Sheets() {
		byName[s.Name] = s
	}
	stripe, acme, unkeyed := byName["stripe/v1"], byName["acme/v1.2"], byName["unkeyed/v1"]
	says := func(s Sheet, fact string) Stated {
		i := slices.IndexFunc(s.Facts, func(f Stated) bool { return f.Fact == fact })
		if i < 0 {
			return Stated{}
		}
		return s.Facts[i]
	}
	if f := says(stripe, "keys"); !strings.Contains(f.Says, "24h") || !strings.Contains(f.Says, "errors too") || f.Source != "https://docs.stripe.com/api/idempotent_requests" {
		t.Errorf("%+v", f)
	}
	if !stripe.Builtin || acme.Builtin || says(stripe, "lookup").Says != "" {
		t.Errorf("%+v", stripe)
	}
	if f := says(acme, "lookup"); !strings.HasPrefix(f.Says, "GET /v2/payments?reference={reference} by body.reference (ours takes the caller's place) of pay, for 48h, at once; items in data;") {
		t.Errorf("%+v", f)
	}
	if f := says(unkeyed, "keys"); f.Source != "" || !strings.Contains(f.Says, "not heeded") {
		t.Errorf("the page of the contract underneath does not speak of other keys: %+v", f)
	}
	if f := says(unkeyed, "credential"); f.Source == "" {
		t.Error("what is taken over is taken over with its page")
	}
	for _, o := range unkeyed.Operations {
		if o.Class == Guarded {
			t.Errorf("%+v", o)
		}
	}
}

// Every figure of a contract that comes with Segue has the page that it was read on.
func TestShippedFiguresNameTheirPages(t *testing.T) {
	for _, c := range Builtins() {
		for _, fact := range []string{"credential", "statuses", "keys", "rate_limit", "lookup", "cancel", "refund", "settle"} {
			if slices.Contains(c.stated(), fact) && c.page(fact) == "" {
				t.Errorf("%s: no page is named for %s", c.Name, fact)
			}
		}
	}
}
