package dev

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"segue/dataplane/sandbox"
)

// simulated lists the default policy's providers. What is unknown at legacy, which ignores idempotency keys, and at the providers of
// messages, which know none, stays unknown.
func simulated() []sandbox.ProviderConfig {
	return []sandbox.ProviderConfig{
		{Name: main, Keys: sandbox.Enforced},
		{Name: backup, Keys: sandbox.Enforced},
		{Name: legacy, Keys: sandbox.Ignored},
		{Name: "twilio-a", API: sandbox.Messages},
		{Name: "twilio-b", API: sandbox.Messages},
		{Name: "twilio-c", API: sandbox.Messages},
		{Name: "openai-a", API: sandbox.Chat},
		{Name: "openai-b", API: sandbox.Chat},
		{Name: "openai-c", API: sandbox.Chat},
	}
}

// prepareSandbox starts the simulated providers and writes the demo's policy around them. Secrets are in files that the policy names.
func (d *Dev) prepareSandbox() error {
	providers, key := simulated(), "sk_sandbox_"+rand.Text()
	for i := range providers {
		p := &providers[i]
		p.Credential = key
		if p.API == sandbox.Messages {
			p.Credential = sid(p.Name) + ":" + rand.Text()
		}
		if err := os.WriteFile(d.secret(*p), []byte(p.Credential+"\n"), 0o600); err != nil {
			return fmt.Errorf("the credential of %s: %w", p.Name, err)
		}
	}
	box, err := sandbox.New(sandbox.Config{Port: d.cfg.Ports.Sandbox, Seed: d.cfg.Seed, Log: d.cfg.Log, Providers: providers, Naive: sandbox.NaiveConfig{Rate: d.cfg.Rate}})
	if err != nil {
		return err
	}
	d.sandbox = box
	d.cfg.File = "segue dev's own policy"
	d.source = demoPolicy(d)
	return box.Start()
}

// sid is the account of a provider of messages. It is the same in each life: messages belong to it.
func sid(provider string) string {
	sum := sha256.Sum256([]byte(provider))
	return "AC" + hex.EncodeToString(sum[:16])
}

// endpoint is where a simulated provider is called.
func (d *Dev) endpoint(provider string) string {
	return "http://" + strings.TrimPrefix(d.sandbox.Addr(provider), "http://")
}

// secret is the file with a simulated provider's credential: accounts of messages have one each.
func (d *Dev) secret(p sandbox.ProviderConfig) string {
	file := credentialFile
	if p.API == sandbox.Messages {
		file += "-" + p.Name
	}
	return filepath.Join(d.cfg.Dir, file)
}

// startShopper sends the load to the services of the demo, in whichever regions the policy in force has them.
func (d *Dev) startShopper() error {
	var targets []sandbox.Target
	for _, r := range d.policy.Regions {
		if base := d.base(r.Name, payments); base != "" {
			targets = append(targets, sandbox.Target{
				Region: r.Name, URL: base, Rate: d.cfg.Rate, Messages: d.base(r.Name, messages), Chat: d.base(r.Name, chat),
			})
		}
	}
	if len(targets) == 0 {
		d.cfg.Log.Warn("the shopper stays away: the policy in force has no service that it knows", "service", payments)
		return nil
	}
	s, err := sandbox.NewShopper(sandbox.ShopperConfig{Targets: targets, Seed: d.cfg.Seed, Log: d.cfg.Log})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.shopper = s
	d.mu.Unlock()
	return s.Start()
}

// base is the URL of a service in a region; "" if it is not served there.
func (d *Dev) base(region, service string) string {
	if addr := d.Service(region, service); addr != "" {
		return "http://" + addr
	}
	return ""
}
