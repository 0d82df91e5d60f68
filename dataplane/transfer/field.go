package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"

	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/session"
)

// Name is a field as an application names it: of its session, in a service, and for a token the provider that it is of.
type Name struct {
	Session  session.Key
	Service  *policy.Service
	Rule     *policy.SessionField
	Provider string // "": the field itself
}

// Shown is what a field says now.
type Shown struct {
	Kind    string // the value's media type
	Value   []byte
	Version string // "": the field is not there
}

// Write is what an application wants of a field. One of the parts is meant.
type Write struct {
	Kind        string // media type of Value
	Value       []byte
	Remove      bool
	Add, Drop   []string // items of a set
	Count       *int64
	Match       string         // the version that it must have; "*": any; "": not said
	MustBeNew   bool           // it must not be there
	Credentials message.Header // of the caller: a provider may be sent them when the change is brought to it
}

// The ways in which a write is refused.
var (
	ErrTooLarge = fmt.Errorf("a field holds at most %d bytes", maxPlain)
	ErrChanged  = errors.New("the field was changed since")
	ErrNoMatch  = errors.New("the field is compared: the write must say which version it replaces (If-Match), or that there is none (If-None-Match: *)")
	ErrMerged   = errors.New("the field is merged: regions that do not hear of each other both write it, so that a comparison would promise too much; declare compare: true")
	ErrAbsent   = errors.New("the field is not there")
	ErrKind     = errors.New("the field is of another kind")
)

// maxPlain is the largest value before it is sealed, with room for the envelope and the media type.
const maxPlain = session.MaxValue - 512

// maxSwaps bounds the tries of a guarded write against others.
const maxSwaps = 16

// Read shows a field.
func (c *Carrier) Read(ctx context.Context, n Name) (Shown, error) {
	s, err := c.load(ctx, n.Session)
	if err != nil {
		return Shown{}, err
	}
	f := s.Field(n.Service.Name, n.Rule.Name)
	if f == nil || !f.Set() {
		return Shown{}, ErrAbsent
	}
	return c.show(n, f)
}

func (c *Carrier) show(n Name, f *session.Field) (Shown, error) {
	v := Shown{Kind: "application/json", Version: f.Version()}
	var err error
	switch {
	case n.Rule.Kind == policy.KindTokens:
		v.Value, err = c.untils(n, f)
	case n.Provider != "":
		t, there := f.For(n.Provider)
		if !there {
			return Shown{}, ErrAbsent
		}
		v.Kind = "text/plain"
		v.Value, err = c.open(n.Session, n.Service.Name, n.Rule.Name, t.Value)
	case n.Rule.Kind == policy.KindCounter:
		v.Value = fmt.Appendf(nil, `{"value":%d}`, f.Sum())
	case n.Rule.Kind == policy.KindSet:
		v.Value, err = c.items(n, f)
	case f.Value == nil:
		return Shown{}, ErrAbsent
	default:
		var plain []byte
		plain, err = c.open(n.Session, n.Service.Name, n.Rule.Name, f.Value)
		v.Kind, v.Value = media(plain)
	}
	return v, err
}

func (c *Carrier) items(n Name, f *session.Field) ([]byte, error) {
	list := []string{}
	for i := range f.Items {
		if it := &f.Items[i]; it.There() {
			plain, err := c.open(n.Session, n.Service.Name, n.Rule.Name, it.Value)
			if err != nil {
				return nil, err
			}
			list = append(list, string(plain))
		}
	}
	sort.Strings(list)
	return json.Marshal(struct {
		Items []string `json:"items"`
	}{list})
}

// Write changes a field and returns its new version. A field that is compared or has a floor needs a quorum; any other goes on without
// one, and is merged.
func (c *Carrier) Write(ctx context.Context, n Name, w Write) (version string, err error) {
	if (w.Match != "" || w.MustBeNew) && !n.Rule.Compare {
		return "", ErrMerged
	}
	if n.Rule.Compare && w.Match == "" && !w.MustBeNew && n.Provider == "" {
		return "", ErrNoMatch
	}
	defer c.lock(n.Session)()
	var after *session.Session
	if n.Rule.Guarded() && n.Provider == "" {
		after, err = c.swap(ctx, n, w)
	} else {
		after, err = c.append(ctx, n, w)
	}
	if err != nil {
		return "", err
	}
	if n.Rule.Warm {
		c.standby.put(push{name: n, caller: w.Credentials})
	}
	return after.Field(n.Service.Name, n.Rule.Name).Version(), nil
}

func (c *Carrier) append(ctx context.Context, n Name, w Write) (*session.Session, error) {
	s, err := c.load(ctx, n.Session)
	if err != nil {
		return nil, err
	}
	e, after, err := c.change(s, n, w)
	if err != nil {
		return nil, err
	}
	return after, c.cfg.Sessions.Append(ctx, n.Session, e)
}

func (c *Carrier) swap(ctx context.Context, n Name, w Write) (*session.Session, error) {
	for range maxSwaps {
		s, err := c.load(ctx, n.Session)
		if err != nil {
			return nil, err
		}
		was := s.Field(n.Service.Name, n.Rule.Name)
		there := was != nil && was.Set()
		if w.MustBeNew && there || w.Match != "" && (!there || w.Match != "*" && w.Match != was.Version()) {
			return nil, ErrChanged
		}
		e, after, err := c.change(s, n, w)
		if err != nil {
			return nil, err
		}
		guard := uint64(0)
		if s != nil {
			guard = s.Guard
		}
		won, err := c.cfg.Sessions.Swap(ctx, n.Session, guard, e)
		if err != nil {
			return nil, err
		}
		if won {
			return after, nil
		}
	}
	return nil, ErrChanged
}

// change makes the event of a write, and the session that comes of it, within the bounds.
func (c *Carrier) change(s *session.Session, n Name, w Write) (session.Event, *session.Session, error) {
	e, err := c.event(s, n, w)
	if err != nil {
		return e, nil, err
	}
	after, err := session.Apply(s, n.Session, e)
	if err == nil {
		err = after.Fits()
	}
	return e, after, err
}

func (c *Carrier) event(s *session.Session, n Name, w Write) (session.Event, error) {
	writer, service, name := c.writer(s), n.Service.Name, n.Rule.Name
	switch {
	case n.Provider != "":
		return c.token(&writer, n, w)
	case n.Rule.Kind == policy.KindTokens && w.Remove:
		return writer.Forget(service, name), nil
	case n.Rule.Kind == policy.KindTokens:
		return session.Event{}, fmt.Errorf("%w: tokens are of one provider each: write them at ?provider=NAME", ErrKind)
	case n.Rule.Kind == policy.KindCounter:
		by, err := counted(s.Field(service, name), w)
		if err != nil {
			return session.Event{}, err
		}
		var floor *int64
		if n.Rule.HasFloor {
			floor = &n.Rule.Floor
		}
		return writer.Count(service, name, by, floor)
	case n.Rule.Kind == policy.KindSet:
		return c.setItems(&writer, n, w)
	case w.Remove:
		return writer.Write(service, name, nil), nil
	case w.Count != nil || w.Add != nil || w.Drop != nil:
		return session.Event{}, ErrKind
	case len(w.Value)+len(w.Kind) > maxPlain:
		return session.Event{}, ErrTooLarge
	}
	sealed, err := c.seal(n.Session, service, name, withMedia(w.Kind, w.Value))
	return writer.Write(service, name, sealed), err
}

// counted is what a write adds to a counter. To remove one is to bring it to 0.
func counted(f *session.Field, w Write) (int64, error) {
	switch {
	case w.Remove && f != nil:
		return -f.Sum(), nil
	case w.Remove:
		return 0, nil
	case w.Count == nil:
		return 0, ErrKind
	default:
		return *w.Count, nil
	}
}

func (c *Carrier) token(writer *session.Writer, n Name, w Write) (session.Event, error) {
	service, name := n.Service.Name, n.Rule.Name
	if w.Remove {
		return writer.Token(service, name, n.Provider, nil, session.Stamp{}), nil
	}
	if n.Rule.Kind == policy.KindTokens {
		h, err := c.told(w.Value)
		if err != nil {
			return session.Event{}, err
		}
		w.Value = h
	} else if len(w.Value) > maxToken || len(w.Value) == 0 {
		return session.Event{}, fmt.Errorf("%w; a provider's name for it at most %d, and one at least", ErrTooLarge, maxToken)
	}
	sealed, err := c.seal(n.Session, service, name, w.Value)
	return writer.Token(service, name, n.Provider, sealed, session.Stamp{}), err
}

// maxToken is the longest name that a provider may have for a field.
const maxToken = 512

func (c *Carrier) setItems(writer *session.Writer, n Name, w Write) (session.Event, error) {
	service, name := n.Service.Name, n.Rule.Name
	if w.Count != nil || w.Value != nil {
		return session.Event{}, ErrKind
	}
	drop := make([]string, len(w.Drop))
	for i, item := range w.Drop {
		drop[i] = c.digest(n.Session, service, name, item)
	}
	if f := writer.Session.Field(service, name); w.Remove && f != nil {
		for i := range f.Items {
			drop = append(drop, f.Items[i].Digest)
		}
	}
	var add []session.Named
	for _, item := range w.Add {
		if len(item) > maxToken {
			return session.Event{}, fmt.Errorf("%w; an item of a set at most %d", ErrTooLarge, maxToken)
		}
		digest := c.digest(n.Session, service, name, item)
		if slices.ContainsFunc(add, func(a session.Named) bool { return a.Digest == digest }) {
			continue
		}
		sealed, err := c.seal(n.Session, service, name, []byte(item))
		if err != nil {
			return session.Event{}, err
		}
		add = append(add, session.Named{Digest: digest, Value: sealed})
	}
	return writer.Items(service, name, add, drop), nil
}
