package cassandra

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

const (
	migrationPatience = 30 * time.Second // how long another migrator's step is awaited
	usualCopies       = 3                // in a data centre that has as many nodes
	begun             = "begun"
	done              = "done"
)

// step is a row of the migration table.
type step struct {
	state  string
	digest []byte
	by     gocql.UUID
	since  time.Time
}

// prepareSchema makes the schema where that was asked for, and otherwise checks that it is the one that this program knows.
func (s *Store) prepareSchema(ctx context.Context) error {
	if err := s.checkSchema(ctx); err == nil || !s.opts.Migrate {
		return err
	}
	copies, err := s.spread(ctx)
	if err != nil {
		return err
	}
	for _, statement := range []string{keyspace(s.opts.Ledger, copies), keyspace(s.opts.Soft, copies), migrationTable(s.opts.Ledger)} {
		if err := s.change(ctx, statement); err != nil {
			return err
		}
	}
	if err := s.refuseNewer(ctx); err != nil {
		return err
	}
	for n, m := range migrations {
		if err := s.migrate(ctx, n+1, m); err != nil {
			return err
		}
	}
	return nil
}

// spread is how many copies each data centre gets in new keyspaces, where nobody said so.
func (s *Store) spread(ctx context.Context) (map[string]int, error) {
	if len(s.opts.Replication) > 0 {
		return s.opts.Replication, nil
	}
	nodes, err := s.ring(ctx)
	if err != nil {
		return nil, err
	}
	copies := map[string]int{}
	for _, n := range nodes {
		copies[n.Datacenter] = min(copies[n.Datacenter]+1, usualCopies)
	}
	return copies, nil
}

// change runs a statement of the schema, which may be run again, and waits until all nodes have it.
func (s *Store) change(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := patiently(ctx, func(ctx context.Context) error { return s.query(ctx, gocql.Quorum, statement).Exec() })
	if err != nil {
		return fmt.Errorf("cassandra: schema: %.80s …: %w", statement, err)
	}
	if err := s.driver.Load().AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("cassandra: schema: the nodes do not agree: %w", err)
	}
	return nil
}

// migrate runs one migration, alone: its row in the migration table is taken by a lightweight transaction first.
func (s *Store) migrate(ctx context.Context, n int, m migration) error {
	me := gocql.MustRandomUUID()
	ctx, cancel := context.WithTimeout(ctx, migrationPatience+time.Minute)
	defer cancel()
	mine, _, err := s.cas(ctx, fmt.Sprintf("INSERT INTO %s.migration (n, name, digest, state, migrator, since) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS", s.opts.Ledger),
		n, m.name, m.digest(), begun, me, s.opts.Now())
	if err != nil {
		return fmt.Errorf("cassandra: migration %d: %w", n, err)
	}
	if !mine {
		if mine, err = s.follow(ctx, n, m, me); err != nil || !mine {
			return err
		}
	}
	for _, statement := range m.statements(s.opts.Ledger, s.opts.Soft) {
		if err := s.change(ctx, statement); err != nil {
			return err
		}
	}
	ended, _, err := s.cas(ctx, fmt.Sprintf("UPDATE %s.migration SET state = ? WHERE n = ? IF migrator = ?", s.opts.Ledger), done, n, me)
	if err == nil && !ended {
		err = errors.New("another process took it over")
	}
	if err != nil {
		return fmt.Errorf("cassandra: migration %d ran and could not be marked so: %w", n, err)
	}
	return nil
}

// follow waits for the one who runs a migration. true: it is ours now.
func (s *Store) follow(ctx context.Context, n int, m migration, me gocql.UUID) (mine bool, err error) {
	until := s.opts.Now().Add(migrationPatience)
	for attempt := 0; ; attempt++ {
		row, err := s.step(ctx, n)
		switch {
		case err != nil:
			return false, err
		case row.by == me: // our own insert, learnt late
			return true, nil
		case row.state == done:
			return false, row.is(n, m)
		case s.opts.Resume:
			taken, _, err := s.cas(ctx, fmt.Sprintf("UPDATE %s.migration SET migrator = ?, since = ?, digest = ? WHERE n = ? IF migrator = ? AND state = ?", s.opts.Ledger),
				me, s.opts.Now(), m.digest(), n, row.by, begun)
			if err != nil || taken {
				return taken, err
			}
		case s.opts.Now().After(until) || !pause(ctx, attempt+4):
			return false, row.half(n)
		}
	}
}

func (s *Store) step(ctx context.Context, n int) (row step, err error) {
	err = s.often(ctx, func(ctx context.Context) error {
		return s.read(ctx, serial, fmt.Sprintf("SELECT state, digest, migrator, since FROM %s.migration WHERE n = ?", s.opts.Ledger), n).
			Scan(&row.state, &row.digest, &row.by, &row.since)
	})
	if err != nil && !errors.Is(err, gocql.ErrNotFound) {
		err = fmt.Errorf("cassandra: migration %d: %w", n, err)
	}
	return row, err
}

func (r step) half(n int) error {
	return fmt.Errorf("%w: number %d was begun at %s and has not ended; when no process is at it any more, open the store once with Migrate and Resume (migrate=true&resume=true in --store)",
		ErrHalfMigrated, n, r.since.UTC().Format(time.RFC3339))
}

// is checks that what ran under a number is what this program has under it.
func (r step) is(n int, m migration) error {
	if !bytes.Equal(r.digest, m.digest()) {
		return fmt.Errorf("%w: migration %d in the cluster is not this program's (%s): one of them is no release", ErrOtherSchema, n, m.name)
	}
	return nil
}

func (s *Store) refuseNewer(ctx context.Context) error {
	_, err := s.step(ctx, len(migrations)+1)
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("%w: it has migration %d; this program knows %d", ErrNewerSchema, len(migrations)+1, len(migrations))
	}
}

// checkSchema finds whether the cluster has the schema of this program, and changes nothing.
func (s *Store) checkSchema(ctx context.Context) error {
	var name string
	err := s.read(ctx, gocql.One, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'migration'", s.opts.Ledger).Scan(&name)
	if errors.Is(err, gocql.ErrNotFound) {
		return fmt.Errorf("%w: there is no keyspace %s of Segue: open the store once with Migrate (migrate=true in --store)", ErrNoSchema, s.opts.Ledger)
	}
	if err != nil {
		return fmt.Errorf("cassandra: schema: %w", err)
	}
	for n, m := range migrations {
		row, err := s.step(ctx, n+1)
		switch {
		case errors.Is(err, gocql.ErrNotFound):
			return fmt.Errorf("%w: migration %d (%s) is missing: open the store once with Migrate (migrate=true in --store)", ErrNoSchema, n+1, m.name)
		case err != nil:
			return err
		case row.state != done:
			return row.half(n + 1)
		}
		if err := row.is(n+1, m); err != nil {
			return err
		}
	}
	return s.refuseNewer(ctx)
}
