package dev

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// claimed are the ports that some test of this run took: tests run side by side.
var (
	claims  sync.Mutex
	claimed = map[int]bool{}
)

// offset moves all ports to where nothing listens.
func offset(t testing.TB) int {
	t.Helper()
	claims.Lock()
	defer claims.Unlock()
	for range 500 {
		n := 1000 + rand.IntN(20000)
		ports := append(span(7070+n, 30), span(7600+n, 30)...)
		for region := range 3 {
			ports = append(ports, span(7101+100*region+n, 3)...)
		}
		if slices.ContainsFunc(ports, func(p int) bool { return claimed[p] || !free(p, 1) }) {
			continue
		}
		for _, p := range ports {
			claimed[p] = true
		}
		return n
	}
	t.Fatal("no free ports")
	return 0
}

func span(first, count int) (ports []int) {
	for p := first; p < first+count; p++ {
		ports = append(ports, p)
	}
	return ports
}

func free(port, count int) bool {
	for _, p := range span(port, count) {
		l, err := net.Listen("tcp", loopback(p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func config(t testing.TB, dir string) Config {
	return Config{
		Dir: dir, Ports: DefaultPorts(offset(t)), Seed: 7,
		Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Errorf("cannot go on: %v", err) },
	}
}

// live starts one life and ends it with the test, if the test does not.
func live(t testing.TB, cfg Config) *Dev {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	return d
}

func end(t testing.TB, d *Dev) {
	t.Helper()
	if err := d.Stop(within(t)); err != nil {
		var where bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&where, 1)
		t.Errorf("stop: %v\n%s", err, &where)
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); <-time.NewTimer(5 * time.Millisecond).C {
		if is() {
			return
		}
	}
	t.Fatal("never happened: " + what)
}

// charge makes one call through an agent and returns its status, its body and who answered.
func charge(t testing.TB, addr, key string) (status int, body string) {
	t.Helper()
	form := url.Values{"amount": {"1290"}, "currency": {"eur"}, "source": {"tok_visa"}}
	r, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+addr+"/v1/charges", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Authorization", "Bearer sk_of_the_application")
	return send(t, r)
}

func get(t testing.TB, url, accept string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	return send(t, r)
}

func send(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

// steer sets weights as an operator does.
func steer(t testing.TB, d *Dev, region string, weights ...policy.Weight) {
	t.Helper()
	_, err := d.nodes.Propose(within(t), state.Command{
		Request: fmt.Sprint("steer-", rand.Uint64()), Actor: "ann", Reason: "fees", At: time.Now(),
		SetWeights: &state.SetWeights{Service: payments, Region: region, Weights: weights},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func current(t testing.TB, d *Dev) state.Revision {
	t.Helper()
	st, err := d.nodes.Read(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return st.Current()
}

func has(t testing.TB, source []byte, want string) {
	t.Helper()
	if !bytes.Contains(source, []byte(want)) {
		t.Errorf("the policy in force does not say %q:\n%s", want, source)
	}
}
