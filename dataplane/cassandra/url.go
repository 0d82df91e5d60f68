package cassandra

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Scheme is how an address of a cluster begins.
const Scheme = "cassandra://"

const (
	maxCopies   = 9  // in one data centre
	maxKeyspace = 36 // letters of a name that sessions' keyspace is named after too
)

// parameters are what an address may say behind its question mark.
var parameters = map[string]func(o *Options, value string) error{
	"dc": func(o *Options, v string) error { o.Datacenter = v; return nil },
	"keyspace": func(o *Options, v string) error {
		if !keyspaceName.MatchString(v) || len(v) > maxKeyspace {
			return fmt.Errorf("a small letter, then small letters, digits and _, %d at most", maxKeyspace)
		}
		o.Ledger, o.Soft = v, v+"_soft"
		return nil
	},
	"credential": func(o *Options, v string) error { return o.Login.read(v) },
	"migrate":    func(o *Options, v string) (err error) { o.Migrate, err = yes(v); return err },
	"resume":     func(o *Options, v string) (err error) { o.Resume, err = yes(v); return err },
	"copies":     func(o *Options, v string) (err error) { o.Replication, err = copies(v); return err },
	"ca":         func(o *Options, v string) error { return trust(o, v) },
	"cert":       func(*Options, string) error { return nil }, // read with key, below
	"key":        func(*Options, string) error { return nil },
}

// Parse reads an address like
//
//	cassandra://10.0.0.1,10.0.1.1:9042?dc=eu-west&keyspace=ledger&credential=file:/etc/segue/cassandra
//
// No error repeats what could be a secret.
func Parse(address string) (Options, error) {
	var o Options
	rest, ok := strings.CutPrefix(address, Scheme)
	if !ok {
		return o, fmt.Errorf("want %shost:port,host:port?dc=NAME", Scheme)
	}
	if strings.Contains(rest, "@") {
		return o, errors.New("name and password do not belong into an address, which others can see: put \"name:password\" into a file or a variable, " +
			"and say credential=file:PATH or credential=env:NAME")
	}
	hosts, query, _ := strings.Cut(rest, "?")
	var err error
	if o.Hosts, err = hostsOf(strings.TrimSuffix(hosts, "/")); err != nil {
		return o, err
	}
	said, err := url.ParseQuery(query)
	if err != nil {
		return o, fmt.Errorf("what stands behind the question mark cannot be read: %w", err)
	}
	return o, o.take(said)
}

// take sets what an address says behind its question mark.
func (o *Options) take(said url.Values) error {
	var names []string
	for name := range parameters {
		names = append(names, name)
	}
	sort.Strings(names)
	for name, values := range said {
		set, ok := parameters[name]
		if !ok {
			return fmt.Errorf("%q is not known; there are %s", name, strings.Join(names, ", "))
		}
		if len(values) > 1 || values[0] == "" {
			return fmt.Errorf("%s must be there once, with a value", name)
		}
		if err := set(o, values[0]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if said.Has("resume") && !o.Migrate {
		return errors.New("resume is of no use without migrate=true")
	}
	if said.Has("copies") && !o.Migrate {
		return errors.New("copies are of no use without migrate=true: they are said when the keyspaces are made")
	}
	return o.present(said.Get("cert"), said.Get("key"))
}

func hostsOf(text string) (hosts []string, err error) {
	for host := range strings.SplitSeq(text, ",") {
		name, port := host, ""
		if strings.Contains(host, ":") {
			if name, port, err = net.SplitHostPort(host); err != nil {
				return nil, fmt.Errorf("%q is not host:port: %w", host, err)
			}
			if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
				return nil, fmt.Errorf("%q: the port is a number from 1 to 65535; it is 9042 where none is said", host)
			}
		}
		if name == "" || strings.ContainsAny(name, "/ \t") {
			return nil, fmt.Errorf("%q is no host: want host:port,host:port", host)
		}
		if slices.Contains(hosts, host) {
			return nil, fmt.Errorf("%s is named twice", host)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

func yes(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, errors.New("true or false")
	}
	return text == "true", nil
}

// read takes name and password from where a text says: env:NAME or file:PATH.
func (l *Login) read(where string) error {
	kind, name, _ := strings.Cut(where, ":")
	var text string
	switch {
	case kind == "env" && name != "":
		text = os.Getenv(name)
		if text == "" {
			return fmt.Errorf("the variable %s is empty", name)
		}
	case kind == "file" && name != "":
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("the file cannot be read: %w", err)
		}
		text = string(b)
	default:
		return errors.New("want file:PATH or env:NAME; it holds name:password")
	}
	user, password, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok || user == "" || password == "" {
		return fmt.Errorf("%s holds no name:password", where)
	}
	l.User, l.Password = user, password
	return nil
}

// copies reads eu-west:3,us-east:3.
func copies(text string) (map[string]int, error) {
	out := map[string]int{}
	for part := range strings.SplitSeq(text, ",") {
		dc, number, _ := strings.Cut(part, ":")
		n, err := strconv.Atoi(number)
		if dc == "" || err != nil || n < 1 || n > maxCopies {
			return nil, fmt.Errorf("%q: want DATACENTRE:COPIES, like eu-west:3, with 1 to %d copies", part, maxCopies)
		}
		if out[dc] > 0 {
			return nil, fmt.Errorf("%s is named twice", dc)
		}
		out[dc] = n
	}
	return out, nil
}

// trust makes the connections TLS, with certificates that the file's authorities signed; "system" trusts those of the machine.
func trust(o *Options, file string) error {
	o.Login.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "system" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("the file cannot be read: %w", err)
	}
	o.Login.TLS.RootCAs = x509.NewCertPool()
	if !o.Login.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return nil
}

// present shows a certificate of ours to the cluster.
func (o *Options) present(cert, key string) error {
	if cert == "" && key == "" {
		return nil
	}
	if cert == "" || key == "" || o.Login.TLS == nil {
		return errors.New("cert and key go together, and with ca (a file, or system)")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("cert and key: %w", err)
	}
	o.Login.TLS.Certificates = []tls.Certificate{pair}
	return nil
}
