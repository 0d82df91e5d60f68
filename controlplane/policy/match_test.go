package policy

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func compiled(t testing.TB, matches ...string) *Service {
	t.Helper()
	s := &Service{Name: "test"}
	for i, m := range matches {
		p, err := parsePattern(m)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		s.Operations = append(s.Operations, &Operation{OperationSpec: OperationSpec{Name: fmt.Sprint("op", i), Match: m}, Index: i, pattern: p})
	}
	return s
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		match, call string
		fits        bool
	}{
		{"POST /v1/charges", "POST /v1/charges", true},
		{"POST /v1/charges", "GET /v1/charges", false},
		{"POST /v1/charges", "post /v1/charges", false},
		{"POST /v1/charges", "POST /v1/charges/", false},
		{"POST /v1/charges", "POST /v1/charge", false},
		{"POST /v1/charges", "POST /v1/chargesx", false},
		{"POST /v1/charges", "POST /v1", false},
		{"POST /v1/charges", "POST /v1/%63harges", true},
		{"POST /v1/charges", "POST /v1/charges%2F", false},
		{"POST /v1/charges", "POST //v1/charges", false},
		{"POST /v1/charges", "POST /v1//charges", false},
		{"POST /v1/charges", "POST /v1/./charges", false},
		{"POST /v1/charges", "POST /x/../v1/charges", false},
		{"POST /v1/charges", "POST /v1/charges?x=1", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch_1", true},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%201", true},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%2F1", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%5C1", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%001", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%0a1", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%2", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/ch%zz", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/%2e%2e", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/.%2E", false},
		{"POST /v1/charges/{id}", "POST /v1/charges/...", true},
		{"POST /v1/charges/{id}", "POST /v1/charges/a.b", true},
		{"POST /v1/charges/{id}", "POST /v1/charges/a/b", false},
		{"GET /v1/*/x", "GET /v1/a/x", true},
		{"GET /v1/*/x", "GET /v1/x", false},
		{"GET /v1/**", "GET /v1/a/b/c", true},
		{"GET /v1/**", "GET /v1", true},
		{"GET /v1/**", "GET /v2/a", false},
		{"GET /v1/**", "GET /v1/a/../../v2", false},
		{"POST /**/Messages.json", "POST /2010/Accounts/AC1/Messages.json", true},
		{"POST /**/Messages.json", "POST /Messages.json", true},
		{"POST /**/Messages.json", "POST /Messages.json/x", false},
		{"GET /**/a/**/b", "GET /x/a/y/a/z/b", true},
		{"GET /**/a/**/b", "GET /x/a/y/a/z/c", false},
		{"GET /**", "GET /", false}, // nothing but the root: no segment, and nobody's operation
		{"GET /**", "GET ", false},
		{"GET /**", "GET x", false},
		{"GET /a", "GET /" + strings.Repeat("a", maxPath), false},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		_, ok := compiled(t, c.match).Match(method, path)
		if ok != c.fits {
			t.Errorf("%s ← %.60s: got %t", c.match, c.call, ok)
		}
	}
}

func TestMatchTakesTheFirstThatFits(t *testing.T) {
	s := compiled(t, "GET /v1/balance", "GET /v1/{id}", "GET /v1/**")
	for path, want := range map[string]string{"/v1/balance": "op0", "/v1/x": "op1", "/v1/x/y": "op2"} {
		if op, ok := s.Match("GET", path); !ok || op.Name != want {
			t.Errorf("%s: got %v", path, op)
		}
	}
}

// The pattern language against a plain recursive reading of it.
func TestMatchAgreesWithASimpleModel(t *testing.T) {
	words := []string{"a", "b", "ab", "c"}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(append([]string{"*", "**", "{id}"}, words...)), 1, 7).Draw(t, "pattern")
		path := rapid.SliceOfN(rapid.SampledFrom(words), 1, 8).Draw(t, "path")
		p, err := parsePattern("GET /" + strings.Join(parts, "/"))
		if err != nil {
			t.Skip("{id} twice")
		}
		escaped := "/" + strings.Join(path, "/")
		if rapid.Bool().Draw(t, "escape") {
			escaped = strings.ReplaceAll(escaped, "a", "%61")
		}
		if _, got := p.match(escaped, -1); got != model(parts, path) {
			t.Fatalf("%v ← %v: got %t", parts, path, got)
		}
	})
}

func model(pattern, path []string) bool {
	switch {
	case len(pattern) == 0:
		return len(path) == 0
	case pattern[0] == "**":
		return model(pattern[1:], path) || len(path) > 0 && model(pattern, path[1:])
	case len(path) == 0:
		return false
	default:
		open := pattern[0] == "*" || pattern[0][0] == '{'
		return (open || pattern[0] == path[0]) && model(pattern[1:], path[1:])
	}
}

// What fits must be read alike by everybody: cleaning the path changes nothing.
func FuzzSafePath(f *testing.F) {
	for _, seed := range []string{"/v1/charges", "/v1/%2e%2e/x", "//", "/a%2Fb", "/a%", "/%c3%a9", "/a;b=c/d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !safePath(path) {
			return
		}
		plain, err := url.PathUnescape(path)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		if strings.Count(plain, "/") != strings.Count(path, "/") || strings.ContainsAny(plain, "\x00\r\n\\") {
			t.Fatalf("%q reads as %q", path, plain)
		}
		for s := range strings.SplitSeq(plain[1:], "/") {
			if s == "" || s == "." || s == ".." {
				t.Fatalf("%q has a segment %q", path, s)
			}
		}
	})
}

func TestParamAndObjectIDs(t *testing.T) {
	for _, c := range []struct {
		match, path, name, param string
		ids                      []string
	}{
		{"POST /v1/charges/{id}/capture", "/v1/charges/ch_1/capture", "id", "ch_1", []string{"ch_1"}},
		{"POST /v1/charges/{id}", "/v1/charges/ch%20%311", "id", "ch 11", []string{"ch 11"}},
		{"GET /v1/**", "/v1/charges/ch_1/refunds", "id", "", []string{"refunds", "ch_1", "charges"}},
		{"GET /**/x/{id}", "/x/x/x/7", "id", "7", []string{"7"}},
		{"GET /a/{owner}/{id}", "/a/me/7", "owner", "me", []string{"7"}},
		{"GET /a/*", "/a/7", "id", "", []string{"7"}},
		{"GET /a", "/a", "id", "", nil},
		{"GET /a/{id}", "/a/../b", "id", "", nil},
		{"GET /a/{id}", "/b/1", "owner", "", nil},
	} {
		op := compiled(t, c.match).Operations[0]
		got, ok := op.Param(c.path, c.name)
		if got != c.param || ok != (c.param != "") {
			t.Errorf("%s ← %s: {%s} is %q, %t", c.match, c.path, c.name, got, ok)
		}
		if c.path != "/b/1" && !reflect.DeepEqual(op.ObjectIDs(c.path), c.ids) {
			t.Errorf("%s ← %s: ids %v", c.match, c.path, op.ObjectIDs(c.path))
		}
	}
}

func TestNearestOperation(t *testing.T) {
	s := compiled(t, "POST /v1/charges", "POST /v1/refunds", "GET /v1/**")
	for call, want := range map[string]string{
		"POST /v1/charge":                   "nearest: POST /v1/charges (op0)",
		"PUT /v1/refunds":                   "nearest: POST /v1/refunds (op1)",
		"GET /" + strings.Repeat("x", 9000): "nearest: GET /v1/** (op2)",
	} {
		method, path, _ := strings.Cut(call, " ")
		if got := s.Nearest(method, path); got != want {
			t.Errorf("%.30s: got %q", call, got)
		}
	}
	if got := (&Service{}).Nearest("GET", "/"); got != "" {
		t.Errorf("a service without operations: %q", got)
	}
}

func TestListening(t *testing.T) {
	s := &Snapshot{Services: []*Service{
		{Name: "pay", Listen: Listen{7101, "pay.segue.internal"}},
		{Name: "sms", Listen: Listen{7101, "sms.segue.internal"}},
		{Name: "alone", Listen: Listen{Port: 7102}},
	}}
	for _, c := range []struct {
		port int
		host string
		want string
	}{
		{7101, "pay.segue.internal", "pay"}, {7101, "PAY.Segue.Internal:7101", "pay"}, {7101, "sms.segue.internal.", "sms"},
		{7101, "other", ""}, {7101, "", ""}, {7102, "anything:1", "alone"}, {7102, "", "alone"}, {7102, "[::1]:7102", "alone"}, {7103, "", ""},
	} {
		svc, ok := s.Listening(c.port, c.host)
		if ok != (c.want != "") || ok && svc.Name != c.want {
			t.Errorf("%d %q: got %v", c.port, c.host, svc)
		}
	}
	if svc, ok := s.Service("sms"); !ok || svc.Name != "sms" {
		t.Errorf("by name: %v", svc)
	}
	if _, ok := s.Service("nope"); ok {
		t.Error("found a service that is not there")
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	s := snapshot(t).Services[0]
	snap := snapshot(t)
	for name, f := range map[string]func(){
		"match":     func() { s.Match("POST", "/v1/charges/ch_1/capture") },
		"none":      func() { s.Match("POST", "/v2/charges") },
		"wild":      func() { s.Match("GET", "/v1/charges/ch_1/refunds") },
		"listening": func() { snap.Listening(7101, "Payments.Segue.Internal:7101") },
		"param":     func() { s.Operations[1].Param("/v1/charges/ch_1/capture", "id") },
		"classify":  func() { s.Speaks.Classify(402, "card_declined") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %.0f times", name, n)
		}
	}
}

func snapshot(t testing.TB) *Snapshot {
	t.Helper()
	s, err := Compile(good(t, "smallest"), Local, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func BenchmarkMatch(b *testing.B) {
	s := snapshot(b).Services[0]
	for _, c := range [][2]string{{"POST", "/v1/charges"}, {"POST", "/v1/refunds/re_1/cancel"}, {"GET", "/v1/charges/ch_1"}, {"POST", "/v1/nothing"}} {
		b.Run(c[0]+c[1], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Match(c[0], c[1])
			}
		})
	}
}
