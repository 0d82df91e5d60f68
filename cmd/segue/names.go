package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/controlplane/state"
)

// completeWithin bounds what a shell waits for names when somebody presses Tab.
const completeWithin = 700 * time.Millisecond

// names asks the API for the names of something.
type names func(ctx context.Context) ([]string, error)

func (s *settings) providerNames(ctx context.Context) ([]string, error) {
	return s.named(ctx, "/providers", "name")
}
func (s *settings) regionNames(ctx context.Context) ([]string, error) {
	return s.named(ctx, "/regions", "name")
}

func (s *settings) serviceNames(ctx context.Context) ([]string, error) {
	doc, _, err := s.connections(ctx, "http")
	if err != nil {
		return nil, err
	}
	return serviceNames(doc), nil
}

func (s *settings) named(ctx context.Context, path, field string) ([]string, error) {
	var list []map[string]any
	if err := s.request(ctx, call{method: http.MethodGet, path: path}, &list); err != nil {
		return nil, err
	}
	var found []string
	for _, one := range list {
		if name, ok := one[field].(string); ok {
			found = append(found, name)
		}
	}
	return found, nil
}

// completes completes the argument at a place, or with -1 a flag's value, by what the control plane knows now. Where it does not answer
// in time, nothing is offered: a shell must not hang.
func (s *settings) completes(place int, of ...names) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		i := 0
		if place >= 0 {
			if i = len(args) - place; i < 0 || i >= len(of) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
		}
		ctx, cancel := context.WithTimeout(c.Context(), completeWithin)
		defer cancel()
		known, err := of[i](ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.DeleteFunc(known, func(name string) bool { return !strings.HasPrefix(name, begun) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// unknownName adds a guess to a refusal of a name that is not there.
func (s *settings) unknownName(ctx context.Context, err error, name string, of names) error {
	var refused *state.Error
	if errors.As(err, &refused) && refused.Code == state.NotFound {
		if known, e := of(ctx); e == nil && !slices.Contains(known, name) {
			told := *refused
			if told.Message += guess(name, known); len(known) > 0 {
				told.Message += "; there are: " + strings.Join(known, ", ")
			}
			return &told
		}
	}
	return explain(err)
}
