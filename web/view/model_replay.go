package view

import "time"

// WhatIf is what recorded traffic would have come to under a change that is reviewed.
type WhatIf struct {
	Part    string        // where the page fetches it, while there is none
	Link    string        // and where who has no script, or has cancelled it, goes for it
	Within  time.Duration // how long that takes at the most
	Text    string        // one line; "" while there is none
	Heard   bool          // some agent answered
	Regions []WhatIfRegion
	Left    []string // what could not be replayed
	Silent  []string // who did not answer
}

// WhatIfRegion is one region's shares, before and after.
type WhatIfRegion struct {
	Region, Note string
	Rows         []WhatIfRow
}

// WhatIfRow is one provider: its part of the calls and of the new sessions, and how near it would come to its limits.
type WhatIfRow struct{ Provider, Before, After, SessionsBefore, SessionsAfter, Load string }
