package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/proxy"
	"segue/dataplane/session"
	"segue/dataplane/settle"
	"segue/dataplane/transfer"
)

// fieldsPath is where applications read and write the fields of their sessions: ID/fields/NAME.
const fieldsPath = "/.segue/v1/sessions/"

// field answers a read or a write of a session's field.
func (a *Agent) field(ctx context.Context, service, path string, r *message.Request) *message.Answer {
	n, problem := a.fieldOf(service, path, r.RawQuery)
	if problem == nil {
		var answer *message.Answer
		if answer, problem = a.fieldDone(ctx, n, r); problem == nil {
			return answer
		}
	}
	problem.Service, problem.Region = service, a.cfg.Region
	return problem.Answer(a.dialect(service))
}

// newCarrier makes the room that reads, writes and carries fields.
func (a *Agent) newCarrier(vault *settle.Vault) (*transfer.Carrier, error) {
	key, err := secret(filepath.Join(a.cfg.KeysDir, "sessions")) // agents of all regions need the same one to read each other's
	if err != nil {
		return nil, err
	}
	return transfer.New(transfer.Config{
		Run: a.run, Sessions: a.store.Sessions(), Ledger: a.store.Ledger(), Board: a.parts.board, Driver: a.parts.driver,
		Vault: vault, Secret: key, Log: a.cfg.Log, Now: a.cfg.Now,
		Metrics: a.cfg.Metrics,
	})
}

// fieldOf finds out which field is meant. Applications see their own sessions alone.
func (a *Agent) fieldOf(service, path, query string) (n transfer.Name, problem *proxy.Problem) {
	id, name, ok := strings.Cut(path, "/fields/")
	snap := a.force.snapshot.Load()
	if !ok || snap == nil {
		return n, &proxy.Problem{Type: proxy.UnknownField, Detail: "A field is at " + fieldsPath + "ID/fields/NAME."}
	}
	svc, ok := snap.Service(service)
	if !ok {
		return n, proxy.NoService(service)
	}
	if !message.SaneID(id) {
		return n, &proxy.Problem{Type: proxy.FieldMalformed, Detail: "The session's id is not of at most 128 letters, digits, dots, - and _."}
	}
	rule, ok := svc.Field(name)
	if !ok {
		return n, unknownField(svc, name)
	}
	values, err := url.ParseQuery(query)
	provider := values.Get("provider")
	switch {
	case err != nil || len(values) > 1 || len(values) == 1 && !values.Has("provider") || len(values["provider"]) > 1:
		return n, &proxy.Problem{Type: proxy.FieldMalformed, Detail: "The query of a field is provider=NAME or nothing.", Extra: proxy.Extra{Field: name}}
	case values.Has("provider") && rule.Map == "":
		return n, &proxy.Problem{Type: proxy.FieldMalformed, Detail: name + " is brought to no provider: no provider has a name for it.", Extra: proxy.Extra{Field: name}}
	case values.Has("provider") && !has(svc, provider):
		return n, &proxy.Problem{Type: proxy.FieldMalformed, Detail: fmt.Sprintf("%s has no provider %.80q.", service, provider), Extra: proxy.Extra{Field: name}}
	}
	return transfer.Name{Session: session.Key{App: application, ID: id}, Service: svc, Rule: rule, Provider: provider}, nil
}

func has(svc *policy.Service, provider string) bool {
	for _, c := range svc.Candidates {
		if c.Provider == provider {
			return true
		}
	}
	return false
}

func unknownField(svc *policy.Service, name string) *proxy.Problem {
	p := &proxy.Problem{Type: proxy.UnknownField, Detail: fmt.Sprintf("Sessions of %s have no field %.80q.", svc.Name, name)}
	switch nearest := svc.NearestField(name); {
	case len(svc.Session) == 0:
		p.Detail += " The policy declares none for this service."
	case nearest != "":
		p.Detail += " Did you mean " + nearest + "?"
		p.Extra.Nearest = nearest
	}
	return p
}

func (a *Agent) fieldDone(ctx context.Context, n transfer.Name, r *message.Request) (*message.Answer, *proxy.Problem) {
	if r.Method == http.MethodGet {
		shown, err := a.parts.carrier.Read(ctx, n)
		if err != nil {
			return nil, a.fieldProblem(n, err)
		}
		return &message.Answer{Status: http.StatusOK, Body: shown.Value, Header: message.Header{
			{Name: "Content-Type", Value: shown.Kind}, {Name: "ETag", Value: `"` + shown.Version + `"`}, {Name: "Cache-Control", Value: "no-store"},
			{Name: "X-Content-Type-Options", Value: "nosniff"},
		}}, nil
	}
	w, err := wish(n, r)
	if err != nil {
		return nil, &proxy.Problem{Type: proxy.FieldMalformed, Detail: err.Error(), Extra: proxy.Extra{Field: n.Rule.Name}}
	}
	version, err := a.parts.carrier.Write(ctx, n, w)
	if err != nil {
		return nil, a.fieldProblem(n, err)
	}
	return &message.Answer{Status: http.StatusNoContent, Header: message.Header{
		{Name: "ETag", Value: `"` + version + `"`}, {Name: "Cache-Control", Value: "no-store"},
	}}, nil
}

// wish reads what a write asks for.
func wish(n transfer.Name, r *message.Request) (w transfer.Write, err error) {
	w.Credentials = r.Header
	w.Remove = r.Method == http.MethodDelete
	if w.Match, err = etag(r.Header.Get("If-Match")); err != nil {
		return w, err
	}
	if v := r.Header.Get("If-None-Match"); v != "" {
		if w.MustBeNew = v == "*"; !w.MustBeNew || w.Match != "" {
			return w, errors.New("If-None-Match of a write is *, and stands alone: the field must not be there")
		}
	}
	switch {
	case w.Remove && len(r.Body) > 0:
		return w, errors.New("a DELETE has no body")
	case w.Remove:
		return w, nil
	case n.Provider == "" && n.Rule.Kind == policy.KindCounter:
		var body struct {
			Add *int64 `json:"add"`
		}
		err = strictly(r.Body, &body, `{"add": 1}, a whole number`)
		if w.Count = body.Add; err == nil && body.Add == nil {
			err = errors.New(`a counter is written by {"add": 1}, a whole number`)
		}
	case n.Provider == "" && n.Rule.Kind == policy.KindSet:
		var body struct {
			Add    []string `json:"add"`
			Remove []string `json:"remove"`
		}
		err = strictly(r.Body, &body, `{"add": ["a"], "remove": ["b"]}, texts`)
		if w.Add, w.Drop = body.Add, body.Remove; err == nil && len(body.Add)+len(body.Remove) == 0 {
			err = errors.New(`a set is written by {"add": ["a"], "remove": ["b"]}, texts`)
		}
	default:
		w.Value, w.Kind = r.Body, r.Header.Get("Content-Type")
		if w.Kind == "" {
			w.Kind = "application/octet-stream"
		}
		if !transfer.Media(w.Kind) {
			err = errors.New("Content-Type is of at most 100 printable characters")
		}
	}
	return w, err
}

func strictly(body []byte, into any, form string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || d.More() {
		return fmt.Errorf("the body must be %s", form)
	}
	return nil
}

// etag reads the one version that If-Match may name.
func etag(v string) (string, error) {
	if v == "" || v == "*" {
		return v, nil
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(v, `"`), `"`)
	if len(inner) != len(v)-2 || inner == "" || len(inner) > 64 || strings.ContainsAny(inner, `",`) {
		return "", errors.New(`If-Match names one version as ETag gave it, like "0f3a…", or *`)
	}
	return inner, nil
}

// fieldProblem tells why a field could not be read or written.
func (a *Agent) fieldProblem(n transfer.Name, err error) *proxy.Problem {
	p := &proxy.Problem{Detail: sentenceCase(err), Extra: proxy.Extra{Field: n.Rule.Name, Provider: n.Provider}}
	switch {
	case errors.Is(err, transfer.ErrAbsent):
		p.Type = proxy.UnknownField
	case errors.Is(err, transfer.ErrChanged):
		p.Type = proxy.FieldChanged
	case errors.Is(err, transfer.ErrNoMatch):
		p.Type = proxy.FieldUnmatched
	case errors.Is(err, transfer.ErrMerged), errors.Is(err, transfer.ErrKind), errors.Is(err, session.ErrOverflow):
		p.Type = proxy.FieldMalformed
	case errors.Is(err, session.ErrFloor):
		p.Type = proxy.FieldFloor
	case errors.Is(err, transfer.ErrTooLarge), errors.Is(err, session.ErrTooMany), errors.Is(err, session.ErrTooLarge):
		p.Type = proxy.FieldTooLarge
	case errors.Is(err, transfer.ErrSealed):
		p.Type = proxy.AnswerNotKept
		p.Detail = "What the field holds cannot be opened with this agent's keys."
	default:
		alive, needed := 0, 1.0
		p.Type, p.Extra.Alive, p.Extra.Needed = proxy.NoQuorum, &alive, &needed
		p.Detail = "The store of sessions did not take or show the field. A write may have been made all the same: read it before you repeat it."
		a.cfg.Log.Error("a session's field could not be read or written", "service", n.Service.Name, "field", n.Rule.Name, "error", err)
	}
	return p
}

// sentenceCase is an error as a sentence, without the names of our packages.
func sentenceCase(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "session: "), "transfer: ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
