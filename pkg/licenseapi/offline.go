package licenseapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/textproto"
	"strings"

	"license-deactivator/pkg/signing"
)

const (
	opDeactivateOffline       = "deactivate_offline"
	opDeactivateBundleOffline = "deactivate_bundle_offline"
)

// RequestFile is an offline request: the content of a .req file that an application wrote when it gave its license up, or
// that [signing.OfflineSigner] made. It prints nothing of the content in any way that fmt, log/slog and encoding/json
// know.
type RequestFile struct {
	// Content is the file's text: Base64 of a JSON object. It is posted as it is, without white space at its ends: never
	// signed again, never encoded again, and judged by the API alone.
	Content string

	// Multipart posts it as the part "file" of multipart/form-data, as the API's portal does. False posts the text
	// itself as text/plain, as the vendor's SDKs do.
	Multipart bool
}

// DeactivateOffline frees the slot of the license and device that a request file names, in one attempt. The request is
// dated and signed as every other; the file's own signature is whoever's wrote it. Nothing reaches the offline device,
// which works on until its license file ends.
//
// A file that is not Base64 of a JSON object is refused with [ErrMissingField] or [ErrInvalidField], with the reason, and
// is not sent. All else is as with [Client.Deactivate].
//
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-offline-method
func (c *Client) DeactivateOffline(ctx context.Context, file RequestFile) error {
	return c.deactivateOffline(ctx, opDeactivateOffline, saysDeactivated, file)
}

// DeactivateBundleOffline is DeactivateOffline for every license of a bundle: the file's product is the bundle's code.
//
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-bundle-offline-method
func (c *Client) DeactivateBundleOffline(ctx context.Context, file RequestFile) error {
	return c.deactivateOffline(ctx, opDeactivateBundleOffline, saysBundleDeactivated, file)
}

// OfflineCodes returns the codes that ask for something else as the answer to a request file than in Codes. A file has a
// signature, an API key and a date of its own, and nothing shows which of them, or of the header's, was refused.
//
// Source: https://docs.licensespring.com/license-api/license-activation-and-deactivation/deactivate-license-offline-method
func OfflineCodes() []Code {
	return []Code{
		{"authorization_missing_params", KindRejected, "the request file is not Base64, or lacks its license, device or API key"},

		{"signature_mismatch", KindFileRefused, "a signature is wrong, the file's or the header's"},
		{"invalid_api_key", KindFileRefused, "no such API key, in the file or in the header"},
		{"revoked_api_key", KindFileRefused, "the API key of the file or of the header was revoked"},
		{"date_header_diff", KindFileRefused, "the date of the file or of the header is too far from the server's"},
	}
}

// offlineKind returns the kind of a code that OfflineCodes has, as the answer to that operation.
func offlineKind(op, code string) (kind Kind, known bool) {
	if !isOffline(op) {
		return 0, false
	}
	for _, row := range OfflineCodes() {
		if row.Code == code {
			return row.Kind, true
		}
	}
	return 0, false
}

func isOffline(op string) bool { return op == opDeactivateOffline || op == opDeactivateBundleOffline }

// saysBundleDeactivated knows both bodies of the page, which contradicts itself: the word, and a list of the licenses
// that were deactivated. An empty list names none.
func saysBundleDeactivated(text string) bool {
	var list []json.RawMessage
	return saysDeactivated(text) || json.Unmarshal([]byte(text), &list) == nil && len(list) > 0
}

func (c *Client) deactivateOffline(ctx context.Context, op string, expected func(string) bool, file RequestFile) error {
	if strings.TrimSpace(file.Content) == "" {
		return fmt.Errorf("%w: request_file", ErrMissingField)
	}
	read, err := signing.ReadRequestFile(file.Content)
	if err != nil {
		return fmt.Errorf("%w: request_file: %w", ErrInvalidField, err)
	}
	posted := content{kind: "text/plain", body: []byte(read.Text), secrets: read.Secrets()}
	if file.Multipart {
		if posted.kind, posted.body, err = form(read.Text); err != nil {
			return fmt.Errorf("%w: request_file: it makes no form", ErrInvalidField)
		}
	}
	return c.post(ctx, op, expected, posted)
}

// form returns multipart/form-data with the text as its part "file".
func form(text string) (kind string, body []byte, err error) {
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="ls_deactivation.req"`}, // the documentation's name
		"Content-Type":        {"text/plain"},
	})
	if err == nil {
		_, err = part.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	return w.FormDataContentType(), out.Bytes(), err
}

const printedFile = "[request file]"

// Format implements fmt.Formatter for every verb.
func (RequestFile) Format(f fmt.State, _ rune) { fmt.Fprint(f, printedFile) }

// LogValue implements slog.LogValuer.
func (RequestFile) LogValue() slog.Value { return slog.StringValue(printedFile) }

// MarshalJSON implements json.Marshaler: slog's JSON handler calls it for a RequestFile inside another value.
func (RequestFile) MarshalJSON() ([]byte, error) { return json.Marshal(printedFile) }
