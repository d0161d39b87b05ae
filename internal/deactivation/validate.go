package deactivation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// MaxFieldRunes is the longest accepted key, id or name, in characters. The License API publishes no limit. Its own
// keys have 19 characters and hardware ids 64, so no real one has four times that. Longer ones are refused, never cut.
const MaxFieldRunes = 256

// maxSecretBytes bounds fields that are not ids: a password, an SSO token (real JSON web tokens have some kilobytes),
// the device's description and the variables. 16 KiB leaves the message far below the queue's 1 MiB.
const maxSecretBytes = 16 << 10

// Codes of a FieldError, as a direct invocation returns them.
const (
	CodeMissingField        = "missing_field"
	CodeInvalidField        = "invalid_field"
	CodeConflictingIdentity = "conflicting_identity"
)

// FieldError says which field of a request is invalid and why. It never holds the value.
type FieldError struct {
	Code  string // missing_field, invalid_field, conflicting_identity
	Field string
	Why   string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Why }

// Validate returns a *FieldError for the first reason for which the request is not a message of wire form v1: an
// unknown action; a bundle_code with the action deactivate_bundle (it would widen what is deactivated); no id, source,
// product or identity; two identities; characters that SQS or the License API refuses. A valid request may name no
// device. It may then also have no product and no identity, if its license can be looked up (by a license key or
// Lookup). CheckSendable reports whether it can be sent. An offline action has a request file in place of all license
// fields.
func (r Request) Validate() error {
	if r.Action != "" && !slices.Contains(Actions(), r.Action) {
		return &FieldError{CodeInvalidField, "action", "must be one of " + strings.Join(Actions(), ", ")}
	}
	if r.Action == ActionDeactivateBundle && r.BundleCode != "" {
		return &FieldError{CodeInvalidField, "bundle_code", "means one product of a bundle; with deactivate_bundle, product is the bundle's code"}
	}
	for _, f := range []struct{ name, value string }{{"id", r.ID}, {"source", r.Source}} {
		if f.value == "" {
			return &FieldError{CodeMissingField, f.name, "is missing"}
		}
	}
	if r.Origin != "" && !slices.Contains(Origins(), r.Origin) {
		return &FieldError{CodeInvalidField, "origin", "must be one of " + strings.Join(Origins(), ", ")}
	}
	if !slices.Contains(Causes(), r.Cause) {
		return &FieldError{CodeInvalidField, "cause", "must be one of " + strings.Join(Causes(), ", ")}
	}
	for _, order := range r.Order {
		if err := CheckText("order", order); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, value string }{{"id", r.ID}, {"source", r.Source}, {"event", r.Event}, {"rule", r.Rule}, {"run", r.Run}, {"by", r.By}, {"comment", r.Comment}} {
		if err := CheckText(f.name, f.value); err != nil {
			return err
		}
	}
	if err := r.Released.validate(); err != nil {
		return err
	}
	if err := r.validateLookup(); err != nil {
		return err
	}
	if err := r.validateFile(); err != nil || r.IsOffline() {
		return err
	}
	return r.validate(r.CanBeLookedUp())
}

// Validate is Request.Validate for only the license fields. It checks the identities first, then the product: the order
// in which a person fills them in.
func (l License) Validate() error { return l.validate(false) }

// validate is Validate. lookedUp says that the license is looked up, so that identity and product may be absent.
func (l License) validate(lookedUp bool) error {
	l = l.withoutBlanks()
	if err := l.validateIdentity(lookedUp); err != nil {
		return err
	}
	if l.Product == "" && !lookedUp {
		return errMissingProduct()
	}
	for _, f := range l.texts() {
		if err := CheckText(f.name, f.value); err != nil {
			return err
		}
	}
	for _, f := range l.longTexts() {
		if err := checkLongText(f.name, f.value); err != nil {
			return err
		}
	}
	if l.LicenseID != "" && !integer.MatchString(l.LicenseID.String()) {
		return &FieldError{CodeInvalidField, "license_id", "must be a whole number"}
	}
	if l.Consumptions != "" && !json.Valid([]byte(l.Consumptions)) {
		return &FieldError{CodeInvalidField, "consumptions", "must be a number"}
	}
	if len(l.Variables) > 0 && (!json.Valid(l.Variables) || l.Variables[0] != '{') {
		return &FieldError{CodeInvalidField, "variables", "must be a JSON object"}
	}
	return nil
}

func errMissingProduct() error {
	return &FieldError{CodeMissingField, "product", "is missing (the product's short code)"}
}

// CheckSendable returns a *FieldError when a valid license cannot be sent to the License API: it names no device, or
// its identity has to be looked up first.
func (l License) CheckSendable() error {
	l = l.withoutBlanks()
	if err := l.validateIdentity(false); err != nil {
		return err
	}
	if l.Product == "" {
		return errMissingProduct()
	}
	if l.HardwareID == "" {
		return &FieldError{CodeMissingField, "hardware_id", "is missing; without look-up a request must name its device"}
	}
	return nil
}

// Missing lists the fields that a license needs and lacks, by the License API's names; "license_key" stands for any
// identity.
func (l License) Missing() []string {
	l = l.withoutBlanks()
	var missing []string
	if l.Identity() == "" {
		missing = append(missing, "license_key")
	}
	if l.Product == "" {
		missing = append(missing, "product")
	}
	if l.HardwareID == "" {
		missing = append(missing, "hardware_id")
	}
	return missing
}

// withoutBlanks replaces white space by nothing in the fields that every request needs.
func (l License) withoutBlanks() License {
	for _, field := range []*string{&l.LicenseKey, &l.Username, &l.Product, &l.HardwareID} {
		if strings.TrimSpace(*field) == "" {
			*field = ""
		}
	}
	return l
}

// validateIdentity refuses two identities, a field that belongs to another identity, and, unless it is optional, a
// missing identity.
func (l License) validateIdentity(optional bool) error {
	var set []string
	for _, f := range []struct{ name, value string }{
		{"license_key", l.LicenseKey}, {"username", l.Username}, {"id_token", l.IDToken}, {"code", l.Code},
	} {
		if f.value != "" {
			set = append(set, f.name)
		}
	}
	switch {
	case len(set) == 0 && optional && l.CustomerAccountCode == "" && l.Password == "":
		return nil
	case len(set) == 0:
		return &FieldError{CodeMissingField, "license_key", "is missing (or username, or id_token or code with customer_account_code)"}
	case len(set) > 1:
		return &FieldError{CodeConflictingIdentity, set[1], "names a second license beside " + set[0] + "; give exactly one of them"}
	}
	sso := l.IDToken != "" || l.Code != ""
	switch {
	case sso && l.CustomerAccountCode == "":
		return &FieldError{CodeMissingField, "customer_account_code", "is missing; it goes with " + set[0]}
	case !sso && l.CustomerAccountCode != "":
		return &FieldError{CodeConflictingIdentity, "customer_account_code", "goes with id_token or code, not with " + set[0]}
	case l.Password != "" && l.Username == "":
		return &FieldError{CodeConflictingIdentity, "password", "goes with username, not with " + set[0]}
	}
	return nil
}

type namedText struct{ name, value string }

// texts is an array, since a delivery may name thousands of licenses and each is validated.
func (l License) texts() [16]namedText {
	return [16]namedText{
		{"license_key", l.LicenseKey}, {"product", l.Product}, {"hardware_id", l.HardwareID},
		{"username", l.Username}, {"customer_account_code", l.CustomerAccountCode},
		{"bundle_code", l.BundleCode}, {"license_id", l.LicenseID.String()}, {"consumptions", l.Consumptions.String()},
		{"sdk_ver", l.SDKVer}, {"os_ver", l.OSVer}, {"hostname", l.Hostname},
		{"os_hostname", l.OSHostname}, {"ip", l.IP}, {"ip_local", l.IPLocal}, {"app_ver", l.AppVer},
		{"mac_address", l.MACAddress},
	}
}

func (l License) longTexts() [5]namedText {
	return [5]namedText{
		{"password", l.Password}, {"id_token", l.IDToken}, {"code", l.Code}, {"vm_info", l.VMInfo},
		{"variables", string(l.Variables)},
	}
}

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// IsSourceName reports whether a text can name a source: lower-case letters, digits and hyphens, at most 32.
func IsSourceName(name string) bool { return sourceName.MatchString(name) }

var integer = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// CheckText returns a *FieldError when a key, id or name is longer than MaxFieldRunes or holds characters that no key
// has: control characters, line breaks, U+FFFD (the replacement of invalid UTF-8), U+FFFE and U+FFFF (SQS refuses
// them).
func CheckText(name, value string) error {
	if len(value) > MaxFieldRunes && len([]rune(value)) > MaxFieldRunes {
		return &FieldError{CodeInvalidField, name, fmt.Sprintf("is longer than %d characters", MaxFieldRunes)}
	}
	return checkCharacters(name, value)
}

func checkLongText(name, value string) error {
	if len(value) > maxSecretBytes {
		return &FieldError{CodeInvalidField, name, fmt.Sprintf("is longer than %d bytes", maxSecretBytes)}
	}
	return checkCharacters(name, value)
}

func checkCharacters(name, value string) error {
	for _, r := range value {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || (r >= '\uFFFD' && r <= '\uFFFF') {
			return &FieldError{CodeInvalidField, name, fmt.Sprintf("holds the character U+%04X", r)}
		}
	}
	return nil
}
