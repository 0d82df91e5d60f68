package cassandra

import (
	"fmt"
	"strings"
)

// txColumns are the columns of tx that every compare-and-set writes, in the order of values. encoded is the whole row, and what is read
// back; the others are for the conditions, for repair by hand and for restores.
var txColumns = []string{
	"v", "id", `"token"`, "state", "epoch", "attempt", "run", "region", "session", "op", "fp", "fpv", "provider", "account", "endpoint",
	"pkey", "ref", "contract", "intent_ms", "send_by_ms", "status", "answer_hash", "outside", "encoded",
}

// statements are the texts of the queries, with the keyspaces' names in them.
type statements struct {
	claim, advance, advanceForget, renew string
	load, life                           string
	id, name, recent, minute             string
	open                                 openStatements
	soft                                 softStatements
	object                               objectStatements
	run                                  runStatements
	payloads                             payloadStatements
}

// dueStatements are those of watched attempts.
type dueStatements struct{ add, remove, all string }

type runStatements struct{ begin, beat, fence, all, clock, stretch string }

// payloadStatements are those of payloads, and of large answers in chunks.
type payloadStatements struct {
	keep, fetch, drop, chunk, chunks string
	due                              dueStatements
}

type openStatements struct {
	add, remove, list               string
	addSlot, removeSlot             string
	slots, slotsOf                  string
	byID, byName, minutes, byMinute string
}

type softStatements struct {
	load, add, remove string
	first, next       string // guard rows: of the first swap, of each after it
	remember, history string
}

type objectStatements struct{ add, load string }

func statementsFor(ledger, soft string) statements {
	in := func(text string) string {
		return strings.NewReplacer("@L", ledger, "@S", soft).Replace(text)
	}
	set := strings.Join(txColumns, " = ?, ") + " = ?"
	advance := in("UPDATE @L.tx USING TTL ? SET " + set)
	return statements{
		claim: in(fmt.Sprintf("INSERT INTO @L.tx (k, trail, %s) VALUES (?, ?%s) IF NOT EXISTS USING TTL ?",
			strings.Join(txColumns, ", "), strings.Repeat(", ?", len(txColumns)))),
		advance:       advance + ", trail[?] = ? WHERE k = ? IF v = ? AND id = ?",
		advanceForget: advance + ", trail[?] = ?, trail[?] = ? WHERE k = ? IF v = ? AND id = ?",
		renew:         advance + ", trail[?] = ? WHERE k = ? IF v = ? AND id = ? AND \"token\" = ?",
		load:          in("SELECT v, trail, outside, encoded FROM @L.tx WHERE k = ?"),
		life:          in("SELECT TTL(v), trail FROM @L.tx WHERE k = ?"),
		id:            in("INSERT INTO @L.id (id, k) VALUES (?, ?) USING TTL ?"),
		name:          in("INSERT INTO @L.name (name, at, k) VALUES (?, ?, ?) USING TTL ?"),
		recent:        in("INSERT INTO @L.recent (minute, shard, at, k, service) VALUES (?, ?, ?, ?, ?) USING TTL ?"),
		minute:        in("INSERT INTO @L.minute (dir, minute) VALUES (0, ?) USING TTL ?"),
		open: openStatements{
			add:        in("INSERT INTO @L.open (run, slot, k, n, at, asked) VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"),
			remove:     in("DELETE FROM @L.open USING TIMESTAMP ? WHERE run = ? AND slot = ? AND k = ? AND n = ?"),
			list:       in("SELECT k, n, at, asked FROM @L.open WHERE run = ? AND slot = ?"),
			addSlot:    in("INSERT INTO @L.slot (run, slot) VALUES (?, ?) USING TTL ?"),
			removeSlot: in("DELETE FROM @L.slot WHERE run = ? AND slot = ?"),
			slots:      in("SELECT run, slot FROM @L.slot"),
			slotsOf:    in("SELECT run, slot FROM @L.slot WHERE run = ?"),
			byID:       in("SELECT k FROM @L.id WHERE id = ?"),
			byName:     in("SELECT at, k FROM @L.name WHERE name = ?"),
			minutes:    in("SELECT minute FROM @L.minute WHERE dir = 0"),
			byMinute:   in("SELECT at, k, service FROM @L.recent WHERE minute = ? AND shard = ?"),
		},
		soft: softStatements{
			load:     in("SELECT field, item, value, TTL(value) FROM @S.session WHERE app = ? AND sid = ?"),
			add:      in("INSERT INTO @S.session (app, sid, field, item, value) VALUES (?, ?, ?, ?, ?) USING TTL ?"),
			remove:   in("DELETE FROM @S.session WHERE app = ? AND sid = ? AND field = ? AND item = ?"),
			first:    in("INSERT INTO @S.session (app, sid, field, item, value) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?"),
			next:     in("UPDATE @S.session USING TTL ? SET value = ? WHERE app = ? AND sid = ? AND field = ? AND item = ? IF value = ?"),
			remember: in("INSERT INTO @S.history (app, sid, page, hlc, event, data) VALUES (?, ?, ?, ?, ?, ?) USING TTL ?"),
			history:  in("SELECT data FROM @S.history WHERE app = ? AND sid = ? AND page = ?"),
		},
		run: runStatements{
			begin: in("INSERT INTO @L.run (run, region, state, beat, encoded) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?"),
			beat:  in("UPDATE @L.run USING TTL ? SET region = ?, state = ?, beat = ?, encoded = ? WHERE run = ? IF state = ? AND beat <= ?"),
			fence: in("UPDATE @L.run USING TTL ? SET region = ?, state = ?, beat = ?, encoded = ? WHERE run = ? IF state = ? AND beat = ?"),
			all:   in("SELECT encoded FROM @L.run"),
			clock: "SELECT toUnixTimestamp(now()) FROM system.local", stretch: in("SELECT encoded FROM @L.tx WHERE token(k) >= ? AND token(k) <= ?"),
		},
		payloads: payloadStatements{
			keep:   in("INSERT INTO @L.kept (k, part, sealed) VALUES (?, ?, ?) USING TTL ?"),
			fetch:  in("SELECT sealed FROM @L.kept WHERE k = ? AND part = ?"),
			drop:   in("DELETE FROM @L.kept WHERE k = ?"),
			chunk:  in("INSERT INTO @L.payload (k, epoch, part, n, sealed) VALUES (?, ?, ?, ?, ?) USING TTL ?"),
			chunks: in("SELECT sealed FROM @L.payload WHERE k = ? AND epoch = ? AND part = ?"),
			due: dueStatements{
				add:    in("INSERT INTO @L.due (shard, hour, at, k, attempt, kind) VALUES (?, ?, ?, ?, ?, 'watch') USING TTL ?"),
				remove: in("DELETE FROM @L.due WHERE shard = ? AND hour = ? AND at = ? AND k = ? AND attempt = ?"),
				all:    in("SELECT at, k, attempt FROM @L.due"),
			},
		},
		object: objectStatements{
			add:  in("INSERT INTO @L.object (app, service, id, provider, account, encoded) VALUES (?, ?, ?, ?, ?, ?)"),
			load: in("SELECT encoded FROM @L.object WHERE app = ? AND service = ? AND id = ?"),
		},
	}
}
