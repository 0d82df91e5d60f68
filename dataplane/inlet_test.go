package dataplane

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/dataplane/contract"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
)

const inletDocument = `segue: v1
regions: {here: }
services:
  driven:
    speaks: %s
    listen: 7101
    strategy: priority
    priority: [driven]
    attempts: {max: 1, per_try: 200ms, deadline: 600ms}
    breaker: {failures: 1000}
providers:
  driven: {contract: %s, endpoint: %q, credential: "env:INLET_CREDENTIAL", webhook_secret: "env:INLET_SECRET"}
`

// TestInletByContract: each vendor's notice, signed as the vendor signs, ends what nobody knew; signed otherwise, too old or changed it is a
// clear refusal and changes nothing; about something else it is thanked for.
func TestInletByContract(t *testing.T) {
	driven := 0
	for _, s := range contract.Specimens() {
		if s.Hook == nil {
			continue
		}
		driven++
		t.Run(s.Contract, func(t *testing.T) { inlet(t, s) })
	}
	if driven < 3 {
		t.Errorf("%d contracts have webhooks", driven)
	}
}

func inlet(t *testing.T, s contract.Specimen) {
	t.Setenv("INLET_CREDENTIAL", s.Secret)
	t.Setenv("INLET_SECRET", s.HookSecret)
	box, err := sandbox.New(sandbox.Config{Providers: []sandbox.ProviderConfig{{Name: "driven", API: s.API, Credential: s.Secret, Latency: sandbox.Latency{Median: -1}}}})
	must(t, err)
	must(t, box.Start())
	w := newWorld(t)
	t.Cleanup(func() { must(t, box.Stop(context.Background())) })
	must(t, w.agent.Apply(w.update(2, fmt.Sprintf(inletDocument, s.Contract, s.Contract, box.Provider("driven").URL()))))
	must(t, box.Provider("driven").SetFaults(sandbox.Fault{Kind: sandbox.Reset, Executed: true}))
	addr := w.agent.Addr("driven")
	do := func(r contract.Request, path string, more ...string) *answer {
		t.Helper()
		for _, e := range r.Extra {
			more = append(more, e[0], e[1])
		}
		a, err := w.callAt(t.Context(), addr, "POST", path, r.Body, append(more, "Content-Type", r.Type)...)
		must(t, err)
		return a
	}
	effect := s.Anonymous(s.Effect("inlet"))
	if a := do(effect, effect.Path, "Idempotency-Key", "inlet-1"); a.status != http.StatusGatewayTimeout {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	row := func() *ledger.Transaction {
		t.Helper()
		tx, err := w.agent.store.Ledger().Load(t.Context(), ledger.Key{App: application, Service: "driven", Key: "inlet-1"})
		must(t, err)
		return tx
	}
	if r := row(); r.State != ledger.Held || r.Current().Reference == "" {
		t.Fatalf("row %+v", r)
	}
	reference, now := row().Current().Reference, time.Now()
	paid := s.Events[0].Event
	notice := func(secret, reference, event string, at time.Time) contract.Request {
		return s.Hook(secret, contract.Notice{Reference: reference, ID: "object_1", Event: event}, at)
	}
	changed := notice(s.HookSecret, reference, paid, now)
	changed.Body = strings.Replace(changed.Body, "object_1", "object_2", 1)
	unsigned := notice(s.HookSecret, reference, paid, now)
	unsigned.Extra, unsigned.Body = nil, strings.Replace(unsigned.Body, "hmacSignature", "x", 1)
	no := notice(s.HookSecret, reference, paid, now)
	no.Body = "{"
	type try struct {
		name   string
		hook   contract.Request
		status int
		says   string
		state  ledger.State
	}
	const refused, thanked = "not signed as the contract says", "no such attempt is known here"
	tries := []try{
		{"another's", notice(strings.Repeat("00", 32), reference, paid, now), 403, refused, ledger.Held},
		{"changed", changed, 403, refused, ledger.Held},
		{"unsigned", unsigned, 403, refused, ledger.Held},
		{"no notice", no, 403, refused, ledger.Held},
		{"an unknown reference of ours", notice(s.HookSecret, "tx_01ARZ3NDEKTSV4RRFFQ69G5FAV-0", paid, now), 200, thanked, ledger.Held},
		{"another number of ours", notice(s.HookSecret, reference[:len(reference)-1]+"7", paid, now), 200, thanked, ledger.Held},
		{"a reference of the application's", notice(s.HookSecret, "order-17", paid, now), 200, "nothing to learn", ledger.Held},
		{"a word that is not listed", notice(s.HookSecret, reference, s.Events[len(s.Events)-1].Event, now), 200, "nothing to learn", ledger.Held},
	}
	if s.Dated {
		tries = append(tries, try{"stale", notice(s.HookSecret, reference, paid, now.Add(-time.Hour)), 403, refused, ledger.Held},
			try{"from the future", notice(s.HookSecret, reference, paid, now.Add(time.Hour)), 403, refused, ledger.Held})
	}
	tries = append(tries, try{"the vendor's", notice(s.HookSecret, reference, paid, now), 200, "as evidence", ledger.DoneSucceeded},
		try{"again", notice(s.HookSecret, reference, paid, now), 200, "as evidence", ledger.DoneSucceeded})
	for _, c := range tries {
		a := do(c.hook, hookPath+"driven")
		if state := row().State; a.status != c.status || !strings.Contains(a.body, c.says) || state != c.state {
			t.Errorf("%s: %d %s, the row is %v; want %d, %q, %v", c.name, a.status, a.body, state, c.status, c.says, c.state)
		}
	}
	if n := len(box.Provider("driven").Books().Entries(sandbox.Filter{})); n != 1 {
		t.Errorf("executed %d times", n)
	}
}
