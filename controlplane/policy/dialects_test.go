package policy

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func builtin(t testing.TB, name string) *Contract {
	t.Helper()
	c, err := (&Policy{}).Contract(name)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestTwilioContractSaysWhatAnswersProve(t *testing.T) {
	answers(t, builtin(t, "twilio/2010"), []proof{
		{201, `{"sid":"SM1","status":"queued"}`, ClassOK, OutcomeSucceeded},
		{400, `{"code":21211,"message":"Invalid 'To' Phone Number","status":400}`, ClassOK, OutcomeDeclined},
		{401, `{"code":20003,"status":401}`, ClassOK, OutcomeDeclined},
		{404, `{"code":20404,"status":404}`, ClassOK, OutcomeDeclined},
		{408, ``, ClassFailure, OutcomeUnknown},
		{429, `{"code":20429,"message":"Too Many Requests","status":429}`, ClassLimited, OutcomeNotSent},
		{500, `{"code":20500,"status":500}`, ClassFailure, OutcomeUnknown},
		{503, ``, ClassFailure, OutcomeUnknown},
		{302, ``, ClassFailure, OutcomeUnknown},
	})
}

func TestOpenAIContractSaysWhatAnswersProve(t *testing.T) {
	answers(t, builtin(t, "openai/v1"), []proof{
		{200, `{"id":"chatcmpl-1"}`, ClassOK, OutcomeSucceeded},
		{400, `{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}`, ClassOK, OutcomeDeclined},
		{401, `{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}`, ClassOK, OutcomeDeclined},
		{404, `{"error":{"type":"invalid_request_error","code":"model_not_found"}}`, ClassOK, OutcomeDeclined},
		{429, `{"error":{"type":"requests","code":"rate_limit_exceeded"}}`, ClassLimited, OutcomeNotSent},
		{429, `{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}`, ClassLimited, OutcomeNotSent},
		{408, ``, ClassFailure, OutcomeUnknown},
		{500, `{"error":{"type":"server_error","code":null}}`, ClassFailure, OutcomeUnknown},
		{503, `{"error":{"type":"server_error"}}`, ClassFailure, OutcomeUnknown},
	})
}

type proof struct {
	status         int
	body           string
	class, outcome string
}

func answers(t *testing.T, contract *Contract, cases []proof) {
	t.Helper()
	for _, c := range cases {
		class, outcome := contract.Classify(c.status, contract.ErrorCode([]byte(c.body)))
		if class != c.class || outcome != c.outcome {
			t.Errorf("%d %s: got %s/%s, want %s/%s", c.status, c.body, class, outcome, c.class, c.outcome)
		}
	}
	own := Candidate{Contract: contract, Credential: Credential{Kind: CredentialEnv}}
	if class, outcome := own.Classify(401, ""); class != ClassFailure || outcome != OutcomeNotSent {
		t.Errorf("401 to a credential of ours: %s/%s", class, outcome)
	}
}

func TestEachDialectHasItsCodes(t *testing.T) {
	for _, c := range []struct {
		dialect    Dialect
		body, want string
	}{
		{Twilio, `{"code":20429,"message":"x","status":429}`, "20429"},
		{Twilio, `{"code":"20429"}`, ""},
		{Twilio, `{"error":{"code":"a"}}`, ""},
		{Twilio, `no JSON`, ""},
		{OpenAI, `{"error":{"message":"x","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, "rate_limit_exceeded"},
		{OpenAI, `{"error":{"type":"server_error","code":null}}`, "server_error"},
		{OpenAI, `{"code":20429}`, ""},
		{Plain, `{"code":20429,"error":{"code":"a"}}`, ""},
	} {
		if got := (&Contract{Dialect: c.dialect}).ErrorCode([]byte(c.body)); got != c.want {
			t.Errorf("%s %s: got %q", c.dialect, c.body, got)
		}
	}
}

// The digests of shipped contracts stand in the ledger: a change is a change of the contract, or a mistake.
func TestDigestsOfTheOthersArePinned(t *testing.T) {
	for name, file := range map[string]string{"twilio/2010": "twilio-2010", "openai/v1": "openai-v1", "anthropic/v1": "anthropic-v1", "sendgrid/v3": "sendgrid-v3", "mailgun/v3": "mailgun-v3",
		"adyen/v71": "adyen-v71", "checkout/v3": "checkout-v3", "paypal/v2": "paypal-v2", "vonage/v1": "vonage-v1"} {
		sum := builtin(t, name).Digest()
		golden(t, "testdata/"+file+".digest", []byte(hex.EncodeToString(sum[:])+"\n"))
	}
}

const bothDialects = `segue: v1
services:
  sms:
    speaks: twilio/2010
    listen: 7102
    strategy: priority
    priority: [a, b]
  chat:
    speaks: openai/v1
    listen: 7103
    strategy: priority
    priority: [c, d]
    operations:
      complete: {match: POST /v1/chat/completions, semantics: read} # repeatable
      models: {match: GET /v1/models/**}
providers:
  a: {contract: twilio/2010, credential: "env:A"}
  b: {contract: twilio/2010, credential: caller}
  c: {contract: openai/v1, credential: "env:C"}
  d: {contract: openai/v1, credential: caller}
`

func dialectsSnapshot(t *testing.T) *Snapshot {
	t.Helper()
	p, problems := Parse("p.yaml", []byte(bothDialects))
	if problems != nil {
		t.Fatal(problems.Error())
	}
	s, err := Compile(p, "local", 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOperationsOfTheDialects(t *testing.T) {
	s := dialectsSnapshot(t)
	for _, c := range []struct{ service, call, want, id string }{
		{"sms", "POST /2010-04-01/Accounts/AC1/Messages.json", "send", ""},
		{"sms", "GET /2010-04-01/Accounts/AC1/Messages.json", "messages", ""},
		{"sms", "GET /2010-04-01/Accounts/AC1/Messages/SM1.json", "message", "SM1"},
		{"sms", "GET /2010-04-01/Accounts/AC1/Messages/SM%31%2Ejson", "message", "SM1"},
		{"sms", "GET /2010-04-01/Accounts/AC1/Messages/.json", "", ""},
		{"sms", "GET /2010-04-01/Accounts/AC1/Messages/SM1.xml", "", ""},
		{"sms", "POST /2010-04-01/Accounts/AC1/Calls.json", "", ""},
		{"chat", "POST /v1/chat/completions", "complete", ""},
		{"chat", "GET /v1/models", "models", ""},
		{"chat", "GET /v1/models/gpt-1", "models", ""},
		{"chat", "POST /v1/embeddings", "", ""},
	} {
		svc, _ := s.Service(c.service)
		method, path, _ := strings.Cut(c.call, " ")
		op, ok := svc.Match(method, path)
		if ok != (c.want != "") || ok && op.Name != c.want {
			t.Errorf("%s: got %v, want %q", c.call, op, c.want)
			continue
		}
		if !ok {
			continue
		}
		if id, _ := op.Param(path, "id"); id != c.id {
			t.Errorf("%s: id %q, want %q", c.call, id, c.id)
		}
		if op.Read != (c.want != "send") {
			t.Errorf("%s: read %t", c.call, op.Read)
		}
	}
}

func TestEffectsOfTheDialectsHaveKeys(t *testing.T) {
	send := builtin(t, "twilio/2010").Operations[0]
	if send.Read || len(send.Key.Derive) != 3 || send.Key.Within != 5*time.Minute {
		t.Errorf("a message without the caller's key is known by what it says: %+v", send)
	}
	if complete := builtin(t, "openai/v1").Operations[0]; complete.Read || !complete.Key.Required {
		t.Errorf("a completion is repeated only where the policy says so: %+v", complete)
	}
	for _, name := range []string{"twilio/2010", "openai/v1"} {
		if k := builtin(t, name).Keys; k != (Keys{}) {
			t.Errorf("%s takes no key: %+v", name, k)
		}
	}
}

func TestAPathNamesTheAccountThatItIsSentTo(t *testing.T) {
	svc, _ := dialectsSnapshot(t).Service("sms")
	for path, want := range map[string]string{
		"/2010-04-01/Accounts/AC1/Messages.json":          "/2010-04-01/Accounts/ACx/Messages.json",
		"/2010-04-01/Accounts/AC%31/Messages/SM%31.json":  "/2010-04-01/Accounts/ACx/Messages/SM%31.json",
		"/2010-04-01/%41ccounts/AC1/Messages.json":        "/2010-04-01/%41ccounts/ACx/Messages.json",
		"/2010-04-01/Accounts/AC1.json":                   "/2010-04-01/Accounts/AC1.json",
		"/2010-04-01/Accounts":                            "/2010-04-01/Accounts",
		"/2010-04-01/Accounts/AC1/../AC2/Messages.json":   "/2010-04-01/Accounts/AC1/../AC2/Messages.json",
		"/2010-04-01/Other/AC1/Messages.json":             "/2010-04-01/Other/AC1/Messages.json",
		"/v2/2010-04-01/Accounts/AC1/Messages/AC1/x.json": "/v2/2010-04-01/Accounts/AC1/Messages/AC1/x.json",
		"/2010-04-01/Accounts/AC1/AC1/AC1":                "/2010-04-01/Accounts/ACx/AC1/AC1",
	} {
		if got := svc.Candidates[0].Path(path, "ACx"); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got := svc.Candidates[0].Path("/2010-04-01/Accounts/AC1/Messages.json", "a/../b?"); got != "/2010-04-01/Accounts/a%2F..%2Fb%3F/Messages.json" {
		t.Errorf("a user is one segment, whatever it says: %s", got)
	}
	chat, _ := dialectsSnapshot(t).Service("chat")
	if got := chat.Candidates[0].Path("/2010-04-01/Accounts/AC1/Messages.json", "x"); got != "/2010-04-01/Accounts/AC1/Messages.json" {
		t.Errorf("a contract without a path changes none: %s", got)
	}
}

func TestSlots(t *testing.T) {
	for _, c := range []struct {
		slot         Slot
		secret, want string
	}{
		{Slot{}, "k", "Bearer k"},
		{Slot{Value: "Bearer {credential}"}, "k", "Bearer k"},
		{Slot{Value: "Basic {basic}"}, "AC1:t", "Basic QUMxOnQ="},
		{Slot{Value: "{credential}"}, "{basic}", "{basic}"},
	} {
		if got := c.slot.Fill(c.secret); got != c.want {
			t.Errorf("%+v: got %q", c.slot, got)
		}
	}
}

func TestSlotsThatAreWrong(t *testing.T) {
	for slot, want := range map[string]string{
		`{header: A, value: "Basic"}`:                           "must hold {credential}, or {basic}, once",
		`{header: A, value: "{basic} {credential}"}`:            "must hold {credential}, or {basic}, once",
		`{header: A, value: "{basic}", path: "x"}`:              "not a method and a path",
		`{header: A, value: "{basic}", path: "/Accounts/*"}`:    "has no segment {user}",
		`{header: A, value: "{basic}", path: "/**/{user}"}`:     "has a ** before {user}",
		`{header: A, value: "{basic}", path: "/{user}.json/x"}`: "has no segment {user}",
		`{header: A, value: "{basic}", path: "/{user}/{user}"}`: "{user} stands there twice",
		`{path: "/{user}"}`:                                     "needs both header and value",
	} {
		src := strings.Replace(bothDialects, "providers:", "contracts:\n  own/v1: {like: twilio/2010, credential: "+slot+"}\nproviders:", 1)
		if _, problems := Parse("p.yaml", []byte(src)); problems == nil || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: got %v, want %q", slot, problems, want)
		}
	}
}

func TestPatternsWithASuffix(t *testing.T) {
	for match, want := range map[string]string{
		"GET /a/{id}.json":  "",
		"GET /a/{id}{b}":    "cannot stand in a path pattern",
		"GET /a/{id":        "lacks its }",
		"GET /a/{}.json":    "is no name",
		"GET /a/x{id}.json": "cannot stand in a path pattern",
	} {
		_, err := parsePattern(match)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", match, err, want)
		}
	}
	json, _ := parsePattern("GET /a/{id}.json")
	any, _ := parsePattern("GET /a/{x}")
	if !any.covers(&json) || json.covers(&any) {
		t.Error("what is open fits what has a suffix, and not the other way round")
	}
}
