package policy

import (
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func stripe(t testing.TB) *Contract {
	t.Helper()
	c, err := (&Policy{}).Contract("stripe/v1")
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestStripeContractSaysWhatAnswersProve(t *testing.T) {
	for _, c := range []struct {
		status         int
		body           string
		class, outcome string
	}{
		{200, `{"id":"ch_1"}`, ClassOK, OutcomeSucceeded},
		{201, ``, ClassOK, OutcomeSucceeded},
		{400, `{"error":{"type":"invalid_request_error","code":"parameter_missing"}}`, ClassOK, OutcomeDeclined},
		{400, `{"error":{"type":"idempotency_error"}}`, ClassOK, OutcomeUnknown},
		{400, `{"error":{"type":"idempotency_error","code":"something_new"}}`, ClassOK, OutcomeUnknown},
		{409, `{"error":{"type":"invalid_request_error","code":"idempotency_key_in_use"}}`, ClassOK, OutcomeUnknown},
		{409, `no JSON at all`, ClassOK, OutcomeUnknown},
		{401, `{"error":{"type":"invalid_request_error"}}`, ClassOK, OutcomeDeclined},
		{402, `{"error":{"type":"card_error","code":"card_declined"}}`, ClassOK, OutcomeDeclined},
		{403, ``, ClassOK, OutcomeDeclined},
		{404, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`, ClassOK, OutcomeDeclined},
		{408, ``, ClassFailure, OutcomeUnknown},
		{424, ``, ClassFailure, OutcomeUnknown},
		{429, `{"error":{"type":"invalid_request_error","code":"lock_timeout"}}`, ClassLimited, OutcomeNotSent},
		{500, `{"error":{"type":"api_error"}}`, ClassFailure, OutcomeUnknown},
		{503, ``, ClassFailure, OutcomeUnknown},
		{599, ``, ClassFailure, OutcomeUnknown},
		{301, ``, ClassFailure, OutcomeUnknown},
		{307, ``, ClassFailure, OutcomeUnknown},
		{100, ``, ClassFailure, OutcomeUnknown},
		{0, ``, ClassFailure, OutcomeUnknown},
		{-1, ``, ClassFailure, OutcomeUnknown},
		{1000, ``, ClassFailure, OutcomeUnknown},
	} {
		contract := stripe(t)
		class, outcome := contract.Classify(c.status, contract.ErrorCode([]byte(c.body)))
		if class != c.class || outcome != c.outcome {
			t.Errorf("%d %s: got %s/%s, want %s/%s", c.status, c.body, class, outcome, c.class, c.outcome)
		}
	}
}

// A contract without rules guesses nothing, and no status is a success by itself.
func TestWhatNoRuleCoversIsUnknown(t *testing.T) {
	for status := range 700 {
		if class, outcome := (&Contract{}).Classify(status, ""); class != ClassFailure || outcome != OutcomeUnknown {
			t.Fatalf("%d: %s/%s", status, class, outcome)
		}
	}
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	c := Contract{Statuses: []StatusRule{
		{503, 503, "busy", ClassLimited, OutcomeNotSent},
		{500, 599, "", ClassFailure, OutcomeUnknown},
		{503, 503, "", ClassOK, OutcomeSucceeded},
	}}
	for code, want := range map[string]string{"busy": OutcomeNotSent, "other": OutcomeUnknown, "": OutcomeUnknown} {
		if _, got := c.Classify(503, code); got != want {
			t.Errorf("503 %q: got %s", code, got)
		}
	}
}

// With the caller's own key a 401 is his to mend. With ours it is the provider that is out of order for us.
func TestARefusedCredentialIsWhoseItIs(t *testing.T) {
	for kind, want := range map[string][2]string{
		CredentialCaller: {ClassOK, OutcomeDeclined},
		CredentialEnv:    {ClassFailure, OutcomeNotSent},
		CredentialFile:   {ClassFailure, OutcomeNotSent},
	} {
		c := Candidate{Contract: stripe(t), Credential: Credential{Kind: kind}}
		if class, outcome := c.Classify(401, ""); class != want[0] || outcome != want[1] {
			t.Errorf("%s: 401 is %s/%s", kind, class, outcome)
		}
		if class, outcome := c.Classify(402, ""); class != ClassOK || outcome != OutcomeDeclined {
			t.Errorf("%s: 402 is %s/%s", kind, class, outcome)
		}
	}
}

func TestErrorCode(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"code":"card_declined","type":"card_error"}}`: "card_declined",
		`{"error":{"type":"api_error"}}`:                         "api_error",
		`{"error":{"code":"new","type":"idempotency_error"}}`:    "idempotency_error",
		`{"error":{"code":"idempotency_key_in_use","type":"x"}}`: "idempotency_key_in_use",
		`{"error":"text"}`:               "",
		`{"error":{"code":7}}`:           "",
		`[]`:                             "",
		``:                               "",
		`{"error":{"code":"a"`:           "",
		`{"error":null}`:                 "",
		strings.Repeat("[", 20_000):      "",
		`{"object":"charge","error":{}}`: "",
		`{"error":{"code":null,"type":"invalid_request_error"},"x":1}`: "invalid_request_error",
	} {
		if got := stripe(t).ErrorCode([]byte(body)); got != want {
			t.Errorf("%.60s: got %q", body, got)
		}
	}
	if got := (&Contract{Dialect: Plain}).ErrorCode([]byte(`{"error":{"code":"a"}}`)); got != "" {
		t.Errorf("a plain contract has no codes: %q", got)
	}
}

func TestBuiltins(t *testing.T) {
	all := Builtins()
	if len(all) == 0 || !slices.IsSortedFunc(all, func(a, b Contract) int { return strings.Compare(a.Name, b.Name) }) {
		t.Fatalf("built-in contracts: %d, sorted by name?", len(all))
	}
	for _, c := range all {
		own := c
		own.Name = "copy/" + strings.ReplaceAll(c.Name, "/", "-")
		p := good(t, "smallest")
		p.Contracts = []Contract{own}
		if problems := Validate(p); problems != nil {
			t.Errorf("%s breaks the rules that users' contracts keep:\n%s", c.Name, problems.Error())
		}
	}
	if _, ok := Builtin("stripe/v1"); !ok {
		t.Error("stripe/v1 is not there")
	}
	if _, ok := Builtin("nope/v1"); ok {
		t.Error("nope/v1 is there")
	}
}

func TestStripeContract(t *testing.T) {
	c := stripe(t)
	want := Keys{Header: "Idempotency-Key", Enforced: true, Life: 24 * time.Hour, Max: 255, InUse: 409, Replay: StoredAll}
	if c.Keys != want || c.Endpoint != "https://api.stripe.com" || c.Dialect != Stripe || c.ObjectID != "id" ||
		c.Credential != (Slot{Header: "Authorization", Value: "Bearer {credential}"}) {
		t.Errorf("%+v", c)
	}
	s := snapshot(t).Services[0]
	for call, want := range map[string]string{
		"POST /v1/charges":                        "charge",
		"POST /v1/charges/ch_1/capture":           "charge-capture",
		"POST /v1/charges/ch_1":                   "charge-update",
		"POST /v1/payment_intents":                "intent",
		"POST /v1/payment_intents/pi_1/confirm":   "intent-confirm",
		"POST /v1/payment_intents/pi_1/capture":   "intent-capture",
		"POST /v1/payment_intents/pi_1/cancel":    "intent-cancel",
		"POST /v1/payment_intents/pi_1":           "intent-update",
		"POST /v1/refunds":                        "refund",
		"GET /v1/charges/ch_1":                    "read",
		"GET /v1/balance":                         "read",
		"DELETE /v1/charges/ch_1":                 "",
		"POST /v1/payouts":                        "",
		"POST /v1/charges/ch_1/capture/../refund": "",
	} {
		method, path, _ := strings.Cut(call, " ")
		op, ok := s.Match(method, path)
		if ok != (want != "") || ok && op.Name != want {
			t.Errorf("%s: got %v", call, op)
		}
		if ok && op.Read == op.Key.Required {
			t.Errorf("%s: an effect needs a key, a read none: %+v", call, op.OperationSpec)
		}
	}
}

func TestLikeLaysOneContractOverAnother(t *testing.T) {
	base := Contract{Name: "base/v1", Endpoint: "https://base.example", Dialect: Stripe, Credential: Slot{Header: "X-Base", Value: "{credential}"},
		Keys: Keys{Header: "K", Enforced: true, Life: time.Hour, Max: 9, InUse: 409}, RetryAfter: "X-Retry", ObjectID: "id",
		Statuses:   []StatusRule{{200, 299, "", ClassOK, OutcomeSucceeded}},
		Operations: []OperationSpec{{Name: "read", Match: "GET /**", Read: true}}}
	over := Contract{Name: "over/v1", Like: "base/v1"}
	p := &Policy{Contracts: []Contract{over, base}}
	got, err := p.Contract("over/v1")
	if err != nil {
		t.Fatal(err)
	}
	want := base
	want.Name, want.Like = "over/v1", "base/v1"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("one that says nothing changes more than its name:\n%+v\n%+v", got, want)
	}
	p.Contracts[0] = Contract{Name: "over/v1", Like: "base/v1", Endpoint: "https://over.example", Dialect: Plain,
		Credential: Slot{Header: "X-Over", Value: "k={credential}"}, Keys: Keys{Ignored: true, Life: time.Minute}, RetryAfter: "R", ObjectID: "data.id",
		Statuses:   []StatusRule{{503, 503, "", ClassLimited, OutcomeNotSent}},
		Operations: []OperationSpec{{Name: "all", Match: "GET /**", Read: true}}}
	got, err = p.Contract("over/v1")
	want = p.Contracts[0]
	want.Keys = Keys{Header: "K", Ignored: true, Life: time.Minute, Max: 9, InUse: 409}
	want.Statuses = []StatusRule{{503, 503, "", ClassLimited, OutcomeNotSent}, {200, 299, "", ClassOK, OutcomeSucceeded}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

func TestLikeEnds(t *testing.T) {
	chain := []Contract{{Name: "c0", Like: "stripe/v1"}}
	for i := 1; i <= maxLike; i++ {
		chain = append(chain, Contract{Name: "c" + string(rune('0'+i)), Like: "c" + string(rune('0'+i-1))})
	}
	p := &Policy{Contracts: append(chain, Contract{Name: "self", Like: "self"}, Contract{Name: "a", Like: "b"}, Contract{Name: "b", Like: "a"})}
	for name, want := range map[string]string{
		"self": "like itself: self → self", "a": "like itself: a → b → a", "c8": "more than 8", "none": "there is no contract",
	} {
		if _, err := p.Contract(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	if _, err := p.Contract("c6"); err != nil {
		t.Errorf("a chain of eight: %v", err)
	}
}

// The digest of a shipped contract stands in the ledger: a change of it is a change of the contract, or a mistake.
func TestDigestOfStripeIsPinned(t *testing.T) {
	sum := stripe(t).Digest()
	golden(t, "testdata/stripe-v1.digest", []byte(hex.EncodeToString(sum[:])+"\n"))
}

func TestDigestSeesEveryField(t *testing.T) {
	before := stripe(t).Digest()
	for name, change := range map[string]func(*Contract){
		"Name":            func(c *Contract) { c.Name += "x" },
		"Like":            func(c *Contract) { c.Like += "x" },
		"Dialect":         func(c *Contract) { c.Dialect = Plain },
		"Endpoint":        func(c *Contract) { c.Endpoint += "x" },
		"Credential":      func(c *Contract) { c.Credential.Path += "x" },
		"Keys":            func(c *Contract) { c.Keys.Life++ },
		"Keys.Scope":      func(c *Contract) { c.Keys.Scope = PerEndpoint },
		"Keys.Syntax":     func(c *Contract) { c.Keys.Syntax = SyntaxUUID },
		"Keys.Replay":     func(c *Contract) { c.Keys.Replay = Stored2xx },
		"RateLimit":       func(c *Contract) { c.RateLimit.Reset = "x" },
		"Recourse":        func(c *Contract) { c.Recourse.Refund = "charge" },
		"Recourse.Settle": func(c *Contract) { c.Recourse.Settle++ },
		"Recourse.Lookup": func(c *Contract) { c.Recourse.Lookup = Lookup{Match: "GET /x", Strong: true} },
		"Recourse.Cancel": func(c *Contract) { c.Recourse.Cancel = Cancel{Match: "POST /x", Blocks: true} },
		"Webhooks":        func(c *Contract) { c.Webhooks.Signature.Scheme = SignedBody },
		"Webhooks.States": func(c *Contract) {
			c.Webhooks = Webhooks{Signature: Signature{Scheme: SignedBody}, States: States{Declined: []string{"a"}}}
		},
		"Recourse.Lookup.Found": func(c *Contract) { c.Recourse.Lookup = Lookup{Match: "GET /x", Found: Found{Answer: 201}} },
		"Recourse.Lookup.Wins":  func(c *Contract) { c.Recourse.Lookup = Lookup{Match: "GET /x", Wins: OursWins} },
		"Recourse.Lookup.States": func(c *Contract) {
			c.Recourse.Lookup = Lookup{Match: "GET /x", Found: Found{States: States{Voided: []string{"a"}}}}
		},
		"Recourse.Cancel.Answers": func(c *Contract) {
			c.Recourse.Cancel = Cancel{Match: "POST /x", Answers: []CancelRule{{From: 404, To: 404, Means: ShowsAbsent}}}
		},
		"Session":    func(c *Contract) { c.Session = []Passage{{Map: "a", Import: Import{Match: "POST /x"}}} },
		"RetryAfter": func(c *Contract) { c.RetryAfter += "x" },
		"Codes":      func(c *Contract) { c.Codes = []string{"x"} },
		"ObjectID":   func(c *Contract) { c.ObjectID += "x" },
		"Statuses":   func(c *Contract) { c.Statuses = slices.Clone(c.Statuses); c.Statuses[3].To = 500 },
		"Speaks":     func(c *Contract) { c.Speaks = []Spoken{{API: "acme/v1"}} },
		"Operations": func(c *Contract) { c.Operations = slices.Clone(c.Operations); c.Operations[0].Key = KeyRule{} },
	} {
		c := *stripe(t)
		change(&c)
		if c.Digest() == before {
			t.Errorf("%s changed and the digest did not", name)
		}
		if again := c; again.Digest() != c.Digest() {
			t.Errorf("%s: two digests of one contract", name)
		}
		field, _, _ := strings.Cut(name, ".")
		if _, ok := reflect.TypeFor[Contract]().FieldByName(field); !ok {
			t.Errorf("%s is no field any more", name)
		}
	}
	told := *stripe(t)
	told.Sources = nil
	if told.Digest() != before {
		t.Error("where a fact was read is no part of it")
	}
	for _, of := range []struct {
		of   reflect.Type
		want int
	}{{reflect.TypeFor[Contract](), 15}, {reflect.TypeFor[Webhooks](), 9}, {reflect.TypeFor[Signature](), 9}, {reflect.TypeFor[Keys](), 9}, {reflect.TypeFor[Recourse](), 5}, {reflect.TypeFor[Lookup](), 7},
		{reflect.TypeFor[Cancel](), 6}, {reflect.TypeFor[Found](), 6}, {reflect.TypeFor[States](), 5}, {reflect.TypeFor[CancelRule](), 5}, {reflect.TypeFor[RateHeaders](), 3}} {
		if n := of.of.NumField(); n != of.want {
			t.Errorf("%s has %d fields, this test and the digest know %d", of.of, n, of.want)
		}
	}
}
