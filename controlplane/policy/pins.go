package policy

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Pins are what a policy says of a service's work without a quorum.
type Pins struct {
	Offline bool              // it goes on, at the pins
	places  map[string]string // operation → what every region must send its first attempts to, and how
	life    time.Duration     // the longest of a pin's key
}

// PinsOf reads them; false: the policy has no such service.
func PinsOf(p *Policy, service string) (Pins, bool) {
	i := slices.IndexFunc(p.Services, func(s ServiceSpec) bool { return s.Name == service })
	if i < 0 {
		return Pins{}, false
	}
	s := &p.Services[i]
	pins := Pins{Offline: s.NoQuorum == OfflineAtPin, places: map[string]string{}}
	catalog := newCatalog(p.Contracts)
	for j := range s.Operations {
		o := &s.Operations[j]
		at := p.Provider(o.Pin.Provider)
		if o.Pin == (OfflinePin{}) || at == nil {
			continue
		}
		contract, _, err := catalog.resolve(at.Contract)
		if err != nil {
			continue // Validate took no such policy
		}
		digest := contract.Digest()
		place := []string{o.Match, at.Name, at.AccountName(), string(digest[:])}
		for _, r := range p.Regions {
			place = append(place, r.Name+" "+valueIn(at.Endpoint, r.Name))
		}
		pins.places[o.Name] = strings.Join(place, "\n")
		pins.life = max(pins.life, contract.Keys.Life)
	}
	return pins, true
}

// Same tells whether two are the same places, asked in the same way.
func (p Pins) Same(q Pins) bool { return maps.Equal(p.places, q.places) }

// KeyLife is how long the longest-lived key of either is remembered.
func (p Pins) KeyLife(q Pins) time.Duration { return max(p.life, q.life) }
