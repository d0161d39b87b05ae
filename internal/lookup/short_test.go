package lookup_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
)

func TestAShortReportSaysByWhichIDAndWhatWasDone(t *testing.T) {
	t.Parallel()
	freed := lookup.Answer{Outcome: deactivation.Deactivated}
	disabled := lookup.LicenseReport{WasEnabled: true, Active: 2, Freed: 2, Disable: true}
	order := lookup.Attempt{By: "order__store_id", Value: "pi_3Nx", Found: 1}
	for want, r := range map[string]lookup.Report{
		"": {Named: &freed},
		"order pi_3Nx: 2 devices freed, disabled": {
			Tried: []lookup.Attempt{{By: "license_key", Value: "…44AC"}, order}, Licenses: []lookup.LicenseReport{disabled}, ReadBack: true,
		},
		"key …44AC: 1 device freed": {
			Named: &freed, Tried: []lookup.Attempt{{By: "license_key", Value: "…44AC", Found: 1}}, Licenses: []lookup.LicenseReport{{WasEnabled: true}},
		},
		"subscription sub_1: 2 licenses, 2 devices freed, 1 disabled": {
			Tried:    []lookup.Attempt{{By: "subscription_id", Value: "sub_1", Found: 2}},
			Licenses: []lookup.LicenseReport{disabled, {WasEnabled: true, AfterEnabled: true}}, ReadBack: true,
		},
		"order pi_3Nx: 2 devices freed": { // the API said yes to disabling, and the license is enabled
			Tried: []lookup.Attempt{order}, Licenses: []lookup.LicenseReport{{WasEnabled: true, Freed: 2, Disable: true, AfterEnabled: true}}, ReadBack: true,
		},
		"order pi_3Nx: 3 active devices, 1 left alone": {
			Tried: []lookup.Attempt{order}, Licenses: []lookup.LicenseReport{{WasEnabled: true, Active: 3, LeftAlone: 1, Disable: true}},
		},
		"order pi_3Nx: 1 device already inactive, disabled": { // another message freed it after the list was read
			Tried: []lookup.Attempt{order}, Licenses: []lookup.LicenseReport{{WasEnabled: true, Active: 1, Inactive: 1, Disable: true}}, ReadBack: true,
		},
		"order pi_3Nx: 1 device freed, was disabled":   {Tried: []lookup.Attempt{order}, Licenses: []lookup.LicenseReport{{Active: 2, Freed: 1, Inactive: 1}}},
		"order pi_3Nx: no active device":               {Tried: []lookup.Attempt{order}, Licenses: []lookup.LicenseReport{{WasEnabled: true}}},
		"order pi_3Nx: no active device, was disabled": {Tried: []lookup.Attempt{order}, Licenses: []lookup.LicenseReport{{}}},
		"nothing found by order 1001, order pi_3Nx": {
			Tried: []lookup.Attempt{{By: "order__store_id", Value: "1001", Found: 1, Note: "not confirmed"}, {By: "order__store_id", Value: "pi_3Nx"}},
		},
		"order " + strings.Repeat("ö", 26) + "…: 2 devices freed, disabled": {
			Tried:    []lookup.Attempt{{By: "order__store_id", Value: strings.Repeat("ö", 100), Found: 1}},
			Licenses: []lookup.LicenseReport{disabled}, ReadBack: true,
		},
		"nothing found by order " + strings.Repeat("x", 36) + "…": {
			Tried: []lookup.Attempt{{By: "order__store_id", Value: strings.Repeat("x", 100)}},
		},
	} {
		if got := r.Short(); got != want || utf8.RuneCountInString(got) > 60 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
