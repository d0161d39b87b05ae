package worker_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

func TestTheActionOfAMessageDecidesWhichCallIsMade(t *testing.T) {
	t.Parallel()
	of := request(1).License
	api, err := licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{testAPIKey: testSharedKey},
		Licenses: []licenseapitest.License{
			{Product: of.Product, Bundle: "BU", LicenseKey: of.LicenseKey, Devices: []string{of.HardwareID, "second"}},
			{Product: "P2", Bundle: "BU", LicenseKey: of.LicenseKey, Devices: []string{of.HardwareID, "second"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	devices := func() (n []int) {
		for _, license := range api.State().Licenses {
			n = append(n, len(license.Devices))
		}
		return n
	}
	r := newHarness(t, api)

	r.work(wire(request(1)))
	if diff := cmp.Diff([]int{1, 2}, devices()); diff != "" {
		t.Errorf("after deactivate_license, devices (-want +got):\n%s", diff)
	}
	bundle := request(1)
	bundle.Action, bundle.Product = deactivation.ActionDeactivateBundle, "BU"
	logged := r.work(wire(bundle))
	if diff := cmp.Diff([]int{1, 1}, devices()); diff != "" {
		t.Errorf("after deactivate_bundle, devices (-want +got):\n%s", diff)
	}
	bundle.Action = "deactivate_everything"
	logged = append(logged, r.work(wire(bundle))...)
	if logged[0].Outcome != deactivation.Deactivated || logged[1].Outcome != deactivation.Rejected || logged[1].Reason != deactivation.ReasonInvalid {
		t.Errorf("outcomes %s and %s (%s), want deactivated, and rejected as invalid", logged[0].Outcome, logged[1].Outcome, logged[1].Reason)
	}
}
