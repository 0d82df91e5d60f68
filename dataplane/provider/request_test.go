package provider

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// written is a request as it stands on the wire.
func written(t testing.TB, c *Client, call *Call) []byte {
	t.Helper()
	r, token, err := c.request(t.Context(), call, time.Now())
	if err != nil {
		t.Fatalf("%s: %v", token, err)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestOneFraming: a body has one length and no other framing, an empty POST says that it is empty, and a GET says nothing.
func TestOneFraming(t *testing.T) {
	w := newWorld(t, nil)
	for _, x := range []struct {
		method, body string
		want         string
	}{{"POST", "abc", "Content-Length: 3"}, {"POST", "", "Content-Length: 0"}, {"GET", "", ""}, {"DELETE", "x", "Content-Length: 1"}} {
		call := post("http://x", x.body)
		call.Request.Method = x.method
		call.Request.Header = message.Header{{Name: "Content-Length", Value: "77"}, {Name: "Transfer-Encoding", Value: "chunked"}}
		text := string(written(t, w.Client, call))
		if n := strings.Count(text, "Content-Length"); strings.Contains(text, "chunked") || n > 1 || x.want != "" && !strings.Contains(text, x.want) || x.want == "" && n > 0 {
			t.Errorf("%s %q:\n%s", x.method, x.body, text)
		}
	}
}

// TestEndpoints: base paths join with one slash; what is no URL of a provider is refused; what is remembered has a bound.
func TestEndpoints(t *testing.T) {
	w := newWorld(t, nil)
	for endpoint, want := range map[string]string{"http://x": "/v1/charges", "http://x/": "/v1/charges", "https://x:8443/base": "/base/v1/charges",
		"http://x/a%2Fb//": "/a%2Fb/v1/charges"} {
		if line, _, _ := strings.Cut(string(written(t, w.Client, post(endpoint, ""))), "\r\n"); line != "POST "+want+" HTTP/1.1" {
			t.Errorf("%s: %s", endpoint, line)
		}
	}
	for _, bad := range []string{"", "x", "ftp://x", "http://", "http:///path", "http://[::1", "//x"} {
		if _, token, err := w.request(t.Context(), post(bad, ""), time.Now()); err == nil || token != "proxy_configuration_error" {
			t.Errorf("%q: %s %v", bad, token, err)
		}
	}
	for i := range 3 * maxTargets {
		if _, err := w.targets.get(fmt.Sprintf("http://x%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.targets.known); n > maxTargets {
		t.Errorf("%d endpoints are remembered", n)
	}
}

// TestKeys: the key goes under the contract's header; an application's own key never goes beside it, nor where the contract knows none.
func TestKeys(t *testing.T) {
	w := newWorld(t, nil)
	own := message.Header{{Name: "Idempotency-Key", Value: "theirs"}, {Name: "X-Idempotency-Key", Value: "theirs"}, {Name: "Request-Key", Value: "theirs"}}
	for _, x := range []struct {
		header, key string
		want        map[string]string
	}{
		{"Idempotency-Key", "k", map[string]string{"idempotency-key": "k", "request-key": "theirs"}},
		{"Request-Key", "k", map[string]string{"request-key": "k"}},
		{"Idempotency-Key", "", map[string]string{"request-key": "theirs"}},
		{"", "k", map[string]string{"request-key": "theirs"}},
	} {
		call := post("http://x", "")
		call.Request.Header, call.Key, call.Candidate.Contract.Keys.Header = own, x.key, x.header
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(written(t, w.Client, call))))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"idempotency-key", "x-idempotency-key", "request-key"} {
			if got := strings.Join(r.Header.Values(name), ","); got != x.want[name] {
				t.Errorf("%s with %q: %s: %q", x.header, x.key, name, got)
			}
		}
	}
}

// TestDefaults: a client works without a setting.
func TestDefaults(t *testing.T) {
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tr := c.transport
	if c.idle != 30*time.Second || tr.IdleConnTimeout >= time.Minute || tr.Proxy != nil || tr.MaxResponseHeaderBytes == 0 || tr.MaxConnsPerHost == 0 || tr.ForceAttemptHTTP2 {
		t.Errorf("%v %+v", c.idle, tr)
	}
}

// TestNoProxyFromEnvironment: the way to a provider is the policy's, not some variable's.
func TestNoProxyFromEnvironment(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	w := newWorld(t, nil)
	r := w.Send(t.Context(), post("http://nobody.invalid", ""), &taker{})
	if !strings.HasPrefix(r.Error, "dns_") {
		t.Errorf("%+v", r)
	}
}

// FuzzRequest: whatever an application sends, what is written is one request that reads back with the same method, target and body, and
// without a line that could frame it twice.
func FuzzRequest(f *testing.F) {
	f.Add("/v1/charges", "a=b", "X-A", "1", "body")
	f.Add("//evil", "?", "Transfer-Encoding", "chunked", "")
	f.Add("/%zz", "", "Connection", "X-A", "x")
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, query, name, value, body string) {
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /" + path + "?" + query + " HTTP/1.1\r\nHost: x\r\n" + name + ": " + value + "\r\n\r\n"))); err != nil {
			return // the edge would not have let it in
		}
		if strings.ContainsAny(path+query, "?# \r\n") || strings.ContainsAny(value, "\r\n") {
			return
		}
		call := post("http://x/base", body)
		call.Request.Path, call.Request.RawQuery = "/"+path, query
		call.Request.Header = message.Header{{Name: http.CanonicalHeaderKey(name), Value: value}}
		call.Candidate.Credential.Kind = policy.CredentialCaller
		r, _, err := c.request(t.Context(), call, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if r.Write(&b) != nil {
			return // refused before a byte left
		}
		in := bufio.NewReader(&b)
		got, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("does not read back: %v", err)
		}
		want := "/base/" + path
		if query != "" {
			want += "?" + query
		}
		if got.RequestURI != want || got.Method != "POST" || len(got.TransferEncoding) > 0 || got.ContentLength != int64(len(body)) {
			t.Errorf("%q became %q, %v, %d", want, got.RequestURI, got.TransferEncoding, got.ContentLength)
		}
	})
}

// BenchmarkRequest is what making a request for a provider costs.
func BenchmarkRequest(b *testing.B) {
	c, err := New(Config{Env: func(string) (string, bool) { return "sk_live", true }})
	if err != nil {
		b.Fatal(err)
	}
	call := post("http://x/base", "amount=100")
	call.Candidate.Credential = policy.Credential{Kind: policy.CredentialEnv, Ref: "K"}
	for _, name := range []string{"Content-Type", "Stripe-Version", "Accept", "User-Agent", "Authorization"} {
		call.Request.Header.Add(name, "value")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.request(b.Context(), call, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

// Twilio's credential is SID:token, and the SID stands in the path too: both are the provider account's, whatever the application sent.
func TestACredentialWithAUserGoesIntoThePathToo(t *testing.T) {
	p, problems := policy.Parse("p.yaml", []byte(`segue: v1
services: {sms: {speaks: twilio/2010, listen: 7102, strategy: priority, priority: [a, b]}}
providers:
  a: {contract: twilio/2010, credential: "env:SMS_A"}
  b: {contract: twilio/2010, credential: caller}
`))
	if problems != nil {
		t.Fatal(problems.Error())
	}
	snap, err := policy.Compile(p, "local", 1)
	if err != nil {
		t.Fatal(err)
	}
	secret := "ACa:token:a"
	c := newWorld(t, func(c *Config) { c.Env = func(string) (string, bool) { return secret, true } })
	ask := func(i int) (string, error) {
		call := &Call{Candidate: snap.Services[0].Candidates[i], Key: "k", Request: &message.Request{
			Method: "POST", Path: "/2010-04-01/Accounts/ACapp/Messages.json", Body: []byte("To=1&Body=x"),
			Header: message.Header{{Name: "Authorization", Value: "Basic QUNhcHA6dA=="}, {Name: "Idempotency-Key", Value: "k"}},
		}}
		r, _, err := c.request(t.Context(), call, time.Now())
		if err != nil {
			return "", err
		}
		for name := range r.Header {
			if strings.EqualFold(name, "Idempotency-Key") {
				t.Error("the provider takes no key, and is sent one")
			}
		}
		user, token, _ := r.BasicAuth()
		return r.URL.Opaque + " " + user + " " + token, nil
	}
	for i, want := range []string{"/2010-04-01/Accounts/ACa/Messages.json ACa token:a", "/2010-04-01/Accounts/ACapp/Messages.json ACapp t"} {
		if got, err := ask(i); got != want || err != nil {
			t.Errorf("candidate %d: got %q %v, want %q", i, got, err, want)
		}
	}
	for _, secret = range []string{"token", ":token"} {
		if _, err := ask(0); err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "user:secret") {
			t.Errorf("%q: %v", secret, err)
		}
	}
}
