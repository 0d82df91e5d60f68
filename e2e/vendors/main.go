// Vendors is the simulated providers of APIs that no demonstration has, as a process: the tests of SDKs, a module of their own, start it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"segue/dataplane/sandbox"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves each API that is named, CREDENTIAL first, prints where, and ends with a signal.
func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: vendors CREDENTIAL API [API]")
	}
	var c sandbox.Config
	for _, api := range args[1:] {
		c.Providers = append(c.Providers, sandbox.ProviderConfig{Name: api, API: sandbox.API(api), Credential: args[0], Latency: sandbox.Latency{Median: -1}})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	box, err := sandbox.New(c)
	if err == nil {
		err = box.Start()
	}
	if err != nil {
		return err
	}
	for _, api := range args[1:] {
		fmt.Printf("%s at %s\n", api, box.Provider(api).URL())
	}
	fmt.Println("all are there")
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return box.Stop(ctx)
}
