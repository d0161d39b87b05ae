package webhook_test

import (
	"strings"
	"testing"

	"license-deactivator/events"
	"license-deactivator/internal/sample"
)

// TestNoLoggedValueOfASampleIsALicenseOrADevice: the values on which a rule matched are logged.
func TestNoLoggedValueOfASampleIsALicenseOrADevice(t *testing.T) {
	t.Parallel()
	loaded := load(t, "")
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	described := 0
	for _, s := range samples {
		src, _ := loaded.Get(s.Source)
		for _, m := range mapped(t, src, verify(t, src, signedSample(t, src, s, nil), sampleSecret(s.Source))) {
			if m.Values != "" {
				described++
			}
			for _, r := range s.Requests {
				for _, secret := range []string{r.LicenseKey, r.HardwareID, r.Username} {
					if secret != "" && strings.Contains(m.Values, secret) {
						t.Errorf("%s: a license or a device is in the values", s.Name())
					}
				}
			}
		}
	}
	if described < 50 {
		t.Errorf("%d events have values: the test looked in the wrong place", described)
	}
}
