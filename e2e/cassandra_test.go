package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clusterOffset is where the cluster of the test is: 127.0.OFFSET.1 and up.
const clusterOffset = "202"

// onCassandra is `make run-cassandra`, and callers of it.
type onCassandra struct {
	t      *testing.T
	dir    string
	offset int
	run    *exec.Cmd
	ended  chan struct{}
	log    string
	http   *http.Client
	n      int
}

// TestCassandra starts the product on a real Cassandra as people do, three nodes in three data centres with a region in each, and calls it
// while a data centre is dead, while one hangs, and while two of three are gone (SEGUE_OUTAGE, 45s). The providers' books say: nothing
// twice, nothing lost. At the end nobody is left behind.
func TestCassandra(t *testing.T) {
	if os.Getenv("SEGUE_CASSANDRA") == "" {
		t.Skip("needs a real Cassandra: make cassandra")
	}
	w := &onCassandra{t: t, dir: t.TempDir(), offset: devOffset(t), http: &http.Client{Timeout: 30 * time.Second}}
	w.start()
	defer w.end()
	eventually(t, 8*time.Minute, "it is up", func() error {
		if w.gone() {
			t.Fatalf("it ended: %s", w.said())
		}
		if !strings.Contains(w.said(), "Segue is up") {
			return fmt.Errorf("%s", tail(w.said(), 3))
		}
		return nil
	})
	w.sharedKeys()
	w.declare()
	for range 3 { // a server that has just started compiles itself while it works
		w.serves("warming up")
	}
	calm := w.serves("all three data centres live")
	w.cluster("kill", "3")
	dead := w.serves("one of three is dead")
	w.cluster("up", "3")
	w.cluster("pause", "2")
	paused := w.serves("one of three hangs")
	w.cluster("resume", "2")
	t.Logf("charges, end to end, median: %s with all; %s with one dead (%+d ms); %s with one paused (%+d ms)", calm, dead, (dead - calm).Milliseconds(), paused, (paused - calm).Milliseconds())
	w.withoutQuorum()
	w.interrupt()
}

func (w *onCassandra) env() []string {
	return append(os.Environ(), "SEGUE_BIN="+binary(w.t), "SEGUE_CASSANDRA_OFFSET="+clusterOffset, "TMPDIR="+w.dir)
}

func (w *onCassandra) start() {
	w.log = filepath.Join(w.dir, "run.log")
	out, err := os.Create(w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	w.run = exec.Command(filepath.Join(moduleRoot(w.t), "deploy/cassandra/run"), "--port-offset", fmt.Sprint(w.offset), "--seed", fmt.Sprint(seed(w.t)), "--rate", "2")
	w.run.Env, w.run.Stdout, w.run.Stderr = w.env(), out, out
	w.run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.run.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.ended = make(chan struct{})
	go func() { _ = w.run.Wait(); close(w.ended) }()
}

func (w *onCassandra) gone() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

func (w *onCassandra) said() string {
	b, _ := os.ReadFile(w.log)
	return string(b)
}

// end leaves nothing behind a test that failed.
func (w *onCassandra) end() {
	if !w.gone() {
		_ = w.run.Process.Signal(syscall.SIGTERM)
		select {
		case <-w.ended:
		case <-time.After(time.Minute):
			_ = syscall.Kill(-w.run.Process.Pid, syscall.SIGKILL)
		}
	}
	w.cluster("wipe")
	if w.t.Failed() {
		w.t.Logf("--- the last that it said\n%s", tail(w.said(), 40))
	}
}

func (w *onCassandra) cluster(args ...string) {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(moduleRoot(w.t), "deploy/cassandra/cluster"), args...)
	cmd.Env = append(w.env(), fmt.Sprint("SEGUE_CASSANDRA_OWNER=", w.run.Process.Pid))
	cmd.Env = append(cmd.Env, "SEGUE_CASSANDRA_HEAP=384M")
	out, err := os.CreateTemp(w.dir, "cluster-*") // not a pipe: a node that is started holds it open
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		w.t.Errorf("cluster %v: %v: %s", args, err, said)
	}
}

// replied is how a call ended.
type replied struct {
	status int
	body   string
	header http.Header
	took   time.Duration
}

// charge makes a payment in a region, by its number.
func (w *onCassandra) charge(region int, key string) (replied, error) {
	form := url.Values{"amount": {"1290"}, "currency": {"eur"}, "source": {"tok_visa"}}.Encode()
	r, err := http.NewRequest("POST", fmt.Sprintf("http://127.0.0.1:%d/v1/charges", 7101+100*region+w.offset), strings.NewReader(form))
	if err != nil {
		return replied{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Authorization", "Bearer sk_of_the_application")
	return w.call(r)
}

// question is a call without an effect.
func (w *onCassandra) question(region int) (replied, error) {
	r, err := http.NewRequest("POST", fmt.Sprintf("http://127.0.0.1:%d/v1/chat/completions", 7103+100*region+w.offset), strings.NewReader(`{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}`))
	if err != nil {
		return replied{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer sk_any")
	return w.call(r)
}

func (w *onCassandra) call(r *http.Request) (replied, error) {
	began := time.Now()
	a, err := w.http.Do(r)
	if err != nil {
		return replied{}, err
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	return replied{a.StatusCode, string(b), a.Header, time.Since(began)}, err
}

// key is a new one.
func (w *onCassandra) key() string {
	w.n++
	return fmt.Sprintf("cassandra-%d", w.n)
}

// sharedKeys: the key of a call in one region is known in the others, with its answer.
func (w *onCassandra) sharedKeys() {
	key := w.key()
	var first replied
	eventually(w.t, time.Minute, "a charge is made", func() (err error) {
		if first, err = w.charge(0, key); err == nil && first.status != 200 {
			err = fmt.Errorf("%d %s", first.status, first.body)
		}
		return err
	})
	for region := 1; region < 3; region++ {
		again, err := w.charge(region, key)
		if err != nil || again.status != 200 || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
			w.t.Errorf("region %d does not know the key: %d %s: %v", region, again.status, again.body, err)
		}
	}
}

// serves: charges and questions are answered in every region. It returns the median of the charges.
func (w *onCassandra) serves(what string) time.Duration {
	w.t.Helper()
	var took []time.Duration
	refused := map[string]int{}
	until := time.Now().Add(90 * time.Second)
	for n := 0; len(took) < 30 && time.Now().Before(until); n++ {
		a, err := w.charge(n%3, w.key())
		switch {
		case err != nil:
			w.t.Errorf("%s: %v", what, err)
		case a.status == 200:
			took = append(took, a.took)
		default: // what was in flight when the node went
			refused[kindOf(a.body)]++
		}
		if a, err := w.question(n % 3); err != nil || a.status != 200 {
			w.t.Errorf("%s: a question in region %d: %d %s: %v", what, n%3, a.status, a.body, err)
		}
	}
	if len(took) < 30 {
		w.t.Fatalf("%s: only %d charges were made; refused: %v", what, len(took), refused)
	}
	slices.Sort(took)
	w.t.Logf("%s: %d charges, p50 %s, longest %s; refused: %v", what, len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), refused)
	return took[len(took)/2]
}

// kindOf is a problem's type.
func kindOf(body string) string {
	var problem struct{ Type string }
	_ = json.Unmarshal([]byte(body), &problem)
	return strings.TrimPrefix(problem.Type, "/problems/")
}

// declare gives the chat's sessions a counter: what is written twice shows in it.
func (w *onCassandra) declare() {
	w.t.Helper()
	const at = "    speaks: openai/v1\n"
	api := fmt.Sprintf("--api=http://127.0.0.1:%d", 7070+w.offset)
	text, err := exec.Command(binary(w.t), "policy", "get", api).Output()
	if err != nil || strings.Count(string(text), at) != 1 {
		w.t.Fatalf("the policy in force: %v: %s", err, text)
	}
	file := filepath.Join(w.dir, "policy.yaml")
	changed := strings.Replace(string(text), at, at+"    session: {seen: {class: rebuilt, kind: counter}}\n", 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.Command(binary(w.t), "policy", "apply", file, api, "--yes", "--reason=a counter").CombinedOutput(); err != nil {
		w.t.Fatalf("apply: %v: %s", err, out)
	}
}

// counter adds one to the conversation's counter in a region, or reads it.
func (w *onCassandra) counter(region int, add bool) (replied, error) {
	method, body := http.MethodGet, ""
	if add {
		method, body = http.MethodPut, `{"add": 1}`
	}
	r, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d/.segue/v1/sessions/talk/fields/seen", 7103+100*region+w.offset), strings.NewReader(body))
	if err != nil {
		return replied{}, err
	}
	return w.call(r)
}

// begun lets each region see the conversation: without a quorum a region goes on with the sessions that it knows.
func (w *onCassandra) begun() (added int) {
	w.t.Helper()
	for region := range 3 {
		eventually(w.t, time.Minute, "the counter is there", func() error {
			a, err := w.counter(region, true)
			if err == nil && a.status != 204 {
				err = fmt.Errorf("%d %s", a.status, a.body)
			}
			return err
		})
		added++
	}
	return added
}

// caughtUp: each region's hints have gone to the store, and the conversation's counter says in each what was acknowledged: nothing lost,
// nothing applied twice.
func (w *onCassandra) caughtUp(added int) {
	w.t.Helper()
	back := time.Now()
	eventually(w.t, 2*time.Minute, "no hint waits", func() error {
		waiting, _, err := w.backlog()
		if err == nil && waiting > 0 {
			err = fmt.Errorf("%d wait", waiting)
		}
		return err
	})
	w.t.Logf("%s later no hint waits", time.Since(back).Round(time.Millisecond))
	for region := range 3 {
		want := fmt.Sprintf(`{"value":%d}`, added)
		if a, err := w.counter(region, false); err != nil || a.status != 200 || strings.TrimSpace(a.body) != want {
			w.t.Errorf("%d were added to the counter; region %d says %d %s: %v", added, region, a.status, a.body, err)
		}
	}
}

// backlog counts the hints of all agents that wait or are held, and the agents whose store is away.
func (w *onCassandra) backlog() (waiting, away int, err error) {
	r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/api/v1/hints", 7070+w.offset), nil)
	if err != nil {
		return 0, 0, err
	}
	a, err := w.call(r)
	if err != nil {
		return 0, 0, err
	}
	var v struct {
		Agents []struct {
			Waiting, Held int
			Away          bool
			Problem       string
		}
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || len(v.Agents) != 3 {
		return 0, 0, fmt.Errorf("the hints: %d %s: %w", a.status, a.body, err)
	}
	for _, g := range v.Agents {
		if g.Problem != "" {
			return 0, 0, fmt.Errorf("the hints: %s", g.Problem)
		}
		waiting += g.Waiting + g.Held
		if g.Away {
			away++
		}
	}
	return waiting, away, nil
}

// withoutQuorum: two of three data centres are gone. Effects are refused as not executed, questions are answered and sessions written;
// afterwards all goes on, and what callers were told is so in the providers' books and in the sessions.
func (w *onCassandra) withoutQuorum() {
	length := 45 * time.Second
	if d, err := time.ParseDuration(os.Getenv("SEGUE_OUTAGE")); err == nil {
		length = d
	}
	added := w.begun()
	w.cluster("kill", "3")
	w.cluster("kill", "2")
	began, refused, questions := time.Now(), 0, 0
	for n := 0; time.Since(began) < length; n++ {
		a, err := w.charge(n%3, w.key())
		switch {
		case err != nil:
			w.t.Errorf("without a quorum: %v", err)
		case kindOf(a.body) == "no-quorum" && a.status == 503:
			refused++
		default:
			w.t.Errorf("without a quorum a charge ended as %d %s", a.status, a.body)
		}
		if a, err := w.question(n % 3); err != nil || a.status != 200 {
			w.t.Errorf("without a quorum, a question: %d %s: %v", a.status, a.body, err)
		} else {
			questions++
		}
		if a, err := w.counter(n%3, true); err != nil || a.status != 204 {
			w.t.Errorf("without a quorum, a session's field: %d %s: %v", a.status, a.body, err)
		} else {
			added++
		}
	}
	waiting, away, err := w.backlog()
	if err != nil || waiting == 0 || away != 3 {
		w.t.Errorf("%d hints wait, the store is away for %d agents: %v", waiting, away, err)
	}
	w.t.Logf("%s without a quorum: %d charges refused, none executed; %d questions answered, %d session fields written, %d hints wait", length, refused, questions, added, waiting)
	w.cluster("up", "2")
	w.cluster("up", "3")
	back := time.Now()
	eventually(w.t, time.Minute, "charges are made again", func() error {
		a, err := w.charge(0, w.key())
		if err == nil && a.status != 200 {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})
	w.t.Logf("%s after the nodes were back, charges are made again", time.Since(back).Round(time.Millisecond))
	w.serves("all are back")
	w.caughtUp(added)
	w.books()
}

// books holds what the shopper was told against the providers' books.
func (w *onCassandra) books() {
	r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/api/v1/sandbox/books", 7070+w.offset), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.call(r)
	if err != nil {
		w.t.Fatal(err)
	}
	var v struct{ Operations, Twice, Lost, Unknown, Guessed int }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != 200 {
		w.t.Fatalf("the books: %d %s: %v", a.status, a.body, err)
	}
	w.t.Logf("the providers' books: %d operations, %d twice, %d lost, %d guessed, %d unknown", v.Operations, v.Twice, v.Lost, v.Guessed, v.Unknown)
	if v.Operations < 100 || v.Twice+v.Lost+v.Guessed > 0 {
		w.t.Error("the books do not agree with what callers were told")
	}
}

// interrupt ends it as people do, and looks for what is left.
func (w *onCassandra) interrupt() {
	if err := syscall.Kill(-w.run.Process.Pid, syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	select {
	case <-w.ended:
	case <-time.After(time.Minute):
		w.t.Fatal("it does not end")
	}
	if code := w.run.ProcessState.ExitCode(); code != 0 {
		w.t.Errorf("it ended with %d", code)
	}
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range all {
		if line, _ := os.ReadFile(file); strings.Contains(string(line), "/cluster-"+clusterOffset+"/") {
			w.t.Errorf("%s is left: %.200q", file, line)
		}
	}
}
