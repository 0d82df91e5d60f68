package web

import (
	"net/http"
	"strings"
	"testing"

	"segue/controlplane/policy"
)

// TestContractsAreShown: each by its name, with what is promised; those that come with Segue are there before the first policy.
func TestContractsAreShown(t *testing.T) {
	s := newSite(t, options{})
	var list []policy.Sheet
	s.json(http.MethodGet, "/api/v1/contracts", "", 200, &list)
	if len(list) < len(policy.Builtins()) {
		t.Errorf("%d contracts", len(list))
	}
	var one policy.Sheet
	s.json(http.MethodGet, "/api/v1/contracts/stripe%2Fv1", "", 200, &one)
	if one.Name != "stripe/v1" || !one.Builtin || len(one.Facts) == 0 || one.Operations[0].Class != policy.Guarded {
		t.Errorf("%+v", one)
	}
	var p problem
	s.json(http.MethodGet, "/api/v1/contracts/none%2Fv1", "", 404, &p)
	if !strings.Contains(p.Detail, `"none/v1"`) {
		t.Errorf("%+v", p)
	}
	newSite(t, options{empty: true}).json(http.MethodGet, "/api/v1/contracts", "", 200, &list)
	if len(list) != len(policy.Builtins()) {
		t.Errorf("%d contracts without a policy", len(list))
	}
	var provider struct{ Promises []policy.Promise }
	s.json(http.MethodGet, "/api/v1/providers/main", "", 200, &provider)
	if len(provider.Promises) == 0 || provider.Promises[0].Why == "" {
		t.Errorf("%+v", provider)
	}
}
