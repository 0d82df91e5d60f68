package sdk

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// faultAt has the provider fail the next request that is an effect there, and no other.
func faultAt(t *testing.T, provider, fault string) {
	t.Helper()
	control(t, provider, http.MethodPut, "_faults", fault)
	t.Cleanup(func() { control(t, provider, http.MethodDelete, "_faults", "") })
}

// preferred waits until a service's calls go to a provider again: its circuit is closed, and it has no Retry-After to keep. So many reads
// are answered there in between that one fault in each test is no failing provider.
func preferred(t *testing.T, service, provider string, call func(url string) ending) {
	t.Helper()
	there := func(route string) bool { return strings.HasPrefix(route, provider+";attempt=1;outcome=succeeded") }
	waitFor(t, service+" to be served by "+provider, func() bool {
		f := newFront(t, here.demo(service))
		defer f.Close()
		e := call(f.URL)
		_, header, _ := f.last()
		return e.returned() && there(header.Get("Segue-Route")) && readsAt(t, service, there)
	})
}

// reads are what costs a provider nothing.
var reads = map[string]string{"sms": "/2010-04-01/Accounts/own/Messages.json?PageSize=1", "chat": "/v1/models"}

func readsAt(t *testing.T, service string, there func(route string) bool) bool {
	t.Helper()
	for range 100 {
		answer, err := http.Get(here.demo(service) + reads[service])
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("a read was answered %d, %v", answer.StatusCode, err)
		}
		if !there(answer.Header.Get("Segue-Route")) {
			return false
		}
	}
	return true
}

// asked is a question that nobody asked before.
func asked(lib library, url, call string) ask {
	a := lib.call(url, "What of "+fresh("order")+"?")
	a.Call, a.Amount = call, 1000
	return a
}

// direct is what the provider itself answers to the same question.
func direct(t *testing.T, lib library, a ask) ending {
	t.Helper()
	a.URL, a.Key, a.Call = here.provider("openai-b"), here.credential, "make"
	e := lib.make(t, a)
	if !e.returned() || e.Text == "" || e.Reason != "stop" {
		t.Fatalf("the provider itself: %+v", e)
	}
	return e
}

var moved = regexp.MustCompile(`^openai-a;attempt=1;outcome=(not_sent|unknown);[^,]*, openai-b;attempt=2;outcome=succeeded`)

// TestChatGoesOn: whatever a provider does before its first byte, the SDK gets the whole text from another, with one request of its own.
func TestChatGoesOn(t *testing.T) {
	for _, fault := range []struct{ name, body string }{
		{"429", `{"kind":"limit","operation":"effects","count":1}`},
		{"503", `{"kind":"status","code":503,"operation":"effects","count":1}`},
		{"reset", `{"kind":"reset","operation":"effects","count":1}`},
		{"closed in the header", `{"kind":"cut_headers","operation":"effects","count":1}`},
	} {
		for _, lib := range speaking("openai") {
			for _, call := range []string{"make", "stream"} {
				t.Run(fault.name+"/"+lib.name+"/"+call, func(t *testing.T) {
					preferred(t, "chat", "openai-a", func(url string) ending { return openaiGo(t, asked(lib, url, "make")) })
					faultAt(t, "openai-a", fault.body)
					f := newFront(t, here.demo("chat"))
					a := asked(lib, f.URL, call)
					e := lib.make(t, a)
					_, header, _ := f.last()
					if !e.returned() || e.Text != direct(t, lib, a).Text || e.Reason != "stop" || f.requests() != 1 {
						t.Errorf("told %+v after %d requests", e, f.requests())
					}
					if route := header.Get("Segue-Route"); !moved.MatchString(route) {
						t.Errorf("the route %q does not show the fault", route)
					}
				})
			}
		}
	}
}

// TestChatIsCut: a stream that the provider breaks off after its first byte is an error in the SDK, with our message, and never a clean end.
func TestChatIsCut(t *testing.T) {
	for _, end := range []string{"close", "reset"} {
		for _, lib := range speaking("openai") {
			t.Run(end+"/"+lib.name, func(t *testing.T) {
				preferred(t, "chat", "openai-a", func(url string) ending { return openaiGo(t, asked(lib, url, "make")) })
				faultAt(t, "openai-a", fmt.Sprintf(`{"kind":"cut_body","end":%q,"operation":"effects","count":1}`, end))
				a := asked(lib, here.demo("chat"), "stream") // nothing between: the end is the agent's own
				e := lib.make(t, a)
				whole := direct(t, lib, a).Text
				if !e.threw() || e.Text == "" || e.Text == whole || !strings.HasPrefix(whole, e.Text) {
					t.Fatalf("told %+v; the whole would be %q", e, whole)
				}
				if !strings.Contains(e.Message, "The provider's answer was cut") {
					t.Errorf("the message is not ours: %+v", e)
				}
			})
		}
	}
}

// TestChatIsCutWhole: an answer that is no stream, and ends early, is an error too, or the SDK asked again by itself and has the whole.
func TestChatIsCutWhole(t *testing.T) {
	for _, lib := range speaking("openai") {
		t.Run(lib.name, func(t *testing.T) {
			preferred(t, "chat", "openai-a", func(url string) ending { return openaiGo(t, asked(lib, url, "make")) })
			faultAt(t, "openai-a", `{"kind":"cut_body","operation":"effects","count":1}`)
			a := asked(lib, here.demo("chat"), "make")
			e := lib.make(t, a)
			t.Logf("%s %s %s", e.Outcome, e.Class, e.Message)
			if e.returned() && e.Text != direct(t, lib, a).Text {
				t.Errorf("told %+v", e)
			}
		})
	}
}

// sent counts a message over the books of all providers.
func sent(t *testing.T, a ask) (n int) {
	t.Helper()
	for _, provider := range []string{"twilio-a", "twilio-b", "twilio-c"} {
		var books struct{ Matching int }
		get(t, "/providers/"+provider+"/_books?order="+url.QueryEscape(a.To+" "+a.Text), &books)
		n += books.Matching
	}
	return n
}

// TestMessageOnce: a provider sends the message and loses its reply. The SDK is told that nobody knows, also when it is asked again; there
// is one message over all providers.
func TestMessageOnce(t *testing.T) {
	for _, lib := range speaking("twilio") {
		t.Run(lib.name, func(t *testing.T) {
			preferred(t, "sms", "twilio-a", func(url string) ending { return lib.make(t, lib.call(url, fresh("before"))) })
			faultAt(t, "twilio-a", `{"kind":"lose","operation":"effects","count":1}`)
			f := newFront(t, here.demo("sms"))
			a := lib.call(f.URL, "Your order "+fresh("lost")+" is on its way.")
			for try := range 2 {
				e := lib.make(t, a)
				if !e.threw() || e.Status != http.StatusGatewayTimeout || e.Code != "20504" || !strings.Contains(e.Message, "It is not known whether the call was executed") {
					t.Errorf("try %d: told %+v", try, e)
				}
			}
			if n := sent(t, a); n != 1 || f.requests() != 2 {
				t.Errorf("%d messages, %d requests for two calls", n, f.requests())
			}
		})
	}
}

// TestMessageGoesOn: a provider that certainly did not send the message is replaced by another, once.
func TestMessageGoesOn(t *testing.T) {
	for _, lib := range speaking("twilio") {
		t.Run(lib.name, func(t *testing.T) {
			preferred(t, "sms", "twilio-a", func(url string) ending { return lib.make(t, lib.call(url, fresh("before"))) })
			faultAt(t, "twilio-a", `{"kind":"limit","operation":"effects","count":1}`)
			f := newFront(t, here.demo("sms"))
			a := lib.call(f.URL, "Your order "+fresh("limited")+" is on its way.")
			e, again := lib.make(t, a), lib.make(t, a)
			if n := sent(t, a); !e.returned() || e.ID == "" || again.ID != e.ID || n != 1 || f.requests() != 2 {
				t.Errorf("told %+v, then %+v; %d messages, %d requests", e, again, n, f.requests())
			}
		})
	}
}
