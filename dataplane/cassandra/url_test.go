package cassandra

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Setenv("CASSANDRA_LOGIN", "ann:s3:cret")
	file := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(file, []byte("bob:hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]Options{
		"cassandra://a":                                           {Hosts: []string{"a"}},
		"cassandra://a:9042,10.0.0.1/":                            {Hosts: []string{"a:9042", "10.0.0.1"}},
		"cassandra://[::1]:9042":                                  {Hosts: []string{"[::1]:9042"}},
		"cassandra://a?dc=eu%20west":                              {Hosts: []string{"a"}, Datacenter: "eu west"},
		"cassandra://a?keyspace=shop":                             {Hosts: []string{"a"}, Ledger: "shop", Soft: "shop_soft"},
		"cassandra://a?migrate=true":                              {Hosts: []string{"a"}, Migrate: true},
		"cassandra://a?credential=file:" + file:                   {Hosts: []string{"a"}, Login: Login{User: "bob", Password: "hunter2"}},
		"cassandra://a?credential=env:CASSANDRA_LOGIN":            {Hosts: []string{"a"}, Login: Login{User: "ann", Password: "s3:cret"}},
		"cassandra://a?migrate=true&resume=true&copies=us:3,eu:1": {Hosts: []string{"a"}, Migrate: true, Resume: true, Replication: map[string]int{"us": 3, "eu": 1}},
		"cassandra://a?migrate=false&dc=us&keyspace=x1_2":         {Hosts: []string{"a"}, Datacenter: "us", Ledger: "x1_2", Soft: "x1_2_soft"},
	} {
		if got, err := Parse(address); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v: %v", address, got, err)
		}
	}
}

// TestParseRefuses: each mistake is named, with what would be right, and no secret is repeated.
func TestParseRefuses(t *testing.T) {
	t.Setenv("CASSANDRA_BAD", "hunter2")
	for address, says := range map[string]string{
		"":                                           "want cassandra://host:port",
		"cassandra:a":                                "want cassandra://host:port",
		"cassandra://":                               `"" is no host`,
		"cassandra://a,":                             `"" is no host`,
		"cassandra://a,a":                            "a is named twice",
		"cassandra://a:b":                            "the port is a number",
		"cassandra://a:0":                            "the port is a number",
		"cassandra://a/b":                            `"a/b" is no host`,
		"cassandra://a:1:2":                          "is not host:port",
		"cassandra://ann:hunter2@a":                  "credential=file:PATH",
		"cassandra://a?user=ann":                     `"user" is not known; there are ca, cert, copies, credential, dc, key, keyspace, migrate, resume`,
		"cassandra://a?dc=a&dc=b":                    "dc must be there once",
		"cassandra://a?dc=":                          "dc must be there once, with a value",
		"cassandra://a?%zz":                          "cannot be read",
		"cassandra://a?keyspace=Shop":                "keyspace: a small letter",
		"cassandra://a?keyspace=x;DROP":              "cannot be read",
		"cassandra://a?keyspace=x%3BDROP":            "keyspace: a small letter",
		"cassandra://a?migrate=1":                    "migrate: true or false",
		"cassandra://a?resume=true":                  "resume is of no use without migrate=true",
		"cassandra://a?copies=us:3":                  "copies are of no use without migrate=true",
		"cassandra://a?migrate=true&copies=us":       `copies: "us": want DATACENTRE:COPIES`,
		"cassandra://a?migrate=true&copies=us:0":     "with 1 to 9 copies",
		"cassandra://a?migrate=true&copies=u:1,u:2":  "u is named twice",
		"cassandra://a?credential=hunter2":           "want file:PATH or env:NAME",
		"cassandra://a?credential=env:NOBODY_SET":    "the variable NOBODY_SET is empty",
		"cassandra://a?credential=env:CASSANDRA_BAD": "holds no name:password",
		"cassandra://a?credential=file:/no/where":    "the file cannot be read",
		"cassandra://a?ca=/no/where":                 "ca: the file cannot be read",
		"cassandra://a?ca=/dev/null":                 "holds no certificate in PEM",
		"cassandra://a?cert=x&key=y":                 "go together, and with ca",
		"cassandra://a?ca=system&cert=x":             "cert and key go together",
	} {
		_, err := Parse(address)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q in it", address, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is in the error: %v", address, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("cassandra://a:9042,b?dc=x&keyspace=y&copies=a:1&migrate=true")
	f.Add("cassandra://[::1")
	f.Fuzz(func(t *testing.T, address string) {
		if strings.Contains(address, "file:") || strings.Contains(address, "ca=") || strings.Contains(address, "key=") {
			t.Skip("names files of this machine")
		}
		if o, err := Parse(address); err == nil && len(o.Hosts) == 0 {
			t.Errorf("%q has no host", address)
		}
	})
}
