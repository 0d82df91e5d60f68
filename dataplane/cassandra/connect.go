package cassandra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gocql/gocql"
)

// connect makes a driver's session. There is no retry policy: whether a write may be repeated is for cas to say.
func connect(o Options) (*gocql.Session, error) {
	policy := newHosts(o.Datacenter, o.Now)
	c := gocql.NewCluster(o.Hosts...)
	c.ProtoVersion = 4
	c.Timeout, c.ConnectTimeout, c.WriteTimeout = o.Timeout, o.Timeout, o.Timeout
	c.Consistency, c.SerialConsistency = gocql.Quorum, gocql.Serial
	c.RetryPolicy = nil
	c.ReconnectInterval = probeEvery
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 2, Interval: 500 * time.Millisecond}
	c.PoolConfig.HostSelectionPolicy = policy
	c.QueryObserver, c.BatchObserver = policy, policy
	c.DisableSkipMetadata = true // the columns of a conditional write's answer are not those that were prepared
	c.Logger = driverLog{o.Log}
	c.Dialer = o.test.dial
	if o.Login.User != "" {
		c.Authenticator = gocql.PasswordAuthenticator{Username: o.Login.User, Password: o.Login.Password}
	}
	if o.Login.TLS != nil {
		c.SslOpts = &gocql.SslOptions{Config: o.Login.TLS.Clone(), EnableHostVerification: true}
	}
	session, err := c.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("%w, of %v: %w", ErrUnreached, o.Hosts, err)
	}
	return session, nil
}

// driverLog takes what the driver has to say. It speaks of nodes that come and go, which is no error of ours.
type driverLog struct{ log *slog.Logger }

func (l driverLog) Print(v ...any)                 { l.log.Debug(fmt.Sprint(v...)) }
func (l driverLog) Printf(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l driverLog) Println(v ...any)               { l.log.Debug(fmt.Sprint(v...)) }

// watch makes a new driver's session when the old one has reached nobody for a while: after all nodes changed their addresses, it never
// would again.
func (s *Store) watch(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	since := s.opts.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := s.opts.Now()
		if s.driver.Load() == nil {
			s.arrive(ctx)
			since = now
			continue
		}
		if s.probe(ctx) == nil {
			since = now
			continue
		}
		if now.Sub(since) < rebuildAfter {
			continue
		}
		fresh, err := connect(s.opts)
		if err != nil {
			s.opts.Log.Warn("no node of Cassandra can be reached", "error", err, "since", since)
			continue
		}
		s.opts.Log.Info("connected to Cassandra anew", "since", since)
		old := s.driver.Swap(fresh)
		since = now
		old.Close() // it reached nobody: what hangs on it ends as unknown
	}
}

// arrive tries to reach a cluster that nobody reached before.
func (s *Store) arrive(ctx context.Context) {
	err := s.reach(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.opts.Log.Warn("Cassandra cannot be used yet: effects are refused", "error", err)
		s.refuse(err)
		return
	}
	s.opts.Log.Info("connected to Cassandra")
}

func (s *Store) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var key string
	return s.read(ctx, gocql.One, "SELECT key FROM system.local").Scan(&key)
}

// query prepares a statement for its sending.
func (s *Store) query(ctx context.Context, level gocql.Consistency, statement string, values ...any) *gocql.Query {
	q := s.driver.Load().Query(statement, values...).WithContext(ctx).Consistency(level)
	if s.opts.test.trace != nil {
		q = q.Trace(s.opts.test.trace)
	}
	return q
}

func (s *Store) read(ctx context.Context, level gocql.Consistency, statement string, values ...any) *gocql.Query {
	return s.query(ctx, level, statement, values...).SerialConsistency(gocql.Serial)
}

// serial is how a linearizable read is asked for: the protocol takes it as a read's level though the driver's names do not offer it.
const serial = gocql.Consistency(gocql.Serial)

// often repeats what may be repeated (reads, and writes that say the same each time) until it works, the caller's time is over or the
// store gives up.
func (s *Store) often(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Resolve)
	defer cancel()
	var gone absence
	return patiently(ctx, func(ctx context.Context) error {
		err := f(ctx)
		if gone.long(err, s.opts.Now()) {
			cancel()
		}
		return err
	})
}

// absence is how long the copies that are needed are known to be missing. For about half a second after a node died, others may say so
// although enough are left; beyond, whoever waits longer only keeps a caller waiting.
type absence struct{ since time.Time }

// long tells whether an error is one more in a row of those that say so, which has lasted for a while.
func (a *absence) long(err error, now time.Time) bool {
	var missing *gocql.RequestErrUnavailable
	if !unsent(err) && !errors.As(err, &missing) {
		a.since = time.Time{}
		return false
	}
	if a.since.IsZero() {
		a.since = now
	}
	return now.Sub(a.since) >= absentFor
}

// patiently is often, for as long as ctx lasts.
func patiently(ctx context.Context, f func(context.Context) error) error {
	var told error // what the server said last of copies that are missing: a deadline of ours tells less
	for attempt := 0; ; attempt++ {
		err := f(ctx)
		if err == nil || errors.Is(err, gocql.ErrNotFound) || hopeless(err) {
			return err
		}
		if c := counted(err); c != err || told == nil {
			told = c
		}
		if !pause(ctx, attempt) {
			return told
		}
	}
}

// pause waits a little longer each time; false: the time is over.
func pause(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(min(10*time.Millisecond<<min(attempt, 6), 500*time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hopeless are the server's answers that stay the same however often one asks.
func hopeless(err error) bool {
	var answer gocql.RequestError
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code() {
	case gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized, gocql.ErrCodeInvalid, gocql.ErrCodeConfig, gocql.ErrCodeCredentials, gocql.ErrCodeProtocol:
		return true
	default:
		return false
	}
}

// unsent are the errors with which the driver gives up before a byte leaves.
func unsent(err error) bool {
	return errors.Is(err, gocql.ErrNoConnections) || errors.Is(err, gocql.ErrNoStreams) || errors.Is(err, gocql.ErrSessionClosed)
}
