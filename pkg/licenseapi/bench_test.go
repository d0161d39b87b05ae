package licenseapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

// BenchmarkDeactivate calls a server on loopback that always confirms, over HTTP and over TLS: with this client, and
// with a program that makes a new client for each call.
func BenchmarkDeactivate(b *testing.B) {
	const perCore = 5
	inFlight := perCore * runtime.GOMAXPROCS(0)
	yes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, licenseDeactivated)
	})
	plain := httptest.NewServer(yes)
	defer plain.Close()
	overTLS := httptest.NewUnstartedServer(yes)
	overTLS.EnableHTTP2 = true
	overTLS.StartTLS()
	defer overTLS.Close()

	for _, server := range []struct {
		name string
		*httptest.Server
	}{{"http", plain}, {"tls", overTLS}} {
		trust := server.Client().Transport.(*http.Transport).TLSClientConfig // nil over plain HTTP
		b.Run(server.name+"/client", func(b *testing.B) {
			client, err := New(Config{BaseURL: server.URL, CallsInFlight: inFlight, Authorizer: testSigner(b)})
			if err != nil {
				b.Fatal(err)
			}
			if trust != nil {
				client.transport.(*http.Transport).TLSClientConfig.RootCAs = trust.RootCAs
			}
			if err := client.Warm(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetParallelism(perCore)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := client.Deactivate(b.Context(), keyBased()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		b.Run(server.name+"/naive", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(perCore)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					transport := &http.Transport{TLSClientConfig: trust.Clone()}
					if err := naive(b, &http.Client{Transport: transport}, server.URL); err != nil {
						b.Error(err)
						return
					}
					transport.CloseIdleConnections()
				}
			})
		})
	}
}

func naive(b *testing.B, client *http.Client, url string) error {
	date := signing.Date(time.Now())
	body, err := json.Marshal(map[string]string{
		"product": "XY", "license_key": "AAAA-BBBB-CCCC-DDDD", "hardware_id": "some-unique-id",
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/deactivate_license", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Date", date)
	req.Header.Set("Authorization", `algorithm="hmac-sha256",headers="date",signature="`+
		signing.OnlineSignature(testSharedKey, date)+`",apikey="`+testAPIKey+`"`)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
