package local

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// The fixed keys of the fake APIs. They are public, for trials on this machine, and valid nowhere else.
const (
	APIKey           = "local-api-key" //nolint:gosec // public, as the comment says
	SharedKey        = "local-shared-key"
	ManagementAPIKey = "local-management-api-key"
)

// FixedSecrets returns the secrets that are used without a --secrets file, one for every sender's file. They sign the
// samples.
func FixedSecrets(sources *source.Sources) Secrets {
	marshal := func(v any) json.RawMessage {
		raw, _ := json.Marshal(v) //nolint:errchkjson // strings cannot fail
		return raw
	}
	texts := map[string]string{}
	for _, name := range sources.Names() {
		source, _ := sources.Get(name)
		texts[name] = fixedSecret(source)
	}
	return Secrets{
		LicenseAPI: marshal(map[string]string{"api_key": APIKey, "shared_key": SharedKey, "management_api_key": ManagementAPIKey}),
		Webhooks:   marshal(texts),
	}
}

// fixedSecret returns a sender's fixed secret, in the form that its file requires.
func fixedSecret(source *source.Source) string {
	switch source.Name {
	case "stripe":
		return "whsec_local_stripe"
	case "shopify":
		return "shpss_local_shopify"
	case "paddle":
		return "pdl_ntfset_local_paddle"
	case "chargebee":
		return "local:chargebee"
	case "standard":
		return "whsec_bG9jYWwtc3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LTAx"
	}
	plain := "local-" + source.Name
	encoded := base64.StdEncoding.EncodeToString([]byte(plain + "-webhooks-secret"))
	for _, text := range append([]string{plain, encoded, "whsec_" + encoded, hex.EncodeToString([]byte(plain))}, fixedPrivateKeys(plain)...) {
		if source.CheckKeys([]string{source.VerifyingSecret(text)}) == nil {
			return text
		}
	}
	return plain
}

// fixedPrivateKeys returns one Ed25519 key in each form, for a sender that signs by it. An RSA key is not made: it would
// take a second, and another one in each process.
func fixedPrivateKeys(name string) []string {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	texts := []string{"whsk_" + base64.StdEncoding.EncodeToString(key), base64.StdEncoding.EncodeToString(key), hex.EncodeToString(key)}
	if der, err := x509.MarshalPKCS8PrivateKey(key); err == nil {
		texts = append(texts, strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))))
	}
	return texts
}

// Verifying returns the senders' secrets as the handler may hold them: the public key in place of a private one, with
// which the samples are signed.
func Verifying(sources *source.Sources, stored secrets.Webhooks) secrets.Webhooks {
	return stored.Replace(func(name, text string) string {
		if source, ok := sources.Get(name); ok {
			return source.VerifyingSecret(text)
		}
		return text
	})
}

// NewFakeAPI returns the fake APIs. They accept the license secret, an API key or an OAuth client, and the key of the
// Management API, or the fixed one where it is "". They hold the licenses of the samples and of events/refunds.csv.
func NewFakeAPI(license secrets.License, managementKey string, samples []sample.Sample) (*licenseapitest.Server, error) {
	refunds, err := licensesOfFile()
	if err != nil {
		return nil, err
	}
	state := licenseapitest.State{
		Licenses: append(licensesOf(samples), refunds...), ManagementAPIKeys: []string{cmp.Or(managementKey, ManagementAPIKey)},
	}
	if license.OAuth() {
		state.Clients = map[string]string{license.ClientID: license.ClientSecret}
	} else {
		state.APIKeys = map[string]string{license.APIKey: license.SharedKey}
	}
	return licenseapitest.New(state)
}

// licensesOfFile returns the licenses of events/refunds.csv. Its first columns are product, license key, device and order.
func licensesOfFile() ([]licenseapitest.License, error) {
	file, err := events.FS().Open("refunds.csv")
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("local: events/refunds.csv: %w", err)
	}
	var licenses []licenseapitest.License
	for _, row := range rows[1:] {
		licenses = append(licenses, licenseapitest.License{Product: row[0], LicenseKey: row[1], Devices: []string{row[2]}, Order: row[3]})
	}
	return licenses, nil
}

// licensesOf returns the licenses of the samples. Those that are to be deactivated have their devices; those whose
// device is already inactive have none. A license that a sample expects to be unknown is left out, but its product is
// known.
func licensesOf(samples []sample.Sample) []licenseapitest.License {
	var licenses []licenseapitest.License
	products := map[string]bool{}
	add := func(product, key, username, bundle string) *licenseapitest.License {
		i := slices.IndexFunc(licenses, func(l licenseapitest.License) bool {
			return l.Product == product && l.LicenseKey == key && l.Username == username
		})
		if i < 0 {
			i = len(licenses)
			licenses = append(licenses, licenseapitest.License{Product: product, LicenseKey: key, Username: username, Bundle: bundle})
		}
		return &licenses[i]
	}
	for _, s := range samples {
		for _, r := range s.Requests {
			products[r.Product] = true
			if r.Outcome == deactivation.Rejected {
				continue
			}
			l := add(r.Product, r.LicenseKey, r.Username, r.BundleCode)
			if r.Outcome == deactivation.Deactivated {
				l.Devices = append(l.Devices, r.HardwareID)
			}
		}
	}
	orders := ordersOf(samples)
	for _, s := range samples {
		for _, r := range s.Expected(true).Requests {
			found := r.Finds
			switch {
			case r.Scope == "" || found.LicenseKey == "" && (r.LicenseKey == "" || r.Outcome == deactivation.Rejected):
				continue
			case found.LicenseKey == "":
				found = sample.Found{Product: cmp.Or(r.Product, sampleProduct), LicenseKey: r.LicenseKey}
			}
			products[found.Product] = true
			l := add(found.Product, found.LicenseKey, "", "")
			if found.HardwareID != "" && !slices.Contains(l.Devices, found.HardwareID) {
				l.Devices = append(l.Devices, found.HardwareID)
			}
			l.CustomerEmail = cmp.Or(l.CustomerEmail, r.Email)
			if len(r.Order) > 0 && (orders[r.Order[0].ID] == 1 || r.Finds.LicenseKey != "") {
				l.Order = r.Order[0].ID
			}
			l.Subscription = cmp.Or(l.Subscription, r.Subscription.ID)
		}
	}
	for product := range products {
		if product != "" {
			licenses = append(licenses, licenseapitest.License{Product: product, LicenseKey: "of-nobody", Devices: []string{"of-nobody"}})
		}
	}
	return licenses
}

// sampleProduct is the product of a license that a sample names by its key alone.
const sampleProduct = "acme-pro"

// ordersOf counts the samples of each order. Several samples of one order are separate worlds, so their licenses are not
// the order's: each is found by its key.
func ordersOf(samples []sample.Sample) map[string]int {
	counts := map[string]int{}
	for _, s := range samples {
		seen := map[string]bool{}
		for _, r := range s.Expected(true).Requests {
			if len(r.Order) > 0 && !seen[r.Order[0].ID] {
				seen[r.Order[0].ID] = true
				counts[r.Order[0].ID]++
			}
		}
	}
	return counts
}
