package deadletter

import (
	"fmt"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
)

// Field is a field of a request that a person may complete, by the License API's name.
type Field string

// Fields returns the fields that a person may complete, in the order in which an editor shows them.
func Fields() []Field {
	return []Field{
		"cause", "product", "license_key", "hardware_id", "username", "password", "id_token", "code", "customer_account_code", "license_id", "bundle_code",
	}
}

// Names reports whether the field names one license or one device, so that one value cannot be right for several letters.
func (f Field) Names() bool { return f != "cause" && f != "product" && f != "bundle_code" }

// of returns the field of a request; nil if there is no such field.
func (f Field) of(r *deactivation.Request) *string {
	switch f {
	case "cause":
		return &r.Cause
	case "product":
		return &r.Product
	case "license_key":
		return &r.LicenseKey
	case "hardware_id":
		return &r.HardwareID
	case "username":
		return &r.Username
	case "password":
		return &r.Password
	case "id_token":
		return &r.IDToken
	case "code":
		return &r.Code
	case "customer_account_code":
		return &r.CustomerAccountCode
	case "license_id":
		return (*string)(&r.LicenseID)
	case "bundle_code":
		return &r.BundleCode
	}
	return nil
}

// Get returns the field's value; "" if it is not set.
func (f Field) Get(r *deactivation.Request) string {
	if text := f.of(r); text != nil {
		return *text
	}
	return ""
}

// Set sets the field. Its error names the field, not the value.
func (f Field) Set(r *deactivation.Request, value string) error {
	text := f.of(r)
	if text == nil {
		return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: string(f), Why: "must be one of " + strings.Join(names(), ", ")}
	}
	*text = strings.TrimSpace(value)
	return nil
}

// Complete sets the field if it is empty. A field that has another value is an error: who wants to change it edits the
// request.
func (f Field) Complete(r *deactivation.Request, value string) error {
	if f.of(r) != nil && f != "cause" && f.Get(r) != "" && f.Get(r) != strings.TrimSpace(value) {
		return &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: string(f), Why: "has another value in the event already; change it with --edit"}
	}
	return f.Set(r, value)
}

// IsField reports whether a person may complete a field of this name.
func IsField(name string) bool { return slices.Contains(Fields(), Field(name)) }

func names() []string {
	var all []string
	for _, f := range Fields() {
		all = append(all, string(f))
	}
	return all
}

// CheckComplete returns what keeps a request from being sent. lookUp says that the worker looks licenses up: a request may
// then name no device.
func CheckComplete(r deactivation.Request, lookUp bool) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("%s: %w", r.ID, err)
	}
	if !lookUp && !r.IsOffline() {
		if err := r.CheckSendable(); err != nil {
			return fmt.Errorf("%s: %w", r.ID, err)
		}
	}
	return nil
}
