package signing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// imfFixdate is RFC 9110's date: net/http.TimeFormat, without importing net/http. (time.RFC1123 would print UTC.)
const imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"

// Signer makes the Authorization header of the License API from a company's API key and shared key. It is safe for
// concurrent use, prints neither key, and cannot be built empty: use [NewSigner].
type Signer struct {
	header func(date string) string // a func, so that fmt and reflection see only an address
	last   atomic.Pointer[authorization]
}

type authorization struct{ date, header string }

// NewSigner refuses an API key or shared key that is empty, has white space at its ends, holds a control character (a
// stored newline changes every signature) or is longer than 1 KiB, and an API key that cannot be quoted in the header. It
// reports both problems at once; the error names the key, never its text.
func NewSigner(apiKey, sharedKey string) (*Signer, error) {
	err := errors.Join(checkSecret("api key", apiKey), checkSecret("shared key", sharedKey))
	if strings.ContainsAny(apiKey, `"\`) {
		err = errors.Join(err, errors.New(`signing: api key: holds a quotation mark or a backslash`))
	}
	if err != nil {
		return nil, err
	}
	return &Signer{header: func(date string) string {
		return `algorithm="hmac-sha256",headers="date",signature="` + OnlineSignature(sharedKey, date) +
			`",apikey="` + apiKey + `"`
	}}, nil
}

// Authorize returns the Authorization header for the Date header date, which must be sent with exactly the same text.
// Only the date is signed, so the header is valid for every request of that second: the last header is cached, and a
// second call for the same date allocates nothing. It is valid for 15 minutes at any endpoint: never log it.
//
// Only a comma separates the parts, as in the vendor's SDKs.
func (s *Signer) Authorize(date string) string {
	if last := s.last.Load(); last != nil && last.date == date {
		return last.header
	}
	header := s.header(date)
	s.last.Store(&authorization{date: date, header: header})
	return header
}

// Date returns now as the text of a Date header: IMF-fixdate in GMT, "Tue, 07 Jun 2011 20:51:35 GMT".
func Date(now time.Time) string {
	return now.UTC().Format(imfFixdate)
}

// OnlineSignature returns the License API's signature of the text of a Date header, 44 characters of base64. The key is
// the bytes of its text; it is never decoded.
//
// Source: https://docs.licensespring.com/license-api/license-api-authorization/request-signature
func OnlineSignature(sharedKey, date string) string {
	mac := hmac.New(sha256.New, []byte(sharedKey))
	mac.Write([]byte("licenseSpring\ndate: " + date))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// checkSecret refuses what no secret contains and a careless copy adds. The error holds name, never text.
func checkSecret(name, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("signing: %s: empty", name)
	case len(text) > maxKeyBytes:
		return fmt.Errorf("signing: %s: longer than %d bytes", name, maxKeyBytes)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("signing: %s: white space at its ends", name)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("signing: %s: a control character in it", name)
	}
	return nil
}
