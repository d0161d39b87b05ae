package simulation

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	apiKey             = "simulated-api-key"
	clientID           = "simulated-client"
	apiURL             = "http://127.0.0.1" + licenseapitest.Base
	manageURL          = "http://127.0.0.1" + licenseapitest.ManagementBase
	firstManagementKey = "management-key-0"
	firstKey           = "shared-key-0"

	// lastFailpoint is the latest start of the last failpoint, scenarioEnd the time at which all of them have ended.
	lastFailpoint = 44 * time.Hour
	scenarioEnd   = 48 * time.Hour

	// One seed in outageSeeds has a day without the License API. A message from the start of that day is received a
	// hundred times.
	outageSeeds = 20
	day         = 24 * time.Hour
)

// scenario is everything that a seed decides.
type scenario struct {
	seed uint64

	// The deployment. Every second seed has the template's defaults.
	stack         worker.Stack
	callsInFlight int
	batchSize     int
	oneAddress    bool // all instances call from one address
	oauth         bool // the secret holds an OAuth client, not an API key

	// watchUntil is when watch mode ends and the worker begins to act; 0: it acts from the beginning.
	watchUntil time.Duration

	// The License API.
	quoted        bool // a success body is a JSON string, not bare text
	latency       time.Duration
	idleClose     time.Duration // after this time it closes an idle connection
	apiFailpoints []failpoint
	skews         []skew
	rotations     []rotation

	// The Management API, and its key.
	managementFailpoints []failpoint
	managementRotations  []rotation
	habits               licenseapitest.Habits // at any time; those of a failpoint come on top

	// AWS.
	killChance       float64 // of an invocation
	queueFailpoints  []failpoint
	secretFailpoints []span

	end time.Duration // from here on no fault is injected

	// The traffic.
	licenses   []licenseapitest.License
	requests   []*request
	deliveries []*delivery
	lookUps    map[string]*request   // by each id that only this look-up has
	fulfilled  map[int]time.Duration // when a license is made that is not there from the beginning
}

// epoch is the beginning of the virtual time.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

// span is a part of the virtual time.
type span struct{ from, to time.Duration }

func (s span) contains(at time.Duration) bool { return s.from <= at && at < s.to }

// failpoint is a span in which a part fails with a chance.
type failpoint struct {
	span
	kind   string
	chance float64
}

// skew is a span in which the API's clock is wrong.
type skew struct {
	span
	by time.Duration
}

// rotation is a new shared key: when the API gets it, and when the secret gets it. Either may be first.
type rotation struct {
	api, secret time.Duration
	key         string
}

// rng returns the random numbers of one occasion: they depend on the seed, a label and a number, and not on concurrent
// events. A label is part of the meaning of a seed; renaming one changes every seed.
func rng(seed uint64, label string, n uint64) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(label))
	return rand.New(rand.NewPCG(seed^h.Sum64(), n*0x9e3779b97f4a7c15+seed)) //nolint:gosec // faults, not secrets
}

// newScenario decides everything about a seed.
func newScenario(seed uint64, messages int) scenario {
	r := rng(seed, "plan", 0)
	s := scenario{
		seed: seed, stack: worker.Stack{CallsPerSecond: 10, Instances: 2}, callsInFlight: 10, batchSize: 20, end: scenarioEnd,
		oauth:  r.IntN(4) == 0,
		quoted: r.IntN(2) == 0, oneAddress: r.IntN(2) == 0,
		lookUps: map[string]*request{}, fulfilled: map[int]time.Duration{},
		latency: between(r, 5*time.Millisecond, 1500*time.Millisecond), idleClose: between(r, 5*time.Second, 2*time.Minute),
	}
	if seed%2 == 0 {
		s.stack.Instances, s.callsInFlight = 1+r.IntN(5), []int{1, 1, 2, 3, 5, 8, 12}[r.IntN(7)]
		s.batchSize = []int{1, 5, 10, 20, 50, 200, 1000}[r.IntN(7)]
		s.stack.CallsPerSecond = []float64{5, 10, 15, 18, 20}[r.IntN(5)]
		s.stack.PlanCallsPerMinute, s.stack.LiveShare = []int{0, 1800, 3600}[r.IntN(3)], []float64{0, 0.5, 0.8}[r.IntN(3)]
	}
	s.killChance = []float64{0, 0.02, 0.1, 0.3}[r.IntN(4)]
	s.makeFailpoints(r)
	s.makeGuards()
	s.makeRequests(r, messages)
	s.makeDeliveries(r)
	s.makeManagement()
	s.makeLookUps(messages)
	slices.SortStableFunc(s.deliveries, func(a, b *delivery) int { return cmp.Compare(a.at, b.at) })
	return s
}

// makeGuards chooses the brake's limit and, for every fourth seed or so, how long the worker watches before it acts; a seed with
// a day without the API acts, since watching calls nothing. It draws from random numbers of its own, so that everything else
// of a seed is as it was without guards.
func (s *scenario) makeGuards() {
	r := rng(s.seed, "guards", 0)
	s.stack.SurgeLimit = []int{0, 50, s.stack.Instances, 3 * s.stack.Instances, 10 * s.stack.Instances}[r.IntN(5)]
	if r.IntN(4) == 0 && !s.hasOutageDay() {
		s.watchUntil = between(r, time.Hour, lastFailpoint)
	}
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

func (s *scenario) makeFailpoints(r *rand.Rand) {
	random := func(longest time.Duration) span {
		from := between(r, 0, lastFailpoint)
		return span{from, min(from+between(r, time.Minute, longest), s.end)}
	}
	for range 4 + r.IntN(8) {
		f := failpoint{random(2 * time.Hour), apiFailpointKinds()[r.IntN(len(apiFailpointKinds()))], 0.3 + 0.7*r.Float64()}
		s.apiFailpoints = append(s.apiFailpoints, f)
	}
	if s.seed%outageSeeds == 3 {
		from := between(r, time.Hour, 18*time.Hour)
		s.apiFailpoints = append([]failpoint{{span{from, from + day}, "down", 1}}, s.apiFailpoints...)
	}
	for range r.IntN(4) {
		s.skews = append(s.skews, skew{random(4 * time.Hour), between(r, -40*time.Minute, 40*time.Minute)})
	}
	s.makeRotations(r)
	for range 2 + r.IntN(6) {
		s.queueFailpoints = append(s.queueFailpoints, failpoint{random(time.Hour), "queue", 0.2 + 0.6*r.Float64()})
	}
	for range r.IntN(3) {
		s.secretFailpoints = append(s.secretFailpoints, random(30*time.Minute))
	}
}

// makeRotations makes up to four rotations. One that starts before the previous is complete is dropped: nobody rotates
// two keys at once.
func (s *scenario) makeRotations(r *rand.Rand) {
	var all []rotation
	for n := range r.IntN(5) {
		at := between(r, 0, lastFailpoint)
		gap := between(r, 0, []time.Duration{time.Second, 10 * time.Minute, 3 * time.Hour}[r.IntN(3)])
		change := rotation{at, at + gap, fmt.Sprintf("shared-key-%d", n+1)}
		if r.IntN(2) == 0 {
			change.api, change.secret = change.secret, change.api
		}
		all = append(all, change)
	}
	slices.SortFunc(all, func(a, b rotation) int { return int(min(a.api, a.secret) - min(b.api, b.secret)) })
	var complete time.Duration
	for _, change := range all {
		if min(change.api, change.secret) > complete {
			s.rotations = append(s.rotations, change)
			complete = max(change.api, change.secret)
		}
	}
}

// secretText is the content of the License API's secret with these keys.
func (s *scenario) secretText(k keys) string {
	if s.oauth {
		return fmt.Sprintf(`{"client_id":%q,"client_secret":%q,"token_url":%q,"management_api_key":%q}`, clientID, k.shared, licenseapitest.TokenURL(apiURL), k.management)
	}
	return fmt.Sprintf(`{"api_key":%q,"shared_key":%q,"management_api_key":%q}`, apiKey, k.shared, k.management)
}

// skewAt is how far the API's clock is off.
func (s *scenario) skewAt(at time.Duration) time.Duration {
	for _, sk := range s.skews {
		if sk.contains(at) {
			return sk.by
		}
	}
	return 0
}

// apiFailpointAt returns the License API's failpoint; its kind is "" when nothing fails.
func (s *scenario) apiFailpointAt(at time.Duration) failpoint {
	for _, f := range s.apiFailpoints {
		if f.contains(at) {
			return f
		}
	}
	return failpoint{}
}

// hasOutageDay reports whether there is a day without the License API; it is then the first failpoint.
func (s *scenario) hasOutageDay() bool { return s.apiFailpoints[0].to-s.apiFailpoints[0].from >= day }
