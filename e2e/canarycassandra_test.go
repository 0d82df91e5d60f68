package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"segue/dataplane/cassandra/clustertest"
)

// TestCassandraCanaries is TestCanaries with two agents on a real Cassandra of one node: in its rows, files and logs, in the hints of an agent
// that cannot reach it, and in those that its mirror keeps, there is no secret either.
func TestCassandraCanaries(t *testing.T) {
	if os.Getenv("SEGUE_CASSANDRA") == "" {
		t.Skip("needs a real Cassandra: make cassandra")
	}
	cluster, err := clustertest.Start(nil, "dc1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	s, host := newSecrets(seed(t)), cluster.Hosts()[0]
	w, leaks := leakyWorld(t, s, func(w *world, region string) []string {
		args := []string{"--store", "cassandra://" + host + "?migrate=true", "--keys", filepath.Join(w.dir, "keys")}
		if region == "local" {
			args = append(args, "--mirror", "http://"+w.admin("other"))
		}
		return args
	}, "other", "local")
	seen := newFinder(s)
	imports := w.leakAll(t, s, leaks, seen)
	w.leakHints(t, s, cluster, seen)
	w.crash(t)
	rows := seen.dump(t, host)
	if _, err := cluster.Nodetool(1, "flush"); err != nil {
		t.Fatal(err)
	}
	files := seen.tree(t, w.dir) + seen.tree(t, clusterDir(t, host))
	seen.verdict(t, files, rows, imports)
}

// leakHints writes fields while the cluster hangs: they are hinted, here and at the mirror, and everything is looked through before and after
// they were replayed.
func (w *world) leakHints(t *testing.T, s secrets, cluster *clustertest.Cluster, seen *finder) {
	t.Helper()
	if err := cluster.Pause(1); err != nil {
		t.Fatal(err)
	}
	c := w.caller("local")
	eventually(t, time.Minute, "fields are hinted here and at the mirror", func() error {
		var last told
		for field, raw := range map[string]string{"note": s["session field"], "cart": fmt.Sprintf(`{"add": [%q]}`, s["set item"]), "card": s["card"]} {
			last = c.do(ask{method: http.MethodPut, path: "/.segue/v1/sessions/ses-moves/fields/" + field, raw: raw, header: map[string]string{"Content-Type": "text/plain"}})
		}
		waiting, mirrored := w.hinted(t)
		if waiting == 0 || mirrored == 0 {
			return fmt.Errorf("%d hints wait, the mirror keeps %d; the last write: %v %s", waiting, mirrored, last, last.body)
		}
		return nil
	})
	w.leakOutputs(seen)
	for _, dir := range []string{filepath.Join(w.agentDir("local"), "hints"), filepath.Join(w.agentDir("other"), "mirrored")} {
		if n := seen.tree(t, dir); n == 0 {
			t.Errorf("there is nothing in %s", dir)
		}
	}
	if err := cluster.Resume(1); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the hints are replayed", func() error {
		if waiting, _ := w.hinted(t); waiting > 0 {
			return fmt.Errorf("%d wait", waiting)
		}
		return nil
	})
}

// hinted counts the hints that wait, and those that mirrors keep.
func (w *world) hinted(t *testing.T) (waiting, mirrored int) {
	t.Helper()
	var logs struct {
		Agents []struct{ Waiting, Mirrored int }
	}
	resp, err := http.Get("http://" + w.ports.api[0] + "/api/v1/hints")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&logs); err != nil {
		t.Fatal(err)
	}
	for _, l := range logs.Agents {
		waiting, mirrored = waiting+l.Waiting, mirrored+l.Mirrored
	}
	return waiting, mirrored
}

// dump looks through every row of every table of Segue's in a cluster.
func (f *finder) dump(t *testing.T, host string) int {
	t.Helper()
	config := gocql.NewCluster(host)
	config.ProtoVersion, config.Timeout, config.DisableInitialHostLookup = 4, 10*time.Second, true
	db, err := config.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables []string
	var keyspace, table string
	for it := db.Query("SELECT keyspace_name, table_name FROM system_schema.tables").Iter(); it.Scan(&keyspace, &table); {
		if !strings.HasPrefix(keyspace, "system") {
			tables = append(tables, keyspace+"."+table)
		}
	}
	rows := 0
	for _, name := range tables {
		it := db.Query("SELECT * FROM " + name).Iter()
		for row := map[string]any{}; it.MapScan(row); row = map[string]any{} {
			rows++
			for column, v := range row {
				f.look(fmt.Sprintf("%s.%s", name, column), plain(v), 0)
			}
		}
		if err := it.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d tables: %v", len(tables), tables)
	return rows
}

// plain is a column's value as bytes.
func plain(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case [][]byte:
		var all []byte
		for _, b := range v {
			all = append(append(all, b...), '\n')
		}
		return all
	default:
		return []byte(fmt.Sprint(v))
	}
}

// clusterDir is where deploy/cassandra/cluster keeps what the nodes of a test write.
func clusterDir(t *testing.T, host string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cmp.Or(os.Getenv("SEGUE_CASSANDRA_HOME"), filepath.Join(cache, "segue", "cassandra")), "cluster-"+strings.Split(host, ".")[2])
}
