package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"segue/e2e/patience"
)

// secrets are the canaries of a run: what each is, and what it looks like. None may come out anywhere.
type secrets map[string]string

func newSecrets(seed uint64) secrets {
	rng := rand.New(rand.NewPCG(seed, 0xca))
	s := secrets{"card": fmt.Sprintf("4%015d", rng.Int64N(1e15))}
	for _, name := range []string{
		"cvv", "caller's key", "caller's cookie", "caller's header", "query", "answer", "answer's cookie", "answer's header", "provider's key", "redirect",
		"broken answer", "session field", "body of a read", "prompt", "upload", "trailer", "refused header", "chat key", "policy",
		"set item", "pinned field", "vault's name", "session's token", "refresh token", "hook's secret", "hook's body", "hook's signature",
	} {
		s[name] = fmt.Sprintf("%c%dn&/+%016x", 'a'+rune(len(s)), len(s), rng.Uint64())
	}
	return s
}

// leaky is a provider that says again whatever it was told, in every part of an answer, and breaks in every way.
type leaky struct {
	s      secrets
	mu     sync.Mutex
	orders map[string]int
	ours   string // our reference in the first charge that it breaks
	vault  int    // imports
}

// learnt is one of our references, whose end only a webhook tells, and how often the vault was written to.
func (l *leaky) learnt() (reference string, imports int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ours, l.vault
}

func (l *leaky) learn(r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	if ours := form.Get("metadata[ours]"); err == nil && r.Header.Get("X-How") == "reset" && l.ours == "" {
		l.ours = ours
	}
	if r.URL.Path == "/v1/vault/cards" {
		l.vault++
	}
}

func (l *leaky) times(path string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders[path]++
	return l.orders[path]
}

func (l *leaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what was cut is cut
	said := fmt.Sprintf("%s %s %s %v %s", l.s["answer"], body, r.URL.RawQuery, r.Header, l.s["provider's key"])
	w.Header().Set("Set-Cookie", "sid="+url.QueryEscape(l.s["answer's cookie"]))
	w.Header().Set("X-Secret", l.s["answer's header"])
	w.Header().Set("Content-Type", "application/json")
	l.learn(r, body)
	switch how := r.Header.Get("X-How"); how {
	case "":
		_, _ = fmt.Fprintf(w, `{"id":"ch_leaky%d","object":"charge","echo":%q}`, l.times("id"), said)
	case "stream":
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", said)
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	case "large":
		_, _ = fmt.Fprintf(w, `{"id":"ch_large","echo":%q,"fill":%q}`, said, strings.Repeat(l.s["answer"], 20_000))
	case "redirect":
		w.Header().Set("Location", "http://127.0.0.1:1/?token="+url.QueryEscape(l.s["redirect"]))
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "reset":
		panic(http.ErrAbortHandler)
	case "header", "status", "version", "length", "chunk":
		l.broken(w, how)
	default:
		var code int
		_, _ = fmt.Sscan(how, &code)
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"error":{"type":"card_error","code":"card_declined","message":%q}}`, said)
	}
}

// broken answers with bytes that are no HTTP, with the canary where readers like to quote.
func (l *leaky) broken(w http.ResponseWriter, how string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	secret := l.s["broken answer"]
	_, _ = io.WriteString(c, map[string]string{
		"header":  "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"status":  "HTTP/1.1 " + secret + "\r\n\r\n",
		"version": secret + "\r\n\r\n",
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
	}[how])
}

// leakyWorld is a world at the highest log level, whose first provider of payments and of chat is the leaky one. Each region's agent gets its
// own arguments too.
func leakyWorld(t *testing.T, s secrets, args func(w *world, region string) []string, regions ...string) (*world, *leaky) {
	leaks := &leaky{s: s, orders: map[string]int{}}
	l := httptest.NewServer(leaks)
	l.Config.ErrorLog = nil
	t.Cleanup(func() { l.CloseClientConnections(); l.Close() })
	p := talking()
	p.nodes, p.regions = 1, regions
	p.tries = "{max: 2, per_try: 5s, deadline: 15s}"
	var w *world
	p.edit = func(policy string) string {
		policy = strings.Replace(policy, "    strategy: weighted\n", "    operations: {charge: {match: POST /v1/charges, key: required, keep: request, execute_by: 60s}}\n    strategy: weighted\n", 1) // bodies too
		policy = w.vaulting(policy)
		policy = strings.ReplaceAll(policy, w.provider(mainProvider).URL(), l.URL)
		policy = strings.ReplaceAll(policy, w.provider(chatters[0]).URL(), l.URL)
		return strings.ReplaceAll(policy, "file:"+w.secret, "file:"+filepath.Join(w.dir, "secret", "provider"))
	}
	w = prepare(t, p)
	if err := os.Mkdir(filepath.Join(w.dir, "secret"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.file(filepath.Join("secret", "provider"), s["provider's key"]+"\n")
	w.file(filepath.Join("secret", "hooks"), s["hook's secret"]+"\n")
	loud := func(process *process, more ...string) {
		process.args = append(append(process.args, "--log", "debug"), more...)
		process.env = append(process.env, "GOTRACEBACK=all")
		process.start()
	}
	loud(w.nodes[0])
	w.nodes[0].ready(w.ports.api[0], 20*time.Second)
	w.apply(w.policy())
	for _, region := range regions {
		loud(w.agents[region], args(w, region)...)
		w.agentReady(region, time.Minute)
	}
	return w, leaks
}

// TestCanaries sends card numbers, keys and other secrets through every path, and finds none of them in any file or output of Segue's, raw,
// encoded or packed. What applications are answered is theirs; problems are Segue's.
func TestCanaries(t *testing.T) {
	t.Parallel()
	s := newSecrets(seed(t))
	w, leaks := leakyWorld(t, s, func(*world, string) []string { return nil }, "local")
	seen := newFinder(s)
	imports := w.leakAll(t, s, leaks, seen)
	w.crash(t)
	files := seen.tree(t, w.dir)
	rows := seen.store(t, filepath.Join(w.agentDir("local"), "store"))
	seen.verdict(t, files, rows, imports)
}

// leakAll sends every secret on every way, and looks through all that can be asked of Segue afterwards.
func (w *world) leakAll(t *testing.T, s secrets, leaks *leaky, seen *finder) (imports int) {
	t.Helper()
	w.leakCalls(t, s, seen)
	reference, imports := leaks.learnt()
	w.leakHooks(s, reference, seen)
	w.leakOutputs(seen)
	return imports
}

// crash ends the agents with the dump of a crash, every goroutine's stack, and takes away the operator's own file of secrets.
func (w *world) crash(t *testing.T) {
	t.Helper()
	for name, agent := range w.agents {
		agent.signal(syscall.SIGQUIT)
		agent.await(10 * time.Second)
		if !strings.Contains(agent.said(), "goroutine ") {
			t.Errorf("SIGQUIT left no dump of %s", name)
		}
	}
	w.nodes[0].signal(syscall.SIGTERM)
	w.nodes[0].await(20 * time.Second)
	if err := os.RemoveAll(filepath.Join(w.dir, "secret")); err != nil {
		t.Fatal(err)
	}
}

// verdict tells what was found, and fails where too little was looked through.
func (f *finder) verdict(t *testing.T, files, rows, imports int) {
	t.Helper()
	t.Logf("%d outputs, %d files, %d rows looked through for %d secrets; %d imports", f.texts, files, rows, len(f.secrets), imports)
	if imports == 0 || f.texts < 60 || files < 10 || rows < 20 {
		t.Error("too little was looked through to show anything")
	}
	for where, what := range f.found {
		t.Errorf("%s: %s", where, what)
	}
}

// leakCalls makes calls that succeed, are declined, fail, stay unknown, are refused: each with every secret.
func (w *world) leakCalls(t *testing.T, s secrets, seen *finder) {
	t.Helper()
	c := w.caller("local")
	c.slot = s["caller's key"]
	form := url.Values{
		"amount": {"1290"}, "currency": {"eur"}, "card[number]": {s["card"]}, "card[cvc]": {s["cvv"]},
	}
	header := func(how string) map[string]string {
		return map[string]string{"Cookie": "sid=" + url.QueryEscape(s["caller's cookie"]), "X-Api-Key": s["caller's header"], "X-How": how}
	}
	query := "?api_key=" + url.QueryEscape(s["query"])
	problem := func(name string, a told) {
		if a.problem() != "" {
			seen.text("answer to "+name, fmt.Sprintf("%v %s", a.header, a.body))
		}
		seen.text("headers of ours to "+name, fmt.Sprint(a.header.Get("Segue-Route"), a.header.Get("Segue-Decision"), a.header.Get("Segue-Transaction"), a.header.Get("Server-Timing")))
	}
	w.leakSessions(s, header, problem) // first: what follows may end with the leaky provider left, and then nothing is imported there
	ways := []string{"", "402", "400", "401", "403", "404", "409", "422", "429", "500", "503", "large", "redirect", "reset", "header", "status", "version", "length", "chunk"}
	var group sync.WaitGroup
	for _, how := range ways {
		group.Go(func() {
			for range 2 { // once more: a replay, or a retry of what is unknown
				problem("an effect "+how, c.do(ask{method: http.MethodPost, path: "/v1/charges", key: "canary-" + how, session: "ses-" + how, form: form, header: header(how)}))
			}
			problem("a read "+how, c.do(ask{method: http.MethodGet, path: "/v1/charges/ch_1" + query, header: header(how)}))
		})
	}
	group.Wait()
	other := url.Values{"amount": {"1"}, "card[number]": {s["card"]}}
	problem("a key that was used", c.do(ask{method: http.MethodPost, path: "/v1/charges", key: "canary-", form: other, header: header("")}))
	problem("no key", c.do(ask{method: http.MethodPost, path: "/v1/charges", form: form, header: header("")}))
	problem("no operation", c.do(ask{method: http.MethodPost, path: "/v1/nowhere" + query, key: "k", form: form, header: header("")}))
	problem("another method", c.do(ask{method: http.MethodDelete, path: "/v1/charges" + query, header: header("")}))
	problem("a query", c.do(ask{method: http.MethodPost, path: "/v1/charges" + query, key: "with-query", form: form, header: header("reset")}))
	for _, name := range []string{"Idempotency-Key", "Segue-Value", "Segue-Deadline", "Segue-Dry-Run", "Prefer", "Expect", "Content-Encoding"} {
		h := header("")
		h[name] = s["refused header"] + "\u00a0"
		problem("a strange "+name, c.do(ask{method: http.MethodPost, path: "/v1/charges", key: "strange" + name, form: form, header: h}))
	}
	upload := url.Values{"file": {strings.Repeat(s["upload"], 10_000)}}
	problem("an upload", c.do(ask{method: http.MethodPost, path: "/v1/charges", key: "upload", form: upload, header: header("reset")}))
	w.leakChat(s, problem)
	w.leakRaw(s, seen)
}

// leakChat talks to a model: whole answers, streams that are cut, failures.
func (w *world) leakChat(s secrets, problem func(string, told)) {
	c := w.chatter()
	c.slot = s["chat key"]
	for _, how := range []string{"", "stream", "401", "500", "reset", "status"} {
		raw := fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":%q}]}`, how == "stream", s["prompt"])
		problem("a chat "+how, c.do(ask{method: http.MethodPost, path: "/v1/chat/completions", session: "talk", raw: raw, header: map[string]string{"X-How": how, "Content-Type": "application/json"}}))
	}
}

// leakRaw sends what no client would: requests that are refused while they are read.
func (w *world) leakRaw(s secrets, seen *finder) {
	w.t.Helper()
	addr := strings.TrimPrefix(w.url("local"), "http://")
	secret := s["refused header"]
	for _, text := range []string{
		"POST /v1/charges HTTP/1.1\r\nHost: a\r\n" + secret + "\r\n\r\n",
		"POST /v1/charges HTTP/1.1\r\nHost: a\r\nX: " + secret + "\rb\r\n\r\n",
		"GET " + secret + " HTTP/1.1\r\nHost: a\r\n\r\n",
		secret + " /v1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /v1/charges HTTP/1.1\r\nHost: a\r\nAuthorization: " + secret + "\r\nAuthorization: " + secret + "\r\nContent-Length: 0\r\nIdempotency-Key: k1\r\n\r\n",
		"POST /v1/charges HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k2\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n0\r\nX-T: " + s["trailer"] + "\r\n\r\n",
		"POST /v1/charges HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k3\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, text)
		answer := make([]byte, 64<<10)
		n, _ := c.Read(answer)
		_ = c.Close()
		seen.text("answer to a broken request", string(answer[:n]))
	}
}

// leakOutputs asks for all that can be asked of Segue: commands, pages, the API, metrics, a backup.
func (w *world) leakOutputs(seen *finder) {
	w.t.Helper()
	bad := strings.Replace(w.policy(), `credential: "file:`, `credential: "`+seen.secrets["policy"], 1)
	for _, args := range [][]string{
		{"status"}, {"doctor"}, {"doctor", "--dir", w.agentDir("local")}, {"tx", "list"}, {"tx", "list", "-o", "json", "--limit", "500"}, {"tx", "list", "-o", "yaml"}, {"provider", "list", "-o", "json"},
		{"provider", "show", mainProvider, "-o", "json"}, {"region", "list", "-o", "json"}, {"contract", "list", "-o", "json"}, {"policy", "get"}, {"policy", "log", "-o", "json"},
		{"events", "-o", "json"}, {"drill", "list", "-o", "json"}, {"cluster", "status", "-o", "json"}, {"cluster", "backup", filepath.Join(w.dir, "segue.backup")},
		{"policy", "validate", w.file(filepath.Join("secret", "bad.yaml"), bad)}, {"policy", "apply", filepath.Join(w.dir, "secret", "bad.yaml"), "--reason", "x"},
		{"session", "show", "ses-"}, {"session", "show", "talk", "-o", "json"}, {"session", "show", "ses-stays"}, {"session", "show", "ses-moves", "-o", "json"}, {"session", "verify", "ses-moves"}, {"hint", "list", "-o", "json"},
	} {
		r := w.segue(args...)
		seen.text("segue "+strings.Join(args, " "), r.out+r.err)
	}
	base := "http://" + w.ports.api[0]
	paths := []string{
		"/", "/routing", "/routing/payments", "/routing.yaml", "/regions", "/regions/local", "/providers", "/providers/" + mainProvider, "/changes", "/changes/1", "/cluster", "/api", "/transactions",
		"/transactions?state=held", "/sessions", "/hints", "/metrics", "/openapi.json", "/debug/pprof/", "/api/v1/policy", "/api/v1/providers", "/api/v1/regions", "/api/v1/transactions?limit=500", "/api/v1/health",
		"/api/v1/cluster/agents", "/api/v1/policy/revisions", "/api/v1/feed/local", "/api/v1/events", "/api/v1/sessions/talk", "/api/v1/sessions/ses-stays", "/api/v1/sessions/ses-moves", "/sessions/ses-moves", "/api/v1/hints", "/api/v1/audit",
	}
	for _, row := range w.transactions("") {
		paths = append(paths, "/transactions/"+row.ID, "/api/v1/transactions/"+row.ID, "/api/v1/transactions/"+row.ID+"/why")
		r := w.segue("tx", "why", row.ID)
		seen.text("segue tx why", r.out+r.err)
	}
	for _, path := range paths {
		seen.page(w.t, base+path)
	}
	for _, path := range []string{"/metrics", "/readyz", "/version", "/debug/pprof/goroutine?debug=2"} {
		seen.page(w.t, "http://"+w.admin("local")+path)
	}
}

// page looks through one page; a stream is read for a moment.
func (f *finder) page(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := patience.Context(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(address, "/api/") {
		r.Header.Set("Accept", "application/json")
	}
	if strings.HasSuffix(address, "/events") {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r = r.WithContext(ctx)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return // nobody serves it
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body) // a stream ends by its time
	f.text("GET "+address, fmt.Sprintf("%v %s", resp.Header, body))
}
