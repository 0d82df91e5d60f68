package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"segue/regions"
)

// policies draws a policy that keeps all rules.
func policies(t *rapid.T) *Policy {
	p := &Policy{Regions: topologies(t), Exchange: exchanges(t)}
	for i := range rapid.IntRange(0, 3).Draw(t, "contracts") {
		p.Contracts = append(p.Contracts, contracts(t, fmt.Sprintf("own-%d/v1.%d", i, i)))
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "services") {
		p.Services = append(p.Services, services(t, p, i))
	}
	return p
}

func topologies(t *rapid.T) regions.Topology {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"us-east", "eu_west", "ap", "1", "null", "true", "on", "0x1"}), 1, 5,
		rapid.ID[string]).Draw(t, "regions")
	var topology regions.Topology
	for i, name := range names {
		r := regions.Region{Name: name}
		for _, other := range names[:i] {
			if rapid.Bool().Draw(t, "stands by") {
				r.Standby = append(r.Standby, other)
			}
		}
		topology = append(topology, r)
	}
	return topology
}

func spans(t *rapid.T, label string, limit time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(1, int64(limit)).Draw(t, label))
}

func contracts(t *rapid.T, name string) Contract {
	text := func(label string, values ...string) string {
		return rapid.SampledFrom(append(values, "")).Draw(t, label)
	}
	c := Contract{Name: name, Like: "stripe/v1", Dialect: Dialect(text("dialect", "plain", "stripe", "twilio", "openai")),
		Endpoint:   text("endpoint", "https://x.example/a", "http://localhost:1", "http://[::1]:7"),
		Credential: rapid.SampledFrom([]Slot{{}, {"X-Key", "{credential}", ""}, {"Authorization", `Basic "{credential}": #`, "/a/{user}/**"}}).Draw(t, "slot"),
		RetryAfter: text("retry after", "X-Retry"), ObjectID: text("object id", "data.id", "id"),
		Codes: rapid.SampledFrom([][]string{nil, {"code"}, {"a.b", "c"}}).Draw(t, "codes")}
	c.Keys.Header = text("key header", "X-Idem", "Idempotency-Key")
	switch rapid.IntRange(0, 2).Draw(t, "enforced") {
	case 0:
		c.Keys.Enforced = true
	case 1:
		c.Keys.Ignored = true
	}
	if rapid.Bool().Draw(t, "key numbers") {
		c.Keys.Life, c.Keys.Max, c.Keys.InUse = spans(t, "life", maxKeyLife), rapid.IntRange(uuidLength, maxKeyLength).Draw(t, "max"), 425
	}
	for range rapid.IntRange(0, 3).Draw(t, "statuses") {
		from := rapid.IntRange(400, 599).Draw(t, "from")
		c.Statuses = append(c.Statuses, StatusRule{from, rapid.IntRange(from, 599).Draw(t, "to"), text("code", "a: b", "é", "429"),
			rapid.SampledFrom(classes()).Draw(t, "class"), rapid.SampledFrom(outcomes()).Draw(t, "outcome")})
	}
	recourses(t, &c)
	if rapid.Bool().Draw(t, "imports") {
		p := Passage{Map: "vault/cards", Import: Import{"POST /v1/cards", Field{"body", "a.b"}, text("form", "form"), "id"}}
		if rapid.Bool().Draw(t, "exports") {
			p.Export = Export{"GET /v1/cards/{id}?s={session}", rapid.SampledFrom([]string{".card", ".a |\n{b: .c}\n"}).Draw(t, "answer"),
				of(t), text("id", "id", "a.b"), rapid.SampledFrom([][]int{nil, {404, 410}}).Draw(t, "absent"), spans(t, "copy", maxCopy), rapid.IntRange(0, maxExport).Draw(t, "max")}
			if len(p.Export.After) == 0 {
				p.Export.ID = ""
			}
		}
		c.Session = []Passage{p}
		if rapid.Bool().Draw(t, "tokens") {
			c.Session = append(c.Session, Passage{Map: "login", Tokens: Tokens{
				Put: rapid.SampledFrom([]Field{{"header", "X-Session-Token"}, {"body", "token"}, {"header", "Authorization"}}).Draw(t, "put"), Value: text("token value", "Bearer {access}"),
				Answer: "{access: .a, refresh: .r, life: .l}", Refresh: TokenCall{"POST /v1/tokens", text("refresh", `{"r":"{refresh}","s":"{session}"}`, "r={refresh}&a={account}")}, Early: spans(t, "early", maxEarly),
			}})
			if t := &c.Session[1].Tokens; t.Refresh.Body == "" {
				t.Refresh, t.Early, t.Issue = TokenCall{}, 0, TokenCall{"PUT /v1/tokens/{session}", ""}
			}
		}
	}
	return c
}

func of(t *rapid.T) []string {
	return rapid.SampledFrom([][]string{nil, {"charge"}, {"intent", "refund"}}).Draw(t, "after")
}

// recourses draws the facts that are not acted on. The operations are those of stripe/v1.
func recourses(t *rapid.T, c *Contract) {
	if c.Keys.Enforced {
		c.Keys.Scope = Scope(rapid.SampledFrom(append(scopes(), "")).Draw(t, "scope"))
		c.Keys.Replay = Stored(rapid.SampledFrom(append(storeds(), "")).Draw(t, "replay"))
		c.Keys.Syntax = Syntax(rapid.SampledFrom(append(syntaxes(), "")).Draw(t, "syntax"))
	}
	if c.Keys.Ignored {
		c.Keys.Life, c.Keys.InUse = 0, 0
	}
	c.Fees = rapid.SampledFrom([]ValueRule{{}, {Amount: Field{"body", "fee.value"}, Currency: Field{"body", "fee.currency"}, Major: true}}).Draw(t, "fees")
	c.RateLimit = rapid.SampledFrom([]RateHeaders{{}, {"X-L", "X-Rem", "X-Res"}, {Remaining: "x-left"}}).Draw(t, "rate limit")
	of := rapid.SampledFrom([][]string{nil, {"charge"}, {"intent", "refund"}})
	text := func(label string, values ...string) string {
		return rapid.SampledFrom(append(values, "")).Draw(t, label)
	}
	rules := rapid.SampledFrom([][]CancelRule{nil, {{200, 299, "", "", ShowsQueued}, {409, 409, "error.code", "é: x", ShowsTooLate}}, {{404, 404, "", "", ShowsAbsent}}})
	if rapid.Bool().Draw(t, "lookup") {
		c.Recourse.Lookup = Lookup{"GET /v1/found/{reference}?a=b&c=%27{reference}", Field{"body", "metadata.ref"}, Winner(text("wins", "caller", "segue")),
			of.Draw(t, "found"), 48 * time.Hour, rapid.Bool().Draw(t, "strong"), founds(t)}
	}
	if rapid.Bool().Draw(t, "cancel") {
		c.Recourse.Cancel = Cancel{"POST /v1/cancel/{reference}", text("body", `{"a":"{account}: {reference}"}`, "a={id}&b=#"), of.Draw(t, "cancelled"),
			CancelFinal, rapid.Bool().Draw(t, "blocks"), rules.Draw(t, "answers")}
		if c.Recourse.Cancel.NeedsID() && (c.Recourse.Lookup.Match == "" || c.Recourse.Cancel.Blocks) {
			c.Recourse.Cancel.Body = ""
		}
	}
	if rapid.Bool().Draw(t, "settle") {
		c.Recourse.Settle = spans(t, "settle", maxSettle)
		c.Sources = []Source{{"settle", "https://docs.example.com/a?b=c#d"}}
	}
	if rapid.Bool().Draw(t, "webhooks") {
		c.Webhooks = hooks(t, &c.Recourse.Lookup)
	}
	c.Recourse.Refund = rapid.SampledFrom([]string{"", "refund"}).Draw(t, "refund")
}

// hooks draws what a provider tells by itself.
func hooks(t *rapid.T, l *Lookup) Webhooks {
	h := Webhooks{Reference: "data.ref", ID: "data.id", States: founds(t).States}
	h.Signature = rapid.SampledFrom([]Signature{
		{Scheme: SignedBody, Header: "X-Sig", Encoding: InHex, Secret: InBase64},
		{Scheme: SignedTime, Header: "X-Sig", Part: "v1", Time: "t", Encoding: InBase64, Tolerance: 5 * time.Minute},
		{Scheme: SignedFields, In: "a.b", Fields: []string{"c", "d.e"}, Encoding: InHex, Secret: InHex},
		{Scheme: SignedToken, Header: "Authorization", Tolerance: time.Second},
	}).Draw(t, "signature")
	if rapid.Bool().Draw(t, "list") {
		h.Items, h.Item = "list", "item"
	}
	if l.Match == "" || rapid.Bool().Draw(t, "by too") {
		h.By, h.Of = Field{"body", "metadata.ref"}, []string{"charge"}
		h.Wins = l.Wins
	}
	return h
}

// founds draws how a lookup's answer is read.
func founds(t *rapid.T) Found {
	states := rapid.SampledFrom([]States{
		{[]string{"status"}, []string{"paid", "429"}, nil, nil, nil},
		{[]string{"a.b", "c"}, []string{"x true"}, []string{"a, b"}, []string{"true"}, []string{"#", "null"}},
	}).Draw(t, "states")
	return Found{rapid.SampledFrom([]string{"data", ""}).Draw(t, "items"), rapid.SampledFrom([]string{"metadata.ours", ""}).Draw(t, "reference"),
		rapid.SampledFrom([]string{"pay.id", ""}).Draw(t, "id"), states, []int{404}, rapid.SampledFrom([]int{0, 201}).Draw(t, "answer")}
}

func services(t *rapid.T, p *Policy, n int) ServiceSpec {
	s := ServiceSpec{Name: fmt.Sprint(n), Speaks: "stripe/v1", Listen: Listen{Port: 7000 + n}, Operations: operationLists(t)}
	if rapid.Bool().Draw(t, "host") {
		s.Listen = Listen{7999, fmt.Sprintf("s%d.internal", n)}
	}
	if rapid.Bool().Draw(t, "attempts") {
		deadline := spans(t, "deadline", maxDeadline)
		s.Attempts = Attempts{Max: rapid.IntRange(1, maxAttempts).Draw(t, "max"), PerTry: min(deadline, spans(t, "per try", maxPerTry)), Deadline: deadline}
	}
	s.Attempts.Budget = rapid.SampledFrom([]RetryBudget{{}, {0.2, 3}, {Ratio: 1}, {Floor: 0.5}}).Draw(t, "retries")
	if rapid.Bool().Draw(t, "breaker") {
		s.Breaker = Breaker{Failures: rapid.IntRange(1, 9).Draw(t, "failures"), Successes: rapid.IntRange(1, 9).Draw(t, "successes"), Reset: spans(t, "reset", maxReset)}
	}
	if rapid.Bool().Draw(t, "percent") {
		s.Breaker.Percent, s.Breaker.Window, s.Breaker.Calls = rapid.Float64Range(0.1, 100).Draw(t, "%"), spans(t, "window", maxWindow), rapid.IntRange(0, 99).Draw(t, "calls")
	}
	s.Session = sessionFields(t)
	if rapid.Bool().Draw(t, "without quorum") {
		s.NoQuorum = RefuseEffects
	}
	var names []string
	for i := range rapid.IntRange(1, 4).Draw(t, "providers") {
		p.Providers = append(p.Providers, providers(t, p, fmt.Sprintf("%d-%d", n, i)))
		names = append(names, p.Providers[len(p.Providers)-1].Name)
	}
	steer(t, p, &s, names)
	plans(t, p, &s)
	return s
}

func sessionFields(t *rapid.T) []SessionField {
	all := []SessionField{
		{Name: "card", Class: Replicated, Map: "vault/cards", At: Field{"body", "source"}, Warm: true},
		{Name: "cart", Class: Rebuilt, Kind: KindSet},
		{Name: "stock", Class: Rebuilt, Kind: KindCounter, Floor: -rapid.Int64Range(0, maxFloor).Draw(t, "floor"), HasFloor: true},
		{Name: "1", Class: PinnedHere, Report: true},
		{Name: "null", Class: Rebuilt, Compare: true, Map: "chat/history"},
	}
	var kept []SessionField
	for _, f := range all {
		if rapid.Bool().Draw(t, f.Name) {
			kept = append(kept, f)
		}
	}
	return kept
}

func operationLists(t *rapid.T) []OperationSpec {
	all := []OperationSpec{
		{Name: "charge", Match: "POST /v1/charges", Key: KeyRule{Required: true}, Leave: Leave{Keep: true, ExecuteBy: spans(t, "execute_by", maxWithin)}},
		{Name: "send", Match: "POST /**/Messages.json", Key: KeyRule{Derive: []Field{{"body", "a.b"}, {"header", "X-A"}}, Within: spans(t, "within", maxWithin)}, Leave: Leave{Duplicates: true}},
		{Name: "search", Match: "POST /search", Read: true},
		{Name: "take", Match: "GET /take/{id}", Key: KeyRule{Required: true}, Follows: []Field{{"path", "id"}, {"body", "x"}}, Leave: Leave{Traced: true}},
		{Name: "read", Match: "GET /v1/**", Read: true, Follows: []Field{{"path", "id"}}},
		{Name: "head", Match: "HEAD /*", Read: true},
	}
	var kept []OperationSpec
	for _, o := range all {
		if rapid.Bool().Draw(t, o.Name) {
			kept = append(kept, o)
		}
	}
	return kept
}

func providers(t *rapid.T, p *Policy, name string) ProviderSpec {
	s := ProviderSpec{Name: name, Contract: "stripe/v1", Account: rapid.SampledFrom([]string{"", "acct_1", "7", "true"}).Draw(t, "account")}
	if len(p.Contracts) > 0 && rapid.Bool().Draw(t, "own contract") {
		s.Contract = rapid.SampledFrom(p.Contracts).Draw(t, "contract").Name
	}
	s.Credential = byRegion(t, p, "credential", "caller", "env:A_1", "file:/a b/c: d #e", "file:é")
	if rapid.Bool().Draw(t, "endpoint") {
		s.Endpoint = byRegion(t, p, "endpoint", "https://x.example", "https://near.example https://far.example/v2", "http://127.0.0.1:7600/a/b/", "https://y.example:8443")
	}
	if rapid.Bool().Draw(t, "secret of webhooks") && p.hooked(s.Contract) {
		s.HookSecret = byRegion(t, p, "webhook secret", "env:H", "file:/h")
	}
	if rapid.Bool().Draw(t, "limits") {
		s.Limits = Limits{rapid.IntRange(1, maxInFlight).Draw(t, "in flight"), rapid.Float64Range(1e-6, maxRate).Draw(t, "rate")}
	}
	asks(t, p, &s)
	if rapid.Bool().Draw(t, "check") {
		every := minCheckEvery + spans(t, "every", time.Minute)
		all := []Check{{Method: "GET", Path: "/a?b=c&d", Every: every}, {Kind: CheckTCP, Every: every}, {Kind: CheckTLS, Every: every, Warn: 30, Bad: rapid.IntRange(0, 30).Draw(t, "bad")}}
		if s.Contract != "stripe/v1" || slices.ContainsFunc(s.Endpoint, func(v RegionValue) bool { return strings.Contains(v.Value, "http:") }) {
			all[2] = Check{Method: "HEAD", Path: "/", Every: every}
		}
		s.Checks.Active = all[rapid.IntRange(0, 2).Draw(t, "from"):]
	}
	return s
}

func byRegion(t *rapid.T, p *Policy, label string, values ...string) []RegionValue {
	list := []RegionValue{{Value: rapid.SampledFrom(values).Draw(t, label)}}
	for _, r := range p.Regions {
		if rapid.Bool().Draw(t, label+" there") {
			list = append(list, RegionValue{r.Name, rapid.SampledFrom(values).Draw(t, label)})
		}
	}
	return list
}

// steer draws weights or an order, for all regions, by region, or both.
func steer(t *rapid.T, p *Policy, s *ServiceSpec, names []string) {
	keys := []string{""}
	if rapid.Bool().Draw(t, "by region") {
		keys = p.Regions.Names()
		if rapid.Bool().Draw(t, "with default") {
			keys[0] = ""
		}
	}
	s.Strategy = rapid.SampledFrom(strategies()).Draw(t, "strategy")
	for _, key := range keys {
		order := rapid.Permutation(names).Draw(t, "order")
		if s.Strategy == Priority {
			s.Priority = append(s.Priority, RegionPriority{key, order[:rapid.IntRange(1, len(order)).Draw(t, "n")]})
			continue
		}
		if s.Strategy.listed() {
			s.Providers = append(s.Providers, RegionPriority{key, order[:rapid.IntRange(1, len(order)).Draw(t, "n")]})
			continue
		}
		var w []Weight
		for i, share := range shares(t, len(order)) {
			w = append(w, Weight{order[i], share})
		}
		s.Weights = append(s.Weights, RegionWeights{key, w})
	}
}

// shares draws n numbers that add up to 100, with two digits after the point.
func shares(t *rapid.T, n int) []float64 {
	list, left := make([]float64, n), 10_000
	for i := range n - 1 {
		part := rapid.IntRange(0, left).Draw(t, "share")
		list[i], left = float64(part)/100, left-part
	}
	list[n-1] = float64(left) / 100
	return list
}

func TestMarshalAndParseAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		text := Marshal(p)
		q, problems := Parse("p.yaml", text)
		if problems != nil {
			t.Fatalf("refused:\n%s\n%s", problems.Error(), text)
		}
		if !reflect.DeepEqual(p, q) {
			t.Fatalf("read back as another policy:\n%+v\n%+v\n%s", p, q, text)
		}
		if changes := Diff(p, q); len(changes) != 0 {
			t.Fatalf("equal policies differ: %v", changes)
		}
	})
}

func TestEveryRegionCompilesFromItsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		for _, r := range p.Regions.Names() {
			cut, problems := Parse("cut.yaml", Marshal(Cut(p, r)))
			if problems != nil {
				t.Fatalf("the cut for %s is refused: %v", r, problems)
			}
			whole, err := Compile(p, r, 1)
			if err != nil {
				t.Fatal(err)
			}
			part, err := Compile(cut, r, 1)
			if err != nil {
				t.Fatal(err)
			}
			withoutPrograms(whole)
			withoutPrograms(part)
			if !reflect.DeepEqual(answered(whole), answered(part)) {
				t.Fatalf("region %s decides otherwise by its cut", r)
			}
			if again := Cut(p, r); !reflect.DeepEqual(Cut(again, r), again) {
				t.Fatal("a cut of a cut is another")
			}
		}
	})
}

// withoutPrograms takes out what only identity compares. What they are made of stays.
func withoutPrograms(s *Snapshot) {
	for _, svc := range s.Services {
		for _, c := range svc.Candidates {
			for _, p := range c.passages {
				p.export, p.tokens = nil, nil
			}
		}
	}
}

func (p *Policy) hooked(name string) bool {
	c, err := p.Contract(name)
	return err == nil && c.Webhooks.say()
}
