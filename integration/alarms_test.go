package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// An alarmScenario is a sequence of events in the deployed system, and the alarms that must fire. Every other alarm of
// template.yaml must not fire.
type alarmScenario struct {
	name   string
	length time.Duration
	happen func(*system)
	fires  map[string][]firing

	callsPerSecond float64 // of the worker; 0 means 5
	watch          bool    // the parameter Mode is watch
	lookUp         bool    // the parameter LookUp is on
}

// has reports whether the stack has an alarm with that condition.
func (s alarmScenario) has(t *testing.T, condition string) bool {
	t.Helper()
	holds, known := map[string]bool{"": true, "Acts": !s.watch, "LooksUp": s.lookUp, "WatchesDepth": !s.watch && !s.lookUp}[condition]
	if !known {
		t.Fatalf("the condition %s is not known here", condition)
	}
	return holds
}

// firing is one notification between the two times after the start. Where until is set, the alarm must still be in
// ALARM then: a return to OK would look like a recovery, and the next ALARM would notify again.
type firing struct{ after, before, until time.Duration }

const (
	hour = time.Hour
	day  = 24 * hour
)

// Every scenario of alarmScenarios starts without a fault: an alarm that fires at the start would hide what the
// scenario must show.
func alarmScenarios() []alarmScenario {
	at := func(hours, minutes int) time.Duration {
		return time.Duration(hours)*hour + time.Duration(minutes)*time.Minute
	}
	return []alarmScenario{
		{
			name: "a quiet week", length: 7 * day,
			happen: func(s *system) {
				s.every(day, hour, 7*day, s.refund)
			},
		},
		{
			name: "a day with a refund every ten minutes, some of which are answered 503 once", length: day,
			happen: func(s *system) {
				n := 0
				s.every(10*time.Minute, 0, day, func() {
					if n++; n%10 == 0 {
						s.is(unavailable())
						s.refund()
						time.Sleep(5 * time.Second)
						s.is(licenseapitest.Fault{})
						return
					}
					s.refund()
				})
			},
		},
		{
			name: "a day of 503 with a refund every half hour", length: 30 * hour,
			happen: func(s *system) {
				s.every(30*time.Minute, 0, hour, s.refund)
				s.is(unavailable())
				s.every(30*time.Minute, hour, 25*hour, s.refund)
				s.is(licenseapitest.Fault{})
				s.every(30*time.Minute, 25*hour, 30*hour, s.refund)
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 25 * hour}}},
		},
		{
			name: "a refund from time to time in an outage of four hours", length: 10 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.is(unavailable())
				s.every(10*time.Minute, hour, 5*hour, s.refund)
				s.is(licenseapitest.Fault{})
				s.every(10*time.Minute, 5*hour, 10*hour, s.refund)
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 5 * hour}}},
		},
		{
			name: "one refund in an outage of half a day", length: 14 * hour,
			happen: func(s *system) {
				s.is(unavailable())
				s.until(hour)
				s.refund()
				s.until(13 * hour)
				s.is(licenseapitest.Fault{})
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 13 * hour}}},
		},
		{
			name: "an outage of 90 seconds", length: 3 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.is(unavailable())
				s.refund()
				s.until(hour + 90*time.Second)
				s.is(licenseapitest.Fault{})
			},
		},
		{
			name: "a License API that refuses every call by its rate limit", length: 6 * hour,
			happen: func(s *system) {
				s.until(hour)
				s.is(licenseapitest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"60"}}})
				s.every(10*time.Minute, hour, 4*hour, s.refund)
				s.is(licenseapitest.Fault{})
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 4 * hour}}},
		},
		{
			name: "a burst of 1,000 rows, and the API answers 429 now and then", length: 2 * hour,
			happen: func(s *system) {
				s.until(10 * time.Minute)
				s.rows(1000)
				s.every(time.Minute, 11*time.Minute, 20*time.Minute, func() {
					s.is(licenseapitest.Fault{Status: http.StatusTooManyRequests})
					time.Sleep(time.Second)
					s.is(licenseapitest.Fault{})
				})
			},
		},
		{
			name: "a License API that answers 429 with Retry-After 1 for twenty seconds", length: 3 * hour,
			happen: func(s *system) {
				s.until(hour)
				s.is(licenseapitest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}})
				s.refund()
				s.until(hour + 20*time.Second)
				s.is(licenseapitest.Fault{})
			},
		},
		{
			name: "a License API that answers 429 with Retry-After 1 for three hours", length: 6 * hour,
			happen: func(s *system) {
				s.until(hour)
				s.is(licenseapitest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}})
				s.every(30*time.Minute, hour, 4*hour, s.refund)
				s.is(licenseapitest.Fault{})
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 4 * hour}}},
		},
		{
			name: "a bulk run at one call in ten seconds, the least that the template allows a worker", length: 3 * hour, callsPerSecond: 0.1,
			happen: func(s *system) {
				s.until(hour)
				s.rows(200)
			},
			fires: map[string][]firing{"QueueAgeAlarm": {{at(1, 15), at(1, 25), 0}}},
		},
		{
			name: "orders that are not in LicenseSpring yet", length: 6 * hour,
			happen: func(s *system) {
				s.every(2*time.Minute, 0, 5*hour, s.waitingForItsOrder)
			},
		},
		{
			name: "orders that are not in LicenseSpring yet, beside an outage", length: 6 * hour,
			happen: func(s *system) {
				s.is(unavailable())
				s.every(10*time.Minute, hour, 5*hour, func() { s.waitingForItsOrder(); s.refund() })
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 6 * hour}}},
		},
		{
			name: "the License API's key is changed only at LicenseSpring", length: 12 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.api.Rotate(alarmAPIKey, "shared-2")
				s.every(10*time.Minute, hour, 6*hour, s.refund)
				s.licenseSecret.store(fmt.Sprintf(`{"api_key":%q,"shared_key":"shared-2"}`, alarmAPIKey))
				s.every(10*time.Minute, 6*hour, 12*hour, s.refund)
			},
			fires: map[string][]firing{
				"WorkerConfigurationFaultAlarm": {{hour, at(1, 5), 6 * hour}},
				"QueueAgeAlarm":                 {{at(1, 15), at(1, 25), 6 * hour}}, // three receives take 45 minutes
			},
		},
		{
			name: "the License API's key is changed at both sides, a minute apart", length: 6 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.licenseSecret.store(fmt.Sprintf(`{"api_key":%q,"shared_key":"shared-2"}`, alarmAPIKey))
				s.until(hour + time.Minute)
				s.api.Rotate(alarmAPIKey, "shared-2")
				s.every(10*time.Minute, at(1, 10), 6*hour, s.refund)
			},
		},
		{
			name: "the worker's secret is empty", length: 6 * hour,
			happen: func(s *system) {
				s.licenseSecret.store("")
				s.every(10*time.Minute, hour, 5*hour, s.refund)
			},
			fires: map[string][]firing{
				"WorkerConfigurationFaultAlarm": {{hour, at(1, 5), 5 * hour}},
				"QueueAgeAlarm":                 {{at(1, 15), at(1, 25), 5 * hour}},
			},
		},
		{
			name: "a second dead letter while one waits, and a third", length: 10 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.letter()
				s.until(3 * hour)
				s.unmappable()
				s.until(5 * hour)
				s.letter()
			},
			fires: map[string][]firing{
				"DeadLetterAlarm":        {{hour, at(1, 5), 10 * hour}},
				"WorkerDeadLetterAlarm":  {{hour, at(1, 5), 0}, {5 * hour, at(5, 5), 0}},
				"WebhookDeadLetterAlarm": {{3 * hour, at(3, 5), 0}},
			},
		},
		{
			name: "a dead letter that no operator handles", length: 10*day + 6*hour,
			happen: func(s *system) {
				s.until(hour)
				s.letter()
			},
			fires: map[string][]firing{
				"DeadLetterAlarm":       {{hour, at(1, 5), 10*day + 6*hour}},
				"WorkerDeadLetterAlarm": {{hour, at(1, 5), 0}},
				"OldestDeadLetterAlarm": {{10*day + hour, 10*day + at(1, 10), 10*day + 6*hour}},
			},
		},
		{
			name: "200 refunds of a source at once, and a refund every ten minutes", length: 6 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				for range 4 * defaultSurgeLimit {
					s.refund()
				}
				s.every(10*time.Minute, 2*hour, 6*hour, s.refund)
			},
			fires: map[string][]firing{
				"SurgeAlarm":      {{hour, at(1, 5), 0}},
				"DeadLetterAlarm": {{hour, at(1, 5), 6 * hour}},
			},
		},
		{
			name: "watch mode, with a surge, an event that cannot be mapped and a message that is none", length: 10*day + 6*hour, watch: true,
			happen: func(s *system) {
				s.until(hour)
				for range 4 * defaultSurgeLimit {
					s.refund()
				}
				s.every(2*hour, 2*hour, day, s.refund)
				s.unmappable()
				s.until(2 * day)
				s.noMessage()
			},
			fires: map[string][]firing{
				"WebhookDeadLetterAlarm": {{day, day + at(0, 5), 0}},
				"WorkerDeadLetterAlarm":  {{2 * day, 2*day + at(0, 5), 0}},
				"OldestDeadLetterAlarm":  {{10*day + hour, 10*day + at(1, 10), 10*day + 6*hour}},
			},
		},
		{
			name: "the event source mapping is disabled for half a day", length: day,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.jobs.stop(true)
				s.every(10*time.Minute, hour, 13*hour, s.refund)
				s.jobs.stop(false)
			},
			fires: map[string][]firing{"QueueAgeAlarm": {{at(1, 15), at(1, 35), 13 * hour}}},
		},
		{
			name: "a bulk run that takes half an hour, at one call a second", length: 3 * hour, callsPerSecond: 1,
			happen: func(s *system) {
				s.until(hour)
				s.rows(1800)
			},
			fires: map[string][]firing{"QueueAgeAlarm": {{at(1, 15), at(1, 25), at(1, 30)}}},
		},
		{
			name: "the worker fails for four hours", length: 12 * hour,
			happen: func(s *system) {
				works := s.worker
				s.every(10*time.Minute, 0, hour, s.refund)
				s.workerIs(func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
					return events.SQSEventResponse{}, errors.New("a fault that a test made")
				})
				s.every(10*time.Minute, hour, 5*hour, s.refund)
				s.workerIs(works)
				s.every(10*time.Minute, 5*hour, 12*hour, s.refund)
			},
			fires: map[string][]firing{"WorkerErrorAlarm": {{hour, at(1, 5), 5 * hour}}},
		},
		{
			name: "Lambda throttles the worker for four hours", length: 12 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.throttle(true)
				s.every(10*time.Minute, hour, 5*hour, s.refund)
				s.throttle(false)
				s.every(10*time.Minute, 5*hour, 12*hour, s.refund)
			},
			fires: map[string][]firing{"WorkerThrottleAlarm": {{hour, at(1, 15), 5 * hour}}},
		},
		{
			name: "the queue is out of reach for the webhook, a delivery in ten minutes", length: 6 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.jobs.outOfReach(true)
				s.every(10*time.Minute, hour, 4*hour, s.refund)
				s.jobs.outOfReach(false)
				s.every(10*time.Minute, 4*hour, 6*hour, s.refund)
			},
			fires: map[string][]firing{"Webhook5xxAlarm": {{hour, at(1, 5), 4 * hour}}},
		},
		{
			name: "the webhook secrets are empty", length: 6 * hour,
			happen: func(s *system) {
				s.senderSecret.store("")
				s.every(10*time.Minute, hour, 5*hour, s.refund)
			},
			fires: map[string][]firing{
				"WebhookConfigurationFaultAlarm": {{hour, at(1, 5), 5 * hour}},
				"Webhook5xxAlarm":                {{hour, at(1, 5), 5 * hour}},
			},
		},
		{
			name: "a busy sender whose deliveries are refused", length: 4 * hour,
			happen: func(s *system) {
				s.every(5*time.Second, hour, 2*hour, func() { s.deliver(s.order(licenseKey(1)), "another key") })
			},
			fires: map[string][]firing{
				"Webhook4xxShareAlarm":    {{hour, at(1, 20), 2 * hour}},
				"UnverifiedDeliveryAlarm": {{hour, at(1, 20), 2 * hour}},
			},
		},
		{
			name: "a sender's key is changed only at the sender, a delivery in ten minutes", length: 6 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.every(10*time.Minute, hour, 3*hour, func() { s.deliver(s.order(licenseKey(1)), "sender-key-2") })
				s.senderSecret.store(fmt.Sprintf(`{"generic":["sender-key-2",%q]}`, senderKey))
				s.every(10*time.Minute, 3*hour, 6*hour, func() { s.deliver(s.order(licenseKey(1)), "sender-key-2") })
			},
			fires: map[string][]firing{"UnverifiedDeliveryAlarm": {{hour, at(1, 30), 3 * hour}}},
		},
		{
			name: "a sender's key is changed at both sides, the new one here first", length: 3 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.senderSecret.store(fmt.Sprintf(`{"generic":["sender-key-2",%q]}`, senderKey))
				s.every(10*time.Minute, hour, 2*hour, s.refund)
				s.every(10*time.Minute, 2*hour, 3*hour, func() { s.deliver(s.order(licenseKey(1)), "sender-key-2") })
			},
		},
		{
			name: "somebody posts two forged deliveries", length: 3 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.deliver(s.order(licenseKey(1)), "a guess")
				s.deliver(s.order(licenseKey(1)), "another guess")
				s.every(10*time.Minute, hour, 3*hour, s.refund)
			},
		},
		{
			name: "seventeen keys of a sender, a delivery in ten minutes", length: 5 * hour,
			happen: func(s *system) {
				s.senderSecret.store(`{"generic":["` + strings.Repeat(`old","`, 15) + senderKey + `","last"]}`)
				s.every(10*time.Minute, hour, 4*hour, func() {
					if status := s.deliver(s.order(licenseKey(s.nextRefund())), senderKey); status != http.StatusOK {
						s.t.Errorf("a delivery signed with the sixteenth of seventeen keys is answered %d", status)
					}
				})
			},
			fires: map[string][]firing{"WebhookConfigurationFaultAlarm": {{hour, at(1, 5), 4 * hour}}},
		},
		{
			name: "a delivery that is too large, and again after an hour", length: 4 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				large := fmt.Sprintf(`{"id":"1","note":%q}`, strings.Repeat("a", webhook.MaxBodyBytes))
				s.deliver(large, senderKey)
				s.until(2 * hour)
				s.deliver(large, senderKey)
			},
			fires: map[string][]firing{"OversizeDeliveryAlarm": {{hour, at(1, 5), 0}, {2 * hour, at(2, 5), 0}}},
		},
		{
			name: "a verified delivery that is no JSON", length: 3 * hour,
			happen: func(s *system) {
				s.every(10*time.Minute, 0, hour, s.refund)
				s.deliver(`{"id":"1",`, senderKey)
			},
			fires: map[string][]firing{
				"UnreadableDeliveryAlarm": {{hour, at(1, 5), 0}},
				"WebhookDeadLetterAlarm":  {{hour, at(1, 5), 0}},
				"DeadLetterAlarm":         {{hour, at(1, 5), 2 * hour}},
			},
		},
		{
			name: "an event of a shape that the source's file does not know", length: 3 * hour,
			happen: func(s *system) {
				s.until(hour)
				s.deliver(`{"id":"1","greeting":"hello"}`, senderKey)
			},
			fires: map[string][]firing{
				"UnknownShapeAlarm":      {{hour, at(1, 5), 0}},
				"WebhookDeadLetterAlarm": {{hour, at(1, 5), 0}},
				"DeadLetterAlarm":        {{hour, at(1, 5), 2 * hour}},
			},
		},
		{
			name: "the dead-letter queue is out of reach for three hours", length: 6 * hour,
			happen: func(s *system) {
				s.letters.outOfReach(true)
				s.until(hour)
				s.letter()
				s.until(4 * hour)
				s.letters.outOfReach(false)
			},
			fires: map[string][]firing{
				"WorkerStalledAlarm":    {{hour, at(1, 20), 4 * hour}},
				"DeadLetterAlarm":       {{4 * hour, at(4, 20), 6 * hour}},
				"WorkerDeadLetterAlarm": {{4 * hour, at(4, 20), 0}},
			},
		},
		{
			name: "one refund in an outage of four days", length: 4 * day,
			happen: func(s *system) {
				s.is(unavailable())
				s.until(hour)
				s.refund()
			},
			fires: map[string][]firing{
				"WorkerStalledAlarm":    {{hour, at(1, 20), 69 * hour}},
				"DeadLetterAlarm":       {{69 * hour, 75 * hour, 4 * day}},
				"WorkerDeadLetterAlarm": {{69 * hour, 75 * hour, 0}},
			},
		},
		{
			name: "direct invocations with mistyped fields, and dry runs", length: 6 * hour,
			happen: func(s *system) {
				row := map[string]string{"license_key": licenseKey(1), "hardware_id": "hw1", "product": "XY"}
				s.every(time.Minute, hour, 2*hour, func() {
					var answer any
					for _, payload := range []map[string]any{
						{"requests": "none"}, {"source": "ops"}, {"source": "ops", "requests": []any{map[string]any{"licence": "A"}}},
						{"source": "ops", "dry-run": true, "requests": []any{row}}, {"source": "ops", "dry_run": true, "requests": []any{row}},
					} {
						_ = s.invokeWebhook(payload, &answer) // another test checks the answer
					}
				})
				if s.jobs.Len() > 0 {
					s.t.Errorf("%d messages are queued", s.jobs.Len())
				}
			},
		},
	}
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	alarms := alarmDefinitions(t)
	fired := map[string]bool{}
	for _, scenario := range slices.Concat(alarmScenarios(), lookUpScenarios()) {
		for id := range scenario.fires {
			fired[id] = true
		}
		t.Run(strings.ReplaceAll(scenario.name, ",", ""), func(t *testing.T) {
			t.Parallel()
			var cloud *cloudWatch
			synctest.Test(t, func(t *testing.T) {
				cloud = runSystem(t, scenario.length, cmp.Or(scenario.callsPerSecond, 5), func(s *system) {
					if scenario.watch || scenario.lookUp {
						s.start(scenario.watch, scenario.lookUp)
					}
					scenario.happen(s)
				})
			})
			for _, c := range allConditions() {
				metrics := cloud.byMinute(c.phase, scenario.length)
				for _, a := range alarms {
					if !scenario.has(t, a.condition) {
						continue
					}
					if problem := compare(a.play(metrics, scenario.length, c), scenario.fires[a.id]); problem != "" {
						t.Errorf("%s: %s (%v)", a.id, problem, c)
					}
				}
				if t.Failed() {
					break
				}
			}
		})
	}
	for _, a := range alarms {
		if !fired[a.id] {
			t.Errorf("%s fires in no scenario", a.id)
		}
		delete(fired, a.id)
	}
	for id := range fired {
		t.Errorf("template.yaml has no %s", id)
	}
}

// compare describes how the times in ALARM differ from the wanted ones; "" where they do not.
func compare(got []span, want []firing) string {
	if len(got) != len(want) {
		return fmt.Sprintf("in ALARM %v, want it %d times", got, len(want))
	}
	for i, w := range want {
		if got[i].from < w.after || got[i].from > w.before || got[i].to < w.until {
			return fmt.Sprintf("in ALARM %v, want it from between %v and %v to %v at least", got[i], w.after, w.before, w.until)
		}
	}
	return ""
}

// String is for the message of a failing test.
func (s span) String() string { return fmt.Sprintf("%v–%v", s.from, s.to) }

// TestAnOutageDoesNotShowInTheAgeOfTheOldestMessage shows why the worker counts stalled messages: in a day of 503 the
// age that SQS publishes stays below any useful threshold of an alarm.
func TestAnOutageDoesNotShowInTheAgeOfTheOldestMessage(t *testing.T) {
	t.Parallel()
	var cloud *cloudWatch
	synctest.Test(t, func(t *testing.T) {
		cloud = runSystem(t, day, 5, func(s *system) {
			s.is(unavailable())
			s.every(30*time.Minute, 0, day, s.refund)
		})
	})
	ages := cloud.samples[metricKey("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName=Queue")]
	oldest := slices.MaxFunc(ages, func(a, b datum) int { return int(a.value - b.value) }).value
	if oldest == 0 || oldest > 220 { // waits are rounded up to whole seconds, and calls take time
		t.Errorf("the oldest message was %v s old in %d samples, want at most some 210 s", oldest, len(ages))
	}
}
