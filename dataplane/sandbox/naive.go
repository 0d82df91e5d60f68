package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// NaiveConfig describes the naive client.
type NaiveConfig struct {
	Rate    float64       // charges a second; 5 if none is given
	Timeout time.Duration // of one request; 0 means 2 s
}

func (c NaiveConfig) withDefaults() NaiveConfig {
	if c.Rate <= 0 {
		c.Rate = 5
	}
	c.Rate = min(c.Rate, naiveMostRate)
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Second
	}
	return c
}

const (
	naiveTries    = 3  // requests for one charge
	naiveBusy     = 64 // charges at once; further ones are not begun
	naiveMostRate = 20 // a second: more would show nothing more
)

// Naive is the client that many write: it calls the providers of payments itself, and where a request times out or its connection breaks,
// it sends the charge to the next provider as a new request, without a key that both would know. It is off until it is switched on, and
// its orders have a prefix of their own: the books tell them apart, and the audit leaves them out.
type Naive struct {
	config NaiveConfig
	at     []*Provider
	run    string // what its orders begin with
	seed   uint64
	orders atomic.Uint64

	mu    sync.Mutex
	spell *spell // nil: off
	count uint64 // of the spells
	over  bool
}

// spell is the time between on and off.
type spell struct {
	context.Context
	end  context.CancelFunc
	ends time.Time
	done chan struct{}
}

// stop returns when nothing of the spell goes out any more.
func (s *spell) stop() {
	if s != nil {
		s.end()
		<-s.done
	}
}

// NaiveState is what the naive client did so far. Both counts are over all its spells.
type NaiveState struct {
	On     bool
	Ends   time.Time // of the spell; zero while it is off
	Orders int       // charges that it asked for
	Twice  int       // of those, executed more than once, by the books of all providers
}

func newNaive(c Config, providers []*Provider) *Naive {
	n := &Naive{config: c.Naive.withDefaults(), seed: c.Seed}
	n.run = "naive-" + strconv.FormatUint(c.Seed, 36) + "-" + strconv.FormatInt(c.Now().UnixNano(), 36) + "-"
	for _, p := range providers {
		if p.config.speaks() == Payments {
			n.at = append(n.at, p)
		}
	}
	return n
}

// Providers are those that it charges at, in the order in which it goes on.
func (n *Naive) Providers() []string {
	var names []string
	for _, p := range n.at {
		names = append(names, p.Name())
	}
	return names
}

// On switches it on for so long; it ends by itself. Where it is on already, the time begins anew.
func (n *Naive) On(length time.Duration) error {
	if len(n.at) == 0 {
		return errors.New("naive: there is no simulated provider of payments")
	}
	if length <= 0 {
		return fmt.Errorf("naive: %v is no time to be on", length)
	}
	s := &spell{ends: time.Now().Add(length), done: make(chan struct{})}
	s.Context, s.end = context.WithTimeout(context.Background(), length)
	n.mu.Lock()
	if n.over {
		n.mu.Unlock()
		s.end()
		return errors.New("naive: the sandbox is stopping")
	}
	before := n.spell
	n.spell = s
	n.count++
	draw := rand.New(rand.NewPCG(n.seed, n.count))
	n.mu.Unlock()
	go func() { defer close(s.done); n.shop(s, draw) }()
	before.stop()
	return nil
}

// Off switches it off. When it returns, nothing of it is sent any more.
func (n *Naive) Off() {
	n.mu.Lock()
	s := n.spell
	n.spell = nil
	n.mu.Unlock()
	s.stop()
}

// stop is Off for good.
func (n *Naive) stop() {
	n.mu.Lock()
	n.over = true
	n.mu.Unlock()
	n.Off()
}

// State is how it stands, by the providers' books.
func (n *Naive) State() NaiveState {
	st := NaiveState{Orders: int(n.orders.Load())}
	n.mu.Lock()
	if s := n.spell; s != nil && s.Err() == nil {
		st.On, st.Ends = true, s.ends
	}
	n.mu.Unlock()
	books := make([]*Books, len(n.at))
	for i, p := range n.at {
		books[i] = p.Books()
	}
	for _, counts := range sums(n.owns, books) {
		for _, times := range counts {
			if times > 1 {
				st.Twice++
			}
		}
	}
	return st
}

func (n *Naive) owns(p page) bool { return p.prefix == n.run }

// shop begins charges at random times until the spell is over, and returns when all have ended.
func (n *Naive) shop(s *spell, draw *rand.Rand) {
	defer s.end()
	transport := &http.Transport{MaxIdleConnsPerHost: naiveBusy, IdleConnTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport, Timeout: n.config.Timeout}
	var open sync.WaitGroup
	defer open.Wait()
	seats := make(chan struct{}, naiveBusy)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.Done():
		}
		if s.Err() != nil { // both may have come
			return
		}
		timer.Reset(time.Duration(draw.ExpFloat64() / n.config.Rate * float64(time.Second)))
		first, amount := draw.IntN(len(n.at)), 100+50*draw.IntN(400)
		if amount == declinedAmount {
			amount++
		}
		select {
		case seats <- struct{}{}:
			open.Go(func() { n.charge(s, web, first, amount); <-seats })
		default:
		}
	}
}

// charge asks for one charge, and asks the next provider where no answer came: that the first may have made it, it does not think of.
func (n *Naive) charge(ctx context.Context, web *http.Client, first, amount int) {
	order := n.run + strconv.FormatUint(n.orders.Add(1), 10)
	form := url.Values{
		"amount": {strconv.Itoa(amount)}, "currency": {"eur"}, "source": {"tok_visa"}, "description": {"naive retry"}, "metadata[order]": {order},
	}.Encode()
	for try := range naiveTries {
		if answered(ctx, web, n.at[(first+try)%len(n.at)], form) || ctx.Err() != nil {
			return
		}
	}
}

// answered sends the charge and tells whether a whole answer came, whatever it said.
func answered(ctx context.Context, web *http.Client, p *Provider, form string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL()+"/v1/charges", strings.NewReader(form))
	if err != nil {
		return false
	}
	key := p.config.Credential
	if key == "" {
		key = "sk_test_naive"
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", formType)
	resp, err := web.Do(r)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReplied))
	return err == nil
}
