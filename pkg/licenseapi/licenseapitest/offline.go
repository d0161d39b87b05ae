package licenseapitest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

// formFile is the mandatory part of a request file that is posted as a form.
const formFile = "file"

// offlineFile holds the values by which a request file is checked.
type offlineFile struct {
	inner     []byte // the request's JSON, byte for byte; nil in schema v1
	signature string // the outer signature, in schema v2
	signed    offlineFields
}

// offlineFields are the fields of a request that deactivate_license does not have.
type offlineFields struct {
	APIKey    string `json:"api_key"`
	ClientID  string `json:"client_id"`
	Date      string `json:"date"`
	Signature string `json:"signature"` // of schema v1
}

// BundleList makes deactivate_bundle_offline answer with a list of the products that it freed. The page of that
// endpoint promises a list in one place and "license_deactivated" in another; without this option the answer is the
// latter.
func BundleList() Option { return func(s *Server) { s.bundleList = true } }

// parseOffline reads the body of deactivate_offline: the text of a request file, or a form with it. code is "" or the
// problem.
//
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-offline-method
func parseOffline(contentType string, body []byte) (req request, code string) {
	text, ok := fileIn(contentType, body)
	switch {
	case !ok || len(body) == 0:
		return request{}, "missing_parameters"
	case text == "":
		return request{}, "missing_content"
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return request{}, "authorization_missing_params"
	}
	var outer struct {
		Request   json.RawMessage `json:"request"`
		Signature string          `json:"signature"`
	}
	var empty map[string]json.RawMessage
	if json.Unmarshal(content, &empty) != nil {
		return request{}, "authorization_missing_params"
	}
	if len(empty) == 0 {
		return request{}, "missing_content"
	}
	file := &offlineFile{}
	if json.Unmarshal(content, &outer) == nil && bytes.HasPrefix(outer.Request, []byte("{")) {
		file.inner, file.signature = outer.Request, outer.Signature
		content = outer.Request
	}
	if json.Unmarshal(content, &req) != nil || json.Unmarshal(content, &file.signed) != nil {
		return request{}, "validation_error"
	}
	req.file = file
	return req, ""
}

// fileIn returns the request file's text. ok is false for a form without one.
func fileIn(contentType string, body []byte) (text string, ok bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return string(bytes.TrimSpace(body)), true
	}
	parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return "", false
		}
		if part.FormName() != formFile {
			continue
		}
		content, err := io.ReadAll(part)
		return string(bytes.TrimSpace(content)), err == nil
	}
}

// checkOffline is check for a request file. A file names its license by license_key or username; it is unknown whether
// the real API accepts one without a product.
func (req request) checkOffline() (code string) {
	switch {
	case text(req.LicenseKey) == "" && text(req.Username) == "", text(req.HardwareID) == "":
		return "authorization_missing_params"
	case req.file.signed.APIKey == "" && req.file.signed.ClientID == "":
		return "authorization_missing_params"
	case text(req.Product) == "":
		return "missing_parameters"
	}
	return ""
}

// checkFile checks a file's signatures and returns "" or the code. It does not check the age of the date: files travel
// for days, and no documentation says that the real API checks it. s.mu is held.
//
// A file of schema v1 has one signature. In schema v2 the outer one counts, in the documented form and in those of the
// vendor's SDKs: Base64, in the Python SDK keyed with the client's id. The inner one may then be absent, as in the Node
// SDK, or belong to the next second, since the Python SDK reads the clock twice.
func (s *Server) checkFile(req request) (code string) {
	f := req.file
	account, key, code := s.offlineKey(f.signed)
	if code != "" {
		return code
	}
	inner := s.signedV1(req, account, key)
	if f.inner == nil {
		if !inner {
			return "signature_mismatch"
		}
		return ""
	}
	if f.signed.Signature != "" && !inner {
		return "signature_mismatch"
	}
	for _, key := range []string{key, f.signed.ClientID} {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(f.inner)
		sum := mac.Sum(nil)
		if key != "" && (f.signature == hex.EncodeToString(sum) || f.signature == base64.StdEncoding.EncodeToString(sum)) {
			return ""
		}
	}
	return "signature_mismatch"
}

// offlineKey returns the account that a file names and its key.
func (s *Server) offlineKey(f offlineFields) (account, key, code string) {
	if f.APIKey == "" {
		secret, known := s.clients[f.ClientID]
		if !known {
			return "", "", "invalid_api_key" // no code is documented for an unknown client id
		}
		return f.ClientID, secret, ""
	}
	shared, known := s.keys[f.APIKey]
	switch {
	case !known:
		return "", "", "invalid_api_key"
	case shared == "":
		return "", "", "revoked_api_key"
	}
	return f.APIKey, shared, ""
}

func (s *Server) signedV1(req request, account, key string) bool {
	identity := text(req.LicenseKey)
	if identity == "" {
		identity = text(req.Username)
	}
	dates := []string{req.file.signed.Date}
	if at, err := time.Parse(http.TimeFormat, dates[0]); err == nil && req.file.inner != nil {
		dates = append(dates, at.Add(time.Second).UTC().Format(http.TimeFormat))
	}
	for _, date := range dates {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(strings.Join([]string{"licenseSpring", "date: " + date, identity, text(req.HardwareID), account}, "\n")))
		if req.file.signed.Signature == base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			return true
		}
	}
	return false
}
