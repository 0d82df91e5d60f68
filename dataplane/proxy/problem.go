package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// Type is the kind of a problem: the last part of its type URI.
type Type string

// The problems that can occur.
const (
	OutcomeUnknown     Type = "outcome-unknown"
	InProgress         Type = "in-progress"
	NoQuorum           Type = "no-quorum"
	NoEligibleProvider Type = "no-eligible-provider"
	Overloaded         Type = "overloaded"
	BudgetExhausted    Type = "budget-exhausted"
	DeadlineTooShort   Type = "deadline-too-short"
	KeyReused          Type = "key-reused"
	KeyMissing         Type = "key-missing"
	KeyMalformed       Type = "key-malformed"
	UnknownOperation   Type = "unknown-operation"
	UnknownService     Type = "unknown-service"
	HeaderMalformed    Type = "header-malformed"
	BodyTooLarge       Type = "body-too-large"
	AnswerNotKept      Type = "answer-not-kept"
	SessionCannotMove  Type = "session-cannot-move"
	UnknownField       Type = "unknown-field"
	FieldMalformed     Type = "field-malformed"
	FieldTooLarge      Type = "field-too-large"
	FieldChanged       Type = "field-changed"
	FieldFloor         Type = "field-floor"
	FieldUnmatched     Type = "field-unmatched"
)

// kind is what every problem of a type says.
type kind struct {
	title    string
	status   int
	executed string // yes | no | unknown
	retry    string // same-key | new-key | never
	again    bool   // the SDK's own retry may help: both should-retry headers say so
	stripe   string // error.type in Stripe's dialect
}

// says returns what a type says. An unknown type is an unknown outcome: nobody may take it for "not executed".
func (t Type) says() kind {
	switch t {
	case OutcomeUnknown:
		return kind{"Outcome unknown", http.StatusGatewayTimeout, "unknown", "same-key", false, "api_error"}
	case InProgress:
		return kind{"In progress", http.StatusConflict, "unknown", "same-key", true, "idempotency_error"}
	case NoQuorum:
		return kind{"The ledger cannot be written", http.StatusServiceUnavailable, "no", "same-key", false, "api_error"}
	case NoEligibleProvider:
		return kind{"No eligible provider", http.StatusServiceUnavailable, "no", "same-key", false, "api_error"}
	case Overloaded:
		return kind{"Overloaded", http.StatusServiceUnavailable, "no", "same-key", false, "api_error"}
	case BudgetExhausted:
		return kind{"Budget exhausted", http.StatusTooManyRequests, "no", "same-key", false, "api_error"}
	case DeadlineTooShort:
		return kind{"Deadline too short", http.StatusGatewayTimeout, "no", "same-key", false, "api_error"}
	case KeyReused:
		return kind{"Key reused", http.StatusUnprocessableEntity, "no", "new-key", false, "idempotency_error"}
	case KeyMissing:
		return kind{"Key missing", http.StatusBadRequest, "no", "new-key", false, "invalid_request_error"}
	case KeyMalformed:
		return kind{"Key malformed", http.StatusBadRequest, "no", "new-key", false, "invalid_request_error"}
	case UnknownOperation:
		return kind{"Unknown operation", http.StatusNotFound, "no", "never", false, "invalid_request_error"}
	case UnknownService:
		return kind{"Unknown service", http.StatusNotFound, "no", "never", false, "invalid_request_error"}
	case HeaderMalformed:
		return kind{"Header malformed", http.StatusBadRequest, "no", "never", false, "invalid_request_error"}
	case BodyTooLarge:
		return kind{"Body too large", http.StatusRequestEntityTooLarge, "no", "never", false, "invalid_request_error"}
	case AnswerNotKept:
		return kind{"Done; the answer was not kept", http.StatusConflict, "yes", "never", false, "idempotency_error"}
	case SessionCannotMove:
		return kind{"The session cannot move", http.StatusConflict, "no", "never", false, "api_error"}
	case UnknownField:
		return kind{"Unknown field", http.StatusNotFound, "no", "never", false, "invalid_request_error"}
	case FieldMalformed:
		return kind{"Field malformed", http.StatusBadRequest, "no", "never", false, "invalid_request_error"}
	case FieldTooLarge:
		return kind{"Field too large", http.StatusRequestEntityTooLarge, "no", "never", false, "invalid_request_error"}
	case FieldChanged:
		return kind{"Field changed", http.StatusPreconditionFailed, "no", "never", false, "invalid_request_error"}
	case FieldFloor:
		return kind{"Below the floor", http.StatusConflict, "no", "never", false, "invalid_request_error"}
	case FieldUnmatched:
		return kind{"Version missing", http.StatusPreconditionRequired, "no", "never", false, "invalid_request_error"}
	default:
		return kind{"Outcome unknown", http.StatusGatewayTimeout, "unknown", "same-key", false, "api_error"}
	}
}

// Problem is how a call ends when it is not the provider's own answer. It is an error, so that a step can return it.
type Problem struct {
	Type        Type
	Detail      string
	Transaction string
	Service     string
	Region      string
	RetryAfter  time.Duration // 0: not told
	Accepted    bool          // outcome-unknown: the caller asked not to wait, and the unknown outcome is on record: 202
	Open        bool          // an earlier call under the key may have been executed: then no type says "no"
	Declined    bool          // answer-not-kept: the outcome is that it was declined, and so not executed
	Extra       Extra
}

// Extra are the members that only some types have.
type Extra struct {
	NextCheck  *time.Time      `json:"next_check,omitempty"`
	Attempts   []TriedProvider `json:"attempts,omitempty"`
	Candidates []GatedProvider `json:"candidates,omitempty"`
	Alive      *int            `json:"alive,omitempty"`
	Needed     *float64        `json:"needed,omitempty"` // members (no-quorum) or seconds (deadline-too-short)
	Limit      string          `json:"limit,omitempty"`
	FirstSeen  *time.Time      `json:"first_seen,omitempty"`
	Example    string          `json:"example,omitempty"`
	Nearest    string          `json:"nearest,omitempty"`
	Field      string          `json:"field,omitempty"`
	Provider   string          `json:"provider,omitempty"`
	Budget     string          `json:"budget,omitempty"` // spend | retry
	ResetsAt   *time.Time      `json:"resets_at,omitempty"`
}

// TriedProvider is one attempt in a problem.
type TriedProvider struct {
	Provider string `json:"provider"`
	Outcome  string `json:"outcome"`
	Error    string `json:"error,omitempty"`
	Status   int    `json:"status,omitempty"`
	Sends    int    `json:"sends,omitempty"`
}

// GatedProvider is one candidate in a problem, and what kept it out.
type GatedProvider struct {
	Provider string `json:"provider"`
	Gate     string `json:"gate"`
	Reason   string `json:"reason"`
}

func (p *Problem) Error() string { return string(p.Type) + ": " + p.Detail }

// Status is the HTTP status that the problem is told with.
func (p *Problem) Status() int {
	if p.Accepted {
		return http.StatusAccepted
	}
	return p.Type.says().status
}

// document is a problem as RFC 9457 writes it, with the members of ours that every problem has.
type document struct {
	Type        string `json:"type"`
	Title       string `json:"title,omitempty"`
	Status      int    `json:"status"`
	Detail      string `json:"detail"`
	Instance    string `json:"instance,omitempty"`
	Transaction string `json:"transaction,omitempty"`
	Service     string `json:"service,omitempty"`
	Region      string `json:"region,omitempty"`
	Executed    string `json:"executed"`
	Retry       string `json:"retry"`
	Extra
	Error   *sdkError `json:"error,omitempty"`
	Code    int       `json:"code"`
	Message string    `json:"message"`
}

// sdkError makes Stripe's and OpenAI's SDKs take the document for an error.
type sdkError struct {
	Type    string `json:"type"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// codeBase is added to the status for the number in a problem's code member.
const codeBase = 20000

// Answer renders the problem for a caller who speaks dialect.
func (p *Problem) Answer(dialect policy.Dialect) *message.Answer {
	k := p.Type.says()
	if p.Open {
		k.executed, k.retry = "unknown", "same-key"
	}
	if p.Declined {
		k.title, k.executed, k.retry = "Declined; the answer was not kept", "no", "new-key"
	}
	if p.Accepted {
		k.status = http.StatusAccepted
	}
	d := document{
		Type: "/problems/" + string(p.Type), Title: k.title, Status: k.status, Detail: p.Detail, Transaction: p.Transaction,
		Service: p.Service, Region: p.Region, Executed: k.executed, Retry: k.retry, Extra: p.Extra,
		Code: codeBase + k.status, Message: p.Detail,
	}
	if p.Transaction != "" {
		d.Instance = TransactionPath + p.Transaction
	}
	if dialect == policy.Stripe || dialect == policy.OpenAI {
		d.Error = &sdkError{Type: k.stripe, Code: "segue_" + underscored(string(p.Type)), Message: p.Detail}
	}
	if dialect == policy.Twilio || p.Type == UnknownService { // a title makes Twilio's SDKs raise another error than the one that is caught
		d.Title = ""
	}
	body, err := json.Marshal(&d)
	if err != nil { // every member is text, a number or a time: only a time beyond the year 9999 cannot be written
		body = []byte(`{"type":"/problems/outcome-unknown","title":"Outcome unknown","executed":"unknown","retry":"same-key"}`)
	}
	return &message.Answer{Status: k.status, Header: p.header(k), Body: body}
}

func (p *Problem) header(k kind) message.Header {
	again := strconv.FormatBool(k.again)
	h := message.Header{
		{Name: "Content-Type", Value: "application/problem+json"},
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "Stripe-Should-Retry", Value: again},
		{Name: "X-Should-Retry", Value: again},
	}
	if p.Accepted {
		h.Add("Location", TransactionPath+p.Transaction)
		h.Add("Preference-Applied", "respond-async")
	}
	if p.RetryAfter > 0 {
		h.Add("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	return h
}

func underscored(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// TransactionPath is where an agent shows a transaction to the application that it belongs to.
const TransactionPath = "/.segue/v1/transactions/"
