package message

import (
	"strconv"
	"strings"
	"time"
)

// MaxWait caps every time that a header asks for. MaxRetryAfter caps how long a provider can keep calls away with one answer.
const (
	MaxWait       = 10 * time.Minute
	MaxRetryAfter = time.Hour
)

// maxID is the longest id that is taken over from a header.
const maxID = 128

// Wait reads the preference wait=N (RFC 7240) from a Prefer header: the caller's deadline, in whole seconds. The first one counts.
func Wait(prefer string) (time.Duration, bool) {
	for prefer != "" {
		var one string
		one, prefer = cutOutsideQuotes(prefer, ',')
		one, _ = cutOutsideQuotes(one, ';')
		name, value, _ := strings.Cut(one, "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "wait") {
			value = strings.Trim(value, " \t")
			return wholeSeconds(strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`))
		}
	}
	return 0, false
}

// RespondAsync tells whether a Prefer header has the preference respond-async (RFC 7240): a 202 is welcome.
func RespondAsync(prefer string) bool {
	for prefer != "" {
		var one string
		one, prefer = cutOutsideQuotes(prefer, ',')
		one, _ = cutOutsideQuotes(one, ';')
		if strings.EqualFold(strings.Trim(one, " \t"), "respond-async") {
			return true
		}
	}
	return false
}

// cutOutsideQuotes cuts s at the first sep that no quoted string holds.
func cutOutsideQuotes(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func wholeSeconds(s string) (time.Duration, bool) {
	if !digits(s) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > int64(MaxWait/time.Second) {
		return MaxWait, true // only too many digits fail here
	}
	return time.Duration(n) * time.Second, n > 0
}

// Amount reads a structured field (RFC 9651) that is an Integer with the parameter cur: 12900;cur=EUR.
func Amount(value string) (amount, currency string, ok bool) {
	item, rest, _ := strings.Cut(strings.Trim(value, " "), ";")
	for rest != "" {
		var one string
		one, rest = cutOutsideQuotes(rest, ';')
		if name, v, _ := strings.Cut(strings.TrimLeft(one, " "), "="); name == "cur" { // the last one counts, as the RFC has it
			currency = strings.TrimSuffix(strings.TrimPrefix(v, `"`), `"`)
		}
	}
	const longest = 15 // digits of an Integer
	return item, currency, item != "" && len(item) <= longest && digits(item) && currency != ""
}

// Seconds reads what an SDK says of its time-out: seconds, perhaps with a fraction. "not given" and the like are none.
func Seconds(s string) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if !digits(whole) || fraction != "" && !digits(fraction) {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n > MaxWait.Seconds() {
		return MaxWait, true
	}
	return time.Duration(n * float64(time.Second)), n > 0
}

// RetryAfter reads a Retry-After header: seconds or a date. It is never negative, and MaxRetryAfter at most; 0 asks for nothing.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.Trim(value, " \t")
	if d, ok := Seconds(value); ok {
		if d == MaxWait {
			d = longSeconds(value)
		}
		return min(d, MaxRetryAfter)
	}
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 MST", time.ANSIC} {
		if at, err := time.Parse(layout, value); err == nil {
			return min(max(at.Sub(now), 0), MaxRetryAfter)
		}
	}
	return 0
}

// longSeconds reads seconds that are over MaxWait.
func longSeconds(s string) time.Duration {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n > MaxRetryAfter.Seconds() {
		return MaxRetryAfter
	}
	return time.Duration(n * float64(time.Second))
}

// True tells whether a structured field (RFC 9651) is the Boolean ?1, with or without parameters.
func True(value string) bool {
	value = strings.Trim(value, " ")
	item, _, _ := strings.Cut(value, ";")
	return strings.TrimRight(item, " ") == "?1"
}

// SaneID tells whether an id that somebody else made up is fit for logs and headers.
func SaneID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
