package replica

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// bridge passes what raft logs on to slog. What it does not override comes from the null logger.
type bridge struct {
	hclog.Logger
	log *slog.Logger
}

func newBridge(log *slog.Logger) hclog.Logger { return bridge{hclog.NewNullLogger(), log} }

// Log maps raft's levels one step down: its "info" is about every election and its "debug" about every message.
func (b bridge) Log(level hclog.Level, msg string, args ...any) {
	b.log.Log(context.Background(), slogLevel(level), "raft: "+msg, args...)
}

func (b bridge) Trace(msg string, args ...any) { b.Log(hclog.Trace, msg, args...) }
func (b bridge) Debug(msg string, args ...any) { b.Log(hclog.Debug, msg, args...) }
func (b bridge) Info(msg string, args ...any)  { b.Log(hclog.Info, msg, args...) }
func (b bridge) Warn(msg string, args ...any)  { b.Log(hclog.Warn, msg, args...) }
func (b bridge) Error(msg string, args ...any) { b.Log(hclog.Error, msg, args...) }

func (b bridge) IsDebug() bool { return b.log.Enabled(context.Background(), slogLevel(hclog.Debug)) }
func (b bridge) IsInfo() bool  { return b.log.Enabled(context.Background(), slogLevel(hclog.Info)) }
func (b bridge) IsWarn() bool  { return true }
func (b bridge) IsError() bool { return true }

func (b bridge) With(args ...any) hclog.Logger  { return bridge{b.Logger, b.log.With(args...)} }
func (b bridge) Named(string) hclog.Logger      { return b }
func (b bridge) ResetNamed(string) hclog.Logger { return b }
func (b bridge) GetLevel() hclog.Level          { return hclog.Trace }

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Error:
		return slog.LevelInfo // raft goes on, and says so many times a second while a peer is gone; what ends a node is told by Fatal
	case hclog.Warn, hclog.Info:
		return slog.LevelDebug
	default:
		return slog.LevelDebug - 4
	}
}
