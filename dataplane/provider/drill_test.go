package provider

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
)

func order(id string, fault policy.Fault) policy.Order {
	return policy.Order{ID: id, Kind: policy.Drill, Provider: "main", Fault: fault, At: time.Now(), For: time.Minute}
}

// TestFaults: each fault looks to the caller as the real one does, and sends what it says.
func TestFaults(t *testing.T) {
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool { say(c, fine); return true })
	for _, x := range []struct {
		fault    policy.Fault
		outcome  ledger.Outcome
		class    health.Class
		token    string
		status   int
		executed int64
	}{
		{policy.Fault{Kind: policy.FaultRefuse}, ledger.NotSent, health.Failure, "connection_refused", 0, 0},
		{policy.Fault{Kind: policy.FaultStatus, Status: 503}, ledger.Unknown, health.Failure, "", 503, 0},
		{policy.Fault{Kind: policy.FaultStatus, Status: 429}, ledger.NotSent, health.Limited, "", 429, 0},
		{policy.Fault{Kind: policy.FaultHang}, ledger.Unknown, health.Failure, "http_response_timeout", 0, 0},
		{policy.Fault{Kind: policy.FaultLostReply}, ledger.Unknown, health.Failure, "http_response_incomplete", 0, 1},
		{policy.Fault{Kind: policy.FaultSlow, Delay: 20 * time.Millisecond}, ledger.Succeeded, health.OK, "", 200, 1},
		{policy.Fault{Kind: policy.FaultSlow, Delay: time.Hour}, ledger.Unknown, health.Failure, "http_response_timeout", 0, 1},
	} {
		w := newWorld(t, nil)
		x.fault.Share = 1
		w.Drills([]policy.Order{order("d1", x.fault)})
		call, to, before := post(s.url, "amount=100"), &taker{}, s.executed.Load()
		call.PerTry = 200 * time.Millisecond
		r := w.Send(t.Context(), call, to)
		if r.Outcome != x.outcome || r.Sample.Class != x.class || r.Error != x.token || to.status != x.status || s.executed.Load()-before != x.executed {
			t.Errorf("%+v: %+v, passed %d, executed %d", x.fault, r, to.status, s.executed.Load()-before)
		}
		if x.fault.Delay == 20*time.Millisecond && r.Sample.Latency < x.fault.Delay {
			t.Errorf("slow by %v, measured %v", x.fault.Delay, r.Sample.Latency)
		}
	}
}

// TestDrillScope: a drill hits its provider in its regions, nobody else, and ends when its order is gone.
func TestDrillScope(t *testing.T) {
	now := time.Now()
	refuse := policy.Fault{Kind: policy.FaultRefuse, Share: 1}
	d := drills{region: "eu-west"}
	hits := func(provider string, orders ...policy.Order) bool {
		d.set(orders, now)
		return d.draw(provider, now).Kind == policy.FaultRefuse
	}
	here, elsewhere, drain := order("a", refuse), order("b", refuse), order("c", refuse)
	here.Regions, elsewhere.Regions, drain.Kind = []string{"us-east", "eu-west"}, []string{"us-east"}, policy.Drain
	if !hits("main", here) || hits("other", here) || hits("main", elsewhere) || hits("main", drain) || !hits("main", drain, elsewhere, here) || hits("main") {
		t.Fatal("a drill hit whom it should not, or not whom it should")
	}
}

// TestDrillEnds: a drill ends by this process's clock after what was left of it when it came; that it comes again does not make it longer.
func TestDrillEnds(t *testing.T) {
	start := time.Now()
	o := order("a", policy.Fault{Kind: policy.FaultRefuse, Share: 1})
	for name, x := range map[string]struct {
		at   time.Duration // the order's start, on our clock
		last time.Duration // when it still hits
	}{
		"just begun":          {0, 59 * time.Second},
		"half over":           {-30 * time.Second, 29 * time.Second},
		"our clock is behind": {time.Hour, 59 * time.Second},
		"over before it came": {-time.Hour, -time.Second},
	} {
		d := drills{}
		o.At = start.Add(x.at)
		for at := time.Duration(0); at <= 2*time.Minute; at += time.Second {
			d.set([]policy.Order{o}, start.Add(at))
			if hit := d.draw("main", start.Add(at)).Kind != ""; hit != (at <= x.last) {
				t.Fatalf("%s: after %v hit is %t", name, at, hit)
			}
		}
	}
}

// TestDrillShare: a drill hits its share of the calls, and the same ones with the same seed.
func TestDrillShare(t *testing.T) {
	const seed, n = 42, 10_000
	hits := func(seed uint64) (list []bool, count int) {
		d := drills{seed: seed}
		d.set([]policy.Order{order("a", policy.Fault{Kind: policy.FaultRefuse, Share: 0.3})}, time.Now())
		for range n {
			hit := d.draw("main", time.Now()).Kind != ""
			list = append(list, hit)
			if hit {
				count++
			}
		}
		return list, count
	}
	first, count := hits(seed)
	again, _ := hits(seed)
	other, _ := hits(seed + 1)
	if count < 2850 || count > 3150 { // 3.3 sigma
		t.Errorf("seed %d: %d of %d", seed, count, n)
	}
	same := 0
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("seed %d: call %d differs", seed, i)
		}
		if first[i] == other[i] {
			same++
		}
	}
	if same == n {
		t.Error("another seed hits the same calls")
	}
}

// TestDrillLimit: more drills than are allowed are ignored, with a word.
func TestDrillLimit(t *testing.T) {
	w := newWorld(t, nil)
	var orders []policy.Order
	for i := range maxDrills + 5 {
		orders = append(orders, order(string(rune('A'+i)), policy.Fault{Kind: policy.FaultRefuse, Share: 1}))
	}
	w.Drills(orders)
	if n := len(*w.drills.active.Load()); n != maxDrills {
		t.Errorf("%d in force", n)
	}
	if w.log.String() == "" {
		t.Error("nobody was told")
	}
}

// TestCheck: an active check is good at 2xx and 3xx, carries the provider's credential, and sees drills.
func TestCheck(t *testing.T) {
	var status int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+ownSecret || r.URL.String() != "/v1/balance?deep=1" || r.Method != "GET" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(status)
	}))
	defer s.Close()
	w := newWorld(t, func(c *Config) { c.Env = func(string) (string, bool) { return ownSecret, true } })
	defer w.Close()
	p := candidate(s.URL)
	if got := w.Check(t.Context(), p, policy.Check{Kind: "udp"}); got.Good || got.Err == nil {
		t.Errorf("a check of no kind: %+v", got)
	}
	p.Credential = policy.Credential{Kind: "env", Ref: "K"}
	check := policy.Check{Method: "GET", Path: "/v1/balance?deep=1"}
	for _, x := range []struct {
		status int
		good   bool
		after  time.Duration
	}{{200, true, 0}, {304, true, 0}, {401, false, 0}, {429, false, 3 * time.Second}, {500, false, 0}} {
		status = x.status
		got := w.Check(t.Context(), p, check)
		if got.Good != x.good || got.Status != x.status || got.RetryAfter != x.after || (got.Err == nil) != x.good || got.Latency <= 0 {
			t.Errorf("%d: %+v", x.status, got)
		}
	}
	w.Drills([]policy.Order{order("a", policy.Fault{Kind: policy.FaultRefuse, Share: 1})})
	if got := w.Check(t.Context(), p, check); got.Good || got.Error != "connection_refused" {
		t.Errorf("in a drill: %+v", got)
	}
}
