package simulation

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	apiKey   = "simulated-api-key"
	clientID = "simulated-client"
	apiURL   = "http://127.0.0.1" + licenseapitest.Base
	firstKey = "shared-key-0"

	// weatherEnds is when the last fault begins at the latest, and simulationEnds when all of them are over.
	weatherEnds    = 44 * time.Hour
	simulationEnds = 48 * time.Hour

	// One seed in outageSeeds has a day without the License API. What comes at its begin is received a hundred times.
	outageSeeds = 20
	day         = 24 * time.Hour
)

// plan is everything that a seed decides.
type plan struct {
	seed uint64

	// The deployment. Every second seed has the template's defaults.
	stack            worker.Stack
	lanes, batchSize int
	oneAddress       bool // all instances call from the same one
	oauth            bool // the secret holds an OAuth client, not a key

	// The License API.
	quoted    bool
	latency   time.Duration
	idleClose time.Duration
	episodes  []episode
	skews     []skewed
	rotations []rotation

	// AWS.
	killChance    float64 // of an invocation, outside of episodes of trouble
	queueTrouble  []episode
	secretTrouble []span

	end time.Duration // from here on all is well

	// What is asked for, of whom, and when.
	licenses   []licenseapitest.License
	requests   []*request
	deliveries []*delivery
}

// span is a part of the virtual time.
type span struct{ from, to time.Duration }

func (s span) holds(at time.Duration) bool { return s.from <= at && at < s.to }

// episode is a time in which something fails with a chance.
type episode struct {
	span
	kind   string
	chance float64
}

// skewed is a time in which the API's clock is wrong.
type skewed struct {
	span
	by time.Duration
}

// rotation is a new shared key: when the API has it, and when the secret has it. Either comes first.
type rotation struct {
	api, secret time.Duration
	key         string
}

// fate is what must become of a request in the end.
type fate int

const (
	freed      fate = iota // its device is inactive
	nothing                // there was nothing to do: it is told as already inactive
	rejected               // it is in the dead-letter queue with code
	unmappable             // the event is in the dead-letter queue
)

// request is one deactivation that somebody asks for.
type request struct {
	fate    fate
	code    string // of a rejection
	rows    []int  // of plan.licenses whose device is to be freed
	action  string
	license deactivation.License
}

// delivery is what one sender sends at once.
type delivery struct {
	at       time.Duration
	source   string // "ops" invokes directly, the others post an event
	number   int
	requests []*request
	kind     string // of an event: "" asks for requests; see world.event
}

// dice is the chance of one occasion, whatever happens beside it.
func dice(seed uint64, about string, n uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(about))
	return rand.New(rand.NewPCG(seed^h.Sum64(), n*0x9e3779b97f4a7c15+seed)) //nolint:gosec // faults, not secrets
}

// newPlan decides everything about a seed.
func newPlan(seed uint64, messages int) plan {
	r := dice(seed, "plan", 0)
	p := plan{
		seed: seed, stack: worker.Stack{CallsPerSecond: 10, Instances: 2}, lanes: 10, batchSize: 20, end: simulationEnds,
		oauth:  r.IntN(4) == 0,
		quoted: r.IntN(2) == 0, oneAddress: r.IntN(2) == 0,
		latency: between(r, 5*time.Millisecond, 1500*time.Millisecond), idleClose: between(r, 5*time.Second, 2*time.Minute),
	}
	if seed%2 == 0 {
		p.stack.Instances, p.lanes = 1+r.IntN(5), []int{1, 1, 2, 3, 5, 8, 12}[r.IntN(7)]
		p.batchSize = []int{1, 5, 10, 20, 50, 200, 1000}[r.IntN(7)]
		p.stack.CallsPerSecond = []float64{5, 10, 15, 18, 20}[r.IntN(5)]
		p.stack.PlanCallsPerMinute, p.stack.LiveShare = []int{0, 1800, 3600}[r.IntN(3)], []float64{0, 0.5, 0.8}[r.IntN(3)]
	}
	p.killChance = []float64{0, 0.02, 0.1, 0.3}[r.IntN(4)]
	p.makeWeather(r)
	p.makeRequests(r, messages)
	p.makeDeliveries(r)
	return p
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

// weathers are the kinds of episodes of the API; world.fault knows them.
func weathers() []string {
	return []string{
		"storm", "resets", "errors", "limits", "slow", "html", "cut", "refused", "unauthorized", "misconfigured", "locked", "down",
	}
}

func (p *plan) makeWeather(r *rand.Rand) {
	random := func(longest time.Duration) span {
		from := between(r, 0, weatherEnds)
		return span{from, min(from+between(r, time.Minute, longest), p.end)}
	}
	for range 4 + r.IntN(8) {
		e := episode{random(2 * time.Hour), weathers()[r.IntN(len(weathers()))], 0.3 + 0.7*r.Float64()}
		p.episodes = append(p.episodes, e)
	}
	if p.seed%outageSeeds == 3 {
		from := between(r, time.Hour, 18*time.Hour)
		p.episodes = append([]episode{{span{from, from + day}, "down", 1}}, p.episodes...)
	}
	for range r.IntN(4) {
		p.skews = append(p.skews, skewed{random(4 * time.Hour), between(r, -40*time.Minute, 40*time.Minute)})
	}
	for n := range r.IntN(5) {
		at := between(r, 0, weatherEnds)
		gap := between(r, 0, []time.Duration{time.Second, 10 * time.Minute, 3 * time.Hour}[r.IntN(3)])
		change := rotation{at, at + gap, fmt.Sprintf("shared-key-%d", n+1)}
		if r.IntN(2) == 0 {
			change.api, change.secret = change.secret, change.api
		}
		p.rotations = append(p.rotations, change)
	}
	p.rotations = inTurn(p.rotations)
	for range 2 + r.IntN(6) {
		p.queueTrouble = append(p.queueTrouble, episode{random(time.Hour), "queue", 0.2 + 0.6*r.Float64()})
	}
	for range r.IntN(3) {
		p.secretTrouble = append(p.secretTrouble, random(30*time.Minute))
	}
}

// inTurn drops rotations that begin before the one before is through: nobody rotates two keys at once.
func inTurn(rotations []rotation) []rotation {
	slices.SortFunc(rotations, func(a, b rotation) int { return int(min(a.api, a.secret) - min(b.api, b.secret)) })
	var kept []rotation
	var through time.Duration
	for _, r := range rotations {
		if min(r.api, r.secret) > through {
			kept = append(kept, r)
			through = max(r.api, r.secret)
		}
	}
	return kept
}

// secret is what is stored with this key.
func (p *plan) secret(key string) string {
	if p.oauth {
		return fmt.Sprintf(`{"client_id":%q,"client_secret":%q,"token_url":%q}`, clientID, key, licenseapitest.TokenURL(apiURL))
	}
	return fmt.Sprintf(`{"api_key":%q,"shared_key":%q}`, apiKey, key)
}

// skew is how far the API's clock is off.
func (p *plan) skew(at time.Duration) time.Duration {
	for _, s := range p.skews {
		if s.holds(at) {
			return s.by
		}
	}
	return 0
}

// weather is the API's episode; its kind is "" in fair weather.
func (p *plan) weather(at time.Duration) episode {
	for _, e := range p.episodes {
		if e.holds(at) {
			return e
		}
	}
	return episode{}
}
