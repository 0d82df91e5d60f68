package provider

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// seen sends a call to a server and returns what arrived there.
func seen(t *testing.T, w *world, change func(*Call)) (*http.Request, Result, *taker) {
	t.Helper()
	got := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Connection", "X-Hop")
		for k, v := range map[string]string{"X-Hop": "1", "Keep-Alive": "9", "Segue-Route": "forged", "Session-Id": "ses_forged", "X-Forwarded-For": "10.0.0.1",
			"Authorization": "echo", "Set-Cookie": "a=b", "Request-Id": "r1"} {
			rw.Header().Set(k, v)
		}
		rw.Write([]byte("{}"))
		got <- r
	}))
	defer s.Close()
	defer w.Close()
	call, to := post(s.URL+"/base/", "amount=100"), &taker{}
	change(call)
	r := w.Send(t.Context(), call, to)
	if r.Outcome == ledger.NotSent {
		return nil, r, to
	}
	return <-got, r, to
}

// TestHeaders: what is for one hop and what is Segue's own passes in neither direction; all else does.
func TestHeaders(t *testing.T) {
	r, res, to := seen(t, newWorld(t, nil), func(c *Call) {
		c.RequestID = "req_1"
		c.Request.Path, c.Request.RawQuery = "/v1/a%2Fb/c%20d", "q=%zz&x=1"
		c.Request.Header = message.Header{
			{Name: "Authorization", Value: "Bearer app"}, {Name: "Stripe-Version", Value: "1"}, {Name: "X-Many", Value: "a"}, {Name: "X-Many", Value: "b"},
			{Name: "Cookie", Value: "c=1"}, {Name: "X-Request-Id", Value: "other"}, {Name: "Idempotency-Key", Value: "app's"}, {Name: "Content-Length", Value: "3"},
			{Name: "Connection", Value: "close, X-Trick"}, {Name: "X-Trick", Value: "1"}, {Name: "Te", Value: "trailers"}, {Name: "Transfer-Encoding", Value: "chunked"},
			{Name: "X-Forwarded-For", Value: "1.2.3.4"}, {Name: "Forwarded", Value: "for=x"}, {Name: "Via", Value: "x"}, {Name: "Segue-Dry-Run", Value: "?1"},
			{Name: "Expect", Value: "100-continue"}, {Name: "Host", Value: "elsewhere"}, {Name: "Proxy-Authorization", Value: "x"},
		}
	})
	want := http.Header{"Authorization": {"Bearer app"}, "Stripe-Version": {"1"}, "X-Many": {"a", "b"}, "Cookie": {"c=1"}, "X-Request-Id": {"req_1"},
		"Idempotency-Key": {"key-1"}, "Content-Length": {"10"}, "Te": {"trailers"}}
	if len(r.Header) != len(want) {
		t.Errorf("arrived: %v", r.Header)
	}
	for name, values := range want {
		if strings.Join(r.Header[name], "|") != strings.Join(values, "|") {
			t.Errorf("%s: %q, want %q", name, r.Header[name], values)
		}
	}
	if r.RequestURI != "/base/v1/a%2Fb/c%20d?q=%zz&x=1" || !strings.HasPrefix(r.Host, "127.0.0.1:") || len(r.TransferEncoding) != 0 || r.ContentLength != 10 {
		t.Errorf("%s %s %v %d", r.RequestURI, r.Host, r.TransferEncoding, r.ContentLength)
	}
	for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Segue-Route", "X-Forwarded-For", "Authorization", "Session-Id"} {
		if to.header.Has(name) {
			t.Errorf("%s came back", name)
		}
	}
	if to.header.Get("Set-Cookie") != "a=b" || to.header.Get("Request-Id") != "r1" || res.Outcome != ledger.Succeeded {
		t.Errorf("came back: %v", to.header)
	}
}

// TestStrangePaths: a path that begins with two slashes names no host.
func TestStrangePaths(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.RequestURI)) }))
	defer s.Close()
	w := newWorld(t, nil)
	defer w.Close()
	for _, path := range []string{"//evil.example/x", "/", "/a//b", "/a;b=c", "/%2e%2e/x"} {
		call, to := get(s.URL), &taker{}
		call.Request.Path = path
		if r := w.Send(t.Context(), call, to); r.Outcome != ledger.Succeeded || to.body.String() != path {
			t.Errorf("%s arrived as %s (%+v)", path, &to.body, r)
		}
	}
}

const (
	appSecret  = "sk_app_CANARY_1111"
	ownSecret  = "sk_own_CANARY_2222"
	fileSecret = "sk_file_CANARY_3333"
)

// TestCredentials: the application's own secret goes only where the policy says caller, Segue's own only to its provider.
func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(fileSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return ownSecret, name == "OWN" }
	for _, x := range []struct {
		kind, ref string
		slot      policy.Slot
		name      string
		want      string
	}{
		{"caller", "", policy.Slot{}, "Authorization", "Bearer " + appSecret},
		{"env", "OWN", policy.Slot{}, "Authorization", "Bearer " + ownSecret},
		{"env", "OWN", policy.Slot{Header: "X-Api-Key", Value: "{credential}"}, "X-Api-Key", ownSecret},
		{"file", file, policy.Slot{Header: "authorization", Value: "Token {credential}"}, "Authorization", "Token " + fileSecret},
	} {
		w := newWorld(t, func(c *Config) { c.Env = env })
		r, res, _ := seen(t, w, func(c *Call) {
			c.Candidate.Credential = policy.Credential{Kind: x.kind, Ref: x.ref}
			c.Candidate.Contract.Credential = x.slot
			c.Request.Header = message.Header{{Name: "Authorization", Value: "Bearer " + appSecret}, {Name: "X-Api-Key", Value: appSecret}}
			if x.name == "Authorization" {
				c.Request.Header.Del("X-Api-Key")
			}
		})
		if res.Outcome != ledger.Succeeded || len(r.Header.Values(x.name)) != 1 || r.Header.Get(x.name) != x.want {
			t.Fatalf("%+v: %v %+v", x, r.Header, res)
		}
		if x.kind != "caller" {
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), appSecret) {
					t.Errorf("%s: the application's secret went out in %s", x.kind, name)
				}
			}
		}
	}
}

// TestSecretFileChanges: a file is looked at again, and its change is taken, and its loss is told, once.
func TestSecretFileChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	w := newWorld(t, nil)
	now := time.Now()
	cred := policy.Credential{Kind: "file", Ref: file}
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		v, err := w.secrets.value(cred, now)
		if v != want || (err == nil) != (want != "") {
			t.Fatalf("%q %v, want %q", v, err, want)
		}
	}
	is("")
	now = now.Add(secretFresh)
	is("")
	put("one")
	is("") // not looked at again yet
	now = now.Add(secretFresh)
	is("one")
	put("two-longer")
	is("one")
	now = now.Add(secretFresh)
	is("two-longer")
	now = now.Add(-time.Hour) // a clock that was set back does not freeze the secret
	put("three-longer-still")
	is("three-longer-still")
	for _, bad := range []string{"", "\n", "a\nb", "a\x00b", strings.Repeat("x", maxSecret+1)} {
		put(bad)
		now = now.Add(secretFresh)
		is("")
	}
	if n := strings.Count(w.log.String(), "cannot be read"); n != 2 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
}

// TestMissingSecret: without its secret a provider is sent nothing, and what is missing is named.
func TestMissingSecret(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Env = func(string) (string, bool) { return "", false } })
	_, r, to := seen(t, w, func(c *Call) { c.Candidate.Credential = policy.Credential{Kind: "env", Ref: "NO_SUCH_KEY"} })
	if r.Outcome != ledger.NotSent || r.Error != "proxy_configuration_error" || !strings.Contains(r.Err.Error(), "NO_SUCH_KEY") || to.status != 0 {
		t.Fatalf("%+v", r)
	}
	_, r, _ = seen(t, w, func(c *Call) { c.Candidate.Credential = policy.Credential{Kind: "vault", Ref: "x"} })
	if r.Outcome != ledger.NotSent {
		t.Fatalf("unknown kind: %+v", r)
	}
}

// TestNoSecretLeaks sends canaries through every way a send can end, and looks for them where people look.
func TestNoSecretLeaks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(fileSecret+"\nsecond line"), 0o600); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	w := newWorld(t, func(c *Config) {
		c.Metrics, c.Env = registry, func(string) (string, bool) { return ownSecret, true }
	})
	answers := []string{fine, "", "HTTP/1.1 " + ownSecret + " x\r\n\r\n", ownSecret + "\r\n\r\n", "HTTP/1.1 200 OK\r\n" + ownSecret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + ownSecret + "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ownSecret}
	s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, n int64) bool {
		say(c, answers[int(n-1)%len(answers)])
		return false
	})
	var said strings.Builder
	for i := range 3 * len(answers) {
		call := post(s.url, appSecret)
		call.Request.Header = message.Header{{Name: "Authorization", Value: appSecret}}
		call.Candidate.Credential = []policy.Credential{{Kind: "env", Ref: "OWN"}, {Kind: "file", Ref: file}, {Kind: "caller"}}[i%3]
		if r := w.Send(t.Context(), call, &taker{}); r.Err != nil {
			said.WriteString(r.Err.Error() + r.Error)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		said.WriteString(f.String())
	}
	said.WriteString(w.log.String())
	if !strings.Contains(said.String(), "control character") || !strings.Contains(said.String(), "malformed") {
		t.Fatal("the ways that were meant were not gone")
	}
	if strings.Contains(said.String(), "CANARY") {
		t.Fatalf("a secret was told:\n%s", said.String())
	}
}
