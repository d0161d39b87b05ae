package deactivation

import (
	"fmt"
	"slices"
	"strings"
)

// Actions with a request file. The file names the license, the device and the account, and is signed. A request with
// one of these actions holds the file and no license fields, since the two could name different licenses.
const (
	ActionDeactivateOffline       = "deactivate_offline"        // the license and device that the file names
	ActionDeactivateBundleOffline = "deactivate_bundle_offline" // every license of the bundle that the file names
)

// MaxRequestFileBytes bounds the text of a request file, in bytes. Real ones have one to two kilobytes; a message of
// this size is far below the queue's 1 MiB. pkg/signing has the same limit.
const MaxRequestFileBytes = 64 << 10

// IsOffline reports whether the action is one with a request file.
func (r Request) IsOffline() bool {
	return r.Action == ActionDeactivateOffline || r.Action == ActionDeactivateBundleOffline
}

// CheckSendable is License.CheckSendable. A request file needs no license fields.
func (r Request) CheckSendable() error {
	if r.IsOffline() {
		return nil
	}
	return r.License.CheckSendable()
}

// validateFile is Validate for the request file. The file must be present with an offline action and absent with every
// other, and no other field may name or describe a license. Readers and senders of the file check its content.
func (r Request) validateFile() error {
	const field = "request_file"
	switch {
	case !r.IsOffline() && r.RequestFile != "":
		return &FieldError{CodeInvalidField, field, "goes with the action " + ActionDeactivateOffline + " or " + ActionDeactivateBundleOffline}
	case !r.IsOffline():
		return nil
	case strings.TrimSpace(r.RequestFile) == "":
		return &FieldError{CodeMissingField, field, "is missing (the content of a .req file)"}
	case len(r.RequestFile) > MaxRequestFileBytes:
		return &FieldError{CodeInvalidField, field, fmt.Sprintf("is longer than %d bytes", MaxRequestFileBytes)}
	case strings.ContainsFunc(r.RequestFile, notInBase64):
		return &FieldError{CodeInvalidField, field, "is not Base64; give the content of the .req file as it is"}
	}
	texts, longTexts := r.texts(), r.longTexts()
	for _, f := range slices.Concat(texts[:], longTexts[:]) {
		if f.value != "" {
			return &FieldError{CodeConflictingIdentity, f.name, "must be left out: " + field + " names the license and the device"}
		}
	}
	switch {
	case r.IsVM != nil:
		return &FieldError{CodeConflictingIdentity, "is_vm", "must be left out: " + field + " names the license and the device"}
	case !r.Lookup.IsZero(), r.Scope != "", len(r.Products) > 0:
		return &FieldError{CodeInvalidField, "lookup", "does not go with " + field + ": nothing is looked up"}
	case r.Disable:
		return &FieldError{CodeInvalidField, "disable", "does not go with " + field}
	}
	return nil
}

// notInBase64 reports whether a character is in neither alphabet of Base64; line breaks may be inside.
func notInBase64(r rune) bool {
	switch {
	case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("+/-_=\r\n", r)
}
