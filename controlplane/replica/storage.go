package replica

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// store is the log and raft's own few values.
type store interface {
	raft.LogStore
	raft.StableStore
	Close() error
}

const (
	openFor   = time.Second // for the file's lock: another process has it, and will not give it up
	cacheSize = 512         // entries
	snapshots = 2           // kept: the newest, and the one before in case it is damaged
)

// openStore opens the log under dir. The free list stays in memory as a map: written out, it would cost more than the entries.
func openStore(dir string) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	path := filepath.Join(dir, "raft.db")
	db, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: boltOptions()})
	if errors.Is(err, bbolt.ErrTimeout) {
		return nil, fmt.Errorf("replica: %s is in use by another process: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("replica: %s: %w", path, err)
	}
	return db, nil
}

// nodeKey is where the log's file says whose it is.
var nodeKey = []byte("segue-node")

// belong makes the files this node's for ever. Under another id they would let it vote a second time in a term in which it voted.
func belong(s store, id string) error {
	owner, err := s.Get(nodeKey)
	switch {
	case errors.Is(err, raftboltdb.ErrKeyNotFound):
		if err := s.Set(nodeKey, []byte(id)); err != nil {
			return fmt.Errorf("replica: naming the files: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("replica: whose files: %w", err)
	case string(owner) != id:
		return fmt.Errorf("replica: the directory is node %s's, and this node is %s: give it a directory of its own, or its own name", owner, id)
	default:
		return nil
	}
}

func boltOptions() *bbolt.Options {
	return &bbolt.Options{Timeout: openFor, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}
}

// watched tells of a write that does not return. Raft would keep its leadership and answer nobody.
type watched struct {
	store
	limit time.Duration
	hangs func(error)
}

func (w *watched) watch(what string) (done func() bool) {
	return time.AfterFunc(w.limit, func() {
		w.hangs(fmt.Errorf("replica: the storage hangs: %s did not return for %s", what, w.limit))
	}).Stop
}

// StoreLog writes one entry.
func (w *watched) StoreLog(l *raft.Log) error {
	defer w.watch("a log write")()
	return w.store.StoreLog(l)
}

// StoreLogs writes entries.
func (w *watched) StoreLogs(logs []*raft.Log) error {
	defer w.watch("a log write")()
	return w.store.StoreLogs(logs)
}

// DeleteRange drops entries.
func (w *watched) DeleteRange(first, last uint64) error {
	defer w.watch("the log's truncation")()
	return w.store.DeleteRange(first, last)
}

// Set writes one of raft's values.
func (w *watched) Set(key, value []byte) error {
	defer w.watch("a vote's write")()
	return w.store.Set(key, value)
}

// SetUint64 writes one of raft's numbers.
func (w *watched) SetUint64(key []byte, value uint64) error {
	defer w.watch("a term's write")()
	return w.store.SetUint64(key, value)
}

// space watches the disk. A node without room must not ask to lead: it would win, fail to write, and be elected again.
type space struct {
	dir   string
	probe func(dir string) (free, total uint64, err error)
	free  atomic.Uint64
	total atomic.Uint64
}

// look measures and tells whether the share that is free is below the alarm.
func (s *space) look() (low bool, err error) {
	free, total, err := s.probe(s.dir)
	if err != nil {
		return false, fmt.Errorf("replica: free space of %s: %w", s.dir, err)
	}
	s.free.Store(free)
	s.total.Store(total)
	return s.share() < spaceAlarm, nil
}

func (s *space) share() float64 {
	if s.total.Load() == 0 {
		return 1
	}
	return float64(s.free.Load()) / float64(s.total.Load())
}

// full tells that a snapshot might not fit any more.
func (s *space) full() bool { return s.total.Load() > 0 && s.free.Load() < spaceMinimum }

func statfs(dir string) (free, total uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}
