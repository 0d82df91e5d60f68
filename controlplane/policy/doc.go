// Package policy holds the noun policy: everything that operators decide, one versioned document. It reads the document
// (Parse), checks it (Validate), edits it (SetWeights), merges what two people made of it (Merge), says what changed (Diff), cuts it for
// a region, and compiles the cut into a Snapshot, the form that an agent decides by. Orders and the Facts of one request live here too, because both planes speak of them.
//
// It owns no state. The control plane's state validates with it; agents compile with it; the choice reads its Snapshot.
package policy
