package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"segue/dataplane/sandbox"
)

const toNumber = "+4915112345678"

// message is a message as Twilio's API tells it, or an error of that API.
type message struct {
	Sid        string
	AccountSid string `json:"account_sid"`
	Body, URI  string
	Code       int
	Message    string
}

func (a told) message() message {
	var m message
	_ = json.Unmarshal(a.body, &m) // what does not fit stays empty, and the test says what it wanted
	return m
}

// textOf is what an SDK sends: no key, and the application's own account in the path and in the credential.
func textOf(body string) ask {
	basic := base64.StdEncoding.EncodeToString([]byte(appAccount + ":" + appToken))
	return ask{
		method: http.MethodPost, path: "/2010-04-01/Accounts/" + appAccount + "/Messages.json",
		form:   url.Values{"To": {toNumber}, "From": {"+15550100100"}, "Body": {body}},
		header: map[string]string{"Authorization": "Basic " + basic},
	}
}

func sent(w *world, body string) int { return executed(w.box.Books(), toNumber+" "+body) }

// TestMessageReplyLost lets a provider send a message and lose the reply, again and again. Providers of messages know no keys: nobody else
// is asked, the caller is told that nobody knows, and his retry sends nothing.
func TestMessageReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, talking())
	c := w.texter()
	const times = 50
	for n := range times {
		body := fmt.Sprintf("Your code is %d", n)
		for k := range 12 { // one reply in a dozen: more, and its circuit opens
			if got := c.do(textOf(fmt.Sprintf("Good %d of %d", k, n))); got.status != http.StatusCreated {
				t.Fatalf("a message that nothing is wrong with: %v", got)
			}
		}
		w.faults(texters[0], sandbox.Fault{Kind: sandbox.Lose, Count: 1, End: []sandbox.Ending{sandbox.Close, sandbox.Abort}[n%2]})
		for _, call := range []string{"the call", "its retry", "its second retry"} {
			got := c.do(textOf(body))
			if got.status != http.StatusGatewayTimeout || got.problem() != "outcome-unknown" || got.document().Executed != "unknown" || got.message().Code != 20504 {
				t.Errorf("%s: %s: want outcome-unknown, got %v", body, call, got)
			}
		}
		if n := sent(w, body); n != 1 {
			t.Fatalf("%s: sent %d times", body, n)
		}
	}
	const all = 13 * times
	if n := w.done(sandbox.OpMessage, texters...); n != all {
		t.Errorf("%d messages for %d calls", n, all)
	}
	if n := w.requests(texters...); n != all {
		t.Errorf("%d requests reached the providers for %d calls", n, all)
	}
	list := w.transactions("") // the newest of them
	for _, tx := range list {
		if tx.State != "held" && tx.State != "succeeded" || len(tx.Attempts) != 1 || tx.Attempts[0].Sends != 1 {
			t.Errorf("in the ledger as %+v", tx)
		}
	}
	if len(list) < times {
		t.Errorf("%d transactions for %d calls", len(list), all)
	}
}

// TestMessageGoesElsewhere: where nothing was sent, the next provider sends, from an account of its own, and what belongs to the message
// goes there too.
func TestMessageGoesElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, talking())
	c := w.texter()
	for n, f := range []sandbox.Fault{{Kind: sandbox.Limit}, {Kind: sandbox.Refuse}} {
		body := fmt.Sprintf("elsewhere %d", n)
		w.faults(texters[0], f)
		w.faults(texters[1], sandbox.Fault{Kind: sandbox.Limit})
		got := c.do(textOf(body)).must(t)
		w.faults(texters[0])
		w.faults(texters[1])
		if m := got.message(); m.AccountSid != account(texters[2]) || got.status != http.StatusCreated || sent(w, body) != 1 || got.via() != texters[2] {
			t.Errorf("%v: %v", f.Kind, got)
		}
		again := textOf("")
		again.method, again.form = http.MethodGet, nil
		again.path = "/2010-04-01/Accounts/" + appAccount + "/Messages/" + got.message().Sid + ".json"
		if found := c.do(again).must(t); found.message().Sid != got.message().Sid || found.via() != texters[2] {
			t.Errorf("%v: the message is looked for at %s: %v", f.Kind, found.via(), found)
		}
	}
	// A credential that the provider does not take is ours to mend, not the caller's: nothing was sent there.
	w.file("credential-"+texters[0], account(texters[0])+":revoked\n")
	eventually(t, 10*time.Second, "the agent reads the new credential", func() error {
		got := c.do(textOf(fmt.Sprintf("revoked %d", w.requests(texters...))))
		if got.err != nil || got.status != http.StatusCreated {
			t.Fatalf("%v", got)
		}
		if got.via() == texters[0] {
			return fmt.Errorf("sent by %s", got.via())
		}
		return nil
	})
	if twice := sandbox.Twice(w.box.Books()...); len(twice) != 0 {
		t.Errorf("twice: %v", twice)
	}
}

// TestMessageMeantTwice: the same text to the same number within the window is one message, and the second caller is told the first one's
// answer. Who means it twice says so with keys.
func TestMessageMeantTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, talking())
	c := w.texter()
	first, second := c.do(textOf("Come in")).must(t), c.do(textOf("Come in")).must(t)
	if first.message().Sid != second.message().Sid || second.header.Get("Idempotent-Replayed") != "true" || sent(w, "Come in") != 1 {
		t.Errorf("sent %d times: %v, %v", sent(w, "Come in"), first, second)
	}
	meant := map[string]bool{first.message().Sid: true}
	for _, key := range []string{"one", "two", "two"} {
		a := textOf("Come in")
		a.key = key
		meant[c.do(a).must(t).message().Sid] = true
	}
	if len(meant) != 3 || sent(w, "Come in") != 3 {
		t.Errorf("two more keys: %d messages, sent %d times", len(meant), sent(w, "Come in"))
	}
	other := textOf("Come in")
	other.form.Set("From", "+15550100101")
	if got := c.do(other); got.problem() != "key-reused" || got.status != http.StatusUnprocessableEntity {
		t.Errorf("the same words from another number: %v", got)
	}
	without := textOf("")
	without.form.Set("MediaUrl", "https://example.com/a.png")
	if got := c.do(without); got.problem() != "key-missing" || got.message().Message == "" {
		t.Errorf("a message without words has nothing to be known by: %v", got)
	}
}

// TestMessageDeclined: what the provider refuses is the caller's answer, word for word, now and when he asks again.
func TestMessageDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, talking())
	c := w.texter()
	a := textOf("Hello")
	a.form.Set("To", "+15005550001")
	before := w.requests(texters...)
	for range 2 {
		if got := c.do(a); got.status != http.StatusBadRequest || got.message().Code != 21211 || got.problem() != "" {
			t.Errorf("%v", got)
		}
	}
	if n := w.requests(texters...) - before; n != 1 {
		t.Errorf("%d requests", n)
	}
}
