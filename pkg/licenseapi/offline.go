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

// RequestFile is an offline request: the content of a .req file that an application wrote when it released its license,
// or that [signing.OfflineSigner] made. With fmt, log/slog and encoding/json it prints no part of the content.
type RequestFile struct {
	// Content is the file's text: Base64 of a JSON object. It is posted unchanged, without white space at its ends: it
	// is never signed or encoded again, and only the API verifies it.
	Content string

	// Multipart posts it as the part "file" of multipart/form-data, as the API's portal does. False posts the text
	// itself as text/plain, as the vendor's SDKs do.
	Multipart bool
}

// DeactivateOffline frees the slot of the license and device that a request file names, in one attempt. The request is
// dated and signed like every other; the file keeps its own signature. The offline device gets no message and works
// until its license file ends.
//
// A file that is not Base64 of a JSON object is refused with [ErrMissingField] or [ErrInvalidField] and the reason, and
// is not sent. Everything else is the same as for [Client.Deactivate].
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

// OfflineCodes returns the codes that mean something else as the answer to a request file than in Codes. A file has its
// own signature, API key and date, and no answer shows whether the file's or the header's was refused.
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

// saysBundleDeactivated accepts both bodies of the page, which contradicts itself: the word, and a list of the
// deactivated licenses. An empty list confirms nothing.
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
