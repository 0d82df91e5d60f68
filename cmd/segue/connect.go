package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

func newConnect(s *settings) *cobra.Command {
	var name, region string
	var https bool
	c := &cobra.Command{
		Use: "connect [SERVICE]", Short: "Print the program that points an SDK at a service", Args: cobra.MaximumNArgs(1),
		Long: `Prints a whole program, ready to run, that makes one call to a service through an
unmodified SDK: where the base URL goes, what the API-key slot carries, and how the
SDK sends Idempotency-Key and Session-Id. The address is that of the region's agent.

Without --sdk: the service's addresses, and the SDKs that speak its contract.
Without SERVICE: the services.`,
		Example: `  segue connect
  segue connect payments --sdk stripe-node > pay.mjs && npm install stripe && node pay.mjs
  segue connect payments --sdk curl --region eu-west | sh`,
		RunE: func(c *cobra.Command, args []string) error {
			doc, services, err := s.connections(c.Context(), scheme(https))
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if name != "" || region != "" {
					return usageError{fmt.Errorf("--sdk and --region need a SERVICE: %s", strings.Join(serviceNames(doc), ", "))}
				}
				return s.print(services, func() { s.tellConnections(services) })
			}
			i := slices.IndexFunc(services, func(one connection) bool { return one.Service == args[0] })
			if i < 0 {
				return fmt.Errorf("the policy has no service %q%s; it has: %s", args[0], guess(args[0], serviceNames(doc)), strings.Join(serviceNames(doc), ", "))
			}
			if region != "" && !slices.ContainsFunc(services[i].Regions, func(p place) bool { return p.Region == region }) {
				return fmt.Errorf("--region: the policy has no region %q%s; it has: %s", region, guess(region, doc.Regions.Names()), strings.Join(doc.Regions.Names(), ", "))
			}
			if name == "" {
				return s.print(services[i], func() { s.tellConnection(services[i]) })
			}
			return s.printProgram(doc, services[i], name, region)
		},
	}
	c.Flags().StringVar(&name, "sdk", "", "the SDK: "+strings.Join(sdkNames(sdks), ", "))
	c.Flags().StringVar(&region, "region", "", "the region whose agent is called (default: the first that serves)")
	c.Flags().BoolVar(&https, "https", false, "the agents serve with --tls-cert")
	return c
}

func scheme(https bool) string {
	if https {
		return "https"
	}
	return "http"
}

// connection is a service as an application needs to know it.
type connection struct {
	Service string   `json:"service"`
	Speaks  string   `json:"speaks"`
	Regions []place  `json:"regions"`
	SDKs    []string `json:"sdks"`
}

// place is where a service is served in one region.
type place struct {
	Region string `json:"region"`
	URL    string `json:"url"`
	Heard  bool   `json:"heard"`  // an agent there has told that it serves at this address
	Caller bool   `json:"caller"` // a provider there takes the caller's own key
}

// connections puts the policy and what the agents tell together.
func (s *settings) connections(ctx context.Context, scheme string) (*policy.Policy, []connection, error) {
	var got struct {
		Revision uint64 `json:"revision"`
		Source   string `json:"source"`
	}
	if err := s.request(ctx, call{method: http.MethodGet, path: "/policy"}, &got); err != nil {
		return nil, nil, explain(err)
	}
	doc, problems := policy.Parse("the policy in force", []byte(got.Source))
	if err := problems.Err(); err != nil {
		return nil, nil, fmt.Errorf("this segue does not understand the policy in force; is it older than the control plane? %w", err)
	}
	var regions []struct {
		Name   string
		Agents []health.AgentSeen
	}
	if err := s.request(ctx, call{method: http.MethodGet, path: "/regions"}, &regions); err != nil {
		return nil, nil, explain(err)
	}
	agents := map[string][]health.AgentSeen{}
	for _, r := range regions {
		agents[r.Name] = r.Agents
	}
	list := make([]connection, len(doc.Services))
	for i := range doc.Services {
		svc := &doc.Services[i]
		list[i] = connection{Service: svc.Name, Speaks: svc.Speaks, SDKs: sdkNames(speakers(doc, svc.Speaks))}
		for _, region := range doc.Regions.Names() {
			p, err := placeOf(doc, svc, region, agents[region])
			p.URL = scheme + "://" + p.URL
			if err != nil {
				return nil, nil, err
			}
			list[i].Regions = append(list[i].Regions, p)
		}
	}
	return doc, list, nil
}

// placeOf is the address that an agent of the region told, or else the one that the policy says.
func placeOf(doc *policy.Policy, svc *policy.ServiceSpec, region string, agents []health.AgentSeen) (place, error) {
	p := place{Region: region}
	snap, err := policy.Compile(doc, region, 1)
	if err != nil {
		return p, fmt.Errorf("the policy in force: %w", err)
	}
	if compiled, ok := snap.Service(svc.Name); ok {
		p.Caller = slices.ContainsFunc(compiled.Candidates, func(c *policy.Candidate) bool { return c.Credential.Kind == policy.CredentialCaller })
	}
	host, port := "127.0.0.1", strconv.Itoa(svc.Listen.Port)
	for _, a := range agents {
		if h, at, err := net.SplitHostPort(a.Addr[svc.Name]); err == nil && a.Heard {
			host, port, p.Heard = h, at, true
			break
		}
	}
	if svc.Listen.Host != "" {
		host = svc.Listen.Host
	}
	p.URL = net.JoinHostPort(host, port)
	return p, nil
}

func serviceNames(doc *policy.Policy) []string {
	names := make([]string, len(doc.Services))
	for i := range doc.Services {
		names[i] = doc.Services[i].Name
	}
	return names
}

func (s *settings) tellConnections(list []connection) {
	rows := [][]string{{"SERVICE", "SPEAKS", "ADDRESS", "SDKS"}}
	for _, one := range list {
		rows = append(rows, []string{one.Service, one.Speaks, one.pick("").URL, strings.Join(one.SDKs, " ")})
	}
	s.table(rows)
	fmt.Fprintln(s.io.out, "segue connect SERVICE --sdk SDK prints a program that calls it")
}

func (s *settings) tellConnection(one connection) {
	rows := [][]string{{"REGION", "ADDRESS", "AGENT", "API-KEY SLOT"}}
	for _, p := range one.Regions {
		agent, slot := "serves", "anything: the agent puts the provider's key in"
		if !p.Heard {
			agent = "not heard"
		}
		if p.Caller {
			slot = "your own key at the provider"
		}
		rows = append(rows, []string{p.Region, p.URL, agent, slot})
	}
	s.table(rows)
	if len(one.SDKs) == 0 {
		fmt.Fprintf(s.io.out, "%s speaks %s; no SDK is known for it here\n", one.Service, one.Speaks)
		return
	}
	fmt.Fprintf(s.io.out, "segue connect %s --sdk %s\n", one.Service, strings.Join(one.SDKs, "|"))
}

// pick is the region that was asked for, or the first that serves.
func (one connection) pick(region string) place {
	for _, p := range one.Regions {
		if p.Region == region || region == "" && p.Heard {
			return p
		}
	}
	return one.Regions[0] // a policy has a region at least: Parse gives it one called local
}

// program is what is printed, and for machines what surrounds it.
type program struct {
	Service string   `json:"service"`
	SDK     string   `json:"sdk"`
	Region  string   `json:"region"`
	URL     string   `json:"url"`
	Heard   bool     `json:"heard"`
	Secrets []string `json:"secrets"` // the environment variables that it reads
	File    string   `json:"file"`
	Install string   `json:"install,omitempty"`
	Run     string   `json:"run"`
	Program string   `json:"program"`
}

func (s *settings) printProgram(doc *policy.Policy, one connection, name, region string) error {
	lib, err := pickSDK(doc, doc.Service(one.Service), name)
	if err != nil {
		return err
	}
	p := one.pick(region)
	protocol, address, _ := strings.Cut(p.URL, "://")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("connect: %s: %w", p.URL, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("connect: %s: %w", p.URL, err)
	}
	text, err := lib.render(filled{
		Notes: notes(doc, one, lib, p), URL: p.URL, Protocol: protocol, Host: host, Port: number, HostPort: net.JoinHostPort(host, port), Caller: p.Caller,
	})
	if err != nil {
		return err
	}
	done := program{
		Service: one.Service, SDK: lib.name, Region: p.Region, URL: p.URL, Heard: p.Heard, Secrets: []string{},
		File: lib.file, Install: lib.install, Run: lib.run, Program: text,
	}
	if p.Caller {
		done.Secrets = lib.secrets
	}
	return s.print(done, func() { fmt.Fprint(s.io.out, text) })
}

// notes are the comments at a program's head: what it is, how it is run, and what is not in its lines.
func notes(doc *policy.Policy, one connection, lib sdk, p place) []string {
	where := fmt.Sprintf("%s in %s, with %s.", one.Service, p.Region, lib.name)
	if !p.Heard {
		where += " No agent has told that it serves there: the address is the policy's."
	}
	list := []string{where}
	var others []string
	for _, o := range one.Regions {
		if o.Region != p.Region && o.Heard {
			others = append(others, o.Region+" "+o.URL)
		}
	}
	if len(others) > 0 {
		list = append(list, "Elsewhere: "+strings.Join(others, ", "))
	}
	if host := doc.Service(one.Service).Listen.Host; host != "" {
		list = append(list, fmt.Sprintf("The name %s must lead to the region's agent.", host))
	}
	if lib.install != "" {
		list = append(list, "Once: "+lib.install)
	}
	list = append(list, fmt.Sprintf("Save it as %s and run: %s%s", lib.file, lib.run, lib.again))
	if p.Caller {
		return append(list, "The API-key slot carries your own key at the provider, from $"+strings.Join(lib.secrets, " and $")+": it is passed on.")
	}
	return append(list, "The API-key slot may hold anything: the agent takes it out and puts the provider's key in.")
}
