package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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

// round makes calls over the side's first callers' connections at the same time, each connection one call after the other.
func (s *side) round(callers, calls int, do func(*line) error) (taken, error) {
	before, err := s.cpu()
	if err != nil {
		return taken{}, err
	}
	took := make([][]time.Duration, callers)
	failed := make([]error, callers)
	var work sync.WaitGroup
	for i := range callers {
		work.Go(func() { took[i], failed[i] = s.lines[i].repeat(calls/callers, do) })
	}
	work.Wait()
	r := taken{}
	for i := range callers {
		if failed[i] != nil {
			return r, fmt.Errorf("%s: %w", s.name, failed[i])
		}
		r.each = append(r.each, took[i]...)
	}
	after, err := s.cpu()
	r.perCall = (after - before) / time.Duration(len(r.each))
	return r, err
}

func (s *side) cpu() (time.Duration, error) {
	if s.pid == 0 {
		return 0, nil
	}
	return cpu(s.pid)
}

func (l *line) repeat(n int, do func(*line) error) ([]time.Duration, error) {
	if err := l.conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return nil, err
	}
	took := make([]time.Duration, n)
	for i := range took {
		begin := time.Now()
		if err := do(l); err != nil {
			return nil, err
		}
		took[i] = time.Since(begin)
	}
	return took, nil
}

// prepare makes each line's charge, so that its session is pinned and the object that it reads is known, and warms everything up.
func (s *side) prepare(t *testing.T) {
	t.Helper()
	for _, do := range []func(*line) error{(*line).pay, (*line).read, (*line).glance} {
		if _, err := s.round(len(s.lines), 40*len(s.lines), do); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheSidesCall keeps the bench's own tools true while nothing is measured: both roles, the lines, the count of calls.
func TestTheSidesCall(t *testing.T) {
	up := role(t, "upstream", "")
	for _, s := range []*side{dial(t, "direct", up, 2), dial(t, "plain", role(t, "proxy", "http://"+up.addr), 2)} {
		s.prepare(t)
		r, err := s.round(2, 10, (*line).read)
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
