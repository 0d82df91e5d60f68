package policy

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBodyField(t *testing.T) {
	const form, js = "application/x-www-form-urlencoded", "application/json"
	for _, c := range []struct{ kind, body, name, want string }{
		{form, "charge=ch_1", "charge", "ch_1"},
		{form, "a=b&charge=ch_1&c", "charge", "ch_1"},
		{form, "charge=ch%5F1+x", "charge", "ch_1 x"},
		{form, "metadata[order]=o1", "metadata.order", "o1"},
		{form, "metadata%5Border%5D=o1", "metadata.order", "o1"},
		{form, "items[0][id]=i1", "items.0.id", "i1"},
		{form + "; charset=utf-8", "charge=ch_1", "charge", "ch_1"},
		{form, "charge=ch_1&charge=ch_1", "charge", "ch_1"},
		{form, "charge=ch_1&charge=ch_2", "charge", ""},
		{form, "metadata[order=o1", "metadata.order", ""},
		{form, "charge=%zz", "charge", ""},
		{form, "%zz=1", "%zz", ""},
		{form, "charge=", "charge", ""},
		{form, "", "charge", ""},
		{form, "xcharge=1", "charge", ""},
		{form, "charge=" + strings.Repeat("x", maxFieldValue+1), "charge", ""},
		{form, strings.Repeat("a&", maxPairs+1) + "charge=1", "charge", ""},
		{js, `{"charge":"ch_1"}`, "charge", "ch_1"},
		{js, `{"metadata":{"order":"o1"}}`, "metadata.order", "o1"},
		{js, `{"items":[{"id":1},{"id":2}]}`, "items.1.id", "2"},
		{js, `{"amount":1.50}`, "amount", "1.50"},
		{js, `{"big":12345678901234567890}`, "big", "12345678901234567890"},
		{js, `{"ok":true}`, "ok", "true"},
		{js, `{"x":null}`, "x", ""},
		{js, `{"x":{"y":1}}`, "x", ""},
		{js, `{"x":[1]}`, "x", ""},
		{js, `{"x":1,"x":1}`, "x", ""},
		{js, `{"x":1,"x":2}`, "x", ""},
		{js, `{"x":1}{"x":2}`, "x", ""},
		{js, `{"x":1}]`, "x", ""},
		{js, `{"x":1`, "x", ""},
		{js, `"x"`, "x", ""},
		{js, `{"a":{"x":1},"x":"right"}`, "x", "right"},
		{js, strings.Repeat(`{"a":`, 9000), "a", ""},
		{js, `{"deep":` + strings.Repeat("[", 80) + strings.Repeat("]", 80) + `,"x":1}`, "x", ""},
		{"application/problem+json; charset=utf-8", `{"x":1}`, "x", "1"},
		{"text/plain", "x=1", "x", ""},
		{"", "x=1", "x", ""},
		{"multipart/form-data; boundary=x", "x=1", "x", ""},
	} {
		got, ok := BodyField(c.kind, []byte(c.body), c.name)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s %.40s %s: got %q, %t", c.kind, c.body, c.name, got, ok)
		}
	}
}

// Whatever an SDK encodes is found again, whatever stands around it.
func TestBodyFieldFindsWhatAFormEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringN(1, 40, 200).Draw(t, "value")
		body := url.Values{"metadata[order]": {want}}
		for _, k := range rapid.SliceOf(rapid.String()).Draw(t, "others") {
			if formName(url.QueryEscape(k)) != "metadata.order" {
				body.Add(k, "x")
			}
		}
		got, ok := BodyField("application/x-www-form-urlencoded", []byte(body.Encode()), "metadata.order")
		if !ok || got != want {
			t.Fatalf("got %q, %t, want %q", got, ok, want)
		}
	})
}

func FuzzBodyField(f *testing.F) {
	f.Add("application/json", []byte(`{"a":{"b":1}}`), "a.b")
	f.Add("application/x-www-form-urlencoded", []byte("a[b]=1&a[b]=2"), "a.b")
	f.Fuzz(func(t *testing.T, kind string, body []byte, name string) {
		if v, ok := BodyField(kind, body, name); ok && (v == "" || len(v) > maxFieldValue) {
			t.Fatalf("found %q", v)
		}
	})
}

func TestParseField(t *testing.T) {
	for text, good := range map[string]bool{
		"body.charge": true, "body.metadata.order": true, "path.id": true, "header.X-Order": true,
		"": false, "body": false, "body.": false, "body.a..b": false, "body.a b": false, "body.a[b]": false,
		"path.": false, "path.A B": false, "header.": false, "header.a b": false, "cookie.x": false, "Body.x": false,
		"body.a.b.c.d.e.f.g.h.i": false, "header." + strings.Repeat("x", 64): false, "body.a\x00": false,
	} {
		f, err := ParseField(text)
		if (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && f.String() != text {
			t.Errorf("%q is written as %q", text, f)
		}
	}
}

func TestValueReadsEveryPlace(t *testing.T) {
	op := compiled(t, "POST /v1/charges/{id}/refunds").Operations[0]
	header := func(name string) string {
		return map[string]string{"X-Order": "o1", "X-Long": strings.Repeat("x", 5000)}[name]
	}
	for text, want := range map[string]string{
		"body.amount": "7", "path.id": "ch_1", "header.X-Order": "o1",
		"body.nope": "", "path.nope": "", "header.X-Nope": "", "header.X-Long": "",
	} {
		f, err := ParseField(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := op.Value(f, "/v1/charges/ch_1/refunds", "application/json", []byte(`{"amount":7}`), header)
		if got != want || ok != (want != "") {
			t.Errorf("%s: got %.40q, %t", text, got, ok)
		}
	}
	if _, ok := op.Value(Field{In: "cookie", Name: "x"}, "/", "", nil, header); ok {
		t.Error("read a place that is none")
	}
}
