package provider

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"segue/controlplane/policy"
)

// Limits of secrets.
const (
	maxSecret   = 64 << 10
	maxSecrets  = 1024        // files remembered; beyond it they are read anew
	secretFresh = time.Second // a file is looked at again after this
)

// errSecret is any trouble with a secret. Its text names where the secret should be, never what it is.
var errSecret = errors.New("credential")

// secrets reads the providers' credentials from the environment and from files, where they may change at any time.
type secrets struct {
	env func(string) (string, bool)
	log *slog.Logger

	mu    sync.Mutex
	files map[string]secretFile
}

// secretFile is a file's secret as it was when last looked at.
type secretFile struct {
	value   string
	err     error
	looked  time.Time
	changed time.Time
	size    int64
}

func newSecrets(env func(string) (string, bool), log *slog.Logger) *secrets {
	return &secrets{env: env, log: log, files: map[string]secretFile{}}
}

// value returns the secret of an env or file credential.
func (s *secrets) value(c policy.Credential, now time.Time) (string, error) {
	switch c.Kind {
	case policy.CredentialEnv:
		v, ok := s.env(c.Ref)
		if !ok {
			return "", fmt.Errorf("%w: the environment has no %s", errSecret, c.Ref)
		}
		return sound(v, "environment variable "+c.Ref)
	case policy.CredentialFile:
		return s.file(c.Ref, now)
	default:
		return "", fmt.Errorf("%w: kind %q is not known", errSecret, c.Kind)
	}
}

// file returns a file's secret, looking at the file once a second at most.
func (s *secrets) file(path string, now time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, seen := s.files[path]
	if age := now.Sub(old.looked); seen && age >= 0 && age < secretFresh {
		return old.value, old.err
	}
	f := reread(path, old)
	f.looked = now
	if f.err != nil && (!seen || old.err == nil) {
		s.log.Error("a provider's credential cannot be read; calls to it are not sent", "error", f.err)
	}
	if len(s.files) >= maxSecrets {
		clear(s.files)
	}
	s.files[path] = f
	return f.value, f.err
}

// reread looks whether the file changed since old, and reads it if so.
func reread(path string, old secretFile) secretFile {
	f, err := os.Open(path)
	if err != nil {
		return secretFile{err: fmt.Errorf("%w: %w", errSecret, err)}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secretFile{err: fmt.Errorf("%w: %w", errSecret, err)}
	}
	if old.err == nil && old.value != "" && info.ModTime().Equal(old.changed) && info.Size() == old.size {
		return old
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(raw) > maxSecret {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	if err != nil {
		return secretFile{err: fmt.Errorf("%w: %w", errSecret, err)}
	}
	value, err := sound(strings.TrimRight(string(raw), "\r\n"), "file "+path)
	return secretFile{value: value, err: err, changed: info.ModTime(), size: info.Size()}
}

// sound refuses a secret that would not be one header value.
func sound(v, where string) (string, error) {
	if v == "" {
		return "", fmt.Errorf("%w: %s is empty", errSecret, where)
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return "", fmt.Errorf("%w: %s has a control character at byte %d", errSecret, where, i)
		}
	}
	return v, nil
}

// slot returns the header that a contract's credential goes to, and its value.
func slot(s policy.Slot, secret string) (name, value string) {
	return slotName(s), s.Fill(secret)
}

// path is the call's path. Where the API names the user there too, it is that of the credential which the agent puts in.
func (c *Client) path(call *Call, now time.Time) (string, error) {
	p := call.Candidate
	if p.Credential.Kind == policy.CredentialCaller || p.Contract.Credential.Path == "" {
		return call.Request.Path, nil
	}
	secret, err := c.secrets.value(p.Credential, now)
	if err != nil {
		return "", fmt.Errorf("provider %s: %w", p.Provider, err)
	}
	user, _, ok := strings.Cut(secret, ":")
	if !ok || user == "" {
		return "", fmt.Errorf("provider %s: %w: it is not user:secret, as contract %s wants it", p.Provider, errSecret, p.Contract.Name)
	}
	return p.Path(call.Request.Path, user), nil
}

func slotName(s policy.Slot) string {
	if s.Header == "" {
		return "Authorization"
	}
	return s.Header
}
