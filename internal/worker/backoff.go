package worker

import (
	"errors"
	"math/rand/v2"
	"time"

	"license-deactivator/pkg/licenseapi"
)

const (
	// capJitter is the fraction of the Cap by which waits at the Cap differ. It is small because those waits make up
	// most of the time for which a message survives an outage: see the table at Backoff.
	capJitter = 0.02

	// rateLimitFirsts is the least wait after a 429 without Retry-After, in units of First: a minute with the
	// production First of 30 s, since the License API counts in a rolling window of 60 s.
	rateLimitFirsts = 2

	// obeyedReceives is the last receive at which only a Retry-After decides. After it, where the table at Backoff
	// reaches the Cap, a message waits at least its back-off: otherwise 300 receives a minute apart are used up in five
	// hours.
	obeyedReceives = 5
)

// Backoff is how long a deferred message waits: First after the first receive, twice as long after each further
// one, at most Cap. With ProductionBackoff:
//
//	after receive  1      2      3       4       5       6 … 300
//	wait (s)   15–30  30–60  60–120  120–240  240–480  882–900
//
// The jitter over the upper half spreads messages that failed together; at the Cap it is 2 %. The waits between
// 300 receives, the queue's maxReceiveCount, sum up to 259,773 s at least: three days without the License API lose no
// message. TestBackoffOutlastsThreeDays checks this sum.
type Backoff struct{ First, Cap time.Duration }

// ProductionBackoff is the back-off of functions/worker: 30 s and 15 min.
func ProductionBackoff() Backoff { return Backoff{First: 30 * time.Second, Cap: 15 * time.Minute} }

// Wait is the wait after the given receive (1 is the first; less counts as 1), with jitter from 0 (the shortest)
// to 1 (the longest).
func (b Backoff) Wait(receives int, jitter float64) time.Duration {
	full := b.First
	for n := 1; n < receives && full < b.Cap; n++ {
		full *= 2
	}
	if full >= b.Cap {
		return b.Cap - scaled(b.Cap, capJitter*(1-jitter))
	}
	return full/2 + scaled(full/2, jitter)
}

// RateLimited is the wait after a 429. With a Retry-After (above 0) it is that value, up to Cap, and after
// obeyedReceives not less than Wait. Without it, it is Wait, but at least two to three Firsts and at most Cap.
func (b Backoff) RateLimited(receives int, retryAfter time.Duration, jitter float64) time.Duration {
	wait := b.Wait(receives, jitter)
	if retryAfter <= 0 {
		least := rateLimitFirsts * b.First
		return min(max(least+scaled(least/2, jitter), wait), b.Cap)
	}
	if receives <= obeyedReceives {
		return min(retryAfter, b.Cap)
	}
	return max(min(retryAfter, b.Cap), wait)
}

// wait is Wait with a random jitter.
func (b Backoff) wait(receives int) time.Duration { return b.Wait(receives, random()) }

// after is the wait after an answer that defers the message.
func (b Backoff) after(err error, receives int) time.Duration {
	refused, ok := errors.AsType[*licenseapi.Error](err)
	if !ok || licenseapi.KindOf(err) != licenseapi.KindRateLimited {
		return b.wait(receives)
	}
	return b.RateLimited(receives, refused.RetryAfter, random())
}

// random is a jitter.
func random() float64 {
	return rand.Float64() //nolint:gosec // it spreads retries; a guess gives an attacker nothing
}

func scaled(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
