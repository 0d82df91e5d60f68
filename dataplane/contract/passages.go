package contract

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/message"
)

// passages checks what the contract says of sessions: what is brought there comes back, and tokens let a conversation in.
func (d *driver) passages(ctx context.Context) {
	for i := range d.contract.Session {
		p := &d.contract.Session[i]
		if p.Import.Match != "" {
			d.field(ctx, p.Map)
		} else if p.Export.Match != "" {
			d.leave("session", p.Map+" comes back", "nothing brings one there, that could come back")
		}
		if p.Tokens.Put != (policy.Field{}) {
			d.tokens(ctx, p.Map)
		}
	}
}

// field brings a value there, and fetches it.
func (d *driver) field(ctx context.Context, name string) {
	call, _ := d.right.Import(name)
	d.n++
	value := "vault-" + d.run + "-" + string(rune('a'+d.n%26))
	g := d.send(ctx, d.right, bringing(call, value), d.key())
	theirs := g.field(call.ID)
	d.say("session", name+" is brought there", g.told() == policy.OutcomeSucceeded && theirs != "", "%s, called %q", g, theirs)
	if theirs == "" {
		return
	}
	e, can := d.right.Export(name)
	if !can {
		return
	}
	got, kind, said, there := d.fetch(ctx, e, theirs)
	d.say("session", name+" comes back", there && said == value, "%s: %s %q; %q was brought", got, kind, said, value)
	if len(e.Absent) > 0 && e.NeedsID() {
		got, _, _, _ := d.fetch(ctx, e, "nobody"+theirs)
		d.say("session", name+" that is not there", slices.Contains(e.Absent, got.Status), "%s; the contract says %v", got, e.Absent)
	}
}

// bringing is an import as agents send it.
func bringing(call policy.Import, value string) Request {
	r := Request{Type: "application/json", Body: `{"` + strings.ReplaceAll(call.Put.Name, ".", `":{"`) + `":"` + value + `"` + strings.Repeat("}", 1+strings.Count(call.Put.Name, "."))}
	r.Method, r.Path = call.Call()
	if call.Form != "" {
		head, rest, deep := strings.Cut(call.Put.Name, ".")
		if deep {
			head += "[" + strings.ReplaceAll(rest, ".", "][") + "]"
		}
		r.Type, r.Body = "application/x-www-form-urlencoded", url.Values{head: {value}}.Encode()
	}
	return r
}

func (d *driver) fetch(ctx context.Context, e policy.Exporting, id string) (g *got, kind, value string, there bool) {
	a, err := e.Ask(policy.FieldMarks{ID: id, Session: d.run, Account: d.right.Account})
	if err != nil {
		return &got{}, "", err.Error(), false
	}
	g = d.sendAsked(ctx, a, message.Token{})
	if g.told() != policy.OutcomeSucceeded {
		return g, "", "", false
	}
	kind, v, there, err := e.Value(ctx, g.header.Get("Content-Type"), g.body)
	if err != nil {
		return g, "", err.Error(), false
	}
	return g, kind, string(v), there
}

// sendAsked is one send of a call that a contract writes.
func (d *driver) sendAsked(ctx context.Context, a policy.Asked, token message.Token) *got {
	path := a.Path
	if a.RawQuery != "" {
		path += "?" + a.RawQuery
	}
	return d.sendWith(ctx, d.right, Request{Method: a.Method, Path: path, Type: a.Type, Body: a.Body}, d.keyOf(a), token)
}

// keyOf is a key for what is no read.
func (d *driver) keyOf(a policy.Asked) string {
	if a.Method == "GET" {
		return ""
	}
	return d.key()
}

// tokens has a conversation let in, and its tokens refreshed.
func (d *driver) tokens(ctx context.Context, name string) {
	t, _ := d.right.Tokens(name)
	if !t.CanIssue() {
		d.leave("session", name+" lets a conversation in", "the contract has no issue: the application logs in by itself")
		return
	}
	marks := policy.TokenMarks{Session: "ses-" + d.run, Account: d.right.Account}
	first, ok := d.given(ctx, t, name+" is issued", t.Issue, marks)
	if !ok {
		return
	}
	d.lets(ctx, t, name+" lets a conversation in", first, true)
	if t.CanRefresh() && first.Refresh != "" {
		marks.Refresh = first.Refresh
		second, ok := d.given(ctx, t, name+" is refreshed", t.Refresh, marks)
		if !ok {
			return
		}
		d.say("session", name+" is another one then", second.Access != first.Access, "it was given anew: %t", second.Access != first.Access)
		first = second
	}
	if d.World == nil || first.Life == 0 {
		d.leave("session", name+" ends", simulatorOnly)
		return
	}
	d.World.Advance(first.Life - 2*time.Second)
	d.lets(ctx, t, name+" lets in until its end", first, true)
	d.World.Advance(3 * time.Second)
	d.lets(ctx, t, name+" lets in no longer", first, false)
}

// given makes a call for tokens, and reads its answer.
func (d *driver) given(ctx context.Context, t policy.Tokening, check string, call policy.TokenCall, marks policy.TokenMarks) (policy.Given, bool) {
	a, err := call.Ask(marks)
	if err != nil {
		d.say("session", check, false, "%v", err)
		return policy.Given{}, false
	}
	g := d.sendAsked(ctx, a, message.Token{})
	if g.told() != policy.OutcomeSucceeded {
		d.say("session", check, false, "%s", g)
		return policy.Given{}, false
	}
	tokens, err := t.Read(ctx, g.header.Get("Content-Type"), g.body)
	d.say("session", check, err == nil, "%s, for %s%s", g, tokens.Life, because(err)) // never what they are
	return tokens, err == nil
}

// lets tells whether a call that carries a token is taken for the conversation's.
func (d *driver) lets(ctx context.Context, t policy.Tokening, check string, tokens policy.Given, want bool) {
	if d.Specimen.Who == nil {
		d.leave("session", check, "nobody knows a call of this API that says whose token it carries")
		return
	}
	g := d.sendWith(ctx, d.right, d.Specimen.Who(), "", message.Token{In: t.Put.In, Name: t.Put.Name, Value: t.Line(tokens.Access)})
	in := g.told() == policy.OutcomeSucceeded && g.field(d.Specimen.Whose) == "ses-"+d.run
	d.say("session", check, in == want, "%s, of %q", g, g.field(d.Specimen.Whose))
}
