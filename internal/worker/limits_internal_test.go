package worker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/managementapi"
)

func TestLimitsAreOneInstancesParts(t *testing.T) {
	t.Parallel()
	const (
		plan = 3600
		// The API's spans and the margin.
		minute, address, second = 60300 * time.Millisecond, 10050 * time.Millisecond, 1005 * time.Millisecond
	)
	for _, test := range []struct {
		name        string
		stack       Stack
		want        []throttle.Limit
		perInstance float64
	}{
		{"default, plan not known", Stack{CallsPerSecond: 10, Instances: 2},
			[]throttle.Limit{{Calls: 100, In: address}, {Calls: 25, In: second}}, 5},
		{"three instances from one address", Stack{CallsPerSecond: 20, Instances: 3, PlanCallsPerMinute: plan, LiveShare: 0.5},
			[]throttle.Limit{{Calls: 600, In: minute}, {Calls: 66, In: address}, {Calls: 16, In: second}}, 20.0 / 3},
		{"three instances from three", Stack{CallsPerSecond: 30, Instances: 3, PlanCallsPerMinute: plan, LiveShare: 0.5},
			[]throttle.Limit{{Calls: 600, In: minute}, {Calls: 100, In: address}, {Calls: 16, In: second}}, 10},
		{"one instance has one address", Stack{CallsPerSecond: 50, Instances: 1},
			[]throttle.Limit{{Calls: 200, In: address}, {Calls: 50, In: second}}, 50},
		{"less than a call in the span", Stack{CallsPerSecond: 40, Instances: 100, PlanCallsPerMinute: 60, LiveShare: 0.5},
			[]throttle.Limit{{Calls: 1, In: 201 * time.Second}, {Calls: 4, In: address}, {Calls: 1, In: 2 * second}}, 0.4},
		{"a vendor with other limits", Stack{CallsPerSecond: 300, Instances: 2}, nil, 150},
		{"and a plan", Stack{CallsPerSecond: 300, Instances: 2, PlanCallsPerMinute: 18000, LiveShare: 0},
			[]throttle.Limit{{Calls: 9000, In: minute}}, 150},
	} {
		if diff := cmp.Diff(test.want, test.stack.Limits()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if got := test.stack.PerInstance(); got != test.perInstance {
			t.Errorf("%s: per instance %v, want %v", test.name, got, test.perInstance)
		}
	}
}

func TestA429WithoutRetryAfterPausesTheInstanceForASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(10, nil, nil, production())
		if pause := l.On429(time.Now(), 0, ""); pause != time.Second {
			t.Errorf("the pause is %v, want a second", pause)
		}
	})
}

// TestAllInstancesTogetherKeepTheLimits checks every stack whose ceiling is within the API's limits.
func TestAllInstancesTogetherKeepTheLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stack := Stack{
			CallsPerSecond:     rapid.Float64Range(0.02, 20).Draw(t, "calls"),
			Instances:          rapid.IntRange(1, 1000).Draw(t, "instances"),
			PlanCallsPerMinute: rapid.IntRange(1, 18_000).Draw(t, "plan"),
			LiveShare:          rapid.Float64Range(0, 0.99).Draw(t, "live"),
		}
		allowed := []throttle.Limit{
			{Calls: int(float64(stack.PlanCallsPerMinute) * (1 - stack.LiveShare)), In: planSpan}, {Calls: perAddress, In: addressSpan}, {Calls: perAuthorization, In: authorizationSpan},
		}
		for i, l := range stack.Limits() {
			together := float64(l.Calls*stack.Instances) / l.In.Seconds()
			if most := (float64(allowed[i].Calls) + 1) / allowed[i].In.Seconds(); together > most || l.Calls < 1 {
				t.Errorf("%+v: all call %v a second for limit %+v of %+v", stack, together, l, allowed[i])
			}
		}
	})
}

func TestLookUpPartIsOneInstancesPart(t *testing.T) {
	t.Parallel()
	const minute, address, second = 60300 * time.Millisecond, 10050 * time.Millisecond, 1005 * time.Millisecond
	for _, test := range []struct {
		name     string
		stack    Stack
		limits   []throttle.Limit
		together throttle.Limit
		rate     float64
		atOnce   int
	}{
		{"default", Stack{CallsPerSecond: 10, Instances: 2, ManagementCallsPerMinute: 180},
			[]throttle.Limit{{Calls: 90, In: minute}, {Calls: 25, In: second}}, throttle.Limit{Calls: 100, In: address}, 1.5, 3},
		{"the whole of the smallest plan", Stack{CallsPerSecond: 10, Instances: 1, ManagementCallsPerMinute: 600},
			[]throttle.Limit{{Calls: 600, In: minute}, {Calls: 50, In: second}}, throttle.Limit{Calls: 200, In: address}, 10, 24},
		{"three addresses", Stack{CallsPerSecond: 50, Instances: 3, ManagementCallsPerMinute: 300},
			[]throttle.Limit{{Calls: 100, In: minute}, {Calls: 16, In: second}}, throttle.Limit{Calls: 166, In: address}, 300.0 / 60 / 3, 4},
		{"a vendor with other limits", Stack{CallsPerSecond: 300, Instances: 2, ManagementCallsPerMinute: 6000},
			[]throttle.Limit{{Calls: 3000, In: minute}}, throttle.Limit{}, 50, 121},
	} {
		if test.stack.LookUpPart(managementapi.Config{}, nil, time.Minute) != nil {
			t.Errorf("%s: a look-up that is off", test.name)
		}
		test.stack.LookUp = true
		got := test.stack.LookUpPart(managementapi.Config{}, nil, time.Minute)
		if diff := cmp.Diff(test.limits, got.Limits); diff != "" || got.Together != test.together || got.CallsPerSecond != test.rate || got.AtOnce != test.atOnce {
			t.Errorf("%s: %v together, %v/s, %d at once; want %v, %v, %d; limits (-want +got):\n%s",
				test.name, got.Together, got.CallsPerSecond, got.AtOnce, test.together, test.rate, test.atOnce, diff)
		}
	}
}

// TestAShareTooSmallForOneMessageIsRefused at the start, with the arithmetic, and only where there is a look-up.
func TestAShareTooSmallForOneMessageIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		perMinute, instances int
		want                 string
	}{
		{180, 7, ""},
		{180, 8, "MANAGEMENT_CALLS_PER_MINUTE 180 ÷ WORKER_INSTANCES 8 is 21 calls in the 56s that an invocation has for calls, and one message may need 23"},
		{25, 1, ""},
		{24, 1, "MANAGEMENT_CALLS_PER_MINUTE 24 ÷ WORKER_INSTANCES 1 is 22 calls"},
	} {
		stack := Stack{CallsPerSecond: 10, Instances: test.instances, ManagementCallsPerMinute: test.perMinute}
		if err := stack.Check(time.Minute); err != nil {
			t.Errorf("without a look-up: %v", err)
		}
		stack.LookUp = true
		err := stack.Check(time.Minute)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d a minute for %d: %v, want %q", test.perMinute, test.instances, err, test.want)
		}
	}
}
