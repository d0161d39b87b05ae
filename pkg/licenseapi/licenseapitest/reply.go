package licenseapitest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// success is the body of a 200 and the name under which it is counted.
const success = "license_deactivated"

const (
	plainText = "text/plain; charset=utf-8"
	jsonText  = "application/json"
	htmlText  = "text/html; charset=utf-8"
)

// reply is one answer.
type reply struct {
	status int
	name   string // for Counts.Answers
	body   string
	kind   string // Content-Type; "": net/http guesses

	retryAfter string // Retry-After; "": none
}

// refuse returns the error answer of a code.
func refuse(code string) reply {
	status, message := http.StatusBadRequest, messageOf(code)
	switch code {
	case "not_found":
		status = http.StatusNotFound
	case "method_not_allowed":
		status = http.StatusMethodNotAllowed
	}
	return reply{status: status, name: code, body: ErrorBody(status, code, message), kind: jsonText}
}

// ErrorBody returns the body of an error as the API writes it.
//
// Source: https://docs.licensespring.com/license-api/error-responses
func ErrorBody(status int, code, message string) string {
	body, err := json.Marshal(struct {
		Status  int    `json:"status"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{status, code, message})
	if err != nil {
		return "" // two texts and a number are always JSON
	}
	return string(body)
}

// messageOf returns the documented text if there is one; no client may depend on it.
func messageOf(code string) string {
	switch code {
	case "unknown_product":
		return "Provided product was not found"
	case "license_not_found":
		return "License with the provided license user not found"
	case "license_not_active":
		return "The license is not active"
	case "license_not_enabled":
		return "The license is not enabled"
	case "device_not_found":
		return "An active device matching the hardware_id not found"
	case "missing_headers":
		return "Some headers are missing"
	}
	return "refused: " + code
}

// nameOf returns the code in a body, or http_<status>: the name under which an answer is counted.
func nameOf(status int, body string) string {
	var said struct{ Code string }
	if json.Unmarshal([]byte(body), &said) == nil && said.Code != "" {
		return said.Code
	}
	return "http_" + strconv.Itoa(status)
}
