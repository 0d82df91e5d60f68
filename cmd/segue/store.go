package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"segue/dataplane"
	"segue/dataplane/cassandra"
)

// storeFlag is what --store takes.
const storeFlag = "embedded (in --dir), embedded:DIR, or cassandra://host:port,host:port?dc=NAME&keyspace=NAME&credential=file:PATH"

// storeAt is what --store said: a directory, or a cluster.
type storeAt struct {
	dir     string
	cluster *cassandra.Options // nil: embedded
}

// parseStore reads --store.
func parseStore(text string) (at storeAt, err error) {
	switch kind, dir, _ := strings.Cut(text, ":"); {
	case kind == "embedded":
		at.dir = dir
	case strings.HasPrefix(text, cassandra.Scheme):
		var o cassandra.Options
		if o, err = cassandra.Parse(text); err == nil {
			at.cluster = &o
		}
	default:
		shown := text
		if strings.ContainsAny(text, "@?") { // where a password could stand
			shown = kind + ":…"
		}
		err = fmt.Errorf("%q is no store", shown)
	}
	if err != nil {
		return at, usageError{fmt.Errorf("--store: %w; want %s", err, storeFlag)}
	}
	return at, nil
}

// openCluster connects to a cluster for the agent of a region.
func openCluster(ctx context.Context, o cassandra.Options, region string, log *slog.Logger) (dataplane.Store, error) {
	o.Datacenter = cmp.Or(o.Datacenter, region)
	o.Log, o.Now = log, time.Now
	s, err := cassandra.Open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	return s, nil
}

// examineWithin bounds a look at a cluster: nodes that hang cost their time-outs.
const examineWithin = 2 * time.Minute

// cassandra looks at a cluster.
func (d *doctor) cassandra(o cassandra.Options) {
	ctx, cancel := context.WithTimeout(d.ctx, examineWithin)
	defer cancel()
	survey, err := cassandra.Examine(ctx, o)
	switch {
	case errors.Is(err, cassandra.ErrUnreached):
		d.wrong("store", "start a node, or name others in --store; look at name and password (credential=) and at TLS (ca=)", "%s", err)
		return
	case err != nil:
		d.wrong("store", "", "%s", err)
	}
	for _, f := range survey.Findings() {
		d.found = append(d.found, finding{f.Check, string(f.State), f.Says, f.Fix})
	}
}
