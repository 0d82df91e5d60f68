package proxy

import (
	"strings"
	"testing"
	"time"

	"segue/dataplane/ledger"
)

func TestRouteHeader(t *testing.T) {
	hops := []hop{
		{provider: "stripe", outcome: ledger.NotSent, err: "connection_refused", elapsed: 3 * time.Millisecond},
		{provider: "2checkout", outcome: ledger.Succeeded, status: 200, elapsed: 184 * time.Millisecond},
		{provider: "x", outcome: ledger.Outcome(99), err: "a b\"\\\r\n", elapsed: time.Minute},
	}
	got := string(appendRoute(nil, hops))
	want := `stripe;attempt=1;outcome=not_sent;error=connection_refused;ms=3, "2checkout";attempt=2;outcome=succeeded;ms=184, x;attempt=3;outcome=unknown;error="a b";ms=60000`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecisionHeader(t *testing.T) {
	got := string(appendDecision(nil, "adyen", "eu-west", 412, "stripe open 14 s"))
	if want := `adyen;region=eu-west;policy=412;why="stripe open 14 s"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTimingHeader(t *testing.T) {
	hops := []hop{{provider: "adyen", elapsed: 184 * time.Millisecond}}
	if got, want := string(appendTiming(nil, timing{own: 400 * time.Microsecond, claim: 2100 * time.Microsecond}, hops)), "segue;dur=0.4, claim;dur=2.1, adyen;dur=184"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := string(appendTiming(nil, timing{own: -1}, nil)), "segue;dur=0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSessionIDsAreFresh(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		id := newSessionID()
		if len(id) != 24 || !strings.HasPrefix(id, "ses_") || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}

func TestDrawIsStable(t *testing.T) {
	if got := draw("ses_1"); got != draw("ses_1") || got == draw("ses_2") || draw("") != 14695981039346656037 {
		t.Errorf("got %d", got)
	}
}

// One exchange at a time has a key; who cannot have all its keys takes none.
func TestLiveSetHoldsAKeyOnce(t *testing.T) {
	var l live
	k, other, third := []ledger.Key{{App: "a", Service: "s", Key: "k"}}, ledger.Key{App: "b", Service: "s", Key: "k"}, ledger.Key{Key: "third"}
	if !l.enter(k) || l.enter(k) || !l.enter([]ledger.Key{other}) || l.enter([]ledger.Key{third, other}) || !l.enter([]ledger.Key{third}) {
		t.Error("enter")
	}
	l.leave(k)
	if !l.enter(k) {
		t.Error("left, and still there")
	}
}

func TestReasonsAreAClosedSet(t *testing.T) {
	for want, h := range map[string]hop{
		"connection_refused": {err: "connection_refused", status: 503}, "limited": {status: 429}, "server_error": {status: 503},
		"refused": {status: 401}, "no_answer": {},
	} {
		if got := reason(&h); got != want {
			t.Errorf("%+v: %s, want %s", h, got, want)
		}
	}
}
