package dataplane

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"segue/dataplane/proxy"
	"segue/dataplane/standing"
)

const (
	learnedFile = "learned"
	learnedHead = "segue-learned 1 "

	// learnEvery is how often what was learned is written, where it changed: a run that is killed gives back what it spent since.
	learnEvery = time.Second
)

// learned is what a run of the agent leaves to the next one, in a small file: what was spent of budgets, above all, so that a crash loop
// spends no budget twice.
type learned struct {
	Spent  []standing.Spent `json:",omitempty"`
	Proven []proxy.Proven   `json:",omitempty"`
}

// notebook keeps it.
type notebook struct {
	path string
	log  *slog.Logger
	read func() learned
	once sync.Once
	stop chan struct{}
	idle sync.WaitGroup
	last []byte // what the file holds
	sick bool   // the last write failed: it was told
}

func newNotebook(dir string, log *slog.Logger, read func() learned) *notebook {
	return &notebook{path: filepath.Join(dir, learnedFile), log: log, read: read, stop: make(chan struct{})}
}

// load reads what the run before left. What is damaged is left out, and said: budgets begin anew then.
func (n *notebook) load() (l learned) {
	raw, err := readBounded(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		return l
	}
	if err == nil {
		err = l.decode(raw)
	}
	if err != nil {
		n.log.Warn("what an earlier run learned cannot be read and is left out: spend budgets begin anew", "file", n.path, "error", err)
		return learned{}
	}
	return l
}

func (l *learned) decode(raw []byte) error {
	head, body, ok := bytes.Cut(raw, []byte("\n"))
	sum := sha256.Sum256(body)
	if !ok || string(head) != learnedHead+hex.EncodeToString(sum[:]) {
		return errors.New("it is not what was written: its head, its version or its checksum does not fit")
	}
	if err := json.Unmarshal(body, l); err != nil {
		return fmt.Errorf("dataplane: learned: %w", err)
	}
	return nil
}

// start writes now and then until close.
func (n *notebook) start() {
	n.idle.Go(func() {
		t := time.NewTicker(learnEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				n.save()
			case <-n.stop:
				return
			}
		}
	})
}

// close writes once more, when nothing changes any longer. A notebook that was never started holds what it held.
func (n *notebook) close() {
	n.once.Do(func() {
		close(n.stop)
		n.idle.Wait()
		n.save()
	})
}

// save writes what changed: whole and durable, or not at all.
func (n *notebook) save() {
	body, err := json.Marshal(n.read())
	if err == nil && bytes.Equal(body, n.last) {
		return
	}
	if err == nil && (len(body) > len("{}") || n.last != nil) {
		sum := sha256.Sum256(body)
		err = writeDurable(n.path, append([]byte(learnedHead+hex.EncodeToString(sum[:])+"\n"), body...), 0o600)
	}
	if err != nil {
		if !n.sick {
			n.log.Warn("what this run learned could not be written: a restart gives back what budgets spent", "file", n.path, "error", err)
		}
		n.sick = true
		return
	}
	n.last, n.sick = body, false
}
