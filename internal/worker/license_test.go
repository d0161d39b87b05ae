package worker_test

import (
	"testing"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi"
)

func TestALicenseIsADeactivationOfTheAPI(t *testing.T) {
	t.Parallel()
	l := deactivation.License{Product: "XY", LicenseKey: "K", HardwareID: "h"}
	if d := licenseapi.Deactivation(l); d.Product != "XY" || d.LicenseKey != "K" || d.HardwareID != "h" {
		t.Error("the fields are in another order")
	}
}
