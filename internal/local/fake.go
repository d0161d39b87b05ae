package local

import (
	"encoding/base64"
	"encoding/json"
	"slices"

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
	ManagementAPIKey = "local-management-api-key" //nolint:gosec // likewise
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
	for _, text := range []string{plain, encoded, "whsec_" + encoded} {
		if source.CheckKeys([]string{text}) == nil {
			return text
		}
	}
	return plain
}

// NewFakeAPI returns the fake APIs. They accept the license secret, an API key or an OAuth client, and the fixed key of
// the Management API, and hold the samples' licenses.
func NewFakeAPI(license secrets.License, samples []sample.Sample) (*licenseapitest.Server, error) {
	state := licenseapitest.State{Licenses: licensesOf(samples), ManagementAPIKeys: []string{ManagementAPIKey}}
	if license.OAuth() {
		state.Clients = map[string]string{license.ClientID: license.ClientSecret}
	} else {
		state.APIKeys = map[string]string{license.APIKey: license.SharedKey}
	}
	return licenseapitest.New(state)
}

// licensesOf returns the licenses of the samples. Those that are to be deactivated have their devices; those whose
// device is already inactive have none. A license that a sample expects to be unknown is left out, but its product is
// known.
func licensesOf(samples []sample.Sample) []licenseapitest.License {
	var licenses []licenseapitest.License
	products := map[string]bool{}
	for _, s := range samples {
		for _, r := range s.Requests {
			products[r.Product] = true
			if r.Outcome == deactivation.Rejected {
				continue
			}
			i := slices.IndexFunc(licenses, func(l licenseapitest.License) bool {
				return l.Product == r.Product && l.LicenseKey == r.LicenseKey && l.Username == r.Username
			})
			if i < 0 {
				licenses = append(licenses, licenseapitest.License{
					Product: r.Product, LicenseKey: r.LicenseKey, Username: r.Username, Bundle: r.BundleCode,
				})
				i = len(licenses) - 1
			}
			if r.Outcome == deactivation.Deactivated {
				licenses[i].Devices = append(licenses[i].Devices, r.HardwareID)
			}
		}
	}
	for product := range products {
		licenses = append(licenses, licenseapitest.License{Product: product, LicenseKey: "of-nobody", Devices: []string{"of-nobody"}})
	}
	return licenses
}
