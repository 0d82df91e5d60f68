package dataplane

import (
	"strconv"
	"strings"

	"segue/controlplane/query"
	"segue/dataplane/ledger"
)

// shownKey is how much of a provider's key is shown: enough to find it in the provider's own log, not enough to use it.
const shownKey = 10

// shown is a row for people.
func shown(t *ledger.Transaction) query.Transaction {
	q := query.Transaction{
		ID: t.ID, App: t.Key.App, Service: t.Key.Service, Operation: t.Operation, Key: t.Key.Key, Session: t.Session, Region: t.Region,
		State: t.State.String(), Created: t.Created, Updated: t.Updated, Run: t.Run,
		Value: t.Value, Attempts: make([]query.Attempt, 0, len(t.Attempts)),
	}
	if t.Answer != nil {
		q.Status, q.Object = t.Answer.Status, t.Answer.ObjectID
	}
	for i := range t.Attempts {
		a := &t.Attempts[i]
		key := a.ProviderKey
		if len(key) > shownKey {
			key = key[:shownKey] + "…"
		}
		q.Attempts = append(q.Attempts, query.Attempt{
			ID: a.ID, Provider: a.Provider, Outcome: a.Outcome.String(), Error: a.Error, Endpoint: a.Endpoint, ProviderKey: key,
			Sends: a.Sends, Status: a.Status, At: a.IntentAt, Elapsed: a.Elapsed,
		})
	}
	return q
}

// sentence tells a transaction in one: "Charged once, at backup, after main refused the connection."
func sentence(t *ledger.Transaction) string {
	if len(t.Attempts) == 0 {
		return "Nothing was sent."
	}
	last, before := t.Current(), befores(t.Attempts[:len(t.Attempts)-1])
	again := ""
	if last.Sends > 1 {
		again = ", sent " + strconv.Itoa(last.Sends) + " times under one key"
	}
	switch t.State {
	case ledger.DoneSucceeded:
		return done(t.Operation) + " once, at " + last.Provider + again + after(before) + "."
	case ledger.DoneDeclined:
		return "Declined by " + last.Provider + again + after(before) + "."
	case ledger.Refused:
		return "Not executed: " + strings.Join(append(before, what(last)), ", then ") + "."
	case ledger.Held:
		return "Nobody knows whether it was executed: " + what(last) + again + after(before) + ". It is not sent again on a guess."
	case ledger.Cancelling:
		return "Being cancelled at " + last.Provider + again + after(before) + ": whether it was executed is not known yet."
	case ledger.Intent:
		return "Under way at " + last.Provider + again + after(before) + ": it may have been sent."
	default:
		return "In a state that this version does not know."
	}
}

// done is what an operation that succeeded did.
func done(operation string) string {
	switch operation {
	case "charge", "intent-confirm":
		return "Charged"
	case "refund":
		return "Refunded"
	case "charge-capture", "intent-capture":
		return "Captured"
	default:
		return "Executed"
	}
}

func befores(attempts []ledger.Attempt) []string {
	out := make([]string, 0, len(attempts)+1)
	for i := range attempts {
		out = append(out, what(&attempts[i]))
	}
	return out
}

func after(before []string) string {
	if len(before) == 0 {
		return ""
	}
	return ", after " + strings.Join(before, " and ")
}

// what tells how one attempt ended.
func what(a *ledger.Attempt) string {
	switch {
	case a.Error == "connection_refused":
		return a.Provider + " refused the connection"
	case a.Error == "proxy_internal_error":
		return "the agent ended before " + a.Provider + "'s answer came"
	case a.Error == "http_response_timeout":
		return a.Provider + " did not answer in time"
	case a.Error == "stale_send":
		return "the sender was paused, so that nothing left for " + a.Provider
	case a.Error != "":
		return a.Provider + " gave no whole answer (" + a.Error + ")"
	case a.Status == 429:
		return a.Provider + " was at its limit (429)"
	case a.Status != 0:
		return a.Provider + " answered " + strconv.Itoa(a.Status)
	default:
		return a.Provider + " has not answered yet"
	}
}
