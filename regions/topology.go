package regions

// Region is a place where agents run. Standby lists where its callers go when it is lost, nearest first.
type Region struct {
	Name    string
	Standby []string
}

// Topology is every region of a policy, in the order in which the document lists them.
type Topology []Region

// Find returns the region called name.
func (t Topology) Find(name string) (Region, bool) {
	for _, r := range t {
		if r.Name == name {
			return r, true
		}
	}
	return Region{}, false
}

// Names returns the regions' names in document order.
func (t Topology) Names() []string {
	names := make([]string, len(t))
	for i, r := range t {
		names[i] = r.Name
	}
	return names
}
