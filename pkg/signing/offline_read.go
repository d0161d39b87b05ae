package signing

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxRequestFileBytes bounds the text of a request file, in bytes. Real ones have one to two kilobytes. The vendor's
// SDKs add device variables and product features, which the customer chooses.
const MaxRequestFileBytes = 64 << 10

// ErrRequestFile is wrapped by every error of [ReadRequestFile].
var ErrRequestFile = errors.New("signing: not a request file")

// RequestFile is a request file as far as it could be read. The values are not checked: a missing field, or one that is
// not a text, is "". Only its product is printed.
type RequestFile struct {
	// Text is the file's text without white space at its ends, as it is sent.
	Text string

	// Schema is 2 where the file is an object with a signature around the request, else 1.
	Schema int

	// Fields of the request.
	Request, RequestID, Date, Product, HardwareID, LicenseKey, Username, BundleCode, APIKey, ClientID, SDKVer string

	LicenseID json.Number // "" where it is missing or not a number

	// Names are the names of all fields of the request, sorted.
	Names []string

	inner              []byte   // the request's JSON, byte for byte
	signature, wrapper string   // of schema v1, inside the request; of schema v2, around it
	texts              []string // every text in the request, without the fields that publicField names
}

// ReadRequestFile reads the text of a request file: Base64 of a JSON object, of schema v1 or v2, from any writer. White
// space and a byte order mark at its ends are removed. Every error wraps [ErrRequestFile] and says what is wrong
// without a value.
func ReadRequestFile(text string) (*RequestFile, error) {
	bad := func(format string, args ...any) (*RequestFile, error) {
		return nil, fmt.Errorf("%w: %s", ErrRequestFile, fmt.Sprintf(format, args...))
	}
	text = trimFile(text)
	switch {
	case text == "":
		return bad("it is empty")
	case len(text) > MaxRequestFileBytes:
		return bad("it is longer than %d bytes", MaxRequestFileBytes)
	case text[0] == '{':
		return bad("it is JSON that is not in Base64")
	}
	content, err := decodeBase64(text)
	if err != nil {
		return bad("it is not Base64 (%v)", err)
	}
	outer, err := fieldsOf(content)
	if err != nil {
		if inside, err := decodeBase64(trimFile(string(content))); err == nil && json.Valid(inside) {
			return bad("it is Base64 of Base64; give the file's content as it is")
		}
		return bad("it is Base64, but not of a JSON object (%v)", err)
	}
	f := &RequestFile{Text: text, Schema: 1, inner: content}
	fields := outer
	if inner := outer["request"]; len(inner) > 0 && inner[0] == '{' {
		f.Schema, f.inner = 2, inner
		if fields, err = fieldsOf(inner); err != nil {
			return bad("its request is not a JSON object (%v)", err)
		}
		f.wrapper = textOf(outer["signature"])
	}
	f.read(fields)
	return f, nil
}

func (f *RequestFile) read(fields map[string]json.RawMessage) {
	for name, value := range map[string]*string{
		"request": &f.Request, "request_id": &f.RequestID, "date": &f.Date, "product": &f.Product, "hardware_id": &f.HardwareID,
		"license_key": &f.LicenseKey, "username": &f.Username, "bundle_code": &f.BundleCode, "api_key": &f.APIKey,
		"client_id": &f.ClientID, "sdk_ver": &f.SDKVer, "signature": &f.signature,
	} {
		*value = textOf(fields[name])
	}
	if json.Unmarshal(fields["license_id"], &f.LicenseID) != nil {
		f.LicenseID = ""
	}
	f.Names = slices.Sorted(maps.Keys(fields))
	for _, name := range f.Names {
		if !publicField(name) {
			f.texts = append(f.texts, textsIn(fields[name])...)
		}
	}
}

// Secrets lists every text of the file that names a customer, a license, a device or an account, and the file's own
// text. None of them may appear in an error or a log.
func (f RequestFile) Secrets() []string {
	return append([]string{f.Text, f.wrapper, f.LicenseID.String()}, f.texts...)
}

// publicField reports whether a field's value comes from the vendor or says nothing about a customer.
func publicField(name string) bool {
	switch name {
	case "request", "product", "bundle_code", "schema_version", "sdk_ver", "sdk_lang", "app_ver", "app_name", "os_ver", "date":
		return true
	}
	return false
}

// Format implements fmt.Formatter for every verb: no license key, device or signature is printed.
func (f RequestFile) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "request file of schema v%d for a license of %s", f.Schema, f.Product)
}

// LogValue implements slog.LogValuer.
func (f RequestFile) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(f)) }

// MarshalJSON implements json.Marshaler with what Format prints: slog's JSON handler marshals the fields of a struct.
func (f RequestFile) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(f)) }

// OfflineMatch is the result of checking one signature of a request file.
type OfflineMatch int

// Results of Check for one signature.
const (
	OfflineAbsent      OfflineMatch = iota // there is no signature
	OfflineMismatch                        // another key made it, or the signed text was changed
	OfflineMatches                         // it is valid, in the documented form
	OfflineSecondLater                     // schema v1: valid for the second after the file's date
	OfflineMatchesText                     // schema v2: valid, in Base64 in place of hexadecimal
	OfflineMatchesID                       // schema v2: valid, in Base64 and keyed with the client's id
)

// String describes the result for a person.
func (m OfflineMatch) String() string {
	switch m {
	case OfflineAbsent:
		return "absent"
	case OfflineMatches:
		return "matches, in the documented form"
	case OfflineSecondLater:
		return "matches the second after its date: the vendor's Python SDK reads the clock twice"
	case OfflineMatchesText:
		return "matches, in Base64 as the vendor's SDKs write it; the documentation says hexadecimal"
	case OfflineMatchesID:
		return "matches, keyed with the client id as the vendor's Python SDK does; the documentation says client secret"
	}
	return "does not match: made with another key, or the file was changed"
}

// OK reports whether the signature is valid in one of the known forms.
func (m OfflineMatch) OK() bool { return m > OfflineMismatch }

// OfflineVerdict is the result of Check.
type OfflineVerdict struct {
	// Account reports whether the file names the signer's own API key or client id.
	Account bool
	// V1 is the signature inside the request, V2 the one around it (absent in a file of schema v1).
	V1, V2 OfflineMatch

	schema int
}

// OK reports whether the file belongs to this account and every signature that it has and needs is valid. A file of
// schema v2 may lack the inner one: the vendor's Node SDK writes none.
func (v OfflineVerdict) OK() bool {
	switch {
	case !v.Account || v.V1 == OfflineMismatch:
		return false
	case v.schema == 2:
		return v.V2.OK()
	}
	return v.V1.OK()
}

// Check compares a file's signatures with those that the signer's key makes, in the documented form and in those of the
// vendor's SDKs. A valid result does not mean that the server accepts the file.
func (s *OfflineSigner) Check(f *RequestFile) OfflineVerdict {
	id, key := s.account()
	named := f.APIKey
	if s.client {
		named = f.ClientID
	}
	v := OfflineVerdict{Account: named == id, schema: f.Schema}
	if f.signature != "" {
		v.V1 = s.checkV1(f, id, key)
	}
	if f.wrapper != "" {
		v.V2 = s.checkV2(f, id, key)
	}
	return v
}

func (*OfflineSigner) checkV1(f *RequestFile, id, key string) OfflineMatch {
	identity := f.LicenseKey
	if identity == "" {
		identity = f.Username
	}
	if same(f.signature, OfflineSignature(key, f.Date, identity, f.HardwareID, id)) {
		return OfflineMatches
	}
	at, err := time.Parse(imfFixdate, f.Date)
	if err == nil && same(f.signature, OfflineSignature(key, Date(at.Add(time.Second)), identity, f.HardwareID, id)) {
		return OfflineSecondLater
	}
	return OfflineMismatch
}

// checkV2 checks the request's text as it stands in the file, and without white space: a writer may have signed it
// before formatting the file.
func (s *OfflineSigner) checkV2(f *RequestFile, id, key string) OfflineMatch {
	var compact bytes.Buffer
	_ = json.Compact(&compact, f.inner) // it was read as JSON
	for _, text := range [][]byte{f.inner, compact.Bytes()} {
		switch {
		case same(f.wrapper, OfflineSignatureV2(key, text, OfflineHex)):
			return OfflineMatches
		case same(f.wrapper, OfflineSignatureV2(key, text, OfflineBase64)):
			return OfflineMatchesText
		case s.client && same(f.wrapper, OfflineSignatureV2(id, text, OfflineBase64)):
			return OfflineMatchesID
		}
	}
	return OfflineMismatch
}

func same(got, want string) bool { return hmac.Equal([]byte(got), []byte(want)) }

// byteOrderMark is at the start of a text that some editors saved.
const byteOrderMark = "\uFEFF"

func trimFile(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), byteOrderMark))
}

// decodeBase64 reads both alphabets, with or without padding; line breaks inside are ignored. Its errors give only the
// position.
func decodeBase64(text string) ([]byte, error) {
	encoding := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.URLEncoding
	}
	if !strings.HasSuffix(text, "=") {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	content, err := encoding.DecodeString(text)
	if corrupt, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return nil, fmt.Errorf("at byte %d of %d", int64(corrupt)+1, len(text))
	}
	return content, err
}

// fieldsOf reads a JSON object by its exact names. Its errors give only the position: encoding/json quotes values.
func fieldsOf(text []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(text, &fields)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("at byte %d", syntax.Offset)
	}
	if err != nil || fields == nil {
		return nil, errors.New("it is another JSON value")
	}
	return fields, nil
}

// textOf returns a JSON text, or "" for any other value.
func textOf(value json.RawMessage) (text string) {
	if json.Unmarshal(value, &text) != nil {
		return ""
	}
	return text
}

// textsIn lists the texts inside a value, and the names of its objects' fields.
func textsIn(value json.RawMessage) []string {
	var texts []string
	tokens := json.NewDecoder(bytes.NewReader(value))
	for {
		token, err := tokens.Token()
		if err != nil {
			return texts
		}
		if text, ok := token.(string); ok {
			texts = append(texts, text)
		}
	}
}
