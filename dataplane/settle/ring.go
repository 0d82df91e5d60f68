package settle

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"segue/controlplane/seal"
)

// KeyLife is how long a day's key opens what it sealed, after its day: a row lives for 35 days after its last write, and one day is for
// clocks and sweeps.
const KeyLife = 36 * 24 * time.Hour

// ErrDestroyed says that what is asked for was sealed by a key that is gone: its life has ended, or it belongs to other agents.
var ErrDestroyed = errors.New("settle: the key that opens this is not there: its life has ended, or it lies in other agents' directory")

const (
	dayPrefix = "day-"
	dayForm   = "2006-01-02"
	first     = "answers" // the one key that there was before there was one a day
	firstID   = "answers-1"
)

// Ring holds the keys that seal, one for each day (UTC), in files of a directory outside the store. A key seals on its day, opens for
// KeyLife, and is destroyed then: whatever copy of the store there is, what was sealed on that day opens no more. Agents that share a store
// share the directory.
type Ring struct {
	dir  string
	now  func() time.Time
	mu   sync.Mutex
	keys map[string]seal.Key
	day  string   // the day of
	cur  seal.Key // the key that seals
	stop chan struct{}
	idle sync.WaitGroup
}

// sweepEvery is how often it is looked whether a key's life has ended.
const sweepEvery = time.Hour

// Start destroys keys at the end of their lives until Stop, whether anybody asks for a key or not.
func (r *Ring) Start(log *slog.Logger) {
	stop := r.stop
	r.idle.Go(func() {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			gone, err := r.Destroy()
			if err != nil {
				log.Error("a key whose life has ended could not be destroyed; it opens nothing any more", "error", err)
			}
			if len(gone) > 0 {
				log.Info("keys were destroyed at the end of their lives", "keys", gone)
			}
		}
	})
}

// Stop ends what Start began.
func (r *Ring) Stop() {
	r.mu.Lock()
	if r.stop != nil {
		close(r.stop)
		r.stop = nil
	}
	r.mu.Unlock()
	r.idle.Wait()
}

// OpenRing opens the directory, which must be there, reads every key and destroys those whose life has ended.
func OpenRing(dir string, now func() time.Time) (*Ring, error) {
	r := &Ring{dir: dir, now: now, keys: map[string]seal.Key{}, stop: make(chan struct{})}
	if _, err := r.Destroy(); err != nil {
		return nil, err
	}
	ids, err := r.list()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, err := r.read(id); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Today is the key that seals now. It is made, and is on the disk, before it is used for the first time.
func (r *Ring) Today() (seal.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	day := r.now().UTC().Format(dayForm)
	if day == r.day {
		return r.cur, nil
	}
	ids, err := r.list()
	if err != nil {
		return seal.Key{}, err
	}
	for _, id := range ids {
		if strings.HasPrefix(id, dayPrefix+day) {
			k, err := r.read(id)
			if err == nil {
				r.day, r.cur = day, k
			}
			return k, err
		}
	}
	k, err := r.make(day)
	if err == nil {
		r.day, r.cur = day, k
	}
	return k, err
}

// Key is the key of that id while its life lasts.
func (r *Ring) Key(id string) (seal.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != firstID {
		if end, ok := lifeEnd(id); !ok || !r.now().Before(end) {
			delete(r.keys, id)
			return seal.Key{}, fmt.Errorf("%w (%.40q)", ErrDestroyed, id)
		}
	}
	return r.read(id)
}

// Destroy destroys the keys whose life has ended and names them. The key from before there was one a day goes with the first of them:
// whatever that one sealed is older.
func (r *Ring) Destroy() ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, err := r.list()
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, id := range ids {
		if end, ok := lifeEnd(id); ok && !r.now().Before(end) {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 && slices.Contains(ids, firstID) {
		gone = append(gone, firstID)
	}
	for _, id := range gone {
		delete(r.keys, id)
		if err := destroy(r.path(id)); err != nil {
			return gone, fmt.Errorf("settle: keys: %w", err)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	return gone, syncDir(r.dir)
}

// lifeEnd is when the key of that id ends. An id that is no day's key has none.
func lifeEnd(id string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(id, dayPrefix)
	day, nonce, cut := strings.Cut(rest, "_")
	b, err := hex.DecodeString(nonce)
	at, wrong := time.Parse(dayForm, day)
	if !ok || !cut || err != nil || len(b) != 4 || wrong != nil {
		return time.Time{}, false
	}
	return at.Add(24*time.Hour + KeyLife), true
}

func (r *Ring) path(id string) string {
	if id == firstID {
		return filepath.Join(r.dir, first)
	}
	return filepath.Join(r.dir, id)
}

// list names the keys of the directory.
func (r *Ring) list() ([]string, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("settle: keys: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if _, ok := lifeEnd(e.Name()); ok {
			ids = append(ids, e.Name())
		} else if e.Name() == first {
			ids = append(ids, firstID)
		}
	}
	return ids, nil
}

// read returns a key of the directory. mu is held, or nobody else has the ring yet.
func (r *Ring) read(id string) (seal.Key, error) {
	if k, ok := r.keys[id]; ok {
		return k, nil
	}
	b, err := os.ReadFile(r.path(id))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return seal.Key{}, fmt.Errorf("%w (%.40q)", ErrDestroyed, id)
	case err != nil:
		return seal.Key{}, fmt.Errorf("settle: keys: %w", err)
	case len(b) != seal.KeySize:
		return seal.Key{}, fmt.Errorf("settle: keys: %s has %d bytes, not %d; bring the right one back, or move the file away and lose what was sealed with it", r.path(id), len(b), seal.KeySize)
	}
	k, err := seal.NewKey(id, b)
	if err != nil {
		return seal.Key{}, fmt.Errorf("settle: keys: %w", err)
	}
	r.keys[id] = k
	return k, nil
}

// make makes a day's key. Two agents that share the directory may make one each: both are the day's.
func (r *Ring) make(day string) (seal.Key, error) {
	var nonce [4]byte
	secret := make([]byte, seal.KeySize)
	_, _ = rand.Read(nonce[:]) // it never fails: the program ends where the system has no randomness
	_, _ = rand.Read(secret)
	id := dayPrefix + day + "_" + hex.EncodeToString(nonce[:])
	tmp := r.path(id) + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return seal.Key{}, fmt.Errorf("settle: keys: %w", err)
	}
	_, err = f.Write(secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, r.path(id))
	}
	if err == nil {
		err = syncDir(r.dir)
	}
	if err != nil {
		return seal.Key{}, fmt.Errorf("settle: keys: %w", err)
	}
	return r.read(id)
}

// destroy writes over a key before it is unlinked. On a disk that writes elsewhere (SSDs do) the old bytes may stay below until it needs the
// room: a directory of keys belongs on an enciphered disk.
func destroy(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another agent was first, or it was never there
	}
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, seal.KeySize))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("settle: keys: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("settle: keys: %w", err)
	}
	return nil
}
