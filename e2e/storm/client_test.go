package storm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// word is what a caller was told of an effect.
type word string

const (
	succeeded   word = "succeeded"
	declined    word = "declined"
	notExecuted word = "not executed"
	unknown     word = "unknown"
	silent      word = "no answer"
	refused     word = "refused" // nobody listened: nobody was told anything
)

// saying is one answer under an order's key.
type saying struct {
	Sent, Got time.Time
	Word      word
	ID        string // of the object
	Status    int
	Problem   string
	Agent     string
	Replay    bool // asked by the judge, after the storm
}

func (s saying) String() string {
	return fmt.Sprintf("%s–%s %s: %s %s %d %s", s.Sent.Format("05.000"), s.Got.Format("05.000"), s.Agent, s.Word, s.ID, s.Status, s.Problem)
}

// order is one effect that a customer wants, under one key, which is its name.
type order struct {
	Name     string
	Service  int
	Declines bool   // the card has no money
	Large    int    // bytes that the request has on top
	Refund   string // the object that is given back: it is somebody's
	Sayings  []saying
}

// request is what the order asks for.
func (o *order) request() (path, form string) {
	v := url.Values{"metadata[order]": {o.Name}}
	if o.Large > 0 {
		v.Set("description", strings.Repeat("x", o.Large))
	}
	if o.Refund != "" {
		v.Set("charge", o.Refund)
		return "/v1/refunds", v.Encode()
	}
	v.Set("amount", "1290")
	v.Set("currency", "eur")
	v.Set("source", "tok_visa")
	if o.Declines {
		v.Set("source", "tok_chargeDeclined")
	}
	return "/v1/charges", v.Encode()
}

// object is the id that the order was told, or "".
func (o *order) object() string {
	for _, s := range o.Sayings {
		if s.ID != "" {
			return s.ID
		}
	}
	return ""
}

// settled is the last word that leaves nothing open, or "".
func (o *order) settled() word {
	for i := len(o.Sayings) - 1; i >= 0; i-- {
		if w := o.Sayings[i].Word; w == succeeded || w == declined {
			return w
		}
	}
	return ""
}

// journal is what all customers were told.
type journal struct {
	mu     sync.Mutex
	orders []*order
}

func (j *journal) add(o *order) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.orders = append(j.orders, o)
}

func (j *journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.orders)
}

// customer wants one thing after the other, and retries under the same key as an SDK does.
type customer struct {
	w       *world
	agents  []*agent // that know its keys: with a store of its own for each agent, there is one
	name    string
	rng     *rand.Rand
	http    *http.Client
	pause   time.Duration
	journal *journal
}

func newCustomer(w *world, a []*agent, n int, pause time.Duration, j *journal) *customer {
	return &customer{w, a, fmt.Sprintf("o%d-%d", w.seed, n), rand.New(rand.NewPCG(w.seed, 500+uint64(n))),
		&http.Client{Transport: &http.Transport{DisableCompression: true}}, pause, j}
}

const (
	answerIn   = 12 * time.Second
	mostTries  = 4
	mostWaited = 20 * time.Second
)

// shop goes on until ctx ends; what is under way then is finished.
func (c *customer) shop(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		o := &order{Name: fmt.Sprintf("%s-%d", c.name, n), Declines: c.rng.IntN(20) == 0}
		if n := c.rng.IntN(8); n < 2*(len(services)-1) { // half of all to the first service
			o.Service = 1 + n%(len(services)-1)
		}
		if c.rng.IntN(10) == 0 {
			o.Large = 1 << (12 + c.rng.IntN(6)) // over 64 KiB it is spooled
		}
		c.buy(ctx, o)
		c.journal.add(o)
		if id := o.object(); id != "" && c.rng.IntN(4) == 0 {
			back := &order{Name: o.Name + "-back", Service: o.Service, Refund: id}
			c.buy(ctx, back)
			c.journal.add(back)
		}
		wait(ctx, c.pause)
	}
}

// buy asks until it is told how it ended, or gives up.
func (c *customer) buy(ctx context.Context, o *order) {
	begun := time.Now()
	for tries := 0; tries < mostTries && time.Since(begun) < mostWaited; {
		limit := answerIn
		if c.rng.IntN(10) == 0 { // in a hurry
			limit = between(c.rng, 30*time.Millisecond, time.Second)
		}
		s := c.ask(o, limit)
		again := true
		switch s.Word {
		case refused:
			again = wait(ctx, 200*time.Millisecond)
		case succeeded, declined:
			again = false
		case notExecuted:
			again = c.rng.IntN(2) == 0
		}
		if s.Word != refused {
			o.Sayings = append(o.Sayings, s)
			tries++
		}
		if !again || !wait(ctx, 150*time.Millisecond<<tries) {
			return
		}
	}
}

// ask makes one call under the order's key. net/http would send a POST again by itself if it could rewind the body and knew the key's
// name: it can do neither.
func (c *customer) ask(o *order, limit time.Duration) saying {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	at := c.agents[c.rng.IntN(len(c.agents))]
	s := saying{Sent: time.Now(), Agent: at.name}
	s.Word = silent
	defer func() { s.Got = time.Now() }()
	path, form := o.request()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.w.url(at, o.Service)+path, struct{ io.Reader }{strings.NewReader(form)})
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	r.ContentLength = int64(len(form))
	r.Header.Set("Authorization", "Bearer sk_test_customer")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header["idempotency-key"] = []string{o.Name}
	answer, err := c.http.Do(r)
	if err != nil {
		s.Problem = err.Error()
		if errors.Is(err, syscall.ECONNREFUSED) {
			s.Word = refused
		}
		s.Got = time.Now()
		return s
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	s.Got = time.Now()
	if err != nil {
		s.Problem = err.Error()
		return s
	}
	s.read(answer, body)
	return s
}

// read takes an answer for what it says.
func (s *saying) read(answer *http.Response, body []byte) {
	var d struct{ ID, Type, Executed string }
	_ = json.Unmarshal(body, &d) // what does not fit stays empty
	s.Status = answer.StatusCode
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/problem+json") {
		s.Problem = strings.TrimPrefix(d.Type, "/problems/")
		s.Word = map[string]word{"no": notExecuted, "yes": succeeded}[d.Executed]
		if s.Word == "" {
			s.Word = unknown
		}
		return
	}
	switch {
	case s.Status/100 == 2:
		s.Word, s.ID = succeeded, d.ID
	case s.Status == http.StatusPaymentRequired:
		s.Word = declined
	default:
		s.Word, s.Problem = notExecuted, string(body[:min(len(body), 400)])
	}
}

// wait is false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
