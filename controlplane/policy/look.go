package policy

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// minutesOfDay is a day in minutes.
const minutesOfDay = 24 * 60

// MinuteOf is the minute of the week, UTC, from Sunday 00:00 on.
func MinuteOf(now time.Time) int16 {
	t := now.UTC()
	return int16(int(t.Weekday())*minutesOfDay + t.Hour()*60 + t.Minute())
}

// Look fills what rules, costs and budgets want to know of a call: its operation and worth, what is paid by the piece, the operands. header
// returns the first line of a name, also of those that speak to Segue. A value that the call itself says (Facts.Value) stays.
func (s *Service) Look(f *Facts, o *Operation, path, contentType string, body []byte, header func(name string) string) {
	f.Op = int16(o.Index)
	if f.Value == 0 && s.Exchange != nil {
		if v, said := o.Worth(path, contentType, body, header); said {
			s.Worth(f, v)
		}
	}
	if s.Pays() {
		f.Use = Measure(contentType, body)
	}
	for i := range s.Reads {
		f.Operands[i] = s.operand(&s.Reads[i], o, path, contentType, body, header)
	}
}

// Worth puts a call's value into its facts, in the base currency. Without a rate for its currency the amount stays unknown.
func (s *Service) Worth(f *Facts, v Value) {
	f.Currency = CurrencyOf(v.Currency)
	if m, ok := s.Exchange.Money(v); ok {
		f.Value = m
	}
}

// Pays tells whether a candidate is paid by the piece: then what a call costs stands in its body.
func (s *Service) Pays() bool {
	for _, c := range s.Candidates {
		if c.Cost.pieces() {
			return true
		}
	}
	return false
}

// pieces tells whether some tariff of a fee is by the token or the segment.
func (f *Fee) pieces() bool {
	by := func(t *Tariff) bool { return t.In != 0 || t.Out != 0 || t.Segment != 0 }
	return by(&f.Tariff) || slices.ContainsFunc(f.Steps, func(s Step) bool { return by(&s.Tariff) }) ||
		slices.ContainsFunc(f.Of, func(p Priced) bool { return by(&p.Tariff) })
}

// Price is what a call is expected to cost at candidate i.
func (s *Service) Price(i int, f *Facts) Money {
	if s.Free(f) {
		return 0
	}
	return s.Candidates[i].Cost.Expected(f.Value, f.Currency, f.Use)
}

// Free tells whether the call costs nothing anywhere: a GET or HEAD looks at what is there.
func (s *Service) Free(f *Facts) bool {
	op := int(f.Op)
	if op < 0 || op >= len(s.Operations) {
		return false
	}
	m := s.Operations[op].Match
	return strings.HasPrefix(m, "GET ") || strings.HasPrefix(m, "HEAD ")
}

// What is taken for a text of unknown use.
const (
	bytesPerToken = 4
	answerTokens  = 512 // where a request does not say how long the answer may be
	maxUse        = 1 << 30
)

// Measure estimates what a call uses: tokens in by the length of its body, tokens out by what it allows, segments by its text.
func Measure(contentType string, body []byte) Use {
	u := Use{In: int32(min(len(body)/bytesPerToken+1, maxUse)), Out: answerTokens, Segments: 1}
	for _, name := range [...]string{"max_tokens", "max_completion_tokens", "max_output_tokens"} {
		if text, ok := BodyField(contentType, body, name); ok {
			if n, ok := wholeOf(text); ok {
				u.Out = n
			}
			break
		}
	}
	for _, name := range [...]string{"Body", "text", "body"} {
		if text, ok := BodyField(contentType, body, name); ok {
			u.Segments = segments(text)
			break
		}
	}
	return u
}

// wholeOf reads a number of at most nine digits.
func wholeOf(text string) (int32, bool) {
	if text == "" || len(text) > 9 {
		return 0, false
	}
	n := int32(0)
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int32(text[i]-'0')
	}
	return n, true
}

// The alphabet of short messages (GSM 03.38), and what takes two places in it.
const (
	gsmPlain = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmTwo   = "^{}\\[~]|€\f"
)

// segments counts the messages that a text is sent as: 160 places of the GSM alphabet, or 153 each where there are several; with any other
// character 70 of UTF-16, or 67 each.
func segments(text string) int32 {
	places, units, gsm := 0, 0, true
	for _, c := range text {
		if units++; c > 0xFFFF {
			units++
		}
		switch {
		case strings.ContainsRune(gsmPlain, c):
			places++
		case strings.ContainsRune(gsmTwo, c):
			places += 2
		default:
			gsm = false
		}
	}
	if !utf8.ValidString(text) {
		gsm = false
	}
	if gsm {
		return pieces(places, 160, 153)
	}
	return pieces(units, 70, 67)
}

func pieces(n, one, each int) int32 {
	if n <= one {
		return 1
	}
	return int32((n + each - 1) / each)
}
