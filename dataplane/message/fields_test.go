package message_test

import (
	"strings"
	"testing"
	"time"

	"segue/dataplane/message"
)

func TestWait(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"wait=8":                             8 * time.Second,
		"respond-async, wait=8":              8 * time.Second,
		`wait="8"; x=1 , return=minimal`:     8 * time.Second,
		" WAIT = 3 , wait=9":                 3 * time.Second,
		`x="a, wait=1", wait=2`:              2 * time.Second,
		`x="\", wait=1", wait=2`:             2 * time.Second,
		"wait=99999999999999999999":          message.MaxWait,
		"wait=601":                           message.MaxWait,
		"wait=0":                             0,
		"wait=-1":                            0,
		"wait=1.5":                           0,
		"wait":                               0,
		"waiting=4":                          0,
		"":                                   0,
		`"`:                                  0,
		strings.Repeat(",", 1000):            0,
		strings.Repeat(",", 1000) + "wait=1": time.Second,
	} {
		if got, ok := message.Wait(in); got != want || ok != (want > 0) {
			t.Errorf("Wait(%.40q) = %v %t, want %v", in, got, ok, want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"60": time.Minute, "0.5": 500 * time.Millisecond, "1e9": 0, "not given": 0, "": 0, "-3": 0, "+3": 0, ".5": 0, "5.": 5 * time.Second,
		"600": message.MaxWait, "1000000": message.MaxWait, "NaN": 0, "Inf": 0, "0x10": 0, "1.2.3": 0, "0": 0,
	} {
		if got, ok := message.Seconds(in); got != want || ok != (want > 0) {
			t.Errorf("Seconds(%q) = %v %t, want %v", in, got, ok, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"7": 7 * time.Second, " 7 ": 7 * time.Second, "0": 0, "-7": 0, "soon": 0, "": 0, "1200": 20 * time.Minute,
		"999999999999999999999":            message.MaxRetryAfter,
		"Sat, 21 Nov 2026 14:00:30 GMT":    30 * time.Second,
		"Saturday, 21-Nov-26 14:01:00 GMT": time.Minute,
		"Sat Nov 21 14:00:02 2026":         2 * time.Second,
		"Sat, 21 Nov 2026 13:00:00 GMT":    0,
		"Sat, 21 Nov 2036 13:00:00 GMT":    message.MaxRetryAfter,
	} {
		if got := message.RetryAfter(in, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestTrue(t *testing.T) {
	for in, want := range map[string]bool{"?1": true, " ?1 ": true, "?1;why=test": true, "?0": false, "1": false, "true": false, "": false, "?1?": false} {
		if message.True(in) != want {
			t.Errorf("True(%q) is %t", in, !want)
		}
	}
}

func TestSaneID(t *testing.T) {
	for in, want := range map[string]bool{
		"req_1": true, "A-b.c": true, "": false, "a b": false, "a\nb": false, "é": false,
		strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
	} {
		if message.SaneID(in) != want {
			t.Errorf("SaneID(%.20q) is %t", in, !want)
		}
	}
}

func TestEndToEnd(t *testing.T) {
	for _, name := range []string{"Connection", "Transfer-Encoding", "Te", "Upgrade", "Forwarded", "X-Forwarded-For", "X-Forwarded-Anything", "Segue-Route",
		"Proxy-Authorization", "Via", "Expect"} {
		if message.EndToEnd(name) {
			t.Errorf("%s passes", name)
		}
	}
	for _, name := range []string{"Authorization", "Content-Type", "Cookie", "Accept-Encoding", "Stripe-Version", "User-Agent", "Content-Length"} {
		if !message.EndToEnd(name) {
			t.Errorf("%s does not pass", name)
		}
	}
}

func TestListed(t *testing.T) {
	if !message.Listed("close, X-Trick", "X-Trick") || !message.Listed("x-trick", "X-Trick") || message.Listed("X-Trick-2", "X-Trick") || message.Listed("", "") {
		t.Fatal("the list of a Connection header is read wrongly")
	}
}

// FuzzFields: whatever comes in, the readers end, and what they say stays in its bounds.
func FuzzFields(f *testing.F) {
	for _, s := range []string{"wait=8", `a="\`, "1.5", "?1", "Sat, 21 Nov 2026 14:00:30 GMT", "close, x"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := message.Wait(s); d < 0 || d > message.MaxWait || ok != (d > 0) {
			t.Errorf("Wait: %v %t", d, ok)
		}
		if d, ok := message.Seconds(s); d < 0 || d > message.MaxWait || ok && d == 0 && !strings.Contains(s, "0") {
			t.Errorf("Seconds: %v %t", d, ok)
		}
		if d := message.RetryAfter(s, now); d < 0 || d > message.MaxRetryAfter {
			t.Errorf("RetryAfter: %v", d)
		}
		if message.SaneID(s) && strings.ContainsAny(s, " \r\n\"") {
			t.Error("SaneID takes what is not")
		}
		if message.True(s) && !strings.Contains(s, "?1") {
			t.Error("True takes what is not")
		}
		if message.EndToEnd("X-Forwarded-" + s) {
			t.Error("EndToEnd lets a forged address pass")
		}
		if message.Listed(s, s) && strings.Contains(s, ",") {
			t.Error("Listed takes a list for a name")
		}
	})
}
