package apihttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Time-outs. Each bounds one step that can hang. Their sum may exceed the time of a whole call, which CallTimeout
// bounds.
const (
	// CallTimeout bounds one attempt from the date to the end of the reply: LicenseSpring's C++ SDK uses the same.
	CallTimeout = 5 * time.Second

	// dialTimeout bounds the TCP handshake: after two lost SYNs (1 s, 2 s) the address does not answer.
	dialTimeout = 2 * time.Second

	// tlsTimeout bounds the TLS handshake, two round trips and some CPU: 100 ms in the smallest function.
	tlsTimeout = 2 * time.Second

	// headerTimeout bounds the wait for a reply to begin, so that one second of the call is left to read it.
	headerTimeout = 4 * time.Second

	// idleTimeout closes a connection before a load balancer does: AWS's closes after 60 s. net/http compares wall
	// time, so a connection from before a function was frozen is not used after the thaw.
	idleTimeout = 50 * time.Second

	// keepAlivePeriod is the time between TCP probes of an idle connection, well inside idleTimeout.
	keepAlivePeriod = 15 * time.Second

	// An HTTP/2 connection without a frame for pingAfter gets a ping, and is closed pingTimeout later. All calls share
	// it, so a dead one must be found within one CallTimeout.
	pingAfter   = 2 * time.Second
	pingTimeout = 2 * time.Second
)

// MaxHeaderBytes bounds the header of a reply, in bytes. Real ones have less than 1 KiB; net/http would read 10 MB.
const MaxHeaderBytes = 32 << 10

// NewTransport returns the transport of a client, for so many calls in flight (at least 1). net/http keeps two idle
// connections for a host by default: of ten calls in flight eight would need a handshake. dial opens the connections,
// as http.Transport's DialContext does; nil means TCP, with two seconds for the handshake.
func NewTransport(inFlight int, dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // a TLSClientConfig and a DialContext of our own switch it off otherwise
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlivePeriod}).DialContext
	}
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment, // a function in a VPC may reach the API only by a proxy
		DialContext: dial,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(inFlight), // a new connection resumes an old TLS session
		},
		Protocols:           &protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		TLSHandshakeTimeout: tlsTimeout,

		MaxIdleConns:        inFlight,
		MaxIdleConnsPerHost: inFlight,
		// Twice the calls in flight: connections that are still being closed must not delay a call, and a slow API must
		// not get an unbounded number of them.
		MaxConnsPerHost: 2 * inFlight,
		IdleConnTimeout: idleTimeout,

		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: MaxHeaderBytes,
		DisableCompression:     true, // replies are a word or a line
	}
}
