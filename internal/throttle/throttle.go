// Package throttle keeps the calls to one HTTP API within its limits, and fails them fast while the API is down.
//
// A Limiter paces calls: Wait returns when the next one may start. It keeps a rate and any number of rolling windows, and
// On429 makes it pause and slow down. A Breaker is a circuit breaker: it opens after calls in a row that found the API
// unavailable.
//
// The package knows no API. What an answer means is decided by the caller: BreakerConfig.Unavailable, and the calls of
// On429. Each API has a Limiter and a Breaker of its own; both outlive an invocation.
package throttle
