package licenseapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"
)

// The operations: the last part of the address, and the Op of errors.
const (
	opDeactivateLicense = "deactivate_license"
	opDeactivateBundle  = "deactivate_bundle"
)

// licenseDeactivated is the documented body of a 200, with or without quotation marks.
const licenseDeactivated = "license_deactivated"

// saysDeactivated accepts the documented body, and a JSON object that has it as its only or its "message" value. An
// object that also has a code is an error's body.
func saysDeactivated(text string) bool {
	const quoted = `"` + licenseDeactivated + `"`
	if text == licenseDeactivated || text == quoted {
		return true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil {
		return false
	}
	if len(object) == 1 {
		for _, value := range object {
			return string(value) == quoted
		}
	}
	_, code := object["code"]
	return !code && string(object["message"]) == quoted
}

// Errors of a Deactivation that is refused before it is sent. Each is wrapped with the name of the field and never with
// its value; KindOf returns KindRejected.
var (
	ErrIdentity     = errors.New("licenseapi: exactly one identity is needed") // two different ones would name two licenses
	ErrMissingField = errors.New("licenseapi: a required field is missing")
	ErrInvalidField = errors.New("licenseapi: a field cannot be sent")
)

// Deactivation names one license on one device. Empty fields are not sent. Exactly one identity must be set:
// LicenseKey; Username (with a password if given); IDToken with CustomerAccountCode; Code with CustomerAccountCode.
//
// It prints itself shortened with fmt, log/slog and json.Marshal. Only Deactivate and DeactivateBundle write it whole.
//
// Sources:
// https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-online-method (and
// deactivate-bundle-online-method next to it) and its edition of 2023 for the fields from IsVM on. The JSON Schema
// published there forbids every useful request and is not used.
type Deactivation struct {
	Product             string          `json:"product"` // short code, of the bundle for DeactivateBundle; required
	LicenseKey          string          `json:"license_key,omitempty"`
	Username            string          `json:"username,omitempty"`
	Password            string          `json:"password,omitempty"` // never required: the vendor's SDK sends none
	IDToken             string          `json:"id_token,omitempty"` // the access token of the single sign-on
	Code                string          `json:"code,omitempty"`
	CustomerAccountCode string          `json:"customer_account_code,omitempty"`
	LicenseID           json.Number     `json:"license_id,omitempty"`  // whole number; one of a user's several licenses of a product
	BundleCode          string          `json:"bundle_code,omitempty"` // one product inside a bundle; not for DeactivateBundle
	HardwareID          string          `json:"hardware_id,omitempty"` // required
	SDKVer              string          `json:"sdk_ver,omitempty"`
	Consumptions        json.Number     `json:"consumptions,omitempty"` // changes the license's counter: not for a refund
	Variables           json.RawMessage `json:"variables,omitempty"`    // an object, sent unchanged
	IsVM                *bool           `json:"is_vm,omitempty"`
	VMInfo              string          `json:"vm_info,omitempty"`
	OSVer               string          `json:"os_ver,omitempty"`
	Hostname            string          `json:"hostname,omitempty"`
	OSHostname          string          `json:"os_hostname,omitempty"`
	IP                  string          `json:"ip,omitempty"`
	IPLocal             string          `json:"ip_local,omitempty"`
	AppVer              string          `json:"app_ver,omitempty"`
	MACAddress          string          `json:"mac_address,omitempty"`
}

// Deactivate frees the license's slot on the device, in one attempt. The license itself stays enabled.
//
// Nil means that the API confirmed the deactivation: status 200 and a body that says so. Otherwise the error is an
// *[Error] for any other answer; wraps [ErrIdentity], [ErrMissingField] or [ErrInvalidField] if nothing was sent; is
// the Authorizer's, wrapped; or is a network error (errors.Is context.DeadlineExceeded for a time-out, of ctx or of the
// five seconds of a call), after which it is unknown whether the device was deactivated. [KindOf] says what to do.
func (c *Client) Deactivate(ctx context.Context, d Deactivation) error {
	return c.deactivate(ctx, opDeactivateLicense, d)
}

// DeactivateBundle frees the slot on the device of every license of a bundle, in one attempt. Product is the bundle's
// short code. A BundleCode is refused with [ErrInvalidField], since it means one product. Everything else is the same
// as for Deactivate.
//
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-bundle-online-method
func (c *Client) DeactivateBundle(ctx context.Context, d Deactivation) error {
	if d.BundleCode != "" {
		return fmt.Errorf("%w: bundle_code means one product of a bundle; product is the bundle's code here", ErrInvalidField)
	}
	return c.deactivate(ctx, opDeactivateBundle, d)
}

func (c *Client) deactivate(ctx context.Context, op string, d Deactivation) error {
	if err := d.check(); err != nil {
		return err
	}
	type wire Deactivation // without the methods that shorten the output
	body, err := json.Marshal(wire(d))
	if err != nil {
		return fmt.Errorf("%w: not JSON", ErrInvalidField) // not err itself: encoding/json quotes values
	}
	return c.post(ctx, op, saysDeactivated, content{jsonType, body, d.secrets()})
}

// check refuses what the API would refuse, and what could deactivate another license.
func (d Deactivation) check() error {
	var set []string
	for _, f := range []struct{ name, value string }{
		{"license_key", d.LicenseKey}, {"username", d.Username}, {"id_token", d.IDToken}, {"code", d.Code},
	} {
		if f.value != "" {
			set = append(set, f.name)
		}
	}
	sso := d.IDToken != "" || d.Code != ""
	switch {
	case len(set) == 0:
		return fmt.Errorf("%w: license_key, username, id_token or code", ErrIdentity)
	case len(set) > 1:
		return fmt.Errorf("%w: %s are set", ErrIdentity, strings.Join(set, " and "))
	case sso && d.CustomerAccountCode == "":
		return fmt.Errorf("%w: customer_account_code, which goes with %s", ErrMissingField, set[0])
	case !sso && d.CustomerAccountCode != "":
		return fmt.Errorf("%w: customer_account_code goes with id_token or code", ErrIdentity)
	case d.Password != "" && d.Username == "":
		return fmt.Errorf("%w: password goes with username", ErrIdentity)
	case d.Product == "":
		return fmt.Errorf("%w: product", ErrMissingField)
	case d.HardwareID == "":
		return fmt.Errorf("%w: hardware_id", ErrMissingField)
	case !isNumber(d.LicenseID) || strings.Trim(d.LicenseID.String(), "0123456789") != "":
		return fmt.Errorf("%w: license_id must be a whole number", ErrInvalidField)
	case !isNumber(d.Consumptions):
		return fmt.Errorf("%w: consumptions must be a number", ErrInvalidField)
	case len(d.Variables) > 0 && !isObject(d.Variables):
		return fmt.Errorf("%w: variables must be a JSON object", ErrInvalidField)
	}
	for _, text := range append(d.secrets(), d.Product, d.BundleCode, d.SDKVer, d.OSVer, d.AppVer) {
		if !utf8.ValidString(text) { // encoding/json would change it to another license or device
			return fmt.Errorf("%w: a text is not UTF-8", ErrInvalidField)
		}
	}
	return nil
}

// isNumber reports whether n is a JSON number, or absent.
func isNumber(n json.Number) bool {
	if n == "" {
		return true
	}
	first := n[0]
	return (first == '-' || (first >= '0' && first <= '9')) && json.Valid([]byte(n))
}

func isObject(text json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) && json.Valid(text)
}

// secrets lists the values that an answer must not carry into an error or a log: all that name a customer, a license or
// a device. Product, bundle and version numbers come from the vendor and explain an answer.
func (d Deactivation) secrets() []string {
	values := []string{
		d.LicenseKey, d.Username, d.Password, d.IDToken, d.Code, d.CustomerAccountCode, d.LicenseID.String(), d.HardwareID,
		d.VMInfo, d.Hostname, d.OSHostname, d.IP, d.IPLocal, d.MACAddress, string(d.Variables),
	}
	if len(d.Variables) == 0 {
		return values
	}
	// The texts and names inside variables: both come from the customer.
	tokens := json.NewDecoder(bytes.NewReader(d.Variables))
	for {
		token, err := tokens.Token()
		if err != nil {
			return values
		}
		if text, ok := token.(string); ok {
			values = append(values, text)
		}
	}
}

// keptRunes is how many of a license key's last characters are shown: enough to find it in the vendor's own list, too
// few to use it.
const keptRunes = 4

// shortKey shows the last four characters of a license key with more than eight.
func (d Deactivation) shortKey() string {
	runes := []rune(d.LicenseKey)
	switch {
	case len(runes) == 0:
		return ""
	case len(runes) <= 2*keptRunes:
		return "…"
	}
	return "…" + string(runes[len(runes)-keptRunes:])
}

// LogValue implements slog.LogValuer: product and the license key's end.
func (d Deactivation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("product", d.Product), slog.String("license", d.shortKey()))
}

// Format implements fmt.Formatter for every verb, so that neither %v nor %#v shows a key or a password.
func (d Deactivation) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "deactivation of license %s of %s", d.shortKey(), d.Product)
}

// MarshalJSON implements json.Marshaler: product and the license key's end. slog's JSON handler calls it for a
// Deactivation inside another value, where it does not call LogValue.
func (d Deactivation) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Product string `json:"product"`
		License string `json:"license"`
	}{d.Product, d.shortKey()})
}
