package e2e

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/e2e/patience"
)

// uploadMemory is what uploads may cost an agent beyond the memory that its spool is given.
const uploadMemory = 16 << 20

// arrival is one request as a provider of uploads saw it.
type arrival struct {
	path, key string
	size      int64
	sum       [sha256.Size]byte
	header    http.Header
	trailer   http.Header
}

// depot is a provider that takes uploads and notes what arrived.
type depot struct {
	*httptest.Server
	mu   sync.Mutex
	came []arrival
	cut  atomic.Int64 // so many uploads are taken whole and then not answered
}

func newDepot(t testing.TB) *depot {
	d := &depot{}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	d.came = append(d.came, arrival{r.URL.Path, r.Header.Get("Idempotency-Key"), n, [sha256.Size]byte(sum.Sum(nil)), r.Header, r.Trailer})
	d.mu.Unlock()
	if d.cut.Add(-1) >= 0 {
		panic(http.ErrAbortHandler) // the connection dies, all of the request read
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Trailer", "X-Checksum")
	fmt.Fprintf(w, `{"id":"file_%d","size":%d}`, len(r.URL.Path), n)
	w.Header().Set("X-Checksum", fmt.Sprintf("%x", sum.Sum(nil)))
}

// arrived lists what came, and forgets it.
func (d *depot) arrived() []arrival {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.came
	d.came = nil
	return all
}

// nobody is an address where nothing listens.
func nobody(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

var itsEndpoint = regexp.MustCompile(`endpoint: "[^"]*"`)

// filesAPI is a contract of the user's own: uploads under keys, a POST that is a read, and reads.
const filesAPI = `  files/v1:
    dialect: stripe
    keys: {header: Idempotency-Key, enforced: true, life: 24h, max: 255}
    operations:
      upload: {match: POST /v1/files, key: required}
      scan: {match: POST /v1/scan, semantics: read}
      about: {match: POST /v1/about, key: required, follows: body.file}
      read: {match: GET /**}
    statuses: [{status: 200-299, class: ok, outcome: succeeded}, {status: 429, class: limited, outcome: not_sent}, {status: 400-499, class: ok, outcome: declined}, {status: 500-599, class: failure, outcome: unknown}]
`

// filesWorld is one agent before providers of that API, in the order of their preference.
func filesWorld(t testing.TB, flags []string, endpoints ...string) *world {
	t.Helper()
	p := alone()
	p.tries = "{max: 3, per_try: 50s, deadline: 110s}"
	p.edit = func(doc string) string {
		n := -1
		doc = itsEndpoint.ReplaceAllStringFunc(doc, func(string) string {
			n++
			return fmt.Sprintf("endpoint: %q", endpoints[min(n, len(endpoints)-1)])
		})
		doc = regexp.MustCompile(`contract: (stripe|keyless)/v1`).ReplaceAllString(doc, "contract: files/v1")
		doc = strings.Replace(doc, "speaks: stripe/v1", "speaks: files/v1", 1)
		return regexp.MustCompile(`  keyless/v1:.*\n`).ReplaceAllString(doc, filesAPI)
	}
	return prepare(t, p).begin(flags...)
}

// begin starts the smallest world, with flags for its agent.
func (w *world) begin(flags ...string) *world {
	w.t.Helper()
	w.agents["local"].args = append(w.agents["local"].args, flags...)
	w.nodes[0].start()
	w.nodes[0].ready(w.ports.api[0], 20*time.Second)
	w.apply(w.policy())
	w.agents["local"].start()
	w.agents["local"].ready(w.admin("local"), 20*time.Second)
	return w
}

// pattern is a body of any size that costs no memory.
type pattern struct{ left, at int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), p.left))
	for i := range n {
		b[i] = byte((p.at + int64(i)) * 31 >> 3)
	}
	p.at += int64(n)
	p.left -= int64(n)
	return n, nil
}

func sumOf(size int64) [sha256.Size]byte {
	h := sha256.New()
	_, _ = io.Copy(h, &pattern{left: size})
	return [sha256.Size]byte(h.Sum(nil))
}

// upload sends a body and returns the answer. length: whether the request says how long it is.
func upload(t testing.TB, client *http.Client, url, key string, size int64, length bool) told {
	ctx, cancel := patience.Context(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, struct{ io.Reader }{&pattern{left: size}})
	if err != nil {
		return told{err: err}
	}
	if length {
		r.ContentLength = size
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	if key != "" {
		r.Header["idempotency-key"] = []string{key}
	}
	resp, err := client.Do(r)
	if err != nil {
		return told{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return told{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

// TestUploads sends 100 MB up, several at once, past a provider that refuses connections and over one that loses its reply: every byte,
// the same bytes under the same key again, and an agent that stays small.
func TestUploads(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	const spool = 4 << 20
	w := filesWorld(t, []string{"--spool-memory", "4MiB"}, nobody(t), d.URL)
	client := watched(5 * time.Minute)
	url := w.url("local")
	for i := range 20 {
		if got := upload(t, client, url+"/v1/files", fmt.Sprint("warm-", i), 100, true); got.status != 200 {
			t.Fatalf("%v", got)
		}
	}
	d.arrived()
	agent := w.agents["local"]
	size := int64(upTo(100_000_000, 30_000_000))
	want := sumOf(size)
	idle := agent.memory("VmRSS")
	agent.forgetPeak()
	d.cut.Store(1)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			path := [...]string{"/v1/files", "/v1/files", "/v1/scan"}[i]
			if got := upload(t, client, url+path, fmt.Sprint("key-", i), size, i != 1); got.status != 200 || got.err != nil {
				t.Errorf("%s %d: %v", path, i, got)
			}
		})
	}
	all.Wait()
	peak := agent.memory("VmHWM")
	t.Logf("idle %.1f MB, peak %.1f MB: %.1f MB beyond a spool of %d MiB", float64(idle)/1e6, float64(peak)/1e6, float64(peak-idle-spool)/1e6, spool>>20)
	if peak-idle > uploadMemory+spool {
		t.Errorf("peak − idle is %d MiB, over 16 beyond the spool's %d", (peak-idle)>>20, spool>>20)
	}
	keys := map[string]int{}
	for _, a := range d.arrived() {
		if a.sum != want || a.size != size {
			t.Errorf("%s under %q arrived with %d bytes, changed", a.path, a.key, a.size)
		}
		keys[a.path+" "+a.key]++
	}
	sends := 0
	for _, n := range keys {
		sends += n
	}
	if len(keys) != 3 || sends != 4 { // the one that was not answered came again, under its own key
		t.Errorf("sends by path and key: %v, want three and one of them twice", keys)
	}
	again := upload(t, client, url+"/v1/files", "key-0", size, true)
	if other := upload(t, client, url+"/v1/files", "key-0", size-1, true); again.header.Get("Idempotent-Replayed") != "true" || other.status != 422 {
		t.Errorf("the same upload again: %v; another under its key: %v", again, other)
	}
	if came := d.arrived(); len(came) != 0 {
		t.Errorf("%d uploads went out for those", len(came))
	}
	w.spoolIsEmpty()
}

// spoolIsEmpty looks for files that have a name: there is none, ever.
func (w *world) spoolIsEmpty() {
	w.t.Helper()
	left, err := os.ReadDir(filepath.Join(w.agentDir("local"), "spool"))
	if err != nil || len(left) > 0 {
		w.t.Errorf("the spool holds %v (%v)", left, err)
	}
}

// TestRefusedBeforeTheBody: what the header alone refuses is refused before an application that waits for leave sends its body.
func TestRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	w := filesWorld(t, []string{"--max-body", "1MiB"}, d.URL)
	for name, x := range map[string]struct {
		line, key string
		length    int
		status    string
	}{
		"too large":         {"POST /v1/files", "k1", 1<<20 + 1, "413"},
		"unknown operation": {"POST /v1/nothing", "k2", 10, "404"},
		"no key":            {"POST /v1/files", "", 10, "400"},
		"bad key":           {"POST /v1/files", `"open`, 10, "400"},
		"good":              {"POST /v1/files", "k3", 10, "100"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", strings.TrimPrefix(w.url("local"), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			key := ""
			if x.key != "" {
				key = "Idempotency-Key: " + x.key + "\r\n"
			}
			fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n%sContent-Length: %d\r\n\r\n", x.line, key, x.length)
			in := bufio.NewReader(c)
			first, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(first, "HTTP/1.1 "+x.status) {
				t.Fatalf("%q %v: want %s before any of the body", first, err, x.status)
			}
			if x.status != "100" {
				return
			}
			_, _ = in.ReadString('\n')
			_, _ = io.WriteString(c, "0123456789")
			if got, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(got, "HTTP/1.1 200") {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	if came := d.arrived(); len(came) != 1 || came[0].key != "k3" {
		t.Errorf("the provider heard %v", came)
	}
}

// TestSpoolIsBounded: a full spool refuses with words and a time to come back, gives its room back, and survives kill -9 without a trace.
func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	d := newDepot(t)
	w := filesWorld(t, []string{"--max-body", "8MiB", "--spool-disk", "2MiB"}, d.URL)
	client := watched(time.Minute)
	url := w.url("local") + "/v1/files"
	for i, length := range []bool{true, false} {
		got := upload(t, client, url, fmt.Sprint("big-", i), 3<<20, length)
		if got.status != 503 || got.problem() != "overloaded" || got.header.Get("Retry-After") == "" || got.document().Executed != "no" {
			t.Errorf("over the disk's room: %v", got)
		}
		if got := upload(t, client, url, fmt.Sprint("fits-", i), 3<<19, length); got.status != 200 {
			t.Errorf("after it: %v", got)
		}
	}
	if got := upload(t, client, url, "huge", 9<<20, true); got.status != 413 || got.problem() != "body-too-large" {
		t.Errorf("over the cap: %v", got)
	}
	about := strings.Replace(url, "files", "about", 1)
	if got := upload(t, client, about, "inside", 2<<20, true); got.status != 413 || !strings.Contains(got.document().Detail, "field") {
		t.Errorf("a large body of which a field decides: %v", got)
	}
	w.spoolIsEmpty()
	agent := w.agents["local"]
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url("local"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	fmt.Fprintf(c, "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: half\r\nContent-Length: 1000000\r\n\r\n")
	_, _ = io.CopyN(c, &pattern{left: 500_000}, 500_000)
	eventually(t, 10*time.Second, "the agent holds a file without a name", func() error { return holdsNameless(agent.pid()) })
	agent.kill()
	w.spoolIsEmpty()
	left := filepath.Join(w.agentDir("local"), "spool", "body-left")
	if err := os.WriteFile(left, []byte("a crash between making and unlinking"), 0o600); err != nil {
		t.Fatal(err)
	}
	agent.start()
	agent.ready(w.admin("local"), 20*time.Second)
	w.spoolIsEmpty()
}

func holdsNameless(pid int) error {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range open {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.Contains(to, "/spool/") && strings.HasSuffix(to, "(deleted)") {
			return nil
		}
	}
	return fmt.Errorf("none of %d open files is one", len(open))
}
