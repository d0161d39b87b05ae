package certificate

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// errNotPublic: the name resolved to an address within a network of ours.
var errNotPublic = errors.New("the address is not a public one")

// publicTransport connects to public addresses alone and asks no proxy, so that no name service can lead it to a machine
// within the network that the function runs in.
func publicTransport() *http.Transport {
	dialer := &net.Dialer{
		Timeout: fetchTimeout,
		// Called with the resolved address, before the connection is made.
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !isPublic(to.Addr()) {
				return errNotPublic
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: fetchTimeout, ResponseHeaderTimeout: fetchTimeout,
		MaxResponseHeaderBytes: 16 << 10, DisableCompression: true, IdleConnTimeout: time.Second, ForceAttemptHTTP2: true,
	}
}

// isPublic reports whether an address is one of the internet's. RFC 6890 lists those that are not.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(a) { // the address behind a VPC's NAT64 is its last four bytes
		bytes := a.As16()
		a = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, reserved := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	} {
		if netip.MustParsePrefix(reserved).Contains(a) {
			return false
		}
	}
	return true
}
