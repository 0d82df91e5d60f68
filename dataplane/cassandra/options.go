package cassandra

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/gocql/gocql"
)

// Defaults and bounds.
const (
	// DefaultKeep is the one time to live of every row: longer than any provider keeps a key, than the longest hold, and than
	// gc_grace_seconds together.
	DefaultKeep = 35 * 24 * time.Hour
	// DefaultTimeout is above the server's own two seconds: the server's answer tells more than our giving up.
	DefaultTimeout = 2500 * time.Millisecond
	// DefaultResolve is how long a write whose outcome is not known is repeated, unless the caller's deadline comes first. A replica
	// that hangs costs one or two time-outs.
	DefaultResolve = 8 * time.Second

	grace          = time.Hour // side rows outlive their transaction by this, so that none misses what it points to
	inlineAnswer   = 4 << 10   // larger answers stand beside the row: a row is written four times by Paxos, an answer need not be
	payloadChunk   = 64 << 10
	slotEntries    = 2048 // open entries per partition: what a scan reads, and the tombstones that it walks over
	openPage       = 32   // rows that Open reads at a time
	parallelReads  = 16
	maxScan        = 2000 // rows that Recent looks at when its filters have no index
	maxRecent      = 500
	recent         = 50
	recentShards   = 8 // partitions that take one minute's claims
	suspectFor     = 5 * time.Second
	absentFor      = 1500 * time.Millisecond // nodes say all that time that too few copies live: nobody waits for more
	probeEvery     = 5 * time.Second
	rebuildAfter   = 30 * time.Second
	lookEvery      = time.Hour
	lookAgain      = 30 * time.Second // while claims are refused
	maxClockOffset = time.Second
)

var (
	// ErrUnknown says that a write may or may not have been applied, now or later. Load and compare the token.
	ErrUnknown = errors.New("cassandra: the outcome of the write is not known")
	// ErrNotWritten says that no byte of the write left.
	ErrNotWritten = errors.New("cassandra: nothing was written")
	// ErrRefused refuses guarded work on a cluster whose settings break its promises.
	ErrRefused = errors.New("cassandra: guarded work is refused")
	// ErrUnreached says that no node has let us in yet. Nothing was written.
	ErrUnreached = errors.New("cassandra: no node lets us in")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("cassandra: the store is closed")
	// ErrCorrupt says that a row cannot be what this program wrote.
	ErrCorrupt = errors.New("cassandra: the row is corrupt")
	// ErrOldServer refuses a Cassandra without Paxos v2.
	ErrOldServer = errors.New("cassandra: the server is too old")
	// ErrNoSchema says that nobody has made the tables.
	ErrNoSchema = errors.New("cassandra: the schema is missing or old")
	// ErrNewerSchema says that a newer program made the tables.
	ErrNewerSchema = errors.New("cassandra: the schema was made by a newer version of Segue")
	// ErrOtherSchema says that the cluster has another migration under a number than this program.
	ErrOtherSchema = errors.New("cassandra: the schema has another history")
	// ErrHalfMigrated says that a migration began and did not end.
	ErrHalfMigrated = errors.New("cassandra: the schema is half migrated")
)

// Options are what a store may be told. Hosts is needed; the rest has defaults.
type Options struct {
	Hosts       []string       // nodes to begin with, as host or host:port; the others are found
	Datacenter  string         // its nodes are asked first, and must hold copies; empty: any node
	Ledger      string         // keyspace of transactions; default "ledger"
	Soft        string         // keyspace of sessions; default "soft"
	Replication map[string]int // copies by data centre, for keyspaces that Migrate makes; empty: three in each, or one on each of its nodes
	Migrate     bool           // make or change the schema: one process at a time should be told so
	Resume      bool           // with Migrate: finish a migration that another process began and will not end
	Patient     bool           // open although no node lets us in: it is tried again all the time, and until then every call fails
	Keep        time.Duration  // DefaultKeep
	Timeout     time.Duration  // DefaultTimeout
	Resolve     time.Duration  // DefaultResolve
	Login       Login
	Log         *slog.Logger
	Now         func() time.Time

	test hooks
}

// hooks are for tests: they count what the server does, and lose its answers.
type hooks struct {
	trace  gocql.Tracer
	dial   gocql.Dialer
	commit gocql.Consistency // of first tries; 0: as it should be
}

// Login is how one is let in. However it is printed, the password is not.
type Login struct {
	User, Password string      // empty: none is asked for
	TLS            *tls.Config // nil: plain; hosts' names are verified
}

// String is the name alone.
func (l Login) String() string { return l.User }

// GoString is the name alone.
func (l Login) GoString() string { return l.User }

// LogValue is the name alone.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.User) }

var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

func (o Options) filled() (Options, error) {
	if len(o.Hosts) == 0 {
		return o, errors.New("cassandra: no hosts: name one node at least")
	}
	if o.Ledger == "" {
		o.Ledger = "ledger"
	}
	if o.Soft == "" {
		o.Soft = "soft"
	}
	for _, name := range []string{o.Ledger, o.Soft} { // names stand in statements
		if !keyspaceName.MatchString(name) {
			return o, fmt.Errorf("cassandra: the keyspace %q: a small letter, then small letters, digits and _, 41 at most", name)
		}
	}
	if o.Ledger == o.Soft {
		return o, fmt.Errorf("cassandra: the keyspace %s cannot hold both transactions and sessions", o.Ledger)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Keep = orElse(o.Keep, DefaultKeep)
	o.Timeout = orElse(o.Timeout, DefaultTimeout)
	o.Resolve = orElse(o.Resolve, DefaultResolve)
	return o, nil
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}
