package webhook_test

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
)

//nolint:gochecknoglobals // flags of the test, read-only after they were parsed
var (
	policyDeliveries = flag.Int("policy.events", 20000, "deliveries that the policy's oracle harnesses; each has at least one event")
	policySeed       = flag.Uint64("policy.seed", 0, "seed of the deliveries; 0: the time")
)

// TestThePolicyIsWhatTheOracleSays makes random deliveries of all sources, posts them through the whole function and
// compares its results, event by event, with the oracle's: the answer, and exactly the licenses and devices that are on
// the queue, and with the look-up on what they are looked up by. 200,000 of them take about a minute:
//
//	go test ./internal/webhook -run TestThePolicyIsWhatTheOracleSays -v -policy.events=200000
func TestThePolicyIsWhatTheOracleSays(t *testing.T) {
	t.Parallel()
	seed := *policySeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	sources := load(t, "")
	harnesses, lookingUp := make([]*policyHarness, runtime.GOMAXPROCS(0)), make([]*policyHarness, runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]int{} // events, by source and answer
	differences := map[string]int{}
	for w := range harnesses {
		h, on := newPolicyHarness(t, false), newPolicyHarness(t, true)
		harnesses[w], lookingUp[w] = h, on
		wg.Go(func() {
			for i := w; i < *policyDeliveries; i += len(harnesses) {
				m := randomEvents{rand.New(rand.NewPCG(seed, uint64(i)))}.delivery(shipped()) //nolint:gosec // i is not negative, and nothing secret is made
				got, want := h.rule(t, m), oracle(t, m.source, m.headers, m.body)
				gotOn, wantOn := on.rule(t, m), withLookUp(want)
				mu.Lock()
				for _, r := range wantOn {
					seen[m.source+" look-up "+string(r.answer)]++
				}
				if !slices.EqualFunc(gotOn, wantOn, sameRuling) {
					if differences[m.source+" look-up"]++; differences[m.source+" look-up"] <= 2 {
						t.Errorf("seed %d, delivery %d, with look-up, %s %v\n%s\ngot  %s\nwant %s", seed, i, m.source, m.headers, m.body, printed(gotOn), printed(wantOn))
					}
				}
				for _, r := range want {
					seen[m.source+" "+string(r.answer)]++
					seen[m.source+" "+r.code]++
				}
				if !slices.EqualFunc(got, want, sameRuling) {
					if differences[m.source]++; differences[m.source] <= 2 {
						t.Errorf("seed %d, delivery %d, %s %v\n%s\ngot  %s\nwant %s", seed, i, m.source, m.headers, m.body, printed(got), printed(want))
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	events := 0
	for _, n := range seen {
		events += n
	}
	t.Logf("seed %d: differences %v in %d deliveries with %d events: %v", seed, differences, *policyDeliveries, events, seen)
	if *policyDeliveries < 1000 {
		return
	}
	for _, name := range shipped() { // an answer that never occurs is not tested
		for _, answer := range []deactivation.Answer{deactivation.Accepted, deactivation.Ignored, deactivation.Unmappable} {
			namesNoLicense := []string{"recurly", "square", "appsumo", "zoho-payments", "paypro", "2checkout", "maxio"}
			impossible := slices.Contains(namesNoLicense, name) && answer == deactivation.Accepted || name == "salesforce" && answer == deactivation.Ignored
			if !impossible && seen[name+" "+string(answer)] == 0 {
				t.Errorf("seed %d: no event of %s was %s", seed, name, answer)
			}
		}
		source, _ := sources.Get(name)
		for _, rule := range source.Rules() {
			decided := slices.ContainsFunc(harnesses, func(h *policyHarness) bool { return h.rules[name+": "+rule.Name] > 0 })
			if rule.Enabled != decided {
				t.Errorf("seed %d: the rule %q of %s is enabled: %t, and has decided: %t", seed, rule.Name, name, rule.Enabled, decided)
			}
		}
	}
}

// TestTheOracleKnowsTheSamples checks the oracle with the senders' real shapes: its result for each sample must be that
// of the sample's file.
func TestTheOracleKnowsTheSamples(t *testing.T) {
	t.Parallel()
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		headers := map[string]string{}
		for name, text := range s.Headers {
			headers[strings.ToLower(name)] = text
		}
		if !slices.Contains(shipped(), s.Source) {
			continue // a user's own sender has its own policy
		}
		rulings := oracle(t, s.Source, headers, s.Body)
		if len(rulings) == 0 {
			t.Errorf("%s: the oracle sees no event", s.Name())
			continue
		}
		for _, lookUp := range []bool{false, true} {
			if lookUp {
				rulings = withLookUp(rulings)
			}
			compareSample(t, s.Expected(lookUp), lookUp, rulings)
		}
	}
}

// compareSample compares the oracle's rulings with what a sample's file expects.
func compareSample(t *testing.T, s sample.Sample, lookUp bool, rulings []ruling) {
	t.Helper()
	answer, code := rulings[0].answer, rulings[0].code
	var got, want []string
	for _, r := range rulings {
		for _, license := range r.licenses {
			if !lookUp {
				license = strings.TrimSuffix(license, " by a buyer")
			}
			got = append(got, license)
		}
		if r.answer == s.Answer && answer != s.Answer {
			answer, code = r.answer, r.code
		}
	}
	for _, r := range s.Requests {
		request := deactivation.Request{
			License: deactivation.License{
				LicenseKey: r.LicenseKey, Username: r.Username, LicenseID: json.Number(r.LicenseID),
				Product: r.Product, BundleCode: r.BundleCode, HardwareID: r.HardwareID,
			},
			Lookup: r.Lookup(), Scope: r.Scope, Disable: r.Disable, Buyer: r.Buyer,
		}
		for _, p := range r.Products {
			request.Products = append(request.Products, deactivation.Product(p))
		}
		want = append(want, lookedUpRequest(request))
	}
	slices.Sort(got)
	slices.Sort(want)
	if answer != s.Answer || code != s.Code || !slices.Equal(got, want) {
		t.Errorf("%s, look-up %t: the oracle says %s %s %q, and its file %s %s %q", s.Name(), lookUp, answer, code, got, s.Answer, s.Code, want)
	}
}

// shipped are the senders whose policy is ours. A sender that a user adds is tested by its samples.
func shipped() []string {
	return []string{
		"2checkout", "appsumo", "chargebee", "creem", "dodo", "fastspring", "generic", "gumroad", "hubspot", "lemonsqueezy", "maxio", "paddle", "paypal", "paypro", "polar",
		"recurly", "salesforce", "salesforce-flow", "sendowl", "shopify", "square", "standard", "stripe", "woocommerce", "zoho-payments",
	}
}
