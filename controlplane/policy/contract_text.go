package policy

import (
	"fmt"
	"strings"
)

// factNames are the facts of a contract that a source can be named for, as the document writes them.
func factNames() []string {
	return []string{"credential", "keys", "retry_after", "rate_limit", "object_id", "fees", "use", "codes", "statuses", "lookup", "cancel", "refund", "settle", "session", "webhooks", "operations", "speaks", "tests", "synthetics"}
}

// stated are the facts that a contract says itself, whatever it is like.
func (c *Contract) stated() []string {
	said := map[string]bool{
		"credential": c.Credential != Slot{}, "keys": c.Keys != Keys{}, "retry_after": c.RetryAfter != "",
		"rate_limit": c.RateLimit != RateHeaders{}, "object_id": c.ObjectID != "", "fees": len(c.Fees) > 0, "use": c.Use.Set(), "codes": len(c.Codes) > 0, "statuses": len(c.Statuses) > 0,
		"lookup": c.Recourse.Lookup.Match != "", "cancel": c.Recourse.Cancel.Match != "", "refund": c.Recourse.Refund != "",
		"settle": c.Recourse.Settle != 0, "session": len(c.Session) > 0, "webhooks": c.Webhooks.say(), "operations": len(c.Operations) > 0,
		"speaks": len(c.Speaks) > 0, "tests": c.Tests != TestMarks{}, "synthetics": len(c.Synthetics) > 0,
	}
	var found []string
	for _, name := range factNames() {
		if said[name] {
			found = append(found, name)
		}
	}
	return found
}

// page is where the vendor states a fact, "" where no page is named.
func (c *Contract) page(fact string) string {
	for _, s := range c.Sources {
		if s.Fact == fact {
			return s.Page
		}
	}
	return ""
}

func (h RateHeaders) text() string {
	return strings.Join(strings.Fields(h.Limit+" "+h.Remaining+" "+h.Reset), ", ")
}

func ofText(operations []string) string {
	if len(operations) == 0 {
		return ""
	}
	return " of " + strings.Join(operations, ", ")
}

func sourcesText(list []Source) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = s.Fact + " " + s.Page
	}
	return strings.Join(texts, ", ")
}

// keysText says what becomes of keys, in one line.
func (k Keys) text() string {
	switch {
	case k.Enforced:
	case k.Header != "":
		return k.Header + " is taken, and not heeded"
	default:
		return "none is taken"
	}
	list := []string{k.Header + " executes once", "remembered for " + span(k.Life)}
	if k.Scope != "" {
		list = append(list, "one key for each "+string(k.Scope))
	}
	if k.Max != 0 {
		list = append(list, fmt.Sprintf("up to %d bytes", k.Max))
	}
	if k.Syntax != "" {
		list = append(list, "made of "+map[Syntax]string{SyntaxToken: "letters, digits, - and _", SyntaxAlphanum: "letters and digits", SyntaxUUID: "a UUID"}[k.Syntax])
	}
	if k.InUse != 0 {
		list = append(list, fmt.Sprintf("%d while the first is in progress", k.InUse))
	}
	switch k.Replay {
	case StoredAll:
		list = append(list, "every answer is stored and told again, errors too")
	case Stored2xx:
		list = append(list, "successes are stored and told again, errors are not")
	case StoredNone:
		list = append(list, "answers are not stored")
	}
	return strings.Join(list, "; ")
}
