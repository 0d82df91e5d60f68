package feed

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/health"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// Node is what other control nodes may ask of this one. The first four are for the leader: another node answers state.NoLeader.
type Node interface {
	Propose(ctx context.Context, c state.Command) (state.Result, error)
	Confirm(ctx context.Context) (index uint64, err error)
	Look(ctx context.Context) (world []byte, err error)
	Tell(ctx context.Context, reports []health.Report, acks []state.Ack) error
	// Attached asks the agents that are attached to this node.
	Attached(ctx context.Context, q query.Question) []Answer
	Steered
}

// PeerHandler returns the path prefix and the handler by which other control nodes reach node.
func PeerHandler(node Node) (string, http.Handler) {
	return feedv1.NewPeerHandler(peerServer{node}, serving(4*maxMessage))
}

type peerServer struct{ node Node }

func (p peerServer) Propose(ctx context.Context, r *connect.Request[feedv1.Change]) (*connect.Response[feedv1.Outcome], error) {
	c, err := state.Decode(r.Msg.GetCommand())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	result, err := p.node.Propose(ctx, c)
	out := &feedv1.Outcome{}
	if out.Result, err = marshalOutcome(result, err, &out.Error); err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// marshalOutcome encodes a result, and err where it is the border's own error type; other errors stay errors.
func marshalOutcome(result state.Result, err error, told *[]byte) ([]byte, error) {
	if err != nil {
		var refused *state.Error
		if !errors.As(err, &refused) {
			return nil, err
		}
		b, merr := json.Marshal(refused)
		*told = b
		return nil, merr
	}
	return json.Marshal(result)
}

func (p peerServer) Confirm(ctx context.Context, _ *connect.Request[feedv1.Nothing]) (*connect.Response[feedv1.Index], error) {
	index, err := p.node.Confirm(ctx)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(&feedv1.Index{Index: index}), nil
}

func (p peerServer) Look(ctx context.Context, _ *connect.Request[feedv1.Nothing]) (*connect.Response[feedv1.View], error) {
	world, err := p.node.Look(ctx)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(&feedv1.View{World: world}), nil
}

func (p peerServer) Tell(ctx context.Context, r *connect.Request[feedv1.Telling]) (*connect.Response[feedv1.Nothing], error) {
	reports, err := decodeAll[health.Report](r.Msg.GetReports())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	acks, err := decodeAll[state.Ack](r.Msg.GetAcks())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if err := p.node.Tell(ctx, reports, acks); err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(&feedv1.Nothing{}), nil
}

func (p peerServer) Ask(ctx context.Context, r *connect.Request[feedv1.Question]) (*connect.Response[feedv1.Answers], error) {
	var q query.Question
	if err := json.Unmarshal(r.Msg.GetQuestion(), &q); err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.Msg.GetWaitNano()))
	defer cancel()
	out := &feedv1.Answers{}
	for _, a := range p.node.Attached(ctx, q) {
		out.Answers = append(out.Answers, &feedv1.Answer{Agent: a.Agent, Region: a.Region, Run: a.Run, Body: a.Body, Error: a.Err})
	}
	return connect.NewResponse(out), nil
}

// Peer is another control node, as this one reaches it.
type Peer struct {
	client feedv1.PeerClient
	close  func()
}

// DialPeer returns the node whose feed listens at addr. It connects when it is first asked.
func DialPeer(addr string, config *tls.Config) *Peer {
	t := transport(config)
	client := feedv1.NewPeerClient(&http.Client{Transport: t}, base(addr, config), dialing(4*maxMessage))
	return &Peer{client: client, close: t.CloseIdleConnections}
}

// Close gives up idle connections.
func (p *Peer) Close() { p.close() }

// Propose forwards a change. When the connection fails under way the outcome is unknown: the same request id may be sent again.
func (p *Peer) Propose(ctx context.Context, c state.Command) (state.Result, error) {
	command, err := state.Encode(c)
	if err != nil {
		return state.Result{}, err
	}
	r, err := p.client.Propose(ctx, connect.NewRequest(&feedv1.Change{Command: command}))
	if err != nil {
		return state.Result{}, fmt.Errorf("feed: forward: %w", err)
	}
	return unmarshalOutcome(r.Msg)
}

// Confirm returns an index of the leader's: a state that has applied it is linearizable for a read that began before.
func (p *Peer) Confirm(ctx context.Context) (uint64, error) {
	r, err := p.client.Confirm(ctx, connect.NewRequest(&feedv1.Nothing{}))
	if err != nil {
		return 0, fmt.Errorf("feed: confirm: %w", err)
	}
	return r.Msg.GetIndex(), nil
}

// Look returns the leader's view of health, as JSON of health.World.
func (p *Peer) Look(ctx context.Context) ([]byte, error) {
	r, err := p.client.Look(ctx, connect.NewRequest(&feedv1.Nothing{}))
	if err != nil {
		return nil, fmt.Errorf("feed: look: %w", err)
	}
	return r.Msg.GetWorld(), nil
}

// Tell passes reports and acknowledgements on.
func (p *Peer) Tell(ctx context.Context, reports []health.Report, acks []state.Ack) error {
	telling := &feedv1.Telling{}
	var err error
	if telling.Reports, err = encodeAll(reports); err != nil {
		return err
	}
	if telling.Acks, err = encodeAll(acks); err != nil {
		return err
	}
	if _, err := p.client.Tell(ctx, connect.NewRequest(telling)); err != nil {
		return fmt.Errorf("feed: tell: %w", err)
	}
	return nil
}

// Ask asks the agents that are attached to the peer; it gives them until ctx's deadline.
func (p *Peer) Ask(ctx context.Context, q query.Question) ([]Answer, error) {
	question, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("feed: ask: %w", err)
	}
	wait := 2 * time.Second
	if end, ok := ctx.Deadline(); ok {
		wait = max(0, time.Until(end)*9/10)
	}
	r, err := p.client.Ask(ctx, connect.NewRequest(&feedv1.Question{Question: question, WaitNano: int64(wait)}))
	if err != nil {
		return nil, fmt.Errorf("feed: ask: %w", err)
	}
	var out []Answer
	for _, a := range r.Msg.GetAnswers() {
		out = append(out, Answer{Agent: a.GetAgent(), Region: a.GetRegion(), Run: a.GetRun(), Body: a.GetBody(), Err: a.GetError()})
	}
	return out, nil
}

func encodeAll[T any](values []T) ([][]byte, error) {
	out := make([][]byte, len(values))
	for i := range values {
		b, err := json.Marshal(values[i])
		if err != nil {
			return nil, fmt.Errorf("feed: encode: %w", err)
		}
		out[i] = b
	}
	return out, nil
}

func decodeAll[T any](raw [][]byte) ([]T, error) {
	out := make([]T, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &out[i]); err != nil {
			return nil, fmt.Errorf("feed: decode: %w", err)
		}
	}
	return out, nil
}
