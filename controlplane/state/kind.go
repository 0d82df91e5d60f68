package state

// kind is a change that a command can be: its name in the log, and its field.
type kind struct {
	name  string
	get   func(*Command) any // nil where it is not set
	allot func(*Command) any // sets it to an empty one
}

// kindOf makes a kind of a field.
func kindOf[T any](name string, field func(*Command) **T) kind {
	return kind{
		name: name,
		get: func(c *Command) any {
			if set := *field(c); set != nil {
				return set
			}
			return nil
		},
		allot: func(c *Command) any {
			fresh := new(T)
			*field(c) = fresh
			return fresh
		},
	}
}

var changes = [...]kind{
	kindOf("Init", func(c *Command) **Init { return &c.Init }),
	kindOf("ApplyPolicy", func(c *Command) **ApplyPolicy { return &c.ApplyPolicy }),
	kindOf("SetWeights", func(c *Command) **SetWeights { return &c.SetWeights }),
	kindOf("GiveOrder", func(c *Command) **GiveOrder { return &c.GiveOrder }),
	kindOf("EndOrder", func(c *Command) **EndOrder { return &c.EndOrder }),
	kindOf("Announce", func(c *Command) **Announce { return &c.Announce }),
	kindOf("Membership", func(c *Command) **Membership { return &c.Membership }),
	kindOf("SetVerdicts", func(c *Command) **SetVerdicts { return &c.SetVerdicts }),
	kindOf("Restore", func(c *Command) **Restore { return &c.Restore }),
	kindOf("BeginShift", func(c *Command) **BeginShift { return &c.BeginShift }),
	kindOf("MoveShift", func(c *Command) **MoveShift { return &c.MoveShift }),
}

// kinds counts the changes that are set, and returns the last of them with its name.
func (c *Command) kinds() (name string, change any, n int) {
	for i := range changes {
		if set := changes[i].get(c); set != nil {
			name, change = changes[i].name, set
			n++
		}
	}
	return name, change, n
}

// allot sets the change of that name to an empty one; nil: this node does not know it.
func (c *Command) allot(name string) any {
	for i := range changes {
		if changes[i].name == name {
			return changes[i].allot(c)
		}
	}
	return nil
}
