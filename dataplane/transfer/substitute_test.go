package transfer

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

func request(kind, body string, header ...string) *message.Request {
	r := &message.Request{Method: "POST", Path: "/", Body: []byte(body)}
	r.Header.Add("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// TestSubstituted: the field's names become the provider's own, and all else stays byte for byte.
func TestSubstituted(t *testing.T) {
	const form, js = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
	known := []string{"vault-1", "tok main"}
	for _, c := range []struct{ kind, at, body, want string }{
		{form, "body.source", "a=1&source=vault-1&b=%20", "a=1&source=t%26b&b=%20"},
		{form, "body.source", "source=tok+main", "source=t%26b"},
		{form, "body.source", "so%75rce=tok%20main&source=other", "so%75rce=t%26b&source=other"},
		{form, "body.card.id", "card[id]=vault-1&card%5Bid%5D=vault-1", "card[id]=t%26b&card%5Bid%5D=t%26b"},
		{form, "body.source", "source=tok_visa", "source=tok_visa"},
		{form, "body.source", "", ""},
		{form, "body.source", "&&=&source&source=%zz", "&&=&source&source=%zz"},
		{js, "body.source", `{"a": [1, {"source":"vault-1"}],  "source" : "vault-1" , "z":1e400}`, `{"a": [1, {"source":"vault-1"}],  "source" : "t\u0026b" , "z":1e400}`},
		{js, "body.card.id", `{"card":{"x":null,"id":"tok\u0020main"}}`, `{"card":{"x":null,"id":"t\u0026b"}}`},
		{js, "body.card.id", `{"card":"vault-1"}`, `{"card":"vault-1"}`},
		{js, "body.source", `{"source":["vault-1"]}`, `{"source":["vault-1"]}`},
		{js, "body.source", `{"source":"vault-1"`, `{"source":"vault-1"`},
		{js, "body.source", `["vault-1"]`, `["vault-1"]`},
		{"text/plain", "body.source", "source=vault-1", "source=vault-1"},
		{"", "body.source", "source=vault-1", "source=vault-1"},
	} {
		at, err := policy.ParseField(c.at)
		if err != nil {
			t.Fatal(err)
		}
		r := request(c.kind, c.body)
		if got := substituted(r, at, known, "t&b"); string(got.Body) != c.want || string(r.Body) != c.body {
			t.Errorf("%s: %s, want %s; the request given is now %s", c.body, got.Body, c.want, r.Body)
		}
	}
	r := request("", "", "X-Card", "vault-1")
	if got := substituted(r, policy.Field{In: "header", Name: "X-Card"}, known, "t"); got.Header.Get("X-Card") != "t" || r.Header.Get("X-Card") != "vault-1" {
		t.Errorf("%v from %v", got.Header, r.Header)
	}
}

// FuzzSubstituted: whatever the body, nothing panics, what was valid stays valid, and no body without one of the names changes.
func FuzzSubstituted(f *testing.F) {
	f.Add(`{"a":{"b":"vault-1"}}`, true)
	f.Add(`{"a":{"b":"vault-1"},"a":{"b":"x"}}`, true)
	f.Add("a[b]=vault-1&a%5bb%5d=vault-1", false)
	f.Fuzz(func(t *testing.T, body string, asJSON bool) {
		kind := "application/x-www-form-urlencoded"
		if asJSON {
			kind = "application/json"
		}
		got := substituted(request(kind, body), policy.Field{In: "body", Name: "a.b"}, []string{"vault-1"}, "tok")
		switch {
		case bytes.Equal(got.Body, []byte(body)):
		case asJSON && (!json.Valid([]byte(body)) || !json.Valid(got.Body)):
			t.Fatalf("%q became %q", body, got.Body)
		case !asJSON && !strings.Contains(string(got.Body), "tok"):
			t.Fatalf("%q became %q", body, got.Body)
		}
		if _, was := policy.BodyField(kind, []byte(body), "a.b"); was && !asJSON {
			if _, err := url.ParseQuery(string(got.Body)); err != nil && !bytes.Equal(got.Body, []byte(body)) {
				if _, before := url.ParseQuery(body); before == nil {
					t.Fatalf("%q became %q", body, got.Body)
				}
			}
		}
	})
}
