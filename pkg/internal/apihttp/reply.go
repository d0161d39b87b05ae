package apihttp

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxReplyBytes bounds the body of a reply of one line, in bytes: a proxy's error page has some KiB.
	MaxReplyBytes = 64 << 10

	// MaxRetryAfter bounds Retry-After. No honest server asks for more than a day, and a number of seconds that
	// overflows a Duration must not become negative.
	MaxRetryAfter = 24 * time.Hour

	// maxRequestIDRunes bounds a request id, in characters; AWS's trace ids have 74.
	maxRequestIDRunes = 128
)

// ErrReplyTooLong means that a body is longer than the limit, or has no end.
var ErrReplyTooLong = errors.New("apihttp: the reply is too long")

// ReadReply reads the body to its end, so that the connection can be used again, up to limit bytes. The error is
// ErrReplyTooLong, or the network's when the body is cut off; reply is what was read before.
func ReadReply(resp *http.Response, limit int) (reply []byte, err error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, ErrReplyTooLong // its body is the connection itself and has no end
	}
	reply, err = io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err == nil && len(reply) > limit {
		err = ErrReplyTooLong
	}
	return reply, err
}

// MediaType is the reply's media type without parameters; "" if there is none that can be read.
func MediaType(resp *http.Response) string {
	name, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return name
}

// RequestID is the server's id of the call, from the headers that servers and AWS's front ends use; "" if there is none
// that can be kept.
func RequestID(h http.Header, s *Scrubber) string {
	for _, name := range []string{"X-Request-Id", "X-Amzn-Requestid", "Apigw-Requestid", "X-Amzn-Trace-Id"} {
		if id := s.Keep(h.Get(name), maxRequestIDRunes); id != "" {
			return id
		}
	}
	return ""
}

// RetryAfter is the wait that a Retry-After header asks for, in seconds or as an HTTP date: 0 to MaxRetryAfter. A value
// that cannot be read counts as absent, which is 0.
//
// Source: https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	wait := MaxRetryAfter
	if strings.Trim(value, "0123456789") == "" {
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds < int64(MaxRetryAfter/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
		return wait // too many digits for an int64: the longest wait
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), wait)
}
