package repair

import (
	"fmt"
	"time"
)

// run is the appender: hints that come while a sync is under way share the next one.
func (l *Log) run() {
	tick := time.NewTicker(l.opts.lazy)
	defer tick.Stop()
	for {
		select {
		case r, open := <-l.queue:
			if !open {
				_ = l.commit(nil) // it told whom it had to tell
				return
			}
			l.serve(l.gather(r))
		case <-tick.C:
			_ = l.commit(nil)
			l.reclaim()
		}
		if time.Since(l.looked) > spaceEvery {
			l.look()
		}
		l.tight.Store(l.refused() != nil)
	}
}

// gather takes what waits, up to a frame's size.
func (l *Log) gather(r *request) []*request {
	batch, size := []*request{r}, len(r.sealed)
	for size < maxBatch {
		select {
		case more, open := <-l.queue:
			if !open {
				return batch
			}
			batch, size = append(batch, more), size+len(more.sealed)
		default:
			return batch
		}
	}
	return batch
}

// serve writes a batch and tells those who wait.
func (l *Log) serve(batch []*request) {
	err := l.commit(batch)
	l.mu.Lock()
	for _, r := range batch {
		l.bytes -= r.room
	}
	l.mu.Unlock()
	for _, r := range batch {
		r.done <- err
	}
}

// commit makes one frame durable: the batch, and the ends of hints that came meanwhile. Readers see it only then.
func (l *Log) commit(batch []*request) error {
	if err := l.failed(); err != nil {
		return err
	}
	fresh, ended := l.fresh(batch)
	if len(fresh) == 0 && len(ended) == 0 {
		return nil
	}
	b := beginFrame(l.buf)
	b = append(b, ended...)
	added := make([]*entry, len(fresh))
	for i, r := range fresh {
		var at int
		b, at = appendHint(b, &r.hint, r.sealed)
		added[i] = &entry{Hint: r.hint, at: int64(at), size: len(r.sealed), stage: pending}
	}
	l.opts.at("append.begin")
	s, start, err := l.write(b)
	if err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	for _, e := range added {
		e.seg, e.at = s, e.at+start
		l.index.add(e)
	}
	l.mu.Unlock()
	l.opts.at("append.indexed")
	return nil
}

// fresh leaves out what the log has, numbers the rest, and takes the ends that wait.
func (l *Log) fresh(batch []*request) ([]*request, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*request
	known := map[ID]bool{}
	for _, r := range batch {
		if l.index.byID[r.hint.ID] != nil || known[r.hint.ID] {
			continue
		}
		known[r.hint.ID] = true
		l.index.lastSeq++
		r.hint.Seq = l.index.lastSeq
		out = append(out, r)
	}
	ended := l.ended
	if len(ended) > maxBatch {
		ended = ended[:maxBatch/18*18] // an end has 18 bytes
	}
	l.ended = append([]byte(nil), l.ended[len(ended):]...)
	return out, ended
}

// write makes a frame durable and returns where it is. b has a frame's head and body; it is the appender's own memory.
func (l *Log) write(b []byte) (*segment, int64, error) {
	s := l.segs[len(l.segs)-1]
	if s.size > segmentHead && s.size+int64(len(b)) > l.opts.Segment {
		if err := l.begin(s.number + 1); err != nil {
			return nil, 0, err
		}
		s = l.segs[len(l.segs)-1]
	}
	b, next := endFrame(b, l.next)
	l.buf = b
	start := s.size
	if err := l.put(s, b); err != nil {
		return nil, 0, err
	}
	l.next = next
	return s, start, l.note(false)
}

// put appends to a segment and syncs it.
func (l *Log) put(s *segment, b []byte) error {
	if _, err := s.file.Write(b); err != nil {
		return fmt.Errorf("%s: %w", nameOf(s.number), err)
	}
	l.opts.at("append.written")
	if !l.opts.unsynced {
		if err := s.file.SyncData(); err != nil {
			return fmt.Errorf("%s: %w", nameOf(s.number), err)
		}
	}
	l.opts.at("append.synced")
	l.mu.Lock()
	defer l.mu.Unlock()
	s.size += int64(len(b))
	l.bytes += int64(len(b))
	return nil
}

// begin starts a segment. It is on the disk, under its name, before anything is written to it.
func (l *Log) begin(number uint64) error {
	f, err := l.opts.fs.Create(l.path(nameOf(number)), diskCategory)
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	l.opts.at("segment.created")
	head := make([]byte, segmentHead)
	putSegmentHead(head, number, l.next)
	s := &segment{number: number, file: f}
	l.mu.Lock()
	l.segs = append(l.segs, s)
	l.mu.Unlock()
	if err := l.put(s, head); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	return l.note(false)
}

// note writes the mark: after the sync that it tells of.
func (l *Log) note(durable bool) error {
	m := mark{l.segs[0].number, l.segs[len(l.segs)-1].number, uint64(l.segs[len(l.segs)-1].size)}
	if _, err := l.mark.WriteAt(m.bytes(), 0); err != nil {
		return fmt.Errorf("%s: %w", markName, err)
	}
	l.opts.at("mark.written")
	if durable && !l.opts.unsynced {
		if err := l.mark.SyncData(); err != nil {
			return fmt.Errorf("%s: %w", markName, err)
		}
	}
	return nil
}

// reclaim gives the oldest segments up of which nothing is wanted. When space is short, one that is nearly empty is emptied first.
func (l *Log) reclaim() {
	if l.failed() != nil {
		return
	}
	for l.gone() {
	}
	if e := l.scattered(); len(e) > 0 {
		if err := l.carry(e); err != nil {
			_ = l.fail(err)
		}
	}
}

// gone removes the oldest segment if it can go. The mark tells the disk first: a file that is missing without that is damage.
func (l *Log) gone() bool {
	l.mu.Lock()
	if len(l.segs) < 2 || l.segs[0].live > 0 {
		l.mu.Unlock()
		return false
	}
	s := l.segs[0]
	l.segs = l.segs[1:]
	l.bytes -= s.size
	l.mu.Unlock()
	err := l.note(true)
	if err == nil {
		l.opts.at("segment.given-up")
		err = s.file.Close()
	}
	if err == nil {
		err = l.opts.fs.Remove(l.path(nameOf(s.number)))
	}
	if err != nil {
		_ = l.fail(err)
		return false
	}
	l.opts.at("segment.removed")
	return true
}

// scattered returns what is wanted of the oldest segment, if that is little and space is short.
func (l *Log) scattered() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes < l.opts.Limit/2 || len(l.segs) < 2 || l.segs[0].live*sparse > l.segs[0].size {
		return nil
	}
	s := l.segs[0]
	return l.index.all(func(e *entry) bool { return e.seg == s })
}

// carry writes hints anew, under their own numbers, so that their old segment can go.
func (l *Log) carry(hints []entry) error {
	b := beginFrame(l.buf)
	at := make([]int, len(hints))
	for i := range hints {
		sealed, err := hints[i].read()
		if err != nil {
			return err
		}
		b, at[i] = appendHint(b, &hints[i].Hint, sealed)
		if hints[i].stage == replayed {
			b = appendEnded(b, hints[i].ID, Applied)
		}
	}
	s, start, err := l.write(b)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range hints {
		if e := l.index.byID[hints[i].ID]; e != nil {
			l.index.move(e, s, start+int64(at[i]))
		}
	}
	return nil
}
