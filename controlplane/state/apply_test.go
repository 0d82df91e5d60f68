package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
)

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const document = `segue: v1 # a comment that stays
regions:
  us-east: {standby: [eu-west]}
  eu-west: {standby: [us-east]}
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights:
      us-east: {main: 70, backup: 30}
      eu-west: {main: 40, backup: 60}
providers:
  main: {contract: stripe/v1, endpoint: "https://a.example", credential: caller}
  backup: {contract: stripe/v1, endpoint: "https://b.example", credential: caller}
`

// world applies commands one after another, as a log would.
type world struct {
	t     testing.TB
	s     *State
	index uint64
	now   time.Time
}

func newWorld(t testing.TB) *world { return &world{t: t, s: New("one"), now: epoch} }

func (w *world) do(request string, change Command) Result {
	w.t.Helper()
	change.Request, change.Actor, change.Reason, change.At = request, "ann", "because", w.now
	return w.raw(change)
}

func (w *world) raw(c Command) Result {
	w.t.Helper()
	w.index++
	next, result := w.s.Apply(c, w.index)
	w.s = next
	if err := next.VerifyAudit(); err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) must(request string, change Command) Result {
	w.t.Helper()
	r := w.do(request, change)
	if r.Err != nil {
		w.t.Fatalf("%s: %v %v", request, r.Err, r.Err.Problems)
	}
	return r
}

func (w *world) refused(code Code, says, request string, change Command) *Error {
	w.t.Helper()
	before := saveBytes(w.t, &State{Incarnation: w.s.Incarnation, Index: w.s.Index, Revisions: w.s.Revisions, Orders: w.s.Orders})
	r := w.do(request, change)
	if r.Err == nil || r.Err.Code != code || !strings.Contains(r.Err.Message, says) {
		w.t.Fatalf("%s: got %v, want %s with %q", request, r.Err, code, says)
	}
	after := saveBytes(w.t, &State{Incarnation: w.s.Incarnation, Index: w.s.Index, Revisions: w.s.Revisions, Orders: w.s.Orders})
	if !bytes.Equal(before, after) {
		w.t.Fatalf("%s: refused, and something changed", request)
	}
	return r.Err
}

func saveBytes(t testing.TB, s *State) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func apply(base uint64, src string) Command {
	return Command{ApplyPolicy: &ApplyPolicy{Base: base, Source: []byte(src)}}
}

func weights(base uint64, region string, main, backup float64) Command {
	return Command{SetWeights: &SetWeights{
		Base: base, Service: "payments", Region: region,
		Weights: []policy.Weight{{Provider: "main", Percent: main}, {Provider: "backup", Percent: backup}},
	}}
}

func drain(provider string, d time.Duration, regions ...string) Command {
	return Command{GiveOrder: &GiveOrder{Order: policy.Order{Kind: policy.Drain, Provider: provider, Regions: regions, For: d}}}
}

func drill(d time.Duration) Command {
	return Command{GiveOrder: &GiveOrder{Order: policy.Order{
		Kind: policy.Drill, Provider: "main", For: d, Fault: policy.Fault{Kind: policy.FaultRefuse, Share: 0.5},
	}}}
}

func TestRevisionsFollowEachOther(t *testing.T) {
	w := newWorld(t)
	if r := w.must("a", apply(0, document)); r.Revision != 1 || r.Index != 1 {
		t.Fatalf("first: %+v", r)
	}
	old := w.s
	if r := w.must("b", weights(1, "eu-west", 10, 90)); r.Revision != 2 {
		t.Fatalf("second: %+v", r)
	}
	if got := string(w.s.Current().Source); !strings.Contains(got, "eu-west: {main: 10, backup: 90}") ||
		!strings.Contains(got, "# a comment that stays") || !strings.Contains(got, "us-east: {main: 70, backup: 30}") {
		t.Fatalf("source:\n%s", got)
	}
	if old.Current().Number != 1 || len(old.Audit) != 1 {
		t.Fatal("the State before was changed")
	}
	if r, ok := w.s.Revision(2); !ok || len(r.Summary) == 0 || r.Actor != "ann" || r.Reason != "because" || !r.At.Equal(epoch) {
		t.Fatalf("revision 2: %+v", r)
	}
	if _, ok := w.s.Revision(3); ok {
		t.Fatal("revision 3 exists")
	}
	e := w.s.Audit[1]
	if e.Kind != "SetWeights" || e.Request != "b" || e.Index != 2 || e.Text == "" {
		t.Fatalf("audit: %+v", e)
	}
}

func TestIdenticalDocumentIsNoRevision(t *testing.T) {
	w := newWorld(t)
	w.must("a", apply(0, document))
	if r := w.must("b", apply(0, document)); r.Revision != 1 || r.Index != 1 {
		t.Fatalf("%+v", r)
	}
	if r := w.must("c", weights(0, "us-east", 70, 30)); r.Revision != 1 || w.s.Index != 1 || len(w.s.Audit) != 1 {
		t.Fatalf("same weights: %+v", r)
	}
}

func TestStaleBaseShowsBothSides(t *testing.T) {
	w := newWorld(t)
	w.must("a", apply(0, document))
	w.must("b", weights(1, "eu-west", 10, 90))
	mine := strings.Replace(document, "main: 70, backup: 30", "main: 50, backup: 50", 1)
	e := w.refused(Stale, "revision 2 is in force", "c", apply(1, mine))
	if e.Base.Base != 1 || e.Base.Current != 2 || len(e.Base.Theirs) == 0 || len(e.Base.Yours) == 0 {
		t.Fatalf("%+v", e.Base)
	}
	if !strings.Contains(strings.Join(e.Base.Theirs, " "), "eu-west") || strings.Contains(strings.Join(e.Base.Yours, " "), "eu-west") {
		t.Fatalf("sides mixed up: %+v", e.Base)
	}
	e = w.refused(Stale, "based on revision 1", "d", weights(1, "us-east", 50, 50))
	if !strings.Contains(strings.Join(e.Base.Yours, " "), "us-east") {
		t.Fatalf("%+v", e.Base)
	}
	w.refused(Stale, "is not kept", "e", apply(77, mine))
	if e := w.refused(Stale, "based on revision 0", "f", apply(0, mine)); len(e.Base.Theirs) == 0 {
		t.Fatalf("%+v", e.Base)
	}
}

func TestInvalidPolicyChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.must("a", apply(0, document))
	for name, src := range map[string]string{
		"broken": "segue: [", "unknown field": document + "wieghts: 1\n", "empty": "", "duplicate": document + document,
	} {
		if e := w.refused(Invalid, "problem", name, apply(1, src)); len(e.Problems) == 0 {
			t.Fatalf("%s: no problems told", name)
		}
	}
	w.refused(Invalid, "bytes", "big", apply(1, strings.Repeat("#", 10<<20)))
	w.refused(NotFound, "no region", "r", weights(0, "mars", 1, 99))
	bad := weights(0, "eu-west", 1, 99)
	bad.SetWeights.Service = "nothing"
	w.refused(NotFound, "no service", "s", bad)
	w.refused(Invalid, "weights of payments in eu-west", "neg", weights(0, "eu-west", -1, 101))
	for name, v := range map[string]float64{"nan": math.NaN(), "inf": math.Inf(1)} {
		w.refused(Invalid, "not a number", name, weights(0, "eu-west", v, 1))
	}
	many := weights(0, "eu-west", 1, 99)
	many.SetWeights.Weights = make([]policy.Weight, 17)
	w.refused(Invalid, "at most 16", "many", many)
}

func TestNothingBeforeTheFirstPolicy(t *testing.T) {
	w := newWorld(t)
	w.refused(NotFound, "no region", "a", weights(0, "eu-west", 1, 99))
	w.refused(Invalid, "", "b", drain("main", time.Hour))
	w.refused(NotFound, "not in force", "c", Command{EndOrder: &EndOrder{ID: "o"}})
	u, err := w.s.Update("anywhere", epoch)
	if err != nil || u.Revision != 0 || u.Policy != nil {
		t.Fatalf("%+v %v", u, err)
	}
}

func TestEveryCommandSaysWhoWhenWhy(t *testing.T) {
	full := drain("main", time.Hour)
	full.Request, full.Actor, full.Reason, full.At = "r", "ann", "because", epoch
	for field, spoil := range map[string]func(*Command){
		"request is missing": func(c *Command) { c.Request = "" },
		"actor is missing":   func(c *Command) { c.Actor = "" },
		"reason is missing":  func(c *Command) { c.Reason = "" },
		"at is missing":      func(c *Command) { c.At = time.Time{} },
		"at is in the year":  func(c *Command) { c.At = time.Unix(-1e10, 0) },
		"request has 201":    func(c *Command) { c.Request = strings.Repeat("x", 201) },
		"reason has 1001":    func(c *Command) { c.Reason = strings.Repeat("x", 1001) },
		"actor is not UTF-8": func(c *Command) { c.Actor = "\xff" },
		"this one has 0":     func(c *Command) { c.GiveOrder = nil },
		"this one has 2":     func(c *Command) { c.EndOrder = &EndOrder{} },
	} {
		w := newWorld(t)
		w.must("p", apply(0, document))
		c := full
		spoil(&c)
		r := w.raw(c)
		if r.Err == nil || r.Err.Code != Invalid || !strings.Contains(r.Err.Message, field) || w.s.Index != 1 {
			t.Errorf("%s: %v", field, r.Err)
		}
	}
}

func TestInitNamesTheIncarnationOnce(t *testing.T) {
	w := newWorld(t)
	w.s = New("")
	w.refused(Unsupported, "not bootstrapped", "early", apply(0, document))
	w.refused(Invalid, "incarnation is missing", "empty", Command{Init: &Init{}})
	w.must("i", Command{Init: &Init{Incarnation: "x"}})
	w.must("j", Command{Init: &Init{Incarnation: "y"}})
	if w.s.Incarnation != "x" || len(w.s.Audit) != 1 {
		t.Fatalf("%s, %d entries", w.s.Incarnation, len(w.s.Audit))
	}
}

func TestIgnorableCommandIsSkipped(t *testing.T) {
	w := newWorld(t)
	before := w.s
	r := w.raw(Command{Ignorable: true})
	if r.Err != nil || w.s != before {
		t.Fatalf("%+v", r)
	}
}

func TestApplyIsPureWhenForked(t *testing.T) {
	w := newWorld(t)
	w.must("a", apply(0, document))
	for i := range 40 { // places behind the shared lists exist now
		w.must(fmt.Sprint("w", i), weights(0, "eu-west", float64(i), float64(100-i)))
	}
	base, before := w.s, saveBytes(t, w.s)
	var forks [4]*State
	done := make(chan int)
	for f := range forks {
		go func() {
			c := weights(0, "us-east", float64(f), float64(100-f))
			c.Request, c.Actor, c.Reason, c.At = fmt.Sprint("fork", f), fmt.Sprint("actor", f), "x", epoch
			forks[f], _ = base.Apply(c, 100)
			done <- f
		}()
	}
	for range forks {
		<-done
	}
	for f, s := range forks {
		if e := s.Audit[len(s.Audit)-1]; e.Actor != fmt.Sprint("actor", f) || s.VerifyAudit() != nil {
			t.Fatalf("fork %d ends in the entry of %s", f, e.Actor)
		}
		if _, ok := s.seen.find(fmt.Sprint("fork", (f+1)%4), epoch); ok {
			t.Fatal("a fork knows the other's request")
		}
	}
	if !bytes.Equal(before, saveBytes(t, base)) {
		t.Fatal("the State before was changed")
	}
}

// TestDeterminism: two nodes apply the same log, one of them restored from a snapshot on the way and fed through the encoding.
func TestDeterminism(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	log := randomLog(rand.New(rand.NewPCG(seed, 1)), 2000)
	a, b := New("one"), New("one")
	for i, c := range log {
		index := uint64(i + 1)
		var ra, rb Result
		a, ra = a.Apply(c, index)
		text, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		b, rb = b.Apply(again, index)
		ja, _ := json.Marshal(ra)
		jb, _ := json.Marshal(rb)
		if !bytes.Equal(ja, jb) {
			t.Fatalf("command %d: %s and %s", i, ja, jb)
		}
		if i%500 == 250 {
			if b, err = Load(bytes.NewReader(saveBytes(t, b))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(saveBytes(t, a), saveBytes(t, b)) {
		t.Fatal("two nodes differ after the same log")
	}
	if len(a.Revisions) < 50 || len(a.Audit) < 200 {
		t.Fatalf("the log did little: %d revisions, %d entries", len(a.Revisions), len(a.Audit))
	}
	for _, region := range []string{"us-east", "eu-west"} {
		ua, ea := a.Update(region, epoch)
		ub, eb := b.Update(region, epoch)
		ja, _ := json.Marshal(ua)
		jb, _ := json.Marshal(ub)
		if !bytes.Equal(ja, jb) || (ea == nil) != (eb == nil) {
			t.Fatalf("updates of %s differ", region)
		}
	}
}

func randomLog(r *rand.Rand, n int) []Command {
	now := epoch
	var log []Command
	for i := range n {
		now = now.Add(time.Duration(r.IntN(200)-20) * time.Second) // clocks of different leaders go back too
		var c Command
		switch r.IntN(8) {
		case 0:
			c = apply(uint64(r.IntN(3)*i/20), strings.Replace(document, "main: 70, backup: 30", fmt.Sprintf("main: %d, backup: 1", r.IntN(100)), 1))
		case 1, 2, 3:
			p := float64(r.IntN(101))
			c = weights(0, []string{"us-east", "eu-west", "mars"}[r.IntN(3)], p, 100-p)
		case 4:
			c = drain([]string{"main", "backup"}[r.IntN(2)], time.Duration(r.IntN(600))*time.Second, []string{"us-east", "eu-west"}[r.IntN(2)])
		case 5:
			c = drill(time.Duration(r.IntN(600)) * time.Second)
		case 6:
			c = Command{EndOrder: &EndOrder{ID: orderID(fmt.Sprint("r", max(0, i-1-r.IntN(8))))}}
		case 7:
			c = Command{Ignorable: true}
		}
		if i == 0 {
			c = apply(0, document)
		}
		c.Request, c.Actor, c.Reason, c.At = fmt.Sprint("r", i), "ann", "why", now
		if r.IntN(20) == 0 && i > 5 {
			c.Request = fmt.Sprint("r", r.IntN(i)) // a repeat, mostly with another change
		}
		if r.IntN(20) == 0 && i > 5 {
			c = log[r.IntN(len(log))] // a true repeat
			c.At = now
		}
		log = append(log, c)
	}
	return log
}

func TestBoundsOfRevisions(t *testing.T) {
	s := New("one")
	add := func(number, size int) {
		next := *s
		next.keep(Revision{Number: uint64(number), Source: make([]byte, size)})
		if before := s.Revisions; len(before) > 0 && before[len(before)-1].Number != uint64(number-1) {
			t.Fatalf("a State changed under its readers: it ends in %d", before[len(before)-1].Number)
		}
		s = &next
	}
	for i := range 250 {
		add(i+1, 10)
	}
	if list := s.Revisions; len(list) != MaxRevisions || list[MaxRevisions-1].Number != 250 || list[0].Number != 51 {
		t.Fatalf("%d kept, from %d", len(list), list[0].Number)
	}
	for i := range 100 {
		add(251+i, 1<<20)
	}
	total, list := 0, s.Revisions
	for _, r := range list {
		total += len(r.Source)
	}
	if total > MaxRevisionBytes || len(list) < 31 || list[len(list)-1].Number != 350 {
		t.Fatalf("%d bytes in %d revisions", total, len(list))
	}
	if spare := cap(list) - len(list); spare > spareRevisions {
		t.Fatalf("%d spare places", spare)
	}
}

func TestAuditKeepsItsChainBeyondItsBound(t *testing.T) {
	s := New("one")
	for i := range MaxAudit + 50 {
		next := *s
		next.Index = uint64(i + 1)
		next.record(Command{Request: fmt.Sprint(i), Actor: "a", Reason: "r", At: epoch}, "EndOrder", "text")
		s = &next
	}
	if len(s.Audit) != MaxAudit || s.Audit[0].Index != 51 {
		t.Fatalf("%d entries from %d", len(s.Audit), s.Audit[0].Index)
	}
	if err := s.VerifyAudit(); err != nil {
		t.Fatal(err)
	}
	again, err := Load(bytes.NewReader(saveBytes(t, s)))
	if err != nil || again.VerifyAudit() != nil {
		t.Fatal("the chain does not survive a snapshot: ", err)
	}
}

func TestAuditShowsTampering(t *testing.T) {
	w := newWorld(t)
	w.must("a", apply(0, document))
	for i := range 5 {
		w.must(fmt.Sprint(i), weights(0, "eu-west", float64(i), float64(100-i)))
	}
	for name, spoil := range map[string]func(*Entry){
		"index": func(e *Entry) { e.Index++ }, "at": func(e *Entry) { e.At = e.At.Add(1) }, "actor": func(e *Entry) { e.Actor = "bob" },
		"reason": func(e *Entry) { e.Reason += "." }, "request": func(e *Entry) { e.Request += "." }, "kind": func(e *Entry) { e.Kind += "." },
		"text": func(e *Entry) { e.Text += "." }, "hash": func(e *Entry) { e.Hash = "00" },
		"shifted": func(e *Entry) { e.Actor, e.Reason = e.Actor+e.Reason[:1], e.Reason[1:] },
	} {
		for at := range w.s.Audit {
			s := *w.s
			s.Audit = append([]Entry(nil), w.s.Audit...)
			spoil(&s.Audit[at])
			if s.VerifyAudit() == nil {
				t.Errorf("%s of entry %d changed unseen", name, at)
			}
		}
	}
	s := *w.s
	s.Audit = s.Audit[:len(s.Audit)-1]
	if s.VerifyAudit() == nil {
		t.Error("the last entry went unseen")
	}
	s.Audit = w.s.Audit[1:]
	if s.VerifyAudit() == nil {
		t.Error("the first entry went unseen")
	}
}
