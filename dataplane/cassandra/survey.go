package cassandra

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/ledger"
)

const (
	warmClaims = 10 // the first ones prepare statements and open connections
	costClaims = 30
	costLife   = 60 // seconds that the rows of a measurement are kept
)

// Survey is what there is to know of a cluster before one relies on it.
type Survey struct {
	Datacenter string // whose nodes we would ask first; "": any
	Nodes      []Node
	Keyspaces  []Keyspace
	Schema     error     // nil: the tables are those of this program
	Repaired   time.Time // when a repair of the transactions last ended; zero: none is known
	Cost       Cost
	Now        time.Time
}

// Keyspace is how many copies are kept, by data centre. Without data centres (SimpleStrategy) they stand under "".
type Keyspace struct {
	Name   string
	Copies map[string]int
}

// Cost is how long the conditional writes take that each effect makes: the claim before the send, the outcome after it.
type Cost struct {
	Claim, ClaimWorst, Outcome time.Duration // medians, and the slowest
	Err                        error         // it could not be measured
}

// Examine looks at a cluster and measures it. It changes nothing but a few rows of its own that go by themselves.
func Examine(ctx context.Context, o Options) (Survey, error) {
	o.Migrate = false
	s, err := prepare(o)
	if err != nil {
		return Survey{}, err
	}
	driver, err := connect(s.opts)
	if err != nil {
		return Survey{}, err
	}
	defer driver.Close()
	s.driver.Store(driver)
	found := Survey{Datacenter: o.Datacenter, Now: s.opts.Now()}
	if found.Nodes, err = s.Look(ctx); err != nil {
		return found, err
	}
	for _, n := range found.Nodes {
		if recentEnough(n.Version) != nil {
			return found, nil // it is asked nothing more: it would not understand
		}
	}
	if found.Schema = s.checkSchema(ctx); errors.Is(found.Schema, ErrNoSchema) {
		return found, nil
	}
	if found.Keyspaces, err = s.keyspaces(ctx); err != nil {
		return found, err
	}
	found.Repaired = s.repaired(ctx)
	if found.Schema == nil {
		found.Cost = s.measure(ctx)
	}
	return found, nil
}

// keyspaces tells how many copies of transactions and sessions are kept.
func (s *Store) keyspaces(ctx context.Context) ([]Keyspace, error) {
	var out []Keyspace
	for _, name := range []string{s.opts.Ledger, s.opts.Soft} {
		var replication map[string]string
		err := s.often(ctx, func(ctx context.Context) error {
			return s.read(ctx, gocql.One, "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", name).Scan(&replication)
		})
		if err != nil {
			return nil, fmt.Errorf("cassandra: the keyspace %s: %w", name, err)
		}
		out = append(out, Keyspace{Name: name, Copies: copiesOf(replication)})
	}
	return out, nil
}

// copiesOf reads a keyspace's replication.
func copiesOf(replication map[string]string) map[string]int {
	out := map[string]int{}
	for name, value := range replication {
		var n int
		if _, err := fmt.Sscanf(value, "%d", &n); err != nil || name == "class" {
			continue
		}
		if name == "replication_factor" {
			name = ""
		}
		out[name] = n
	}
	return out
}

// repaired tells when a repair of the transactions last ended.
func (s *Store) repaired(ctx context.Context) (last time.Time) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	iter := s.read(ctx, gocql.One, "SELECT finished_at FROM system_distributed.repair_history WHERE keyspace_name = ? AND columnfamily_name = 'tx'", s.opts.Ledger).Iter()
	var at time.Time
	for iter.Scan(&at) {
		if at.After(last) {
			last = at
		}
		at = time.Time{}
	}
	_ = iter.Close() // who does not tell has not repaired, as far as anybody knows
	return last
}

// measure makes the two conditional writes of an effect a few times, in rows that lead nowhere and end by themselves.
func (s *Store) measure(ctx context.Context) Cost {
	claims, outcomes := make([]time.Duration, 0, costClaims), make([]time.Duration, 0, costClaims)
	for n := range warmClaims + costClaims {
		t := trialRow(s.opts.Now())
		columns, err := values(t)
		if err != nil {
			return Cost{Err: err}
		}
		k, mark := hashOf(t), gocql.MustRandomUUID()
		began := time.Now()
		if _, _, err = s.cas(ctx, s.names.claim, append(append([]any{k, map[int64]gocql.UUID{1: mark}}, columns...), costLife)...); err != nil {
			return Cost{Err: err}
		}
		claimed := time.Now()
		if _, _, err = s.cas(ctx, s.names.advance, append(append([]any{costLife}, columns...), int64(2), mark, k, int64(1), t.ID)...); err != nil {
			return Cost{Err: err}
		}
		if n >= warmClaims {
			claims, outcomes = append(claims, claimed.Sub(began)), append(outcomes, time.Since(claimed))
		}
	}
	slices.Sort(claims)
	slices.Sort(outcomes)
	return Cost{Claim: claims[costClaims/2], ClaimWorst: claims[costClaims-1], Outcome: outcomes[costClaims/2]}
}

// trialRow is a row as large as a claim's, closed from the start: nobody takes it for a call.
func trialRow(now time.Time) *ledger.Transaction {
	t := ledger.New("tx_doctor", ledger.Key{App: "segue doctor", Service: "doctor", Key: rand.Text()}, "doctor", [32]byte{}, now)
	t.Version, t.State = 1, ledger.Refused
	t.Attempts = []ledger.Attempt{{ID: "at_doctor", Provider: "doctor", Endpoint: "http://127.0.0.1:7600", ProviderKey: rand.Text() + rand.Text(), Reference: "doctor-0", IntentAt: now, Outcome: ledger.NotSent}}
	return t
}
