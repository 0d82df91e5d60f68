package web

import (
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/web/view"
)

// TestWhoseFaultIsShown: each page shows the verdicts that concern it, in words; one on everything makes the headline red.
func TestWhoseFaultIsShown(t *testing.T) {
	since := time.Date(2026, 11, 21, 14, 2, 11, 0, time.UTC)
	at := func(v health.Verdict) health.Verdict {
		v.Since, v.Until = since, since.Add(time.Minute)
		return v
	}
	var s scene
	s.View.World.Verdicts = []health.Verdict{
		at(health.Verdict{Kind: health.RegionFault, Region: "eu-west", Why: "eu-west's own egress: 2 of its 2 providers fail, and not elsewhere"}),
		at(health.Verdict{Kind: health.ProviderFault, Service: "payments", Provider: "main", Why: "alarmed in 2 of 3 regions", Eject: true}),
		at(health.Verdict{Kind: health.PathFault, Region: "us-east", Service: "sms", Provider: "texts", Why: "fails from us-east alone", Eject: true}),
	}
	texts := func(about func(health.Verdict) bool) string {
		var all []string
		for _, b := range blames(s, view.Prefs{}, about) {
			if b.Do == "" || !strings.HasPrefix(b.Since, "since ") {
				t.Errorf("%+v", b)
			}
			all = append(all, b.Text)
		}
		return strings.Join(all, " | ")
	}
	for _, tc := range []struct {
		page  string
		about func(health.Verdict) bool
		want  string
	}{
		{"overview", nil, "eu-west's own egress: 2 of its 2 providers fail, and not elsewhere | provider main: alarmed in 2 of 3 regions | us-east to texts: fails from us-east alone"},
		{"main", aboutProvider("main"), "provider main: alarmed in 2 of 3 regions"},
		{"texts", aboutProvider("texts"), "us-east to texts: fails from us-east alone"},
		{"eu-west", aboutRegion("eu-west"), "eu-west's own egress: 2 of its 2 providers fail, and not elsewhere"},
		{"us-west", aboutRegion("us-west"), ""},
	} {
		if got := texts(tc.about); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.page, got, tc.want)
		}
	}
	s.View.World.Verdicts = []health.Verdict{at(health.Verdict{Kind: health.OursFault, Why: "ours; gates frozen"})}
	h := blamed(view.Headline{Level: view.OK}, blames(s, view.Prefs{}, aboutRegion("us-west")))
	if h.Level != view.Bad || h.Blames[0].Text != "everything everywhere: ours; gates frozen" {
		t.Errorf("%+v", h)
	}
	var page strings.Builder
	if err := view.HeadlinePart(h).Render(t.Context(), &page); err != nil || !strings.Contains(page.String(), "gates frozen") {
		t.Errorf("%v: %s", err, page.String())
	}
}
