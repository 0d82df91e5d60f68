package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v82"
)

// told is what one step of the script was told, without what must differ: ids and times.
type told struct {
	Step     string
	Status   int
	Error    string // as stripe-go says it
	Replayed string
	ID       bool // the provider's Request-Id came
	Body     string
}

// script is what a shop does in a day, through one client.
type script struct {
	ctx   context.Context
	c     *stripe.Client
	wire  *wire
	run   string
	told  []told
	names map[string]string

	forgets bool // the provider makes its ids up anew in each answer: nothing is told of which step's object this is
}

var (
	idText   = regexp.MustCompile(`\b(ch|pi|re|txn|py|src)_[A-Za-z0-9]{8,}`)
	timeText = regexp.MustCompile(`"(created|updated|available_on)":\s*[0-9]+`)
)

// TestDirectAndThrough: one script, told the same by the provider itself and through an agent.
func TestDirectAndThrough(t *testing.T) {
	w := here
	recovered(t)
	direct := play(t, w.provider("main"), w.credential, nil, true)
	t.Run("one provider", func(t *testing.T) {
		same(t, direct, play(t, w.agent("payments"), w.credential, nil, true))
	})
	met := map[string]bool{}
	for n := range 9 { // weights choose among three providers by the session's name; the conversation stays where its first effect went
		t.Run(fmt.Sprintf("session %d", n), func(t *testing.T) {
			s := begin(t, w.region(n%3), "sk_test_of_the_application", http.Header{"Session-Id": {fmt.Sprintf("sdk-%d", n)}})
			s.all(true)
			same(t, direct, s.told)
			provider, _, _ := strings.Cut(s.wire.answer.Get("Segue-Decision"), ";")
			met[provider] = true
		})
	}
	if len(met) != 3 {
		t.Errorf("the sessions met only %v", met)
	}
	// Without a session each call is a choice of its own, and each that names an object goes to its owner. Lists name none.
	unlisted := play(t, w.provider("main"), w.credential, nil, false)
	for n := range 3 {
		t.Run(fmt.Sprintf("no session %d", n), func(t *testing.T) {
			same(t, unlisted, play(t, w.region(1), "sk_test_of_the_application", nil, false))
		})
	}
}

// TestStripeMock: the same script, with Stripe's own mock as the provider.
func TestStripeMock(t *testing.T) {
	run := func(url string) []told {
		s := begin(t, url, "sk_test_123", nil)
		s.forgets = true
		s.all(true)
		return s.told
	}
	direct, through := run(here.mock), run(here.agent("mock"))
	for i := range direct { // stripe-mock keeps no keys; the agent does
		if direct[i].Step == "the same key again" {
			if direct[i].Replayed != "" || through[i].Replayed != "true" {
				t.Errorf("replayed: direct %q, through %q", direct[i].Replayed, through[i].Replayed)
			}
			through[i].Replayed = ""
		}
	}
	same(t, direct, through)
	for _, s := range direct {
		if s.Step == "charge" && s.Status != http.StatusOK {
			t.Errorf("stripe-mock told %+v: the script does not speak its language", s)
		}
	}
}

// TestCredential: with credential caller it is the caller's own that the provider judges.
func TestCredential(t *testing.T) {
	for _, url := range []string{here.provider("main"), here.agent("payments")} {
		w := &wire{}
		_, err := client(t, url, "sk_of_somebody_else", w).V1Charges.Create(t.Context(), charge("nobody", 100))
		var e *stripe.Error
		if !errors.As(err, &e) || e.HTTPStatusCode != http.StatusUnauthorized || w.requests() != 1 {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func same(t *testing.T, direct, through []told) {
	t.Helper()
	if len(direct) != len(through) {
		t.Fatalf("direct %d steps, through %d", len(direct), len(through))
	}
	for i := range direct {
		if a, b := direct[i], through[i]; a != b {
			n := 0
			for n < len(a.Body) && n < len(b.Body) && a.Body[n] == b.Body[n] {
				n++
			}
			a.Body, b.Body = around(a.Body, n), around(b.Body, n)
			t.Errorf("direct:  %+v\nthrough: %+v", a, b)
		}
	}
}

// around is the part of a body where two differ.
func around(body string, n int) string { return body[max(0, n-200):min(len(body), n+200)] }

// charge is what an order pays.
func charge(order string, amount int64) *stripe.ChargeCreateParams {
	return &stripe.ChargeCreateParams{
		Amount: stripe.Int64(amount), Currency: stripe.String("eur"), Source: &stripe.PaymentSourceSourceParams{Token: stripe.String("tok_visa")},
		Description: stripe.String("a test"), Metadata: map[string]string{"order": order},
	}
}

// play runs the script at url and returns what it was told.
func play(t *testing.T, url, key string, header http.Header, lists bool) []told {
	t.Helper()
	s := begin(t, url, key, header)
	s.all(lists)
	return s.told
}

func (s *script) all(lists bool) {
	s.charges()
	s.intents()
	s.mistakes()
	if lists {
		s.lists()
	}
}

func begin(t *testing.T, url, key string, header http.Header) *script {
	w := &wire{header: header}
	return &script{ctx: t.Context(), c: client(t, url, key, w), wire: w, run: fmt.Sprintf("%016x", rand.Uint64()), names: map[string]string{}}
}

// note takes down how a step ended. A step that needed more than one request is a difference of its own.
func (s *script) note(step string, err error) {
	w := s.wire
	text := strings.ReplaceAll(string(w.body), s.run, "RUN")
	text = timeText.ReplaceAllString(text, `"$1": 0`)
	if s.forgets {
		clear(s.names)
	}
	text = idText.ReplaceAllStringFunc(text, s.name)
	if n := w.requests(); n != 1 {
		step += fmt.Sprintf(" (%d requests)", n)
	}
	s.told = append(s.told, told{
		Step: step, Status: w.status, Error: said(err), Replayed: w.answer.Get("Idempotent-Replayed"), ID: w.answer.Get("Request-Id") != "", Body: canonical(text),
	})
}

// name gives the ids of one run the same names as those of another.
func (s *script) name(id string) string {
	if s.names[id] == "" {
		s.names[id] = fmt.Sprintf("%s_%d", id[:strings.IndexByte(id, '_')], len(s.names)+1)
	}
	return s.names[id]
}

func canonical(text string) string {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	b, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(b)
}

// said is an error as an application reads it.
func said(err error) string {
	var e *stripe.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return fmt.Sprintf("%d %s code=%s decline=%s param=%s (%T)", e.HTTPStatusCode, e.Type, e.Code, e.DeclineCode, e.Param, e.Err)
	}
	return err.Error()
}

func (s *script) charges() {
	c, order := s.c, "order-"+s.run
	key := "key-" + s.run
	p := charge(order, 1290)
	p.IdempotencyKey = stripe.String(key)
	first, err := c.V1Charges.Create(s.ctx, p)
	s.note("charge", err)
	p = charge(order, 1290)
	p.IdempotencyKey = stripe.String(key)
	_, err = c.V1Charges.Create(s.ctx, p)
	s.note("the same key again", err)
	_, err = c.V1Charges.Retrieve(s.ctx, first.ID, nil)
	s.note("retrieve it", err)
	_, err = c.V1Charges.Update(s.ctx, first.ID, &stripe.ChargeUpdateParams{Description: stripe.String("another")})
	s.note("update it", err)
	p = charge(order+"-b", 1000)
	p.Capture = stripe.Bool(false)
	later, err := c.V1Charges.Create(s.ctx, p)
	s.note("authorise", err)
	_, err = c.V1Charges.Capture(s.ctx, later.ID, &stripe.ChargeCaptureParams{Amount: stripe.Int64(900)})
	s.note("capture", err)
	back, err := c.V1Refunds.Create(s.ctx, &stripe.RefundCreateParams{Charge: stripe.String(first.ID), Amount: stripe.Int64(290)})
	s.note("refund a part", err)
	_, err = c.V1Refunds.Retrieve(s.ctx, back.ID, nil)
	s.note("retrieve the refund", err)
	_, err = c.V1Refunds.Create(s.ctx, &stripe.RefundCreateParams{Charge: stripe.String(first.ID)})
	s.note("refund the rest", err)
	_, err = c.V1Refunds.Create(s.ctx, &stripe.RefundCreateParams{Charge: stripe.String(first.ID)})
	s.note("refund what is refunded", err)
}

func intent(order string, manual bool) *stripe.PaymentIntentCreateParams {
	p := &stripe.PaymentIntentCreateParams{
		Amount: stripe.Int64(2500), Currency: stripe.String("eur"), PaymentMethodTypes: []*string{stripe.String("card")},
		Metadata: map[string]string{"order": order},
	}
	if manual {
		p.CaptureMethod = stripe.String("manual")
	}
	return p
}

func (s *script) intents() {
	pi, order := s.c.V1PaymentIntents, "intent-"+s.run
	one, err := pi.Create(s.ctx, intent(order, false))
	s.note("intent", err)
	_, err = pi.Retrieve(s.ctx, one.ID, nil)
	s.note("retrieve the intent", err)
	_, err = pi.Confirm(s.ctx, one.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")})
	s.note("confirm", err)
	_, err = s.c.V1Refunds.Create(s.ctx, &stripe.RefundCreateParams{PaymentIntent: stripe.String(one.ID), Amount: stripe.Int64(100)})
	s.note("refund the intent", err)
	two, err := pi.Create(s.ctx, intent(order+"-b", true))
	s.note("intent to be captured", err)
	_, err = pi.Confirm(s.ctx, two.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")})
	s.note("confirm that", err)
	_, err = pi.Capture(s.ctx, two.ID, &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(2000)})
	s.note("capture the intent", err)
	three, err := pi.Create(s.ctx, intent(order+"-c", false))
	s.note("intent to be cancelled", err)
	_, err = pi.Cancel(s.ctx, three.ID, nil)
	s.note("cancel", err)
	_, err = pi.Cancel(s.ctx, three.ID, nil)
	s.note("cancel again", err)
	four, err := pi.Create(s.ctx, intent(order+"-d", false))
	s.note("intent to be declined", err)
	_, err = pi.Confirm(s.ctx, four.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_chargeDeclined")})
	s.note("declined intent", err)
}

// mistakes are the caller's and the cardholder's: the provider's word passes untouched.
func (s *script) mistakes() {
	c := s.c.V1Charges
	p := charge("declined-"+s.run, 700)
	p.Source.Token = stripe.String("tok_chargeDeclinedInsufficientFunds")
	_, err := c.Create(s.ctx, p)
	s.note("declined charge", err)
	p = charge("unpaid-"+s.run, 700)
	p.Source = nil
	_, err = c.Create(s.ctx, p)
	s.note("no source", err)
	p = charge("no-currency-"+s.run, 700)
	p.Currency = nil
	_, err = c.Create(s.ctx, p)
	s.note("no currency", err)
	_, err = c.Retrieve(s.ctx, "ch_none", nil)
	s.note("retrieve nothing", err)
	_, err = s.c.V1Refunds.Create(s.ctx, &stripe.RefundCreateParams{Charge: stripe.String("ch_none")})
	s.note("refund nothing", err)
	_, err = s.c.V1Balance.Retrieve(s.ctx, nil)
	s.note("balance", err)
}

func (s *script) lists() {
	two := stripe.ListParams{Limit: stripe.Int64(2), Single: true} // the script made more of each: has_more is the same at every provider
	s.note("list charges", ended(s.c.V1Charges.List(s.ctx, &stripe.ChargeListParams{ListParams: two})))
	s.note("list intents", ended(s.c.V1PaymentIntents.List(s.ctx, &stripe.PaymentIntentListParams{ListParams: two})))
	s.note("list refunds", ended(s.c.V1Refunds.List(s.ctx, &stripe.RefundListParams{ListParams: two})))
	query := stripe.SearchParams{Query: "metadata['order']:'order-" + s.run + "'", Single: true}
	s.note("search charges", ended(s.c.V1Charges.Search(s.ctx, &stripe.ChargeSearchParams{SearchParams: query})))
}

// ended reads a list to its end.
func ended[T any](list stripe.Seq2[T, error]) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}
