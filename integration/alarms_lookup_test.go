package integration

import (
	"io/fs"
	"net/http"
	"strings"
	"time"

	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/sources"
)

// lookUpScenarios are those of alarmScenarios with the parameter LookUp on.
func lookUpScenarios() []alarmScenario {
	at := func(hours, minutes int) time.Duration {
		return time.Duration(hours)*hour + time.Duration(minutes)*time.Minute
	}
	return []alarmScenario{
		{
			name: "with look-up, a day of refunds that name an order, a device or both", length: 30 * hour, lookUp: true,
			happen: func(s *system) {
				s.every(20*time.Minute, 0, day, func() { s.findable("generic"); s.refund() })
			},
		},
		{
			name: "a shop that sells other goods, too: every third refund has no license", length: 3 * day, lookUp: true,
			happen: func(s *system) {
				s.every(hour, 0, 2*day, func() { s.unknown("stripe"); s.findable("stripe"); s.findable("stripe") })
				s.until(2*day + 2*hour)
				if s.letters.Len() != 48 {
					s.t.Errorf("%d letters, want one for each order without a license", s.letters.Len())
				}
			},
		},
		{
			name: "a small shop of other goods: nineteen refunds of a day have no license", length: 2 * day, lookUp: true,
			happen: func(s *system) {
				s.every(hour, 0, 19*hour, func() { s.unknown("stripe") })
			},
		},
		{
			name: "a wrong mapping of one sender, and another that is right", length: 60 * hour, lookUp: true,
			happen: func(s *system) {
				s.every(30*time.Minute, 0, 12*hour, func() { s.unknown("paddle"); s.findable("stripe"); s.findable("stripe") })
			},
			// The twentieth refund is that of 9:30, and its last look is an hour later.
			fires: map[string][]firing{"NotFoundPaddleAlarm": {{at(10, 0), at(10, 50), 26 * hour}}},
		},
		{
			name: "a wrong mapping of every sender", length: 8 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				for _, source := range sourceNames(s) {
					for range 20 {
						s.unknown(source)
					}
				}
			},
			fires: notFoundOfEverySource(2*hour, at(4, 0), 8*hour),
		},
		{
			name: "an order without a license that no operator handles", length: 10*day + 6*hour, lookUp: true,
			happen: func(s *system) { s.unknown("stripe") },
			fires:  map[string][]firing{"OldestDeadLetterAlarm": {{10*day + hour, 10*day + at(1, 30), 10*day + 6*hour}}},
		},
		{
			name: "with look-up, a letter of another kind, and a second one", length: 8 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				s.letter()
				s.until(3 * hour)
				s.letter()
			},
			fires: map[string][]firing{"WorkerDeadLetterAlarm": {{hour, at(1, 5), 0}, {3 * hour, at(3, 5), 0}}},
		},
		{
			name: "with look-up, orders that are fulfilled an hour after their refund", length: 6 * hour, lookUp: true,
			happen: func(s *system) {
				for n := range 12 {
					s.until(time.Duration(n) * 20 * time.Minute)
					s.lookUp("stripe", "late")
				}
				if err := s.api.Add(licenseapitest.License{Product: "XY", LicenseKey: "LATE", Order: "late", Devices: []string{"hw1"}}); err != nil {
					s.t.Error(err)
				}
			},
		},
		{
			name: "the Management API answers 503 for four hours, beside refunds that name a device", length: 8 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				s.managementIs(unavailable())
				s.every(10*time.Minute, hour, 5*hour, func() { s.findable("stripe"); s.refund() })
				s.managementIs(licenseapitest.Fault{})
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 5 * hour}}},
		},
		{
			name: "the Management API refuses the key for four hours", length: 8 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				s.api.RotateManagement("management-2")
				s.every(10*time.Minute, hour, 5*hour, func() { s.findable("stripe"); s.refund() })
				s.licenseSecret.store(licenseSecretWith("management-2"))
			},
			fires: map[string][]firing{
				"WorkerConfigurationFaultAlarm": {{hour, at(1, 5), 5 * hour}},
				"QueueAgeAlarm":                 {{at(1, 15), at(1, 25), 5 * hour}}, // three receives take 45 minutes
			},
		},
		{
			name: "there is no key of the Management API for four hours, and then the License API has an outage", length: 12 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				s.licenseSecret.store(`{"api_key":"` + alarmAPIKey + `","shared_key":"` + alarmSharedKey + `"}`)
				s.start(false, true) // the environments before have the key for five minutes
				s.every(10*time.Minute, hour, 3*hour, func() { s.findable("stripe"); s.refund() })
				s.is(unavailable())
				s.every(10*time.Minute, 3*hour, 5*hour, func() { s.findable("stripe"); s.refund() })
				s.is(licenseapitest.Fault{})
				s.licenseSecret.store(licenseSecretWith(alarmManagementKey))
			},
			fires: map[string][]firing{
				"WorkerConfigurationFaultAlarm": {{hour, at(1, 5), 5 * hour}},
				"QueueAgeAlarm":                 {{at(1, 15), at(1, 25), 5 * hour}},
				"WorkerStalledAlarm":            {{3 * hour, at(3, 20), 5 * hour}},
			},
		},
		{
			name: "the Management API ignores its filters for two hours", length: 6 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				s.start(false, true) // a new environment probes them
				s.api.SetHabits(licenseapitest.Habits{IgnoreFilters: true})
				s.every(10*time.Minute, hour, 3*hour, func() { s.findable("stripe"); s.refund() })
				s.api.SetHabits(licenseapitest.Habits{})
				if s.letters.Len() > 0 {
					s.t.Errorf("%d letters: a broken API is no message's fault", s.letters.Len())
				}
			},
			fires: map[string][]firing{"WorkerConfigurationFaultAlarm": {{hour, at(1, 5), 3 * hour}}},
		},
		{
			name: "the Management API refuses every call by its rate limit", length: 5 * hour, lookUp: true,
			happen: func(s *system) {
				s.until(hour)
				s.managementIs(licenseapitest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"60"}}})
				s.every(20*time.Minute, hour, 3*hour, func() { s.findable("stripe"); s.refund() })
				s.managementIs(licenseapitest.Fault{})
			},
			fires: map[string][]firing{"WorkerStalledAlarm": {{hour, at(1, 20), 3 * hour}}},
		},
		{
			name: "watch mode with look-up", length: 9 * day, lookUp: true, watch: true,
			happen: func(s *system) {
				s.every(2*hour, 0, 2*day, func() { s.findable("stripe"); s.refund() })
			},
		},
	}
}

func sourceNames(s *system) []string {
	files, err := fs.Glob(sources.FS(), "*.yaml")
	if err != nil || len(files) == 0 {
		s.t.Fatalf("%d sources, %v", len(files), err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".yaml")
	}
	return files
}

// notFoundOfEverySource are the alarms of all senders' files.
func notFoundOfEverySource(after, before, until time.Duration) map[string][]firing {
	files, err := fs.Glob(sources.FS(), "*.yaml")
	if err != nil {
		return nil
	}
	fires := map[string][]firing{}
	for _, file := range files {
		name := ""
		for word := range strings.SplitSeq(strings.TrimSuffix(file, ".yaml"), "-") {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
		fires["NotFound"+name+"Alarm"] = []firing{{after, before, until}}
	}
	return fires
}
