package bench

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	peerRounds      = 5
	peerCalls       = 8_000
	idleConnections = 1_000
	startRounds     = 5
)

// peers are the ways to the same upstream that the table compares, in its order.
type peers struct {
	rival
	haproxy *side
}

func (p peers) sides() []*side { return []*side{p.direct, p.haproxy, p.plain, p.agent} }

// haproxy starts Debian's package with what a careful operator would set: connections are kept and reused on both sides.
func haproxy(t *testing.T, to string) process {
	t.Helper()
	file, err := exec.LookPath("haproxy")
	if err != nil {
		t.Fatalf("%v: apt-get install haproxy", err)
	}
	addr := free(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	must(t, os.WriteFile(config, fmt.Appendf(nil, haproxyConfig, addr, to), 0o600))
	cmd := exec.Command(file, "-db", "-q", "-f", config)
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy: %s", said)
		}
	})
	eventually(t, "haproxy listens", func() error { return ready("http://" + addr + "/v1/charges/ch_1") })
	return process{addr, cmd.Process.Pid}
}

const haproxyConfig = `global
  maxconn 4096
defaults
  mode http
  timeout connect 2s
  timeout client 10m
  timeout server 10m
  option http-keep-alive
  http-reuse always
frontend in
  bind %s
  default_backend out
backend out
  server upstream %s pool-max-conn 1024
`

// benchPeers makes the table: CPU per call and added latency at 1, 32 and 256 connections.
func benchPeers(t *testing.T, r *report) {
	for _, connections := range []int{1, 32, 256} {
		t.Run(strconv.Itoa(connections), func(t *testing.T) {
			p := peers{rival: rivals(t, connections)}
			p.haproxy = dial(t, "haproxy", haproxy(t, p.direct.lines[0].host), connections)
			p.haproxy.prepare(t)
			for _, call := range []struct {
				what string
				do   func(*line) error
			}{{"a read", (*line).glance}, {"a charge, recorded before and after by Segue alone", (*line).pay}} {
				r.peers = append(r.peers, comparePeers(t, p, connections, call.what, call.do)...)
			}
		})
	}
}

// peerRow is one line of the table.
type peerRow struct {
	call        string
	connections int
	name        string
	cpu, ofBest float64 // µs per call, and as a multiple of HAProxy's
	p50, p99    time.Duration
}

func comparePeers(t *testing.T, p peers, connections int, what string, do func(*line) error) []peerRow {
	sides := p.sides()
	cpu, p50, p99 := make([][]float64, len(sides)), make([][]time.Duration, len(sides)), make([][]time.Duration, len(sides))
	w := work{callers: connections, calls: max(peerCalls, 16*connections)}
	if connections == 1 {
		w.calls = peerCalls / 4
	}
	for i := range peerRounds {
		for n, took := range inTurn(t, i, sides, func(s *side) (taken, error) { return s.round(w, do) }) {
			cpu[n] = append(cpu[n], float64(took.perCall.Nanoseconds())/1000)
			p50[n], p99[n] = append(p50[n], took.p50()), append(p99[n], quantile(took.each, 0.99))
		}
	}
	var rows []peerRow
	for n, name := range []string{"direct", "HAProxy", "ReverseProxy", "Segue"} {
		row := peerRow{call: what, connections: connections, name: name, cpu: median(cpu[n]), p50: median(p50[n]), p99: median(p99[n])}
		if n > 0 {
			row.ofBest = row.cpu / max(median(cpu[1]), 0.001)
			row.p50 -= rows[0].p50
			row.p99 -= rows[0].p99
		}
		rows = append(rows, row)
	}
	return rows
}

// peerTable writes the rows; what the upstream takes alone stands in the first of each four.
func peerTable(rows []peerRow) string {
	var b strings.Builder
	b.WriteString("| call | connections | | CPU per call | HAProxy = 1 | added p50 | added p99 |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		if r.name == "direct" {
			fmt.Fprintf(&b, "| %s | %d | *the provider alone* | | | *%s* | *%s* |\n", r.call, r.connections, ms(r.p50), ms(r.p99))
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %.0f µs | %.1f | %s | %s |\n", r.call, r.connections, r.name, r.cpu, r.ofBest, ms(r.p50), ms(r.p99))
	}
	return b.String()
}

// benchIdle tells what an idle connection costs each proxy, and how soon each serves after its start.
func benchIdle(t *testing.T, r *report) {
	all := peers{rival: rivals(t, 1)}
	all.haproxy = dial(t, "haproxy", haproxy(t, all.direct.lines[0].host), 1)
	said := make([]string, 0, 3)
	for _, s := range []struct {
		name string
		*side
	}{{"HAProxy", all.haproxy}, {"ReverseProxy", all.plain}, {"Segue", all.agent}} {
		s.prepare(t)
		before, err := memory(s.pid)
		must(t, err)
		for range idleConnections {
			idle(t, s.lines[0].host)
		}
		after, err := memory(s.pid)
		must(t, err)
		said = append(said, fmt.Sprintf("%s %.1f KiB", s.name, float64(after-before)/1024/idleConnections))
	}
	r.facts = append(r.facts, fmt.Sprintf("Resident memory for each idle connection of an application that made one call, %d of them: %s.", idleConnections, strings.Join(said, ", ")))
}

// idle opens a connection, makes one call on it and leaves it open.
func idle(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	l := &line{conn: conn, in: bufio.NewReader(conn), host: addr}
	must(t, l.glance())
}

// benchStart measures from the start of an agent's process to its first answered call, while no control node runs.
func benchStart(t *testing.T, r *report) {
	up := role(t, "upstream", "")
	dir := t.TempDir()
	a := newLoneAgent(t, dir, up.addr)
	var took []time.Duration
	for range startRounds {
		took = append(took, a.firstCall(t))
	}
	r.facts = append(r.facts, fmt.Sprintf("From the start of an agent's process to its first answered call, with no control node up and the policy from its disk: %s in the median of %d (%s at most).",
		ms(median(took)), len(took), ms(quantile(took, 1))))
}

// loneAgent is an agent that has been served a policy once and finds nobody now.
type loneAgent struct {
	args    []string
	service string
}

func newLoneAgent(t *testing.T, dir, upstream string) *loneAgent {
	t.Helper()
	control, raft, admin, service := free(t), free(t), free(t), free(t)
	_, port, err := net.SplitHostPort(service)
	must(t, err)
	file := filepath.Join(dir, "p.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, document, port, upstream, upstream), 0o600))
	a := &loneAgent{service: service, args: []string{"agent", "--region", "local", "--dir", filepath.Join(dir, "agent"), "--control", control, "--admin", admin, "--port-offset", "0", "--log", "warn"}}
	t.Run("a policy once", func(t *testing.T) {
		segue(t, "control", "--dir", filepath.Join(dir, "control"), "--listen", control, "--raft", raft, "--log", "warn")
		command(t, "policy", "apply", file, "--api", "http://"+control, "--reason", "bench")
		segue(t, a.args...)
		eventually(t, "the agent serves", a.call)
	})
	return a
}

// call makes one call. Until the service listens, it is an error.
func (a *loneAgent) call() error {
	r, err := http.NewRequest(http.MethodGet, "http://"+a.service+"/v1/charges/ch_1", nil)
	if err != nil {
		return err
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

func (a *loneAgent) firstCall(t *testing.T) (took time.Duration) {
	t.Helper()
	t.Run("start", func(t *testing.T) {
		begin := time.Now()
		segue(t, a.args...)
		for deadline := begin.Add(20 * time.Second); a.call() != nil; {
			if time.Now().After(deadline) {
				t.Fatal("the agent never served")
			}
			<-time.After(time.Millisecond)
		}
		took = time.Since(begin)
	})
	return took
}

// memory is what a process holds, in bytes.
func memory(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("bench: unexpected memory status %q", b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func TestPeerTable(t *testing.T) {
	text := peerTable([]peerRow{{call: "a read", connections: 32, name: "direct", p50: time.Millisecond, p99: 2 * time.Millisecond},
		{call: "a read", connections: 32, name: "HAProxy", cpu: 12.4, ofBest: 1, p50: 100 * time.Microsecond, p99: 300 * time.Microsecond}})
	for _, want := range []string{"| a read | 32 | *the provider alone* | | | *1.00 ms* | *2.00 ms* |", "| a read | 32 | HAProxy | 12 µs | 1.0 | 0.10 ms | 0.30 ms |"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
