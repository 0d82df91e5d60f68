// Package proxy holds the request path: an Exchange goes through match, restore, decide, claim, settle, remember and answer. It also
// holds the log of decisions with all their inputs, and the problem documents for calls that do not end with a provider's own answer.
//
// It owns the exchanges that are live in this agent and the log of decisions. The edge calls Serve; the agent asks it for the log.
package proxy
