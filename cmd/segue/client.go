package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/user"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// call is one request to the API.
type call struct {
	method, path string
	body         []byte
	kind         string // content type of body
	match        string // If-Match: the revision that the change starts from; * is whichever is in force
	origin       string // Segue-Origin: where a document comes from; empty is a file
	reason       string
	page         bool // one of the pages, which are JSON too, not a path of the API
}

// address is where the call goes.
func (c call) address(api string) string {
	if api = strings.TrimRight(api, "/"); c.page {
		return api + c.path
	}
	return api + "/api/v1" + c.path
}

// request makes one call and decodes a JSON answer into out (nil: none wanted). Changes carry who, why and a request id.
func (s *settings) request(ctx context.Context, c call, out any) error {
	body, err := s.fetch(ctx, c, "application/json")
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of %s %s does not parse: %w", c.method, c.path, err)
	}
	return nil
}

func (s *settings) fetch(ctx context.Context, c call, accept string) ([]byte, error) {
	if err := s.checkAPI(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.limit())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, c.method, c.address(s.api), bytes.NewReader(c.body))
	if err != nil {
		return nil, usageError{fmt.Errorf("--api: %w", err)}
	}
	r.Header.Set("Accept", accept)
	if c.method != http.MethodGet {
		setChange(r.Header, c)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, unanswered(c, s.api, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, unanswered(c, s.api, err)
	}
	if answer.StatusCode >= 300 {
		return nil, problem(answer.Status, body)
	}
	return body, nil
}

// unanswered is why there is no answer. A change that was sent may have been made.
func unanswered(c call, api string, err error) error {
	var op *net.OpError
	if dialed := !errors.As(err, &op) || op.Op != "dial"; dialed && c.method != http.MethodGet {
		return &state.Error{Code: state.Unknown, Message: fmt.Sprintf("%s did not answer: it is not known whether the change was made; look, then try again: %v", api, err)}
	}
	return &state.Error{Code: state.NoLeader, Message: fmt.Sprintf("nobody answers at %s; is `segue dev` or a control node running? (--api or $SEGUE_API says where): %v", api, err)}
}

func setChange(h http.Header, c call) {
	if c.kind != "" {
		h.Set("Content-Type", c.kind)
	}
	if c.match != "" {
		h.Set("If-Match", `"`+c.match+`"`)
	}
	h.Set("Idempotency-Key", rand.Text())
	h.Set("Segue-Actor", whoami())
	h.Set("Segue-Reason", c.reason)
	if c.origin != "" {
		h.Set("Segue-Origin", c.origin)
	}
}

// whoami is the name that the audit shows until there is sign-in: the one the machine knows.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "local operator"
}

// problem turns a problem document into the border's error type.
func problem(status string, body []byte) error {
	var p struct {
		Title, Detail, Code string
		Problems            policy.Problems
		Conflict            *state.Conflict
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" && p.Detail == "" {
		return fmt.Errorf("the API answered %s: %.200s", status, body)
	}
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return &state.Error{Code: state.Code(p.Code), Message: text, Problems: p.Problems, Base: p.Conflict}
}

// explain adds what a refusal carries beside its sentence: every problem, or both sides of a conflict.
func explain(err error) error {
	var refused *state.Error
	if !errors.As(err, &refused) {
		return err
	}
	var more []string
	for _, p := range refused.Problems {
		more = append(more, "  "+p.String())
	}
	if c := refused.Base; c != nil {
		more = append(more, bothSides(c)...)
	}
	if len(more) == 0 {
		return err
	}
	told := *refused
	told.Message += "\n" + strings.Join(more, "\n")
	return &told
}

// bothSides shows a conflict: each field that both changed and who changed it there, or else all that either side changed.
func bothSides(c *state.Conflict) []string {
	var more []string
	base, since := fmt.Sprintf("the base (revision %d)", c.Base), fmt.Sprintf("since revision %d (theirs, now %d)", c.Base, c.Current)
	if c.Base == c.Current { // the base is the file that led to it, not what was merged into that
		base, since = "the file last applied", fmt.Sprintf("others changed (theirs, in revision %d)", c.Current)
	}
	for _, f := range c.Fields {
		more = append(more, fmt.Sprintf("  %s: yours %s, theirs %s, %s %s", f.Path, orNone(f.Yours), orNone(f.Theirs), base, orNone(f.Base)))
		more = append(more, "    theirs is "+ownerText(f.Owner))
	}
	more = append(more, "  "+since+":")
	for _, t := range c.Theirs {
		more = append(more, "    "+t)
	}
	more = append(more, "  asked for (yours):")
	for _, y := range c.Yours {
		more = append(more, "    "+y)
	}
	return more
}

func ownerText(o state.Owner) string {
	if o.Revision == 0 {
		return "of a revision that is too long ago to tell"
	}
	from := ""
	if o.Origin != "" {
		from = " (" + string(o.Origin) + ")"
	}
	return fmt.Sprintf("by %s in revision %d%s, %s: %q", o.Actor, o.Revision, from, o.At.UTC().Format(time.RFC3339), o.Reason)
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}
