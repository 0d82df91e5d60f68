// Package sandbox holds the simulated Provider: of payments, of messages or of a chat, over real HTTP, in the API of Stripe, Twilio,
// OpenAI, Anthropic, SendGrid or Mailgun. It fails on demand in honest ways, and keeps Books of what it really executed. Beside it stands the Shopper, a seeded load of customers that remembers what it
// was told; Audit compares the two and counts what happened twice, what was lost and what was guessed. The Naive client goes past Segue to the same
// providers and retries as many do; the audit leaves its orders out.
//
// It owns the providers' objects, their stored answers by idempotency key, their books, the faults that are on, and the shopper's memory:
// all of it in RAM, gone with the process. Nothing of it is a stand-in for a part of Segue, and it imports none of Segue's packages: it
// shares no logic with what it judges.
//
// Who calls it: `segue dev` assembles a Sandbox and a Shopper; tests of all rooms drive providers through it. Over HTTP, anybody may read
// /_books and set /_faults at the sandbox's own listener (port 7600), or at a provider's port while it listens.
package sandbox
