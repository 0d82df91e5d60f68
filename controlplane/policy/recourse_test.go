package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestAskFillsMarksIn(t *testing.T) {
	m := Marks{Reference: `tx_1-0`, ID: "a/b?c", Account: `A "B"&C`}
	for _, c := range []struct{ match, body, want string }{
		{"GET /v1/found/{reference}", "", "GET /v1/found/tx_1-0?  "},
		{"GET /v1/found?q=x%27{reference}%27&a={account}", "", "GET /v1/found?q=x%27tx_1-0%27&a=A+%22B%22%26C  "},
		{"POST /v1/{id}/cancel", `{"m":"{account}","r":["{reference}"]}`, `POST /v1/a%2Fb%3Fc/cancel? application/json {"m":"A \"B\"\u0026C","r":["tx_1-0"]}`},
		{"POST /v1/cancel", "a={account}&id={id}", "POST /v1/cancel? application/x-www-form-urlencoded a=A+%22B%22%26C&id=a%2Fb%3Fc"},
	} {
		k := Cancel{Match: c.match, Body: c.body}
		a, err := k.Ask(m)
		if got := a.Method + " " + a.Path + "?" + a.RawQuery + " " + a.Type + " " + a.Body; err != nil || got != c.want {
			t.Errorf("%s %s\ngot  %s %v\nwant %s", c.match, c.body, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "GET", "GET /a/*", "GET /a/**", "GET /a/{who}", "GET /a?", "GET /a?{who}", "GET /a?{reference", "GET /a?b}", "GET /a?b c", "GET /a#b", "GET a"} {
		if _, err := (&Lookup{Match: bad}).Ask(m); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func paid() *Lookup {
	return &Lookup{Match: "GET /p?r={reference}", By: Field{"body", "reference"}, Strong: true, Found: Found{
		Items: "data", Absent: []int{404},
		States: States{In: []string{"status"}, Succeeded: []string{"paid"}, Declined: []string{"refused"}, Voided: []string{"void"}, InProgress: []string{"open"}},
	}}
}

// Only an item that names our reference, with a word that is known, shows something; and only an answer that says so shows that there is none.
func TestALookupShowsWhatItSays(t *testing.T) {
	alone := paid()
	alone.Items = ""
	two := paid()
	two.States = States{In: []string{"code", "ok"}, Succeeded: []string{"PAY true"}, Declined: []string{"PAY false"}}
	for _, c := range []struct {
		name   string
		by     *Lookup
		status int
		body   string
		want   Shown
		id     string
	}{
		{"found", paid(), 200, `{"data":[{"id":"p1","reference":"r1","status":"paid"}]}`, ShowsSucceeded, "p1"},
		{"declined", paid(), 200, `{"data":[{"id":7,"reference":"r1","status":"refused"}]}`, ShowsDeclined, "7"},
		{"voided", paid(), 200, `{"data":[{"id":"p1","reference":"r1","status":"void"}]}`, ShowsVoided, "p1"},
		{"open", paid(), 200, `{"data":[{"id":"p1","reference":"r1","status":"open"}]}`, ShowsInProgress, "p1"},
		{"a word that nobody knows", paid(), 200, `{"data":[{"id":"p1","reference":"r1","status":"odd"}]}`, ShowsNothing, "p1"},
		{"nothing there", paid(), 200, `{"data":[]}`, ShowsAbsent, ""},
		{"not found", paid(), 404, ``, ShowsAbsent, ""},
		{"another's only", paid(), 200, `{"data":[{"id":"p1","reference":"r2","status":"paid"}]}`, ShowsNothing, ""},
		{"among others", paid(), 200, `{"data":[{"reference":"r2","status":"refused"},{"id":"p1","reference":"r1","status":"paid"}]}`, ShowsSucceeded, "p1"},
		{"no list", paid(), 200, `{"data":{}}`, ShowsNothing, ""},
		{"a null list", paid(), 200, `{"data":null}`, ShowsNothing, ""},
		{"the list twice", paid(), 200, `{"data":[],"data":[]}`, ShowsNothing, ""},
		{"cut", paid(), 200, `{"data":[`, ShowsNothing, ""},
		{"empty", paid(), 200, ``, ShowsNothing, ""},
		{"two documents", paid(), 200, `{"data":[]}{"data":[]}`, ShowsNothing, ""},
		{"refused", paid(), 403, `{"data":[]}`, ShowsNothing, ""},
		{"broken down", paid(), 500, `{"data":[]}`, ShowsNothing, ""},
		{"moved", paid(), 302, `{"data":[]}`, ShowsNothing, ""},
		{"alone", alone, 200, `{"id":"p1","reference":"r1","status":"paid"}`, ShowsSucceeded, "p1"},
		{"alone, another's", alone, 200, `{"id":"p1","reference":"r2","status":"paid"}`, ShowsNothing, ""},
		{"alone, a list", alone, 200, `[]`, ShowsNothing, ""},
		{"two words", two, 200, `{"data":[{"reference":"r1","code":"PAY","ok":true}]}`, ShowsSucceeded, ""},
		{"two words, one missing", two, 200, `{"data":[{"reference":"r1","code":"PAY"}]}`, ShowsNothing, ""},
		{"executed twice", paid(), 200, `{"data":[{"id":"p1","reference":"r1","status":"refused"},{"id":"p2","reference":"r1","status":"paid"}]}`, ShowsSucceeded, "p2"},
		{"contradictory", paid(), 200, `{"data":[{"id":"p1","reference":"r1","status":"refused"},{"id":"p2","reference":"r1","status":"open"}]}`, ShowsNothing, "p1"},
	} {
		got := c.by.Read(c.status, []byte(c.body), "r1", "id")
		if got.Shows != c.want || got.ID != c.id {
			t.Errorf("%s: %q id %q, want %q id %q", c.name, got.Shows, got.ID, c.want, c.id)
		}
	}
	if got := alone.Read(200, []byte(`{"id":"p1","status":"paid"}`), "", "id"); got.Shows != ShowsNothing {
		t.Error("without a reference nothing is ours")
	}
}

func TestACancelSaysWhatItsContractSays(t *testing.T) {
	k := &Cancel{State: CancelFinal, Answers: []CancelRule{{409, 409, "error.code", "captured", ShowsTooLate}, {202, 202, "", "", ShowsQueued}, {404, 404, "", "", ShowsAbsent}}}
	for body, want := range map[string]Shown{
		"200 {}": ShowsVoided, "202 {}": ShowsQueued, `409 {"error":{"code":"captured"}}`: ShowsTooLate, "409 {}": ShowsNothing, "404 ": ShowsAbsent, "500 ": ShowsNothing, "409 {": ShowsNothing,
	} {
		status, text, _ := strings.Cut(body, " ")
		n := map[string]int{"200": 200, "202": 202, "404": 404, "409": 409, "500": 500}[status]
		if got := k.Read(n, []byte(text)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	k.State, k.Answers = CancelQueued, nil
	if got := k.Read(200, nil); got != ShowsQueued {
		t.Errorf("%q", got)
	}
}

const (
	formKind = "application/x-www-form-urlencoded"
	jsonKind = "application/json; charset=utf-8"
)

func TestPutField(t *testing.T) {
	for _, c := range []struct {
		kind, body, name string
		over             bool
		want             string // "": refused
	}{
		{formKind, "a=1&b=%20x", "ref", false, "a=1&b=%20x&ref=r1"},
		{formKind, "", "ref", false, "ref=r1"},
		{formKind, "a=1&", "metadata.ref", false, "a=1&&metadata%5Bref%5D=r1"},
		{formKind, "metadata[order]=7", "metadata.ref", false, "metadata[order]=7&metadata%5Bref%5D=r1"},
		{formKind, "metadata[ref]=7", "metadata.ref", false, ""},
		{formKind, "metadata%5Bref%5D=7&a=1", "metadata.ref", true, "a=1&metadata%5Bref%5D=r1"},
		{formKind, "metadata=", "metadata.ref", false, ""},
		{formKind, "ref=", "ref", false, ""},
		{jsonKind, `{"a":1}`, "ref", false, `{"ref":"r1","a":1}`},
		{jsonKind, ` { } `, "ref", false, ` {"ref":"r1" } `},
		{jsonKind, `{"a":{"b":[ 1, 2.50 ]}}`, "a.ref", false, `{"a":{"ref":"r1","b":[ 1, 2.50 ]}}`},
		{jsonKind, `{"a":1}`, "meta.in.ref", false, `{"meta":{"in":{"ref":"r1"}},"a":1}`},
		{jsonKind, `{"ref":null}`, "ref", false, ""},
		{jsonKind, `{"ref": {"x":[1]} ,"b":2}`, "ref", true, `{"ref": "r1" ,"b":2}`},
		{jsonKind, `{"re\u0066":"x"}`, "ref", false, ""},
		{jsonKind, `{"ref":"x","ref":"y"}`, "ref", true, ""},
		{jsonKind, `{"a":"x"}`, "a.ref", false, ""},
		{jsonKind, `{"a":null}`, "a.ref", true, ""},
		{jsonKind, `{"units":[{"x":1} , {"y":2}]}`, "units.1.custom_id", false, `{"units":[{"x":1} , {"custom_id":"r1","y":2}]}`},
		{jsonKind, `{"units":[]}`, "units.0.custom_id", false, ""},
		{jsonKind, `{}`, "units.0.custom_id", false, ""},
		{jsonKind, `[{}]`, "ref", false, ""},
		{jsonKind, `{"a":1`, "ref", false, ""},
		{jsonKind, ``, "ref", false, ""},
		{"text/plain", `{}`, "ref", false, ""},
		{"", `{}`, "ref", false, ""},
		{"multipart/form-data; boundary=x", "--x--", "ref", false, ""},
	} {
		got, ok := PutField(c.kind, []byte(c.body), c.name, "r1", c.over)
		if ok != (c.want != "") || ok && string(got) != c.want {
			t.Errorf("%s %s in %s: %q %t, want %q", c.name, c.kind, c.body, got, ok, c.want)
		}
	}
}

// FuzzPutField: what was written is read back, and taking it out again gives what was there before.
func FuzzPutField(f *testing.F) {
	f.Add(`{"a":{"b":1}}`, "a.ref", true, false)
	f.Add(`{"ref":[{}]}`, "ref", true, true)
	f.Add("a=1&metadata[x]=2", "metadata.ref", false, false)
	f.Add(`{"units":[{}]}`, "units.0.ref", true, false)
	f.Fuzz(func(t *testing.T, body, name string, isJSON, over bool) {
		if (Field{"body", name}).problem() != "" || !utf8.ValidString(name) || len(body) > 4096 {
			return
		}
		kind := formKind
		if isJSON {
			kind = "application/json"
		}
		out, ok := PutField(kind, []byte(body), name, "tx_r1-0", over)
		if !ok {
			return
		}
		deep := strings.Count(body, "{")+strings.Count(body, "[") > 50 // nobody reads a field of such a body
		if got, found := BodyField(kind, out, name); !deep && (!found || got != "tx_r1-0") {
			t.Fatalf("%q with %s became %q: %q %t", body, name, out, got, found)
		}
		if isJSON && !json.Valid(out) {
			t.Fatalf("%q became %q", body, out)
		}
		if !over && len(out) <= len(body) {
			t.Fatalf("%q became %q", body, out)
		}
	})
}

// What a lookup reads is somebody else's: whatever it is, nothing panics, and what does not name our reference shows nothing.
func FuzzLookup(f *testing.F) {
	f.Add(200, `{"data":[{"reference":"r1","status":"paid"}]}`)
	f.Add(404, `[[[[`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		got := paid().Read(status, []byte(body), "r1", "id")
		if got.Shows != ShowsNothing && got.Shows != ShowsAbsent && !strings.Contains(body, "r") {
			t.Fatalf("%d %q shows %q", status, body, got.Shows)
		}
		if got.Shows == ShowsAbsent && status != 404 && !json.Valid([]byte(body)) {
			t.Fatalf("%d %q shows that nothing is there", status, body)
		}
	})
}

// What was not there is put in so that every other value stays what it was.
func TestPutFieldTouchesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,3}`), rapid.OneOf(rapid.Just[any]("x"), rapid.Just[any](1.5), rapid.Just[any](map[string]any{"y": true})), 0, 5).Draw(t, "body")
		delete(before, "ref")
		body, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		out, ok := PutField("application/json", body, "ref", "r1", rapid.Bool().Draw(t, "over"))
		var after map[string]any
		if !ok || json.Unmarshal(out, &after) != nil || after["ref"] != "r1" {
			t.Fatalf("%s became %s", body, out)
		}
		delete(after, "ref")
		again, err := json.Marshal(after)
		if err != nil || string(again) != string(body) {
			t.Fatalf("%s became %s: %v", body, out, err)
		}
	})
}
