package health

import (
	"fmt"
	"unicode/utf8"
)

// Check tells what is wrong with a report that somebody wrote by hand or program, naming the field and what would be right. A window holds
// whatever it takes within its bounds in any case; Check is for who can still be told.
func (r *Report) Check() error {
	for _, f := range []struct{ field, text string }{{"Agent", r.Agent}, {"Region", r.Region}, {"Run", r.Run}} {
		if !named(f.text) {
			return fmt.Errorf("%s: %.40q is no name: 1 to %d bytes of UTF-8", f.field, f.text, maxName)
		}
	}
	for _, f := range []struct {
		field  string
		n, max int
	}{{"Rows", len(r.Rows), MaxRows}, {"Services", len(r.Services), MaxServiceRows}, {"Events", len(r.Events), MaxEvents}, {"Addr", len(r.Addr), MaxServiceRows}} {
		if f.n > f.max {
			return fmt.Errorf("%s: %d entries, at most %d are taken", f.field, f.n, f.max)
		}
	}
	switch {
	case r.Seq == 0:
		return fmt.Errorf("Seq: 0 is given; count the run's reports from 1, so that what comes twice is dropped")
	case r.At.IsZero():
		return fmt.Errorf("At: no time is given; write the agent's clock, like 2026-11-21T14:02:31Z")
	}
	for i := range r.Rows {
		if err := r.Rows[i].check(); err != nil {
			return fmt.Errorf("Rows[%d].%w", i, err)
		}
	}
	for i := range r.Services {
		if !named(r.Services[i].Service) {
			return fmt.Errorf("Services[%d].Service: %.40q is no name", i, r.Services[i].Service)
		}
	}
	for i := range r.Events {
		if e := &r.Events[i]; e.Text == "" || !utf8.ValidString(e.Text) {
			return fmt.Errorf("Events[%d].Text: %.40q is no sentence", i, e.Text)
		}
	}
	return nil
}

func (r *Row) check() error {
	switch {
	case !named(r.Service):
		return fmt.Errorf("Service: %.40q is no name", r.Service)
	case !named(r.Provider):
		return fmt.Errorf("Provider: %.40q is no name", r.Provider)
	case r.Breaker != "closed" && r.Breaker != "open" && r.Breaker != "half-open":
		return fmt.Errorf("Breaker: %.40q is given; there are closed, open, half-open", r.Breaker)
	case !(r.Weight >= 0 && r.Weight <= 100):
		return fmt.Errorf("Weight: %v is not between 0 and 100", r.Weight)
	}
	return nil
}
