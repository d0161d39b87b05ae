package telemetry_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// TestLookupsAreCountedByTheirEndAndTheirSource: a value per ended look-up of an event shows how many there are and how many
// found nothing. A letter of an event without a license is not counted where the alarm for new letters would see it. That of a direct
// row is: no other alarm counts it.
func TestLookupsAreCountedByTheirEndAndTheirSource(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	recorder := telemetry.New(&out, slog.LevelInfo, "worker")
	of := func(source string, outcome deactivation.Outcome, end string, mapped bool) telemetry.Message {
		m := telemetry.Message{Source: source, Outcome: outcome, LookupEnd: end, LookupMapped: mapped}
		if outcome == deactivation.Rejected {
			m.Reason = deactivation.ReasonRejected
		}
		if end == telemetry.LookupNotFound {
			m.Code = deactivation.CodeNoLicense
		}
		return m
	}
	for _, m := range []telemetry.Message{
		of("stripe", deactivation.Deactivated, telemetry.LookupFound, true),
		of("stripe", deactivation.Deferred, "", true), // is to be repeated
		of("stripe", deactivation.Rejected, telemetry.LookupNotFound, true),
		of("stripe", deactivation.AlreadyInactive, telemetry.LookupNotFound, true), // the shop sells other things
		of("paddle", deactivation.AlreadyInactive, telemetry.LookupStillUsable, true),
		of("paddle", deactivation.Rejected, "too_many", true),
		of("ops", deactivation.Rejected, telemetry.LookupNotFound, false), // a direct row
		of("No Source", deactivation.Deactivated, telemetry.LookupFound, true),
	} {
		recorder.Message(t.Context(), m)
	}
	recorder.Answer("deactivated", 20*time.Millisecond)
	recorder.ManagementAnswer("ok", 30*time.Millisecond)
	recorder.ManagementAnswer("rate_limited", 10*time.Millisecond)
	recorder.Flush()

	got := publish(t, out.String())
	for key := range got {
		if bytes.HasPrefix([]byte(key), []byte("LicenseDeactivator Messages")) {
			delete(got, key)
		}
	}
	want := published{
		"LicenseDeactivator LookUps service=worker":                                {2, 3, 1, 1},
		"LicenseDeactivator LookUps service=worker outcome=found":                  {2},
		"LicenseDeactivator LookUps service=worker outcome=not_found":              {3},
		"LicenseDeactivator LookUps service=worker outcome=still_usable":           {1},
		"LicenseDeactivator LookUps service=worker outcome=too_many":               {1},
		"LicenseDeactivator NotFound service=worker source=stripe":                 {0, 1, 1},
		"LicenseDeactivator NotFound service=worker source=paddle":                 {0, 0},
		"LicenseDeactivator DeadLetters service=worker":                            {2},
		"LicenseDeactivator DeadLetters service=worker reason=rejected":            {2, 1},
		"LicenseDeactivator Answers service=worker":                                {1},
		"LicenseDeactivator Answers service=worker outcome=deactivated":            {1},
		"LicenseDeactivator Latency service=worker":                                {20},
		"LicenseDeactivator Latency service=worker outcome=deactivated":            {20},
		"LicenseDeactivator ManagementAnswers service=worker":                      {1, 1},
		"LicenseDeactivator ManagementAnswers service=worker outcome=ok":           {1},
		"LicenseDeactivator ManagementAnswers service=worker outcome=rate_limited": {1},
		"LicenseDeactivator ManagementLatency service=worker":                      {30, 10},
		"LicenseDeactivator ManagementLatency service=worker outcome=ok":           {30},
		"LicenseDeactivator ManagementLatency service=worker outcome=rate_limited": {10},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}
