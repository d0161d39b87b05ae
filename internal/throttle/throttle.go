// Package throttle keeps the calls to one HTTP API within its limits, and fails calls fast while the API is down.
//
// A Limiter limits calls: Wait returns when the next one may start. It keeps a rate and any number of rolling windows,
// and On429 makes it pause and slow down. A Breaker is a circuit breaker: it opens after several calls in a row that
// found the API unavailable.
//
// The package depends on no API. The caller decides what an answer means, by BreakerConfig.Unavailable and by its calls
// of On429. Each API has its own Limiter and Breaker; both outlive an invocation.
package throttle
