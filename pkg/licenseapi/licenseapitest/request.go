package licenseapitest

import (
	"bytes"
	"encoding/json"
	"errors"
)

// request is the body of a call, or the content of a request file. Pointers distinguish absent from empty; the other
// fields are checked for their type and not used.
type request struct {
	HardwareID          *string  `json:"hardware_id"`
	Product             *string  `json:"product"`
	LicenseKey          *string  `json:"license_key"`
	Username            *string  `json:"username"`
	Password            *string  `json:"password"`
	IDToken             *string  `json:"id_token"`
	Code                *string  `json:"code"`
	CustomerAccountCode *string  `json:"customer_account_code"`
	LicenseID           *int64   `json:"license_id"`
	BundleCode          *string  `json:"bundle_code"`
	Consumptions        *float64 `json:"consumptions"`

	SDKVer     string                     `json:"sdk_ver"`
	Variables  map[string]json.RawMessage `json:"variables"`
	IsVM       bool                       `json:"is_vm"`
	VMInfo     string                     `json:"vm_info"`
	OSVer      string                     `json:"os_ver"`
	Hostname   string                     `json:"hostname"`
	OSHostname string                     `json:"os_hostname"`
	IP         string                     `json:"ip"`
	IPLocal    string                     `json:"ip_local"`
	AppVer     string                     `json:"app_ver"`
	MACAddress string                     `json:"mac_address"`

	file *offlineFile // of an offline request; nil: none
}

// parseRequest reads a body with any Content-Type. code is "" or the problem; req is as much as could be read, for the
// counts.
func parseRequest(body []byte) (req request, code string) {
	if len(bytes.TrimSpace(body)) == 0 {
		return request{}, "missing_parameters"
	}
	err := json.Unmarshal(body, &req)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return req, "validation_error"
	}
	if err != nil {
		return req, "invalid_json"
	}
	return req, ""
}

// check returns the code for a missing or superfluous field, or "".
func (req request) check() (code string) {
	if req.file != nil {
		return req.checkOffline()
	}
	identities := 0
	for _, value := range []*string{req.LicenseKey, req.Username, req.IDToken, req.Code} {
		if text(value) != "" {
			identities++
		}
	}
	sso := text(req.IDToken) != "" || text(req.Code) != ""
	switch {
	case text(req.HardwareID) == "":
		return "missing_hardware_id"
	case text(req.Product) == "":
		return "missing_parameters"
	case identities == 0:
		return "license_key_required"
	case identities > 1, sso != (text(req.CustomerAccountCode) != ""):
		return "validation_error" // the documentation: exactly one of the four
	}
	return ""
}

// license returns the name of the requested license, in the form of rows.
func (req request) license() string {
	product := text(req.Product)
	switch {
	case text(req.LicenseKey) != "":
		return name("license_key", *req.LicenseKey, product)
	case text(req.Username) != "":
		return name("username", *req.Username, product)
	case text(req.IDToken) != "":
		return name("id_token", joined(text(req.CustomerAccountCode), *req.IDToken), product)
	}
	return name("code", joined(text(req.CustomerAccountCode), text(req.Code)), product)
}

// text returns the value, or "" for an absent one.
func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}
