package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCorruptGenerations spoils the agent's generations, with no control node alive: it serves by the newest that is whole, and says
// which it skipped.
func TestCorruptGenerations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alone())
	w.segue("weight", "set", "payments", "local", "backup=100").fine(t)
	c := w.caller("local")
	eventually(t, 10*time.Second, "the change is with the agent", func() error {
		if by := c.get("/v1/balance", "").must(t).via(); by != backupProvider {
			return fmt.Errorf("%s", by)
		}
		return nil
	})
	newest := filepath.Join(w.agentDir("local"), "generations", "generation-2")
	eventually(t, 10*time.Second, "it is on disk too", func() error {
		_, err := os.Stat(newest)
		return err
	})
	w.nodes[0].kill()
	w.agents["local"].kill()
	whole := read(t, newest)
	for name, spoilt := range spoil(whole) {
		t.Run(name, func(t *testing.T) {
			write(t, newest, spoilt)
			w.agents["local"].start()
			w.agentReady("local", 10*time.Second)
			if by := c.get("/v1/balance", "").must(t).via(); by != mainProvider {
				t.Errorf("served by %s: want the generation before, which has main", by)
			}
			w.agents["local"].kill()
		})
	}
	if said := w.agents["local"].said(); !strings.Contains(said, filepath.Base(newest)) {
		t.Error("the agent did not name the file that it skipped")
	}
	write(t, newest, whole)
	w.agents["local"].start()
	w.agentReady("local", 10*time.Second)
	if by := c.get("/v1/balance", "").must(t).via(); by != backupProvider {
		t.Errorf("the whole file is back, and %s serves", by)
	}
}

// spoil is a file's content, broken in different ways.
func spoil(whole []byte) map[string][]byte {
	flipped := bytes.Clone(whole)
	if len(flipped) > 0 {
		flipped[len(flipped)/2] ^= 0x40
	}
	return map[string][]byte{"cut": whole[:len(whole)/2], "flipped": flipped, "emptied": {}}
}

// files are the regular files under a part of an agent's directory, by name.
func (w *world) files(region, part string) []string {
	w.t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(w.agentDir(region), part), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, p)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b string) int { // generation-9 before generation-10
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCorruptStore spoils each file of the agent's store and keys in turn. Whatever the agent does then, it does not lose what it
// acknowledged without a word: either every transaction is still there, or it refuses to start and says why.
func TestCorruptStore(t *testing.T) {
	t.Parallel()
	p := alone()
	p.weights = map[string]string{"local": "{legacy: 100}"} // a provider with keys would hide a loss: it replays the charge itself
	w := newWorld(t, p)
	agent, c := w.agents["local"], w.caller("local")
	const n = 40
	for i := range n {
		c.charge(fmt.Sprintf("o-%d", i), "").must(t)
	}
	agent.kill()
	files := append(w.files("local", "store"), w.files("local", "keys")...)
	keep := filepath.Join(w.dir, "whole")
	if err := os.CopyFS(keep, os.DirFS(w.agentDir("local"))); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		whole := read(t, file)
		if len(whole) == 0 || filepath.Base(file) == "LOCK" {
			continue
		}
		for how, spoilt := range spoil(whole) {
			t.Run(filepath.Base(file)+" "+how, func(t *testing.T) {
				write(t, file, spoilt)
				w.holdsOrRefuses(t, n)
				restore(t, keep, w.agentDir("local"))
			})
		}
	}
	agent.start()
	w.agentReady("local", 10*time.Second)
	if got := len(w.transactions("")); got != n {
		t.Errorf("%d of %d transactions after the files were restored", got, n)
	}
}

// holdsOrRefuses starts the agent on spoilt files.
func (w *world) holdsOrRefuses(t *testing.T, n int) {
	t.Helper()
	agent := w.agents["local"]
	said := len(agent.said())
	agent.start()
	started := false
	eventually(t, 20*time.Second, "the agent serves or ends", func() error {
		if !agent.running() {
			return nil
		}
		err := wants(200, w.url("local")+"/.segue/region")
		started = err == nil
		return err
	})
	if !started {
		told := agent.said()[said:]
		if code := agent.await(time.Second); code != 1 || !strings.Contains(told, "segue: ") {
			t.Errorf("it ended with %d, and said %s", code, tail(told, 10))
		}
		t.Log("refused: " + tail(told, 1))
		return
	}
	t.Log("it serves")
	defer agent.kill()
	before := w.charges(legacyProvider)
	for i := range n {
		order := fmt.Sprintf("o-%d", i)
		again := w.caller("local").charge(order, "")
		if again.header.Get("Idempotent-Replayed") != "true" && again.problem() != "answer-not-kept" {
			t.Errorf("%s is not known any more, and nothing was said: %v", order, again)
			break
		}
	}
	if more := w.charges(legacyProvider) - before; more != 0 {
		t.Errorf("the provider got %d requests more for charges that were acknowledged", more)
	}
}

// restore puts the directory back as it was.
func restore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
