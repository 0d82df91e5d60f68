package main

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// disk is the file system: one lock, so that a cut falls between two operations.
type disk struct {
	mu    sync.Mutex
	last  uint64 // inode
	root  *object
	rng   *rand.Rand
	cutAt int  // operations from now; 0: not by itself
	lies  bool // syncs are answered and not done
	done  int
	dead  chan struct{} // closed by the cut
}

func (d *disk) id() uint64 { d.last++; return d.last }

// change does something to the disk. The cut comes before one, and from then on there is no power.
func (d *disk) change(do func() syscall.Errno) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done++; d.done == d.cutAt {
		d.cut()
	}
	if d.off() {
		return syscall.EIO
	}
	return do()
}

// look reads from the disk.
func (d *disk) look(do func() syscall.Errno) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off() {
		return syscall.EIO
	}
	return do()
}

func (d *disk) off() bool {
	select {
	case <-d.dead:
		return true
	default:
		return false
	}
}

// cut ends the power. The caller holds the lock.
func (d *disk) cut() {
	if !d.off() {
		d.root.survivor(d.rng)
		close(d.dead)
	}
}

// node is an object as the kernel asks for it.
type node struct {
	fs.Inode
	d *disk
	o *object
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeAllocater = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

func (n *node) child(ctx context.Context, o *object, out *fuse.EntryOut) *fs.Inode {
	o.attr(&out.Attr)
	return n.NewInode(ctx, &node{d: n.d, o: o}, fs.StableAttr{Mode: o.kind(), Ino: o.id})
}

func (o *object) kind() uint32 {
	if o.dir {
		return syscall.S_IFDIR
	}
	return syscall.S_IFREG
}

func (o *object) attr(a *fuse.Attr) {
	a.Ino, a.Mode, a.Nlink, a.Blksize = o.id, o.kind()|o.mode&0o777, 1, 4096
	a.Size = uint64(len(o.seen))
	a.Blocks = (a.Size + sector - 1) / sector
	a.SetTimes(&o.changed, &o.changed, &o.changed)
}

// Lookup implements fs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (found *fs.Inode, errno syscall.Errno) {
	errno = n.d.look(func() syscall.Errno {
		o := n.o.names[name]
		if o == nil {
			return syscall.ENOENT
		}
		found = n.child(ctx, o, out)
		return 0
	})
	return found, errno
}

func (n *node) add(ctx context.Context, name string, dir bool, mode uint32, out *fuse.EntryOut) (added *fs.Inode, errno syscall.Errno) {
	errno = n.d.change(func() syscall.Errno {
		if n.o.names[name] != nil {
			return syscall.EEXIST
		}
		o := newObject(n.d.id(), dir, mode)
		n.o.move(move{name: o})
		added = n.child(ctx, o, out)
		return 0
	})
	return added, errno
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	added, errno := n.add(ctx, name, false, mode, out)
	return added, nil, 0, errno
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, true, mode, out)
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	return n.d.change(func() syscall.Errno {
		if n.o.names[name] == nil {
			return syscall.ENOENT
		}
		n.o.move(move{name: nil})
		return 0
	})
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.d.change(func() syscall.Errno {
		o := n.o.names[name]
		switch {
		case o == nil:
			return syscall.ENOENT
		case len(o.names) > 0:
			return syscall.ENOTEMPTY
		}
		n.o.move(move{name: nil})
		return 0
	})
}

// Rename implements fs.NodeRenamer, within a directory: nothing that is tested here moves a file to another.
func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	return n.d.change(func() syscall.Errno {
		o := n.o.names[name]
		other, ok := to.(*node)
		switch {
		case o == nil:
			return syscall.ENOENT
		case !ok || other.o != n.o || flags != 0:
			return syscall.EXDEV
		}
		n.o.move(move{name: nil, newName: o})
		return 0
	})
}

// Readdir implements fs.NodeReaddirer.
func (n *node) Readdir(context.Context) (out fs.DirStream, errno syscall.Errno) {
	errno = n.d.look(func() syscall.Errno {
		var list []fuse.DirEntry
		for _, name := range slices.Sorted(maps.Keys(n.o.names)) {
			o := n.o.names[name]
			list = append(list, fuse.DirEntry{Name: name, Mode: o.kind(), Ino: o.id})
		}
		out = fs.NewListDirStream(list)
		return 0
	})
	return out, errno
}

// Getattr implements fs.NodeGetattrer.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.d.look(func() syscall.Errno { n.o.attr(&out.Attr); return 0 })
}

// Setattr implements fs.NodeSetattrer: a file's length counts, the rest is as it pleases.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return n.d.change(func() syscall.Errno {
		if size, ok := in.GetSize(); ok {
			n.o.edit(edit{at: int64(size)})
		}
		n.o.attr(&out.Attr)
		return 0
	})
}

// Open implements fs.NodeOpener.
func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, n.d.look(func() syscall.Errno { return 0 })
}

// Read implements fs.NodeReader.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (out fuse.ReadResult, errno syscall.Errno) {
	errno = n.d.look(func() syscall.Errno {
		k := 0
		if off < int64(len(n.o.seen)) {
			k = copy(dest, n.o.seen[off:])
		}
		out = fuse.ReadResultData(dest[:k])
		return 0
	})
	return out, errno
}

// Write implements fs.NodeWriter.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	errno := n.d.change(func() syscall.Errno {
		n.o.edit(edit{off, slices.Clone(data)})
		return 0
	})
	return uint32(len(data)), errno
}

// Fsync implements fs.NodeFsyncer, for files and for directories.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.d.change(func() syscall.Errno {
		if !n.d.lies {
			n.o.sync()
		}
		return 0
	})
}

// Allocate implements fs.NodeAllocater: room is there, and says nothing of what is in it.
func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	const keepSize = 1
	return n.d.change(func() syscall.Errno {
		if end := int64(off + size); mode&keepSize == 0 && end > int64(len(n.o.seen)) {
			n.o.edit(edit{at: end})
		}
		return 0
	})
}

// Statfs implements fs.NodeStatfser: there is room.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks, out.Bfree, out.Bavail = 1<<22, 1<<22, 1<<22
	out.Files, out.Ffree = 1<<20, 1<<20
	return 0
}
