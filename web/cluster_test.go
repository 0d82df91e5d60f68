package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/controlplane/state"
)

// binary is what a backup is sent as.
var binary = []string{"Segue-Reason", "why not", "Segue-Actor", "ann", "Content-Type", "application/octet-stream"}

var byAnn = []string{"Segue-Reason", "why not", "Segue-Actor", "ann"}

func TestClusterIsShown(t *testing.T) {
	s := newSite(t, options{})
	var got struct {
		Leader        string
		Quorum, Alive int
		Outlook       string
		Acks          []any
		Nodes         []nodeView
	}
	s.json(http.MethodGet, "/api/v1/cluster", "", 200, &got)
	if got.Leader != "c2" || len(got.Acks) != 3 || len(got.Nodes) != 3 || got.Nodes[1].Role != "leader" || got.Nodes[2].Lag != 2 || got.Nodes[0].SnapshotAt.IsZero() {
		t.Errorf("%+v", got)
	}
	s.plane.set(func(p *plane) {
		p.changed = func(c *Cluster) { c.Nodes[2].Role, c.Nodes[2].Err, c.Alive = "unreachable", "c3 does not answer", 2 }
	})
	s.json(http.MethodGet, "/api/v1/cluster", "", 200, &got)
	if got.Nodes[2].Error == "" || !strings.Contains(got.Outlook, "one more failure, and nothing can be changed") {
		t.Errorf("%+v", got)
	}
	s.plane.set(func(p *plane) { p.down, p.leader = true, "" })
	s.json(http.MethodGet, "/api/v1/cluster", "", 200, &got)
	if len(got.Nodes) != 0 || !strings.Contains(got.Outlook, "No control node answers") {
		t.Errorf("%+v", got)
	}
}

// Outlook's words for so many voters, of whom so many answer.
func TestOutlook(t *testing.T) {
	for _, row := range []struct {
		voters, alive int
		says          string
	}{
		{0, 0, "No control node"}, {1, 1, "one voter"}, {2, 2, "all of them are needed"}, {3, 3, "One more failure changes nothing"},
		{3, 2, "one more failure, and nothing"}, {3, 1, "There is no quorum: 1 of 3"}, {5, 5, "2 more failures change nothing"}, {5, 2, "3 are needed"},
	} {
		c := Cluster{Alive: row.alive, Quorum: row.voters/2 + 1}
		for i := range row.voters {
			c.Nodes = append(c.Nodes, Node{ID: fmt.Sprint(i), Voter: true})
		}
		if got := c.Outlook(); !strings.Contains(got, row.says) {
			t.Errorf("%d of %d: %s", row.alive, row.voters, got)
		}
	}
}

func TestClusterIsSteered(t *testing.T) {
	s := newSite(t, options{})
	for _, row := range []struct {
		method, path, body string
		want               state.Membership
	}{
		{http.MethodPost, "/transfer", ``, state.Membership{Kind: state.Transfer}},
		{http.MethodPost, "/transfer", `{"to":"c3"}`, state.Membership{Kind: state.Transfer, Node: "c3"}},
		{http.MethodPost, "/nodes", `{"id":"c4","raft":"127.0.0.1:7083"}`, state.Membership{Kind: state.AddNode, Node: "c4", Raft: "127.0.0.1:7083"}},
		{http.MethodDelete, "/nodes/c1", ``, state.Membership{Kind: state.RemoveNode, Node: "c1"}},
		{http.MethodDelete, "/nodes/c1?force=true", ``, state.Membership{Kind: state.RemoveNode, Node: "c1", Force: true}},
	} {
		s.json(row.method, "/api/v1/cluster"+row.path, row.body, 200, nil, byAnn...)
		took := s.plane.took[len(s.plane.took)-1]
		if *took.Membership != row.want || took.Reason != "why not" || !strings.HasPrefix(took.Actor, "ann") || took.Request == "" {
			t.Errorf("%s %s: %+v %+v", row.method, row.path, took, took.Membership)
		}
		if !strings.Contains(row.path, "force") { // asked for without a reason
			s.json(row.method, "/api/v1/cluster"+row.path, row.body, 422, nil)
		}
	}
	s.json(http.MethodPost, "/api/v1/cluster/nodes", `{"id":"c4","address":"x"}`, 422, nil, byAnn...)
	s.json(http.MethodPost, "/api/v1/cluster/nodes", `{"id":"c4"}`, 422, nil, byAnn...)
	s.json(http.MethodDelete, "/api/v1/cluster/nodes/c1?force=maybe", ``, 422, nil, byAnn...)
	s.plane.set(func(p *plane) { p.leader = "" })
	s.json(http.MethodPost, "/api/v1/cluster/transfer", ``, 503, nil, byAnn...)
	s.json(http.MethodGet, "/api/v1/cluster/backup", ``, 503, nil, "Accept", "application/octet-stream")
}

func TestBackupAndRestore(t *testing.T) {
	s := newSite(t, options{})
	rec := s.ask(http.MethodGet, "/api/v1/cluster/backup", "")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/octet-stream" || !strings.Contains(rec.Header().Get("Content-Disposition"), ".backup") {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	good := bytes.Clone(rec.Body.Bytes())
	s.plane.apply(t, weight(10, 90, 0))
	bad := bytes.Replace(good, []byte("payments"), []byte("paymints"), 1)
	s.json(http.MethodPost, "/api/v1/cluster/restore", string(bad), 422, nil, binary...)
	s.json(http.MethodPost, "/api/v1/cluster/restore", string(good), 422, nil, binary[4:]...)
	if n := s.plane.State().Current().Number; n != 2 {
		t.Errorf("revision %d", n)
	}
	var done struct {
		Revision    uint64
		Incarnation string
	}
	s.json(http.MethodPost, "/api/v1/cluster/restore", string(good), 200, &done, binary...)
	if done.Revision != 1 || done.Incarnation != "next" {
		t.Errorf("%+v", done)
	}
	large := strings.Repeat("x", maxForm+1) // more than a form may have: it must come as far as its checksum
	s.json(http.MethodPost, "/api/v1/cluster/restore", large, 422, nil, binary...)
}

// After a restore the revision that agents acknowledge is lower than before: what they acknowledged of an earlier life counts no more.
func TestAcknowledgementsOfAnEarlierLife(t *testing.T) {
	k := newWatch()
	ack := func(life string, revision uint64) state.Ack {
		return state.Ack{Agent: "a1", Region: "eu", Revision: revision, At: time.Unix(int64(revision), 0), Position: state.Position{Incarnation: life}}
	}
	k.keep(state.New("one"), View{Acks: []state.Ack{ack("one", 7)}}, true)
	k.keep(state.New("two"), View{Acks: []state.Ack{ack("one", 7)}}, true)
	if k.revision != 0 || len(k.acked) != 0 {
		t.Errorf("revision %d, %v", k.revision, k.acked)
	}
	k.keep(state.New("two"), View{Acks: []state.Ack{ack("two", 2)}}, true)
	if k.revision != 2 || len(k.acked) != 1 {
		t.Errorf("revision %d, %v", k.revision, k.acked)
	}
}
