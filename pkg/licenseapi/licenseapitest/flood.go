package licenseapitest

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The flood limits that the API has on every plan. Whether its 429 carries Retry-After is not documented; ours does.
//
// Source: https://docs.licensespring.com/license-api/rate-limiting
const (
	floodPerAddress   = 200
	addressWindow     = 10 * time.Second
	floodPerSignature = 50
	signatureWindow   = time.Second
)

// flood remembers the calls of the last seconds.
type flood struct {
	addresses, signatures map[string][]time.Time
}

func newFlood() *flood {
	return &flood{addresses: map[string][]time.Time{}, signatures: map[string][]time.Time{}}
}

// refuse counts a call in, or returns the 429 that it gets. Refused calls do not count.
func (f *flood) refuse(r *http.Request, now time.Time) *reply {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	signature := r.Header.Get("Authorization")
	forget(f.addresses, now.Add(-addressWindow))
	forget(f.signatures, now.Add(-signatureWindow))
	if len(f.addresses[address]) >= floodPerAddress {
		return tooMany(addressWindow)
	}
	if len(f.signatures[signature]) >= floodPerSignature {
		return tooMany(signatureWindow)
	}
	f.addresses[address] = append(f.addresses[address], now)
	f.signatures[signature] = append(f.signatures[signature], now)
	return nil
}

// forget drops what is older than the window, so that the maps hold only the calls within it.
func forget(calls map[string][]time.Time, before time.Time) {
	for name, times := range calls {
		kept := slices.DeleteFunc(times, func(t time.Time) bool { return !t.After(before) })
		if len(kept) == 0 {
			delete(calls, name)
			continue
		}
		calls[name] = kept
	}
}

func tooMany(window time.Duration) *reply {
	return &reply{
		status: http.StatusTooManyRequests, name: nameOf(http.StatusTooManyRequests, ""), kind: plainText,
		retryAfter: strconv.Itoa(int(window / time.Second)),
	}
}
