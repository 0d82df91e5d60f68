package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestTxVerifyAllCommand asks a real control node that no agent is attached to; each mistake is told before anything is asked.
func TestTxVerifyAllCommand(t *testing.T) {
	api := control(t)
	segue(t, api, document, "policy", "apply", "-", "--reason", "the first").want(t, 0)
	segue(t, api, "", "tx", "verify", "--all", "--dry-run").want(t, 75, "nothing is open of what is meant", "no agent is connected")
	segue(t, api, "", "tx", "verify", "--all", "--dry-run", "-o", "json").want(t, 75).parses(t, "json")
	segue(t, api, "", "tx", "verify", "--all", "--provider", "main", "--older-than", "10m", "--reason", "main is back").want(t, 75, "no agent is connected")
	happened(t, api, "verification of open transactions at main older than 10m, at most 500 of each agent")
	segue(t, api, "", "tx", "verify", "--all", "--provider", "mian").want(t, 1, "did you mean main?")
	for _, bad := range [][]string{{}, {"tx_1", "--all"}, {"--all", "--state", "hold"}, {"--all", "--limit", "0"}, {"--all", "--older-than", "-1s"}, {"tx_1", "--provider", "main"}, {"tx_1", "--dry-run"}, {"a", "b"}} {
		segue(t, api, "", append([]string{"tx", "verify"}, bad...)...).want(t, 64)
	}
}

// TestTxVerifyAllFollows: the command gives one order, asks how far it is until all is done, and sums up.
func TestTxVerifyAllFollows(t *testing.T) {
	row := func(id, result, why string) string {
		return fmt.Sprintf(`{"transaction":%q,"service":"payments","operation":"charge","provider":"main","agent":"a","state":"held","created":"2026-11-21T14:02:31Z","result":%q,"why":%q}`, id, result, why)
	}
	var orders, asked atomic.Int32
	last := `"open":1,"closed":1,"transactions":[` + row("tx_1", "closed", "Charged once, at main.") + "," + row("tx_2", "open", "the lookup had no answer") + `]`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && r.URL.Path == "/api/v1/transactions/verify" && r.Header.Get("Segue-Reason") == "main is back":
			orders.Add(1)
			fmt.Fprint(w, `{"order":"o_1","done":false,"transactions":[],"silent":[]}`)
		case r.URL.Path == "/api/v1/transactions/verify/o_1" && asked.Add(1) < 3:
			fmt.Fprint(w, `{"order":"o_1","done":false,"found":2,"waiting":2,"transactions":[`+row("tx_1", "waiting", "")+","+row("tx_2", "waiting", "")+`],"silent":[]}`)
		case r.URL.Path == "/api/v1/transactions/verify/o_1":
			fmt.Fprint(w, `{"order":"o_1","done":true,"found":2,`+last+`,"silent":[]}`)
		default:
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer server.Close()
	segue(t, server.URL, "", "tx", "verify", "--all", "--reason", "main is back").want(t, 75, "Charged once, at main.", "the lookup had no answer", "1 of 2 outcomes are known now, 1 still unknown, 0 not asked", "1 outcome still not known")
	if orders.Load() != 1 || asked.Load() != 3 {
		t.Errorf("%d orders, asked %d times", orders.Load(), asked.Load())
	}
}

// TestTxVerifiedVerdict: the exit code says whether all is known, and whether all told.
func TestTxVerifiedVerdict(t *testing.T) {
	closed, open := txVerifiedOne{Result: "closed"}, txVerifiedOne{Result: "open"}
	for _, c := range []struct {
		name string
		done txVerified
		dry  bool
		code int
	}{
		{"nothing was open", txVerified{}, false, 0},
		{"all are known", txVerified{Transactions: []txVerifiedOne{closed}}, false, 0},
		{"one is not", txVerified{Transactions: []txVerifiedOne{closed, open}}, false, 75},
		{"a limit left some out", txVerified{Transactions: []txVerifiedOne{closed}, Left: 1}, false, 75},
		{"a dry run", txVerified{Transactions: []txVerifiedOne{{Result: "waiting"}}}, true, 0},
		{"an agent was silent", txVerified{Transactions: []txVerifiedOne{closed}, Silent: []string{"a: no answer"}}, false, 75},
	} {
		err := c.done.verdict(c.dry)
		if got := exitCode(err); (err != nil || c.code != 0) && got != c.code {
			t.Errorf("%s: exit %d, want %d", c.name, got, c.code)
		}
	}
}
