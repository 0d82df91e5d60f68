package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// naiveState is what the API says of the naive client.
type naiveState struct {
	On             bool
	Charges, Twice int
}

func (w *world) naive(method string) naiveState {
	w.t.Helper()
	a := w.api(0, method, "/sandbox/naive", "", "", nil)
	var n naiveState
	if err := json.Unmarshal(a.body, &n); err != nil || a.status != http.StatusOK {
		w.t.Fatalf("%s naive: %v", method, a)
	}
	return n
}

// TestNaiveRetry loses replies after the charge under the load of Segue's callers and beside a naive client: by the providers' own books the
// naive client charges twice, and nothing that went through Segue was executed twice or lost.
func TestNaiveRetry(t *testing.T) {
	offset := devOffset(t)
	p := newProcess(t, t.TempDir(), "dev", "dev", "--rate", "20", "--port-offset", fmt.Sprint(offset), "--seed", fmt.Sprint(seed(t)))
	w := &world{t: t, ports: ports{api: []string{fmt.Sprintf("127.0.0.1:%d", 7070+offset)}}}
	p.start()
	eventually(t, 30*time.Second, "it is up", func() error { return wants(http.StatusOK, "http://"+w.ports.api[0]+"/api/v1/sandbox/naive") })
	if n := w.naive(http.MethodGet); n.On || n.Charges != 0 {
		t.Errorf("before it was switched on: %+v", n)
	}
	eventually(t, 30*time.Second, "the shopper shops", func() error { return w.wentWell(200) })
	if n := w.naive(http.MethodPost); !n.On {
		t.Errorf("switched on: %+v", n)
	}
	w.operation(http.MethodPost, "/sandbox/faults", map[string]string{"fault": "lost-reply", "provider": mainProvider, "for": "5m"})
	eventually(t, 60*time.Second, "the naive client charges twice", func() error {
		if n := w.naive(http.MethodGet); n.Twice < 20 {
			return fmt.Errorf("%+v", n)
		}
		return w.wentWell(500)
	})
	off := w.naive(http.MethodDelete)
	<-time.NewTimer(2 * time.Second).C // in which it would have charged forty times
	if err := w.wentWell(500); err != nil {
		t.Error(err)
	}
	if n := w.naive(http.MethodGet); off.On || n.On || n.Charges != off.Charges {
		t.Errorf("switched off: %+v, later: %+v", off, n)
	}
	t.Logf("naive: %d of %d charges twice; through Segue 0 twice, 0 lost", off.Twice, off.Charges)
	p.signal(syscall.SIGTERM)
	if code := p.await(25 * time.Second); code != 0 {
		t.Errorf("segue dev ended with %d", code)
	}
}

// wentWell wants so many operations through Segue, and none of them twice or lost.
func (w *world) wentWell(operations int) error {
	w.t.Helper()
	a := w.api(0, http.MethodGet, "/sandbox/books", "", "", nil)
	var v struct{ Operations, Twice, Lost, Guessed int }
	if err := json.Unmarshal(a.body, &v); err != nil || a.status != http.StatusOK {
		return errors.New(a.String())
	}
	if v.Twice+v.Lost+v.Guessed > 0 {
		w.t.Fatalf("through Segue: %+v", v)
	}
	if v.Operations < operations {
		return fmt.Errorf("%d operations so far", v.Operations)
	}
	return nil
}
