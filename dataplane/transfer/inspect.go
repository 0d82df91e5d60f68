package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/dataplane/route"
	"segue/dataplane/session"
)

// Inspect shows a session to people: where it is pinned, what its fields are and never what they hold, where it could go on, and the
// newest events of its history, as many as asked for. nil: there is no such session.
func (c *Carrier) Inspect(ctx context.Context, k session.Key, snap *policy.Snapshot, events int) (*query.Session, error) {
	s, err := c.load(ctx, k)
	if s == nil || err != nil {
		return nil, err
	}
	told := &query.Session{ID: k.ID, App: k.App, Created: s.Created, Updated: s.Updated, Services: []query.SessionService{}, History: []query.SessionEvent{}}
	for _, name := range servicesOf(s) {
		svc, known := snap.Service(name)
		if !known {
			svc = &policy.Service{Name: name}
		}
		told.Services = append(told.Services, c.inspected(s, svc, known))
	}
	c.tellHistory(ctx, told, k, events)
	return told, nil
}

// servicesOf are those that a session is pinned for, or has fields of.
func servicesOf(s *session.Session) (names []string) {
	for _, p := range s.Pins {
		names = append(names, p.Service)
	}
	for i := range s.Fields {
		names = append(names, s.Fields[i].Service)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *Carrier) inspected(s *session.Session, svc *policy.Service, known bool) query.SessionService {
	told := query.SessionService{Service: svc.Name, Fields: []query.SessionField{}, Ways: []query.SessionWay{}}
	for _, p := range s.Pins {
		if p.Service == svc.Name {
			told.Provider, told.Since = p.Provider, p.At
		}
	}
	for i := range svc.Session {
		rule := &svc.Session[i]
		told.Fields = append(told.Fields, c.inspectedField(s.Key, svc, s.Field(svc.Name, rule.Name), rule))
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if _, declared := svc.Field(f.Name); f.Service == svc.Name && !declared {
			told.Fields = append(told.Fields, c.inspectedField(s.Key, svc, f, &policy.SessionField{Name: f.Name}))
		}
	}
	if !known {
		told.Next = "the policy does not have this service any more"
		return told
	}
	c.outlook(s, svc, &told)
	return told
}

func (c *Carrier) inspectedField(k session.Key, svc *policy.Service, f *session.Field, rule *policy.SessionField) query.SessionField {
	told := query.SessionField{Name: rule.Name, Class: string(rule.Class), Kind: rule.Kind.String(), Rule: "not declared any more", At: []string{}}
	if rule.Class != "" {
		told.Rule = rule.Text()
	}
	if rule.HasFloor {
		floor := rule.Floor
		told.Floor = &floor
	}
	if f == nil {
		return told
	}
	last := f.Last()
	told.Set, told.Version, told.Written, told.By = f.Set(), f.Version(), last.Clock.Time(), last.Run()
	told.Bytes, told.Sum = len(f.Value), f.Sum()
	if rule.Class == "" { // what it was is told by what it has
		switch {
		case len(f.Items) > 0:
			told.Kind = string(policy.KindSet)
		case len(f.Totals) > 0:
			told.Kind = string(policy.KindCounter)
		}
	}
	for i := range f.Items {
		if it := &f.Items[i]; it.There() {
			told.Items++
			told.Bytes += len(it.Value)
		}
	}
	from, at := f.Fetched()
	if from != "" || f.Old() {
		told.Fetched = &query.SessionFetch{From: from, At: at, Old: f.Old()}
	}
	c.inspectTokens(&told, f, Name{Session: k, Service: svc, Rule: rule})
	return told
}

// inspectTokens tells which providers have the field, and how long what they gave is good for.
func (c *Carrier) inspectTokens(told *query.SessionField, f *session.Field, n Name) {
	for _, t := range f.Tokens {
		if _, there := f.For(t.Provider); !there {
			continue
		}
		told.At = append(told.At, t.Provider)
		if n.Rule.Kind != policy.KindTokens {
			continue
		}
		one := query.SessionToken{Provider: t.Provider, Given: t.Stamp.Clock.Time()}
		if h, err := c.opened(n, t); err == nil {
			one.Until = h.ends()
		}
		told.Tokens = append(told.Tokens, one)
	}
}

// outlook tells where a session could go on now, and what happens when its provider fails: the same choice that a call would make.
func (c *Carrier) outlook(s *session.Session, svc *policy.Service, told *query.SessionService) {
	now := c.cfg.Now()
	barred, held := s.Barred(svc)
	facts := policy.Facts{Draw: Draw(s.Key.ID), Pinned: -1, Owner: -1, Client: -1, Barred: barred}
	var d route.Decision
	c.cfg.Board.Preview(&d, svc, &facts, now)
	reasons := d.Reasons(svc)
	for i, to := range svc.Candidates {
		way := s.WayTo(svc, to)
		one := query.SessionWay{
			Provider: to.Provider, Here: to.Provider == told.Provider, Can: way.Can, Open: isOpen(d.Scores[i].Gate),
			Carries: []string{}, Loses: orNothing(s.Leaves(svc, to.Provider)),
		}
		switch {
		case way.Pinned:
			one.Why = way.Field + " is pinned at " + told.Provider
		case !way.Can:
			one.Why = way.Field + " is not there, and nothing brings it"
		case !one.Open:
			one.Why = reasons[i]
		}
		if way.Can {
			one.Carries = orNothing(s.Brings(svc, to))
		}
		if one.Here {
			facts.Pinned, facts.Tried = int8(i), facts.Tried.With(i)
		}
		told.Ways = append(told.Ways, one)
	}
	c.cfg.Board.Preview(&d, svc, &facts, now)
	told.Next = nextOf(told, &d, svc, held)
	if d.Winner >= 0 {
		told.Goes = svc.Candidates[d.Winner].Provider
	}
}

// nextOf says in words what happens when the session's provider fails now.
func nextOf(told *query.SessionService, d *route.Decision, svc *policy.Service, held string) string {
	begin := "it goes on at "
	if told.Provider == "" {
		begin = "it is not pinned yet: its first call goes to "
	}
	if d.Winner < 0 {
		if held != "" {
			return fmt.Sprintf("it cannot go on: %s is pinned at %s; calls end as session-cannot-move", held, told.Provider)
		}
		return "it cannot go on now: " + d.Why(svc)
	}
	way := told.Ways[d.Winner]
	text := begin + way.Provider
	if len(way.Carries) > 0 {
		text += "; " + some(way.Carries, "is", "are") + " brought there first"
	}
	var rebuilt []string
	for i := range told.Fields {
		if f := &told.Fields[i]; f.Set && f.Class == string(policy.Rebuilt) && !slices.Contains(way.Carries, f.Name) {
			rebuilt = append(rebuilt, f.Name)
		}
	}
	if len(rebuilt) > 0 && told.Provider != "" {
		text += "; " + some(rebuilt, "stays", "stay") + " in the session"
	}
	if len(way.Loses) > 0 {
		text += "; " + some(way.Loses, "stays", "stay") + " behind, which is reported"
	}
	return text
}

// some names one or many, with the verb for it.
func some(names []string, one, many string) string {
	if len(names) == 1 {
		return names[0] + " " + one
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + " " + many
}

func orNothing(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// tellHistory keeps the newest events.
func (c *Carrier) tellHistory(ctx context.Context, told *query.Session, k session.Key, events int) {
	var kept []session.Event
	err := c.cfg.Sessions.History(ctx, k, func(e session.Event) bool {
		if told.Events++; len(kept) == 2*events {
			kept = append(kept[:0], kept[events:]...)
		}
		kept = append(kept, e)
		return true
	})
	if err != nil {
		told.Problem = "the history could not be read whole: the store did not tell it"
		c.cfg.Log.Warn("a session's history could not be read", "error", err)
	}
	for _, e := range slices.Backward(kept[max(0, len(kept)-events):]) {
		told.History = append(told.History, tellEvent(&e))
	}
}

// tellEvent is one event in words, without what was written.
func tellEvent(e *session.Event) query.SessionEvent {
	told := query.SessionEvent{At: e.At, Service: e.Field.Service, By: e.Field.Last().Run()}
	var parts []string
	if e.Pin.Service != "" {
		told.Service = e.Pin.Service
		parts = append(parts, "pinned to "+e.Pin.Provider)
	}
	parts = append(parts, tellChange(&e.Field)...)
	if e.Guard > 0 {
		parts = append(parts, fmt.Sprintf("guarded write %d", e.Guard))
	}
	told.Text = strings.Join(parts, "; ")
	return told
}

func tellChange(f *session.Field) (parts []string) {
	say := func(form string, args ...any) { parts = append(parts, f.Name+" "+fmt.Sprintf(form, args...)) }
	if from := f.Stamp.From(); from != "" {
		say("was fetched from %s, %d bytes sealed", from, len(f.Value))
	} else if !f.Stamp.Zero() && f.Value == nil {
		say("was removed")
	} else if !f.Stamp.Zero() {
		say("was written, %d bytes sealed", len(f.Value))
	}
	added, removed := 0, 0
	for i := range f.Items {
		if f.Items[i].There() {
			added++
		} else {
			removed++
		}
	}
	if added > 0 {
		say("has %d more", added)
	}
	if removed > 0 {
		say("has %d less", removed)
	}
	for _, t := range f.Totals {
		say("was counted: this agent's part is %d", t.Sum)
	}
	for _, t := range f.Tokens {
		switch from := t.Stamp.From(); {
		case t.Value == nil:
			say("is not known at %s any more", t.Provider)
		case from != "" && t.Of == f.Stamp && !f.Stamp.Zero(): // it came with the value
		case from != "" && t.Stamp.Changed():
			say("was changed at %s by an operation", from)
		case from != "":
			say("is at %s what it is here", from)
		default:
			say("is known at %s", t.Provider)
		}
	}
	return parts
}
