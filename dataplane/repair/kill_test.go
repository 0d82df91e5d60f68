package repair

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"segue/dataplane/embedded"
	"segue/dataplane/ledger"
	"segue/dataplane/ledger/ledgertest"
	"segue/dataplane/session"
	"segue/e2e/patience"
)

// The environment of a child of TestKills.
const (
	childDir   = "SEGUE_REPAIR_CHILD"
	childPoint = "SEGUE_REPAIR_POINT"
	childVisit = "SEGUE_REPAIR_VISIT"
	childFirst = "SEGUE_REPAIR_FIRST"
	longKills  = "SEGUE_REPAIR_KILLS" // how many, in the long form
)

// killPoints are where a child kills itself.
var killPoints = []string{
	"append.begin", "append.written", "append.synced", "append.indexed", "mark.written", "segment.created", "segment.given-up", "segment.removed",
	"replay.begin", "replay.applied", "replay.ended",
}

// child works until it reaches the point that it was given, and kills itself there. It prints what was acknowledged.
func child(dir string) {
	visit, err1 := strconv.Atoi(os.Getenv(childVisit))
	first, err2 := strconv.Atoi(os.Getenv(childFirst))
	if err := errors.Join(err1, err2); err != nil {
		fail(err)
	}
	visits := make(chan struct{}, 1<<16)
	at := func(point string) {
		if point != os.Getenv(childPoint) {
			return
		}
		if visits <- struct{}{}; len(visits) >= visit {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	s, l, r, way := childParts(dir, at)
	ctx := context.Background()
	if err := r.Start(); err != nil {
		fail(err)
	}
	for n := first; n < first+400; n++ {
		if _, won, err := s.Ledger().Claim(ctx, ledgertest.Sample(n)); err != nil || !won {
			fail(fmt.Errorf("claim %d: %v %w", n, won, err))
		}
		way.cut.Store(n%8 < 6)
		done := finished(ledgertest.Sample(n), ledger.DoneSucceeded, ledger.Succeeded)
		if _, _, err := r.Ledger().Advance(ctx, done); err != nil {
			fail(err)
		}
		fmt.Printf("tx %d\n", n)
		k := session.Key{App: "default", ID: fmt.Sprint("ses_", n%16)}
		if err := r.Sessions().Append(ctx, k, pin(n, fmt.Sprint("service-", n%3), fmt.Sprint("p", n))); err != nil {
			fail(err)
		}
		fmt.Printf("ses %d\n", n)
		if n%8 == 7 {
			if _, err := r.Sync(ctx); err != nil {
				fail(err)
			}
		}
	}
	fmt.Println("end")
	way.cut.Store(false)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); { // what is left goes, and segments with it
		if _, err := r.Sync(ctx); err != nil {
			fail(err)
		}
		<-time.After(time.Millisecond)
	}
	r.Stop()
	_, _ = l.Close(), s.Close()
}

func childParts(dir string, at func(string)) (*embedded.Store, *Log, *Repair, *link) {
	s, err := embedded.Open(filepath.Join(dir, "store"), embedded.Options{Reserve: 1})
	if err != nil {
		fail(err)
	}
	l, err := OpenLog(filepath.Join(dir, "hints"), LogOptions{
		Keys: keysOf(), Reserve: 1, Segment: 4000, lazy: time.Millisecond, at: at,
	})
	if err != nil {
		fail(err)
	}
	way := &link{}
	return s, l, New(l, linkedLedger{s.Ledger(), way}, linkedSessions{s.Sessions(), way}, Options{at: at}), way
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// kill runs a child until its end and returns what it acknowledged.
func kill(t *testing.T, dir, point string, visit, first int) (acks []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir, childPoint+"="+point, childVisit+"="+strconv.Itoa(visit), childFirst+"="+strconv.Itoa(first))
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		acks = append(acks, lines.Text())
	}
	err = c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child was to be killed at %s, visit %d: %v %s", point, visit, err, stderr.String())
	}
	return acks
}

// TestKills kills a process at each named point of append and replay, again and again in one directory. In the end everything that was
// acknowledged is in the store, each outcome exactly once. SEGUE_REPAIR_KILLS=120 is the long form.
func TestKills(t *testing.T) {
	t.Parallel()
	kills := 22
	if n, err := strconv.Atoi(os.Getenv(longKills)); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 4))
	dir := patience.Dir(t)
	var told []string
	for i := range kills {
		acks := kill(t, dir, killPoints[i%len(killPoints)], 1+rng.IntN(12), 1+i*1000)
		told = append(told, acks...)
	}
	drainAndCheck(t, dir, told)
	t.Logf("%d kills at %d points, %d acknowledged writes, all in the store, each outcome once", kills, len(killPoints), len(told))
}

// drainAndCheck replays what is left and holds the store against what was told.
func drainAndCheck(t *testing.T, dir string, told []string) {
	t.Helper()
	s, l, r, _ := childParts(dir, func(string) {})
	must(t, r.Start())
	until(t, "the backlog is gone", func() bool { return r.Stats().Pending == 0 })
	if st := r.Stats(); st.Held > 0 {
		t.Errorf("held hints: %+v", r.List(Filter{Held: true}))
	}
	want := map[session.Key]*session.Session{}
	for _, line := range told {
		var kind string
		var n int
		if _, err := fmt.Sscan(line, &kind, &n); err != nil {
			continue // "end"
		}
		if kind == "tx" {
			row, err := s.Ledger().Load(t.Context(), ledgertest.Sample(n).Key)
			if err != nil || row.State != ledger.DoneSucceeded || row.Version != 2 {
				t.Errorf("transaction %d: %+v, %v", n, row, err)
			}
			continue
		}
		k := session.Key{App: "default", ID: fmt.Sprint("ses_", n%16)}
		next, err := session.Apply(want[k], k, pin(n, fmt.Sprint("service-", n%3), fmt.Sprint("p", n)))
		must(t, err)
		want[k] = next
	}
	for k, w := range want {
		got, err := s.Sessions().Load(t.Context(), k)
		must(t, err)
		for _, p := range w.Pins { // one that was written and never acknowledged may have come after
			if i := indexOf(got, p.Service); i < 0 || got.Pins[i].At.Before(p.At) {
				t.Errorf("%s: the pin %+v is lost; the store has %+v", k.ID, p, got.Pins)
			}
		}
	}
	r.Stop()
	shut(t, l)
	shut(t, s)
}

func indexOf(s *session.Session, service string) int {
	for i, p := range s.Pins {
		if p.Service == service {
			return i
		}
	}
	return -1
}
