package dataplane

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// Bounds of the generations on disk.
const (
	keptGenerations = 8       // one bad file, or a few, must not leave the agent without a policy
	maxGeneration   = 4 << 20 // a policy is at most 1 MiB, orders a few KiB
	generationHead  = "segue-generation 1 "
)

var errCorrupt = errors.New("dataplane: the generation is corrupt")

// generations are the last good Updates, a file each. A restart serves by the newest without asking anybody.
type generations struct {
	dir  string
	log  *slog.Logger
	last uint64 // number of the newest file
}

// generation is the content of a file. Saved lets the orders in it go on running out while the agent is down.
type generation struct {
	state.Position
	Revision uint64
	Policy   []byte
	Orders   []policy.Order
	Now      time.Time // of the sender
	Saved    time.Time // by this machine's clock
}

func openGenerations(dir string, log *slog.Logger) (*generations, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	g := &generations{dir: dir, log: log}
	for _, name := range g.newestFirst() {
		g.last = max(g.last, numberOf(name))
	}
	return g, nil
}

// newestFirst lists the files.
func (g *generations) newestFirst() []string {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		g.log.Error("the generations cannot be listed", "error", err)
		return nil
	}
	var names []string
	for _, e := range entries {
		if numberOf(e.Name()) > 0 {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(numberOf(b), numberOf(a)) })
	return names
}

// numberOf reads generation-17; 0: the name is none.
func numberOf(name string) uint64 {
	var n uint64
	if _, err := fmt.Sscanf(name, "generation-%d", &n); err != nil || name != nameOf(n) {
		return 0
	}
	return n
}

func nameOf(n uint64) string { return fmt.Sprintf("generation-%d", n) }

// load reads a file. Whatever is not exactly what was written is an error.
func (g *generations) load(name string, now time.Time) (state.Update, error) {
	raw, err := readBounded(filepath.Join(g.dir, name))
	if err != nil {
		return state.Update{}, err
	}
	head, body, ok := bytes.Cut(raw, []byte("\n"))
	sum, known := strings.CutPrefix(string(head), generationHead)
	if !ok || !known {
		return state.Update{}, fmt.Errorf("%w: it does not begin as one", errCorrupt)
	}
	if is := sha256.Sum256(body); hex.EncodeToString(is[:]) != sum {
		return state.Update{}, fmt.Errorf("%w: its checksum does not fit", errCorrupt)
	}
	var c generation
	if err := json.Unmarshal(body, &c); err != nil {
		return state.Update{}, fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return state.Update{
		Position: c.Position, Revision: c.Revision, Policy: c.Policy, Orders: c.Orders, Now: c.Now.Add(max(0, now.Sub(c.Saved))),
	}, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	if info.Size() > maxGeneration {
		return nil, fmt.Errorf("%w: %d bytes, over %d", errCorrupt, info.Size(), maxGeneration)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("dataplane: %w", err)
	}
	return raw, nil
}

// save writes u as the newest generation: whole, durable and under its name, or not at all. Then the oldest go.
func (g *generations) save(u state.Update, now time.Time) error {
	body, err := json.Marshal(generation{Position: u.Position, Revision: u.Revision, Policy: u.Policy, Orders: u.Orders, Now: u.Now, Saved: now})
	if err != nil {
		return fmt.Errorf("dataplane: generation: %w", err)
	}
	sum := sha256.Sum256(body)
	content := append([]byte(generationHead+hex.EncodeToString(sum[:])+"\n"), body...)
	if err := writeDurable(filepath.Join(g.dir, nameOf(g.last+1)), content, 0o600); err != nil {
		return err
	}
	g.last++
	g.prune()
	return nil
}

func (g *generations) prune() {
	names := g.newestFirst()
	for _, name := range names[min(len(names), keptGenerations):] {
		if err := os.Remove(filepath.Join(g.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.log.Warn("an old generation could not be removed", "error", err)
		}
	}
}

// writeDurable writes a file so that after a power cut it is there whole, or not at all.
func writeDurable(path string, content []byte, mode fs.FileMode) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("dataplane: %w", err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("dataplane: write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
