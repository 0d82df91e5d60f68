package policy

import "fmt"

// Class is what can be promised of an operation at a provider after an outcome that is not known. It is derived from the contract, never
// written into it.
type Class string

// The classes, the strongest first.
const (
	Guarded  Class = "G"    // enforces keys: the same request again executes once
	Fenced   Class = "F"    // a cancel can rule out that a request still executes
	Traced   Class = "T"    // a lookup shows whether it executed
	Nothing  Class = "N"    // sent at most once; what is unknown waits for a person
	Doubled  Class = "D"    // the policy accepts that it happens twice
	NotThere Class = "none" // the provider has another API, and its contract does not map the operation
	Free     Class = "read" // no effect: nothing to promise, it may be sent again
)

// built are the classes that the data plane acts on. What a contract would allow beyond them is told, and not promised.
func built() []Class { return []Class{Guarded, Fenced, Traced, Nothing, Doubled, Free} }

// offer is a class that a contract allows, and what the provider has to offer for it.
type offer struct {
	class Class
	has   string
}

// ClassOf says what is promised of an operation at a provider, and why. It is what agents do now.
func ClassOf(o *OperationSpec, c *Contract) (class Class, why string) {
	return classOf(o, c, built())
}

func classOf(o *OperationSpec, c *Contract, acted []Class) (class Class, why string) {
	if o.Read {
		return Free, "It changes nothing there: it may be sent again, there or elsewhere."
	}
	if o.Leave.Duplicates { // the policy's word, whatever the provider offers
		return Doubled, promise(Doubled, c)
	}
	missed := ""
	for _, one := range offers(o.Name, c) {
		for _, a := range acted {
			if a == one.class {
				return one.class, promise(one.class, c) + missed
			}
		}
		if missed == "" {
			missed = fmt.Sprintf(" It has %s: that would be class %s, and nothing makes use of it yet.", one.has, one.class)
		}
	}
	return Nothing, promise(Nothing, c) + missed
}

// offers are the classes that the contract allows for an effect, the strongest first.
func offers(operation string, c *Contract) []offer {
	var list []offer
	r := &c.Recourse
	cancels := r.Cancel.State == CancelFinal && meant(r.Cancel.Of, operation)
	strong := r.Lookup.Match != "" && r.Lookup.Strong && meant(r.Lookup.Of, operation)
	shows := strong && r.Settle > 0
	if c.Keys.Enforced {
		list = append(list, offer{Guarded, "keys that are enforced"})
	}
	if cancels && r.Cancel.Blocks && strong { // only the lookup shows that the cancel was taken
		list = append(list, offer{Fenced, "a final cancel that blocks late creates, and a lookup that shows it"})
	}
	if shows {
		list = append(list, offer{Traced, "a lookup that shows each request, and a settle window"})
	}
	return list
}

// meant tells whether an aid is for an operation; one without a list is for every effect.
func meant(of []string, operation string) bool {
	for _, name := range of {
		if name == operation {
			return true
		}
	}
	return len(of) == 0
}

func promise(class Class, c *Contract) string {
	switch class {
	case Guarded:
		return "It executes a key once: what is unknown is sent there again with the same key and bytes, and nowhere else while the key lives (" + span(c.Keys.Life) + ")."
	case Fenced:
		return "What is unknown is looked up there; what is not found is cancelled for good, and only then sent elsewhere."
	case Traced:
		return "What is unknown is looked up there. What two lookups do not find behind its settle window counts as not executed where the operation says unknown: trace; else it waits for a person."
	case Doubled:
		return "The policy accepts that it happens twice: what is unknown is sent elsewhere at once, while the caller waits. Nothing is promised."
	default:
		return "It heeds no key: what is unknown there is never sent again, so it is executed once at most. What stays unknown waits for a person."
	}
}
