package health

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// warmed is a measure that knows a provider of 20,000 calls, and the provider.
func warmed(seed uint64, rate float64) (*lone, *provider) {
	p := newProvider(seed, rate, leastUsual)
	m := &lone{}
	p.run(m, 20_000)
	m.Clear(p.now)
	p.now = p.now.Add(time.Minute)
	return m, p
}

func TestWhatIsNoEvidence(t *testing.T) {
	m, p := warmed(1, 50)
	before := *m
	for range 1000 {
		for _, c := range []Class{None, Limited, 99} {
			if a := m.Observe(Sample{Class: c, Latency: time.Hour, RetryAfter: time.Hour}, p.now); a != NoAlarm {
				t.Fatalf("class %d raised %q", c, a)
			}
		}
	}
	if *m != before {
		t.Error("it changed what is known")
	}
}

// A decline is a good answer: it comes as OK, and a thousand of them in a row accuse nobody.
func TestDeclinesAccuseNobody(t *testing.T) {
	m, p := warmed(1, 50)
	for range 1000 {
		s, now := p.call()
		s.Class = OK
		if a := m.Observe(s, now); a != NoAlarm {
			t.Fatalf("%q", a)
		}
	}
	if mean, _ := m.Success(p.now); mean < .995 {
		t.Errorf("success %v", mean)
	}
}

// An outage is not learnt as the usual, even if nobody takes the provider away.
func TestAnOutageDoesNotTeachTheBaseline(t *testing.T) {
	m, p := warmed(1, 50)
	usual, slow := m.Evidence().Baseline, m.Evidence().Usual
	p.fails, p.slower = .5, 6
	for range 50 * 60 {
		s, now := p.call()
		m.Observe(s, now)
	}
	e := m.Evidence()
	if e.Baseline > 1.5*usual {
		t.Errorf("a minute in which half failed made the usual %v instead of %v", e.Baseline, usual)
	}
	if e.Usual > slow*3/2 {
		t.Errorf("a minute at six times the latency made the usual bound %v instead of %v", e.Usual, slow)
	}
}

// Nothing is frozen for ever: what stays different for long is the new usual.
func TestANewUsualIsLearnt(t *testing.T) {
	m, p := warmed(1, 2)
	slow, limit := m.Evidence().Usual, m.Limit()
	p.slower, p.fails = 3, .03
	for end := p.now.Add(72 * time.Hour); p.now.Before(end); {
		s, now := p.call()
		m.Observe(s, now) // nobody clears
	}
	e := m.Evidence()
	if e.Usual < slow*2 || m.Limit() < limit*2 {
		t.Errorf("three days at three times the latency: slow is over %v, was %v; an open call is old at %v, was %v", e.Usual, slow, m.Limit(), limit)
	}
	if e.Baseline < .02 {
		t.Errorf("three days of 3 %% failures: usual is %v", e.Baseline)
	}
}

func TestOneGoodCallClearsNoEvidence(t *testing.T) {
	m, p := warmed(1, 50)
	now := p.now
	fail, good := Sample{Class: Failure, Latency: time.Millisecond}, Sample{Class: OK, Latency: 200 * time.Millisecond}
	for range 3 {
		if a := m.Observe(fail, now); a != NoAlarm {
			t.Fatalf("%v", a)
		}
	}
	for range 3 { // three good ones do not either
		m.Observe(good, now)
	}
	n := 0
	for m.Observe(fail, now) == NoAlarm {
		n++
	}
	if n > 1 {
		t.Errorf("after 3 failures and 3 good calls %d failures more raised no alarm: the evidence was gone", n)
	}
	if e := m.Evidence(); e.Failed < 4 || e.Calls < e.Failed || e.Alarm != Failing || !e.At.Equal(now) {
		t.Errorf("%+v", e)
	}
}

// After an alarm that nobody heeded the tests go on: it is raised again, and nothing waits for a Clear.
func TestAnAlarmIsRaisedAgain(t *testing.T) {
	m, p := warmed(1, 50)
	p.fails = 1
	alarms := 0
	for range 40 {
		s, now := p.call()
		if m.Observe(s, now) == Failing {
			alarms++
		}
	}
	if alarms < 5 {
		t.Errorf("%d alarms in 40 failures", alarms)
	}
}

func TestWhatBeganBeforeClearIsNoEvidenceAfter(t *testing.T) {
	m, p := warmed(1, 50)
	m.Clear(p.now)
	for range 100 { // calls that hung, and end now that it is well again
		if a := m.Observe(Sample{Class: Failure, Latency: 10 * time.Second}, p.now.Add(9*time.Second)); a != NoAlarm {
			t.Fatalf("%v", a)
		}
	}
	p.now, p.fails = p.now.Add(20*time.Second), 1
	if n, which := p.until(m, 10); which != Failing || n > 5 {
		t.Errorf("calls from after it: %v after %d", which, n)
	}
}

func TestArm(t *testing.T) {
	m, p := warmed(1, 50)
	fail := Sample{Class: Failure, Latency: time.Millisecond}
	m.Arm(p.now)
	if a := m.Observe(Sample{Class: OK, Latency: time.Millisecond}, p.now); a != NoAlarm {
		t.Fatal("a verdict alone raised an alarm")
	}
	n := 1
	for m.Observe(fail, p.now) == NoAlarm {
		n++
	}
	if n != 2 {
		t.Errorf("armed, it took %d failures, want 2", n)
	}
	m.Clear(p.now)
	p.now = p.now.Add(time.Minute)
	m.Arm(p.now)
	for i := range 25 {
		m.Arm(p.now.Add(time.Duration(i) * time.Second)) // told again and again
		m.Observe(Sample{Class: OK, Latency: time.Millisecond}, p.now)
	}
	n = 1
	for m.Observe(fail, p.now) == NoAlarm {
		n++
	}
	if n != 4 {
		t.Errorf("a region that sees successes stays as it is: %d failures, want 4", n)
	}
}

func TestCallsThatStayOpen(t *testing.T) {
	m, p := warmed(1, 50)
	for i := 1; ; i++ {
		a := m.Overdue(1, p.now)
		if a == NoAlarm && i < 4 {
			continue
		}
		if a != Hanging || i != 4 {
			t.Errorf("after %d open calls: %q", i, a)
		}
		break
	}
	if e := m.Evidence(); e.Overdue != 4 || e.Slow != 4 || e.Alarm != Hanging {
		t.Errorf("%+v", e)
	}
	m.Clear(p.now)
	for range 20 { // answers come between: it is slow, it does not hang
		if a := m.Overdue(1, p.now); a != NoAlarm {
			if a != Slowing {
				t.Errorf("%q", a)
			}
			return
		}
		m.Observe(Sample{Class: OK, Latency: m.Limit() * 2}, p.now.Add(time.Hour))
	}
	t.Error("no alarm")
}

// A call that was counted while it was open is not counted again when it ends.
func TestOverdueCountsOnce(t *testing.T) {
	m, p := warmed(1, 50)
	now := p.now.Add(m.Limit() * 4)
	m.Overdue(2, p.now)
	before := m.slowing
	for range 2 {
		m.Observe(Sample{Class: OK, Latency: m.Limit() * 2, Overdue: true}, now)
	}
	if m.slowing != before {
		t.Errorf("%+v became %+v", before, m.slowing)
	}
	if m.Observe(Sample{Class: OK, Latency: m.Limit() * 2}, now); m.slowing == before {
		t.Error("the third was not counted while it was open")
	}
	for _, n := range []int{-5, 0} {
		if m.Overdue(n, now) != NoAlarm {
			t.Error("an alarm from nothing")
		}
	}
	m.Overdue(math.MaxInt, now)
}

func TestColdStart(t *testing.T) {
	var m lone
	now := time.Unix(1_800_000_000, 0)
	mean, lower := m.Success(now)
	if mean < .99 || mean > 1 || lower > mean || lower < .9 {
		t.Errorf("success of nobody: %v, at least %v", mean, lower)
	}
	if m.Limit() != StartLimit || m.Quantile(.999) != 0 || m.Latency() != 0 || m.Slow(time.Hour) || m.Evidence() != (Evidence{Baseline: leastUsual}) {
		t.Errorf("limit %v, quantile %v, latency %v, %+v", m.Limit(), m.Quantile(.999), m.Latency(), m.Evidence())
	}
	for i := range 3 {
		if a := m.Observe(Sample{Class: Failure}, now); a != NoAlarm {
			t.Errorf("failure %d of the first three ever: %v", i+1, a)
		}
	}
}

func TestSuccessFollowsInHalfAMinute(t *testing.T) {
	m, p := lone{}, newProvider(1, 50, leastUsual)
	p.run(&m, 20_000)
	p.fails = 1
	for end := p.now.Add(30 * time.Second); p.now.Before(end); {
		s, now := p.call()
		m.Observe(s, now)
	}
	mean, lower := m.Success(p.now)
	if mean < .45 || mean > .55 || lower >= mean || lower < .4 {
		t.Errorf("after a half-life of failures: %v, at least %v", mean, lower)
	}
	if mean, _ = m.Success(p.now.Add(10 * time.Minute)); mean < .985 {
		t.Errorf("ten minutes of silence later it is %v: nothing that recent is known", mean)
	}
}

func TestQuantilesAndLimit(t *testing.T) {
	m, p := warmed(1, 50)
	var all []time.Duration
	for range 8000 {
		s, _ := p.call()
		if s.Class == OK {
			all = append(all, s.Latency)
		}
	}
	slices.Sort(all)
	for _, q := range []float64{.05, .5, .9, .95, .99, .999} {
		got, want := m.Quantile(q), all[int(q*float64(len(all)))]
		if r := float64(got) / float64(want); r < .75 || r < .85 && q < .99 || r > 1.2 && q < .99 || r > 1.4 {
			t.Errorf("q %v: %v, the truth is %v", q, got, want)
		}
	}
	if l, q := m.Limit(), m.Quantile(.999); l < q || l > q*11/10 {
		t.Errorf("an open call is too old at %v, p99.9 is %v", l, q)
	}
	if m.Slow(m.Quantile(.9)) || !m.Slow(m.Quantile(.999)) {
		t.Error("what is slow lies not between p90 and p99.9")
	}
	for _, q := range []float64{-1, math.NaN(), 0, 2, math.Inf(1)} {
		if d := m.Quantile(q); d < 0 || d > 2*MostLimit+10*time.Second {
			t.Errorf("q %v: %v", q, d)
		}
	}
}

// Fast providers are not slow at 40 ms, however fast they are.
func TestBriskIsNotSlow(t *testing.T) {
	m, now := lone{}, time.Unix(1_800_000_000, 0)
	for i := range 20_000 {
		latency := time.Millisecond
		if i > 10_000 {
			latency = 40 * time.Millisecond
		}
		if a := m.Observe(Sample{Class: OK, Latency: latency}, now.Add(time.Duration(i)*time.Millisecond*10)); a != NoAlarm {
			t.Fatalf("call %d: %v", i, a)
		}
	}
	if m.Limit() < LeastLimit {
		t.Errorf("limit %v", m.Limit())
	}
}

func TestTake(t *testing.T) {
	m, p := warmed(1, 50)
	m.Take()
	want, row := Increment{}, weights[m.row]
	for i := range 100 {
		s := Sample{Class: OK, Latency: 200 * time.Millisecond}
		if i%10 == 9 {
			s.Class = Failure
		}
		w := m.row
		m.Observe(s, p.now)
		row = weights[w]
		if m.row != w {
			row = weights[m.row] // the row is found before the call is weighed
		}
		want.Calls++
		for j := range want.Nats {
			if s.Class == Failure {
				want.Nats[j] += row[j].up
			} else {
				want.Nats[j] += row[j].down
			}
		}
		if s.Class == Failure {
			want.Failed++
		}
	}
	got := m.Take()
	for i := range want.Nats {
		if math.Abs(got.Nats[i]-want.Nats[i]) > 1e-9 {
			t.Errorf("test %d: %v nats, want %v", i, got.Nats[i], want.Nats[i])
		}
	}
	if got.Calls != 100 || got.Failed != 10 || m.Take() != (Increment{InARow: got.InARow}) {
		t.Errorf("%+v", got)
	}
}

func TestAMeasureIsAPlainValue(t *testing.T) {
	if n := unsafe.Sizeof(Measure{}); n > 1024 {
		t.Errorf("%d bytes", n)
	}
	plain(t, reflect.TypeFor[Measure](), "Measure")
	plain(t, reflect.TypeFor[Bank](), "Bank")
	m, p := warmed(1, 50)
	if n := testing.AllocsPerRun(1000, func() {
		s, now := p.call()
		m.Observe(s, now)
		m.Overdue(1, now)
		m.Success(now)
		m.Evidence()
		m.Take()
		m.Limit()
		m.Arm(now)
		m.Clear(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func plain(t *testing.T, typ reflect.Type, path string) {
	switch typ.Kind() {
	case reflect.Struct:
		for f := range typ.Fields() {
			plain(t, f.Type, path+"."+f.Name)
		}
	case reflect.Array:
		plain(t, typ.Elem(), path+"[]")
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.String, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		t.Errorf("%s is a %s: the collector would have to look at it", path, typ)
	}
}

// TestClocksThatWentBack: a clock that was a year ahead for a moment does not stop the fading, the learning or the tests.
func TestClocksThatWentBack(t *testing.T) {
	m, p := warmed(1, 50)
	ahead := p.now.Add(365 * 24 * time.Hour)
	m.Observe(Sample{Class: OK, Latency: 200 * time.Millisecond}, ahead)
	m.Arm(ahead)
	m.Clear(ahead)
	m.Observe(Sample{Class: OK, Latency: 200 * time.Millisecond}, ahead)
	p.run(m, 5000)
	p.fails = 1
	if n, which := p.until(m, 20); which != Failing || n > 5 {
		t.Errorf("%q after %d failures", which, n)
	}
	for end := p.now.Add(2 * time.Minute); p.now.Before(end); {
		s, now := p.call()
		m.Observe(s, now)
	}
	if mean, _ := m.Success(p.now); mean > .1 {
		t.Errorf("two minutes in which all failed, and success is %v", mean)
	}
}

// TestWhatIsUsualOutlivesATrouble: what is to be expected after one is what was usual before, and not what the trouble showed.
func TestWhatIsUsualOutlivesATrouble(t *testing.T) {
	m, p := warmed(1, 50)
	mean, lower, latency := m.Usual()
	for range 60 {
		p.now = p.now.Add(time.Second)
		m.Observe(Sample{Class: Failure, Latency: time.Second}, p.now)
		m.Observe(Sample{Class: Slow, Latency: 5 * time.Second}, p.now)
	}
	if now, _ := m.Success(p.now); now > .9 || m.Latency() < time.Second {
		t.Fatalf("the trouble was none: %v, %v", now, m.Latency())
	}
	m.Clear(p.now)
	after, least := m.Success(p.now)
	if math.Abs(after-mean) > .002 || math.Abs(least-lower) > .01 || m.Latency() > latency*5/4 || m.Latency() < latency*3/4 {
		t.Errorf("after it %v, at least %v, in %v; usual are %v, %v, %v", after, least, m.Latency(), mean, lower, latency)
	}
}
