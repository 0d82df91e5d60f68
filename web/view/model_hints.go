package view

import "time"

// Hints are the logs of hints of all agents.
type Hints struct {
	Frame
	Headline  Headline
	Partial   string
	Tiles     []Tile
	Logs      []HintLog
	Held      []HintRow
	Waiting   []HintRow
	Throttles []HintThrottle
	Request   string
	Done      string
	Replay    *HintReplay // what somebody asked for came to, or would come to
}

// HintLog is the log of one agent.
type HintLog struct {
	Agent, Region string
	Level         Level
	Icon, Word    string
	Note          string
	Kept          bool
	Waiting, Held string
	Oldest        string
	Room          string
	Rate, Left    string
	Mirror        string
}

// HintRow is one hint.
type HintRow struct {
	Number             string
	Agent, Kind, About string
	At                 time.Time
	Age                string
	Why                string
}

// HintThrottle is an order in force that holds the replay back.
type HintThrottle struct {
	ID, Text, Actor, Reason, Left string
	Ends                          time.Time
	Action, Request, Command      string
}

// HintReplay is a replay agent by agent.
type HintReplay struct {
	Dry     bool
	Lines   []ProbeLine
	Silent  []string
	Hints   []HintRow // of a dry run
	Command string
}
