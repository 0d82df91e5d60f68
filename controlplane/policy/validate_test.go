package policy

import (
	"math"
	"strings"
	"testing"
	"time"

	"segue/regions"
)

// A policy need not come from a document: what YAML cannot even say is refused too, and nothing panics.
func TestValidateWithoutADocument(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *Policy)
		want   string
	}{
		{"NaN", func(p *Policy) { p.Services[0].Weights[0].Weights[0].Percent = math.NaN() }, "services.payments.weights.us-east.stripe: NaN is no share"},
		{"infinite", func(p *Policy) { p.Services[0].Weights[0].Weights[0].Percent = math.Inf(1) }, "+Inf is no share"},
		{"above 100", func(p *Policy) { p.Services[0].Weights[0].Weights[0].Percent = 100.5 }, "100.5 is no share"},
		{"sum just off", func(p *Policy) { p.Services[0].Weights[0].Weights[0].Percent = 70.02 }, "the shares add up to 100.02"},
		{"region twice in weights", func(p *Policy) { p.Services[0].Weights[0].Region = "eu-west" }, "services.payments.weights.eu-west: is there twice"},
		{"no region", func(p *Policy) { p.Regions = nil }, "regions: is missing"},
		{"region called default", func(p *Policy) { p.Regions[0].Name = Default }, "it cannot be one"},
		{"region twice", func(p *Policy) { p.Regions[1].Name = "us-east" }, "regions.us-east: is there twice, as entries 1 and 2"},
		{"service twice", func(p *Policy) { p.Services[1].Name = "payments" }, "services.payments: is there twice, as entries 1 and 2"},
		{"provider twice", func(p *Policy) { p.Providers[1].Name = "stripe" }, "providers.stripe: is there twice"},
		{"contract twice", func(p *Policy) { p.Contracts[1].Name = "unkeyed/v1" }, "contracts.unkeyed/v1: is there twice"},
		{"operation twice", func(p *Policy) { p.Services[0].Operations[1].Name = "charge" }, "services.payments.operations.charge: is there twice"},
		{"no services", func(p *Policy) { p.Services = nil }, "services: is missing"},
		{"empty name", func(p *Policy) { p.Providers[0].Name = "" }, "the name is empty"},
		{"long name", func(p *Policy) { p.Providers[0].Name = strings.Repeat("x", 64) }, "longer than 63"},
		{"dotted name", func(p *Policy) { p.Providers[0].Name = "a.b" }, "the name holds other characters"},
		{"dash first", func(p *Policy) { p.Providers[0].Name = "-a" }, "the name holds other characters"},
		{"strategy", func(p *Policy) { p.Services[0].Strategy = 9 }, "services.payments.strategy: is missing"},
		{"negative max", func(p *Policy) { p.Services[0].Attempts.Max = -1 }, "attempts.max: -1"},
		{"negative per try", func(p *Policy) { p.Services[0].Attempts.PerTry = -1 }, "attempts.per_try"},
		{"long deadline", func(p *Policy) { p.Services[0].Attempts.Deadline = time.Hour }, "attempts.deadline: 1h"},
		{"deadline under the default try", func(p *Policy) { p.Services[1].Attempts.Deadline = time.Second }, "one try (4s) takes longer than the deadline (1s)"},
		{"breaker failures", func(p *Policy) { p.Services[0].Breaker.Failures = -3 }, "breaker.failures"},
		{"breaker successes", func(p *Policy) { p.Services[0].Breaker.Successes = 5000 }, "breaker.successes"},
		{"breaker reset", func(p *Policy) { p.Services[0].Breaker.Reset = 2 * time.Hour }, "breaker.reset"},
		{"in flight", func(p *Policy) { p.Providers[0].Limits.InFlight = -1 }, "limits.in_flight"},
		{"rate", func(p *Policy) { p.Providers[0].Limits.Rate = math.NaN() }, "limits.rate"},
		{"port", func(p *Policy) { p.Services[0].Listen.Port = 65536 }, "port 65536 is not between"},
		{"negative port", func(p *Policy) { p.Services[0].Listen.Port = -1 }, "port -1 is not between"},
		{"long host", func(p *Policy) { p.Services[0].Listen.Host = strings.Repeat("a.", 150) + "a" }, "is no host name"},
		{"too many candidates", func(p *Policy) {
			for range 20 {
				p.Services[1].Priority[0].Providers = append(p.Services[1].Priority[0].Providers, "acme")
			}
		}, "has 22 providers, more than 16"},
		{"both required and derived", func(p *Policy) { p.Services[0].Operations[2].Key.Required = true }, "both required and derived"},
		{"within alone", func(p *Policy) { p.Services[0].Operations[0].Key.Within = 1 }, "does nothing without derive"},
		{"within none", func(p *Policy) { p.Services[0].Operations[2].Key.Within = 0 }, "key.within: 0s"},
		{"bad field", func(p *Policy) { p.Services[0].Operations[1].Follows = []Field{{"cookie", "x"}} }, "stands neither in body"},
		{"too many fields", func(p *Policy) { p.Services[0].Operations[1].Follows = make([]Field, 9) }, "has 9 fields, more than 8"},
		{"too many operations", func(p *Policy) { p.Services[0].Operations = make([]OperationSpec, 65) }, "has 65 operations, more than 64"},
		{"enforced and not", func(p *Policy) { p.Contracts[0].Keys.Enforced = true }, "is both enforced and not"},
		{"dialect", func(p *Policy) { p.Contracts[0].Dialect = "klingon" }, "contracts.unkeyed/v1.dialect"},
		{"class", func(p *Policy) { p.Contracts[0].Statuses[0].Class = "fine" }, "statuses[0].class"},
		{"outcome", func(p *Policy) { p.Contracts[0].Statuses[0].Outcome = "perhaps" }, "statuses[0].outcome"},
		{"code", func(p *Policy) { p.Contracts[0].Statuses[0].Code = "\x00" }, "statuses[0].code"},
		{"contract's endpoint", func(p *Policy) { p.Contracts[1].Endpoint = "http://acme.example" }, "contracts.acme/v1.2.endpoint: is plain http"},
		{"key where the credential is", func(p *Policy) { p.Contracts[1].Keys.Header = "x-api-key" }, "is the header of the credential"},
		{"key in a framing header", func(p *Policy) { p.Contracts[1].Keys.Header = "content-length" }, "is no header that can be set"},
		{"check", func(p *Policy) { p.Providers[0].Checks.Active[0].Path = "//x" }, `"//x" is no path`},
		{"check split", func(p *Policy) { p.Providers[0].Checks.Active[0].Path = "/x y" }, `is no path`},
		{"credential nowhere", func(p *Policy) { p.Providers[0].Credential = []RegionValue{{"eu-west", "caller"}} }, "providers.stripe.credential: is missing for us-east, ap-south"},
		{"endpoint nowhere", func(p *Policy) { p.Contracts[1].Endpoint = "" }, "providers.acme.endpoint: is missing for us-east, eu-west, ap-south"},
		{"spoken by nobody", func(p *Policy) { p.Services[0].Speaks = "acme/v1.2" }, "does not say how acme/v1.2 is mapped to it"},
		{"too many regions", func(p *Policy) { p.Regions = append(p.Regions, make(regions.Topology, 40)...) }, "regions: has 43 entries, more than 32"},
		{"too many statuses", func(p *Policy) {
			for range 60 {
				p.Contracts[0].Statuses = append(p.Contracts[0].Statuses, p.Contracts[0].Statuses[0])
			}
		}, "are 69 rules together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good(t, "three-regions")
			c.change(p)
			problems := Validate(p)
			if !strings.Contains(problems.Error(), c.want) {
				t.Errorf("want %q, got:\n%s", c.want, problems.Error())
			}
			if _, err := Compile(p, "us-east", 1); err == nil {
				t.Error("refused, but it compiles")
			}
		})
	}
}

func TestValidateAcceptsWhatIsGood(t *testing.T) {
	for _, name := range []string{"smallest", "three-regions", "flat"} {
		if problems := Validate(good(t, name)); problems != nil {
			t.Errorf("%s:\n%s", name, problems.Error())
		}
	}
	if problems := Validate(&Policy{}); len(problems) != 2 {
		t.Errorf("an empty policy:\n%s", problems.Error())
	}
}

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.example.com": "", "https://api.example.com/": "", "https://api.example.com:8443/v1": "",
		"http://localhost:7600": "", "http://127.0.0.1": "", "http://127.9.9.9:1/x": "", "http://[::1]:1": "",
		"":                         "is no absolute",
		"api.example.com":          "is no absolute",
		"//api.example.com":        "is no absolute",
		"ftp://api.example.com":    "is no absolute",
		"https://":                 "is no absolute",
		"https://:443":             "is no absolute",
		"https://exa mple.com":     "is no absolute",
		"https://a:b@example.com":  "holds a user or a password",
		"https://a@example.com":    "holds a user or a password",
		"https://example.com?":     "has a query",
		"https://example.com?a=b":  "has a query",
		"https://example.com#":     "has a query or a fragment",
		"https://example.com/a//b": "has a path with empty segments or dots",
		"https://example.com/a/..": "has a path with empty segments or dots",
		"https://x.com/%2e%2e/a":   "has a path with empty segments or dots",
		"http://example.com":       "is plain http",
		"http://128.0.0.1":         "is plain http",
		"http://localhost.evil.io": "is plain http",
		"http://0.0.0.0":           "is plain http",
	} {
		got, _ := endpointProblem(text)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestCredentials(t *testing.T) {
	for text, want := range map[string]Credential{
		"caller": {"caller", ""}, "env:A": {"env", "A"}, "env:_a1": {"env", "_a1"}, "file:/etc/k": {"file", "/etc/k"}, "file:k k": {"file", "k k"},
		"": {}, "caller:": {}, "caller:x": {}, "env:": {}, "env:1A": {}, "env:A-B": {}, "env": {}, "file:": {}, "file:a\nb": {}, "vault:x": {}, "sk_live_x": {},
	} {
		got, ok := parseCredential(text)
		if got != want || ok != (want.Kind != "") {
			t.Errorf("%q: got %+v, %t", text, got, ok)
		}
	}
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 5 * time.Minute: "5m", 30 * time.Second: "30s", 61 * time.Second: "1m1s",
		time.Hour + time.Second: "1h0m1s", 500 * time.Millisecond: "500ms", 0: "0s", 10 * time.Minute: "10m", 100 * time.Hour: "100h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: got %s", d, got)
		}
		if back, err := time.ParseDuration(span(d)); err != nil || back != d {
			t.Errorf("%s reads as %v", span(d), back)
		}
	}
}

func TestStrategiesHaveNames(t *testing.T) {
	for s, want := range map[Strategy]string{Weighted: "weighted", Priority: "priority", 0: "unknown", 9: "unknown"} {
		if s.String() != want {
			t.Errorf("%d: %s", s, s)
		}
	}
}

func TestSets(t *testing.T) {
	var s Set
	for _, i := range []int{0, 3, 15} {
		if s = s.With(i); !s.Has(i) {
			t.Errorf("%d is not in %b", i, s)
		}
	}
	if s.Has(1) || s.Has(14) {
		t.Errorf("%b holds what was not put in", s)
	}
}
