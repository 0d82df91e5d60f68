package dataplane

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// nearby gives main, alone, an endpoint before its own, and a contract whose keys are known as far as scope says.
func nearby(near, scope string) option {
	return func(c *worldConfig) {
		c.priority = "main"
		c.document = func(doc string) string {
			own := regexp.MustCompile(`main: \{contract: stripe/v1, endpoint: ("[^"]*")`)
			doc = own.ReplaceAllString(doc, fmt.Sprintf(`main: {contract: regional/v1, endpoint: [%q, $1]`, near))
			return doc + fmt.Sprintf("  regional/v1:\n    like: stripe/v1\n    keys: {enforced: true, scope: %s, life: 24h, in_use: 409, replay: all}\n", scope)
		}
	}
}

// TestTheNextEndpointTakesOver: the nearest endpoint of the only provider is dead, and calls go on at the next one.
func TestTheNextEndpointTakesOver(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	for _, scope := range []string{"account", "endpoint"} {
		w := newWorld(t, nearby(dead.URL, scope))
		for i := range 10 {
			order := fmt.Sprint(scope, i)
			a := w.charge("k"+order, order)
			w.steeredTo(t, "main", a)
			if n := w.executed(order); n != 1 {
				t.Errorf("%s was executed %d times", order, n)
			}
			row := w.row("k" + order)
			if got := row.Attempts[len(row.Attempts)-1].Endpoint; got != w.url("main") {
				t.Errorf("%s: the row says that it was sent to %s", order, got)
			}
			told := ""
			for _, m := range w.why(row.ID).Timeline {
				told += m.Text + "\n"
			}
			if !strings.Contains(told, ", at "+w.url("main")) {
				t.Errorf("%s: the timeline does not say where it was sent: %s", order, told)
			}
			if passed := w.agent.Report().Rows[0].Passed; len(passed) != 1 || !strings.Contains(passed[0], dead.URL+" is passed over") {
				t.Errorf("%s: the report says %q", order, passed)
			}
			if sent := len(row.Attempts); sent > 1 && (scope == "account" || i > 0) {
				t.Errorf("%s took %d attempts", order, sent)
			}
		}
	}
}

// TestOnceAtTwoEndpoints: the nearest endpoint executes and loses its answer. Where keys are shared the call is sent again to the next one
// with the same key, and is told what happened; where they are not, it is never sent there.
func TestOnceAtTwoEndpoints(t *testing.T) {
	for _, tc := range []struct {
		scope  string
		status int
	}{{"account", 200}, {"endpoint", 504}} {
		var own atomic.Value
		own.Store("")
		near := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			to, err := http.NewRequest(r.Method, own.Load().(string)+r.URL.RequestURI(), bytes.NewReader(body))
			if err == nil {
				to.Header = r.Header.Clone()
				if a, err := http.DefaultClient.Do(to); err == nil {
					_ = a.Body.Close()
				}
			}
			panic(http.ErrAbortHandler)
		}))
		w := newWorld(t, nearby(near.URL, tc.scope))
		own.Store(w.url("main"))
		a := w.charge("k1", "o1")
		if a.status != tc.status {
			t.Errorf("keys per %s: %d %s", tc.scope, a.status, a.body)
		}
		if n := w.executed("o1"); n != 1 {
			t.Errorf("keys per %s: executed %d times", tc.scope, n)
		}
		if at := w.row("k1").Attempts[0].Endpoint; tc.scope == "endpoint" && at != near.URL || tc.scope == "account" && at != w.url("main") {
			t.Errorf("keys per %s: the row says %s", tc.scope, at)
		}
		if tc.scope == "endpoint" && !strings.Contains(string(a.body), "outcome-unknown") {
			t.Errorf("%s", a.body)
		}
		near.Close()
	}
}
