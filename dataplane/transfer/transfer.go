package transfer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"segue/controlplane/seal"
	"segue/dataplane/ledger"
	"segue/dataplane/session"
	"segue/dataplane/settle"
	"segue/dataplane/standing"
)

// Config is what a Carrier is made of.
type Config struct {
	Run      string // of this agent: it signs the changes that are made here
	Sessions session.Store
	Ledger   ledger.Store
	Board    *standing.Board
	Driver   *settle.Driver
	Vault    *settle.Vault // opens the stored answers of imports
	Secret   []byte        // seals what fields hold
	Log      *slog.Logger
	Now      func() time.Time
	Metrics  prometheus.Registerer // nil: not registered
}

// SecretSize is the length of Config.Secret.
const SecretSize = seal.KeySize

// locks is over how many locks sessions are spread.
const locks = 64

// Carrier reads, writes and carries fields.
type Carrier struct {
	cfg     Config
	key     seal.Key
	locks   [locks]sync.Mutex
	standby standby
	sample  sample
	pace    pace // of what is done beside calls
	fails   pace // of calls for tokens
	watch   watch
	metrics *metrics
	ctx     context.Context // over: nothing is brought ahead of need any more
	cancel  context.CancelFunc
}

// New makes a carrier.
func New(cfg Config) (*Carrier, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	key, err := seal.NewKey("sessions-1", cfg.Secret)
	if err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	c := &Carrier{cfg: cfg, key: key, metrics: newMetrics(cfg.Metrics)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.standby.start(c)
	c.standby.idle.Go(c.look)
	return c, nil
}

// Stop ends the standby: what it has in hand ends, or ctx does; what waits is brought when it is needed.
func (c *Carrier) Stop(ctx context.Context) error {
	c.cancel()
	if err := c.standby.stop(ctx); err != nil {
		return fmt.Errorf("transfer: an import is still under way: %w", err)
	}
	return nil
}

// ErrSealed says that what a field holds cannot be opened with this agent's keys.
var ErrSealed = errors.New("transfer: what the field holds cannot be opened with this agent's keys")

// bound are the bytes that a sealed value is tied to: in another session or field it does not open.
func bound(k session.Key, service, name string) []byte {
	var b []byte
	for _, text := range [...]string{k.App, k.ID, service, name} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	return b
}

func (c *Carrier) seal(k session.Key, service, name string, plain []byte) ([]byte, error) {
	var nonce [seal.NonceSize]byte
	_, _ = rand.Read(nonce[:]) // it never fails: the program ends where the system has no randomness
	sealed, err := seal.Seal(c.key, nonce, plain, bound(k, service, name))
	if err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	return sealed, nil
}

func (c *Carrier) open(k session.Key, service, name string, sealed []byte) ([]byte, error) {
	plain, err := seal.Open(c.key, sealed, bound(k, service, name))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return plain, nil
}

// digest names an item of a set: the same for the same text in the same field, and nothing that could be read back.
func (c *Carrier) digest(k session.Key, service, name, item string) string {
	h := hmac.New(sha256.New, c.cfg.Secret)
	_, _ = h.Write(append(append([]byte("item\x00"), bound(k, service, name)...), item...)) // a hash takes everything
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// lock lets one change of a session at a time be made in this agent.
func (c *Carrier) lock(k session.Key) func() {
	h := fnv.New32a()
	_, _ = h.Write([]byte(k.App + "\x00" + k.ID)) // a hash takes everything
	m := &c.locks[h.Sum32()%locks]
	m.Lock()
	return m.Unlock
}

// load reads a session; nil: there is none yet.
func (c *Carrier) load(ctx context.Context, k session.Key) (*session.Session, error) {
	s, err := c.cfg.Sessions.Load(ctx, k)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	return s, err
}

func (c *Carrier) writer(s *session.Session) session.Writer {
	return session.Writer{Run: c.cfg.Run, Session: s, Now: c.cfg.Now()}
}

// media splits a value into the type that it was written with and its bytes.
func media(plain []byte) (kind string, value []byte) {
	n, size := binary.Uvarint(plain)
	if size <= 0 || n > uint64(len(plain)-size) {
		return "application/octet-stream", plain
	}
	return string(plain[size : size+int(n)]), plain[size+int(n):]
}

func withMedia(kind string, value []byte) []byte {
	b := binary.AppendUvarint(make([]byte, 0, len(kind)+len(value)+2), uint64(len(kind)))
	return append(append(b, kind...), value...)
}

// Media tells whether a text can be the media type of a value: it is a header's value on one line.
func Media(kind string) bool {
	return len(kind) <= 100 && !strings.ContainsFunc(kind, func(r rune) bool { return r < ' ' || r > '~' })
}
