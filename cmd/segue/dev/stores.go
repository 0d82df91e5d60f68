package dev

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"segue/dataplane"
	"segue/dataplane/embedded"
)

// stores are what the agents keep their transactions in: one value for all, or a connection to a cluster for each region's.
type stores struct {
	shared dataplane.Store // nil: one for each region
	by     map[string]dataplane.Store
	mu     sync.Mutex
	links  map[string]*link // each region's way to its store
}

func (s *stores) of(region string) dataplane.Store {
	if s.shared != nil {
		return s.shared
	}
	return s.by[region]
}

func (s *stores) close() error {
	var err error
	if s.shared != nil {
		err = s.shared.Close()
	}
	for _, one := range s.by {
		err = errors.Join(err, one.Close())
	}
	s.shared, s.by = nil, nil
	return err
}

// openEmbedded opens the one store on this machine, unless there is a cluster.
func (d *Dev) openEmbedded() error {
	if d.cfg.OpenStore != nil {
		return nil
	}
	dir := d.cfg.StoreDir
	if dir == "" {
		dir = filepath.Join(d.cfg.Dir, "store")
	}
	one, err := embedded.Open(dir, embedded.Options{Log: d.cfg.Log, Fatal: d.cfg.Fatal})
	if err != nil {
		return err
	}
	d.stores.shared = one
	return nil
}

// openStores connects each region to the cluster, unless there is none.
func (d *Dev) openStores(ctx context.Context) error {
	if d.cfg.OpenStore == nil {
		return nil
	}
	d.stores.by = map[string]dataplane.Store{}
	for _, r := range d.policy.Regions {
		one, err := d.cfg.OpenStore(ctx, r.Name)
		if err != nil {
			return fmt.Errorf("the store of %s: %w", r.Name, err)
		}
		d.stores.by[r.Name] = one
	}
	return nil
}
