package dataplane

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"syscall"
	"testing"
	"time"
)

var endpoints = regexp.MustCompile(`endpoint: "[^"]*"`)

// BenchmarkRead is what a stateless read costs in CPU, callers and provider included, through an agent and through a plain ReverseProxy:
// the same callers and the same provider stand at both. Take the difference to "direct" for the proxies' own part.
func BenchmarkRead(b *testing.B) {
	provider := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write([]byte(`{"id":"ch_1","object":"charge","amount":1200,"currency":"eur"}`))
	}))
	defer provider.Close()
	to, err := url.Parse(provider.URL)
	must(b, err)
	plain := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
	})
	defer plain.Close()
	w := newWorld(b, edited(func(doc string) string {
		return endpoints.ReplaceAllString(doc, "endpoint: "+provider.URL)
	}))
	for name, base := range map[string]string{"direct": provider.URL, "plain": plain.URL, "agent": "http://" + w.agent.Addr("payments")} {
		b.Run(name, func(b *testing.B) { hammer(b, base+"/v1/charges/ch_1") })
	}
}

// hammer calls over 32 connections and tells the CPU time of one call.
func hammer(b *testing.B, target string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, MaxConnsPerHost: 32}}
	defer client.CloseIdleConnections()
	b.SetParallelism(16)
	before := cpu(b)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			resp, err := client.Get(target)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 200 {
				b.Errorf("%d", resp.StatusCode)
			}
		}
	})
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
