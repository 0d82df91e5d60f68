package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// until polls, because what is waited for happens in another goroutine or beyond a socket.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-tick.C
	}
}

func start(t *testing.T, c Config) *Sandbox {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// one starts a single provider without latency.
func one(t *testing.T, keys Keys) *Provider {
	t.Helper()
	s := start(t, Config{Seed: 1, Providers: []ProviderConfig{{Name: "north", Keys: keys, Latency: Latency{Median: -1}}}})
	return s.Provider("north")
}

// client makes calls as an SDK would, and never repeats one by itself.
type client struct {
	t    *testing.T
	base string
	http *http.Client
	key  string // API key
}

func dial(t *testing.T, base string) *client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &client{t: t, base: base, key: "sk_test", http: &http.Client{Transport: tr, Timeout: patience}}
}

type got struct {
	status int
	header http.Header
	body   map[string]any
}

func (g got) at(path string) any {
	var v any = g.body
	for _, k := range strings.Split(path, ".") {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

func (g got) id() string { s, _ := g.at("id").(string); return s }

// try makes one call. The idempotency key goes under a lower-case map key, so that net/http does not re-send by itself.
func (c *client) try(ctx context.Context, method, path, key string, params ...string) (got, error) {
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	var body io.Reader
	if method == http.MethodPost {
		body = struct{ io.Reader }{strings.NewReader(form.Encode())}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if key != "" {
		req.Header["idempotency-key"] = []string{key}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return got{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	g := got{status: resp.StatusCode, header: resp.Header}
	_ = json.Unmarshal(raw, &g.body)
	return g, err
}

func (c *client) do(method, path, key string, params ...string) got {
	c.t.Helper()
	g, err := c.try(context.Background(), method, path, key, params...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return g
}

func (c *client) want(status int, method, path, key string, params ...string) got {
	c.t.Helper()
	g := c.do(method, path, key, params...)
	if g.status != status {
		c.t.Fatalf("%s %s: status %d, want %d: %v", method, path, g.status, status, g.body)
	}
	return g
}

func pay(order string) []string {
	return []string{"amount", "1200", "currency", "eur", "source", "tok_visa", "metadata[order]", order}
}

// charge is one more charge for an order.
func (c *client) charge(key, order string) got {
	c.t.Helper()
	return c.want(200, "POST", "/v1/charges", key, pay(order)...)
}

func refused(addr string) bool {
	raw, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = raw.Close()
	}
	return err != nil && strings.Contains(err.Error(), "refused")
}

func equal[T comparable](t *testing.T, what string, have, want T) {
	t.Helper()
	if have != want {
		t.Errorf("%s: %v, want %v", what, have, want)
	}
}
