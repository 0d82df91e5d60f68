package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/e2e/patience"
)

// ask is one call of an application.
type ask struct {
	method, path string
	key, session string
	form         url.Values
	raw          string // the body, where it is no form
	header       map[string]string
	timeout      time.Duration // a minute
}

// told is how the call ended for the application.
type told struct {
	status int
	header http.Header
	body   []byte
	err    error // there was no whole answer
}

// caller is an application: it repeats nothing by itself.
type caller struct {
	t    testing.TB
	base string
	slot string // the API key that its SDK shows
	http *http.Client
}

// credential is the provider's, which only the agent knows; token is the application's.
const (
	credential = "sk_e2e_4f1c9a7be2"
	appToken   = "sk_test_application"
)

// newCaller calls the service at base; its connections end with the test.
func newCaller(t testing.TB, base string) *caller {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &caller{t: t, base: base, slot: appToken, http: &http.Client{Transport: seen{tr}}}
}

func (w *world) caller(region string) *caller { return newCaller(w.t, w.url(region)) }

// do makes the call, and makes it again under its key where the disk stood still and the ledger could therefore not be written: the agent says
// itself that nothing left it then.
func (c *caller) do(a ask) told {
	for tries := 0; ; tries++ {
		at := time.Now()
		if got := c.once(a); !got.unsent() || tries == 60 || !patience.Excuses(at) {
			return got
		}
		passes(c.t, 500*time.Millisecond)
	}
}

// unsent tells whether nothing was sent, as where the ledger was not written in the call's time, or so late that the agent's lease was over.
func (a told) unsent() bool {
	p := a.problem()
	return p != "" && a.status == http.StatusServiceUnavailable || p == "outcome-unknown" && strings.Contains(a.header.Get("Segue-Route"), "error=stale_send") && !strings.Contains(a.header.Get("Segue-Route"), ",")
}

// once makes the call. net/http would send a POST again by itself if it could rewind the body and knew the key's name: it can do neither.
func (c *caller) once(a ask) told {
	if a.timeout == 0 {
		a.timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.timeout)
	defer cancel()
	resp, err := c.open(ctx, a)
	if err != nil {
		return told{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return told{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

// open makes the call and leaves the answer's body to the caller.
func (c *caller) open(ctx context.Context, a ask) (*http.Response, error) {
	content := a.form.Encode() + a.raw
	var body io.Reader
	if content != "" {
		body = struct{ io.Reader }{strings.NewReader(content)}
	}
	r, err := http.NewRequestWithContext(ctx, a.method, c.base+a.path, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+c.slot)
	if a.method == http.MethodPost {
		r.ContentLength = int64(len(content))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.key != "" {
		r.Header["idempotency-key"] = []string{a.key}
	}
	if a.session != "" {
		r.Header.Set("Session-Id", a.session)
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	return c.http.Do(r)
}

// charge asks for a charge under the key, which is the order's name too.
func (c *caller) charge(order, session string) told {
	return c.do(chargeOf(order, session))
}

func chargeOf(order, session string) ask {
	return ask{method: http.MethodPost, path: "/v1/charges", key: order, session: session, form: url.Values{
		"amount": {"1290"}, "currency": {"eur"}, "source": {"tok_visa"}, "metadata[order]": {order},
	}}
}

func (c *caller) get(path, session string) told {
	return c.do(ask{method: http.MethodGet, path: path, session: session})
}

// document is the answer as a problem or an object.
type document struct {
	ID          string
	Type, Title string
	Detail      string
	Status      int
	Executed    string
	Retry       string
	Transaction string
	Error       *struct{ Type, Code, Message string }
}

func (a told) document() document {
	var d document
	var loose struct {
		Status json.RawMessage `json:"status"` // a number in a problem, a word in Stripe's objects
	}
	_ = json.Unmarshal(a.body, &d) // what does not fit stays empty, and the test says what it wanted
	_ = json.Unmarshal(a.body, &loose)
	_ = json.Unmarshal(loose.Status, &d.Status)
	return d
}

// problem is the last part of the problem's type, or "".
func (a told) problem() string {
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		return ""
	}
	return strings.TrimPrefix(a.document().Type, "/problems/")
}

func (a told) String() string {
	if a.err != nil {
		return "no answer: " + a.err.Error()
	}
	return fmt.Sprintf("%d %s (%s) %.300s", a.status, a.problem(), a.header.Get("Segue-Route"), a.body)
}

// via is the provider that the answer's route ends at.
func (a told) via() string {
	hops := strings.Split(a.header.Get("Segue-Route"), ", ")
	name, _, _ := strings.Cut(hops[len(hops)-1], ";")
	return name
}

// must fails the test unless the answer is a 2xx.
func (a told) must(t testing.TB) told {
	t.Helper()
	if a.err != nil || a.status/100 != 2 {
		t.Fatalf("the call failed: %v", a)
	}
	return a
}

// ran is how a command ended.
type ran struct {
	code     int
	out, err string
}

// segue runs a command of the binary against the first control node.
func (w *world) segue(args ...string) ran {
	w.t.Helper()
	return w.segueAt(0, args...)
}

func (w *world) segueAt(node int, args ...string) ran {
	w.t.Helper()
	return command(w.t, w.dir, append(args, "--api", "http://"+passage(w.ports.api[node]))...)
}

func command(t testing.TB, dir string, args ...string) ran {
	t.Helper()
	bin := binary(t) // built before its time runs
	ctx, cancel := patience.Context(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin"}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("segue %s: %v", strings.Join(args, " "), err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// fine fails the test unless the command ended with 0.
func (r ran) fine(t testing.TB) ran {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit %d\n%s%s", r.code, r.out, r.err)
	}
	return r
}

func (r ran) decode(t testing.TB, into any) {
	t.Helper()
	r.fine(t)
	if err := json.Unmarshal([]byte(r.out), into); err != nil {
		t.Fatalf("%v in %s", err, r.out)
	}
}

// file writes a file of the world and returns its name.
func (w *world) file(name, content string) string {
	w.t.Helper()
	full := filepath.Join(w.dir, name)
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return full
}

// apply puts a policy in force, as an operator would; while no leader is known yet it asks again.
func (w *world) apply(policy string) {
	w.t.Helper()
	name := w.file("policy.yaml", policy)
	eventually(w.t, 20*time.Second, "the policy is in force", func() error {
		r := w.segue("policy", "apply", name, "--reason", "e2e")
		if r.code == 1 {
			w.t.Fatalf("the policy was refused: %s%s", r.out, r.err)
		}
		if r.code != 0 {
			return fmt.Errorf("exit %d: %s", r.code, r.err)
		}
		return nil
	})
}

// transactions lists those under a key, or all with "".
func (w *world) transactions(key string) []query.Transaction {
	w.t.Helper()
	args := []string{"tx", "list", "-o", "json", "--limit", "500"}
	if key != "" {
		args = append(args, "--key", key)
	}
	var list []query.Transaction
	eventually(w.t, 10*time.Second, "transactions are listed", func() error {
		r := w.segue(args...)
		if r.code != 0 {
			return errors.New(r.err)
		}
		return json.Unmarshal([]byte(r.out), &list)
	})
	return list
}

// api calls the control plane's API at a node. match is the revision the change starts from, "" for none.
func (w *world) api(node int, method, path, key, match string, body any) told {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	var content io.Reader = bytes.NewReader(raw)
	if body == nil {
		content = nil
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://"+w.ports.api[node]+"/api/v1"+path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Accept": "application/json", "Content-Type": "application/json", "Idempotency-Key": key, "If-Match": match, "Segue-Actor": "e2e", "Segue-Reason": "e2e",
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	resp, err := watched(time.Minute).Do(r)
	if err != nil {
		return told{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return told{status: resp.StatusCode, header: resp.Header, body: answer, err: err}
}
