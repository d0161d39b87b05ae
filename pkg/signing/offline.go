package signing

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// OfflineDeactivation is the value of a request file's field "request".
const OfflineDeactivation = "deactivation"

// OfflineEncoding is the encoding of the signature of schema v2.
type OfflineEncoding int

// The encodings. The documentation says hexadecimal; both SDKs of the vendor write Base64. Which one the server
// accepts is not confirmed.
const (
	OfflineHex    OfflineEncoding = iota // lower-case hexadecimal, the documented form
	OfflineBase64                        // standard Base64, as the vendor's SDKs write it
)

// OfflineRequest is one license on one device, for a request file. Empty fields are not written. Exactly one of
// LicenseKey and Username must be set. Only its product is printed.
//
// Source: https://docs.licensespring.com/license-entitlements/license-activation-types/offline-request-schema
type OfflineRequest struct {
	RequestID  string // id of the request, such as a UUID; required
	Date       string // the text of [Date]; required, and part of the signature
	Product    string // short code of the product, or of the bundle; required
	HardwareID string // required
	LicenseKey string
	Username   string

	LicenseID  json.Number // whole number; one of a user's several licenses of a product
	BundleCode string      // one product inside a bundle
	IsVM       *bool

	AppVer, Hostname, IP, IPLocal, MACAddress, OSHostname, OSVer, SDKLang, SDKVer, VMInfo string
}

// Format implements fmt.Formatter for every verb: no license key, user name or device is printed.
func (r OfflineRequest) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "offline request for a license of %s", r.Product)
}

// LogValue implements slog.LogValuer.
func (r OfflineRequest) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// MarshalJSON implements json.Marshaler with what Format prints; only the file holds the whole request.
func (r OfflineRequest) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(r)) }

// OfflineSignature returns the signature of schema v1, 44 characters of Base64. identity is the license key or user
// name, account the API key or client id, and key the matching shared key or client secret, used as its own bytes. The
// signature covers neither the product nor the kind of the request.
//
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-offline-method
func OfflineSignature(key, date, identity, hardwareID, account string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("licenseSpring\ndate: " + date + "\n" + identity + "\n" + hardwareID + "\n" + account))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// OfflineSignatureV2 returns the signature of schema v2 over the text of the inner object, byte for byte as in the
// file.
//
// Source: https://docs.licensespring.com/license-entitlements/license-activation-types/offline-request-schema
func OfflineSignatureV2(key string, inner []byte, encoding OfflineEncoding) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(inner)
	if encoding == OfflineBase64 {
		return base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// OfflineSigner makes and checks request files with one account's keys. It is safe for concurrent use, prints no key,
// and cannot be built empty: use [NewOfflineSigner] or [NewOfflineClientSigner].
type OfflineSigner struct {
	account func() (id, key string) // a func, so that fmt and reflection see only an address
	client  bool                    // id is an OAuth client's
}

// NewOfflineSigner signs with an API key's shared key. It refuses what [NewSigner] refuses.
func NewOfflineSigner(apiKey, sharedKey string) (*OfflineSigner, error) {
	if err := errors.Join(checkSecret("api key", apiKey), checkSecret("shared key", sharedKey)); err != nil {
		return nil, err
	}
	return &OfflineSigner{account: func() (id, key string) { return apiKey, sharedKey }}, nil
}

// NewOfflineClientSigner signs with an OAuth client's secret. The same rules as for [NewOfflineSigner] apply.
func NewOfflineClientSigner(clientID, clientSecret string) (*OfflineSigner, error) {
	if err := errors.Join(checkSecret("client id", clientID), checkSecret("client secret", clientSecret)); err != nil {
		return nil, err
	}
	return &OfflineSigner{account: func() (id, key string) { return clientID, clientSecret }, client: true}, nil
}

// Format implements fmt.Formatter: "[offline signer]", with every verb.
func (s *OfflineSigner) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[offline signer]") }

// LogValue implements slog.LogValuer.
func (s *OfflineSigner) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// offlineObject is the signed object, its fields in the order of the published text.
type offlineObject struct {
	SchemaVersion int         `json:"schema_version,omitempty"` // only in schema v2
	APIKey        string      `json:"api_key,omitempty"`
	AppVer        string      `json:"app_ver,omitempty"`
	BundleCode    string      `json:"bundle_code,omitempty"`
	ClientID      string      `json:"client_id,omitempty"`
	Date          string      `json:"date"`
	HardwareID    string      `json:"hardware_id"`
	Hostname      string      `json:"hostname,omitempty"`
	IP            string      `json:"ip,omitempty"`
	IPLocal       string      `json:"ip_local,omitempty"`
	IsVM          *bool       `json:"is_vm,omitempty"`
	LicenseID     json.Number `json:"license_id,omitempty"`
	LicenseKey    string      `json:"license_key,omitempty"`
	MACAddress    string      `json:"mac_address,omitempty"`
	OSHostname    string      `json:"os_hostname,omitempty"`
	OSVer         string      `json:"os_ver,omitempty"`
	Product       string      `json:"product"`
	Request       string      `json:"request"`
	RequestID     string      `json:"request_id"`
	SDKLang       string      `json:"sdk_lang,omitempty"`
	SDKVer        string      `json:"sdk_ver,omitempty"`
	Signature     string      `json:"signature"`
	Username      string      `json:"username,omitempty"`
	VMInfo        string      `json:"vm_info,omitempty"`
}

// FileV1 returns the text of a request file of schema v1, without a newline at its end. The error names the field that
// cannot be written, never its value.
func (s *OfflineSigner) FileV1(r OfflineRequest) (string, error) {
	object, err := s.object(r, 0)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(object), nil
}

// FileV2 is FileV1 for schema v2, which the License API requires where the vendor has set "Minimum Offline Request
// Schema Version" to 2.
func (s *OfflineSigner) FileV2(r OfflineRequest, encoding OfflineEncoding) (string, error) {
	object, err := s.object(r, 2)
	if err != nil {
		return "", err
	}
	_, key := s.account()
	// The parts are concatenated: encoding/json would rewrite the signed text.
	file := `{"request":` + string(object) + `,"signature":"` + OfflineSignatureV2(key, object, encoding) + `"}`
	return base64.StdEncoding.EncodeToString([]byte(file)), nil
}

// object returns the signed object as compact JSON.
func (s *OfflineSigner) object(r OfflineRequest, schema int) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	id, key := s.account()
	o := offlineObject{
		SchemaVersion: schema, Request: OfflineDeactivation, RequestID: r.RequestID, Date: r.Date, Product: r.Product,
		HardwareID: r.HardwareID, LicenseKey: r.LicenseKey, Username: r.Username, LicenseID: r.LicenseID, BundleCode: r.BundleCode,
		IsVM: r.IsVM, AppVer: r.AppVer, Hostname: r.Hostname, IP: r.IP, IPLocal: r.IPLocal, MACAddress: r.MACAddress,
		OSHostname: r.OSHostname, OSVer: r.OSVer, SDKLang: r.SDKLang, SDKVer: r.SDKVer, VMInfo: r.VMInfo,
		Signature: OfflineSignature(key, r.Date, r.LicenseKey+r.Username, r.HardwareID, id), // one of the two is empty
	}
	if s.client {
		o.ClientID = id
	} else {
		o.APIKey = id
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the documented text has no HTML escapes
	if err := enc.Encode(o); err != nil {
		return nil, errors.New("signing: offline request: license_id is no number")
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// check refuses what the server would refuse, and what would sign another license than the given one: line breaks
// separate the parts of the signed text.
func (r OfflineRequest) check() error {
	bad := func(name, why string) error { return fmt.Errorf("signing: offline request: %s: %s", name, why) }
	for _, f := range []struct{ name, value string }{
		{"request_id", r.RequestID}, {"date", r.Date}, {"product", r.Product}, {"hardware_id", r.HardwareID},
	} {
		if strings.TrimSpace(f.value) == "" {
			return bad(f.name, "is missing")
		}
	}
	if _, err := time.Parse(imfFixdate, r.Date); err != nil {
		return bad("date", "is not a date such as Fri, 29 Aug 2025 07:22:37 GMT")
	}
	switch {
	case strings.TrimSpace(r.LicenseKey+r.Username) == "":
		return bad("license_key", "is missing (or username)")
	case r.LicenseKey != "" && r.Username != "":
		return bad("username", "names a second license beside license_key; give exactly one of them")
	case strings.Trim(r.LicenseID.String(), "0123456789") != "":
		return bad("license_id", "must be a whole number")
	}
	for _, f := range []struct{ name, value string }{
		{"request_id", r.RequestID}, {"product", r.Product}, {"hardware_id", r.HardwareID}, {"license_key", r.LicenseKey},
		{"username", r.Username}, {"bundle_code", r.BundleCode}, {"app_ver", r.AppVer}, {"hostname", r.Hostname}, {"ip", r.IP},
		{"ip_local", r.IPLocal}, {"mac_address", r.MACAddress}, {"os_hostname", r.OSHostname}, {"os_ver", r.OSVer},
		{"sdk_lang", r.SDKLang}, {"sdk_ver", r.SDKVer}, {"vm_info", r.VMInfo},
	} {
		switch {
		case !utf8.ValidString(f.value):
			return bad(f.name, "is not UTF-8")
		case strings.ContainsFunc(f.value, unicode.IsControl):
			return bad(f.name, "holds a control character")
		}
	}
	return nil
}
