package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestChargeAuthorisedCapturedUpdatedAndRefunded(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	ch := c.want(200, "POST", "/v1/charges", "k1", append(pay("o-1"), "capture", "false", "description", "tea")...)
	equal(t, "captured", ch.at("captured"), any(false))
	if !strings.HasPrefix(ch.id(), "ch_north") || ch.header.Get("Request-Id") == "" {
		t.Errorf("id %q, headers %v", ch.id(), ch.header)
	}
	c.want(200, "POST", "/v1/charges/"+ch.id()+"/capture", "k2", "amount", "1000")
	c.want(400, "POST", "/v1/charges/"+ch.id()+"/capture", "k3")
	up := c.want(200, "POST", "/v1/charges/"+ch.id(), "", "metadata[note]", "x", "description", "green tea")
	equal(t, "order after the update", up.at("metadata.order"), any("o-1"))
	equal(t, "description", up.at("description"), any("green tea"))
	re := c.want(200, "POST", "/v1/refunds", "k4", "charge", ch.id(), "amount", "400", "metadata[order]", "r-1")
	c.want(200, "GET", "/v1/refunds/"+re.id(), "")
	c.want(400, "POST", "/v1/refunds", "", "charge", ch.id(), "amount", "900")
	c.want(200, "POST", "/v1/refunds", "", "charge", ch.id())
	equal(t, "code", c.want(400, "POST", "/v1/refunds", "", "charge", ch.id()).at("error.code"), any("charge_already_refunded"))
	equal(t, "refunded", c.want(200, "GET", "/v1/charges/"+ch.id(), "").at("amount_refunded"), any(1200.0))

	totals := p.Books().Totals()
	equal(t, "charges", totals.Executed[OpCharge], 1)
	equal(t, "captures", totals.Executed[OpChargeCapture], 1)
	equal(t, "refunds", totals.Executed[OpRefund], 2)
	equal(t, "money left", totals.Amount["eur"], 0)
	equal(t, "twice", len(Twice(p.Books())), 0)
}

func TestIntentGoesThroughItsStates(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	in := c.want(200, "POST", "/v1/payment_intents", "", "amount", "500", "currency", "usd", "capture_method", "manual", "metadata[order]", "i-1")
	equal(t, "new", in.at("status"), any("requires_payment_method"))
	path := "/v1/payment_intents/" + in.id()
	c.want(400, "POST", path+"/confirm", "")
	no := c.want(402, "POST", path+"/confirm", "", "payment_method", "pm_card_chargeDeclined")
	equal(t, "declined intent", no.at("error.payment_intent.status"), any("requires_payment_method"))
	equal(t, "confirmed", c.want(200, "POST", path+"/confirm", "", "payment_method", "pm_card_visa").at("status"), any("requires_capture"))
	c.want(400, "POST", path+"/confirm", "")
	c.want(400, "POST", path+"/capture", "", "amount_to_capture", "501")
	done := c.want(200, "POST", path+"/capture", "", "amount_to_capture", "450")
	equal(t, "captured", done.at("amount_received"), any(450.0))
	c.want(400, "POST", path+"/cancel", "")
	c.want(200, "POST", "/v1/refunds", "", "payment_intent", in.id(), "amount", "50")
	charge, _ := done.at("latest_charge").(string)
	equal(t, "its charge", c.want(200, "GET", "/v1/charges/"+charge, "").at("payment_intent"), any(in.id()))

	at := c.want(200, "POST", "/v1/payment_intents", "", "amount", "500", "currency", "usd", "payment_method", "pm_card_visa", "confirm", "true")
	equal(t, "confirmed at once", at.at("status"), any("succeeded"))
	gone := c.want(200, "POST", "/v1/payment_intents", "", "amount", "500", "currency", "usd")
	c.want(200, "POST", "/v1/payment_intents/"+gone.id()+"/cancel", "")
	c.want(400, "POST", "/v1/payment_intents/"+gone.id()+"/confirm", "", "payment_method", "pm_card_visa")
	c.want(400, "POST", "/v1/refunds", "", "payment_intent", gone.id())
	equal(t, "declines", p.Books().Totals().Declined, 1)
}

func TestWrongRequestsGetStripesErrors(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	ok := map[string]string{"amount": "1", "currency": "eur", "source": "tok_visa"}
	for _, tc := range []struct {
		change, to, param string
		status            int
	}{
		{"amount", "", "amount", 400}, {"amount", "-5", "amount", 400}, {"amount", "0", "amount", 400}, {"amount", "1.5", "amount", 400},
		{"amount", "100000000", "amount", 400}, {"currency", "", "currency", 400}, {"currency", "euro", "currency", 400},
		{"source", "", "source", 400}, {"source", "tok_invalid", "source", 400}, {"source", "tok_chargeDeclined", "", 402},
		{"source", "tok_chargeDeclinedInsufficientFunds", "", 402}, {"amount", "40200", "", 402},
	} {
		params := []string{}
		for k, v := range ok {
			if k == tc.change {
				v = tc.to
			}
			params = append(params, k, v)
		}
		g := c.want(tc.status, "POST", "/v1/charges", "", params...)
		param, _ := g.at("error.param").(string)
		equal(t, tc.change+"="+tc.to, param, tc.param)
	}
	for _, path := range []string{"/v1/charges/ch_x", "/v1/payment_intents/pi_x", "/v1/refunds/re_x"} {
		equal(t, path, c.want(404, "GET", path, "").at("error.code"), any("resource_missing"))
	}
	c.want(404, "POST", "/v1/refunds", "", "charge", "ch_x")
	c.want(404, "POST", "/v1/refunds", "", "payment_intent", "pi_x")
	c.want(400, "POST", "/v1/refunds", "")
	c.want(404, "GET", "/v1/unicorns", "")
	c.want(404, "GET", "/v1/charges/", "")
	c.want(400, "GET", "/v1/charges?limit=0", "")
	c.want(400, "GET", "/v1/charges?limit=%zz", "")
	c.want(400, "GET", "/v1/charges/search?query=amount:1", "")
	equal(t, "executed", p.Books().Totals().Executed[OpCharge], 0)
	equal(t, "declined", p.Books().Totals().Declined, 3)
}

func TestObjectsOfOneProviderAreUnknownAtAnother(t *testing.T) {
	quick := Latency{Median: -1}
	s := start(t, Config{Providers: []ProviderConfig{{Name: "a", Latency: quick}, {Name: "a1", Latency: quick}}})
	a, b := dial(t, s.Provider("a").URL()), dial(t, s.Provider("a1").URL())
	ch := a.charge("k", "o-1")
	b.want(404, "GET", "/v1/charges/"+ch.id(), "")
	b.want(404, "POST", "/v1/refunds", "", "charge", ch.id())
	a.want(200, "GET", "/v1/charges/"+ch.id(), "")
}

func TestKeyIsChecked(t *testing.T) {
	s := start(t, Config{Providers: []ProviderConfig{{Name: "n", Credential: "sk_right", Latency: Latency{Median: -1}}}})
	c := dial(t, s.Provider("n").URL())
	c.want(401, "GET", "/v1/balance", "")
	c.key = ""
	c.want(401, "GET", "/v1/balance", "")
	c.key = "sk_right"
	c.want(200, "GET", "/v1/balance", "")
	req, _ := http.NewRequest("GET", c.base+"/v1/balance", nil)
	req.SetBasicAuth("sk_right", "")
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "basic", resp.StatusCode, 200)
}

func TestListsAndSearch(t *testing.T) {
	p := one(t, Ignored)
	c := dial(t, p.URL())
	var newest got
	for i := range 5 {
		newest = c.charge("", fmt.Sprint("o-", i))
	}
	page := c.want(200, "GET", "/v1/charges?limit=2", "")
	data, _ := page.at("data").([]any)
	if len(data) != 2 || page.at("has_more") != any(true) || data[0].(map[string]any)["id"] != newest.id() {
		t.Errorf("first page: %v", page.body)
	}
	rest := c.want(200, "GET", "/v1/charges?limit=4&starting_after="+newest.id(), "")
	if data, _ := rest.at("data").([]any); len(data) != 4 || rest.at("has_more") != any(false) {
		t.Errorf("second page: %v", rest.body)
	}
	found := c.want(200, "GET", "/v1/charges/search?query=metadata%5B%22order%22%5D%3A%22o-3%22", "")
	if data, _ := found.at("data").([]any); len(data) != 1 {
		t.Errorf("found: %v", found.body)
	}
	c.want(200, "POST", "/v1/refunds", "", "charge", newest.id())
	for path, n := range map[string]int{"/v1/refunds": 1, "/v1/refunds?charge=ch_x": 0, "/v1/payment_intents": 0, "/v1/charges?payment_intent=x": 0,
		"/v1/payment_intents/search?query=metadata['order']:'o-1'": 0} {
		if data, _ := c.want(200, "GET", path, "").at("data").([]any); len(data) != n {
			t.Errorf("%s: %v", path, data)
		}
	}
}

func TestOldObjectsMakeRoom(t *testing.T) {
	s := start(t, Config{Keep: 2, Providers: []ProviderConfig{{Name: "n", Latency: Latency{Median: -1}}}})
	p := s.Provider("n")
	c := dial(t, p.URL())
	first := c.charge("k-1", "o-1")
	c.charge("k-2", "o-2")
	c.charge("k-3", "o-3")
	c.want(404, "GET", "/v1/charges/"+first.id(), "")
	equal(t, "entries", len(p.Books().Entries(Filter{})), 2)
	equal(t, "oldest kept", p.Books().Entries(Filter{})[0].Order, "o-2")
	equal(t, "dropped", p.Books().Totals().Dropped, 1)
	equal(t, "still counted", p.Books().Executed("o-1"), 1)
}

func fetch(t *testing.T, c *client, path string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "GET", c.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	return c.http.Do(req)
}

func TestDownloadIsTheSameEachTime(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	var bodies [2][]byte
	for i := range bodies {
		resp, err := fetch(t, c, "/v1/files/f1/contents?bytes=100001")
		if err != nil {
			t.Fatal(err)
		}
		bodies[i], err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || len(bodies[i]) != 100001 || resp.ContentLength != 100001 {
			t.Fatal(len(bodies[i]), resp.ContentLength, err)
		}
	}
	if !bytes.Equal(bodies[0], bodies[1]) {
		t.Error("two downloads differ")
	}
	c.want(400, "GET", "/v1/files/f1/contents?bytes=-1", "")
	c.want(400, "GET", "/v1/files/f1/contents", "")
	c.want(400, "GET", "/v1/stream?events=1&every=never", "")

	if err := p.SetFaults(Fault{Kind: CutBody}); err != nil {
		t.Fatal(err)
	}
	resp, err := fetch(t, c, "/v1/files/f1/contents?bytes=100001")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if n != 50000 || err == nil {
		t.Errorf("cut download: %d bytes, %v", n, err)
	}
}

func TestEachGatedEventArrivesBeforeTheNextIsSent(t *testing.T) {
	s := start(t, Config{Providers: []ProviderConfig{{Name: "n", Latency: Latency{Median: -1}}}})
	c := dial(t, s.Provider("n").URL())
	resp, err := fetch(t, c, "/v1/stream?events=3&gate=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	equal(t, "type", resp.Header.Get("Content-Type"), "text/event-stream")
	admin := dial(t, "http://"+s.BooksAddr())
	buf := make([]byte, 1000)
	for i := range 3 {
		admin.want(204, "POST", "/providers/n/_gate", "")
		n, err := resp.Body.Read(buf)
		if text := string(buf[:n]); err != nil && err != io.EOF || !strings.Contains(text, fmt.Sprintf("id: %d\n", i)) || strings.Count(text, "data:") != 1 {
			t.Fatalf("event %d: %q %v", i, text, err)
		}
	}
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("after the last: %q %v", rest, err)
	}
}

func TestCutEventStreamHasNoCleanEnd(t *testing.T) {
	p := one(t, Enforced)
	c := dial(t, p.URL())
	if err := p.SetFaults(Fault{Kind: CutBody}); err != nil {
		t.Fatal(err)
	}
	resp, err := fetch(t, c, "/v1/stream?events=4&every=1ms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil || strings.Count(string(body), "data:") != 2 {
		t.Errorf("%q %v", body, err)
	}
}

func TestReferencesFindAndRuleOut(t *testing.T) {
	p := start(t, Config{Seed: 1, Providers: []ProviderConfig{{Name: "north", Keys: Ignored, References: true, Latency: Latency{Median: -1}}}}).Provider("north")
	c := dial(t, p.URL())
	c.want(404, "GET", "/v1/references/r-1", "")
	ch := c.want(200, "POST", "/v1/charges", "", append(pay("o-1"), "metadata[reference]", "r-1")...)
	found := c.want(200, "GET", "/v1/references/r-1", "")
	equal(t, "found", found.id(), ch.id())
	equal(t, "too late", c.want(409, "POST", "/v1/references/r-1/void", "").at("error.code"), any("reference_used"))
	for range 2 {
		c.want(200, "POST", "/v1/references/r-2/void", "")
	}
	gone := c.want(200, "GET", "/v1/references/r-2", "")
	equal(t, "status", gone.at("status"), any("voided"))
	equal(t, "names itself", gone.at("metadata.reference"), any("r-2"))
	equal(t, "late", c.want(409, "POST", "/v1/charges", "", append(pay("o-2"), "metadata[reference]", "r-2")...).at("error.code"), any("reference_voided"))
	no := c.want(402, "POST", "/v1/charges", "", "amount", "1200", "currency", "eur", "source", "tok_chargeDeclined", "metadata[reference]", "r-3")
	equal(t, "declined", no.at("error.code"), any("card_declined"))
	c.want(200, "POST", "/v1/references/r-3/void", "") // nothing was charged: no void comes too late for that
	equal(t, "what became of it", c.want(200, "GET", "/v1/references/r-3", "").at("status"), any("failed"))
	equal(t, "charges", p.Books().Totals().Executed[OpCharge], 1)
	_, err := New(Config{Providers: []ProviderConfig{{Name: "south", API: Mail, References: true}}})
	if err == nil || !strings.Contains(err.Error(), "references") {
		t.Errorf("references of mail: %v", err)
	}
}
