package view

// Regions is the list of regions.
type Regions struct {
	Frame
	Headline Headline
	Rows     []RegionRow
}

// RegionRow is one region in the list.
type RegionRow struct {
	Name, Href   string
	Stands       Lane // with why it does not serve as it should
	Agents       string
	Age          string // of the newest report
	Policy       string
	PolicyLevel  Level
	Services     []string
	Rate         string
	Success      string
	SuccessLevel Level
	Added        string // Segue's own part, p99
	Standby      []string
	Spark        Spark
}

// Region is one region's page.
type Region struct {
	Frame
	Name      string
	Headline  Headline
	Tiles     []Tile
	Agents    []AgentRow
	Providers []LaneRow
	Standby   []string
	Backs     []string // regions that send their callers here when they are lost
	Endpoints []Pair   // service and where its callers are served here
}

// AgentRow is one agent.
type AgentRow struct {
	ID, Region string
	Level      Level
	Icon, Word string
	Revision   string
	Why        string // it refused a revision
	Seen       string
	Skew       string
	Serves     []string
}
