// Package dev is the assembly of `segue dev`: three control nodes, three regions with an agent each, the sandbox's providers, a shopper
// and the pages, all in one process on loopback.
//
// It owns the lives of those parts and nothing else. The command `segue dev` and the end-to-end tests start it.
package dev
