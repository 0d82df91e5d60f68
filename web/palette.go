package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"segue/controlplane/policy"
	"segue/web/view"
)

// maxEntries bounds the palette: who sees more types another letter.
const maxEntries = 24

// looksLikeID tells what nobody would call a page: ids of ours and of providers, and keys.
var looksLikeID = regexp.MustCompile(`^(tx_|ch_|re_|pi_|SM|ses[-_])[A-Za-z0-9]+$|^[A-Za-z0-9._-]*[0-9][A-Za-z0-9._-]{5,}$`)

// palette finds pages, things and commands by a part of their name. The dialog asks for the same as JSON.
func (w *Web) palette(c echo.Context) error {
	q := strings.TrimSpace(c.QueryParam("q"))
	entries := matching(w.entries(), q)
	if looksLikeID.MatchString(q) {
		entries = append([]view.GoEntry{
			{Kind: "transaction", Label: q, Detail: "look it up: our id, the provider’s id, or a key", Href: "/transactions?q=" + url.QueryEscape(q)},
			{Kind: "session", Label: q, Detail: "look it up, by its Session-Id", Href: "/sessions?id=" + url.QueryEscape(q)},
		}, entries...)
	}
	page := view.Go{Frame: w.frame(c, "Go to", "", ""), Query: q, Entries: entries[:min(len(entries), maxEntries)]}
	return w.answer(c, http.StatusOK, map[string]any{"entries": page.Entries}, view.GoPage(page))
}

// entries are everything that the palette knows, in the order in which it is offered.
func (w *Web) entries() []view.GoEntry {
	s := w.scene()
	doc := s.State.Current().Policy
	list := []view.GoEntry{}
	for _, p := range view.Pages() {
		list = append(list, view.GoEntry{Kind: "page", Label: p.Name, Href: p.Href})
	}
	for i := range doc.Services {
		list = append(list, view.GoEntry{Kind: "service", Label: doc.Services[i].Name, Detail: "its routing", Href: "/routing/" + url.PathEscape(doc.Services[i].Name)})
	}
	for i := range doc.Providers {
		list = append(list, view.GoEntry{Kind: "provider", Label: doc.Providers[i].Name, Detail: doc.Providers[i].Contract, Href: "/providers/" + url.PathEscape(doc.Providers[i].Name)})
	}
	for _, r := range doc.Regions.Names() {
		list = append(list, view.GoEntry{Kind: "region", Label: r, Href: "/regions/" + url.PathEscape(r)})
	}
	if n := s.State.Current().Number; n > 0 {
		list = append(list, view.GoEntry{Kind: "change", Label: fmt.Sprintf("Revision %d", n), Detail: "in force", Href: fmt.Sprintf("/changes/%d", n)})
	}
	return append(list, commandEntries(doc)...)
}

// commandEntries are commands to copy, with names of the policy in force.
func commandEntries(doc *policy.Policy) []view.GoEntry {
	list := []view.GoEntry{
		{Kind: "command", Label: "Watch how everything stands", Command: "segue status -w"},
		{Kind: "command", Label: "Follow what happens", Command: "segue events --follow"},
		{Kind: "command", Label: "What the policy says", Command: "segue policy get"},
		{Kind: "command", Label: "Who changed it", Command: "segue policy log"},
		{Kind: "command", Label: "Outcomes that stay unknown", Command: "segue tx list --state held"},
		{Kind: "command", Label: "Where a session is, and could go on", Command: "segue session show ID"},
		{Kind: "command", Label: "What waits for the store", Command: "segue hint list"},
		{Kind: "command", Label: "The control nodes", Command: "segue cluster status"},
		{Kind: "command", Label: "Is this installation sound", Command: "segue doctor"},
	}
	for i := range doc.Providers {
		name := doc.Providers[i].Name
		list = append(list,
			view.GoEntry{Kind: "command", Label: "Drain " + name, Command: "segue provider drain " + name + " --for 30m"},
			view.GoEntry{Kind: "command", Label: "Resume " + name, Command: "segue provider resume " + name})
	}
	for i := range doc.Services {
		svc := &doc.Services[i]
		for _, r := range doc.Regions.Names() {
			if svc.Strategy == policy.Weighted {
				list = append(list, view.GoEntry{Kind: "command", Label: "Weights of " + svc.Name + " in " + r, Command: weightCommand(svc.Name, r, svc.WeightsIn(r))})
			}
		}
	}
	return list
}

// matching keeps the entries that hold every word, those whose name begins with it first.
func matching(all []view.GoEntry, q string) []view.GoEntry {
	if q == "" {
		return all
	}
	var first, rest []view.GoEntry
	words := strings.Fields(strings.ToLower(q))
	for _, e := range all {
		text := strings.ToLower(e.Kind + " " + e.Label + " " + e.Detail + " " + e.Command)
		missing := false
		for _, word := range words {
			missing = missing || !strings.Contains(text, word)
		}
		switch {
		case missing:
		case strings.HasPrefix(strings.ToLower(e.Label), words[0]):
			first = append(first, e)
		default:
			rest = append(rest, e)
		}
	}
	return append(first, rest...)
}
