package dev

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// talk makes one read in a session and returns the provider that answered.
func talk(t *testing.T, addr, session string) (status int, route string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+addr+"/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer sk_of_the_application")
	r.Header.Set("Session-Id", session)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	name, _, _ := strings.Cut(a.Header.Get("Segue-Route"), ";")
	return a.StatusCode, name
}

// hints asks the agent of a region how its log stands.
func hints(t *testing.T, d *Dev, region string) query.HintLog {
	t.Helper()
	answers, err := d.nodes.Ask(within(t), query.Question{Kind: query.Hints})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Region == region && a.Err == "" {
			var log query.HintLog
			if err := json.Unmarshal(a.Body, &log); err != nil {
				t.Fatal(err)
			}
			return log
		}
	}
	return query.HintLog{}
}

// pay makes one effect in a session.
func pay(t *testing.T, addr, key, session string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+addr+"/v1/charges", strings.NewReader("amount=1290&currency=eur&source=tok_visa"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Authorization", "Bearer sk_of_the_application")
	r.Header.Set("Session-Id", session)
	return send(t, r)
}

// TestCutStore cuts two regions off from the store: effects are refused there as without a quorum, a session that both know goes on in both by
// hints, and the third region is not touched. Back again, the backlog is gone, the store has what was said, and nothing was executed twice.
func TestCutStore(t *testing.T) {
	t.Parallel()
	d := live(t, config(t, patience.Dir(t)))
	defer end(t, d)
	const session = "ses_of_two_regions"
	cut := []string{"us-east", "eu-west"}
	for _, region := range cut {
		if status, body := pay(t, d.Service(region, payments), "before-"+region, session); status != 200 {
			t.Fatalf("before: %d %s", status, body)
		}
	}
	for _, region := range cut {
		if _, err := d.faults.Run(context.Background(), cutStore, region, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if f := d.faults.Running(); len(f) != 2 || f[0].Region != "us-east" || f[0].Provider != "" {
		t.Errorf("running: %+v", f)
	}
	for _, region := range cut {
		whileCut(t, d, region, session)
	}
	if status, body := charge(t, d.Service("ap-south", payments), "elsewhere"); status != 200 {
		t.Errorf("in a region that is not cut: %d %s", status, body)
	}
	for _, f := range d.faults.Running() {
		if err := d.faults.Stop(f.ID); err != nil {
			t.Error(err)
		}
	}
	for _, region := range cut {
		eventually(t, "the backlog of "+region+" is gone", func() bool {
			log := hints(t, d, region)
			return log.Kept && log.Waiting == 0 && log.Held == 0 && !log.Away
		})
		if status, body := pay(t, d.Service(region, payments), "during-"+region, session); status != 200 {
			t.Errorf("the same key after it: %d %s", status, body)
		}
	}
	stored, err := d.stores.shared.Sessions().Load(within(t), talkKey(session))
	if err != nil || stored.Pinned("chat") == "" || stored.Pinned(payments) == "" {
		t.Errorf("the store has %+v, %v", stored, err)
	}
	n := 0
	for _, p := range d.sandbox.Providers() {
		for _, e := range p.Books().Entries(sandbox.Filter{}) {
			if e.Operation == sandbox.OpCharge {
				n++
			}
		}
	}
	if n != 5 {
		t.Errorf("the books have %d charges of five", n)
	}
}

// whileCut makes an effect, which is refused, and three turns of a conversation, which goes on.
func whileCut(t *testing.T, d *Dev, region, session string) {
	t.Helper()
	status, body := pay(t, d.Service(region, payments), "during-"+region, session)
	var p struct {
		Type          string
		Alive, Needed *int
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != 503 || p.Type != "/problems/no-quorum" || p.Alive == nil || *p.Alive != 0 || p.Needed == nil || *p.Needed != 1 {
		t.Errorf("an effect in %s: %d %s", region, status, body)
	}
	first := ""
	for turn := range 3 {
		status, who := talk(t, d.Service(region, "chat"), session)
		if turn == 0 {
			first = who
		}
		if status != 200 || who == "" || who != first {
			t.Errorf("turn %d in %s: %d at %q, the first was at %q", turn, region, status, who, first)
		}
	}
	if log := hints(t, d, region); log.Waiting != 1 || !log.Away || len(log.Hints) != 1 || log.Hints[0].Kind != "session" || !strings.Contains(log.Hints[0].About, session) {
		t.Errorf("the hints of %s: %+v", region, log)
	}
}

func talkKey(id string) session.Key { return session.Key{App: "default", ID: id} }
