package main

import (
	"strings"
	"testing"
)

// TestStoreFlag: what --store takes, and that what it does not take is told without a secret.
func TestStoreFlag(t *testing.T) {
	if at, err := parseStore("embedded"); err != nil || at.dir != "" || at.cluster != nil {
		t.Errorf("embedded: %+v, %v", at, err)
	}
	if at, err := parseStore("embedded:/var/lib/x"); err != nil || at.dir != "/var/lib/x" || at.cluster != nil {
		t.Errorf("embedded with a directory: %+v, %v", at, err)
	}
	if at, err := parseStore("cassandra://a:9042,b?dc=x"); err != nil || at.cluster == nil || at.cluster.Datacenter != "x" || len(at.cluster.Hosts) != 2 {
		t.Errorf("a cluster: %+v, %v", at, err)
	}
	for _, text := range []string{"", "paper", "cassandra", "cassandra:a", "cassandra://", "cassandra://ann:hunter2@a", "postgres://ann:hunter2@a", "redis://a?password=hunter2", "cassandra://a?password=hunter2"} {
		_, err := parseStore(text)
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--store: ") || !strings.Contains(err.Error(), "want embedded") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
