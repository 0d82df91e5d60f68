package probe

import (
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// record is what must not be forgotten of a run: which effect was about to be sent, and what the answers before it said. It is on the disk
// before the effect is on the wire, and goes when nothing is left that has to be taken away.
type record struct {
	Format            int // 1
	ID                string
	Service, Provider string
	Account, Endpoint string
	Plan              policy.Planned
	Vars              map[string]string
	Begun             time.Time
	Next              int      // steps before this one are over
	Sent              bool     // Next was sent, and it is not known how that ended
	Good              []string // names of steps that were as expected
	Failed            string   // why the run is over before its last step
	Tries             int      // of the cleanup
	Waits             string   // why it is not clean yet
}

const recordFormat = 1

// key is the idempotency key of one of a run's effects: the same for the same step, in every life of the agent. A cleanup that is tried
// again is another request: a provider may have stored that the first one failed.
func (r *record) key(c *policy.Contract, phase string, step int) string {
	sum := sha1.Sum(fmt.Appendf(nil, "synthetic/%s/%s/%d", r.ID, phase, step))
	return c.Keys.Make(sum)
}

// journal keeps records in a directory, one file each.
type journal struct{ dir string }

func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return &journal{dir}, nil
}

func (j *journal) path(id string) string { return filepath.Join(j.dir, id+".json") }

// save writes a record so that it is there after a power cut.
func (j *journal) save(r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("probe: run %s: %w", r.ID, err)
	}
	part := j.path(r.ID) + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("probe: run %s: %w", r.ID, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(part, j.path(r.ID))
	}
	if err = errors.Join(err, j.sync()); err != nil {
		return fmt.Errorf("probe: run %s: %w", r.ID, err)
	}
	return nil
}

func (j *journal) sync() error {
	d, err := os.Open(j.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (j *journal) remove(id string) error {
	if err := os.Remove(j.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("probe: run %s: %w", id, err)
	}
	return nil
}

// load reads what earlier lives left. A file that cannot be read stays where it is, and is named.
func (j *journal) load() (list []*record, err error) {
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") {
			continue
		}
		text, e := os.ReadFile(filepath.Join(j.dir, f.Name()))
		r := &record{}
		if e == nil {
			e = json.Unmarshal(text, r)
		}
		if e == nil && (r.Format != recordFormat || r.ID+".json" != f.Name()) {
			e = errors.New("it is of another format than this version writes")
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("probe: what a synthetic left in %s: %w", f.Name(), e))
			continue
		}
		list = append(list, r)
	}
	return list, err
}
