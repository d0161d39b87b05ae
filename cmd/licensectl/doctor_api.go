package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"license-deactivator/internal/lookup"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/managementapi"
)

const (
	// doctorTimeout bounds each HTTP request of doctor.
	doctorTimeout = 10 * time.Second

	// impossible is a product, a key and a hardware id that nobody has.
	impossible = "license-deactivator-doctor"

	// clockWarning and clockLimit are how far this machine's clock may be from the License API's. The API refuses a
	// signature whose date is 15 minutes off: https://docs.licensespring.com/license-api/authorization
	clockWarning = time.Minute
	clockLimit   = 15 * time.Minute
)

// checkLicenseAPI compares the clocks, and signs a call for a license that cannot exist.
func (d *doctor) checkLicenseAPI(ctx context.Context) {
	if d.keys == nil {
		return
	}
	d.checkClock(ctx)
	const check = "License API"
	keys, err := secrets.ParseLicense(d.keys.text)
	if err != nil {
		return // checkLicenseSecret has reported it
	}
	client, err := newLicenseClient(keys, d.keys.licenseAPI)
	if err != nil {
		d.failWith(check, err)
		return
	}
	err = client.Deactivate(ctx, licenseapi.Deactivation{Product: impossible, LicenseKey: impossible, HardwareID: impossible})
	code := licenseapi.CodeOf(err)
	switch code {
	case "connection", "timeout":
		d.fail(check, "check the network and the address: LICENSE_API_URL, --license-api", "%s cannot be reached: %s", d.keys.licenseAPI, code)
		return
	case "not_found", "http_404":
		d.fail(check, "check the address: LICENSE_API_URL, --license-api", "%s is no License API: %s", d.keys.licenseAPI, code)
		return
	}
	switch licenseapi.KindOf(err) {
	case licenseapi.KindRejected, licenseapi.KindAlreadyInactive, licenseapi.KindProductNotAllowed:
		d.ok(check, "%s accepts the signature", d.keys.licenseAPI)
	case licenseapi.KindDeactivated:
		d.fail(check, "is it LicenseSpring's? check LICENSE_API_URL", "%s deactivates a license that cannot exist", d.keys.licenseAPI)
	case licenseapi.KindBadCredentials, licenseapi.KindUnauthorized:
		d.fail(check, "put the current keys into "+d.options.spring.secretName(d.at), "%s refuses the signature: %s", d.keys.licenseAPI, code)
	case licenseapi.KindStaleDate:
		d.fail(check, "set this machine's clock", "%s refuses the date of the signature: %s", d.keys.licenseAPI, code)
	case licenseapi.KindMisconfigured:
		d.fail(check, "check the address: LICENSE_API_URL, --license-api", "%s is no License API: %s", d.keys.licenseAPI, code)
	case licenseapi.KindRateLimited:
		d.warn(check, "try again in a minute", "%s answers 429: its limits are used up", d.keys.licenseAPI)
	default:
		d.fail(check, "try again; if it lasts, look at LicenseSpring's status page", "%s: %s", d.keys.licenseAPI, code)
	}
}

// checkClock compares the clock of this machine with the Date of an answer. The functions' clocks are AWS's.
func (d *doctor) checkClock(ctx context.Context) {
	const check = "clock"
	before := time.Now()
	_, headers, err := request(ctx, http.MethodHead, d.keys.licenseAPI)
	if err != nil {
		d.fail(check, "check the network and the address (--license-api)", "the License API cannot be reached: %s", networkProblem(err))
		return
	}
	date, err := http.ParseTime(headers.Get("Date"))
	if err != nil {
		d.warn(check, "compare this machine's clock with another", "the License API's answer has no Date")
		return
	}
	between := before.Add(time.Since(before) / 2)
	switch off := date.Sub(between).Abs().Round(time.Second); {
	case off >= clockLimit:
		d.fail(check, "set this machine's clock", "this machine's clock is %v off: signatures are refused", off)
	case off >= clockWarning:
		d.warn(check, "set this machine's clock", "this machine's clock is %v off; signatures are refused from %v on", off, clockLimit)
	default:
		d.ok(check, "this machine's clock is right to %v", max(off, time.Second))
	}
}

// request makes a request without a body and returns the answer's status and headers. Redirects are not followed.
func request(ctx context.Context, method, url string) (status int, headers http.Header, err error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, resp.Header, resp.Body.Close()
}

// networkProblem describes an error of net/http without the address, which may hold a token.
func networkProblem(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}

// checkManagementAPI checks that the key is accepted and that each filter finds nothing for an impossible value.
func (d *doctor) checkManagementAPI(ctx context.Context) {
	if d.keys == nil {
		return
	}
	const check = "Management API"
	if _, err := secrets.ParseManagement(d.keys.text); errors.Is(err, secrets.ErrNoManagementKey) && !d.keys.lookUpIsOn {
		d.warn(check, "with a key of its own orders and disputes without a license key can be handled: docs/lookup.md", "no management_api_key: look-up is off")
		return
	}
	if err := d.options.spring.openManagement(d.keys, d.at); err != nil {
		d.failWith(check, err)
		return
	}
	err := lookup.CheckFilters(ctx, d.keys.management)
	switch kind := managementapi.KindOf(err); {
	case err == nil && !d.keys.lookUpIsOn && d.keys.fromWorker:
		d.warn(check, "deploy with LookUp=on to use it", "%s accepts the key, and look-up is off", d.keys.managementAPI)
	case err == nil:
		d.ok(check, "%s accepts the key; its filters work", d.keys.managementAPI)
	case errors.Is(err, lookup.ErrUntrusted):
		d.fail(check, "look-up stays off until LicenseSpring has explained it", "%v", err)
	case kind == managementapi.KindUnauthorized:
		d.fail(check, "put a current management_api_key into "+d.options.spring.secretName(d.at), "%v", err)
	case kind == managementapi.KindMisconfigured:
		d.fail(check, "check the address: MANAGEMENT_API_URL, --management-api", "%v", err)
	case kind == managementapi.KindRateLimited:
		d.warn(check, "try again in a minute", "%v", err)
	default:
		d.fail(check, "try again; if it lasts, ask LicenseSpring", "%v", err)
	}
}
