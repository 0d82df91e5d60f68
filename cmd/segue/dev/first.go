package dev

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// self is who the audit names for what this assembly puts in force.
const self = "segue dev"

// firstPolicy settles what is in force at the start. A directory from an earlier life has a policy, and with it the weights that an
// operator set: it stays, unless this start asks for something else.
func (d *Dev) firstPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	st, err := d.nodes.Read(ctx)
	if err != nil {
		return fmt.Errorf("no leader came up: %w", err)
	}
	source, reason := d.wanted(st)
	if source == nil {
		d.policy, d.revision = st.Current().Policy, st.Current().Number
		return nil
	}
	if d.policy, err = parse(d.cfg.File, source); err != nil {
		return err
	}
	origin := state.FromFile
	if d.sandbox != nil && st.Current().Number > 0 {
		origin = state.FromEdit // nobody's file says where this life has its providers
	}
	result, err := d.nodes.Propose(ctx, state.Command{
		Version: 1, Request: rand.Text(), Actor: self, Reason: reason, At: time.Now(),
		ApplyPolicy: &state.ApplyPolicy{Base: st.Current().Number, Source: source, Origin: origin},
	})
	if err != nil {
		return fmt.Errorf("the policy was refused: %w", err)
	}
	d.revision = result.Revision
	return nil
}

// wanted is the document that this start puts in force, and why; nil where what is in force stays.
func (d *Dev) wanted(st *state.State) (source []byte, reason string) {
	current := st.Current()
	switch {
	case current.Number == 0:
		return d.source, "the first policy"
	case d.sandbox != nil && !ofSandbox(current.Policy):
		return d.source, "the sandbox's own policy: what was in force does not use its providers"
	case d.sandbox != nil:
		if there := d.rebase(current); !bytes.Equal(there, current.Source) {
			return there, "the simulated providers are elsewhere now"
		}
		return nil, ""
	case bytes.Equal(appliedBefore(st), d.source):
		return nil, "" // the file has not changed since: what was changed by hand after it stays
	default:
		return d.source, "the policy file of --policy"
	}
}

// appliedBefore is the document that an earlier life put in force last.
func appliedBefore(st *state.State) []byte {
	for i := len(st.Revisions) - 1; i >= 0; i-- {
		if r := st.Revisions[i]; r.Actor == self {
			return r.Source
		}
	}
	return nil
}

// credentialFile begins the names of the files that the simulated providers' keys are kept in. A policy whose providers use it is the sandbox's.
const credentialFile = "sandbox-credential"

func ofSandbox(p *policy.Policy) bool {
	for i := range p.Providers {
		if _, ok := secretOf(&p.Providers[i]); ok {
			return true
		}
	}
	return false
}

// secretOf is the path of the sandbox's key, where the provider uses one.
func secretOf(p *policy.ProviderSpec) (path string, ok bool) {
	path, isFile := strings.CutPrefix(p.CredentialIn(""), "file:")
	return path, isFile && strings.HasPrefix(filepath.Base(path), credentialFile)
}

// rebase is the document in force with the places where this life has the simulated providers and their key. All else, comments too, is
// as it was.
func (d *Dev) rebase(in state.Revision) []byte {
	var moves []string
	for i := range in.Policy.Providers {
		p := &in.Policy.Providers[i]
		secret, ok := secretOf(p)
		if !ok || d.sandbox.Provider(p.Name) == nil {
			continue
		}
		moves = append(moves, secret, filepath.Join(d.cfg.Dir, filepath.Base(secret)))
		if there := p.EndpointIn(""); there != "" {
			moves = append(moves, there, d.endpoint(p.Name))
		}
	}
	return []byte(strings.NewReplacer(moves...).Replace(string(in.Source)))
}
