package policy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var hookTime = time.Unix(1_790_000_000, 0)

func sign(key, text string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}

const said = `{"type":"paid","id":"evt_1","data":{"id":"p1","reference":"tx_1-0"}}`

func hooked(s Signature) *Webhooks {
	return &Webhooks{Signature: s, Reference: "data.reference", ID: "data.id", States: States{In: []string{"type"}, Succeeded: []string{"paid"}, Declined: []string{"refused"}}}
}

// jwt is a token over a body, with the key that signed it.
func jwt(key, alg, body string, at time.Time) string {
	enc := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256([]byte(body))
	signed := enc([]byte(`{"alg":"`+alg+`","typ":"JWT"}`)) + "." + enc(fmt.Appendf(nil, `{"iat":%d,"payload_hash":"%x"}`, at.Unix(), sum))
	return "Bearer " + signed + "." + enc(sign(key, signed))
}

func TestSignatures(t *testing.T) {
	body := Signature{Scheme: SignedBody, Header: "X-Sig", Encoding: InHex}
	timed := Signature{Scheme: SignedTime, Header: "X-Sig", Part: "v1", Time: "t", Encoding: InHex, Tolerance: 5 * time.Minute}
	apart := Signature{Scheme: SignedTime, Header: "X-Sig", Time: "X-Time", Encoding: InBase64, Tolerance: 5 * time.Minute}
	token := Signature{Scheme: SignedToken, Header: "Authorization", Tolerance: 5 * time.Minute}
	secretInHex := Signature{Scheme: SignedBody, Header: "X-Sig", Encoding: InBase64, Secret: InHex}
	at := func(d time.Duration) string { return fmt.Sprint(hookTime.Add(d).Unix()) }
	list := func(d time.Duration, body string) string {
		return "t=" + at(d) + ",v1=00,v1=" + hex.EncodeToString(sign("k", at(d)+"."+body)) + ",v0=x"
	}
	hexed := func(key, text string) string { return hex.EncodeToString(sign(key, text)) }
	for _, c := range []struct {
		name   string
		s      Signature
		header map[string]string
		body   string
		want   error
	}{
		{"the body", body, map[string]string{"X-Sig": hexed("k", said)}, said, nil},
		{"in capitals", body, map[string]string{"X-Sig": strings.ToUpper(hexed("k", said))}, said, nil},
		{"another body", body, map[string]string{"X-Sig": hexed("k", said)}, said + " ", ErrUnsigned},
		{"another key", body, map[string]string{"X-Sig": hexed("other", said)}, said, ErrUnsigned},
		{"none", body, nil, said, ErrUnsigned},
		{"cut", body, map[string]string{"X-Sig": hexed("k", said)[:62]}, said, ErrUnsigned},
		{"no hex", body, map[string]string{"X-Sig": "zz"}, said, ErrUnsigned},
		{"a secret in hex", secretInHex, map[string]string{"X-Sig": base64.StdEncoding.EncodeToString(sign("k", said))}, said, nil},
		{"time and body", timed, map[string]string{"X-Sig": list(0, said)}, said, nil},
		{"nearly too old", timed, map[string]string{"X-Sig": list(-5*time.Minute, said)}, said, nil},
		{"too old", timed, map[string]string{"X-Sig": list(-301*time.Second, said)}, said, ErrStale},
		{"of a time to come", timed, map[string]string{"X-Sig": list(301*time.Second, said)}, said, ErrStale},
		{"another time", timed, map[string]string{"X-Sig": strings.Replace(list(0, said), "t="+at(0), "t="+at(time.Second), 1)}, said, ErrUnsigned},
		{"no time", timed, map[string]string{"X-Sig": "v1=" + hexed("k", "."+said)}, said, ErrUnsigned},
		{"an older version", timed, map[string]string{"X-Sig": strings.ReplaceAll(list(0, said), "v1", "v0")}, said, ErrUnsigned},
		{"a header of its own", apart, map[string]string{"X-Time": at(0), "X-Sig": base64.StdEncoding.EncodeToString(sign("k", at(0)+"."+said))}, said, nil},
		{"a token", token, map[string]string{"Authorization": jwt("k", "HS256", said, hookTime)}, said, nil},
		{"a token of another body", token, map[string]string{"Authorization": jwt("k", "HS256", "{}", hookTime)}, said, ErrUnsigned},
		{"a token of another key", token, map[string]string{"Authorization": jwt("other", "HS256", said, hookTime)}, said, ErrUnsigned},
		{"a token without an algorithm", token, map[string]string{"Authorization": jwt("k", "none", said, hookTime)}, said, ErrUnsigned},
		{"an old token", token, map[string]string{"Authorization": jwt("k", "HS256", said, hookTime.Add(-time.Hour))}, said, ErrStale},
		{"no token", token, map[string]string{"Authorization": "Bearer a.b"}, said, ErrUnsigned},
		{"signed, and no notice", body, map[string]string{"X-Sig": hexed("k", "[]")}, "[]", ErrNoNotice},
		{"signed, and cut", body, map[string]string{"X-Sig": hexed("k", "{")}, "{", ErrNoNotice},
	} {
		secret := map[bool]string{true: hex.EncodeToString([]byte("k")), false: "k"}[c.s.Secret == InHex]
		n, err := hooked(c.s).Read([]byte(c.body), func(name string) string { return c.header[name] }, secret, hookTime)
		if !errors.Is(err, c.want) || err == nil && (n.Shows != ShowsSucceeded || n.Reference != "tx_1-0" || n.ID != "p1") {
			t.Errorf("%s: %+v %v, want %v", c.name, n, err, c.want)
		}
		if err != nil && (n.Reference != "" || n.Shows != ShowsNothing) {
			t.Errorf("%s: what is not believed is told: %+v", c.name, n)
		}
	}
	if _, err := hooked(secretInHex).Read(nil, func(string) string { return "" }, "no hex", hookTime); err == nil || strings.Contains(err.Error(), "no hex") {
		t.Error(err)
	}
}

// Adyen signs some fields of each notice, and writes the signature into it.
func TestSignedFields(t *testing.T) {
	h := &Webhooks{
		Signature: Signature{Scheme: SignedFields, In: "additionalData.hmacSignature", Encoding: InBase64, Secret: InHex, Fields: []string{"psp", "original", "amount.value", "success"}},
		Items:     "items", Item: "notice", Reference: "ref", ID: "psp", States: States{In: []string{"code", "success"}, Succeeded: []string{"AUTH true"}, Declined: []string{"AUTH false"}},
	}
	notice := func(success, signature string) string {
		return `{"items":[{"notice":{"psp":"P1","amount":{"value":100},"success":"` + success + `","code":"AUTH","ref":"tx_1-0","additionalData":{"hmacSignature":"` + signature + `"}}}]}`
	}
	right := base64.StdEncoding.EncodeToString(sign("k", "P1::100:true"))
	read := func(body string) (Notice, error) {
		return h.Read([]byte(body), func(string) string { return "" }, hex.EncodeToString([]byte("k")), hookTime)
	}
	if n, err := read(notice("true", right)); err != nil || n.Shows != ShowsSucceeded || n.Reference != "tx_1-0" || n.ID != "P1" {
		t.Errorf("%+v %v", n, err)
	}
	for _, bad := range []string{notice("false", right), notice("true", ""), strings.Replace(notice("true", right), "100", "101", 1)} {
		if n, err := read(bad); !errors.Is(err, ErrUnsigned) || n.Shows != ShowsNothing {
			t.Errorf("%s: %+v %v", bad, n, err)
		}
	}
	one := strings.TrimSuffix(strings.TrimPrefix(notice("true", right), `{"items":[`), `]}`)
	for _, bad := range []string{`{"items":[]}`, `{"items":[` + one + `,` + one + `]}`, `{"items":null}`, `{"items":[{}]}`, `{}`, `[]`, ``} {
		if _, err := read(bad); !errors.Is(err, ErrNoNotice) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// FuzzWebhook: whatever comes, nothing panics, and nothing is believed that the key did not sign.
func FuzzWebhook(f *testing.F) {
	f.Add("t=1790000000,v1=00", said, 0)
	f.Add(jwt("k", "HS256", said, hookTime), said, 3)
	f.Add("", `{"items":[{"notice":{"s":"AA==","type":"paid"}}]}`, 2)
	all := []Signature{
		{Scheme: SignedBody, Header: "H", Encoding: InHex}, {Scheme: SignedTime, Header: "H", Part: "v1", Time: "t", Encoding: InHex, Tolerance: time.Minute},
		{Scheme: SignedFields, In: "s", Fields: []string{"type"}, Encoding: InBase64}, {Scheme: SignedToken, Header: "H", Tolerance: time.Minute},
		{Scheme: SignedTime, Header: "H", Time: "H", Encoding: InBase64, Tolerance: time.Minute},
	}
	f.Fuzz(func(t *testing.T, header, body string, which int) {
		if which < 0 {
			return
		}
		h := hooked(all[which%len(all)])
		if which%2 == 0 {
			h.Items, h.Item = "items", "notice"
		}
		n, err := h.Read([]byte(body), func(string) string { return header }, "a key that nobody knows", hookTime)
		if err == nil || n.Reference != "" || n.Shows != ShowsNothing {
			t.Fatalf("%q %q is believed: %+v", header, body, n)
		}
	})
}
