package certificate

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyPublicAddressesArePublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"64.4.250.36": true, "2600:1f18::1": true, "::ffff:64.4.250.36": true, "64:ff9b::4004:fa24": true, // 64.4.250.36 behind NAT64
		"127.0.0.1": false, "127.9.9.9": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "169.254.170.2": false, "100.64.0.1": false, "192.0.0.8": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"::1": false, "::": false, "fe80::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:db8::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: public %v, want %v", text, got, want)
		}
	}
}

// The name of a server can resolve to any address. The connection is refused before a byte is sent.
func TestNoConnectionIsMadeToThisMachine(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(net.Conn, http.ConnState) {
		select {
		case reached <- struct{}{}:
		default:
		}
	}
	server.StartTLS()
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	transport := publicTransport()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		conn, err := transport.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if conn != nil {
			_ = conn.Close()
		}
		if !errors.Is(err, errNotPublic) && !strings.Contains(err.Error(), errNotPublic.Error()) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if transport.Proxy != nil {
		t.Error("a proxy could make the connection elsewhere")
	}
	select {
	case <-reached:
		t.Error("the server was reached")
	default:
	}
}
