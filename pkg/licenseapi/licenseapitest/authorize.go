package licenseapitest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// dateTolerance is how far the Date header may be from the server's clock. It is documented for the past; the same for
// the future is an assumption, and the strict one.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/api-key-authorization
const dateTolerance = 15 * time.Minute

// authorize checks both headers and returns "" or the code. The signing string is two lines, licenseSpring and the
// date, signed with the shared key's own bytes. It is written out here, so that the client's code does not verify
// itself. s.mu is held.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/request-signature
func (s *Server) authorize(h http.Header) (code string) {
	date := h.Get("Date")
	authorization := h.Get("Authorization")
	if date == "" || authorization == "" {
		return "missing_headers"
	}
	if token, ok := strings.CutPrefix(authorization, "Bearer "); ok {
		return s.authorizeToken(token, date)
	}
	params, ok := parseAuthorization(authorization)
	if !ok {
		return "authorization_invalid_headers"
	}
	apiKey := params["apikey"] + params["apiKey"] // clients write one or the other
	shared, known := s.keys[apiKey]
	switch {
	case params["algorithm"] == "" || params["headers"] == "" || params["signature"] == "" || apiKey == "":
		return "authorization_missing_params"
	case params["algorithm"] != "hmac-sha256":
		return "hmac_required"
	case params["headers"] != "date":
		return "authorization_invalid_headers"
	case !known:
		return "invalid_api_key"
	case shared == "":
		return "revoked_api_key"
	case !fresh(date, s.now()):
		return "date_header_diff"
	}
	mac := hmac.New(sha256.New, []byte(shared))
	mac.Write([]byte("licenseSpring\ndate: " + date))
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !hmac.Equal([]byte(params["signature"]), []byte(want)) {
		return "signature_mismatch"
	}
	return ""
}

// fresh reports whether date is an IMF-fixdate in GMT within the tolerance.
func fresh(date string, now time.Time) bool {
	at, err := time.Parse(http.TimeFormat, date)
	return err == nil && at.Format(http.TimeFormat) == date && now.Sub(at).Abs() <= dateTolerance
}

// parameter is one part of the header with the comma after it; samples and SDKs differ in the space that follows.
var parameter = regexp.MustCompile(`^([A-Za-z]+)="([^"]*)"(?:, ?|$)`)

// parseAuthorization reads name="value" parts. ok is false for anything else, and for a name that is there twice.
func parseAuthorization(header string) (params map[string]string, ok bool) {
	params = map[string]string{}
	for header != "" {
		m := parameter.FindStringSubmatch(header)
		if m == nil {
			return nil, false
		}
		if _, twice := params[m[1]]; twice {
			return nil, false
		}
		params[m[1]] = m[2]
		header = header[len(m[0]):]
	}
	return params, true
}
