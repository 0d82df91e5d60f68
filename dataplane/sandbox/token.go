package sandbox

import (
	"net/http"
	"time"
)

// The operations on session tokens. They are no part of Stripe's API: providers that issue tokens to conversations do so each in their own
// way, and this is a plain one, after OAuth 2.0 with rotation (RFC 6749, RFC 9700).
const (
	OpTokenIssue   = "session_tokens.create"
	OpTokenRefresh = "session_tokens.refresh"
)

// TokenRules say what a provider lets conversations in by.
type TokenRules struct {
	Life   time.Duration // of an access token; 0: the provider issues none
	Demand bool          // every other call must show a token that lives
}

// tokenHeader is where calls show their token.
const tokenHeader = "X-Session-Token"

// grants are the conversations that were let in.
type grants struct {
	rules   TokenRules
	access  map[string]*grant
	refresh map[string]*grant
	reused  int
}

// grant is what one answer gave: both tokens, of one conversation. A refresh token is good for one use.
type grant struct {
	id, conversation string
	ends             time.Time
	used             bool
	over             *bool // the whole family is: somebody showed a used refresh token
}

func newGrants(rules TokenRules) *grants {
	return &grants{rules: rules, access: map[string]*grant{}, refresh: map[string]*grant{}}
}

// granting are the endpoints that a provider with tokens has beside the usual ones.
func granting() []*route {
	return []*route{
		effect("/v1/session_tokens", OpTokenIssue, issueToken),
		effect("/v1/session_tokens/refresh", OpTokenRefresh, refreshToken),
		read("/v1/session_tokens/current", "session_tokens.current", currentToken),
	}
}

// demanded tells why a call is not let in; nil: it is.
func (b *bank) demanded(c *call, r *http.Request) *apiError {
	if b.grants == nil || !b.grants.rules.Demand || c.operation == OpTokenIssue || c.operation == OpTokenRefresh {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.grants.access[r.Header.Get(tokenHeader)]
	switch {
	case g == nil:
		return &apiError{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "token_missing", Message: "The call shows no token of a conversation."}
	case *g.over || !b.now().Before(g.ends):
		return &apiError{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "token_expired", Message: "The conversation's token has ended."}
	}
	return nil
}

// currentToken says whose token the call carries.
func currentToken(b *bank, c *call) (any, *apiError) {
	g := b.grants.access[c.token]
	if g == nil || *g.over || !b.now().Before(g.ends) {
		return nil, &apiError{Status: http.StatusUnauthorized, Type: "invalid_request_error", Code: "token_expired", Message: "The call shows no token that lives."}
	}
	return map[string]any{"object": "session", "conversation": g.conversation}, nil
}

func issueToken(b *bank, c *call) (any, *apiError) {
	conversation := c.form.Get("conversation")
	if conversation == "" {
		return nil, missing("conversation")
	}
	return b.give(c, conversation, new(bool)), nil
}

// refreshToken takes a refresh token once. Shown again it ends all that came of it: one of the two who have it stole it.
func refreshToken(b *bank, c *call) (any, *apiError) {
	g := b.grants.refresh[c.form.Get("refresh_token")]
	if g == nil || *g.over || g.used {
		if g != nil && g.used {
			b.grants.reused++
			*g.over = true
			b.record(c, g.id, 0, "", map[string]string{"conversation": g.conversation}, StatusDeclined)
		}
		return nil, invalid("refresh_token", "invalid_grant", "The refresh token is not known, or was used before.")
	}
	g.used = true
	return b.give(c, g.conversation, g.over), nil
}

func (b *bank) give(c *call, conversation string, over *bool) map[string]any {
	g := &grant{id: b.ids.make("sgr"), conversation: conversation, ends: b.now().Add(b.grants.rules.Life), over: over}
	access, refresh := b.ids.make("sat"), b.ids.make("srt")
	b.grants.access[access], b.grants.refresh[refresh] = g, g
	b.record(c, g.id, 0, "", map[string]string{"conversation": conversation}, "succeeded")
	return map[string]any{
		"id": g.id, "object": "session_token", "access_token": access, "refresh_token": refresh, "token_type": "session",
		"expires_in": int(b.grants.rules.Life / time.Second),
	}
}

// TokensReused counts refresh tokens that were shown a second time.
func (p *Provider) TokensReused() int {
	p.bank.mu.Lock()
	defer p.bank.mu.Unlock()
	if p.bank.grants == nil {
		return 0
	}
	return p.bank.grants.reused
}
