package clustertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrNoJava says that Cassandra cannot be had here: Java, Maven or the jars are missing and could not be fetched.
var ErrNoJava = errors.New("clustertest: Cassandra cannot be had on this machine")

// Cluster is some nodes on loopback. They end with this process, however it ends.
type Cluster struct {
	script string
	env    []string
	offset int
	nodes  int
	lock   *os.File
}

// Start starts a node for each data centre named. env may set SEGUE_CASSANDRA_SYNC and its like.
func Start(env []string, datacenters ...string) (*Cluster, error) {
	script, err := find("deploy/cassandra/cluster")
	if err != nil {
		return nil, err
	}
	c := &Cluster{script: script, nodes: len(datacenters)}
	if err := c.take(); err != nil {
		return nil, err
	}
	c.env = append(append(os.Environ(), env...), "SEGUE_CASSANDRA_OFFSET="+strconv.Itoa(c.offset), "SEGUE_CASSANDRA_OWNER="+strconv.Itoa(os.Getpid()))
	if _, err := c.run("wipe"); err != nil { // what a test that was killed left
		return nil, errors.Join(err, c.lock.Close())
	}
	if _, err := c.run("start", append([]string{strconv.Itoa(c.nodes)}, datacenters...)...); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// take finds addresses that no other test uses.
func (c *Cluster) take() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("clustertest: %w", err)
	}
	dir := filepath.Join(cache, "segue", "cassandra")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("clustertest: %w", err)
	}
	for c.offset = 100; c.offset < 200; c.offset++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("test-%d.lock", c.offset)), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return fmt.Errorf("clustertest: %w", err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			c.lock = f
			return nil
		}
		_ = f.Close()
	}
	return errors.New("clustertest: a hundred clusters run already")
}

// find looks for a file of the repository above the working directory.
func find(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("clustertest: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if p := filepath.Join(dir, name); exists(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("clustertest: %s is not above the test", name)
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

func (c *Cluster) run(command string, args ...string) (string, error) {
	cmd := exec.Command(c.script, append([]string{command}, args...)...)
	cmd.Env = c.env
	out, err := os.CreateTemp("", "cassandra-*.log") // not a pipe: the nodes live on behind the script, and would hold it open
	if err != nil {
		return "", fmt.Errorf("clustertest: %w", err)
	}
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said, _ := os.ReadFile(out.Name())
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 69 {
		return "", fmt.Errorf("%w: %s", ErrNoJava, strings.TrimSpace(string(said)))
	}
	if err != nil {
		return "", fmt.Errorf("clustertest: cluster %s %v: %w: %s", command, args, err, said)
	}
	return string(said), nil
}

func (c *Cluster) node(command string, i int) error {
	_, err := c.run(command, strconv.Itoa(i))
	return err
}

// Hosts are the nodes' addresses.
func (c *Cluster) Hosts() []string {
	hosts := make([]string, c.nodes)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("127.0.%d.%d", c.offset, i+1)
	}
	return hosts
}

// Kill ends a node's process at once; nodes count from 1.
func (c *Cluster) Kill(i int) error { return c.node("kill", i) }

// Pause makes a node hang.
func (c *Cluster) Pause(i int) error { return c.node("pause", i) }

// Resume lets a node that hangs go on.
func (c *Cluster) Resume(i int) error { return c.node("resume", i) }

// Up starts a node again.
func (c *Cluster) Up(i int) error { return c.node("up", i) }

// Nodetool runs Cassandra's own tool against a node.
func (c *Cluster) Nodetool(i int, args ...string) (string, error) {
	return c.run("nodetool", append([]string{strconv.Itoa(i)}, args...)...)
}

// Close ends all nodes and deletes what they wrote.
func (c *Cluster) Close() error {
	_, err := c.run("wipe")
	return errors.Join(err, c.lock.Close())
}
