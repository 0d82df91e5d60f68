package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// side is one way to the same upstream: direct, through a plain proxy, or through an agent.
type side struct {
	name  string
	pid   int // whose CPU is counted; 0: nobody's
	lines []*line
}

// line is one connection that is kept, and the conversation on it.
type line struct {
	conn   net.Conn
	in     *bufio.Reader
	host   string
	name   string // tells its session and keys from every other's
	n      int
	charge string // the object that it reads
	body   bytes.Buffer
	header http.Header // of the last answer
}

// dial opens as many connections as there are callers.
func dial(t *testing.T, name string, p process, callers int) *side {
	t.Helper()
	s := &side{name: name, pid: p.pid}
	for i := range callers {
		conn, err := net.Dial("tcp", p.addr)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		s.lines = append(s.lines, &line{conn: conn, in: bufio.NewReader(conn), host: p.addr, name: fmt.Sprintf("%s-%d-%d", name, time.Now().UnixNano(), i)})
	}
	return s
}

// What an SDK sends with each call.
const sdk = "User-Agent: Stripe/v1 GoBindings/82.5.1\r\nAuthorization: Bearer sk_test_1\r\nStripe-Version: 2025-08-27\r\nAccept: application/json\r\n"

// read asks for the line's own charge, in its session.
func (l *line) read() error {
	return l.ask("GET /v1/charges/" + l.charge + " HTTP/1.1\r\nHost: " + l.host + "\r\n" + sdk + "Session-Id: " + l.name + "\r\n\r\n")
}

// glance asks for a charge that nobody here made, in no session.
func (l *line) glance() error {
	return l.ask("GET /v1/charges/ch_elsewhere HTTP/1.1\r\nHost: " + l.host + "\r\n" + sdk + "\r\n")
}

// pay makes a charge under a new key, in the line's session.
func (l *line) pay() error {
	const form = "amount=1290&currency=eur&source=tok_visa&metadata[order]=1"
	l.n++
	err := l.ask("POST /v1/charges HTTP/1.1\r\nHost: " + l.host + "\r\n" + sdk + "Content-Type: application/x-www-form-urlencoded\r\nSession-Id: " + l.name +
		"\r\nIdempotency-Key: " + l.name + "-" + strconv.Itoa(l.n) + "\r\nContent-Length: " + strconv.Itoa(len(form)) + "\r\n\r\n" + form)
	if err != nil {
		return err
	}
	_, after, _ := bytes.Cut(l.body.Bytes(), []byte(`"id":"`))
	id, _, ok := bytes.Cut(after, []byte(`"`))
	if !ok {
		return fmt.Errorf("a charge without an id: %s", l.body.Bytes())
	}
	l.charge = string(id)
	return nil
}

// ask sends a request and takes the whole answer, which must be a charge.
func (l *line) ask(request string) error {
	if _, err := io.WriteString(l.conn, request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	l.body.Reset()
	if _, err := l.body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if l.header = resp.Header; resp.StatusCode != http.StatusOK || !bytes.HasSuffix(l.body.Bytes(), []byte("}")) {
		return fmt.Errorf("%s: %s", resp.Status, l.body.Bytes())
	}
	return nil
}

// taken is what one round took.
type taken struct {
	each    []time.Duration
	perCall time.Duration // CPU of the side's process
}

// p50 is the middle of the round's latencies.
func (r taken) p50() time.Duration { return median(r.each) }

// work is what one round asks of each side: so many callers at once, and so many calls of all of them together.
type work struct {
	callers, calls int
	rate           float64 // calls per second that come by themselves, of all callers together; 0: each comes when the one before is answered
}

// round makes calls over the side's first connections at the same time.
func (s *side) round(w work, do func(*line) error) (taken, error) {
	before, err := s.cpu()
	if err != nil {
		return taken{}, err
	}
	r, err := w.run(func(i int) error {
		if err := s.lines[i].conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		return do(s.lines[i])
	})
	if err != nil {
		return r, fmt.Errorf("%s: %w", s.name, err)
	}
	after, err := s.cpu()
	r.perCall = (after - before) / time.Duration(len(r.each))
	return r, err
}

// run lets every caller do its share, and measures each.
func (w work) run(do func(caller int) error) (taken, error) {
	took := make([][]time.Duration, w.callers)
	failed := make([]error, w.callers)
	var callers sync.WaitGroup
	for i := range w.callers {
		callers.Go(func() { took[i], failed[i] = w.repeat(i, do) })
	}
	callers.Wait()
	r := taken{}
	for _, t := range took {
		r.each = append(r.each, t...)
	}
	return r, errors.Join(failed...)
}

// repeat is one caller. At a rate, its calls come at random, as people's do.
func (w work) repeat(caller int, do func(int) error) ([]time.Duration, error) {
	took := make([]time.Duration, w.calls/w.callers)
	dice := rand.New(rand.NewPCG(seed, uint64(caller)))
	next := time.Now()
	for i := range took {
		if w.rate > 0 {
			next = next.Add(time.Duration(dice.ExpFloat64() * float64(w.callers) / w.rate * float64(time.Second)))
			<-time.After(time.Until(next))
		}
		begin := time.Now()
		if err := do(caller); err != nil {
			return nil, err
		}
		took[i] = time.Since(begin)
	}
	return took, nil
}

func (s *side) cpu() (time.Duration, error) {
	if s.pid == 0 {
		return 0, nil
	}
	return cpu(s.pid)
}

// prepare makes each line's charge, so that its session is pinned and the object that it reads is known, and warms everything up.
func (s *side) prepare(t *testing.T) {
	t.Helper()
	for _, do := range []func(*line) error{(*line).pay, (*line).read, (*line).glance} {
		if _, err := s.round(work{callers: len(s.lines), calls: 40 * len(s.lines)}, do); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheSidesCall keeps the bench's own tools true while nothing is measured: both roles, the lines, the count of calls.
func TestTheSidesCall(t *testing.T) {
	up := role(t, "upstream", "")
	for _, s := range []*side{dial(t, "direct", up, 2), dial(t, "plain", role(t, "proxy", "http://"+up.addr), 2)} {
		s.prepare(t)
		r, err := s.round(work{callers: 2, calls: 10}, (*line).read)
		if err != nil || len(r.each) != 10 || r.p50() <= 0 {
			t.Errorf("%s: %d calls, %v", s.name, len(r.each), err)
		}
		if !strings.HasPrefix(s.lines[0].charge, "ch_") || s.lines[0].charge == s.lines[1].charge {
			t.Errorf("charges %q and %q", s.lines[0].charge, s.lines[1].charge)
		}
		if err := s.lines[0].ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"); err == nil {
			t.Error("a 404 passed for an answer")
		}
	}
}

func TestAtARate(t *testing.T) {
	w := work{callers: 2, calls: 20, rate: 400}
	begin := time.Now()
	r, err := w.run(func(int) error { return nil })
	if took := time.Since(begin); err != nil || len(r.each) != 20 || took < 10*time.Millisecond {
		t.Errorf("%d calls at 400 a second in %v: %v", len(r.each), took, err)
	}
	if _, err := w.run(func(int) error { return errors.New("no") }); err == nil {
		t.Error("a failure was lost")
	}
}
