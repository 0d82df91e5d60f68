package web

import (
	"segue/controlplane/health"
	"segue/web/view"
)

// blames are the leader's verdicts in words, the widest first: those that about says, nil for all.
func blames(s scene, p view.Prefs, about func(health.Verdict) bool) []view.Blame {
	var list []view.Blame
	for _, v := range s.View.World.Verdicts {
		if about != nil && !about(v) {
			continue
		}
		b := view.Blame{Level: view.Warn, Text: v.Sentence(), Since: "since " + p.Clock(v.Since), Do: doAbout(v)}
		if v.Kind == health.OursFault {
			b.Level = view.Bad
		}
		list = append(list, b)
	}
	return list
}

// doAbout is what becomes of it.
func doAbout(v health.Verdict) string {
	switch v.Kind {
	case health.ProviderFault:
		if !v.Eject {
			return "Agents judge it by their own calls: what is left could not carry its share, or another provider was left a moment ago."
		}
		return "Agents in every region look at it more closely; one whose calls succeed keeps sending."
	case health.PathFault:
		return "Calls from there go elsewhere; other regions keep the provider."
	case health.RegionFault:
		return "Providers are not blamed. Load balancers are told that the region does not serve."
	case health.OursFault:
		return "No provider is to blame. Look at your own network, names, certificates and the last change."
	}
	return ""
}

// blamed is a headline with the verdicts below it.
func blamed(h view.Headline, list []view.Blame) view.Headline {
	h.Blames = list
	for _, b := range list {
		if b.Level == view.Bad {
			h.Level = view.Bad
		}
	}
	return h
}

func overviewHeadline(s scene, p view.Prefs) view.Headline {
	return blamed(headline(s, p), blames(s, p, nil))
}

func aboutProvider(name string) func(health.Verdict) bool {
	return func(v health.Verdict) bool { return v.Provider == name || v.Kind == health.OursFault }
}

func aboutRegion(name string) func(health.Verdict) bool {
	return func(v health.Verdict) bool { return v.Region == name || v.Kind == health.OursFault }
}
