package main

import (
	"cmp"
	"errors"
	"fmt"

	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
)

// --management-calls-per-minute and its limits.
const (
	managementCallsFlag    = "management-calls-per-minute"
	defaultManagementCalls = 600    // what the smallest plan allows a company
	minManagementCalls     = 30     // fewer do not read one large order within an invocation (worker.Stack.Check)
	maxManagementCalls     = 24_000 // MANAGEMENT_CALLS_PER_MINUTE of production

	// unpacedCalls are more than a fake answers: the samples need some 500, which take a minute at the default.
	unpacedCalls = 60_000_000
)

// apis are the APIs that the worker calls.
type apis struct {
	license    string // address, with /api/v4
	management string // address, with /api/v1; "": the look-up is off
	off        string // why the look-up is off; "": it is on
}

// fakeAPIs returns those of the fake with that address of the License API.
func fakeAPIs(address string) apis {
	return apis{license: address, management: licenseapitest.ManagementURL(address)}
}

// ownAPIs returns the user's APIs. The look-up is on with the address and a usable key of a Management API.
func (o localOptions) ownAPIs(stored local.Secrets) apis {
	called := apis{license: o.licenseAPI}
	_, err := secrets.ParseManagement(string(stored.LicenseAPI))
	switch {
	case o.managementAPI == "":
		called.off = "give --management-api to look licenses up by their order"
	case errors.Is(err, secrets.ErrNoManagementKey):
		called.off = `"license_api" in ` + cmp.Or(o.secretsFile, "the fixed secrets") + ` has no "management_api_key"`
	case err != nil:
		called.off = err.Error()
	default:
		called.management = o.managementAPI
	}
	return called
}

// managementKey returns the key of the Management API in the secrets, "" for none.
func (o localOptions) managementKey(stored local.Secrets) (string, error) {
	held, err := secrets.ParseManagement(string(stored.LicenseAPI))
	if err != nil && !errors.Is(err, secrets.ErrNoManagementKey) {
		return "", failed(err, "")
	}
	return held.Key, nil
}

// fallbackKey is the key of the Management API where the secret has none: the fixed one with the fakes.
func (o localOptions) fallbackKey() string {
	if o.licenseAPI != "" {
		return ""
	}
	return local.ManagementAPIKey
}

// managementPace is how many calls to the Management API a minute are made.
func (o localOptions) managementPace() float64 {
	if o.licenseAPI == "" && !o.managementPaced {
		return unpacedCalls
	}
	return float64(o.managementCalls)
}

// describeLookUp is what the start says of the look-up.
func (o localOptions) describeLookUp(called apis) string {
	if called.off != "" {
		return "off: " + called.off
	}
	what := "(fake)"
	if o.licenseAPI != "" {
		what = "(not a fake: licenses are really disabled)"
	}
	text := "on, " + called.management + " " + what
	if pace := o.managementPace(); pace != unpacedCalls {
		text += fmt.Sprintf(", %v calls a minute", pace)
	}
	return text
}

// checkLookUp refuses flags of the look-up that do not fit.
func (o localOptions) checkLookUp() error {
	switch {
	case o.managementAPI != "" && o.licenseAPI == "":
		return misused("give both addresses, or none: with the fakes the look-up is on",
			"--management-api without --license-api would look up the samples' orders in your own LicenseSpring")
	case o.managementCalls < minManagementCalls || o.managementCalls > maxManagementCalls:
		return misused(fmt.Sprintf("give a number from %d to %d", minManagementCalls, maxManagementCalls), "--management-calls-per-minute %d is out of range", o.managementCalls)
	case o.managementAPI == "":
		return nil
	}
	if err := checkManagementAPI(o.managementAPI); err != nil {
		return err
	}
	if _, err := managementapi.New(managementapi.Config{BaseURL: o.managementAPI}); err != nil {
		return misused("give an address such as "+defaultManagementAPI, "--management-api: %v", err)
	}
	return nil
}
