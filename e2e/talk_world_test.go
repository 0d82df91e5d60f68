package e2e

import (
	"fmt"
	"strings"

	"segue/dataplane/sandbox"
)

// The providers of messages and of the chat, in the order of the policy.
var (
	texters  = []string{"twilio-a", "twilio-b", "twilio-c"}
	chatters = []string{"openai-a", "openai-b", "openai-c"}
)

// talking is the smallest world with services sms and chat. A breaker would keep calls from the faults that each must meet.
func talking() plan {
	p := alone()
	p.talk, p.breaker = true, "{failures: 1000, successes: 1, reset: 1s}"
	return p
}

// account is the SID of a provider of messages, and token its password.
func account(provider string) string { return "AC" + strings.ReplaceAll(provider, "-", "") }

const appAccount = "ACapplication"

func (w *world) talkers() []sandbox.ProviderConfig {
	var list []sandbox.ProviderConfig
	for _, name := range texters {
		secret := account(name) + ":token-of-" + name
		w.file("credential-"+name, secret+"\n")
		list = append(list, sandbox.ProviderConfig{Name: name, API: sandbox.Messages, Credential: secret, Latency: w.plan.latency})
	}
	for _, name := range chatters {
		list = append(list, sandbox.ProviderConfig{Name: name, API: sandbox.Chat, Credential: credential, Latency: w.plan.latency})
	}
	return list
}

func (w *world) talkServices() string {
	return fmt.Sprintf(`  sms:
    speaks: twilio/2010
    listen: %d
    strategy: priority
    priority: [%s]
    attempts: %s
    breaker: %s
  chat:
    speaks: openai/v1
    listen: %d
    operations:
      complete: {match: POST /v1/chat/completions, semantics: read}
      models: {match: GET /v1/models/**}
    strategy: priority
    priority: [%s]
    attempts: %s
    breaker: %s
`, w.ports.service+4, strings.Join(texters, ", "), w.plan.tries, w.plan.breaker,
		w.ports.service+8, strings.Join(chatters, ", "), w.plan.tries, w.plan.breaker)
}

func (w *world) talkProviders() string {
	var b strings.Builder
	for _, name := range texters {
		fmt.Fprintf(&b, "  %s: {contract: twilio/2010, endpoint: \"%s\", credential: \"file:%s/credential-%s\"}\n", name, w.provider(name).URL(), w.dir, name)
	}
	for _, name := range chatters {
		fmt.Fprintf(&b, "  %s: {contract: openai/v1, endpoint: \"%s\", credential: \"file:%s\"}\n", name, w.provider(name).URL(), w.secret)
	}
	return b.String()
}

// texter calls the first region's sms service, chatter its chat.
func (w *world) texter() *caller {
	return newCaller(w.t, fmt.Sprintf("http://127.0.0.1:%d", w.ports.service+4))
}

func (w *world) chatter() *caller {
	return newCaller(w.t, fmt.Sprintf("http://127.0.0.1:%d", w.ports.service+8))
}

// done sums what providers executed of an operation.
func (w *world) done(operation string, providers ...string) uint64 {
	var n uint64
	for _, name := range providers {
		n += w.provider(name).Books().Totals().Executed[operation]
	}
	return n
}

// requests sums what reached providers.
func (w *world) requests(providers ...string) uint64 {
	var n uint64
	for _, name := range providers {
		for _, times := range w.provider(name).Books().Totals().Received {
			n += times
		}
	}
	return n
}
