package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/controlplane/state"
)

// wants checks that a page says things, and does not say others.
func wants(t *testing.T, page string, texts ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(page), " ")
	for _, text := range texts {
		if not, found := strings.CutPrefix(text, "!"); found {
			if strings.Contains(flat, not) {
				t.Errorf("the page says %q", not)
			}
		} else if !strings.Contains(flat, text) {
			t.Errorf("the page does not say %q:\n%.3000s", text, flat)
		}
	}
}

func TestOverviewOfABusyDay(t *testing.T) {
	page := newSite(t, options{}).get("/", 200)
	wants(t, page,
		"All calls are served.", `<span class="is-bad">main</span>`, "is open in eu-west since 14:02:24.",
		"leader <b>c2</b>", "term 7", "3 of 3 regions", "data <b>0.0 s</b> old",
		"without failover", "oldest 4.0 s", "<b>0</b> twice", "<b>0</b> lost", "61,204 operations", "unknown, not repeated on a guess",
		"fallback only", "3 failures in a row", "2. in order", "main opened: 3 failures in a row", `href="/transactions/tx_01J9W2K7QJ"`,
		"Kill a provider", "segue drill run kill-provider --provider main --for 30s --sandbox", "stop-control",
		"!data-frozen", "!<style", "!style=", "!onclick", "!SECRET_NAME_OF")
}

func TestOverviewBeforeAnythingIsThere(t *testing.T) {
	page := newSite(t, options{empty: true}).get("/", 200)
	wants(t, page, "No policy is in force yet.", "segue policy apply p.yaml", "Nothing yet.")
	page = newSite(t, options{quiet: true}).get("/", 200)
	wants(t, page, "No calls in the last minute.", "no agent is heard", "0 of 3 regions", "not heard")
}

func TestOverviewWithoutALeader(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) { p.leader, p.down = "", true })
	for _, path := range []string{"/", "/routing/payments", "/transactions"} {
		wants(t, s.get(path, 200), "no leader", "data-frozen", "agents go on with policy 1")
	}
	wants(t, s.get("/", 200), "!<fieldset data-steers") // the sandbox needs no leader
	wants(t, s.get("/routing/payments", 200), "<fieldset data-steers disabled>")
}

// TestWhatIsKnownIsNotForgotten: a node that has just started again has no State yet; pages go on with what they had.
func TestWhatIsKnownIsNotForgotten(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) { p.leader, p.st = "", state.New("") })
	wants(t, s.get("/routing/payments", 200), "agents go on with policy 1")
	wants(t, s.get("/", 200), "!No policy is in force yet")
	other, _ := state.New("").Apply(state.Command{Version: 1, Request: "r", Actor: "c1", Reason: "restored", At: s.now, Init: &state.Init{Incarnation: "other"}}, 1)
	s.web.watch.mu.Lock()
	known := s.web.watch.state
	s.web.watch.mu.Unlock()
	if got := newer(known, other); got != other {
		t.Error("a cluster that was restored from elsewhere is not shown")
	}
}

func TestFiguresThatAreOldDisableWhatSteers(t *testing.T) {
	s := newSite(t, options{})
	s.now = s.now.Add(6 * time.Second)
	wants(t, s.get("/routing/payments", 200), `class="status-item is-warn" id="age"`, "!data-frozen")
	s.now = s.now.Add(10 * time.Second)
	wants(t, s.get("/routing/payments", 200), `class="status-item is-bad" id="age"`, "These figures are 16 s old", "<fieldset data-steers disabled>")
}

func TestHeadlineNamesTheWorstFirst(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) {
		for i := range p.view.World.Cells {
			c := &p.view.World.Cells[i]
			if c.Provider == "backup" && c.Region == "us-east" {
				c.Breaker, c.Probes, c.Since = "half-open", "2 of 5", s.now.Add(-time.Minute)
			}
		}
		p.view.World.Total.After = 93.5
	})
	s.web.look()
	wants(t, s.get("/", 200), `<span class="is-bad">93.5 %</span>`, "of calls are served.", `<span class="is-bad">main</span>`, "backup is half-open in us-east, after it opened at 14:01:31.", "2 of 5 probes good")
	s.plane.set(func(p *plane) {
		for i := range p.view.World.Cells {
			if c := &p.view.World.Cells[i]; c.Breaker == "half-open" {
				c.Breaker, c.Probes, c.Why = "ramp", "", "its probes succeeded"
			}
		}
	})
	s.web.look()
	wants(t, s.get("/", 200), "backup is on a ramp in us-east, in trouble since 14:01:31.", "its probes succeeded", "in trouble since 14:01:31")
}

func TestBooksThatCannotBeRead(t *testing.T) {
	s := newSite(t, options{})
	s.box.err = errors.New("the book is closed")
	wants(t, s.get("/", 200), "could not be read: the book is closed", "!<b>0</b> twice")
	s.box.err, s.box.verdict = nil, Verdict{Twice: 2, Operations: 9}
	wants(t, s.get("/", 200), `<span class="is-bad"><b>2</b> twice</span>`)
	wants(t, newSite(t, options{noSandbox: true}).get("/", 200), "!counted from", "Each is a drill", "!--sandbox")
}

func TestOnlyWhatIsBuiltIsInTheNavigation(t *testing.T) {
	s := newSite(t, options{})
	page := s.get("/", 200)
	nav := page[strings.Index(page, `<nav class="side"`):]
	nav = nav[:strings.Index(nav, "</nav>")]
	links := strings.Split(nav, `href="`)[1:]
	if len(links) != 11 {
		t.Fatalf("%d links: %s", len(links), nav)
	}
	for _, l := range links {
		path, _, _ := strings.Cut(l, `"`)
		if code := s.ask(http.MethodGet, path, "").Code; code >= 400 {
			t.Errorf("%s is a dead link: %d", path, code)
		}
	}
}

func TestOneHandlerTwoFormats(t *testing.T) {
	s := newSite(t, options{})
	for path, member := range map[string]string{"/": "world", "/routing/payments": "service", "/transactions": "transactions", "/transactions/tx_01J9W2K7QJ": "Sentence", "/sessions": "agents"} {
		var value map[string]json.RawMessage
		s.json(http.MethodGet, path, "", 200, &value)
		if len(value[member]) < 3 {
			t.Errorf("%s as JSON has no %s: %v", path, member, value)
		}
		if page := s.get(path, 200, "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"); !strings.Contains(page, "<!doctype html>") {
			t.Errorf("%s is no page", path)
		}
	}
}

func TestTransactionsList(t *testing.T) {
	s := newSite(t, options{})
	page := s.get("/transactions", 200)
	wants(t, page, "2 of 3 agents answered. ap-south-1: no answer within 3 s.", "1 outcome here is unknown.", "not repeated on a guess",
		"tx_01J9W2K7QJ", "order-88121", "ch_8836aa41", "not executed", "under way")
	if n := strings.Count(page, `href="/transactions/tx_01J9W2K7QJ"`); n != 1 {
		t.Errorf("a transaction that two agents know is there %d times", n)
	}
	wants(t, s.get("/transactions?state=held&service=payments", 200), "segue tx list --service payments --state held", "tx_01J9W2K7QH", "!tx_01J9W2K7QJ")
	wants(t, s.get("/transactions?q=nothing", 200), "Nothing matches.")
	wants(t, s.get("/transactions?state=lost", 422), "is unknown; there are intent, held")
	s.get("/transactions?limit=501", 422)
	wants(t, newSite(t, options{quiet: true}).get("/transactions", 200), "No agent is connected")
}

func TestSearchByAnyId(t *testing.T) {
	s := newSite(t, options{})
	for _, q := range []string{"order-88121", "ch_8836aa41"} {
		wants(t, s.get("/transactions?q="+q, 200), "tx_01J9W2K7QJ", "!tx_01J9W2K7QH", "segue tx list --key "+q)
	}
	rec := s.ask(http.MethodGet, "/transactions?q=tx_01J9W2K7QJ", "")
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/transactions/tx_01J9W2K7QJ" {
		t.Errorf("our own id leads to %d %s", rec.Code, rec.Header().Get("Location"))
	}
}

func TestOneTransaction(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/transactions/tx_01J9W2K7QJ", 200), "Charged once, at backup, after main refused the connection.", "segue tx why tx_01J9W2K7QJ",
		"connection_refused · 3.0 ms", "+0.1 ms", "this call was there already", `<tr class="chosen">`, "0.731", "order-8812…", "!env:")
	wants(t, s.get("/transactions/tx_01J9W2K7QH", 200), "it is not repeated on a guess")
	wants(t, s.get("/transactions/tx_nobody", 404), "No agent has a transaction &#34;tx_nobody&#34;.")
	s.plane.set(func(p *plane) {
		p.answers = func(query.Question) []Answer { return []Answer{{Agent: "a", Err: "cut off"}} }
	})
	wants(t, s.get("/transactions/tx_nobody", 404), "0 of 1 agents answered. a: cut off.")
}

func TestTimesFollowTheReader(t *testing.T) {
	s := newSite(t, options{})
	page := s.get("/", 200, "Cookie", "zone=Europe%2FBerlin; theme=dark")
	wants(t, page, `data-theme="dark"`, "since 15:02:24", ">local</button>")
	wants(t, s.get("/", 200, "Cookie", "zone=..%2F..%2Fetc%2Fpasswd; theme=pink"), `data-theme=""`, "since 14:02:24")
}

func TestProblemPage(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/routing/none", 404), "There is no service &#34;none&#34;.", "Not found", `href="/"`)
	wants(t, s.get("/nowhere", 404), "There is nothing under this address.")
	s.plane.set(func(p *plane) { p.st = state.New("test") })
	wants(t, s.get("/routing", 200), "No policy is in force yet.")
}
