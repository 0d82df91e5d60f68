package cassandra

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gocql/gocql"
)

// migration is one step of the schema. Its statements may be run again: that is how one that was cut off is finished.
type migration struct {
	name       string
	statements func(ledger, soft string) []string
}

// migrations are the schema. A published one is never changed: its digest stands in the cluster. Changes are appended.
var migrations = []migration{
	{"tables of transactions and sessions", firstTables},
	{"runs as rows, entries that lead to keys, payloads that are dropped whole", runsAndPayloads},
}

// digest tells a migration from a changed one of the same number.
func (m migration) digest() []byte {
	sum := sha256.Sum256([]byte(m.name + "\x00" + strings.Join(m.statements("ledger", "soft"), "\x00")))
	return sum[:]
}

// tableID is fixed by the name: two nodes that make a table at once make the same one. Left to themselves they would make two that
// share a name, and lose the rows of one.
func tableID(keyspace, table string) gocql.UUID {
	sum := sha256.Sum256([]byte("segue table " + keyspace + "." + table))
	id := gocql.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id
}

// table writes a statement that makes a table under its fixed id.
func table(keyspace, name, columns, with string) string {
	if with != "" {
		with = " AND " + with
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s (%s) WITH id = %s%s", keyspace, name, columns, tableID(keyspace, name), with)
}

// firstTables are the tables of version 1. tx and run are written by lightweight transactions only and read at SERIAL; the others
// are inserted into at QUORUM and deleted from where an entry is disposable.
func firstTables(ledger, soft string) []string {
	return []string{
		table(ledger, "tx", `k blob PRIMARY KEY, v bigint, id text, "token" uuid, trail map<bigint, uuid>, state text, epoch int, attempt text, run text,
			region text, session text, op text, fp blob, fpv int, provider text, account text, endpoint text, pkey text, ref text, contract blob,
			intent_ms bigint, send_by_ms int, status int, answer_hash blob, outside blob, encoded blob`, "gc_grace_seconds = 864000"),
		table(ledger, "run", "run text PRIMARY KEY, region text, state text, beat bigint, max_slot int", ""),
		table(ledger, "slot", "run text, slot int, PRIMARY KEY (run, slot)", "gc_grace_seconds = 3600"),
		table(ledger, "open", "run text, slot int, k blob, n bigint, at bigint, PRIMARY KEY ((run, slot), k, n)", "gc_grace_seconds = 3600"),
		table(ledger, "evidence", "k blob, at timeuuid, attempt text, kind text, data blob, PRIMARY KEY (k, at)", ""),
		table(ledger, "payload", "k blob, epoch int, part text, n int, sealed blob, PRIMARY KEY ((k, epoch, part), n)", ""),
		table(ledger, "due", "shard int, hour int, at timestamp, k blob, attempt text, kind text, PRIMARY KEY ((shard, hour), at, k, attempt)", ""),
		table(ledger, "object", "app text, service text, id text, provider text, account text, encoded blob, PRIMARY KEY ((app, service, id))", ""),
		table(ledger, "id", "id text PRIMARY KEY, k blob", ""),
		table(ledger, "name", "name text, at bigint, k blob, PRIMARY KEY (name, at, k)", "CLUSTERING ORDER BY (at DESC, k ASC)"),
		table(ledger, "minute", "dir int, minute int, PRIMARY KEY (dir, minute)", "CLUSTERING ORDER BY (minute DESC)"),
		table(ledger, "recent", "minute int, shard int, at bigint, k blob, service text, PRIMARY KEY ((minute, shard), at, k)", "CLUSTERING ORDER BY (at DESC, k ASC)"),
		table(soft, "session", "app text, sid text, field text, item blob, value blob, PRIMARY KEY ((app, sid), field, item)", ""),
		table(soft, "history", "app text, sid text, page int, hlc bigint, event uuid, data blob, PRIMARY KEY ((app, sid, page), hlc, event)", ""),
	}
}

// runsAndPayloads is version 2: a run's row says all of the run, an open entry the key whose claim may come late, and payloads of one key
// stand together.
func runsAndPayloads(ledger, _ string) []string {
	return []string{
		fmt.Sprintf("ALTER TABLE %s.run ADD IF NOT EXISTS encoded blob", ledger),
		fmt.Sprintf("ALTER TABLE %s.open ADD IF NOT EXISTS asked blob", ledger),
		table(ledger, "kept", "k blob, part text, sealed blob, PRIMARY KEY (k, part)", ""),
	}
}

// migrationTable says which migrations began and which ended.
func migrationTable(ledger string) string {
	return table(ledger, "migration", "n int PRIMARY KEY, name text, digest blob, state text, migrator uuid, since timestamp", "")
}

// keyspace writes a statement that makes a keyspace. Without a word about copies it has one: enough for one machine, and the settings'
// check says so.
func keyspace(name string, copies map[string]int) string {
	replication := "'class': 'SimpleStrategy', 'replication_factor': 1"
	if len(copies) > 0 {
		replication = "'class': 'NetworkTopologyStrategy'"
		for _, dc := range slices.Sorted(maps.Keys(copies)) {
			replication += fmt.Sprintf(", '%s': %d", strings.ReplaceAll(dc, "'", "''"), copies[dc])
		}
	}
	return fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {%s}", name, replication)
}
