package edge

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve is a proxy in one function. It asks for the body, as the proxy does for every call that it does not refuse.
type serve func(ctx context.Context, c *proxy.Call, to message.Reply)

func (f serve) Serve(ctx context.Context, c *proxy.Call, to message.Reply) {
	if c.Body != nil {
		if problem := c.Body.Fetch(false); problem != nil {
			_ = problem.Answer(policy.Stripe).Send(to) // an error says only that the application left
			return
		}
	}
	f(ctx, c, to)
}

// world is an edge on free ports, with a log that can be read and a client that leaves nothing behind.
type world struct {
	*Server
	log    *safeBuffer
	client *http.Client
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func service(name string, port int, host string) *policy.Service {
	return &policy.Service{Name: name, Listen: policy.Listen{Port: port, Host: host}, Speaks: &policy.Contract{Dialect: policy.Stripe}}
}

func snapshot(services ...*policy.Service) *policy.Snapshot {
	return &policy.Snapshot{Region: "eu-west", Services: services}
}

func newWorld(t testing.TB, p serve, change func(*Config)) *world {
	t.Helper()
	log := &safeBuffer{}
	c := Config{AnyPort: true, Proxy: p, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(snapshot(service("payments", 7101, ""))); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
	return &world{s, log, &http.Client{Transport: transport}}
}

func (w *world) url(path string) string { return "http://" + w.Addr("payments") + path }

// do sends a request and reads the whole answer; err is from either.
func (w *world) do(t testing.TB, method, path, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest(method, w.url(path), bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// raw says something on a plain connection and returns all that comes back until it closes.
func (w *world) raw(t testing.TB, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", w.Addr("payments"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c) // a reset is an end too
	return string(answer)
}

// answer replies with a whole answer.
func answer(to message.Reply, status int, body string) {
	_ = (&message.Answer{Status: status, Header: message.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte(body)}).Send(to)
}
