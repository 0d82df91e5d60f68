package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bank is what a provider's process works on and what survives its death: the objects, the stored answers, the books. One lock makes every
// execution atomic: it happened, with its entry in the books and its stored answer, or it did not.
type bank struct {
	books  *Books
	speaks *dialect
	ids    *ids
	now    func() time.Time

	mu       sync.Mutex
	keys     *keyring // nil where keys are ignored
	charges  *shelf[*charge]
	intents  *shelf[*intent]
	refunds  *shelf[*refund]
	messages *shelf[*sms]
	payments *shelf[*payment]
	vault    *shelf[*vaulted]
	minute   minute

	references *references // nil where nobody is found by one
	grants     *grants     // nil where conversations need none
}

func newBank(c ProviderConfig, keep int, now func() time.Time) *bank {
	b := &bank{
		books: newBooks(c.Name, keep), speaks: dialectOf(c.API), ids: newIDs(c.Name, now()), now: now,
		charges: newShelf[*charge](keep), intents: newShelf[*intent](keep), refunds: newShelf[*refund](keep),
		messages: newShelf[*sms](keep), payments: newShelf[*payment](keep),
		vault: newShelf[*vaulted](keep),
	}
	if c.References {
		b.references = newReferences()
		b.speaks.routes = append(fencing(), b.speaks.routes...)
	}
	if c.Tokens.Life > 0 && c.speaks() == Payments {
		b.grants = newGrants(c.Tokens)
		b.speaks.routes = append(granting(), b.speaks.routes...)
	}
	if c.keyed() {
		b.keys = newKeyring(b.speaks.keys, keep, now)
	}
	return b
}

// call is one request, read and understood.
type call struct {
	*route
	path    string
	names   map[string]string // in the path
	id      string            // the one called id
	form    form
	chat    chatRequest
	mail    mailRequest
	doc     document
	room    allowance // what the provider says is left of its limits
	key     string    // Idempotency-Key as received
	secret  string    // a fingerprint of the API key
	life    *life
	token   string  // of the conversation, as shown
	dearer  float64 // the fee is so many times the usual one; 0: once
	prefers string  // of the answer: PayPal's are short unless it is asked for more
}

// account is the one that the path names.
func (c *call) account() string { return c.names["account"] }

// answer is what goes back.
type answer struct {
	status   int
	header   map[string]string
	body     []byte
	events   stream // in place of a body
	replayed bool
}

func jsonAnswer(status int, v any) answer {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil { // maps and strings of our own: cannot fail
		return answer{status: 500, body: []byte(err.Error())}
	}
	return answer{status: status, body: buf.Bytes()}
}

// admit says whether the call's key already has an answer, or is in use; nil means: execute. From then on the key is in use, until execute
// or release.
func (b *bank) admit(c *call) *answer {
	if b.keys == nil || !c.effect || c.key == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.keys.admit(c)
	if a != nil && a.replayed {
		b.books.replay()
	}
	return a
}

func (b *bank) release(c *call) {
	if b.keys == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys.release(c)
}

// execute does the work, unless the call's life is over. An answer given as instead is what the caller will be told, and what is stored
// under the key: Stripe replays stored 500s.
func (b *bank) execute(c *call, instead *answer) (a answer, alive bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.life.Err() != nil {
		return answer{}, false
	}
	object, failed := c.do(b, c)
	a = b.speaks.answer(object, failed)
	if failed == nil && c.status != 0 {
		a.status = c.status
	}
	if instead != nil {
		a = *instead
	}
	if b.keys != nil && c.effect && b.keys.stores(failed, a.status) {
		b.keys.store(c, a)
	}
	return a, true
}

// end ends a life: what was not executed by now never will be.
func (b *bank) end(l *life) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l.end()
}

func (b *bank) requestID() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids.make("req")
}

// record enters an execution into the books. order is the metadata that the request itself carried, or that of the object it follows.
func (b *bank) record(c *call, id string, amount int64, currency string, metadata map[string]string, status string) {
	b.books.record(Entry{
		ID: id, At: b.now(), Account: c.secret, Operation: c.operation, Amount: amount, Currency: currency, Key: c.key,
		Order: metadata["order"], Metadata: metadata, Status: status,
	})
}

// ids makes ids that no other provider makes, and no later sandbox of the same name: an agent's ledger may outlive us.
type ids struct {
	stem string
	next uint64
}

func newIDs(name string, now time.Time) *ids {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, name)
	return &ids{stem: clean + fixed(uint64(now.UnixMilli()))}
}

// fixed has one width, so that no name and number run together to those of another name.
func fixed(n uint64) string { return fmt.Sprintf("%08s", strconv.FormatUint(n, 36)) }

func (i *ids) make(prefix string) string {
	i.next++
	return prefix + "_" + i.stem + fixed(i.next)
}

// fingerprint stands for a secret where it must not stand itself.
func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "acct_" + hex.EncodeToString(sum[:6])
}

// shelf keeps the newest objects of a kind.
type shelf[T any] struct {
	keep  int
	byID  map[string]T
	order []string // oldest first
}

func newShelf[T any](keep int) *shelf[T] { return &shelf[T]{keep: keep, byID: map[string]T{}} }

func (s *shelf[T]) put(id string, v T) {
	s.byID[id] = v
	s.order = append(s.order, id)
	if len(s.order) > s.keep {
		delete(s.byID, s.order[0])
		s.order = s.order[1:]
	}
}

// newest calls yield from the newest object on, until it says no.
func (s *shelf[T]) newest(yield func(string, T) bool) {
	for i := len(s.order) - 1; i >= 0; i-- {
		if !yield(s.order[i], s.byID[s.order[i]]) {
			return
		}
	}
}
