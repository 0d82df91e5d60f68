package policy

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"net/http"
	"strconv"
)

// The words of a status rule. They are those of health.Class and ledger.Outcome.
const (
	ClassOK      = "ok"
	ClassLimited = "limited"
	ClassSlow    = "slow"
	ClassFailure = "failure"

	OutcomeSucceeded = "succeeded"
	OutcomeDeclined  = "declined"
	OutcomeNotSent   = "not_sent"
	OutcomeUnknown   = "unknown"
)

// Classify says what an answer proves: how the provider behaved, and what happened to the call. code is what ErrorCode found in
// the body, or "". What no rule covers is a failure with an unknown outcome: the only answer that is never wrong.
func (c *Contract) Classify(status int, code string) (class, outcome string) {
	if c.Keys.InUse != 0 && status == c.Keys.InUse { // an earlier send with this key is still under way: nothing is decided
		return ClassOK, OutcomeUnknown
	}
	for i := range c.Statuses {
		r := &c.Statuses[i]
		if status >= r.From && status <= r.To && (r.Code == "" || r.Code == code) {
			return r.Class, r.Outcome
		}
	}
	return ClassFailure, OutcomeUnknown
}

// Classify is the contract's, but for one answer: a 401 to a credential of ours is not the caller's fault and he cannot mend it.
// The provider is out of order for us, and refused before it did anything.
func (c *Candidate) Classify(status int, code string) (class, outcome string) {
	if status == http.StatusUnauthorized && c.Credential.Kind != CredentialCaller {
		return ClassFailure, OutcomeNotSent
	}
	return c.Contract.Classify(status, code)
}

// ErrorCode finds the error code in an answer's body, in the contract's dialect. Bodies of Stripe's and OpenAI's hold both a code and a
// type: the one that a rule of the contract names is told, the code first. Twilio's codes are numbers.
func (c *Contract) ErrorCode(body []byte) string {
	if len(c.Codes) > 0 {
		return c.codeIn(body)
	}
	switch c.Dialect {
	case Stripe, OpenAI:
		return c.nestedCode(body)
	case Twilio:
		var answer struct{ Code int64 }
		if json.Unmarshal(body, &answer) != nil || answer.Code == 0 {
			return ""
		}
		return strconv.FormatInt(answer.Code, 10)
	default:
		return ""
	}
}

// codeIn is the first code that stands where the contract says.
func (c *Contract) codeIn(body []byte) string {
	doc, ok := oneValue(body)
	if !ok {
		return ""
	}
	for _, f := range c.Codes {
		if code := word(doc, f); code != "" {
			return code
		}
	}
	return ""
}

// ReadsSuccesses tells whether a code in the body of a 2xx decides what it proves: such an answer is read before it is passed on.
func (c *Contract) ReadsSuccesses() bool {
	for i := range c.Statuses {
		if r := &c.Statuses[i]; r.Code != "" && r.From < 300 && r.To >= 200 {
			return true
		}
	}
	return false
}

func (c *Contract) nestedCode(body []byte) string {
	var answer struct {
		Error struct{ Code, Type string }
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	code, kind := answer.Error.Code, answer.Error.Type
	if kind != "" && (code == "" || !c.names(code) && c.names(kind)) {
		return kind
	}
	return code
}

func (c *Contract) names(code string) bool {
	for i := range c.Statuses {
		if c.Statuses[i].Code == code {
			return true
		}
	}
	return false
}

// Digest names what the contract says, without the pages that say so too. It is recorded with each attempt, so that later evidence is
// read by the rules under which the attempt was sent. Fields at their zero value do not count: a field that is added later changes no old digest.
func (c *Contract) Digest() [32]byte {
	d := digest{sha256.New()}
	d.text("contract", c.Name)
	d.text("like", c.Like)
	d.text("dialect", string(c.Dialect))
	d.text("endpoint", c.Endpoint)
	d.text("credential.header", c.Credential.Header)
	d.text("credential.value", c.Credential.Value)
	d.text("credential.path", c.Credential.Path)
	d.text("keys.header", c.Keys.Header)
	d.flag("keys.enforced", c.Keys.Enforced)
	d.flag("keys.ignored", c.Keys.Ignored)
	d.number("keys.life", int64(c.Keys.Life))
	d.number("keys.max", int64(c.Keys.Max))
	d.number("keys.in_use", int64(c.Keys.InUse))
	d.text("keys.scope", string(c.Keys.Scope))
	d.text("keys.replay", string(c.Keys.Replay))
	if c.Keys.Syntax != "" {
		d.text("keys.syntax", string(c.Keys.Syntax))
	}
	d.text("retry_after", c.RetryAfter)
	d.text("object_id", c.ObjectID)
	for i, f := range c.Codes {
		d.text(fmt.Sprintf("codes[%d]", i), f)
	}
	d.text("rate_limit", c.RateLimit.text())
	c.Recourse.digest(d)
	digestPassages(d, c.Session)
	d.text("webhooks", c.Webhooks.text())
	d.states("webhooks.states", &c.Webhooks.States)
	for _, r := range c.Statuses {
		d.text("status", fmt.Sprintf("%d-%d %q %s %s", r.From, r.To, r.Code, r.Class, r.Outcome))
	}
	for _, o := range c.Operations {
		d.text("operation", fmt.Sprintf("%q %q %t %v %v", o.Name, o.Match, o.Read, o.Key, o.Follows))
	}
	c.digestSpoken(d)
	return d.sum()
}

// digest writes named values so that no two lists of them are written alike.
type digest struct{ h hash.Hash }

func (d digest) text(name, value string) {
	if value != "" {
		fmt.Fprintf(d.h, "%s=%q\n", name, value)
	}
}

func (d digest) number(name string, value int64) {
	if value != 0 {
		d.text(name, strconv.FormatInt(value, 10))
	}
}

func (d digest) flag(name string, value bool) {
	if value {
		d.text(name, "true")
	}
}

func (d digest) sum() (sum [32]byte) {
	copy(sum[:], d.h.Sum(nil))
	return sum
}
