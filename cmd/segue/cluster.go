package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxAnswer bounds what the API may answer: a backup at its bounds is the longest.
const maxAnswer = 128 << 20

// limit is how long a call may take. The cluster's own are longer: an election may pass, and a backup travels.
func (c call) limit() time.Duration {
	if strings.HasPrefix(c.path, "/cluster/") {
		return 70 * time.Second
	}
	return 15 * time.Second
}

// clusterView is the control plane as the API shows it.
type clusterView struct {
	Leader   string        `json:"leader"`
	Term     uint64        `json:"term"`
	Revision uint64        `json:"revision"`
	Quorum   int           `json:"quorum"`
	Alive    int           `json:"alive"`
	Outlook  string        `json:"outlook"`
	Now      time.Time     `json:"now"`
	Nodes    []clusterNode `json:"nodes"`
}

// clusterNode is one control node of it.
type clusterNode struct {
	ID            string    `json:"id"`
	Raft          string    `json:"raft"`
	API           string    `json:"api"`
	Role          string    `json:"role"`
	Voter         bool      `json:"voter"`
	Term          uint64    `json:"term"`
	Applied       uint64    `json:"applied"`
	Lag           uint64    `json:"lag"`
	Snapshot      uint64    `json:"snapshot"`
	SnapshotAt    time.Time `json:"snapshot_at,omitzero"`
	LastContactMS int64     `json:"last_contact_ms"`
	ClockMS       int64     `json:"clock_ms"`
	Version       string    `json:"version"`
	Error         string    `json:"error,omitempty"`
}

func newCluster(s *settings) *cobra.Command {
	group := &cobra.Command{
		Use: "cluster", Short: "Look after the control nodes: who leads, who belongs, backup and restore",
		Long: `The control nodes hold the policy. A change is taken while more than half of the voters live.
Agents never need them to serve a call. Any node can be asked; the leader does it.`,
	}
	group.AddCommand(newClusterStatus(s), newClusterTransfer(s), newClusterAdd(s), newClusterRemove(s), newClusterBackup(s), newClusterRestore(s))
	return group
}

func newClusterStatus(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "How each control node stands, and what one more failure would mean", Args: cobra.NoArgs,
		Example: "  segue cluster status",
		RunE: func(c *cobra.Command, _ []string) error {
			known, err := s.cluster(c.Context())
			if err != nil {
				return err
			}
			return s.print(known, func() { s.tellCluster(known) })
		},
	}
}

func (s *settings) cluster(ctx context.Context) (clusterView, error) {
	var known clusterView
	err := s.request(ctx, call{method: http.MethodGet, path: "/cluster"}, &known)
	return known, err
}

func (s *settings) tellCluster(c clusterView) {
	voters := 0
	rows := [][]string{{"NODE", "ROLE", "TERM", "APPLIED", "LAG", "CONTACT", "SNAPSHOT", "API", "RAFT", "VERSION"}}
	for _, n := range c.Nodes {
		if n.Voter {
			voters++
		}
		row := []string{n.ID, n.Role, fmt.Sprint(n.Term), fmt.Sprint(n.Applied), fmt.Sprint(n.Lag), contact(n), snapshotOf(n, c.Now), n.API, n.Raft, n.Version}
		if n.Error != "" {
			row = []string{n.ID, n.Role, "-", "-", "-", "-", "-", orDash(n.API), n.Raft, "-"}
		}
		rows = append(rows, row)
	}
	if c.Leader == "" {
		fmt.Fprint(s.io.out, "nobody leads; ")
	} else {
		fmt.Fprintf(s.io.out, "%s leads in term %d; ", c.Leader, c.Term)
	}
	fmt.Fprintf(s.io.out, "%d of %d voters answer, %d are needed\n%s\n\n", c.Alive, voters, c.Quorum, c.Outlook)
	s.table(rows)
	for _, n := range c.Nodes {
		if n.Error != "" {
			fmt.Fprintf(s.io.out, "\n%s: %s\n", n.ID, n.Error)
		}
	}
}

func contact(n clusterNode) string {
	switch {
	case n.Role == "leader":
		return "leads"
	case n.LastContactMS < 0:
		return "never"
	default:
		return fmt.Sprintf("%d ms", n.LastContactMS)
	}
}

func snapshotOf(n clusterNode, now time.Time) string {
	if n.SnapshotAt.IsZero() {
		return "none yet"
	}
	return fmt.Sprintf("%d, %s ago", n.Snapshot, now.Sub(n.SnapshotAt).Round(time.Second))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// change makes a change of the cluster and returns how it stands then.
func (s *settings) changeCluster(ctx context.Context, method, path string, body any, reason string) (clusterView, error) {
	var known clusterView
	c := call{method: method, path: path, reason: s.because(reason)}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return known, err
		}
		c.body, c.kind = text, "application/json"
	}
	return known, explain(s.request(ctx, c, &known))
}

func newClusterTransfer(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "transfer [NODE]", Short: "Hand the leadership on, to NODE or to the node that has the most of the log", Args: cobra.MaximumNArgs(1),
		Long:    "Hands the leadership on, before a node is stopped on purpose. Changes wait for a moment; no call and no change fails.",
		Example: "  segue cluster transfer --reason \"c1 gets a new disk\"\n  segue cluster transfer c2",
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]string{}
			if len(args) == 1 {
				body["to"] = args[0]
			}
			known, err := s.changeCluster(c.Context(), http.MethodPost, "/cluster/transfer", body, "transfer by command")
			if err != nil {
				return err
			}
			return s.print(known, func() { fmt.Fprintf(s.io.out, "%s leads in term %d\n", known.Leader, known.Term) })
		},
	}
}

func newClusterAdd(s *settings) *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use: "add ID RAFT-ADDR", Short: "Take in a control node that was started with --join", Args: cobra.ExactArgs(2),
		Long: `Takes in a control node that waits: it was started with "segue control --id ID --join" and
an empty --dir. It gets everything without a vote first, and its vote by itself once it
has caught up. RAFT-ADDR is its --raft.`,
		Example: `  segue control --id c4 --join --dir c4 --listen 127.0.0.1:7073 --raft 127.0.0.1:7083
  segue cluster add c4 127.0.0.1:7083 --reason "a fourth node"`,
		RunE: func(c *cobra.Command, args []string) error {
			known, err := s.changeCluster(c.Context(), http.MethodPost, "/cluster/nodes", map[string]string{"id": args[0], "raft": args[1]}, "added by command")
			if err != nil {
				return err
			}
			if known, err = s.awaitVote(c.Context(), known, args[0], wait); err != nil {
				return err
			}
			return s.print(known, func() { s.tellCluster(known) })
		},
	}
	c.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait until the node votes; 0 does not wait")
	return c
}

// awaitVote shows how a new node catches up.
func (s *settings) awaitVote(ctx context.Context, known clusterView, id string, wait time.Duration) (clusterView, error) {
	if wait <= 0 {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	told := ""
	for {
		i := slices.IndexFunc(known.Nodes, func(n clusterNode) bool { return n.ID == id })
		if i >= 0 && known.Nodes[i].Voter {
			return known, nil
		}
		if i >= 0 {
			if now := progress(known.Nodes[i]); now != told {
				fmt.Fprintln(s.io.err, now)
				told = now
			}
		}
		select {
		case <-ctx.Done():
			return known, fmt.Errorf("%s is in the cluster and has no vote yet; it gets it by itself when it has caught up: segue cluster status shows it", id)
		case <-tick.C:
		}
		if next, err := s.cluster(ctx); err == nil { // an election may be under way
			known = next
		}
	}
}

func progress(n clusterNode) string {
	if n.Applied == 0 {
		return n.ID + ": waiting to hear from it"
	}
	return fmt.Sprintf("%s: has %d entries, %d to go", n.ID, n.Applied, n.Lag)
}

func newClusterRemove(s *settings) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "remove ID", Short: "Take a control node out of the cluster", Args: cobra.ExactArgs(1),
		Long: `Takes a node out, dead or alive; a leader hands the leadership on first. It is refused
when those that are left would be no quorum. --force does it although they do not
answer the node that is asked: where they are really gone, nothing can be changed
any more, and only a restored backup in a new cluster helps. Stop the node's process afterwards.`,
		Example: "  segue cluster remove c3 --reason \"its machine is gone\"",
		RunE: func(c *cobra.Command, args []string) error {
			path := "/cluster/nodes/" + url.PathEscape(args[0])
			if force {
				path += "?force=true"
			}
			known, err := s.changeCluster(c.Context(), http.MethodDelete, path, nil, "removed by command")
			if err != nil {
				return err
			}
			return s.print(known, func() {
				fmt.Fprintf(s.io.out, "%s is out of the cluster: stop its process, and do not start it again with these files\n\n", args[0])
				s.tellCluster(known)
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "although the voters that are left do not answer")
	return c
}

func newClusterBackup(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write the policy, its history and the audit to a file (- for standard output)", Args: cobra.ExactArgs(1),
		Long: `Writes everything that the control nodes keep: revisions, orders, audit. It holds every change
that was acknowledged before, and a checksum. It holds no transactions and no credentials.`,
		Example: "  segue cluster backup segue.backup",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := s.fetch(c.Context(), call{method: http.MethodGet, path: "/cluster/backup"}, "application/octet-stream")
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := s.io.out.Write(text)
				return err
			}
			if err := writeWhole(args[0], text); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return s.print(map[string]any{"file": args[0], "bytes": len(text)}, func() { fmt.Fprintf(s.io.out, "%s has %d bytes\n", args[0], len(text)) })
		},
	}
}

// writeWhole writes a file that is there whole or not at all, also after a power cut.
func writeWhole(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func newClusterRestore(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of everything that the control nodes keep", Args: cobra.ExactArgs(1),
		Long: `Puts a backup in the place of the policy, its history and the audit, on every control node.
What was changed after the backup is gone. Every agent gets the whole policy of the
backup at once. A damaged file, or one of a newer version, changes nothing.`,
		Example: "  segue cluster restore segue.backup --reason \"all three machines were lost\"",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return usageError{err}
			}
			known, err := s.cluster(c.Context())
			if err != nil {
				return err
			}
			if !s.yes && !s.confirmed(fmt.Sprintf("Everything that the control nodes keep (revision %d is in force) gives way to %s. Go on? yes/no ", known.Revision, args[0])) {
				return errors.New("nothing was restored: answer yes, or give --yes")
			}
			var done struct {
				Revision    uint64 `json:"revision"`
				Incarnation string `json:"incarnation"`
			}
			restore := call{method: http.MethodPost, path: "/cluster/restore", body: text, kind: "application/octet-stream", reason: s.because("restored by command")}
			if err := s.request(c.Context(), restore, &done); err != nil {
				return explain(err)
			}
			return s.print(done, func() {
				fmt.Fprintf(s.io.out, "revision %d is in force, as the backup has it; agents get it now (incarnation %s)\n", done.Revision, done.Incarnation)
			})
		},
	}
}

func (s *settings) confirmed(question string) bool {
	fmt.Fprint(s.io.err, question)
	if s.io.in == nil {
		return false
	}
	line, _ := bufio.NewReader(s.io.in).ReadString('\n') // an end without a line is no yes
	return strings.TrimSpace(line) == "yes"
}
