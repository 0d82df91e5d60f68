package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"connectrpc.com/connect"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/state"
)

// Steered is what the cluster's steering asks of a node. All but Stand are for the leader: another node answers state.NoLeader.
type Steered interface {
	Stand(ctx context.Context) ([]byte, error)
	Steer(ctx context.Context, c state.Command) (state.Result, error)
	Restore(ctx context.Context, c state.Command, from io.Reader) (state.Result, error)
}

// pieceSize is how much of a backup travels in one message.
const pieceSize = 256 << 10

func (p peerServer) Stand(ctx context.Context, _ *connect.Request[feedv1.Nothing]) (*connect.Response[feedv1.View], error) {
	stand, err := p.node.Stand(ctx)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(&feedv1.View{World: stand}), nil
}

func (p peerServer) Steer(ctx context.Context, r *connect.Request[feedv1.Change]) (*connect.Response[feedv1.Outcome], error) {
	c, err := state.Decode(r.Msg.GetCommand())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	result, err := p.node.Steer(ctx, c)
	out := &feedv1.Outcome{}
	if out.Result, err = marshalOutcome(result, err, &out.Error); err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func (p peerServer) Restore(ctx context.Context, s *connect.ClientStream[feedv1.Piece]) (*connect.Response[feedv1.Outcome], error) {
	if !s.Receive() {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.Join(errors.New("the first piece is missing"), s.Err()))
	}
	c, err := state.Decode(s.Msg().GetCommand())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	result, err := p.node.Restore(ctx, c, &pieces{stream: s})
	out := &feedv1.Outcome{}
	if out.Result, err = marshalOutcome(result, err, &out.Error); err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// pieces reads what comes in pieces.
type pieces struct {
	stream *connect.ClientStream[feedv1.Piece]
	rest   []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if !p.stream.Receive() {
			if err := p.stream.Err(); err != nil {
				return 0, fmt.Errorf("feed: restore: %w", err)
			}
			return 0, io.EOF
		}
		p.rest = p.stream.Msg().GetData()
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Stand returns how the node stands, as JSON of what it is to its own assembly.
func (p *Peer) Stand(ctx context.Context) ([]byte, error) {
	r, err := p.client.Stand(ctx, connect.NewRequest(&feedv1.Nothing{}))
	if err != nil {
		return nil, fmt.Errorf("feed: stand: %w", err)
	}
	return r.Msg.GetWorld(), nil
}

// Steer forwards a change of the set of control nodes.
func (p *Peer) Steer(ctx context.Context, c state.Command) (state.Result, error) {
	command, err := state.Encode(c)
	if err != nil {
		return state.Result{}, fmt.Errorf("feed: steer: %w", err)
	}
	r, err := p.client.Steer(ctx, connect.NewRequest(&feedv1.Change{Command: command}))
	if err != nil {
		return state.Result{}, fmt.Errorf("feed: steer: %w", err)
	}
	return unmarshalOutcome(r.Msg)
}

// Restore forwards a backup.
func (p *Peer) Restore(ctx context.Context, c state.Command, from io.Reader) (state.Result, error) {
	command, err := state.Encode(c)
	if err != nil {
		return state.Result{}, fmt.Errorf("feed: restore: %w", err)
	}
	s := p.client.Restore(ctx)
	err = s.Send(&feedv1.Piece{Command: command})
	for buf := make([]byte, pieceSize); err == nil; {
		var n int
		if n, err = io.ReadFull(from, buf); n == 0 {
			break
		}
		if sent := s.Send(&feedv1.Piece{Data: buf[:n]}); sent != nil {
			err = sent
		}
	}
	r, ended := s.CloseAndReceive() // it says why the leader took no more
	if ended != nil {
		return state.Result{}, fmt.Errorf("feed: restore: %w", ended)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && len(r.Msg.GetError()) == 0 {
		return state.Result{}, fmt.Errorf("feed: restore: %w", err)
	}
	return unmarshalOutcome(r.Msg)
}

func unmarshalOutcome(o *feedv1.Outcome) (state.Result, error) {
	if told := o.GetError(); len(told) > 0 {
		refused := &state.Error{}
		if err := json.Unmarshal(told, refused); err != nil {
			return state.Result{}, fmt.Errorf("feed: outcome: %w", err)
		}
		return state.Result{}, refused
	}
	var result state.Result
	if err := json.Unmarshal(o.GetResult(), &result); err != nil {
		return state.Result{}, fmt.Errorf("feed: outcome: %w", err)
	}
	return result, nil
}
