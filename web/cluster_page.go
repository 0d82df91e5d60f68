package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/state"
	"segue/web/view"
)

// clusterWithin bounds a question to every node, for a page: one that does not answer is shown as such.
const clusterWithin = 2 * time.Second

// restoreForm takes a file, so its body may be as large as the API's.
const restoreForm = "/cluster/restore"

// clusterPage is the control nodes. With remove in the query it reviews taking one out.
func (w *Web) clusterPage(c echo.Context) error {
	if wantsJSON(c) {
		return w.cluster(c)
	}
	s := w.fresh(c.Request().Context())
	known := w.askCluster(c.Request().Context(), s)
	f := w.frame(c, "Cluster", "cluster", "/live/cluster")
	f.Path, f.Command = "/cluster", "segue cluster status"
	page := view.Cluster{
		Frame: f, Headline: clusterHeadline(known), Nodes: nodeRows(known, s, f.Prefs), Agents: agentRows(s, everywhere), Request: rand.Text(),
		Steers: len(known.Nodes) > 1, Targets: []view.Option{{Label: "whoever has the most of the log", Chosen: true}}, Done: steeredText(c.QueryParam("done")),
	}
	for _, n := range known.Nodes {
		if n.Voter && n.ID != known.Leader && n.Err == "" {
			page.Targets = append(page.Targets, view.Option{Value: n.ID, Label: n.ID})
		}
		if n.ID == c.QueryParam("remove") {
			page.Remove = removal(known, n)
		}
	}
	if c.QueryParam("remove") != "" && page.Remove == nil {
		return refusal(state.NotFound, fmt.Sprintf("there is no control node %q", c.QueryParam("remove")))
	}
	return w.html(c, http.StatusOK, view.ClusterPage(page))
}

func everywhere(string) bool { return true }

// askCluster asks every node. Where none can be asked, what the frame knows is all there is.
func (w *Web) askCluster(ctx context.Context, s scene) Cluster {
	ctx, cancel := context.WithTimeout(ctx, clusterWithin)
	defer cancel()
	known, err := w.cfg.Control.Cluster(ctx)
	if err != nil {
		return Cluster{Leader: s.Leader, Term: s.Term}
	}
	return known
}

// clusterParts asks the nodes every other beat: an answer of the slowest is awaited.
func (w *Web) clusterParts(ctx context.Context, p view.Prefs) func(int) []part {
	return func(beat int) []part {
		s := w.scene()
		parts := append(w.statusParts(s), part{"agents", view.AgentsPart(agentRows(s, everywhere), true)})
		if beat%listEvery != 0 {
			return parts
		}
		known := w.askCluster(ctx, s)
		return append(parts, part{"headline", view.HeadlinePart(clusterHeadline(known))}, part{"nodes", view.NodesPart(nodeRows(known, s, p))})
	}
}

func clusterHeadline(c Cluster) view.Headline {
	h := view.Headline{Level: view.OK, More: c.Outlook()}
	voters := 0
	for _, n := range c.Nodes {
		if n.Voter {
			voters++
		}
	}
	answer := fmt.Sprintf("%d of %s answer.", c.Alive, plural(voters, "voter"))
	switch {
	case c.Leader == "" && voters == 0:
		h.Level, h.Parts = view.Bad, []view.Part{{Text: "No control node answers.", Level: view.Bad}}
	case c.Leader == "":
		h.Level, h.Parts = view.Bad, []view.Part{{Text: "Nobody leads; ", Level: view.Bad}, {Text: answer}}
	case c.Alive < c.Quorum:
		h.Level, h.Parts = view.Bad, []view.Part{{Text: c.Leader + " leads; "}, {Text: answer, Level: view.Bad}}
	case c.Alive == c.Quorum && voters > 1:
		h.Level, h.Parts = view.Warn, []view.Part{{Text: c.Leader + " leads; "}, {Text: answer, Level: view.Warn}}
	default:
		h.Parts = say(c.Leader + " leads; " + answer)
	}
	return h
}

func nodeRows(c Cluster, s scene, p view.Prefs) []view.NodeRow {
	var rows []view.NodeRow
	for _, n := range c.Nodes {
		row := view.NodeRow{
			ID: n.ID, Level: view.OK, Icon: "ok", Word: n.Role, Applied: view.Count(n.Applied), Lag: lagText(c.Lag(n)), Snapshot: "none yet", Contact: contactText(n),
			Clock: skew(n.Clock),
		}
		for _, addr := range []string{n.API, n.Raft} {
			if addr != "" {
				row.Addresses = append(row.Addresses, addr)
			}
		}
		if n.Snapshot > 0 {
			row.Snapshot = view.Count(n.Snapshot)
			if !n.SnapshotAt.IsZero() {
				row.Snapshot += ", " + view.Span(s.Now.Sub(n.SnapshotAt)) + " ago"
			}
		}
		if len(c.Nodes) > 1 {
			row.Remove = "/cluster?remove=" + url.QueryEscape(n.ID)
		}
		switch {
		case n.Err != "":
			row.Level, row.Icon, row.Note = view.Bad, "bad", n.Err
			row.Applied, row.Lag, row.Snapshot, row.Contact, row.Clock = "–", "", "–", "–", "–"
		case !n.Voter:
			row.Level, row.Icon, row.Note = view.Warn, "under-way", "has no vote yet"
		}
		rows = append(rows, row)
	}
	return rows
}

func lagText(entries uint64) string {
	if entries == 0 {
		return "has everything"
	}
	return view.Count(entries) + " behind"
}

func contactText(n Node) string {
	switch {
	case n.LastContact < 0:
		return "never"
	case n.LastContact == 0:
		return "leads"
	default:
		return view.Millis(float64(n.LastContact)/float64(time.Millisecond)) + " ago"
	}
}

// removal is what taking a node out would mean.
func removal(c Cluster, n Node) *view.RemoveReview {
	voters, left := 0, c.Alive
	for _, other := range c.Nodes {
		if other.Voter && other.ID != n.ID {
			voters++
		}
	}
	if n.Voter && n.Err == "" {
		left--
	}
	need := voters/2 + 1
	v := &view.RemoveReview{
		ID: n.ID, Action: "/cluster/nodes/" + url.PathEscape(n.ID) + "/remove", Discard: "/cluster", Request: rand.Text(), Command: "segue cluster remove " + n.ID,
		Effects: []view.Pair{{Name: "voters left", Value: fmt.Sprint(voters)}, {Name: "of them answer", Value: fmt.Sprint(left)}, {Name: "needed for a change", Value: fmt.Sprint(need)}},
	}
	switch {
	case left < need:
		v.Force, v.Warning = true, "Those that are left would be no quorum: nothing could be changed until one more answers. Agents would go on."
	case left == need:
		v.Warning = "One more failure after it, and nothing can be changed. Agents would go on."
	}
	if n.ID == c.Leader {
		v.Effects = append(v.Effects, view.Pair{Name: "leadership", Value: "handed on first"})
	}
	return v
}

func steeredText(word string) string {
	switch word {
	case "transferred":
		return "The leadership was handed on."
	case "added":
		return "The node was taken in. It gets its vote once it has caught up."
	case "removed":
		return "The node was taken out. Stop its process."
	case "restored":
		return "The backup is in force. Each agent is sent what it says."
	default:
		return ""
	}
}

// steerForm carries a form out and leads back to the page.
func (w *Web) steerForm(c echo.Context, done string, m state.Membership) error {
	a, err := authorOf(c)
	if err != nil {
		return err
	}
	if err := w.steer(c.Request().Context(), a, m); err != nil {
		return err
	}
	return seeOther(c, "/cluster?done="+done)
}

func (w *Web) transferForm(c echo.Context) error {
	return w.steerForm(c, "transferred", state.Membership{Kind: state.Transfer, Node: c.FormValue("to")})
}

func (w *Web) addNodeForm(c echo.Context) error {
	return w.steerForm(c, "added", state.Membership{Kind: state.AddNode, Node: strings.TrimSpace(c.FormValue("id")), Raft: strings.TrimSpace(c.FormValue("raft"))})
}

func (w *Web) removeNodeForm(c echo.Context) error {
	return w.steerForm(c, "removed", state.Membership{Kind: state.RemoveNode, Node: c.Param("id"), Force: c.FormValue("force") == "true"})
}

// restorePost reads the form part by part: the file is never held whole here. Whoever restores has typed the word.
func (w *Web) restorePost(c echo.Context) error {
	parts, err := c.Request().MultipartReader()
	if err != nil {
		return refusal(state.Invalid, "the form brings no file: choose the backup")
	}
	fields := map[string]string{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return refusal(state.Invalid, "backup: choose the file")
		}
		if err != nil {
			return fmt.Errorf("web: restore: %w", err)
		}
		if part.FormName() == "backup" {
			return w.restoreFrom(c, fields, part)
		}
		text, err := io.ReadAll(io.LimitReader(part, maxForm))
		if err != nil {
			return fmt.Errorf("web: restore: %w", err)
		}
		fields[part.FormName()] = strings.TrimSpace(string(text))
	}
}

func (w *Web) restoreFrom(c echo.Context, fields map[string]string, file io.Reader) error {
	switch {
	case fields["confirm"] != "restore":
		return refusal(state.Invalid, "confirm: type the word restore; nothing was changed")
	case fields["reason"] == "":
		return refusal(state.Invalid, "a reason is missing; the audit keeps it")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), restoreWithin)
	defer cancel()
	cmd := state.Command{Version: 1, Request: fields["request"], Actor: localOperator + " @ loopback", Reason: fields["reason"], At: w.cfg.Now()}
	if cmd.Request == "" {
		cmd.Request = rand.Text()
	}
	if err := w.cfg.Control.Restore(ctx, cmd, file); err != nil {
		return fmt.Errorf("web: restore: %w", err)
	}
	return seeOther(c, "/cluster?done=restored")
}
