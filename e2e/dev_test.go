package e2e

import (
	"bufio"
	bits "encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The page moves within so much of the binary's start.
const pageMoves = 5 * time.Second

// TestDevPageMoves starts the built binary as a newcomer does, and waits for figures on its page that change.
func TestDevPageMoves(t *testing.T) {
	binary(t) // built before the clock runs
	soonest := time.Hour
	for range 5 { // the machine may be busy with something else
		if soonest = min(soonest, pageStarts(t)); soonest <= pageMoves {
			return
		}
	}
	if soonest > slower*pageMoves {
		t.Errorf("in five starts the page moved after %v at the soonest, %v are promised", soonest, pageMoves)
	}
}

// pageStarts starts segue dev and ends it; it returns how long after the start the page moved.
func pageStarts(t *testing.T) time.Duration {
	t.Helper()
	dir := t.TempDir()
	offset := devOffset(t)
	p := newProcess(t, dir, "dev", "dev", "--port-offset", fmt.Sprint(offset), "--seed", fmt.Sprint(seed(t)))
	ui := fmt.Sprintf("127.0.0.1:%d", 7070+offset)
	began := time.Now()
	p.start()
	moved := eventMoves(t, p, "http://"+ui, began)
	t.Logf("the page moved %v after the start", moved)
	for _, addr := range listening(t, p.pid()) {
		if !addr.IP.IsLoopback() {
			t.Errorf("segue dev listens on %v, which is not loopback", addr)
		}
	}
	sandboxOperations(t, ui)
	p.signal(syscall.SIGTERM)
	if code := p.await(25 * time.Second); code != 0 {
		t.Errorf("segue dev ended with %d", code)
	}
	left, err := filepath.Glob(filepath.Join(dir, "segue-dev-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("its temporary folder is still there: %v %v", left, err)
	}
	return moved
}

// devOffset moves all of dev's ports to where nothing listens.
func devOffset(t *testing.T) int {
	t.Helper()
	for range 200 {
		offset := 15300 + 600*rand.IntN(9)                                       // above the worlds' blocks; no assembly reaches into the next one's ports
		sign, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 7099+offset)) // as a world's
		if err != nil {
			continue
		}
		if free(7070+offset, 29) && free(7101+offset, 3) && free(7201+offset, 3) && free(7301+offset, 3) && free(7600+offset, 10) {
			t.Cleanup(func() { _ = sign.Close() })
			return offset
		}
		_ = sign.Close()
	}
	t.Fatal("no free ports")
	return 0
}

// eventMoves reads the page's own stream until its figures have changed to calls in all three regions, and returns when that was.
func eventMoves(t *testing.T, p *process, base string, began time.Time) time.Duration {
	t.Helper()
	eventually(t, 30*time.Second, "the page moves", func() error {
		if !p.running() {
			t.Fatal("segue dev ended")
		}
		stream, err := streamOf(base)
		if err != nil {
			return err
		}
		defer stream.Close()
		return moves(stream)
	})
	return time.Since(began)
}

// carried are the page's figures when every region carries calls.
var (
	tags    = regexp.MustCompile(`<[^>]*>`)
	carried = regexp.MustCompile(`Calls\s+[0-9.]*[1-9][0-9.]*\s*/s\s+3 regions`)
)

// moves reads events until the figures differ from those that came first, and show calls in every region.
func moves(stream io.Reader) error {
	lines := bufio.NewReader(stream)
	for first := ""; ; {
		message, err := nextEvent(lines)
		if err != nil {
			return err
		}
		_, figures, ok := strings.Cut(message, `hx-target="#tiles"`)
		figures, _, _ = strings.Cut(figures, "</hx-partial>")
		figures = tags.ReplaceAllString(figures, " ")
		switch {
		case !ok:
		case first == "":
			first = figures
		case figures != first && carried.MatchString(figures):
			return nil
		}
	}
}

// streamOf finds the stream in the page, as a browser does, and opens it.
func streamOf(base string) (io.ReadCloser, error) {
	c := http.Client{Timeout: 30 * time.Second}
	page, err := c.Get(base + "/")
	if err != nil {
		return nil, err
	}
	defer func() { _ = page.Body.Close() }()
	html, err := io.ReadAll(page.Body)
	if err != nil {
		return nil, err
	}
	path := ""
	for _, attribute := range []string{`hx-sse:connect="`, `sse-connect="`, `hx-sse="connect:`} {
		if _, rest, ok := strings.Cut(string(html), attribute); ok {
			path, _, _ = strings.Cut(rest, `"`)
			break
		}
	}
	if page.StatusCode != http.StatusOK || path == "" {
		return nil, fmt.Errorf("the page: %s, no stream named in it", page.Status)
	}
	r, err := http.NewRequest(http.MethodGet, base+strings.ReplaceAll(path, "&amp;", "&"), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the stream %s: %s", path, resp.Status)
	}
	return resp.Body, nil
}

// nextEvent reads the data of one server-sent event.
func nextEvent(r *bufio.Reader) (string, error) {
	var data strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if rest, ok := strings.CutPrefix(line, "data:"); ok {
			data.WriteString(strings.TrimPrefix(rest, " ") + "\n")
		}
		if line == "" && data.Len() > 0 {
			return data.String(), nil
		}
	}
}

// listening are the sockets on which a process takes connections.
func listening(t *testing.T, pid int) []*net.TCPAddr {
	t.Helper()
	mine := map[string]bool{}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil {
			mine[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	var found []*net.TCPAddr
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			const listen = "0A"
			if f := strings.Fields(line); len(f) > 9 && f[3] == listen && mine[f[9]] {
				found = append(found, procAddr(t, f[1]))
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("no listening socket found")
	}
	return found
}

// procAddr reads an address as /proc/net/tcp writes it: words of four bytes in the machine's order.
func procAddr(t *testing.T, text string) *net.TCPAddr {
	t.Helper()
	host, port, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(host)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+4 <= len(ip); i += 4 {
		word := bits.NativeEndian.Uint32(ip[i:])
		bits.BigEndian.PutUint32(ip[i:], word)
	}
	var p int
	if _, err := fmt.Sscanf(port, "%X", &p); err != nil {
		t.Fatal(err)
	}
	return &net.TCPAddr{IP: ip, Port: p}
}

// TestLoopbackOnly holds every listener to its refusal of other addresses.
func TestLoopbackOnly(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"control --listen": {"control", "--dir", dir + "/c", "--listen", "0.0.0.0:0", "--raft", "127.0.0.1:0"},
		"control --raft":   {"control", "--dir", dir + "/c", "--listen", "127.0.0.1:0", "--raft", "0.0.0.0:0"},
		"agent --admin":    {"agent", "--region", "r", "--dir", dir + "/a", "--admin", "0.0.0.0:0"},
		"dev --ui":         {"dev", "--ui", "0.0.0.0:0", "--dir", dir + "/d", "--port-offset", fmt.Sprint(devOffset(t))},
	} {
		r := command(t, dir, args...)
		if r.code == 0 || !strings.Contains(r.err, "loopback") {
			t.Errorf("%s: exit %d, said %q: want a refusal that says loopback", name, r.code, r.err)
		}
	}
}
