package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// badRequest is bytes that an application should not send, and what the agent says to them.
type badRequest struct {
	raw     string
	status  int
	problem string // "": a bare answer, because the request does not parse
	code    string // error.code of the caller's dialect
}

// head is a request's first lines; more are added, and the empty line.
func head(line string, more ...string) string {
	return line + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk_test\r\n" + strings.Join(more, "")
}

const aForm = "amount=1290&currency=eur&source=tok_visa&metadata[order]=o-bad"

// paying is a charge with the header lines given.
func paying(more ...string) string {
	return head("POST /v1/charges", append(more, "Content-Type: application/x-www-form-urlencoded\r\n", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(aForm), aForm))...)
}

func badRequests() map[string]badRequest {
	huge := strings.Repeat("x", 2<<20)
	return map[string]badRequest{
		"unknown operation":           {head("GET /nothing/here", "\r\n"), 404, "unknown-operation", "segue_unknown_operation"},
		"unknown method":              {head("DELETE /v1/charges", "\r\n"), 404, "unknown-operation", "segue_unknown_operation"},
		"unknown service":             {"GET /v1/balance HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 404, "unknown-service", ""},
		"oversize header":             {head("GET /v1/balance", "X-Big: "+strings.Repeat("x", 200<<10)+"\r\n\r\n"), 431, "", ""},
		"body over its cap":           {head("POST /v1/charges", "Idempotency-Key: k\r\n", fmt.Sprintf("Content-Length: %d\r\n\r\n", len(huge)), huge), 413, "body-too-large", "segue_body_too_large"},
		"chunked body over its cap":   {head("POST /v1/charges", "Idempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(huge), huge)), 413, "body-too-large", "segue_body_too_large"},
		"no key":                      {paying(), 400, "key-missing", "segue_key_missing"},
		"empty key":                   {paying("Idempotency-Key: \r\n"), 400, "", ""},
		"key without its end":         {paying("Idempotency-Key: \"order\r\n"), 400, "key-malformed", "segue_key_malformed"},
		"two keys":                    {paying("Idempotency-Key: a\r\n", "Idempotency-Key: b\r\n"), 400, "key-malformed", "segue_key_malformed"},
		"a key of 100 KB":             {paying("Idempotency-Key: " + strings.Repeat("k", 100<<10) + "\r\n"), 431, "", ""},
		"a long key":                  {paying("Idempotency-Key: " + strings.Repeat("k", 1000) + "\r\n"), 400, "key-malformed", "segue_key_malformed"},
		"a bad session":               {head("GET /v1/balance", "Session-Id: a b\r\n\r\n"), 400, "header-malformed", "segue_header_malformed"},
		"two lengths":                 {head("POST /v1/charges", "Idempotency-Key: k\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400, "", ""},
		"two hosts":                   {head("GET /v1/balance", "Host: localhost\r\n\r\n"), 400, "", ""},
		"not HTTP":                    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and more of a handshake\r\n\r\n", 400, "", ""},
		"a body shorter than it says": {head("POST /v1/charges", "Idempotency-Key: k\r\nContent-Length: 500\r\n\r\nabc"), 400, "header-malformed", "segue_header_malformed"},
	}
}

// TestBadRequests sends what applications should not: each is told what is wrong, no provider hears of it, and the agent goes on.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := prepare(t, alone()).begin("--max-body", "1MiB")
	c := w.caller("local")
	c.charge("o-good", "").must(t)
	heard := w.heard()
	for name, b := range badRequests() {
		t.Run(name, func(t *testing.T) { b.judge(t, raw(t, w.url("local"), b.raw)) })
	}
	reused := chargeOf("o-good", "")
	reused.form.Set("amount", "4200")
	if got := c.do(reused); got.status != 422 || got.problem() != "key-reused" || got.document().Error == nil {
		t.Errorf("a key with another body: %v", got)
	}
	if now := w.heard(); now != heard {
		t.Errorf("providers heard %d requests where they had heard %d", now, heard)
	}
	if again := c.charge("o-good", "").must(t); again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the good charge is not replayed any more: %v", again)
	}
	if all := w.transactions(""); len(all) != 1 {
		t.Errorf("%d transactions in the ledger, not one", len(all))
	}
}

// heard counts every request at every provider.
func (w *world) heard() (n uint64) {
	for _, b := range w.box.Books() {
		for _, times := range b.Totals().Received {
			n += times
		}
	}
	return n
}

// raw writes bytes to a listener, says that no more will come, and reads what it answers.
func raw(t *testing.T, base, request string) told {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	wrote := make(chan struct{})
	go func() {
		_, _ = io.WriteString(conn, request) // a refusal may come before all is written
		if tcp, ok := conn.(*net.TCPConn); ok && strings.Contains(request, "Content-Length: 500") {
			_ = tcp.CloseWrite()
		}
		close(wrote)
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return told{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	_ = conn.Close()
	<-wrote
	return told{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

func (b badRequest) judge(t *testing.T, got told) {
	t.Helper()
	if got.err != nil || got.status != b.status && (b.problem != "" || got.status/100 != 4) {
		t.Fatalf("told %v: want %d %s", got, b.status, b.problem)
	}
	if b.problem == "" {
		return
	}
	d := got.document()
	if got.problem() != b.problem || d.Title == "" && b.problem != "unknown-service" || d.Detail == "" || d.Status != b.status || d.Executed != "no" {
		t.Errorf("told %v: want the problem %s, not executed", got, b.problem)
	}
	if b.code != "" && (d.Error == nil || d.Error.Code != b.code || d.Error.Message == "" || got.header.Get("Stripe-Should-Retry") != "false") {
		t.Errorf("told %v: want the SDK's error %s", got, b.code)
	}
}

// badPolicies are documents that must be refused, each with what the message must say.
func badPolicies(good string) map[string]struct{ text, says string } {
	in := func(old, fresh string) string {
		if !strings.Contains(good, old) {
			panic("the policy has no " + old)
		}
		return strings.Replace(good, old, fresh, 1)
	}
	type bad = struct{ text, says string }
	return map[string]bad{
		"broken YAML":                 {in("services:", "services: [}"), ""},
		"a tab":                       {in("  payments:", "\tpayments:"), ""},
		"10 MB":                       {good + strings.Repeat("# filler\n", 10<<20/9), "1048576|1 MiB|bytes"},
		"negative weight":             {in("main: 100", "main: -100"), "-100"},
		"weights over 100":            {in("main: 100", "main: 150"), "100"},
		"unknown field":               {in("    weights:", "    wieghts:"), "did you mean weights"},
		"provider without endpoint":   {endpointless(good), "endpoint"},
		"duplicate provider":          {in("  backup: {contract", "  main: {contract"), "main"},
		"duplicate service":           {in("providers:\n", "  payments: {speaks: stripe/v1, listen: 7199}\nproviders:\n"), "payments"},
		"unknown provider in weights": {in("backup: 0", "bakcup: 0"), "bakcup"},
		"a part that is not built":    {in("    strategy: weighted", "    strategy: adaptive"), "adaptive"},
		"not a policy":                {"hello", ""},
		"nothing":                     {"", ""},
	}
}

// endpointless gives one provider an API of the user's own that says no endpoint, and says none itself.
func endpointless(good string) string {
	own := `{dialect: stripe, keys: {enforced: false}, operations: {read: {match: "GET /**"}}, statuses: [{status: 200-299, class: ok, outcome: succeeded}]}`
	bad := strings.Replace(good, "{like: stripe/v1, keys: {enforced: false}}", own, 1)
	return regexp.MustCompile(`keyless/v1, endpoint: "[^"]*",`).ReplaceAllString(bad, "keyless/v1,")
}

var place = regexp.MustCompile(`bad\.yaml:\d+:\d+`)

// TestBadPolicies hands bad documents in, by file and by API: each is refused with file, line and column, and nothing changes.
func TestBadPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	before := w.segue("policy", "get").fine(t).out
	for name, b := range badPolicies(w.policy()) {
		t.Run(name, func(t *testing.T) {
			file := w.file("bad.yaml", b.text)
			for _, verb := range []string{"validate", "apply"} {
				r := w.segue("policy", verb, file)
				said := r.out + r.err
				if r.code != 1 || !place.MatchString(said) {
					t.Errorf("%s: exit %d, want 1 and a place: %.600s", verb, r.code, said)
				}
				if !regexp.MustCompile(b.says).MatchString(said) {
					t.Errorf("%s: want it to say %q: %.600s", verb, b.says, said)
				}
			}
			if after := w.segue("policy", "get").fine(t).out; after != before {
				t.Errorf("the policy in force has changed")
			}
		})
	}
	if r := w.segue("weight", "set", "payments", "local", "main=-5", "backup=105"); r.code != 1 {
		t.Errorf("negative weights by command: exit %d: %s", r.code, r.err)
	}
	if after := w.segue("policy", "get").fine(t).out; after != before {
		t.Error("the policy in force has changed")
	}
	w.caller("local").charge("o-after", "").must(t)
}
