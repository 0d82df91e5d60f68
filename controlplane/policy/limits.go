package policy

import (
	"strings"
	"time"
)

// The bounds of a policy. A policy is copied to every agent and compiled there, it names metrics' labels, and it stands in the Raft
// log: each bound is far above what operators need, and low enough that the largest document does no harm.
const (
	MaxDocument     = 1 << 20 // bytes; a Raft entry and an Update stay small
	maxDepth        = 12      // the deepest legal node is at 7
	maxProblems     = 100     // more are not read by anybody
	maxName         = 63      // a DNS label; names become labels of metrics
	maxText         = 512     // any other single value
	maxRegions      = 32
	maxServices     = 64
	maxProviders    = 256
	maxContracts    = 64
	maxOperations   = 64 // per service or contract: matching tries them in order
	maxStatuses     = 64 // per contract, and after like
	maxWords        = 32 // of a state, in an answer
	maxSignatures   = 8  // of one notice: while a secret is changed there are two
	maxSignedFields = 16
	maxStateFields  = 3  // that decide together
	maxFields       = 8  // fields of follows and of derive
	maxSegments     = 16 // of a path pattern
	maxLike         = 8  // length of a like chain
	maxPath         = 4096
	maxAttempts     = 10 // the ledger keeps at most 16 attempts
	maxPerTry       = 5 * time.Minute
	maxDeadline     = 10 * time.Minute
	maxBreakerRuns  = 1000
	maxReset        = time.Hour
	maxShift        = time.Hour
	maxFeatures     = 32 // of a provider, and of a rule
	maxTiers        = 16
	maxCurrencies   = 64 // of a cost, and of the exchange
	maxExchange     = 1_000_000
	maxRules        = 32   // of a service: each is asked for each call
	maxAllRules     = 256  // of a policy: parsing one takes half a millisecond
	maxRule         = 1024 // bytes of a rule
	maxRuleName     = 120
	maxInFlight     = 100_000
	maxRate         = 1_000_000
	maxWithin       = 24 * time.Hour
	maxKeyLife      = 35 * 24 * time.Hour // the ledger keeps its rows no longer
	maxKeyLength    = 1024
	maxSettle       = 24 * time.Hour // a call that may still begin a day later has no settle window
	maxHorizon      = 10 * 365 * 24 * time.Hour
	minCheckEvery   = time.Second // an active check is load on somebody else's system
	maxCheckEvery   = time.Hour
	maxTLSEvery     = 24 * time.Hour
	maxChecks       = 8 // active ones of one provider
	maxOrder        = 24 * time.Hour
	maxFaultDelay   = 60 * time.Second
)

// The defaults that Compile fills in.
const (
	DefaultMax       = 2
	DefaultPerTry    = 4 * time.Second
	DefaultDeadline  = 10 * time.Second
	DefaultFailures  = 5 // three in a row come by chance once in a million calls at a healthy provider that fails 1 %
	DefaultSuccesses = 5
	DefaultRatio     = 0.2
	DefaultFloor     = 3
)

// nameProblem tells what is wrong with a name, or "". Names are like DNS labels (with _ inside) because they become host
// names, labels of metrics and parts of addresses.
func nameProblem(name string) string {
	if name == "" {
		return "the name is empty"
	}
	if len(name) > maxName {
		return "the name is longer than 63 bytes"
	}
	for i := range len(name) {
		inside := i > 0 && i < len(name)-1
		if !lowerOrDigit(name[i]) && (!inside || name[i] != '-' && name[i] != '_') {
			return "the name holds other characters than a-z, 0-9 and, inside, - and _"
		}
	}
	return ""
}

func lowerOrDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// contractNameProblem is nameProblem for the names of contracts, API/version: a / and dots are allowed inside.
func contractNameProblem(name string) string {
	if len(name) > maxName {
		return "the name is longer than 63 bytes"
	}
	for part := range strings.SplitSeq(name, "/") {
		if nameProblem(strings.ReplaceAll(part, ".", "-")) != "" {
			return "the name is not like acme/v1"
		}
	}
	return ""
}
