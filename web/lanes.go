package web

import (
	"segue/controlplane/policy"
)

// checkNames are what a provider is asked, in the policy's order.
func checkNames(c *policy.Checks) []string {
	var names []string
	for _, k := range c.Active {
		names = append(names, k.Name())
	}
	return names
}
