package provider

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"segue/controlplane/health"
	"segue/dataplane/ledger"
)

// TestAnswersThatSayTheirEnd: a body that ends with its connection is whole where its own words say so, and a cut in every other place: each
// of its beginnings is unknown.
func TestAnswersThatSayTheirEnd(t *testing.T) {
	const chunk = `data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"sum 1"}}]}` + "\n\n"
	stop := strings.Join(claudeStream("Hello"), "")
	for name, x := range map[string]struct {
		head, body string
		read       bool
		outcome    ledger.Outcome
	}{
		"JSON":                   {"200 OK\r\nContent-Type: application/json", `{"id":"ch_1","amount":100}` + "\n", false, ledger.Succeeded},
		"JSON, a read":           {"200 OK\r\nContent-Type: application/json; charset=utf-8", `[{"id":"ch_1"}]`, true, ledger.Succeeded},
		"JSON, declined":         {"402 No\r\nContent-Type: application/json", `{"error":{"code":"card_declined"}}`, false, ledger.Declined},
		"JSON, long":             {"200 OK\r\nContent-Type: application/json", `{"a":"` + strings.Repeat("x", 100<<10) + `"}`, false, ledger.Succeeded},
		"a stream":               {"200 OK\r\nContent-Type: text/event-stream", chunk + chunk + "data: [DONE]\n\n", true, ledger.Succeeded},
		"a stream, CRLF":         {"200 OK\r\nContent-Type: text/event-stream", strings.ReplaceAll(chunk+"data: [DONE]\n\n", "\n", "\r\n"), true, ledger.Succeeded},
		"a stream of messages":   {"200 OK\r\nContent-Type: text/event-stream", stop, true, ledger.Succeeded},
		"JSON, cut":              {"200 OK\r\nContent-Type: application/json", `{"id":"ch_1","amount":100`, false, ledger.Unknown},
		"a number":               {"200 OK\r\nContent-Type: application/json", `12`, false, ledger.Unknown},
		"nothing":                {"200 OK\r\nContent-Type: application/json", "", false, ledger.Unknown},
		"declined, cut":          {"402 No\r\nContent-Type: application/json", `{"error":{"code":"card_declined"}`, false, ledger.Unknown},
		"not JSON":               {"200 OK\r\nContent-Type: text/plain", `{}`, false, ledger.Unknown},
		"JSON, too long to keep": {"200 OK\r\nContent-Type: application/json", `{"a":"` + strings.Repeat("x", maxWhole) + `"}`, false, ledger.Unknown},
		"a stream, cut":          {"200 OK\r\nContent-Type: text/event-stream", chunk + chunk, true, ledger.Unknown},
		"a stream, cut in a word": {"200 OK\r\nContent-Type: text/event-stream", chunk +
			`data: {"choices":[{"delta":{"content":"data: [DONE]`, true, ledger.Unknown},
		"messages, cut":       {"200 OK\r\nContent-Type: text/event-stream", strings.TrimSuffix(strings.TrimSpace(stop), "}"), true, ledger.Unknown},
		"JSON, in gzip or so": {"200 OK\r\nContent-Encoding: br\r\nContent-Type: application/json", `{}`, false, ledger.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRaw(t, func(c *net.TCPConn, _ *http.Request, _ []byte, _ int64) bool {
				say(c, "HTTP/1.0 "+x.head+"\r\n\r\n"+x.body)
				return false
			})
			w := newWorld(t, nil)
			call, to := post(s.url, "amount=100"), &taker{}
			if x.read {
				call = get(s.url)
			}
			r := w.Send(t.Context(), call, to)
			if r.Outcome != x.outcome {
				t.Fatalf("%+v", r)
			}
			if done := x.outcome != ledger.Unknown; done && (!to.clean() || to.body.String() != x.body || r.Sample.Class != health.OK) || !done && to.clean() {
				t.Fatalf("ends %v, %d bytes, %+v", to.ends, to.body.Len(), r)
			}
			w.Close()
		})
	}
}
