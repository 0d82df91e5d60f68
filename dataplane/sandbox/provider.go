package sandbox

// Provider is one simulated provider: its port, its accounts, its books and its faults.
type Provider struct {
	name  string
	books *Books
}

// Name is the provider's name.
func (p *Provider) Name() string { return p.name }

// Addr is host:port; it stays the same, and reserved, while the provider refuses or is dead.
func (p *Provider) Addr() string { return "" }

// URL is the base URL.
func (p *Provider) URL() string { return "http://" + p.Addr() }

// Books are the provider's books.
func (p *Provider) Books() *Books { return p.books }

// SetFaults replaces the faults that are on. When it returns, they hold.
func (p *Provider) SetFaults(faults ...Fault) error { return nil }

// ClearFaults ends all faults. When it returns, the port accepts again (unless the provider was killed).
func (p *Provider) ClearFaults() {}

// Faults are those still on.
func (p *Provider) Faults() []ActiveFault { return nil }

// Kill models the death of the process: the port refuses, open connections are reset, and no request that was not executed by now ever will be.
func (p *Provider) Kill() {}

// Revive starts the process again. What it executed, and the answers it stored, are still there.
func (p *Provider) Revive() {}

// Alive is false between Kill and Revive.
func (p *Provider) Alive() bool { return false }
