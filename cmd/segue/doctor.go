package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// What the doctor holds for right.
const (
	maxSkew    = 2 * time.Second
	maxAge     = 5 * time.Second
	maxLag     = 1000
	minFree    = 0.2
	minFiles   = 4096
	slowSync   = 20 * time.Millisecond
	syncRounds = 20
)

// finding is what one check found.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // fine, note or wrong
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"`
}

// doctor collects findings.
type doctor struct {
	*settings
	ctx   context.Context
	found []finding
}

func (d *doctor) fine(check, format string, args ...any) {
	d.found = append(d.found, finding{check, "fine", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) note(check, fix, format string, args ...any) {
	d.found = append(d.found, finding{check, "note", fmt.Sprintf(format, args...), fix})
}

func (d *doctor) wrong(check, fix, format string, args ...any) {
	d.found = append(d.found, finding{check, "wrong", fmt.Sprintf(format, args...), fix})
}

func newDoctor(s *settings) *cobra.Command {
	var dir, store string
	c := &cobra.Command{
		Use: "doctor", Short: "Check the installation, and say what to do about what is wrong", Args: cobra.NoArgs,
		Long: `Checks, from this machine: the API, leader and quorum, clocks, agents and what they have
acknowledged, the age of their reports, the policy, providers that no region reaches,
listeners, the limit of open files. With --dir also the disk under that directory: free
space, and what a durable write costs (each effect costs two). With --store, a Cassandra:
versions, settings, clocks, tables, copies, repair, nodes and data centres out of reach, and
what a claim costs there, measured with rows that go by themselves.

Exits 1 if something is wrong.`,
		Example: "  segue doctor\n  segue doctor --dir /var/lib/segue -o json\n  segue doctor --store cassandra://127.0.0.1,127.0.0.2?dc=eu-west",
		RunE: func(c *cobra.Command, _ []string) error {
			at, err := parseStore(store)
			if err != nil {
				return err
			}
			d := &doctor{settings: s, ctx: c.Context()}
			d.examine(cmp.Or(dir, at.dir))
			if at.cluster != nil {
				d.cassandra(*at.cluster)
			}
			if err := s.print(d.found, d.tell); err != nil {
				return err
			}
			if n := d.count("wrong"); n > 0 {
				return fmt.Errorf("%d of %d checks found something wrong", n, len(d.found))
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "a node's or an agent's directory: its disk is looked at")
	c.Flags().StringVar(&store, "store", "embedded", "an agent's store, as the agent is told it: a cluster is looked at")
	return c
}

func (d *doctor) count(state string) int {
	n := 0
	for _, f := range d.found {
		if f.State == state {
			n++
		}
	}
	return n
}

func (d *doctor) tell() {
	marks := map[string]string{"fine": "ok", "note": "!", "wrong": "WRONG"}
	for _, f := range d.found {
		fmt.Fprintf(d.io.out, "%-5s  %-10s  %s\n", marks[f.State], f.Check, f.Says)
		if f.Fix != "" {
			fmt.Fprintf(d.io.out, "%-5s  %-10s  → %s\n", "", "", f.Fix)
		}
	}
}

func (d *doctor) examine(dir string) {
	began := time.Now()
	known, err := d.cluster(d.ctx)
	ended := time.Now()
	if err != nil {
		d.wrong("api", "start a control node, or say where one is with --api or $SEGUE_API", "%s", err)
		d.port()
	} else {
		d.fine("api", "%s answers in %s", d.api, ended.Sub(began).Round(time.Millisecond))
		d.nodes(known)
		d.clocks(known, ended)
		d.agents()
		d.policy()
		d.providers()
	}
	d.files()
	if dir != "" {
		d.disk(dir)
	}
}

// port tells a node that is not there from another program in its place.
func (d *doctor) port() {
	addr := strings.TrimPrefix(strings.TrimPrefix(d.api, "http://"), "https://")
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return
	}
	_ = conn.Close() // it was only to be seen
	d.wrong("port", "stop it, or start Segue elsewhere with --listen or --port-offset", "something listens on %s that is no control node", addr)
}

func (d *doctor) nodes(c clusterView) {
	if c.Leader == "" {
		d.wrong("leader", "start the control nodes that are down: a leader is elected in about two seconds once a quorum lives", "nobody leads: nothing can be changed, agents go on")
	} else {
		d.fine("leader", "%s leads in term %d", c.Leader, c.Term)
	}
	switch {
	case c.Alive < c.Quorum:
		d.wrong("quorum", "start the voters that are down", "%s", c.Outlook)
	case c.Alive == c.Quorum:
		d.note("quorum", "three voters survive one death, five survive two: segue cluster add", "%s", c.Outlook)
	default:
		d.fine("quorum", "%s", c.Outlook)
	}
	versions := map[string]bool{}
	for _, n := range c.Nodes {
		switch {
		case n.Error != "":
			d.wrong("node", "look at its process and its log; if it is gone for good: segue cluster remove "+n.ID, "%s", n.Error)
		case n.Lag > maxLag:
			d.wrong("node", "look at its disk: segue doctor --dir, on its machine", "%s is %d entries behind", n.ID, n.Lag)
		case !n.Voter:
			d.note("node", "it gets its vote by itself", "%s is still catching up", n.ID)
		}
		if n.Version != "" {
			versions[n.Version] = true
		}
	}
	if len(versions) > 1 {
		d.note("version", "bring all to the newer one, one after the other", "the control nodes run %d versions", len(versions))
	}
}

// clocks compares this machine's clock at here, when the answer came, with the node's that answered, and by that with the others'.
func (d *doctor) clocks(c clusterView, here time.Time) {
	node := c.Now.Sub(here)
	worst, who := node, d.api
	for _, n := range c.Nodes {
		if ahead := node + time.Duration(n.ClockMS)*time.Millisecond; ahead.Abs() > worst.Abs() && n.Error == "" {
			worst, who = ahead, n.ID
		}
	}
	if worst.Abs() > maxSkew {
		d.wrong("clock", "set both clocks by NTP: the ends of drains and drills are reckoned by them", "the clock of %s is %s ahead of this machine's", who, worst.Round(time.Millisecond))
		return
	}
	d.fine("clock", "the control nodes' clocks are within %s of this machine's", max(worst.Abs().Round(time.Millisecond), time.Millisecond))
}

func (d *doctor) agents() {
	var regions []struct {
		Name    string
		InForce bool `json:"in_force"`
		Why     string
		Agents  []health.AgentSeen
	}
	if err := d.request(d.ctx, call{method: http.MethodGet, path: "/regions"}, &regions); err != nil {
		d.wrong("regions", "", "%s", err)
		return
	}
	seen := 0
	before := d.count("wrong")
	for _, r := range regions {
		if !r.InForce {
			d.wrong("policy", "start an agent there, or look at its log; what it refuses it says there", "%s: %s", r.Name, r.Why)
		}
		for i := range r.Agents {
			seen++
			d.agent(&r.Agents[i])
		}
	}
	if d.count("wrong") == before {
		d.fine("agents", "%d agents in %d regions have the policy in force and report", seen, len(regions))
	}
}

func (d *doctor) agent(a *health.AgentSeen) {
	if age := time.Duration(a.AgeMS) * time.Millisecond; age > maxAge {
		d.wrong("reports", "look whether it runs and reaches a control node", "%s was heard %s ago", a.ID, age.Round(time.Second))
		return
	}
	if skew := time.Duration(a.SkewMS) * time.Millisecond; skew.Abs() > maxSkew {
		d.wrong("clock", "set its clock by NTP", "the clock of %s is %s ahead of the leader's", a.ID, skew)
	}
	for service, addr := range a.Addr {
		host, _, err := net.SplitHostPort(addr)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			continue // elsewhere: what this machine reaches proves nothing
		}
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			d.note("listener", "on that machine itself this is wrong; elsewhere it means nothing", "%s says that it serves %s on %s, and nobody answers there", a.ID, service, addr)
			continue
		}
		_ = conn.Close() // it was only to be seen
	}
}

func (d *doctor) policy() {
	src, err := d.fetch(d.ctx, call{method: http.MethodGet, path: "/policy"}, "application/yaml")
	if err != nil {
		d.note("policy", "segue policy apply FILE puts the first one in force", "%s", err)
		return
	}
	if _, problems := policy.Parse("the policy in force", src); len(problems) > 0 {
		d.wrong("policy", "segue policy get, mend it, segue policy apply", "the policy in force is not valid to this version: %s", problems[0])
		return
	}
	d.fine("policy", "the policy in force is valid")
}

// providers finds those that no region reaches.
func (d *doctor) providers() {
	var world health.World
	if err := d.request(d.ctx, call{method: http.MethodGet, path: "/health"}, &world); err != nil {
		d.note("providers", "wait a second after an election", "%s", err)
		return
	}
	type count struct{ seen, bad int }
	by := map[string]*count{}
	why := map[string]string{}
	for _, cell := range world.Cells {
		if cell.Agents == 0 {
			continue
		}
		if by[cell.Provider] == nil {
			by[cell.Provider] = &count{}
		}
		by[cell.Provider].seen++
		if cell.CheckOK < 0 || cell.Breaker == "open" {
			by[cell.Provider].bad++
			why[cell.Provider] = cell.Why
			if cell.CheckWhy != "" {
				why[cell.Provider] = cell.CheckWhy
			}
		}
	}
	var names []string
	for name := range by {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		switch c := by[name]; {
		case c.bad == c.seen:
			d.wrong("provider", "look at its endpoint and its credential; segue provider drain "+name+" keeps calls away", "%s is reached from no region: %s", name, why[name])
		case c.bad > 0:
			d.note("provider", "segue provider show "+name, "%s is not reached from %d of %d places: %s", name, c.bad, c.seen, why[name])
		}
	}
	if len(names) > 0 && !slices.ContainsFunc(d.found, func(f finding) bool { return f.Check == "provider" }) {
		d.fine("providers", "all %d are reached from every region", len(names))
	}
}

func (d *doctor) files() {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		d.note("files", "", "the limit of open files cannot be read: %s", err)
		return
	}
	if limit.Max < minFiles {
		d.wrong("files", "raise it: LimitNOFILE=65536 in the unit, or ulimit -n", "a process may open %d files; each connection is one", limit.Max)
		return
	}
	if limit.Max == math.MaxUint64 {
		d.fine("files", "a process may open as many files as it likes")
		return
	}
	d.fine("files", "a process may open %d files", limit.Max)
}

// disk measures what a claim costs: the write is durable before the first byte leaves.
func (d *doctor) disk(dir string) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		d.wrong("disk", "name a directory that is there", "%s: %s", dir, err)
		return
	}
	free := float64(st.Bavail) / float64(max(st.Blocks, 1))
	gib := float64(st.Bavail) * float64(st.Bsize) / (1 << 30)
	if free < minFree {
		d.wrong("disk", "make room: an agent without it refuses new effects, a control node does not ask to lead", "%.0f %% of the disk under %s are free (%.1f GiB)", 100*free, dir, gib)
	} else {
		d.fine("disk", "%.0f %% of the disk under %s are free (%.1f GiB)", 100*free, dir, gib)
	}
	took, err := syncs(dir)
	if err != nil {
		d.wrong("disk", "the process must be able to write there", "%s", err)
		return
	}
	median, worst := took[len(took)/2], took[len(took)-1]
	says := fmt.Sprintf("a durable write takes %s, at worst %s: each effect costs two of the first", rounded(median), rounded(worst))
	if median > slowSync {
		d.wrong("fsync", "use a disk with a write cache that survives a power cut", "%s", says)
		return
	}
	d.fine("fsync", "%s", says)
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// syncs writes and syncs a page a few times, and returns how long each took, sorted.
func syncs(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	for range syncRounds {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(f.Name()), err)
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(f.Name()), err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}
