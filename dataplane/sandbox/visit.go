package sandbox

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// visit is one customer's session: an order, a look at it, sometimes a capture or a refund.
type visit struct {
	shopper *Shopper
	target  Target
	http    *http.Client
	draw    *rand.Rand
	session string
}

// What customers do, in shares.
const (
	byIntent   = 0.4
	badCard    = 0.05 // declined
	wrongCard  = 0.03 // no such card
	authorise  = 0.15 // and capture later
	refundIt   = 0.15
	maxPause   = 5 * time.Second // a Retry-After may ask for so much
	maxReplied = 1 << 20         // bytes read of an answer
)

func (v *visit) run() {
	v.session = fmt.Sprintf("s-%016x", v.draw.Uint64())
	path, form, later := v.wish()
	id := v.effect(path, form)
	if id == "" {
		return
	}
	v.look(path + "/" + id)
	if later {
		v.effect(path+"/"+id+"/capture", url.Values{})
	}
	if v.draw.Float64() < refundIt {
		by := "charge"
		if strings.HasPrefix(id, "pi_") {
			by = "payment_intent"
		}
		v.effect("/v1/refunds", url.Values{by: {id}})
	}
	v.talk()
}

// wish draws what the customer wants to pay, and how.
func (v *visit) wish() (path string, form url.Values, later bool) {
	card := "visa"
	switch d := v.draw.Float64(); {
	case d < badCard:
		card = "chargeDeclined"
	case d < badCard+wrongCard:
		card = "invalid"
	}
	later = v.draw.Float64() < authorise
	amount := 100 + 50*v.draw.IntN(400)
	form = url.Values{"amount": {strconv.Itoa(amount)}, "currency": {"eur"}}
	if amount == declinedAmount {
		form.Set("amount", strconv.Itoa(amount+1))
	}
	if v.draw.Float64() < byIntent {
		form.Set("payment_method", "pm_card_"+card)
		form.Set("confirm", "true")
		if later {
			form.Set("capture_method", "manual")
		}
		return "/v1/payment_intents", form, later
	}
	form.Set("source", "tok_"+card)
	if later {
		form.Set("capture", "false")
	}
	return "/v1/charges", form, later
}

// effect asks for one order to be carried out, again with the same key while the outcome is unknown, and remembers what it was told in the
// end. It returns the object's id if that was success.
func (v *visit) effect(path string, form url.Values) (id string) {
	m := v.shopper.memory
	n := m.order()
	form.Set("metadata[order]", m.name(n))
	return v.insist(m, n, v.payment(http.MethodPost, path, m.name(n), form.Encode()))
}

// insist asks until there is an answer or no try is left, and settles the order.
func (v *visit) insist(m *memory, n int, a ask) (id string) {
	belief := Told("")
	for try := 0; ; try++ {
		said, again := v.call(a)
		belief = said.after(belief)
		last := said.told == Succeeded || again == 0 || try >= v.shopper.config.Retries
		if last || belief == Unknown { // "not executed" is no last word while another try is to come
			m.settle(n, belief)
		}
		if last {
			return said.id
		}
		if !v.pause(again) {
			m.settle(n, belief)
			return ""
		}
	}
}

// ask is one request of a customer.
type ask struct {
	base, method, path string
	key                string // Idempotency-Key; "": none
	auth, kind, body   string
	read               bool
	want               string // the whole text that a chat must answer with
}

const formType = "application/x-www-form-urlencoded"

// payment is a call of the payments' API.
func (v *visit) payment(method, path, key, body string) ask {
	a := ask{base: v.target.URL, method: method, path: path, key: key, body: body, read: method == http.MethodGet,
		auth: "Bearer " + v.shopper.config.Token}
	if !a.read {
		a.kind = formType
	}
	return a
}

func (v *visit) look(path string) { _, _ = v.call(v.payment(http.MethodGet, path, "", "")) }

func (v *visit) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-v.shopper.calling.Done():
		return false
	}
}

// call makes one HTTP call, counts it, and says after which pause it is worth another try; 0 means that it is not.
func (v *visit) call(a ask) (saying, time.Duration) {
	req, err := v.request(v.shopper.calling, a)
	if err != nil {
		return saying{told: Refused}, 0 // nothing was sent
	}
	began := time.Now()
	said, after := v.exchange(req, a.want)
	if v.shopper.calling.Err() == nil || said.told == Succeeded {
		v.shopper.stats.call(v.target.Region, a.read, said.told, time.Since(began))
	}
	return said, after
}

func (v *visit) exchange(req *http.Request, want string) (saying, time.Duration) {
	backoff := v.shopper.config.Backoff
	resp, err := v.http.Do(req)
	if err != nil {
		return failing(err), backoff
	}
	defer func() { _ = resp.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReplied))
	if err != nil {
		return saying{told: Transport}, backoff
	}
	said := reading(resp, reply)
	if text, whole := heard(resp, reply); want != "" && resp.StatusCode == http.StatusOK {
		said = saying{told: Succeeded, final: true}
		if !whole || text != want {
			said = saying{told: Transport}
		}
	}
	if said.told != Unknown {
		return said, 0
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		return said, min(time.Duration(s)*time.Second, maxPause)
	}
	return said, backoff
}

// request hides the body's length-rewinding and the key's canonical name from net/http: it would otherwise send an effect again by itself
// when a warm connection dies, and the shopper's own count of tries would be wrong.
func (v *visit) request(ctx context.Context, a ask) (*http.Request, error) {
	var content io.Reader
	if a.body != "" {
		content = struct{ io.Reader }{strings.NewReader(a.body)}
	}
	req, err := http.NewRequestWithContext(ctx, a.method, strings.TrimSuffix(a.base, "/")+a.path, content)
	if err != nil {
		return nil, fmt.Errorf("shopper: %w", err)
	}
	req.Header.Set("Authorization", a.auth)
	req.Header.Set("Session-Id", v.session)
	if a.kind != "" {
		req.ContentLength = int64(len(a.body))
		req.Header.Set("Content-Type", a.kind)
	}
	if a.key != "" {
		req.Header["idempotency-key"] = []string{a.key}
	}
	return req, nil
}
