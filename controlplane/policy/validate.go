package policy

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"segue/regions"
)

// Validate checks all that a policy must keep, wherever it came from. Its problems have no lines; Parse adds them.
func Validate(p *Policy) Problems {
	return check(p).problems.sorted()
}

// checker collects what is wrong with one policy.
type checker struct {
	*Policy
	catalog  catalog
	problems Problems
	trees    ruleTrees
	all      int              // rules, of all services
	missing  map[string]bool  // paths of fields that should be there and are not
	within   map[string]place // where in the program at a path its problem stands
	tried    int              // steps of programs, run to see whether they end
}

func check(p *Policy) *checker {
	c := &checker{Policy: p, catalog: newCatalog(p.Contracts), missing: map[string]bool{}, within: map[string]place{}}
	c.counts()
	c.regions()
	c.contracts()
	c.providers()
	c.services()
	c.money()
	return c
}

func (c *checker) problem(path, fix, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Fix: fix})
}

// lacks says that a field is not there.
func (c *checker) lacks(path, fix string) {
	c.missing[path] = true
	c.problem(path, fix, "is missing")
}

func (c *checker) counts() {
	for _, list := range []struct {
		path     string
		n, limit int
	}{
		{"regions", len(c.Regions), maxRegions},
		{"services", len(c.Services), maxServices},
		{"providers", len(c.Providers), maxProviders},
		{"contracts", len(c.Contracts), maxContracts},
	} {
		if list.n > list.limit {
			c.problem(list.path, "split the policy", "has %d entries, more than %d", list.n, list.limit)
		}
	}
	if len(c.Services) == 0 {
		c.lacks("services", "name at least one service")
	}
}

// unique checks the names of a list.
func (c *checker) unique(section string, names []string, problem func(string) string) {
	seen := map[string]int{}
	for i, name := range names {
		path := join(section, clip(name))
		if what := problem(name); what != "" {
			c.problem(path, "names are like "+exampleName(section), "%s", what)
		}
		if first, twice := seen[name]; twice {
			c.problem(path, "keep one of them", "is there twice, as entries %d and %d", first+1, i+1)
			continue
		}
		seen[name] = i
	}
}

func exampleName(section string) string {
	if section == "contracts" {
		return "acme/v1"
	}
	return "main or eu-west"
}

func (c *checker) regions() {
	names := c.Regions.Names()
	c.unique("regions", names, nameProblem)
	if len(names) == 0 {
		c.lacks("regions", "name at least one region")
	}
	for _, r := range c.Regions {
		path := join("regions", r.Name)
		if r.Name == Default {
			c.problem(path, "choose another name", "%s stands for every other region, it cannot be one", Default)
		}
		c.standby(path+".standby", r)
	}
}

func (c *checker) standby(path string, r regions.Region) {
	for i, name := range r.Standby {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case name == r.Name:
			c.problem(at, "leave it out", "a region cannot stand by for itself")
		case !c.hasRegion(name):
			c.problem(at, didYouMean(name, c.Regions.Names()), "there is no region %q", clip(name))
		case slices.Contains(r.Standby[:i], name):
			c.problem(at, "keep one of them", "%s is there twice", name)
		}
	}
}

func (c *checker) hasRegion(name string) bool {
	_, ok := c.Regions.Find(name)
	return ok
}

// regionKeys checks the regions that a setting names; "" is the default.
func (c *checker) regionKeys(path string, keys []string) {
	for i, name := range keys {
		at := join(path, clip(name))
		if name != "" && !c.hasRegion(name) {
			c.problem(at, didYouMean(name, append(c.Regions.Names(), Default)), "there is no region %q", clip(name))
		}
		if slices.Contains(keys[:i], name) {
			c.problem(at, "keep one of them", "is there twice")
		}
	}
}

// regionPath is where a region's entry stands in the document: a lone default is written without a key.
func regionPath(path, region string, entries int) string {
	switch {
	case region != "":
		return join(path, clip(region))
	case entries == 1:
		return path
	default:
		return join(path, Default)
	}
}

// endpointProblem tells what is wrong with a base URL. Its text is not repeated: it could hold a password.
func endpointProblem(text string) (what, fix string) {
	const example = "write a base URL, like https://api.example.com"
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return "is no absolute http or https URL", example
	case u.User != nil:
		return "holds a user or a password", "leave them out: the credential goes where the contract says"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return "has a query or a fragment", example
	case strings.Trim(u.Path, "/") != "" && !safePath(strings.TrimRight(u.EscapedPath(), "/")):
		return "has a path with empty segments or dots", example
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "is plain http to another machine: credentials would travel in the clear", "write https"
	default:
		return "", ""
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
