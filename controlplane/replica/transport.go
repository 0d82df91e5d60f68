package replica

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

const (
	transportFor  = 3 * time.Second // one message; raft gives snapshots more
	transportPool = 3               // idle connections per peer
)

// transport is raft's network transport with two changes of ours: a node without disk space asks for no votes, and a commit is told to
// the followers at once.
type transport struct {
	*raft.NetworkTransport
	id     raft.ServerID
	space  *space
	stream *stream
}

var errNoSpace = errors.New("replica: not campaigning: the disk is nearly full")

// RequestPreVote asks a peer whether it would vote for this node.
func (t *transport) RequestPreVote(
	id raft.ServerID, to raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse,
) error {
	if t.space.full() {
		return errNoSpace
	}
	return t.NetworkTransport.RequestPreVote(id, to, args, resp)
}

// RequestVote asks a peer for its vote.
func (t *transport) RequestVote(
	id raft.ServerID, to raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse,
) error {
	if t.space.full() {
		return errNoSpace
	}
	return t.NetworkTransport.RequestVote(id, to, args, resp)
}

// tell lets one follower know that the entry at index, of term, is committed. Raft does that with the next entry, or after the commit
// time-out of 50 to 100 ms: agents at followers would wait so long for an Update. It is an ordinary AppendEntries without entries: the
// follower takes it only if its log holds that very entry, so it can commit nothing that the leader does not have. A refusal or a
// loss does no harm: raft's own message follows.
func (t *transport) tell(to raft.Server, index, term uint64) error {
	_, err := t.append(to, &raft.AppendEntriesRequest{Term: term, PrevLogEntry: index, PrevLogTerm: term, LeaderCommitIndex: index})
	return err
}

// follows asks one voter, by a heartbeat of its own, whether it is in this node's term and follows it.
func (t *transport) follows(voter raft.Server, term uint64) bool {
	resp, err := t.append(voter, &raft.AppendEntriesRequest{Term: term})
	return err == nil && resp.Success && resp.Term == term
}

// append sends a message without entries, as this node.
func (t *transport) append(to raft.Server, req *raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error) {
	self := t.EncodePeer(t.id, t.LocalAddr())
	req.RPCHeader = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(t.id), Addr: self}
	resp := new(raft.AppendEntriesResponse)
	return resp, t.AppendEntries(to.ID, to.Address, req, resp)
}
