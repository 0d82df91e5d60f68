// Command disk is a disk without a battery, as a FUSE file system: it keeps what was synced, file by file and directory by directory, and at
// a power cut chance keeps some of the rest: nothing, all, the first few, or sectors and names here and there.
//
// It owns the mount point that it is given, and all it holds is in memory. The tests of e2e/power start it; a module of its own, so that nobody who
// builds Segue has to fetch a FUSE library.
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// options are the command line's.
type options struct {
	from, to string
	seed     uint64
	cutAt    int
	lies     bool
}

func main() {
	var o options
	flag.StringVar(&o.from, "from", "", "a directory with what is on the disk")
	flag.StringVar(&o.to, "to", "", "a directory for what survives the cut")
	flag.Uint64Var(&o.seed, "seed", 1, "of what survives")
	flag.IntVar(&o.cutAt, "cut-at", 0, "cut the power before the nth change from now; 0: when standard input says so")
	flag.BoolVar(&o.lies, "lies", false, "answer syncs and do nothing")
	flag.Parse()
	if err := run(o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "disk:", err)
		os.Exit(1)
	}
}

// run mounts the disk, says "mounted", and "cut" at the cut, when what survives stands in its directory. A byte on standard input cuts the
// power; the end of standard input ends it all.
func run(o options, mount string) error {
	d := &disk{rng: rand.New(rand.NewPCG(o.seed, 7)), cutAt: o.cutAt, lies: o.lies, dead: make(chan struct{})}
	var err error
	if d.root, err = load(o.from, d.id); err != nil {
		return err
	}
	server, err := fs.Mount(mount, &node{d: d, o: d.root}, &fs.Options{
		MountOptions:   fuse.MountOptions{DirectMount: true, FsName: "segue-power", Name: "segue-power"},
		RootStableAttr: &fs.StableAttr{Ino: d.root.id},
	})
	if err != nil {
		return err
	}
	fmt.Println("mounted")
	over := make(chan struct{})
	go func() {
		defer close(over)
		one := make([]byte, 1)
		for {
			if _, err := io.ReadFull(os.Stdin, one); err != nil {
				return
			}
			d.mu.Lock()
			d.cut()
			d.mu.Unlock()
		}
	}()
	select {
	case <-d.dead:
		if err := d.root.save(o.to); err != nil {
			return err
		}
		fmt.Println("cut")
		<-over
	case <-over:
	}
	if err := server.Unmount(); err != nil {
		return syscall.Unmount(mount, syscall.MNT_DETACH) // somebody has a file open still
	}
	return nil
}
