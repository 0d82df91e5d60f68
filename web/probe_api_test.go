package web

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
)

// TestGather: a probe waits for agents that can still tell, and names everybody who did not.
func TestGather(t *testing.T) {
	at := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	answer := func(agent, region string, p query.Probed) Answer {
		body, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return Answer{Agent: agent, Region: region, Body: body}
	}
	good := query.Probed{Known: true, Done: true, Results: []query.Check{{Service: "payments", Word: "good", At: at, Elapsed: 1500 * time.Microsecond}}}
	for _, c := range []struct {
		name    string
		answers []Answer
		results int
		silent  string
		waiting bool
	}{
		{"all told", []Answer{answer("b", "us", good), answer("a", "eu", good)}, 2, "", false},
		{"nobody in us", []Answer{answer("a", "eu", good)}, 1, "us: no agent is attached", false},
		{"not yet", []Answer{answer("a", "eu", good), answer("b", "us", query.Probed{})}, 1, "b: the order has not come to it", true},
		{"not ended", []Answer{answer("a", "eu", good), answer("b", "us", query.Probed{Known: true})}, 1, "b: its check has not ended", true},
		{"no check", []Answer{answer("a", "eu", good), answer("b", "us", query.Probed{Known: true, Done: true})}, 1, "b: it runs no active check", false},
		{"an older agent", []Answer{answer("a", "eu", good), {Agent: "b", Region: "us", Err: "does not know the question"}}, 1, "b: does not know the question", false},
		{"nonsense", []Answer{answer("a", "eu", good), {Agent: "b", Region: "us", Body: []byte("{")}}, 1, "b: ", false},
		{"of another region", []Answer{answer("a", "eu", good), answer("b", "us", good), answer("c", "ap", good)}, 2, "", false},
	} {
		results, silent, waiting := gather(c.answers, []string{"us", "eu"})
		if len(results) != c.results || !strings.Contains(strings.Join(silent, "; "), c.silent) || (c.silent == "") != (len(silent) == 0) || waiting != c.waiting {
			t.Errorf("%s: %+v, %q, waiting %v", c.name, results, silent, waiting)
		}
		if len(results) > 0 && (results[0].Region != "eu" || results[0].ElapsedMS != 1.5) {
			t.Errorf("%s: %+v", c.name, results[0])
		}
	}
}
