package apihttp

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"1":                                time.Second,
		" 120 ":                            2 * time.Minute,
		"86399":                            86399 * time.Second,
		"86400":                            MaxRetryAfter,
		"99999999999999999999999999":       MaxRetryAfter,
		"9223372036854775807":              MaxRetryAfter,
		"-5":                               0,
		"1.5":                              0,
		"+3":                               0,
		"soon":                             0,
		"Fri, 02 Jan 2026 03:05:05 GMT":    time.Minute,
		"Friday, 02-Jan-26 03:05:05 GMT":   time.Minute,
		"Fri Jan  2 03:05:05 2026":         time.Minute,
		"Fri, 02 Jan 2026 03:04:05 GMT":    0,
		"Thu, 01 Jan 1970 00:00:00 GMT":    0,
		"Fri, 02 Jan 9999 03:04:05 GMT":    MaxRetryAfter,
		"Fri, 02 Jan 2026 03:05:05 +01:00": 0,
	} {
		if got := RetryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}
