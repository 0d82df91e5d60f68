package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Target is the listeners of one region's services.
type Target struct {
	Region   string
	URL      string  // base URL of the payments
	Rate     float64 // new sessions a second; each makes two to six calls
	Messages string  // base URL; empty: nobody is sent one
	Chat     string  // base URL; empty: nobody asks
}

// ShopperConfig describes a load.
type ShopperConfig struct {
	Targets []Target
	Seed    uint64
	Token   string           // shown as Bearer; "sk_test_shopper" if none is given
	Timeout time.Duration    // of one call; 0 means 15 s
	Retries int              // with the same key, after an unknown outcome or a transport error; 0 means 2, negative none
	Backoff time.Duration    // before a retry; 0 means 500 ms
	Busy    int              // sessions at once per region, further ones are skipped; 0 means 256
	Now     func() time.Time // time.Now if none is given
	Log     *slog.Logger     // discarded if none is given
}

func (c ShopperConfig) withDefaults() ShopperConfig {
	orElse := func(d *time.Duration, usual time.Duration) {
		if *d == 0 {
			*d = usual
		}
	}
	orElse(&c.Timeout, 15*time.Second)
	orElse(&c.Backoff, 500*time.Millisecond)
	if c.Token == "" {
		c.Token = "sk_test_shopper"
	}
	if c.Retries == 0 {
		c.Retries = 2
	}
	if c.Busy <= 0 {
		c.Busy = 256
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c ShopperConfig) check() error {
	regions := map[string]bool{}
	for _, t := range c.Targets {
		if err := t.check(); err != nil {
			return err
		}
		switch {
		case !(t.Rate > 0 && t.Rate <= maxRate):
			return fmt.Errorf("shopper: region %q: rate %v is not between 0 and %d a second", t.Region, t.Rate, maxRate)
		case regions[t.Region]:
			return fmt.Errorf("shopper: region %q is there twice", t.Region)
		}
		regions[t.Region] = true
	}
	if len(regions) == 0 {
		return errors.New("shopper: no target")
	}
	return nil
}

const maxRate = 10_000

func (t Target) check() error {
	for i, base := range []string{t.URL, t.Messages, t.Chat} {
		if i > 0 && base == "" {
			continue
		}
		u, err := url.Parse(base)
		if err != nil {
			return fmt.Errorf("shopper: region %q: %w", t.Region, err)
		}
		if u.Scheme == "" || u.Host == "" {
			return fmt.Errorf("shopper: region %q: %q is not a base URL", t.Region, base)
		}
	}
	return nil
}

// Shopper is a seeded load of customers: each opens a session, pays, looks, sometimes captures or
// refunds, is sent a message or asks the chat, and remembers what it was told.
type Shopper struct {
	config ShopperConfig
	memory *memory // of payments
	texts  *memory // of messages, by number and text
	chats  *memory // of questions that were answered
	stats  *counters

	opening context.Context // over: no new sessions
	close   context.CancelFunc
	calling context.Context // over: open calls end too
	abandon context.CancelFunc
	work    sync.WaitGroup
}

// NewShopper checks the configuration.
func NewShopper(c ShopperConfig) (*Shopper, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	// Keys must be new in each run: an agent's ledger may outlive the books, and would answer for an earlier run's orders.
	run := "o" + strconv.FormatUint(c.Seed, 36) + "-" + strconv.FormatInt(c.Now().UnixNano(), 36) + "-"
	s := &Shopper{
		config: c, memory: newMemory(run), texts: newMemory(customerNumber + " Your parcel is on its way: " + run), chats: newMemory("chat-" + run),
		stats: newCounters(c.Targets),
	}
	s.opening, s.close = context.WithCancel(context.Background())
	s.calling, s.abandon = context.WithCancel(context.Background())
	return s, nil
}

// Start begins the load. It does not block.
func (s *Shopper) Start() error {
	for i, t := range s.config.Targets {
		s.work.Go(func() { s.open(t, rand.New(rand.NewPCG(s.config.Seed, uint64(i)))) })
	}
	return nil
}

// open begins sessions at the target's rate, at random times, until the shopper closes; it returns when all of them have ended.
func (s *Shopper) open(t Target, draw *rand.Rand) {
	transport := &http.Transport{MaxIdleConnsPerHost: s.config.Busy, IdleConnTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport, Timeout: s.config.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // an SDK takes a redirect for an error, too
	}}
	var sessions sync.WaitGroup
	defer sessions.Wait()
	seats := make(chan struct{}, s.config.Busy)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.opening.Done():
		}
		if s.opening.Err() != nil { // both may have come
			return
		}
		timer.Reset(time.Duration(draw.ExpFloat64() / t.Rate * float64(time.Second)))
		v := &visit{shopper: s, target: t, http: web, draw: rand.New(rand.NewPCG(draw.Uint64(), draw.Uint64()))}
		select {
		case seats <- struct{}{}:
			sessions.Go(func() { v.run(); <-seats })
			s.stats.session(false)
		default:
			s.stats.session(true)
		}
	}
}

// Stop begins no new session, lets the open ones end until ctx is over, and returns when no goroutine is left.
func (s *Shopper) Stop(ctx context.Context) error {
	s.close()
	stop := context.AfterFunc(ctx, s.abandon)
	s.work.Wait()
	s.abandon()
	if !stop() {
		return fmt.Errorf("shopper: open sessions were abandoned: %w", context.Cause(ctx))
	}
	return nil
}

// Stats are the counters now.
func (s *Shopper) Stats() Stats {
	st := s.stats.now()
	st.Orders = s.memory.count()
	st.Texts, st.Chats = s.texts.count(), s.chats.count()
	return st
}
