package dev

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"segue/controlplane/policy"
	"segue/e2e/patience"
)

// A directory that is used again keeps what an operator set, and what was charged, also where the simulated providers and the directory are
// elsewhere now.
func TestASecondLifeKeepsPolicyAndTransactions(t *testing.T) {
	t.Parallel()
	cfg := config(t, filepath.Join(patience.Dir(t), "first"))
	first := live(t, cfg)
	if status, body := charge(t, first.Service("us-east", payments), "order-1"); status != 200 {
		t.Fatalf("charge: %d %s", status, body)
	}
	steer(t, first, "us-east", policy.Weight{Provider: backup, Percent: 100})
	if n := current(t, first).Number; n != 2 {
		t.Fatalf("revision %d", n)
	}
	end(t, first)
	for _, life := range []string{"second", "third"} {
		moved := filepath.Join(filepath.Dir(cfg.Dir), life)
		if err := os.Rename(cfg.Dir, moved); err != nil {
			t.Fatal(err)
		}
		cfg.Dir = moved
		cfg.Ports.Sandbox += 5
		d := live(t, cfg)
		r := current(t, d)
		has(t, r.Source, "us-east: {main: 0, backup: 100")
		has(t, r.Source, "# percent of new sessions")
		has(t, r.Source, d.endpoint(main))
		if len(r.Policy.Providers) != len(simulated()) {
			t.Errorf("%s: providers %+v", life, r.Policy.Providers)
		}
		again, body := charge(t, d.Service("us-east", payments), "order-1")
		if again != 200 || !strings.Contains(body, "ch_") {
			t.Errorf("%s: the charge of the first life: %d %s", life, again, body)
		}
		for _, region := range []string{"us-east", "eu-west", "ap-south"} {
			if status, body := charge(t, d.Service(region, payments), life+region); status != 200 {
				t.Errorf("%s: a new charge in %s: %d %s", life, region, status, body)
			}
		}
		if _, list := get(t, "http://"+d.Addr()+"/api/v1/transactions?key=order-1", "application/json"); strings.Count(list, `"ID":"tx_`) != 1 {
			t.Errorf("%s: the first life's transaction: %s", life, list)
		}
		end(t, d)
	}
}

// The same ports: nothing is moved, and nothing is proposed.
func TestASecondLifeAtTheSamePortsChangesNothing(t *testing.T) {
	t.Parallel()
	cfg := config(t, patience.Dir(t))
	first := live(t, cfg)
	steer(t, first, "eu-west", policy.Weight{Provider: legacy, Percent: 100})
	end(t, first)
	second := live(t, cfg)
	defer end(t, second)
	if r := current(t, second); r.Number != 2 || r.Actor != "ann" {
		t.Errorf("revision %d by %s", r.Number, r.Actor)
	}
}

// Control nodes know each other at the addresses of their first life: at others they would wait for a leader until the start gives up.
func TestADirectoryStaysAtItsPorts(t *testing.T) {
	t.Parallel()
	cfg := config(t, patience.Dir(t))
	end(t, live(t, cfg))
	other := config(t, cfg.Dir)
	if _, err := New(other); err == nil || !strings.Contains(err.Error(), "same --port-offset") {
		t.Errorf("said: %v", err)
	}
	end(t, live(t, cfg))
}

const own = `segue: v1
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights: {one: 50, two: 50}
providers:
  one: {contract: stripe/v1, endpoint: "URL", credential: caller}
  two: {contract: stripe/v1, endpoint: "URL", credential: "file:SECRET"}
`

// provider is a provider of the user's own, which remembers the credentials that reach it.
func provider(t *testing.T) (url string, seen func() string) {
	t.Helper()
	calls := make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls <- r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"ch_1","object":"charge","status":"succeeded"}`))
	}))
	t.Cleanup(s.Close)
	return s.URL, func() string {
		select {
		case c := <-calls:
			return c
		default:
			return "nothing"
		}
	}
}

// The user's own policy and providers: no simulated provider, no shopper, nothing of the sandbox on the pages. A file that did not change
// leaves what was changed by hand since; one that did wins.
func TestTheUsersOwnPolicy(t *testing.T) {
	t.Parallel()
	url, seen := provider(t)
	dir := patience.Dir(t)
	secret := filepath.Join(dir, "key")
	if err := os.WriteFile(secret, []byte("sk_of_the_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, filepath.Join(dir, "segue"))
	cfg.File, cfg.Rate = "p.yaml", 5
	cfg.Policy = []byte(strings.NewReplacer("URL", url, "SECRET", secret).Replace(own))
	d := live(t, cfg)
	steer(t, d, "local", policy.Weight{Provider: "one", Percent: 0}, policy.Weight{Provider: "two", Percent: 100})
	calls := 0
	eventually(t, "the file's key reaches the provider", func() bool {
		calls++
		if status, body := charge(t, d.Service("local", payments), fmt.Sprint("order-", calls)); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		return strings.Contains(seen(), "sk_of_the_file")
	})
	if d.Simulated() || d.load() != nil {
		t.Error("there is a sandbox")
	}
	_, page := get(t, "http://"+d.Addr()+"/", "text/html")
	for _, word := range []string{"twice", "--sandbox", "Kill a provider", "sk_of_the_file"} {
		if strings.Contains(page, word) {
			t.Errorf("the overview says %q", word)
		}
	}
	if status, _ := get(t, "http://"+d.Addr()+"/api/v1/sandbox/books", "application/json"); status != 404 {
		t.Errorf("the sandbox's books: %d", status)
	}
	end(t, d)
	again := live(t, cfg)
	has(t, current(t, again).Source, "{one: 0, two: 100}")
	end(t, again)
	cfg.Policy = append(cfg.Policy, "# changed\n"...)
	changed := live(t, cfg)
	has(t, current(t, changed).Source, "{one: 50, two: 50}")
	end(t, changed)
	cfg.Policy, cfg.File, cfg.Rate = nil, "", 0
	demo := live(t, cfg)
	defer end(t, demo)
	if !demo.Simulated() || demo.Policy().Provider(legacy) == nil {
		t.Error("without --policy the demo does not run")
	}
}
