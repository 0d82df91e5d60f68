package web

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"testing"
	"time"

	"segue/controlplane/state"
)

// TestDemo serves the pages with busy data, for people who look at them: SEGUE_WEB_DEMO=127.0.0.1:7070 go test -run TestDemo ./web
func TestDemo(t *testing.T) {
	addr := os.Getenv("SEGUE_WEB_DEMO")
	if addr == "" {
		t.Skip("SEGUE_WEB_DEMO does not say where to serve")
	}
	p := newPlane(time.Now)
	p.apply(t, state.Command{ApplyPolicy: &state.ApplyPolicy{Source: []byte(document)}, Reason: "the first policy"})
	p.apply(t, weight(20, 70, 10))
	began := time.Now()
	p.view = busy(began, p.st)
	if os.Getenv("SEGUE_WEB_DEMO_STATE") == "no-leader" {
		defer p.set(func(p *plane) {})
	}
	p.answers = agents(began)
	b := &box{now: time.Now, verdict: Verdict{Operations: 61204, Unknown: 1}, faults: []Fault{{ID: "f1", Name: "kill-provider", Provider: "main", Ends: began.Add(time.Hour)}}}
	w, err := New(Config{Control: p, Sandbox: b, Env: "dev", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.look()
	if os.Getenv("SEGUE_WEB_DEMO_STATE") == "no-leader" {
		p.set(func(p *plane) { p.leader = "" })
	} else {
		done := make(chan struct{})
		defer close(done)
		go keepYoung(p, began, done)
	}
	srv := &http.Server{Addr: addr, Handler: w.Handler(), ReadHeaderTimeout: time.Second}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	go func() { <-stop; _ = srv.Close() }()
	t.Log(srv.ListenAndServe())
}

// keepYoung moves the figures' clock, so that the pages do not call them old.
func keepYoung(p *plane, began time.Time, done chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case at := <-tick.C:
			p.set(func(p *plane) { p.view.World.At = at })
		case <-done:
			return
		}
	}
}
