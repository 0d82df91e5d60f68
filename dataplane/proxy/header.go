package proxy

import (
	"strconv"
	"time"

	"segue/dataplane/ledger"
)

// hop is one attempt as the headers tell it.
type hop struct {
	provider string
	outcome  ledger.Outcome
	err      string
	status   int
	elapsed  time.Duration
	endpoint string // where the provider has several: the one that it was sent to
}

// appendRoute writes Segue-Route: an RFC 9651 list with a member per attempt.
func appendRoute(b []byte, hops []hop) []byte {
	for i := range hops {
		h := &hops[i]
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendItem(b, h.provider)
		b = append(b, ";attempt="...)
		b = strconv.AppendInt(b, int64(i+1), 10)
		b = append(b, ";outcome="...)
		b = append(b, h.outcome.String()...)
		if h.err != "" {
			b = append(b, ";error="...)
			b = appendItem(b, h.err)
		}
		b = append(b, ";ms="...)
		b = strconv.AppendInt(b, h.elapsed.Milliseconds(), 10)
	}
	return b
}

// appendDecision writes Segue-Decision. why is printable ASCII without quotes and backslashes, as route makes it.
func appendDecision(b []byte, provider, region string, revision uint64, why string) []byte {
	b = appendItem(b, provider)
	b = append(b, ";region="...)
	b = appendItem(b, region)
	b = append(b, ";policy="...)
	b = strconv.AppendUint(b, revision, 10)
	b = append(b, `;why="`...)
	b = append(b, why...)
	return append(b, '"')
}

// appendItem writes a name as a token where it can be one (a token begins with a letter), else as a string.
func appendItem(b []byte, name string) []byte {
	if name != "" && (name[0] >= 'a' && name[0] <= 'z' || name[0] >= 'A' && name[0] <= 'Z') && isToken(name) {
		return append(b, name...)
	}
	b = append(b, '"')
	for i := range len(name) {
		if c := name[i]; c >= ' ' && c <= '~' && c != '"' && c != '\\' {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// timing is what Server-Timing tells.
type timing struct {
	own   time.Duration // Segue's own part, without the claim
	claim time.Duration // 0: there was none
}

// appendTiming writes Server-Timing, in milliseconds with a fraction.
func appendTiming(b []byte, t timing, hops []hop) []byte {
	b = appendDuration(append(b, "segue"...), t.own)
	if t.claim > 0 {
		b = appendDuration(append(b, ", claim"...), t.claim)
	}
	for i := range hops {
		b = append(b, ", "...)
		b = append(b, hops[i].provider...) // letters, digits, - and _: a token
		b = appendDuration(b, hops[i].elapsed)
	}
	return b
}

func appendDuration(b []byte, d time.Duration) []byte {
	b = append(b, ";dur="...)
	return strconv.AppendFloat(b, float64(max(0, d).Microseconds())/1000, 'f', -1, 64)
}
