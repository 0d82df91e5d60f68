package health

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// VerdictKind is whose fault it is.
type VerdictKind string

// The kinds, from the narrowest to the widest.
const (
	PathFault     VerdictKind = "path"     // the way from one region to one provider
	ProviderFault VerdictKind = "provider" // the provider itself
	RegionFault   VerdictKind = "region"   // a region's own way out
	OursFault     VerdictKind = "ours"     // everything everywhere: what we did ourselves, or all of the network
)

// Verdict is whose fault a trouble is, as the leader judged it from the reports of all regions. To an agent it is a hint: it makes the
// agent's own test quicker, and never replaces it. Its times are the leader's; whoever sends it says what time it is there.
type Verdict struct {
	Kind     VerdictKind
	Region   string `json:",omitempty"` // of path and region
	Service  string `json:",omitempty"` // of provider and path
	Provider string `json:",omitempty"` // of provider and path
	Since    time.Time
	Until    time.Time // it ends by then, whether or not anybody says so
	Eject    bool      `json:",omitempty"` // of provider and path: agents may leave it sooner. One at a time, where what is left can carry the rest
	All      bool      `json:",omitempty"` // of provider: nothing that was sent there lately succeeded, from anywhere
	Why      string    // a sentence
}

// Bounds of verdicts.
const (
	MaxVerdicts = 32               // at a time: more troubles at once are one trouble
	VerdictFor  = 60 * time.Second // how long a verdict holds without being renewed
	VerdictMost = 2 * time.Minute  // what an agent takes, whatever it is told
)

// Same tells whether two verdicts are about the same trouble: their kind and what they are about, not when and why.
func (v Verdict) Same(o Verdict) bool { return compareVerdicts(v, o) == 0 }

// compareVerdicts orders the widest first.
func compareVerdicts(a, b Verdict) int {
	return cmp.Or(cmp.Compare(width(b.Kind), width(a.Kind)), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Region, b.Region))
}

func width(k VerdictKind) int {
	return slices.Index([]VerdictKind{PathFault, ProviderFault, RegionFault, OursFault}, k)
}

// Check tells what is wrong with a verdict: it names what its kind is about and nothing else, and it ends.
func (v Verdict) Check() error {
	region, provider := v.Region != "", v.Service != "" || v.Provider != ""
	var fits bool
	switch v.Kind {
	case PathFault:
		fits = named(v.Region) && named(v.Service) && named(v.Provider)
	case ProviderFault:
		fits = !region && named(v.Service) && named(v.Provider)
	case RegionFault:
		fits = named(v.Region) && !provider
	case OursFault:
		fits = !region && !provider
	default:
		return fmt.Errorf("verdict %.40q: there are path, provider, region, ours", string(v.Kind))
	}
	switch {
	case !fits:
		return fmt.Errorf("verdict %s: region %.40q, service %.40q, provider %.40q is not what it is about", v.Kind, v.Region, v.Service, v.Provider)
	case v.Since.IsZero() || !v.Until.After(v.Since):
		return fmt.Errorf("verdict %s: it ends at %v, not after its begin at %v", v.Kind, v.Until, v.Since)
	case sentence(v.Why, maxText) != v.Why:
		return errors.New("verdict: its reason is longer than is kept, or not UTF-8")
	}
	return nil
}

// Named is what the verdict is about, in words.
func (v Verdict) Named() string {
	switch v.Kind {
	case PathFault:
		return v.Region + " to " + v.Provider
	case ProviderFault:
		return "provider " + v.Provider
	case RegionFault:
		return v.Region
	case OursFault:
		return "everything everywhere"
	}
	return string(v.Kind)
}
