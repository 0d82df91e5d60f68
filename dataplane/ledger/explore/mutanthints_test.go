package explore

const hinted = "dataplane/repair/"

// hintMutants break hints and their repair: what may be hinted, in which order and how often it reaches the store, and what a disk keeps.
var hintMutants = []mutant{
	{"13", "what allows a send is hinted", hinted + "transactions.go", "		return o == ledger.NotSent\n	default:\n		return false\n", "		return o == ledger.NotSent\n	default:\n		return true\n", hinted, "TestClaimNeverHinted"},
	{"13", "an outcome without its proof is hinted", hinted + "transactions.go", "return o == ledger.Succeeded", "return true", hinted, "TestClaimNeverHinted"},
	{"13", "what a caller was told is hinted", hinted + "transactions.go", " || t.Told", "", hinted, "TestClaimNeverHinted"},
	{"13", "which of two attempts stays is hinted", hinted + "transactions.go", " || t.Adopted > 0", "", hinted, "TestClaimNeverHinted"},
	{"13", "an answer of the store is taken for an outage", hinted + "transactions.go", "err == nil || !t.r.opts.Outage(err) || !proof(row)", "err == nil || !proof(row)", hinted, "TestRefusalNotHinted"},
	{"13", "a full log still claims", hinted + "transactions.go", "	if err := t.r.log.Refused(); err != nil {", "	if err := t.r.log.Refused(); false {", hinted, "TestFullRefusesClaims"},
	{"13", "no room is left to outcomes", hinted + "log.go", "limit -= limit / forOutcomes", "limit -= 0", hinted, "TestFullRefuses"},
	{"5", "a hint writes over a row that moved on", hinted + "transactions.go", "	step := ledger.Next(current, e, strict)\n	next := current.Clone()\n	noted := next.Note(e, strict)\n", "	step := ledger.Next(current, e, strict)\n	next, noted := hinted.Clone(), true\n	step.Kind = ledger.Finish\n", hinted, "TestMerge"},
	{"5", "the not_sent of a hint ends a row that went on", hinted + "transactions.go", "	case a.Outcome == ledger.NotSent: ", "	case false: ", hinted, "TestMerge"},
	{"4", "a hint's success is believed while a cancel may have left", rules + "next.go", "if !a.Cancel || e.Kind == FromOperator {", "{", hinted, "TestMerge"},
	{"6", "a hint does not know its own token again", hinted + "transactions.go", "	case current.Token == hinted.Token:\n", "	case false:\n", hinted, "TestOutcomeLostAnswer"},
	{"hints", "an event that comes twice is two hints", hinted + "append.go", "if l.index.byID[r.hint.ID] != nil || known[r.hint.ID] {", "if false {", hinted, "TestLogOnce|TestOutcomeHinted"},
	{"hints", "after a failure the next hint of the key goes first", hinted + "replay.go", "			if p.failures > 0 {\n", "			if false {\n", hinted, "TestKeyOrder"},
	{"hints", "a new event overtakes the hints of its key", hinted + "sessions.go", "behind := s.r.log.waits(p)\n", "behind := false && s.r.log.waits(p)\n", hinted, "TestKeyOrder"},
	{"hints", "a replayed hint is not ended", hinted + "replay.go", "		r.end(id, v.result)\n", "", hinted, "TestOutcomeHinted"},
	{"hints", "what the store lost is not replayed again", hinted + "sync.go", "			r.log.retry(e.ID)\n", "			r.log.seen(e.ID)\n", hinted, "TestSync$"},
	{"hints", "a hint past its age is replayed unasked", hinted + "replay.go", "return r.opts.Now().Sub(e.At) <= r.log.opts.Age", "return true", hinted, "TestOldHints"},
	{"hints", "past its age, new ones are still taken", hinted + "log.go", "	case !oldest.IsZero() && now.Sub(oldest) > l.opts.Age:\n", "	case false:\n", hinted, "TestLogAge"},
	{"hints", "a read does not show what waits here", hinted + "sessions.go", "	return session.Apply(stored, k, mine...)\n}\n\n// known", "	return stored, nil\n}\n\n// known", hinted, "TestOverlay"},
	{"hints", "a read that finds the store behind leaves it so", hinted + "sessions.go", "		r.nudge(p)\n", "", hinted, "TestReadRepair"},
	{"hints", "nothing is synced", hinted + "append.go", "	if !l.opts.unsynced {\n		if err := s.file.SyncData()", "	if false {\n		if err := s.file.SyncData()", hinted, "TestPowerCut$"},
	{"hints", "nothing is synced, on a disk that forgets", hinted + "append.go", "	if !l.opts.unsynced {\n		if err := s.file.SyncData()", "	if false {\n		if err := s.file.SyncData()", power, "TestCuts"},
	{"hints", "the name of a new directory is not synced", hinted + "open.go", "	for _, above := range fresh {\n", "	for _, above := range fresh[:0] {\n", hinted, "TestPowerCut$"},
	{"hints", "damage is taken for a torn end", hinted + "open.go", "synced || follows(b[whole:], next) || ", "", hinted, "TestEveryByte"},
	{"hints", "after a failed sync it goes on", hinted + "log.go", "		l.broken.Store(&err)\n", "", hinted, "TestLogFailedSync"},
	{"hints", "a hint is acknowledged before the mirror has it", hinted + "repair.go", "if lost := <-mirrored; lost != nil {", "if lost := <-mirrored; false {", hinted, "TestMirrorForgets"},
	{"hints", "a mirror never replays", hinted + "mirrored.go", "		o.Resume()\n", "", hinted, "TestMirrorReplays"},
	{"hints", "a mirror replays what is over", hinted + "mirrored.go", "		o.log.End(id, Superseded)\n", "		_ = id\n", hinted, "TestMirrorForgets"},
}
