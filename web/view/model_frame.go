package view

// NavGroup is a group of pages in the navigation.
type NavGroup struct {
	ID, Name string
	Pages    []NavPage
}

// NavPage is one entry.
type NavPage struct{ ID, Name, Href string }

// navGroups are the pages that are built, in the groups in which operators look for them.
func navGroups() []NavGroup {
	return []NavGroup{
		{"steer", "Steer", []NavPage{
			{"overview", "Overview", "/"}, {"regions", "Regions", "/regions"}, {"providers", "Providers", "/providers"}, {"routing", "Routing", "/routing"}, {"changes", "Changes", "/changes"},
		}},
		{"trace", "Trace", []NavPage{{"transactions", "Transactions", "/transactions"}, {"sessions", "Sessions", "/sessions"}, {"hints", "Hints and repair", "/hints"}}},
		{"run", "Run", []NavPage{{"cost", "Cost", "/cost"}, {"cluster", "Cluster", "/cluster"}, {"api", "API", "/api"}}},
	}
}

// Pages lists every page that the navigation leads to.
func Pages() []NavPage {
	var all []NavPage
	for _, g := range navGroups() {
		all = append(all, g.Pages...)
	}
	return all
}
