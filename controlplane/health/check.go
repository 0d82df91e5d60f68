package health

import (
	"fmt"
	"unicode/utf8"
)

// Check tells what is wrong with a report that somebody wrote by hand or program: the field, and what would be right; "" for both where
// nothing is. A window holds whatever it takes within its bounds in any case; Check is for who can still be told.
func (r *Report) Check() (field, why string) {
	for _, f := range []struct{ field, text string }{{"Agent", r.Agent}, {"Region", r.Region}, {"Run", r.Run}} {
		if !named(f.text) {
			return f.field, noName(f.text)
		}
	}
	for _, f := range []struct {
		field  string
		n, max int
	}{{"Rows", len(r.Rows), MaxRows}, {"Services", len(r.Services), MaxServiceRows}, {"Events", len(r.Events), MaxEvents}, {"Addr", len(r.Addr), MaxServiceRows}} {
		if f.n > f.max {
			return f.field, fmt.Sprintf("%d entries, at most %d are taken", f.n, f.max)
		}
	}
	switch {
	case r.Seq == 0:
		return "Seq", "0 is given; count the run's reports from 1, so that what comes twice is dropped"
	case r.At.IsZero():
		return "At", "no time is given; write the agent's clock, like 2026-11-21T14:02:31Z"
	}
	for i := range r.Rows {
		if field, why := r.Rows[i].check(); field != "" {
			return fmt.Sprintf("Rows[%d].%s", i, field), why
		}
	}
	for i := range r.Services {
		if !named(r.Services[i].Service) {
			return fmt.Sprintf("Services[%d].Service", i), noName(r.Services[i].Service)
		}
	}
	for i := range r.Events {
		if e := &r.Events[i]; e.Text == "" || !utf8.ValidString(e.Text) {
			return fmt.Sprintf("Events[%d].Text", i), fmt.Sprintf("%.40q is no sentence", e.Text)
		}
	}
	return "", ""
}

func noName(text string) string {
	return fmt.Sprintf("%.40q is no name: 1 to %d bytes of UTF-8", text, maxName)
}

func (r *Row) check() (field, why string) {
	switch {
	case !named(r.Service):
		return "Service", noName(r.Service)
	case !named(r.Provider):
		return "Provider", noName(r.Provider)
	case r.Breaker != "closed" && r.Breaker != "open" && r.Breaker != "half-open" && r.Breaker != "ramp":
		return "Breaker", fmt.Sprintf("%.40q is given; there are closed, open, half-open, ramp", r.Breaker)
	case !(r.Weight >= 0 && r.Weight <= 100):
		return "Weight", fmt.Sprintf("%v is not between 0 and 100", r.Weight)
	}
	return "", ""
}
