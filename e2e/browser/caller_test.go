package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// The demo's regions, and how it shares new sessions out.
var (
	regions = []string{"us-east", "eu-west", "ap-south"}
	demo    = map[string]map[string]float64{
		"us-east": {"main": 70, "backup": 30, "legacy": 0}, "eu-west": {"main": 40, "backup": 50, "legacy": 10}, "ap-south": {"main": 60, "backup": 0, "legacy": 40},
	}
)

// told is the answer to a call.
type told struct {
	status int
	header http.Header
	body   []byte
}

func (a told) String() string {
	return fmt.Sprintf("%d (%s) %.400s", a.status, a.header.Get("Segue-Route"), a.body)
}

// client has no memory of its own: every test's calls use it.
var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

func send(method, address string, header map[string]string, body io.Reader) (told, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, address, body)
	if err != nil {
		return told{}, err
	}
	for name, value := range header {
		r.Header[name] = []string{value}
	}
	resp, err := client.Do(r)
	if err != nil {
		return told{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return told{resp.StatusCode, resp.Header, answer}, err
}

// again asks under the same key, as an application does, when it may be told so because the disk stood still: nobody serves then.
func again(ask func() (told, error)) (a told, err error) {
	began, tick := time.Now(), time.NewTicker(500*time.Millisecond)
	defer tick.Stop()
	for {
		at := time.Now()
		a, err = ask()
		unserved := err != nil || a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout
		if !unserved || time.Since(began) > time.Minute || !patience.Excuses(at) {
			return a, err
		}
		<-tick.C
	}
}

// charge makes a call as an application does: one order, under its own key, in a session.
func (h *house) charge(region, order, key, session string) (told, error) {
	form := url.Values{"amount": {"1290"}, "currency": {"eur"}, "source": {"tok_visa"}, "metadata[order]": {order}}
	return send(http.MethodPost, "http://"+h.dev.Service(region, "payments")+"/v1/charges", map[string]string{
		"Authorization": "Bearer sk_test_application", "Content-Type": "application/x-www-form-urlencoded", "idempotency-key": key, "Session-Id": session,
	}, strings.NewReader(form.Encode()))
}

// mustCharge wants the charge to succeed.
func (h *house) mustCharge(t testing.TB, region, order string) told {
	t.Helper()
	a, err := again(func() (told, error) { return h.charge(region, order, order, "ses-"+order) })
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %v %v", order, a, err)
	}
	return a
}

var requests atomic.Int64

// api asks the control plane as the command line does.
func (h *house) api(t testing.TB, method, path string, body any) told {
	t.Helper()
	return h.apiFor(t, method, path, "the browser tests", body)
}

func (h *house) apiFor(t testing.TB, method, path, reason string, body any) told {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("browser-%d-%d", time.Now().UnixNano(), requests.Add(1))
	a, err := again(func() (told, error) {
		return send(method, "http://"+h.dev.Addr()+"/api/v1"+path, map[string]string{
			"Content-Type": "application/json", "Segue-Actor": "browser", "Segue-Reason": reason, "Idempotency-Key": key,
		}, bytes.NewReader(raw))
	})
	if err != nil || a.status/100 != 2 {
		t.Fatalf("%s %s: %v %v", method, path, a, err)
	}
	return a
}

func (a told) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// weights puts one region's in force, and waits until its agent has them.
func (h *house) weights(t testing.TB, region string, shares map[string]float64) {
	t.Helper()
	h.api(t, http.MethodPatch, "/services/payments/weights/"+region, shares)
	h.inForce(t)
}

// restore puts the demo's weights back where they differ.
func (h *house) restore(t testing.TB) {
	t.Helper()
	for _, region := range regions {
		h.api(t, http.MethodPatch, "/services/payments/weights/"+region, demo[region])
	}
	h.inForce(t)
}

func (h *house) inForce(t testing.TB) {
	t.Helper()
	eventually(t, within, "every region has the newest policy", func() error {
		var list []struct {
			Name    string
			InForce bool `json:"in_force"`
			Why     string
		}
		h.api(t, http.MethodGet, "/regions", nil).decode(t, &list)
		for _, r := range list {
			if !r.InForce {
				return fmt.Errorf("%s: %s", r.Name, r.Why)
			}
		}
		return nil
	})
}

// executed are the charges that a provider's own books hold since a moment, for orders of that prefix.
func (h *house) executed(t testing.TB, provider, prefix string, since time.Time) []sandbox.Entry {
	t.Helper()
	a, err := send(http.MethodGet, fmt.Sprintf("http://%s/providers/%s/_books?limit=100000&since=%s", h.dev.BooksAddr(), provider, url.QueryEscape(since.UTC().Format(time.RFC3339Nano))), nil, nil)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("the books of %s: %v %v", provider, a, err)
	}
	var books struct{ Entries []sandbox.Entry }
	a.decode(t, &books)
	var list []sandbox.Entry
	for _, e := range books.Entries {
		if strings.HasPrefix(e.Order, prefix) {
			list = append(list, e)
		}
	}
	return list
}

// breaks sets a real fault; the test's end ends it, if nobody did before.
func (h *house) breaks(t testing.TB, fault, provider string) (stop func()) {
	t.Helper()
	var f struct{ ID string }
	h.api(t, http.MethodPost, "/sandbox/faults", map[string]string{"fault": fault, "provider": provider, "for": "1h"}).decode(t, &f)
	stop = func() { h.unbreak(f.ID) }
	t.Cleanup(stop)
	return stop
}

// unbreak ends a fault; one that has ended is no error.
func (h *house) unbreak(id string) {
	a, err := send(http.MethodDelete, "http://"+h.dev.Addr()+"/api/v1/sandbox/faults/"+id, map[string]string{"Segue-Reason": "the test ends"}, nil)
	_, _ = a, err // the next test sees a house that is not well, and says so
}

// well waits until a leader has fresh figures and every provider is healthy everywhere: where a test starts from, and what it leaves.
func (h *house) well(t testing.TB) {
	t.Helper()
	eventually(t, 3*time.Minute, "every provider is well", func() error {
		var cluster struct {
			Leader string
			Status struct{ AgeMS int64 }
		}
		h.api(t, http.MethodGet, "/cluster", nil).decode(t, &cluster)
		if cluster.Leader == "" || cluster.Status.AgeMS > 3000 {
			return fmt.Errorf("leader %q, figures %d ms old", cluster.Leader, cluster.Status.AgeMS)
		}
		a, err := send(http.MethodGet, "http://"+h.dev.Addr()+"/api/v1/health", nil, nil)
		if err != nil || a.status != http.StatusOK {
			return fmt.Errorf("%v %v", a, err)
		}
		var world struct {
			Cells []struct{ Region, Service, Provider, Breaker string }
		}
		a.decode(t, &world)
		if len(world.Cells) < len(regions)*2 {
			return fmt.Errorf("only %d cells are known", len(world.Cells))
		}
		for _, c := range world.Cells {
			// Who is chosen by worth, and was slow, is asked again by a call that would go there: there may be none.
			if c.Service != "chat" && c.Breaker != "closed" && c.Breaker != "" {
				return fmt.Errorf("%s is %s in %s", c.Provider, c.Breaker, c.Region)
			}
		}
		return nil
	})
}

// unknown makes a charge whose reply is lost at the provider that ignores keys, and returns its transaction.
func (h *house) unknown(t testing.TB, label string) string {
	t.Helper()
	stop := h.breaks(t, "lost-reply", "legacy")
	defer stop()
	for i := range 200 {
		order := fmt.Sprintf("%s-%d-%d", label, time.Now().UnixNano(), i)
		a, err := h.charge("ap-south", order, order, "ses-"+order)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(a.body, []byte("/problems/outcome-unknown")) {
			return a.header.Get("Segue-Transaction")
		}
	}
	t.Fatal("of 200 new sessions none met legacy")
	return ""
}

// transactions are the newest.
func (h *house) transactions(t testing.TB, wish string) []query.Transaction {
	t.Helper()
	return transactionsOf(t, h.api(t, http.MethodGet, "/transactions?"+wish, nil))
}

func transactionsOf(t testing.TB, a told) []query.Transaction {
	t.Helper()
	var got struct{ Transactions []query.Transaction }
	a.decode(t, &got)
	return got.Transactions
}
