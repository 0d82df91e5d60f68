package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
	"segue/web/view"
)

// TestManyCallsAreOneLine: a provider that breaks under load must not push everything else off the page.
func TestManyCallsAreOneLine(t *testing.T) {
	at := time.Date(2026, 11, 21, 14, 2, 11, 0, time.UTC)
	var events []health.Event
	told := func(ago time.Duration, kind, region, text string) {
		tx := ""
		if kind != "breaker" {
			tx = fmt.Sprint("tx_", len(events))
		}
		events = append(events, health.Event{At: at.Add(-ago), Kind: kind, Region: region, Service: "payments", Transaction: tx, Text: text, Level: "bad"})
	}
	for i := range 40 {
		told(time.Duration(i)*time.Second, "unknown", "eu-west", "payments: the outcome of charge at main is not known")
	}
	told(41*time.Second, "breaker", "eu-west", "main: circuit open")
	told(51*time.Second, "breaker", "eu-west", "main: circuit half-open")
	told(61*time.Second, "breaker", "eu-west", "main: circuit open")
	told(42*time.Second, "unknown", "us-east", "payments: the outcome of charge at main is not known")
	told(43*time.Second, "failover", "eu-west", "payments: charge went on to backup after main (503)")
	told(44*time.Second, "failover", "eu-west", "payments: charge went on to backup after main (503)")
	told(10*time.Minute, "unknown", "eu-west", "payments: the outcome of charge at main is not known")
	var lines []string
	for _, h := range gathered(events) {
		lines = append(lines, strings.TrimSpace(h.Text+" "+h.Who+h.Link))
	}
	want := []string{
		"eu-west · payments: the outcomes of 40 calls were not known /transactions?service=payments&state=held",
		"eu-west · main: circuit open · its circuit turned 3 times in 20 s",
		"us-east · payments: the outcome of charge at main is not known /transactions/tx_43",
		"eu-west · payments: 2 calls went on to another provider /transactions?service=payments",
		"eu-west · payments: the outcome of charge at main is not known /transactions/tx_46",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("it reads\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// TestGainsTile says which figure is of calls: the other tile's is of sessions.
func TestGainsTile(t *testing.T) {
	f := health.Flow{Calls: 500, Covered: 98.2, Gains: health.Gains{Saved: 1204, Elsewhere: 3, Worth: 5600 * policy.Unit}}
	if tile := gainsTile(f, "EUR"); tile.Value != "1,204" || tile.Unit != "calls" ||
		tile.Note != "in 15 min, worth 5,600\u00a0EUR · 98.2\u00a0% of calls had a second provider · 3 false declines: accepted elsewhere" {
		t.Errorf("%+v", tile)
	}
	if tile := gainsTile(health.Flow{}, ""); tile.Value != "0" || tile.Note != "in 15 min" {
		t.Errorf("%+v", tile)
	}
}

// TestAtRisk sums what is not known, each currency for itself.
func TestAtRisk(t *testing.T) {
	now := time.Date(2026, 11, 21, 14, 2, 11, 0, time.UTC)
	row := func(state string, minor int64, currency string, ago time.Duration) query.Transaction {
		return query.Transaction{State: state, Value: policy.Value{Minor: minor, Currency: currency}, Created: now.Add(-ago)}
	}
	list := []query.Transaction{
		row("held", 1290, "EUR", time.Minute), row("cancelling", 10, "EUR", 5*time.Minute), row("held", 500, "USD", time.Second), row("held", 0, "", 0),
		row("succeeded", 99999, "EUR", time.Hour),
	}
	if got := atRisk(list, now); got != "13.00 EUR and 5.00 USD at risk. The oldest began 5 min ago." {
		t.Errorf("%q", got)
	}
	if got := atRisk(list[3:4], now); got != "The oldest began 0.0 s ago." {
		t.Errorf("%q", got)
	}
	if got := atRisk(list[4:], now); got != "" {
		t.Errorf("%q", got)
	}
}

// TestHeadlineNamesWhatFailsMost: of circuits that are all open, the one whose calls fail is told first.
func TestHeadlineNamesWhatFailsMost(t *testing.T) {
	s := newSite(t, options{})
	s.plane.set(func(p *plane) {
		for i := range p.view.World.Cells {
			c := &p.view.World.Cells[i]
			switch {
			case c.Provider == "backup" && c.Region == "us-east":
				c.Breaker, c.Since, c.Calls, c.Failed = "open", s.now, 100, 0
			case c.Provider == "legacy" && c.Region == "us-east":
				c.Breaker, c.Since, c.Calls, c.Failed = "open", s.now, 100, 90
			case c.Provider == "main":
				c.Breaker, c.Since, c.Calls, c.Failed, c.Success = "closed", time.Time{}, 100, 0, 100
			}
		}
	})
	s.web.look()
	if got := textOf(headline(s.web.scene(), view.Prefs{})); !strings.Contains(got, "legacy is open in us-east") {
		t.Errorf("it says %q", got)
	}
}

// TestAdaptiveHasNoConfiguredShare: where each call is decided for itself, nought per cent would be a lie.
func TestAdaptiveHasNoConfiguredShare(t *testing.T) {
	s := newSite(t, options{})
	s.plane.apply(t, state.Command{ApplyPolicy: &state.ApplyPolicy{Source: []byte(priced()), Replace: true}})
	s.web.look()
	for _, rows := range matrix(s.web.scene(), view.Prefs{}).Services {
		for _, c := range rows.Providers[0].Cells {
			if (c.Share == "") != (rows.Strategy == "adaptive") {
				t.Errorf("%s, %s: a share of %q", rows.Name, rows.Strategy, c.Share)
			}
		}
	}
	wants(t, s.get("/providers/bank", 200), "adaptive", "!0 %<span class=\"note\">")
}

// TestHourKeepsItsNoughts: ten minutes are not one.
func TestHourKeepsItsNoughts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Hour: "1h", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m", 10 * time.Second: "10s", 30 * time.Minute: "30m", 90 * time.Second: "1m30s",
		4 * time.Second: "4s", 10 * time.Hour: "10h",
	} {
		if got := hour(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
