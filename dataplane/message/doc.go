// Package message holds HTTP requests and answers as plain values, so that the request path names no HTTP library.
//
// It owns no state. The edge makes Requests and implements Reply; every step between edge and provider reads them.
package message
