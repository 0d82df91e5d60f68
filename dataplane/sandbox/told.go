package sandbox

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Told is what the shopper was told about an order, or about one call.
type Told string

const (
	Succeeded Told = "succeeded"
	Declined  Told = "declined"
	Invalid   Told = "invalid"   // the provider's 4xx: nothing was done
	Refused   Told = "refused"   // told "not executed": a problem with executed: "no", a 429, or no connection at all
	Unknown   Told = "unknown"   // outcome-unknown, in-progress, or a 5xx that says nothing
	Transport Told = "transport" // the connection failed after something was sent; for an order this counts as unknown
)

// saying is what one answer means to a customer.
type saying struct {
	told  Told
	id    string // of the object, if told succeeded
	final bool   // holds also for an earlier try of the same order that ended unknown
}

// reading understands an answer. It knows problem documents (RFC 9457) by their member "executed", and nothing else of who wrote them.
func reading(resp *http.Response, body []byte) saying {
	var doc struct {
		ID          string `json:"id"`
		SID         string `json:"sid"`
		Executed    string `json:"executed"`
		Transaction string `json:"transaction"`
	}
	parsed := json.Unmarshal(body, &doc) == nil
	problem := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json")
	switch code := resp.StatusCode; {
	case problem && parsed && doc.Executed == "no":
		// Only an answer that names the transaction has looked at the earlier tries.
		return saying{told: Refused, final: doc.Transaction != ""}
	case problem, code == http.StatusConflict, code >= 500, !parsed:
		return saying{told: Unknown}
	case code == http.StatusTooManyRequests:
		return saying{told: Refused}
	case code == http.StatusPaymentRequired:
		return saying{told: Declined, final: true}
	case code >= 400:
		return saying{told: Invalid}
	case code >= 200 && code < 300 && doc.ID+doc.SID != "":
		return saying{told: Succeeded, id: doc.ID + doc.SID, final: true}
	}
	return saying{told: Unknown}
}

// failing understands a call without an answer: a connection that never stood carried nothing.
func failing(err error) saying {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return saying{told: Refused}
	}
	return saying{told: Transport}
}

// after is what an order's owner believes when he is told so after an earlier belief.
func (now saying) after(belief Told) Told {
	switch {
	case belief == Unknown && !now.final:
		return Unknown
	case now.told == Transport:
		return Unknown
	}
	return now.told
}

// memory is what the shopper was told about each of its orders, one byte each, for ever.
type memory struct {
	prefix string

	mu   sync.Mutex
	told []mark
	with []*Books // the books that the marks were checked against
}

// mark is one order's byte.
type mark uint8

const (
	markOpen mark = iota // asked, and told nothing so far
	markSucceeded
	markInBooks // told succeeded, and a book has it: nothing can change that
	markRefused
	markDeclined
	markInvalid
	markUnknown
)

func markOf(t Told) mark {
	switch t {
	case Succeeded:
		return markSucceeded
	case Refused:
		return markRefused
	case Declined:
		return markDeclined
	case Invalid:
		return markInvalid
	}
	return markUnknown
}

func newMemory(prefix string) *memory { return &memory{prefix: prefix} }

func (m *memory) name(n int) string { return m.prefix + strconv.Itoa(n) }

// order begins a new one.
func (m *memory) order() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, markOpen)
	return len(m.told) - 1
}

func (m *memory) settle(n int, t Told) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told[n] = markOf(t)
}

func (m *memory) count() map[Told]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n [markUnknown + 1]uint64
	for _, k := range m.told {
		n[k]++
	}
	return map[Told]uint64{Succeeded: n[markSucceeded] + n[markInBooks], Refused: n[markRefused], Declined: n[markDeclined], Invalid: n[markInvalid], Unknown: n[markUnknown]}
}
