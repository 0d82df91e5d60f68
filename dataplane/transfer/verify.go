package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"segue/controlplane/query"
	"segue/dataplane/session"
)

// looks is how often a session that is being written to is looked at again.
const looks = 4

// Verify holds a session against its history, and opens all that its fields hold. nil: there is no such session.
func (c *Carrier) Verify(ctx context.Context, k session.Key) (*query.SessionCheck, error) {
	before, err := c.load(ctx, k)
	if err != nil {
		return nil, err
	}
	for look := 1; ; look++ {
		told, after, err := c.verified(ctx, k, before)
		if err != nil || told == nil {
			return nil, err
		}
		told.Moving = len(told.Differs) > 0 && !same(before, after)
		if !told.Moving || look == looks {
			return told, nil
		}
		before = after
	}
}

// verified holds what was read before against the history, and returns the session as it is after.
func (c *Carrier) verified(ctx context.Context, k session.Key, before *session.Session) (*query.SessionCheck, *session.Session, error) {
	var history []session.Event
	if err := c.cfg.Sessions.History(ctx, k, func(e session.Event) bool { history = append(history, e); return true }); err != nil {
		return nil, nil, err
	}
	after, err := c.load(ctx, k)
	if err != nil {
		return nil, nil, err
	}
	if after == nil && len(history) == 0 {
		return nil, nil, nil
	}
	rebuilt, err := session.Rebuild(k, history)
	if err != nil {
		return nil, nil, fmt.Errorf("transfer: the history cannot be replayed: %w", err)
	}
	told := &query.SessionCheck{ID: k.ID, Events: len(history), Differs: []query.SessionDiffers{}, Sealed: c.sealed(after)}
	for _, d := range before.Differs(rebuilt) {
		told.Differs = append(told.Differs, query.SessionDiffers{What: d.What, Stored: orWord(d.Stored), History: orWord(d.History)})
	}
	if after != nil {
		told.Fields = len(after.Fields)
		told.Version = fmt.Sprintf("%x", sum(after))
	}
	return told, after, nil
}

func orWord(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

func same(a, b *session.Session) bool { return bytes.Equal(sum(a), sum(b)) }

// sum names all that a session says.
func sum(s *session.Session) []byte {
	if s == nil {
		return nil
	}
	row, err := session.Encode(s)
	if err != nil { // it was read, and so is within the bounds of a row
		return []byte(err.Error())
	}
	h := sha256.Sum256(row)
	return h[:8]
}

// sealed lists the fields that cannot be opened here.
func (c *Carrier) sealed(s *session.Session) []string {
	list := []string{}
	if s == nil {
		return list
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		values := [][]byte{f.Value}
		for j := range f.Items {
			values = append(values, f.Items[j].Value)
		}
		for _, t := range f.Tokens {
			values = append(values, t.Value)
		}
		for _, v := range values {
			if _, err := c.open(s.Key, f.Service, f.Name, v); v != nil && err != nil {
				list = append(list, f.Service+"/"+f.Name)
				break
			}
		}
	}
	return list
}
